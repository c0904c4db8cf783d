/// Mean and scale of every feature: a value becomes `(value - mean) / scale`.
///
/// The scale is the population standard deviation, as in scikit-learn. A feature without variance
/// has scale 1 and is named constant: models give it no weight, so that its first different values
/// cannot throw anybody far away.
public struct StandardScaler: Sendable, Equatable {
    /// Share of the largest squared deviation seen up to which a variance is rounding.
    public static let constantShare = 1e-12

    /// `[featureCount]`.
    public var mean: [Double]
    /// `[featureCount]`, positive.
    public var scale: [Double]
    /// `[featureCount]`: true where the variance is 0 or not to be told from rounding.
    public var isConstant: [Bool]

    /// Creates a scaler from its parts.
    public init(mean: [Double], scale: [Double], isConstant: [Bool]) {
        precondition(scale.count == mean.count && isConstant.count == mean.count, "other shape")
        precondition(scale.allSatisfy { $0 > 0 }, "a scale must be positive")
        self.mean = mean
        self.scale = scale
        self.isConstant = isConstant
    }

    /// Takes mean and scale from statistics; without rows every feature is constant.
    public init(_ statistics: FeatureStatistics) {
        mean = statistics.mean
        isConstant = mean.indices.map { feature in
            let variance = statistics.variance(of: feature)
            let rounding = Self.constantShare * statistics.largestSquaredDeviation[feature]
            return !(variance > rounding)
        }
        scale = []
        for feature in mean.indices {
            let deviation = statistics.variance(of: feature).squareRoot()
            scale.append(isConstant[feature] ? 1 : deviation)
        }
    }

    /// Number of features.
    public var featureCount: Int { mean.count }

    /// Scales rows in place.
    ///
    /// - Parameter rows: INOUT, `[rowCount x featureCount]`, row-major.
    public func transform(_ rows: inout [Double]) {
        precondition(rows.count % max(1, featureCount) == 0, "rows of another width")
        for start in stride(from: 0, to: rows.count, by: max(1, featureCount)) {
            for feature in 0..<featureCount {
                rows[start + feature] = (rows[start + feature] - mean[feature]) / scale[feature]
            }
        }
    }
}
