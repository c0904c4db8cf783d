import Kernels

/// Sums of products from which the mean and covariance of all features follow at any moment.
///
/// A customer is a row `u = [1, a - c, m]` of width D = 1 + d + f: d stored values a about fixed
/// centres c, 0 where missing, and a flag (0 or 1) for each of the f features that can be missing.
/// Kept is the sum of `u u^T` over all customers, so a change is the old row taken out and the new
/// one added. `view` turns the sums into statistics as if every missing value had been imputed with
/// the value given there, and every value had moved with the clock up to now: neither touches a
/// customer.
///
/// Taking out a row cancels it exactly where values and centres are integers of moderate size; else
/// each change leaves a rounding of about 1e-16 of the sum. After something very large has come and
/// gone, `largestSquares` are large beside the sums, which should be rebuilt from the rows.
public struct FeatureMoments: Sendable, Equatable {
    /// Number of features, d.
    public let featureCount: Int
    /// `[f]`: the feature of each flag.
    public let missableFeatures: [Int]
    /// `[featureCount]`, stored units.
    public private(set) var centres: [Double]
    /// The sums: packed upper triangle, D (D + 1) / 2.
    public private(set) var upper: [Double]
    /// `[featureCount]`: largest `(a - c)^2` ever added, whatever its weight; stored units.
    public private(set) var largestSquares: [Double]

    /// Creates empty sums.
    ///
    /// - Parameters:
    ///   - featureCount: d, 1 or more.
    ///   - missableFeatures: the feature of each flag, in the order of the flags, all different.
    ///   - centres: `[featureCount]`, near the means of the stored values; integers where the
    ///     values are, so that a constant feature has variance exactly 0.
    public init(featureCount: Int, missableFeatures: [Int], centres: [Double]) {
        precondition(featureCount > 0 && centres.count == featureCount, "a centre per feature")
        precondition(Set(missableFeatures).count == missableFeatures.count, "a feature named twice")
        precondition(missableFeatures.allSatisfy { (0..<featureCount).contains($0) })
        self.featureCount = featureCount
        self.missableFeatures = missableFeatures
        self.centres = centres
        let dimension = 1 + featureCount + missableFeatures.count
        upper = [Double](repeating: 0, count: RankUpdate.packedCount(dimension: dimension))
        largestSquares = [Double](repeating: 0, count: featureCount)
    }

    /// Width of a row u: 1 + featureCount + flags.
    public var dimension: Int { 1 + featureCount + missableFeatures.count }

    /// Sum of the weights of all rows.
    public var count: Double { upper[0] }

    /// Adds rows and takes rows out.
    ///
    /// - Parameters:
    ///   - rows: at least `[rowCount x dimension]`, row-major, each a u as `writeRow` makes it.
    ///   - signs: at least `[rowCount]`: +weight adds a row, -weight takes it out.
    ///   - rowCount: rows to apply; the arrays may be longer.
    /// - Complexity: O(rowCount x D^2 / 2) time, no allocation.
    public mutating func update(rows: [Double], signs: [Double], rowCount: Int) {
        let dimension = self.dimension
        RankUpdate.apply(
            to: &upper,
            rows: rows,
            signs: signs,
            rowCount: rowCount,
            dimension: dimension
        )
        for row in 0..<rowCount where signs[row] > 0 {
            let start = row * dimension + 1
            for feature in 0..<featureCount {
                let value = rows[start + feature]
                let square = value * value
                if square > largestSquares[feature] { largestSquares[feature] = square }
            }
        }
    }

    /// Writes the row u of a customer.
    ///
    /// - Parameters:
    ///   - values: `[featureCount]`, stored units, NaN where missing.
    ///   - rows: INOUT, at least `[(rowIndex + 1) x dimension]`.
    ///   - rowIndex: where the row goes.
    /// - Precondition: only features named in `missableFeatures` are missing.
    public func writeRow(_ values: [Double], into rows: inout [Double], at rowIndex: Int) {
        precondition(values.count == featureCount, "row of another width")
        let start = rowIndex * dimension
        rows[start] = 1
        var missingCount = 0
        for feature in 0..<featureCount {
            let value = values[feature]
            rows[start + 1 + feature] = value.isNaN ? 0 : value - centres[feature]
            if value.isNaN { missingCount += 1 }
        }
        for (flag, feature) in missableFeatures.enumerated() {
            let isMissing = values[feature].isNaN
            rows[start + 1 + featureCount + flag] = isMissing ? 1 : 0
            if isMissing { missingCount -= 1 }
        }
        precondition(missingCount == 0, "a feature that cannot be missing is missing")
    }

    /// Adds the sums of another set of customers.
    ///
    /// - Precondition: both have the same features, flags and centres.
    public mutating func merge(_ other: FeatureMoments) {
        precondition(missableFeatures == other.missableFeatures, "other flags")
        precondition(centres == other.centres, "other centres")
        for index in upper.indices { upper[index] += other.upper[index] }
        for feature in 0..<featureCount {
            largestSquares[feature] = max(largestSquares[feature], other.largestSquares[feature])
        }
    }

    /// Follows a change of landmark: every stored value of the feature is multiplied by `factor`.
    ///
    /// - Parameters:
    ///   - feature: its index.
    ///   - factor: a power of two, so that nothing is rounded; the centre is multiplied as well.
    public mutating func rescale(feature: Int, factor: Double) {
        precondition((0..<featureCount).contains(feature), "no such feature")
        precondition(factor.significand == 1 && factor > 0, "the factor must be a power of two")
        centres[feature] *= factor
        largestSquares[feature] *= factor * factor
        let dimension = self.dimension
        let own = 1 + feature
        for other in 0..<dimension {
            let position = RankUpdate.packedIndex(
                row: min(own, other),
                column: max(own, other),
                dimension: dimension
            )
            upper[position] *= other == own ? factor * factor : factor
        }
    }

    /// Multiplies the weights of all rows, as a change of the unit of weights does.
    ///
    /// - Parameter factor: a power of two, so that nothing is rounded.
    public mutating func scaleWeights(by factor: Double) {
        precondition(factor.significand == 1 && factor > 0, "the factor must be a power of two")
        for index in upper.indices { upper[index] *= factor }
    }

    /// Weight of the rows that have a feature.
    ///
    /// It is a difference, so a share of 1e-12 of all rows is rounding, and 0.
    func knownWeight(of feature: Int) -> Double {
        let weight = count - missingCount(of: feature)
        return weight > 1e-12 * count ? weight : 0
    }

    /// Weight of the rows in which a feature is missing.
    public func missingCount(of feature: Int) -> Double {
        guard let flag = missableFeatures.firstIndex(of: feature) else { return 0 }
        return upper[1 + featureCount + flag]
    }
}
