import Kernels

/// How much rounding has come together in running sums.
extension FeatureMoments {
    /// How far these sums are from others over the same rows, about any centres.
    ///
    /// The largest difference of a mean in standard deviations, or of an entry of the covariance in
    /// the product of its two deviations, both about the means of the others and as if missing
    /// values were there. A deviation counts as at least 1e-6 of the largest value about the
    /// centre, of the centre, and of a stored unit: what a constant feature has is rounding.
    ///
    /// - Parameter rebuilt: sums that were just made from the rows; same features.
    /// - Returns: 0 or more; infinity where these sums hold no number any more. Rounding leaves
    ///   about 1e-13; above 1e-9 the statistics no longer equal those of a batch job.
    /// - Complexity: O(featureCount^2) time, O(featureCount) memory.
    public func drift(from rebuilt: FeatureMoments) -> Double {
        precondition(missableFeatures == rebuilt.missableFeatures, "other flags")
        let weight = rebuilt.count
        var worst = abs(count - weight) / max(1, weight)
        guard weight > 0 else { return worst }
        let means = (0..<featureCount).map { feature in
            let known = rebuilt.knownWeight(of: feature)
            return rebuilt.centres[feature]
                + (known > 0 ? rebuilt.upper[1 + feature] / known : 0)
        }
        let (new, old) = (rebuilt.parts(about: means), parts(about: means))
        let deviations = (0..<featureCount).map { feature in
            let centre = rebuilt.centres[feature]
            let largest = max(1, centre * centre, rebuilt.largestSquares[feature])
            let variance = rebuilt.moment(new[feature], new[feature]) / weight
            return max(variance, 1e-12 * largest).squareRoot()
        }
        for i in 0..<featureCount {
            let sum = moment(old[i], nil) - rebuilt.moment(new[i], nil)
            let mean = abs(sum) / weight / deviations[i]
            guard mean.isFinite else { return .infinity }
            worst = max(worst, mean)
            for k in i..<featureCount {
                let sum = moment(old[i], old[k]) - rebuilt.moment(new[i], new[k])
                let ratio = abs(sum) / weight / (deviations[i] * deviations[k])
                guard ratio.isFinite else { return .infinity }
                worst = max(worst, ratio)
            }
        }
        return worst
    }

    /// How a feature about a value is read from u: `u[value] + offset * (1 - u[flag])`.
    private struct Part {
        var value: Int
        var flag: Int?
        var offset: Double
    }

    private func parts(about origins: [Double]) -> [Part] {
        var parts = (0..<featureCount).map { feature in
            Part(value: 1 + feature, flag: nil, offset: centres[feature] - origins[feature])
        }
        for (flag, feature) in missableFeatures.enumerated() {
            parts[feature].flag = 1 + featureCount + flag
        }
        return parts
    }

    /// Sum over all rows of one feature, or of the product of two; never cut off at 0.
    private func moment(_ first: Part, _ second: Part?) -> Double {
        func sum(_ i: Int, _ k: Int) -> Double {
            upper[RankUpdate.packedIndex(row: min(i, k), column: max(i, k), dimension: dimension)]
        }
        func times(_ i: Int) -> Double {
            guard let second else { return sum(0, i) }
            let missing = second.flag.map { sum(i, $0) } ?? 0
            return sum(i, second.value) + second.offset * (sum(0, i) - missing)
        }
        let missing = first.flag.map(times) ?? 0
        return times(first.value) + first.offset * (times(0) - missing)
    }
}
