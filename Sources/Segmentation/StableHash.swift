/// A fixed 64-bit hash (FNV-1a with a final mix), the same on every machine and in every run.
///
/// For fingerprints and lookup tables; not against an adversary.
public enum StableHash {
    /// Hash of a string's UTF-8.
    static func hash(of string: String) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in string.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return mix(hash)
    }

    /// Hash of a range of bytes, eight at a time.
    public static func hash(of bytes: [UInt8], range: Range<Int>, seed: UInt64 = 0) -> UInt64 {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "outside the bytes")
        return unsafe bytes.withUnsafeBytes { source in
            var hash = mix(seed ^ (0x9e37_79b9_7f4a_7c15 &+ UInt64(range.count)))
            var index = range.lowerBound
            while index &+ 8 <= range.upperBound {
                let word = unsafe source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                hash = mix(hash ^ UInt64(littleEndian: word)) &+ 0x9e37_79b9_7f4a_7c15
                index &+= 8
            }
            var tail: UInt64 = 0
            var shift: UInt64 = 0
            while index < range.upperBound {
                tail |= unsafe UInt64(source[index]) &<< shift
                shift &+= 8
                index &+= 1
            }
            return mix(hash ^ tail)
        }
    }

    /// Hash of a longer range of bytes: four chains of eight bytes side by side, so that no
    /// multiplication waits for the one before.
    public static func digest(of bytes: [UInt8], range: Range<Int>, seed: UInt64) -> UInt64 {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "outside the bytes")
        var lanes = SIMD4<UInt64>(1, 2, 3, 4) &* 0x9e37_79b9_7f4a_7c15
        var index = range.lowerBound
        unsafe bytes.withUnsafeBytes { source in
            while index &+ 32 <= range.upperBound {
                let words = unsafe source.loadUnaligned(
                    fromByteOffset: index,
                    as: SIMD4<UInt64>.self
                )
                for lane in 0..<4 {
                    let word = (lanes[lane] ^ words[lane].littleEndian) &* 0xd6e8_feb8_6659_fd93
                    lanes[lane] = word ^ (word >> 32)
                }
                index &+= 32
            }
        }
        var hash = seed
        for lane in 0..<4 { hash = mix(hash ^ lanes[lane]) }
        return Self.hash(of: bytes, range: index..<range.upperBound, seed: hash)
    }

    /// Spreads the bits of a word.
    static func mix(_ value: UInt64) -> UInt64 {
        var x = value
        x ^= x >> 32
        x = x &* 0xd6e8_feb8_6659_fd93
        x ^= x >> 32
        x = x &* 0xd6e8_feb8_6659_fd93
        return x ^ (x >> 32)
    }
}
