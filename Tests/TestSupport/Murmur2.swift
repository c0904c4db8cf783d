/// The hash by which Java clients place keyed records.
enum Murmur2 {
    /// Hash of bytes with the clients' seed.
    static func hash(_ bytes: [UInt8]) -> UInt32 {
        let factor: UInt32 = 0x5bd1_e995
        var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
        var index = 0
        while index + 4 <= bytes.count {
            var word: UInt32 = 0
            for byte in 0..<4 { word |= UInt32(bytes[index + byte]) << UInt32(8 * byte) }
            word = word &* factor
            word ^= word >> 24
            hash = (hash &* factor) ^ (word &* factor)
            index += 4
        }
        let tail = bytes.count - index
        if tail > 0 {
            for byte in 0..<tail { hash ^= UInt32(bytes[index + byte]) << UInt32(8 * byte) }
            hash = hash &* factor
        }
        hash ^= hash >> 13
        hash = hash &* factor
        return hash ^ (hash >> 15)
    }

    /// Partition of a keyed record; the sign bit is dropped as Java clients do.
    static func partition(of key: [UInt8], count: Int) -> Int32 {
        Int32((hash(key) & 0x7fff_ffff) % UInt32(count))
    }
}
