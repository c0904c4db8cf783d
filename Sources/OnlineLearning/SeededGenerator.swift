import Glibc

/// Random numbers that are the same on every machine for the same seed.
///
/// The generator is xoshiro256** (Blackman and Vigna, 2021, doi:10.1145/3460772), its state filled
/// by SplitMix64 (Steele, Lea and Flood, 2014, doi:10.1145/2660193.2660195). Not for secrets.
public struct SeededGenerator: RandomNumberGenerator, Sendable, Equatable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    /// Creates the generator of a seed.
    public init(seed: UInt64) {
        var mixer = seed
        func next() -> UInt64 {
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var z = mixer
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            return z ^ (z >> 31)
        }
        state = (next(), next(), next(), next())
    }

    /// Creates a generator that goes on from a state.
    ///
    /// - Precondition: not all four words are 0, which the generator would never leave.
    public init(state: (UInt64, UInt64, UInt64, UInt64)) {
        precondition(state.0 | state.1 | state.2 | state.3 != 0, "the state must not be zero")
        self.state = state
    }

    /// The next 64 random bits.
    public mutating func next() -> UInt64 {
        let product = state.1 &* 5
        let result = ((product << 7) | (product >> 57)) &* 9
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = (state.3 << 45) | (state.3 >> 19)
        return result
    }

    /// A number in 0 ..< 1, a multiple of 2^-53.
    public mutating func nextDouble() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A whole number in 0 ..< bound, each equally likely (Lemire, 2019, doi:10.1145/3230636).
    public mutating func next(below bound: Int) -> Int {
        precondition(bound > 0, "a bound must be positive")
        let range = UInt64(bound)
        var product = next().multipliedFullWidth(by: range)
        if product.low < range {
            let threshold = (0 &- range) % range
            while product.low < threshold { product = next().multipliedFullWidth(by: range) }
        }
        return Int(product.high)
    }

    /// A normal deviate of mean 0 and deviation 1, by Marsaglia's polar method.
    ///
    /// It goes through the C library's logarithm: equal seeds give equal bytes with one C library.
    public mutating func nextNormal() -> Double {
        while true {
            let x = 2 * nextDouble() - 1
            let y = 2 * nextDouble() - 1
            let square = x * x + y * y
            if square > 0 && square < 1 { return x * (-2 * log(square) / square).squareRoot() }
        }
    }

    /// Different whole numbers of 0 ..< bound, ascending, every set of that size equally likely.
    ///
    /// Selection in one pass (Fan, Muller and Rezucha, 1962, doi:10.1080/01621459.1962.10480667).
    ///
    /// - Parameters:
    ///   - count: how many.
    ///   - bound: all numbers are below; not above `count`, all of them are returned and nothing
    ///     drawn.
    /// - Returns: `[min(count, bound)]`.
    /// - Complexity: O(bound) time, O(count) memory.
    public mutating func sample(_ count: Int, of bound: Int) -> [Int] {
        precondition(count >= 0 && bound >= 0, "sizes must not be negative")
        guard count < bound else { return Array(0..<bound) }
        var numbers: [Int] = []
        numbers.reserveCapacity(count)
        for number in 0..<bound where next(below: bound - number) < count - numbers.count {
            numbers.append(number)
        }
        return numbers
    }

    /// Generators are equal when they go on equally.
    public static func == (left: SeededGenerator, right: SeededGenerator) -> Bool {
        left.state == right.state
    }
}
