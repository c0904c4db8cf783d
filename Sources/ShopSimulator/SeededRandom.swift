import Glibc

/// The simulator's only source of randomness: SplitMix64 with the draws a shop needs.
///
/// Steele, Lea and Flood (2014), doi:10.1145/2714064.2660195. One stream of eight bytes of state is
/// enough here: what counts is that equal seeds give equal shops.
struct SeededRandom: Sendable {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// 64 uniform bits.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Uniform in [0, 1).
    mutating func unit() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// Uniform in (0, 1], safe under a logarithm.
    mutating func positiveUnit() -> Double {
        Double((next() >> 11) &+ 1) * 0x1p-53
    }

    /// Uniform between two bounds, the upper one left out.
    mutating func uniform(_ lower: Double, _ upper: Double) -> Double {
        lower + (upper - lower) * unit()
    }

    /// True with the given probability.
    mutating func chance(_ probability: Double) -> Bool {
        unit() < probability
    }

    /// Exponential with mean 1.
    mutating func exponential() -> Double {
        -log(positiveUnit())
    }

    /// Standard normal (Box and Muller, 1958, doi:10.1214/aoms/1177706645).
    mutating func normal() -> Double {
        let radius = (-2 * log(positiveUnit())).squareRoot()
        return radius * cos(2 * Double.pi * unit())
    }

    /// Gamma with the given shape and mean 1 (Marsaglia and Tsang, 2000,
    /// doi:10.1145/358407.358414).
    ///
    /// - Precondition: shape is at least 1; smaller shapes need another branch that no kind uses.
    mutating func gamma(shape: Double) -> Double {
        precondition(shape >= 1, "gamma shapes below 1 are not used")
        let d = shape - 1.0 / 3.0
        let c = 1 / (9 * d).squareRoot()
        while true {
            let z = normal()
            let t = 1 + c * z
            guard t > 0 else { continue }
            let v = t * t * t
            if log(positiveUnit()) < 0.5 * z * z + d - d * v + d * log(v) {
                return d * v / shape
            }
        }
    }

    /// Index of the lane that a draw falls into, weights summing to 1.
    mutating func pick(_ weights: SIMD8<Float>) -> Int {
        var remaining = Float(unit())
        for lane in 0..<7 {
            remaining -= weights[lane]
            if remaining < 0 { return lane }
        }
        // Rounding can leave a crumb beyond the last used lane; the heaviest one is always real.
        return weights[7] > 0 ? 7 : 0
    }
}
