import Glibc
public import Kernels

/// A customer as they stood at an earlier moment, and whether they bought within the horizon
/// behind it.
public struct PurchaseOutcome: Sendable, Equatable {
    /// The customer at that moment.
    public var summary: PurchaseSummary
    /// True when no purchase came.
    public var withoutPurchase: Bool

    /// Creates an outcome from its parts.
    public init(summary: PurchaseSummary, withoutPurchase: Bool) {
        self.summary = summary
        self.withoutPurchase = withoutPurchase
    }
}

extension RiskCalibration {
    /// Outcomes of each kind that a fit needs; with fewer, chance ranks better than it.
    public static let outcomesOfAKindMin = 50

    /// The ridge of one more outcome: with few of them, the weights stay near 0.
    private static let ridgeOutcomes = 10.0

    /// Learns from what became of customers.
    ///
    /// The layer is a `LogisticRegression` of the outcomes, all of one horizon. Where the risk's
    /// horizon is longer, log odds are shifted so that the mean risk of `present` is the mean of
    /// the layer's chance times what the purchase model says of the rest, given silence so far:
    /// `P(none within H) / P(none within the calibration's horizon)`. A shift leaves the order of
    /// customers as it is.
    ///
    /// - Parameters:
    ///   - outcomes: matured ones, from one or several moments.
    ///   - horizon: their horizon, in weeks, positive.
    ///   - parameters: the purchase model.
    ///   - present: customers as they stand now.
    ///   - riskHorizon: the horizon of the risk, in weeks, positive.
    /// - Returns: nil with fewer than `outcomesOfAKindMin` of either kind.
    /// - Throws: `NumericError` of kind `libraryFailure` when the search failed.
    /// - Complexity: some dozens of passes over the outcomes, no more than a hundred over
    ///   `present`.
    public static func fit(
        _ outcomes: [PurchaseOutcome],
        horizon: Double,
        parameters: PurchaseParameters,
        present: [PurchaseSummary],
        riskHorizon: Double
    ) throws(NumericError) -> RiskCalibration? {
        let withoutPurchase = outcomes.count { $0.withoutPurchase }
        guard
            min(withoutPurchase, outcomes.count - withoutPurchase) >= outcomesOfAKindMin
        else { return nil }
        var features: [Double] = []
        features.reserveCapacity(5 * outcomes.count)
        for outcome in outcomes {
            let parts = Parts(outcome.summary, parameters, horizon: horizon)
            features += [
                parts.logOdds, parts.silenceOverGap, parts.silence, parts.repeats, parts.spent,
            ]
        }
        let layer = try LogisticRegression.fit(
            features: features,
            outcomes: outcomes.map(\.withoutPurchase),
            isMonotone: [true, true, true, false, false],
            ridge: ridgeOutcomes / Double(outcomes.count)
        )
        var calibration = RiskCalibration(
            horizon: horizon,
            intercept: layer.intercept,
            weights: Weights(
                logOdds: layer.weights[0],
                silenceOverGap: layer.weights[1],
                silence: layer.weights[2],
                repeats: layer.weights[3],
                spent: layer.weights[4]
            ),
            shift: 0,
            outcomes: outcomes.count,
            withoutPurchase: withoutPurchase
        )
        calibration.shift = calibration.shift(to: riskHorizon, parameters, present)
        return calibration
    }

    private func shift(
        to riskHorizon: Double,
        _ parameters: PurchaseParameters,
        _ present: [PurchaseSummary]
    ) -> Double {
        guard riskHorizon != horizon, !present.isEmpty else { return 0 }
        let odds = present.map { logOdds($0, parameters) }
        func chance(_ odds: Double) -> Double { 1 / (1 + exp(-odds)) }
        var goal = 0.0
        for (index, customer) in present.enumerated() {
            func silent(_ horizon: Double) -> Double {
                parameters.probabilityNoPurchase(
                    x: customer.repeatPurchases,
                    recency: customer.recency,
                    age: customer.age,
                    horizon: horizon
                )
            }
            goal += chance(odds[index]) * min(1, silent(riskHorizon) / silent(horizon))
        }
        // The mean rises with the shift; 40 is beyond any mean that doubles can tell from 0 and 1.
        var (low, high) = (-40.0, 40.0)
        for _ in 0..<60 {
            let middle = (low + high) / 2
            let mean = odds.reduce(0) { $0 + chance($1 + middle) }
            if mean < goal { low = middle } else { high = middle }
        }
        return (low + high) / 2
    }
}
