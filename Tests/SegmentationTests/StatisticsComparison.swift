import OnlineLearning

@testable import Segmentation

/// Holds means, deviations and covariances of a core against `TwoPass`, within 1e-9 or what
/// rounding must be allowed.
///
/// The promise is 1e-9, for a mean within 1,000 deviations of its centre. Here and there a few
/// customers are more alike than that, or something very large has just gone. A sum of products of
/// two columns has then rounded m times, each time by u = 2^-53 of itself, and of N rows at once it
/// was never larger than N times the largest product, so it is off by at most u m N L L'. A
/// covariance is such a sum less a product of two means, over n: three times as much, over n. The
/// deviation follows: sqrt(v + e) - sqrt(v) is at most the smaller of sqrt(e) and e / sqrt(v).
/// Values themselves, on either side, are off by a few u of what they are made of, such as the days
/// since 1970. With weights w, n is that of all rows together and L the largest sqrt(w) times a
/// distance; a mean, of w times a distance, is off by sqrt(w) L instead of L, and a product of two
/// means by sqrt(N w / n) times as much as without. Where all are alike within that, the promise is
/// another one: a variance of at most 1e-12 of the largest square.
struct StatisticsComparison {
    /// Comparisons of features that vary, and those of them whose bound is above the promise.
    private(set) var counts = (all: 0, loosened: 0)
    /// What differs, nil when nothing does.
    private(set) var difference: String?

    /// What two passes over the rows find.
    let expected: TwoPass
    private let view: FeatureStatistics
    /// Largest distance of a value from its centre, times the root of its weight, and rounding of
    /// one value, by feature.
    private var largest: [Double]
    private var rounding: [Double] = []
    /// Whether what is being compared varies among customers.
    private var isVarying = true
    /// 3 u m N / n, in weights where rows are weighted.
    private let share: Double
    /// Root of the largest weight, and N times that weight over n, 1 or more; 1 without weights.
    private var (unit, spread) = (1.0, 1.0)
    /// Rounding of sums of weights.
    private let slack: Double

    /// Compares at a moment.
    ///
    /// - Parameters:
    ///   - moments: sums of the rows.
    ///   - expected: what two passes over the rows find.
    ///   - factors: value per stored unit, by feature.
    ///   - shifts: added to every value, by feature.
    ///   - changes: rows added and taken out since the sums began, at most.
    ///   - rows: customers there were at once, at most; while a batch is applied, twice as many.
    ///   - schema: of the rows.
    ///   - added: where rows are weighted, the largest weight ever added since the sums began,
    ///     and by feature the largest square by weight.
    init(
        _ moments: FeatureMoments,
        _ expected: TwoPass,
        factors: [Double],
        shifts: [Double],
        changes: Int,
        rows: Int,
        schema: CompiledSchema,
        largest added: (weight: Double, terms: [Double])? = nil
    ) {
        self.expected = expected
        view = moments.view(factors: factors, shifts: shifts, imputation: expected.imputation)
        largest = view.largestSquaredDeviation.map { $0.squareRoot() }
        let m = Double(2 * changes + 2)
        let n = expected.trainingCount == 0 ? 1 : expected.weight
        let among = Double(2 * rows) / n
        share = 3 * 0x1p-53 * m * among
        if let added {
            unit = added.weight.squareRoot()
            spread = max(1, among * added.weight)
            for j in factors.indices {
                let origin = factors[j] * moments.centres[j] + shifts[j]
                let imputed =
                    expected.missing[j] > 0 ? unit * abs(expected.imputation[j] - origin) : 0
                largest[j] = max(abs(factors[j]) * added.terms[j].squareRoot(), imputed)
            }
        }
        // Numbers of rows are exact.
        slack = added == nil ? 0 : 1e-9 * expected.weight
        guard abs(moments.count - expected.weight) <= slack else {
            difference = "\(moments.count) rows for \(expected.weight)"
            return
        }
        guard expected.trainingCount > 0 else { return }
        for j in factors.indices {
            let centre = factors[j] * moments.centres[j] + shifts[j]
            rounding.append(
                4 * 0x1p-52
                    * (abs(shifts[j]) + abs(factors[j] * moments.centres[j])
                        + (added == nil ? 1 : unit * among) * largest[j])
            )
            // What is larger by so much than all that is there has to be gone from the sums, or
            // rounding has no bound.
            let square = zip(expected.training, expected.weights).reduce(0.0) { sum, row in
                let distance = row.0[j] - centre
                return distance.isNaN ? sum : sum + row.1 * distance * distance
            }
            let largest = added?.terms[j] ?? moments.largestSquares[j]
            let known = factors[j] * factors[j] * largest
            if (added != nil || !schema.isLevel(j)) && known > 1.01e4 * square {
                difference = "\(schema.featureNames[j]) has lost digits"
            }
        }
        for j in factors.indices where difference == nil { compare(j, moments, schema) }
    }

    private mutating func compare(_ j: Int, _ moments: FeatureMoments, _ schema: CompiledSchema) {
        let d = view.featureCount
        let name = schema.featureNames[j]
        let (mean, sigma) = (expected.mean[j], expected.deviation[j])
        isVarying = sigma > rounding[j]
        check(
            view.mean[j],
            mean,
            promised: 1e-9 * max(abs(mean), sigma),
            bound: share * unit * largest[j] + rounding[j],
            "mean of \(name)"
        )
        let error = share * spread.squareRoot() * largest[j] * largest[j]
        check(
            view.variance(of: j).squareRoot(),
            sigma,
            promised: 1e-9 * sigma,
            bound: min(
                isVarying ? .infinity : 1e-6 * view.largestSquaredDeviation[j].squareRoot(),
                error.squareRoot(),
                error / sigma
            ) + rounding[j],
            "deviation of \(name)"
        )
        for k in 0..<j {
            let other = expected.deviation[k]
            isVarying = sigma > rounding[j] && other > rounding[k]
            check(
                view.covariance[j * d + k],
                expected.covariance[j * d + k],
                promised: 1e-9 * sigma * other,
                bound: share * spread.squareRoot() * largest[j] * largest[k] + 2 * rounding[j]
                    * other
                    + 2 * rounding[k] * sigma + rounding[j] * rounding[k],
                "covariance of \(name) and \(schema.featureNames[k])"
            )
        }
        if abs(moments.missingCount(of: j) - expected.missingWeight[j]) > slack {
            difference = "\(moments.missingCount(of: j)) without \(name)"
        }
    }

    private mutating func check(
        _ found: Double,
        _ wanted: Double,
        promised: Double,
        bound: Double,
        _ what: @autoclosure () -> String
    ) {
        if isVarying {
            counts.all += 1
            if bound > promised { counts.loosened += 1 }
        }
        guard !(abs(found - wanted) <= max(promised, bound)) else { return }
        difference = difference ?? "\(what()): \(found) for \(wanted)"
    }
}

extension CompiledSchema {
    /// Whether a feature is 0 or 1, so that its sums are whole numbers.
    func isLevel(_ feature: Int) -> Bool {
        if case .level = features[feature] { true } else { false }
    }
}
