/// Count, mean and covariance of the imputed features at one moment.
///
/// Everything is of the population: sums are divided by the count, as scikit-learn's
/// `StandardScaler` does.
public struct FeatureStatistics: Sendable, Equatable {
    /// Sum of the weights of all rows; the number of customers where weights are 1.
    public var count: Double
    /// `[featureCount]`, in values.
    public var mean: [Double]
    /// `[featureCount x featureCount]`, row-major, symmetric, in values.
    public var covariance: [Double]
    /// Largest squared distance of a value from its centre, `[featureCount]`.
    ///
    /// Of all rows ever added since the moments were last rebuilt: against it rounding is judged.
    public var largestSquaredDeviation: [Double]
    /// `[featureCount]`: weight of the rows in which the feature is missing.
    public var missing: [Double]

    /// Creates statistics from their parts.
    public init(
        count: Double,
        mean: [Double],
        covariance: [Double],
        largestSquaredDeviation: [Double],
        missing: [Double]
    ) {
        let featureCount = mean.count
        precondition(covariance.count == featureCount * featureCount, "covariance of another shape")
        precondition(largestSquaredDeviation.count == featureCount, "deviations of another shape")
        precondition(missing.count == featureCount, "missing weights of another shape")
        self.count = count
        self.mean = mean
        self.covariance = covariance
        self.largestSquaredDeviation = largestSquaredDeviation
        self.missing = missing
    }

    /// Number of features.
    public var featureCount: Int { mean.count }

    /// Population variance of a feature, never negative.
    public func variance(of feature: Int) -> Double { covariance[feature * featureCount + feature] }
}
