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

    /// Eight bytes as a little-endian word.
    @inline(__always)
    static func word(of bytes: [UInt8], at index: Int) -> UInt64 {
        precondition(index >= 0 && index &+ 8 <= bytes.count, "outside the bytes")
        return unsafe bytes.withUnsafeBytes { source in
            unsafe UInt64(
                littleEndian: source.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            )
        }
    }

    /// Hash of a long range of bytes in four lanes, which a processor works on side by side.
    public static func longHash(of bytes: [UInt8], range: Range<Int>, seed: UInt64) -> UInt64 {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count, "outside the bytes")
        var lanes = SIMD4<UInt64>(mix(seed), mix(seed &+ 1), mix(seed &+ 2), mix(seed &+ 3))
        var index = range.lowerBound
        while index &+ 32 <= range.upperBound {
            lanes[0] = mix(lanes[0] ^ word(of: bytes, at: index)) &+ 0x9e37_79b9_7f4a_7c15
            lanes[1] = mix(lanes[1] ^ word(of: bytes, at: index &+ 8)) &+ 0x9e37_79b9_7f4a_7c15
            lanes[2] = mix(lanes[2] ^ word(of: bytes, at: index &+ 16)) &+ 0x9e37_79b9_7f4a_7c15
            lanes[3] = mix(lanes[3] ^ word(of: bytes, at: index &+ 24)) &+ 0x9e37_79b9_7f4a_7c15
            index &+= 32
        }
        var result = hash(of: bytes, range: index..<range.upperBound, seed: seed)
        for lane in 0..<4 { result = mix(result ^ lanes[lane]) &+ UInt64(range.count) }
        return result
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
