import OnlineLearning

/// What caused a decision; raw value as in records.
public enum DecisionCause: String, Sendable {
    /// An event of the customer.
    case event
    /// A due moment.
    case time
    /// A new model version.
    case model
}

/// Where a customer stands in their purchases, and what the churn model makes of it.
struct ChurnState: Equatable {
    /// Purchase days; 0 = never bought.
    var purchaseDays = 0
    /// Recency t_x and age T in weeks, since 00:00 of the first purchase day.
    var recency = 0.0
    var age = 0.0
    /// Days since 00:00 of the last purchase day.
    var silenceDays = 0.0
    var probabilityAlive: Double?
    var probabilityNoPurchase: Double?
    /// The published risk: calibrated once there are outcomes to learn from, until then the chance
    /// of no purchase.
    var risk: Double?
    var band = ChurnBand.insufficientData

    /// Repeat purchase days.
    var repeats: Int { max(0, purchaseDays - 1) }
}

/// One complete decision about one customer.
struct Decision {
    var cause = DecisionCause.event
    var effectiveAt: Int64 = 0
    var backfill = false
    /// Centroid indices: published, nearest but the published one; -1 for none.
    var segment = -1
    var runnerUp = -1
    var distance = 0.0
    var margin = 0.0
    var previousSegment = 0
    var hasMoved = false
    var hasEntered = false
    var previousBand = ChurnBand.insufficientData
    var hadRecordBefore = false
    var churn = ChurnState()
    var churnTransition = ChurnTransition.none
    /// The nearest segment is nearer by the margin, but the dwell has not ended.
    var moveWaits = false
    /// When the customer is looked at again although nothing happens.
    var nextReviewAt: Int64?
}

/// What happened to the band; raw value as in records.
enum ChurnTransition: String {
    case none, raised, escalated, eased, cleared
}

/// The churn rule of DESIGN, section 7: band from risk and from silence against the customer's own
/// rhythm.
struct ChurnRisk: Sendable {
    /// What of a row the band depends on.
    struct Standing {
        var purchaseDays: Int
        /// 00:00 of the first and last purchase day; 0 without one.
        var firstPurchase: Int64
        var lastPurchase: Int64
        /// Money spent so far.
        var spent: Double
        var band: ChurnBand
        var cooldownUntil: Int64

        var repeats: Int { max(0, purchaseDays - 1) }
        /// Weeks from the first to the last purchase day.
        var recency: Double {
            max(0, Double(lastPurchase - firstPurchase)) / Double(DayCalendar.dayMilliseconds) / 7
        }

        /// The purchases at a moment.
        func summary(at time: Int64) -> PurchaseSummary {
            PurchaseSummary(
                repeatPurchases: repeats,
                recency: recency,
                age: Double(time - firstPurchase) / Double(DayCalendar.dayMilliseconds) / 7,
                spent: spent
            )
        }
    }

    /// How a version tells risks.
    struct Teller {
        var parameters: PurchaseParameters
        var calibration: RiskCalibration?
        /// Weeks.
        var horizon: Double

        func risk(_ summary: PurchaseSummary) -> Double {
            if let calibration { return calibration.risk(summary, parameters) }
            return parameters.probabilityNoPurchase(
                x: summary.repeatPurchases,
                recency: summary.recency,
                age: summary.age,
                horizon: horizon
            )
        }

        /// Weeks since the first purchase, nil for never; `level` is above 0 and below 1.
        func ageWhenRiskRises(to level: Double, _ summary: PurchaseSummary) -> Double? {
            if let calibration {
                return calibration.ageWhenRiskRises(to: level, summary, parameters)
            }
            return parameters.ageWhenNoPurchaseRises(
                to: level,
                x: summary.repeatPurchases,
                recency: summary.recency,
                horizon: horizon
            )
        }
    }

    /// How a version tells risks; nil while there is no purchase model.
    func teller(of inForce: ModelInForce?) -> Teller? {
        guard let inForce, let parameters = inForce.model.churn else { return nil }
        return Teller(
            parameters: parameters,
            calibration: inForce.model.calibration,
            horizon: configuration.horizonDays / 7
        )
    }

    let configuration: SegmentationConfiguration.Churn

