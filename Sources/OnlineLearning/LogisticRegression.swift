import Glibc
public import Kernels

/// Log odds of an outcome as a linear function of features, some of whose weights are never
/// negative.
public struct LogisticRegression: Sendable, Equatable {
    /// Log odds where all features are 0.
    public var intercept: Double
    /// What one unit of each feature adds; `[d]`.
    public var weights: [Double]

    /// Creates a regression from its parts.
    public init(intercept: Double, weights: [Double]) {
        self.intercept = intercept
        self.weights = weights
    }

    /// Fits by maximum likelihood, with a ridge on the weights of standardised features.
    ///
    /// The objective is the mean of the log loss, and half `ridge` times the sum of squares of the
    /// standardised weights; it is convex, and the fit deterministic.
    ///
    /// - Parameters:
    ///   - features: `[n x d]`, row-major, finite.
    ///   - outcomes: `[n]`, at least one of each.
    ///   - isMonotone: `[d]`: which weights must be 0 or above.
    ///   - ridge: positive, small: keeps weights finite where features foretell everything.
    /// - Returns: the regression, in units of the features as given.
    /// - Throws: `NumericError` of kind `badInput` where all outcomes are the same,
    ///   `libraryFailure` when the search failed.
    /// - Complexity: some dozens of passes, each O(n d).
    public static func fit(
        features: [Double],
        outcomes: [Bool],
        isMonotone: [Bool],
        ridge: Double
    ) throws(NumericError) -> LogisticRegression {
        let n = outcomes.count
        let d = isMonotone.count
        precondition(d > 0 && features.count == n * d && ridge > 0, "other shape")
        let positives = outcomes.count { $0 }
        guard positives > 0 && positives < n else {
            throw NumericError(
                kind: .badInput,
                operation: "fit a logistic regression",
                reason: "all outcomes are the same"
            )
        }
        let (mean, scale) = moments(of: features, count: n, dimension: d)
        var standard = features
        for row in 0..<n {
            for j in 0..<d {
                standard[row * d + j] = (features[row * d + j] - mean[j]) / scale[j]
            }
        }
        let unbounded = 1e6
        let share = Double(positives) / Double(n)
        let minimum = try Minimizer.minimizeSmooth(
            start: [log(share / (1 - share))] + Array(repeating: 0, count: d),
            lower: [-unbounded] + isMonotone.map { $0 ? 0 : -unbounded },
            upper: Array(repeating: unbounded, count: d + 1)
        ) { point, gradient in
            loss(at: point, features: standard, outcomes, ridge: ridge, gradient: &gradient)
        }
        var intercept = minimum.point[0]
        var weights: [Double] = []
        for j in 0..<d {
            weights.append(minimum.point[1 + j] / scale[j])
            intercept -= weights[j] * mean[j]
        }
        return LogisticRegression(intercept: intercept, weights: weights)
    }

    /// Mean and standard deviation of each feature; a constant one has 1.
    private static func moments(
        of features: [Double],
        count n: Int,
        dimension d: Int
    ) -> (mean: [Double], scale: [Double]) {
        var mean = Array(repeating: 0.0, count: d)
        var squares = mean
        for row in 0..<n { for j in 0..<d { mean[j] += features[row * d + j] } }
        for j in 0..<d { mean[j] /= Double(n) }
        for row in 0..<n {
            for j in 0..<d {
                let off = features[row * d + j] - mean[j]
                squares[j] += off * off
            }
        }
        let scale = squares.indices.map { j in
            let deviation = (squares[j] / Double(n)).squareRoot()
            return deviation > 1e-12 * (1 + abs(mean[j])) ? deviation : 1
        }
        return (mean, scale)
    }

    private static func loss(
        at point: [Double],
        features: [Double],
        _ outcomes: [Bool],
        ridge: Double,
        gradient: inout [Double]
    ) -> Double {
        let d = point.count - 1
        let n = Double(outcomes.count)
        for j in gradient.indices { gradient[j] = 0 }
        var total = 0.0
        for row in outcomes.indices {
            var odds = point[0]
            for j in 0..<d { odds += point[1 + j] * features[row * d + j] }
            // log(1 + exp(-odds)) of a positive, log(1 + exp(odds)) of a negative.
            total += log1p(exp(-abs(odds))) + max(0, outcomes[row] ? -odds : odds)
            let off = 1 / (1 + exp(-odds)) - (outcomes[row] ? 1 : 0)
            gradient[0] += off
            for j in 0..<d { gradient[1 + j] += off * features[row * d + j] }
        }
        total /= n
        gradient[0] /= n
        for j in 0..<d {
            gradient[1 + j] = gradient[1 + j] / n + ridge * point[1 + j]
            total += ridge * point[1 + j] * point[1 + j] / 2
        }
        return total
    }
}
