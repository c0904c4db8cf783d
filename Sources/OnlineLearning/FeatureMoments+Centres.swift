import Kernels

/// Where the centres should stand.
///
/// A mean that is m deviations from its centre costs the variance m^2 of its relative precision of
/// about 1e-16. So sums are rebuilt about new centres near the means, on a grid that keeps integers
/// integers: for these everything cancels exactly.
extension FeatureMoments {
    /// A centre near the mean of those who have the feature.
    ///
    /// - Parameter feature: its index.
    /// - Returns: an integer, or where the deviation is below 1/1024 a multiple of a power of two
    ///   below the deviation; the present centre where nobody has the feature. Stored units.
    public func nearbyCentre(of feature: Int) -> Double {
        let spread = spread(of: feature)
        let mean = centres[feature] + spread.offset
        guard spread.weight > 0, mean.isFinite else { return centres[feature] }
        let deviation = spread.variance.squareRoot()
        // What may be the rounding of the sums is no deviation: the feature is constant.
        let isConstant = spread.variance <= 1e-13 * spread.offset * spread.offset
        guard deviation > 0, deviation < 0x1p-10, !isConstant else { return mean.rounded() }
        let grid = Double(sign: .plus, exponent: deviation.exponent, significand: 1)
        return (mean / grid).rounded() * grid
    }

    /// Whether a variance has lost six digits that `nearbyCentre` would bring back.
    ///
    /// - Parameter feature: its index.
    /// - Returns: true where the mean is more than 1,000 deviations from the centre, and would be
    ///   less than half as far from a new one.
    public func isCentreFar(of feature: Int) -> Bool {
        let spread = spread(of: feature)
        let square = spread.offset * spread.offset
        guard spread.weight > 0, square > 1e6 * spread.variance else { return false }
        let mean = centres[feature] + spread.offset
        return abs(mean - nearbyCentre(of: feature)) < abs(spread.offset) / 2
    }

    /// Weight of those who have a feature, their mean about the centre, and their variance.
    private func spread(of feature: Int) -> (weight: Double, offset: Double, variance: Double) {
        let weight = knownWeight(of: feature)
        guard weight > 0 else { return (0, 0, 0) }
        let offset = upper[1 + feature] / weight
        let square = upper[
            RankUpdate.packedIndex(row: 1 + feature, column: 1 + feature, dimension: dimension)
        ]
        return (weight, offset, max(0, square / weight - offset * offset))
    }
}
