/// How well scores foretold what happened.
public enum OutcomeQuality {
    /// Customers of neighbouring scores, and what happened to them.
    public struct Bin: Sendable, Equatable {
        /// Customers in it.
        public var count: Int
        /// Mean of what was foretold, 0 to 1.
        public var predicted: Double
        /// Share to whom it happened, 0 to 1.
        public var observed: Double
    }

    /// Area under the receiver operating characteristic: the chance that one to whom it happened
    /// has a higher score than one to whom it did not, equal scores counting half (Hanley and
    /// McNeil, 1982, doi:10.1148/radiology.143.1.7063747).
    ///
    /// - Parameters:
    ///   - scores: `[n]`, not NaN; only their order matters.
    ///   - outcomes: `[n]`.
    /// - Returns: 0 to 1; nil where it happened to all, or to nobody.
    /// - Complexity: O(n log n)
    public static func areaUnderCurve(_ scores: [Double], _ outcomes: [Bool]) -> Double? {
        precondition(scores.count == outcomes.count, "a score and an outcome each")
        let positives = outcomes.count { $0 }
        let negatives = outcomes.count - positives
        guard positives > 0 && negatives > 0 else { return nil }
        let order = scores.indices.sorted { scores[$0] < scores[$1] }
        var wins = 0.0
        var below = 0
        var start = 0
        while start < order.count {
            var end = start
            var tied = (positives: 0, negatives: 0)
            while end < order.count && scores[order[end]] == scores[order[start]] {
                if outcomes[order[end]] { tied.positives += 1 } else { tied.negatives += 1 }
                end += 1
            }
            wins += Double(tied.positives) * (Double(below) + Double(tied.negatives) / 2)
            below += tied.negatives
            start = end
        }
        return wins / (Double(positives) * Double(negatives))
    }

    /// Mean squared difference between what was foretold and what happened (Brier, 1950,
    /// doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2).
    ///
    /// - Parameters:
    ///   - probabilities: `[n]`, 0 to 1.
    ///   - outcomes: `[n]`.
    /// - Returns: 0 to 1, lower is better; nil without anybody.
    public static func brierScore(_ probabilities: [Double], _ outcomes: [Bool]) -> Double? {
        precondition(probabilities.count == outcomes.count, "a probability and an outcome each")
        guard !outcomes.isEmpty else { return nil }
        var sum = 0.0
        for (probability, outcome) in zip(probabilities, outcomes) {
            let difference = probability - (outcome ? 1 : 0)
            sum += difference * difference
        }
        return sum / Double(outcomes.count)
    }

    /// Calibration: customers in order of what was foretold, in bins of the same size.
    ///
    /// - Parameters:
    ///   - probabilities: `[n]`, 0 to 1.
    ///   - outcomes: `[n]`.
    ///   - bins: how many, 1 or more; the first ones are larger by one where it does not come out
    ///     even.
    /// - Returns: the bins that hold anybody, from the lowest.
    public static func calibration(
        _ probabilities: [Double],
        _ outcomes: [Bool],
        bins: Int = 10
    ) -> [Bin] {
        precondition(probabilities.count == outcomes.count, "a probability and an outcome each")
        precondition(bins > 0, "a bin at least")
        let order = probabilities.indices.sorted {
            (probabilities[$0], $0) < (probabilities[$1], $1)
        }
        var result: [Bin] = []
        var start = 0
        for bin in 0..<bins {
            let count = order.count / bins + (bin < order.count % bins ? 1 : 0)
            guard count > 0 else { continue }
            let members = order[start..<start + count]
            start += count
            result.append(
                Bin(
                    count: count,
                    predicted: members.reduce(0) { $0 + probabilities[$1] } / Double(count),
                    observed: Double(members.count { outcomes[$0] }) / Double(count)
                )
            )
        }
        return result
    }
}
