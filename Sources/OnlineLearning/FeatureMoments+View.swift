import Kernels

extension FeatureMoments {
    /// Statistics of the values `y = factor * a + shift`, or the imputation where a is missing.
    ///
    /// Computed about `factor * centre + shift`, so that no large common part is squared. Without
    /// rows the means are the values at the centres and all variances 0.
    ///
    /// - Parameters:
    ///   - factors: `[featureCount]`, value per stored unit at this moment.
    ///   - shifts: `[featureCount]`, added to every value at this moment.
    ///   - imputation: `[featureCount]`, values; only read where a feature can be missing.
    /// - Returns: population statistics of the imputed values.
    /// - Complexity: O(featureCount^2) time and memory.
    public func view(
        factors: [Double],
        shifts: [Double],
        imputation: [Double]
    ) -> FeatureStatistics {
        precondition(factors.count == featureCount && shifts.count == featureCount, "other shape")
        precondition(imputation.count == featureCount, "an imputation per feature")
        let parts = parts(factors: factors, shifts: shifts, imputation: imputation)
        let weight = count
        var statistics = FeatureStatistics(
            count: max(0, weight),
            mean: parts.map(\.origin),
            covariance: [Double](repeating: 0, count: featureCount * featureCount),
            largestSquaredDeviation: [Double](repeating: 0, count: featureCount),
            missing: [Double](repeating: 0, count: featureCount)
        )
        for feature in 0..<featureCount {
            let part = parts[feature]
            var largest = part.factor * part.factor * largestSquares[feature]
            if let flag = part.flag {
                statistics.missing[feature] = upper[flag]
                if upper[flag] > 0 { largest = max(largest, part.imputed * part.imputed) }
            }
            statistics.largestSquaredDeviation[feature] = largest
        }
        guard weight > 0 else { return statistics }
        for j in 0..<featureCount {
            let part = parts[j]
            var sum = part.factor * upper[part.value]
            if let flag = part.flag { sum += part.imputed * upper[flag] }
            statistics.mean[j] += sum / weight
            for k in j..<featureCount {
                let entry = covariance(part, parts[k], weight: weight)
                statistics.covariance[j * featureCount + k] = j == k ? max(0, entry) : entry
                statistics.covariance[k * featureCount + j] =
                    statistics.covariance[j * featureCount + k]
            }
        }
        return statistics
    }

    /// How one feature is read from u: `y - origin = factor * u[value] + imputed * u[flag]`.
    private struct Part {
        var value: Int
        var flag: Int?
        var factor: Double
        var imputed: Double
        var origin: Double
    }

    private func parts(
        factors: [Double],
        shifts: [Double],
        imputation: [Double]
    ) -> [Part] {
        var parts = (0..<featureCount).map { feature in
            Part(
                value: 1 + feature,
                flag: nil,
                factor: factors[feature],
                imputed: 0,
                origin: factors[feature] * centres[feature] + shifts[feature]
            )
        }
        for (flag, feature) in missableFeatures.enumerated() {
            parts[feature].flag = 1 + featureCount + flag
            parts[feature].imputed = imputation[feature] - parts[feature].origin
        }
        return parts
    }

    private func covariance(_ first: Part, _ second: Part, weight: Double) -> Double {
        var sum = first.factor * second.factor * central(first.value, second.value, weight)
        if let flag = second.flag {
            sum += first.factor * second.imputed * central(first.value, flag, weight)
        }
        if let flag = first.flag {
            sum += first.imputed * second.factor * central(flag, second.value, weight)
            if let other = second.flag {
                sum += first.imputed * second.imputed * central(flag, other, weight)
            }
        }
        return sum
    }

    /// Covariance of two entries of u.
    private func central(_ i: Int, _ k: Int, _ weight: Double) -> Double {
        let position = RankUpdate.packedIndex(
            row: min(i, k),
            column: max(i, k),
            dimension: dimension
        )
        return (upper[position] - upper[i] * upper[k] / weight) / weight
    }
}
