import Glibc

/// A customer's purchases at a moment, as a risk sees them.
public struct PurchaseSummary: Sendable, Equatable {
    /// Days with a purchase after the first such day: x.
    public var repeatPurchases: Int
    /// Weeks from the first purchase day to the last: t_x.
    public var recency: Double
    /// Weeks from the first purchase day to the moment: T, not before `recency`.
    public var age: Double
    /// Money spent so far, 0 or more, in units of the shop's currency.
    public var spent: Double

    /// Creates a summary from its parts; an age below the recency counts as the recency, money
    /// below 0 as none.
    public init(repeatPurchases: Int, recency: Double, age: Double, spent: Double) {
        self.repeatPurchases = repeatPurchases
        self.recency = recency
        self.age = max(age, recency)
        self.spent = max(0, spent)
    }
}

/// A risk learnt from what became of the shop's own customers: the chance of no purchase within
/// the horizon, by a logistic layer over the purchase model.
///
/// With L the log odds of no purchase within the calibration's horizon (see
/// `PurchaseParameters.probabilityNoPurchase`), s the silence and t_x / x the mean gap:
/// ```
/// z = intercept + wL L + wG log(1 + s x / t_x) + wS s / 30 days
///     + wX log(1 + x) + wM log(1 + spent)
/// risk = 1 / (1 + exp(-(z + shift)))
/// ```
/// wL, wG and wS are never negative, so the risk never falls while a customer is silent; x, t_x
/// and money do not change meanwhile.
public struct RiskCalibration: Sendable, Equatable {
    /// What one unit of each part adds to the log odds.
    public struct Weights: Sendable, Equatable {
        /// Of the log odds of no purchase by the purchase model, 0 or above.
        public var logOdds: Double
        /// Of the logarithm of 1 + silence over mean gap (one-time buyers have none), 0 or above.
        public var silenceOverGap: Double
        /// Of 30 days of silence, 0 or above.
        public var silence: Double
        /// Of the logarithm of 1 + x.
        public var repeats: Double
        /// Of the logarithm of 1 + money spent.
        public var spent: Double

        /// Creates weights from their parts.
        public init(
            logOdds: Double,
            silenceOverGap: Double,
            silence: Double,
            repeats: Double,
            spent: Double
        ) {
            self.logOdds = logOdds
            self.silenceOverGap = silenceOverGap
            self.silence = silence
            self.repeats = repeats
            self.spent = spent
        }
    }

    /// Horizon of the outcomes that it was learnt from, in weeks.
    public var horizon: Double
    /// Log odds where every part is 0.
    public var intercept: Double
    /// Weights of the parts.
    public var weights: Weights
    /// Added to the log odds for the horizon of the risk, which may be longer.
    public var shift: Double
    /// Outcomes that it was learnt from.
    public var outcomes: Int
    /// How many of them were "no purchase".
    public var withoutPurchase: Int

    /// Creates a calibration from its parts.
    ///
    /// - Precondition: the three weights of silence are not negative, the horizon is positive.
    public init(
        horizon: Double,
        intercept: Double,
        weights: Weights,
        shift: Double,
        outcomes: Int,
        withoutPurchase: Int
    ) {
        precondition(horizon > 0, "a horizon is positive")
        precondition(
            weights.logOdds >= 0 && weights.silenceOverGap >= 0 && weights.silence >= 0,
            "silence never lowers a risk"
        )
        self.horizon = horizon
        self.intercept = intercept
        self.weights = weights
        self.shift = shift
        self.outcomes = outcomes
        self.withoutPurchase = withoutPurchase
    }

    /// The parts of the sum, in the order of `Weights`.
    struct Parts {
        var logOdds: Double
        var silenceOverGap: Double
        var silence: Double
        var repeats: Double
        var spent: Double

        /// Chances nearer to 0 or 1 than this are as good as this: a model is not that sure.
        private static let least = 1e-4

        init(_ summary: PurchaseSummary, _ parameters: PurchaseParameters, horizon: Double) {
            let x = summary.repeatPurchases
            let chance = parameters.probabilityNoPurchase(
                x: x,
                recency: summary.recency,
                age: summary.age,
                horizon: horizon
            )
            let bounded = min(max(chance, Self.least), 1 - Self.least)
            let weeks = summary.age - summary.recency
            logOdds = log(bounded / (1 - bounded))
            silenceOverGap =
                x > 0 && summary.recency > 0 ? log1p(weeks * Double(x) / summary.recency) : 0
            silence = weeks * 7 / 30
            repeats = log1p(Double(x))
            spent = log1p(summary.spent)
        }
    }

    /// Log odds of no purchase within the calibration's own horizon, without the shift.
    func logOdds(_ summary: PurchaseSummary, _ parameters: PurchaseParameters) -> Double {
        let parts = Parts(summary, parameters, horizon: horizon)
        return intercept + weights.logOdds * parts.logOdds
            + weights.silenceOverGap * parts.silenceOverGap + weights.silence * parts.silence
            + weights.repeats * parts.repeats + weights.spent * parts.spent
    }

    /// The calibrated chance of no purchase within the horizon of the risk.
    ///
    /// - Parameters:
    ///   - summary: the customer.
    ///   - parameters: the purchase model that the calibration was learnt with.
    /// - Returns: 0 to 1, never falling with age.
    public func risk(_ summary: PurchaseSummary, _ parameters: PurchaseParameters) -> Double {
        1 / (1 + exp(-(logOdds(summary, parameters) + shift)))
    }

    /// The age at which the risk has risen to `level`, if no purchase comes.
    ///
    /// A bracketed root, as the risk never falls with age.
    ///
    /// - Parameters:
    ///   - level: above 0 and below 1.
    ///   - summary: the customer; the age is not read.
    ///   - parameters: the purchase model that the calibration was learnt with.
    /// - Returns: weeks, not before the recency; nil where a century of silence does not do it.
    /// - Complexity: some twenty evaluations of the risk, no allocation.
    public func ageWhenRiskRises(
        to level: Double,
        _ summary: PurchaseSummary,
        _ parameters: PurchaseParameters
    ) -> Double? {
        precondition(0 < level && level < 1, "a chance between 0 and 1")
        var customer = summary
        let goal = log(level / (1 - level)) - shift
        func excess(_ age: Double) -> Double {
            customer.age = age
            return logOdds(customer, parameters) - goal
        }
        var below = summary.recency
        var atBelow = excess(below)
        guard atBelow < 0 else { return below }
        var step = 1.0
        var above = below + step
        var atAbove = excess(above)
        while atAbove < 0 {
            guard step < 5200 else { return nil }
            (below, atBelow) = (above, atAbove)
            step *= 2
            above += step
            atAbove = excess(above)
        }
        guard atAbove.isFinite, atBelow.isFinite else { return nil }
        return RootBracket.root(
            of: excess,
            below: (below, atBelow),
            above: (above, atAbove),
            tolerance: 1e-12 * (1 + above)
        )
    }
}
