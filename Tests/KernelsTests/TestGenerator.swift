/// SplitMix64, so that every test run sees the same numbers.
struct TestGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// Uniform in -1 ..< 1.
    mutating func signed() -> Double { Double(next() >> 11) * 0x1p-52 - 1 }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func array(_ count: Int) -> [Double] { (0..<count).map { _ in signed() } }
}