    /// Evaluates a customer at a moment, from 00:00 of their first and last purchase day.
    ///
    /// - Parameters:
    ///   - standing: what the row says.
    ///   - time: the moment, in milliseconds since 1970.
    ///   - model: the version to decide by, nil for none.
    /// - Returns: probabilities and band; unknown without a purchase, or without a purchase model.
    func evaluate(_ standing: Standing, at time: Int64, by model: ModelInForce?) -> ChurnState {
        var state = ChurnState()
        state.purchaseDays = standing.purchaseDays
        guard standing.purchaseDays > 0 else { return state }
        let day = Double(DayCalendar.dayMilliseconds)
        state.recency = standing.recency
        state.age = max(state.recency, Double(time - standing.firstPurchase) / day / 7)
        state.silenceDays = max(0, Double(time - standing.lastPurchase) / day)
        guard let teller = teller(of: model) else { return state }
        let parameters = teller.parameters
        state.probabilityAlive = parameters.probabilityAlive(
            x: state.repeats,
            recency: state.recency,
            age: state.age
        )
        state.probabilityNoPurchase = parameters.probabilityNoPurchase(
            x: state.repeats,
            recency: state.recency,
            age: state.age,
            horizon: teller.horizon
        )
        let risk = teller.risk(standing.summary(at: time))
        state.risk = risk
        guard model?.model.churnPending == nil else { return state }
        state.band = nextBand(
            risk: risk,
            state: state,
            isWorthAnAlert: standing.spent >= configuration.minimumSpent,
            parameters: parameters,
            band: standing.band,
            inCooldown: time < standing.cooldownUntil
        )
        return state
    }

    private func nextBand(
        risk: Double,
        state: ChurnState,
        isWorthAnAlert: Bool,
        parameters: PurchaseParameters,
        band: ChurnBand,
        inCooldown: Bool
    ) -> ChurnBand {
        guard isWorthAnAlert else { return .low }
        func silenceExceeds(_ quantile: Double) -> Bool {
            let gap = parameters.gapQuantile(quantile, x: state.repeats, recency: state.recency)
            return state.silenceDays > gap * 7
        }
        var target = ChurnBand.low
        if risk >= configuration.raiseMedium && silenceExceeds(configuration.quantileMedium) {
            target = .medium
        }
        if state.repeats > 0 && risk >= configuration.raiseHigh
            && silenceExceeds(configuration.quantileHigh)
        {
            target = .high
        }
        // Silence 0 (the day of an order) ends any band; otherwise it is left only well below.
        if state.silenceDays >= 1 {
            if band == .high && target < .high
                && risk > configuration.raiseHigh - configuration.clearBy && state.repeats > 0
            {
                target = .high
            }
            if (band == .medium || band == .high) && target < .medium
                && risk > configuration.raiseMedium - configuration.clearBy
            {
                target = .medium
            }
        }
        let raises = target > .low && band < .medium
        return raises && inCooldown ? max(band, .low) : target
    }
}

extension ChurnBand: Comparable {
    /// Order of alarm: insufficient data, low, medium, high.
    public static func < (a: ChurnBand, b: ChurnBand) -> Bool { a.rawValue < b.rawValue }

    /// What a change to another band is called.
    func transition(to new: ChurnBand) -> ChurnTransition {
        switch (self, new) {
        case (.insufficientData, .medium), (.insufficientData, .high), (.low, .medium),
            (.low, .high):
            .raised
        case (.medium, .high): .escalated
        case (.high, .medium): .eased
        case (.medium, .low), (.high, .low): .cleared
        default: .none
        }
    }
}

extension CustomerTable {
    /// What the band of a row depends on.
    ///
    /// A method of the table and no initializer, which would take the table over: a retain and a
    /// release of all that it holds, for every event.
    func standing(of row: Int, calendar: DayCalendar) -> ChurnRisk.Standing {
        let days = purchaseDays(row)
        return ChurnRisk.Standing(
            purchaseDays: days,
            firstPurchase: days == 0 ? 0 : calendar.start(ofDay: firstPurchaseDay(row)),
            lastPurchase: days == 0 ? 0 : calendar.start(ofDay: lastPurchaseDay(row)),
            spent: totals(of: row).spent,
            band: band(row),
            cooldownUntil: cooldownUntil(row)
        )
    }
}
