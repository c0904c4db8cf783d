/// How a producer chooses the partition of a keyed record.
///
/// None of them is asked when rows are written; they tell where the events of a key arrive after
/// the number of partitions has changed.
public enum KeyPartitioner: String, Sendable, CaseIterable {
    /// Java clients, and librdkafka's `murmur2` and `murmur2_random`: MurmurHash2 without the sign
    /// bit.
    case murmur2
    /// librdkafka's own default, `consistent_random`, and `consistent`: CRC-32.
    case crc32
    /// Sarama's default, and librdkafka's `fnv1a` and `fnv1a_random`: the absolute value of FNV-1a.
    case fnv1a

    /// The partition of a key.
    ///
    /// - Parameters:
    ///   - key: its bytes, at least one.
    ///   - count: number of partitions, 1 or more.
    /// - Returns: its number, from 0.
    public func partition(of key: ArraySlice<UInt8>, count: Int) -> Int32 {
        precondition(count > 0, "a topic has partitions")
        let hash: UInt32 =
            switch self {
            case .murmur2: Self.murmur2(key) & 0x7fff_ffff
            case .crc32: Self.crc32(key)
            case .fnv1a: Int32(bitPattern: Self.fnv1a(key)).magnitude
            }
        return Int32(hash % UInt32(count))
    }

    /// MurmurHash2 with the seed of Java clients.
    private static func murmur2(_ key: ArraySlice<UInt8>) -> UInt32 {
        let factor: UInt32 = 0x5bd1_e995
        var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: key.count)
        var rest = key
        while rest.count >= 4 {
            var word: UInt32 = 0
            for (index, byte) in rest.prefix(4).enumerated() {
                word |= UInt32(byte) << UInt32(8 * index)
            }
            word = word &* factor
            word ^= word >> 24
            hash = (hash &* factor) ^ (word &* factor)
            rest = rest.dropFirst(4)
        }
        if !rest.isEmpty {
            for (index, byte) in rest.enumerated() { hash ^= UInt32(byte) << UInt32(8 * index) }
            hash = hash &* factor
        }
        hash ^= hash >> 13
        hash = hash &* factor
        return hash ^ (hash >> 15)
    }

    /// CRC-32 with the reflected polynomial 0xedb88320, as in zlib.
    private static func crc32(_ key: ArraySlice<UInt8>) -> UInt32 {
        var sum = UInt32.max
        for byte in key {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = (sum >> 1) ^ (sum & 1 == 1 ? 0xedb8_8320 : 0) }
        }
        return ~sum
    }

    private static func fnv1a(_ key: ArraySlice<UInt8>) -> UInt32 {
        key.reduce(0x811c_9dc5) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    }
}
