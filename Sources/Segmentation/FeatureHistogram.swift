import Glibc

/// How the values of one feature lay when a version was fit, in about ten bins of equal share.
///
/// The bounds are the deciles of a sample of the customers learnt from, each value once: a feature
/// of few values has fewer bins. Customers without the feature are a bin of their own. It is kept
/// in the bundle, so that it outlives a restart.
public struct FeatureHistogram: Codable, Sendable, Equatable {
    /// Upper bounds of the bins, a value on a bound included; ascending, feature units.
    ///
    /// A last bin without bound follows.
    var upper_bounds: [Double]
    /// Customers in each bin; one more than there are bounds.
    var counts: [Int]
    /// Customers without the feature.
    var missing: Int

    /// Takes the histogram of a sample, NaN where the feature is missing.
    init(of sample: [Double]) {
        let known = sample.filter { !$0.isNaN }.sorted()
        upper_bounds = Self.bounds(ofAscending: known)
        counts = Array(repeating: 0, count: upper_bounds.count + 1)
        missing = 0
        (counts, missing) = tally(sample)
    }

    private static func bounds(ofAscending known: [Double]) -> [Double] {
        guard let least = known.first, let most = known.last else { return [] }
        guard least < most else {
            // A feature that is the same for all: whatever leaves it to either side is seen.
            let width = 1e-9 * max(1, abs(least))
            return [least - width, least + width]
        }
        var bounds: [Double] = []
        for decile in 1...9 {
            // Rank by ceiling, in whole numbers.
            var bound = known[(decile * known.count + 9) / 10 - 1]
            // Nobody lies above the largest value: the bin of that value begins below it.
            if bound == most { bound = known.last { $0 < most } ?? least }
            if bounds.last != bound { bounds.append(bound) }
        }
        return bounds
    }

    /// Counts a sample by the bounds, NaN where the feature is missing.
    private func tally(_ sample: [Double]) -> (counts: [Int], missing: Int) {
        var counts = Array(repeating: 0, count: upper_bounds.count + 1)
        var missing = 0
        for value in sample {
            if value.isNaN {
                missing += 1
            } else {
                counts[upper_bounds.firstIndex { value <= $0 } ?? upper_bounds.count] += 1
            }
        }
        return (counts, missing)
    }

    /// Population stability index of another sample against this one: the sum over the bins of
    /// `(a - e) * ln(a / e)`, with `e` the share here and `a` the share there.
    ///
    /// Siddiqi, 2006, Credit Risk Scorecards, doi:10.1002/9781119201731; it is the divergence of
    /// Jeffreys, 1946, doi:10.1098/rspa.1946.0056. By custom below 0.1 is stable and above 0.25 a
    /// shift. Two samples of one population of n and m differ by about (bins - 1)(1/n + 1/m)
    /// (Yurdakul and Naranjo, 2020, doi:10.21314/JRMV.2020.227). Half a customer is added to every
    /// bin on both sides, so that an empty one stays finite.
    ///
    /// - Parameter sample: `[n]`, feature units, NaN where missing.
    /// - Returns: 0 or more; 0 for an empty sample, or where nothing is known of this one.
    func stabilityIndex(of sample: [Double]) -> Double {
        let now = tally(sample)
        let expected = counts + [missing]
        let actual = now.counts + [now.missing]
        let bins = Double(expected.count)
        // Counts of a document may be as large as a number can be: their sum is no whole number.
        let before = expected.reduce(0.5 * bins) { $0 + Double($1) }
        let after = Double(sample.count) + 0.5 * bins
        guard !sample.isEmpty, expected.contains(where: { $0 > 0 }) else { return 0 }
        var index = 0.0
        for (e, a) in zip(expected, actual) where e > 0 || a > 0 {
            let (e, a) = ((Double(e) + 0.5) / before, (Double(a) + 0.5) / after)
            index += (a - e) * log(a / e)
        }
        return max(0, index)
    }

    /// What does not fit together in a histogram read from a document, nil for nothing.
    var mismatch: String? {
        let ascends = zip(upper_bounds, upper_bounds.dropFirst()).allSatisfy { $0 < $1 }
        return counts.count == upper_bounds.count + 1 && ascends && missing >= 0
            && counts.allSatisfy { $0 >= 0 } ? nil : "histogram: bounds and counts do not fit"
    }
}
