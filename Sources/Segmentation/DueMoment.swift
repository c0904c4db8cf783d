import OnlineLearning

/// Due moments: when a customer must be looked at again although nothing happens (DESIGN, section
/// 7).
enum DueMoment {
    /// No moment.
    static let never = Int64.max
    /// 9999-12-31T23:59:59.999Z; what lies behind it is never.
    private static let latest = 253_402_300_799_999.0

    /// The first whole millisecond at or after a moment, `never` where there is none.
    static func ceiling(_ moment: Double) -> Int64 {
        moment <= latest ? Int64(max(-latest, moment).rounded(.up)) : never
    }

    /// The first moment near an estimate at which a condition holds that holds ever after.
    ///
    /// The condition itself decides, so that a timer fires when the decision sees what it waits
    /// for, whatever rounding did to the estimate.
    ///
    /// - Parameters:
    ///   - estimate: within milliseconds of the moment, mostly.
    ///   - floor: nothing before it is of interest.
    ///   - holds: false before the moment and true from then on.
    /// - Returns: the moment, `never` where it is not found within decades of the estimate.
    static func first(
        near estimate: Int64,
        notBefore floor: Int64,
        where holds: (Int64) -> Bool
    ) -> Int64 {
        guard estimate < never - 1 << 40 else { return never }
        var moment = max(floor, estimate)
        var step: Int64 = 1
        if holds(moment) {
            // Back in doubling steps, then forth by halving.
            while moment > floor && holds(max(floor, moment - step)) {
                moment = max(floor, moment - step)
                step *= 2
            }
            guard moment > floor else { return moment }
            return bisect(false: max(floor, moment - step), true: moment, where: holds)
        }
        while !holds(moment + step) {
            moment += step
            step *= 2
            if step > 1 << 40 { return never }
        }
        return bisect(false: moment, true: moment + step, where: holds)
    }

    private static func bisect(
        false low: Int64,
        true high: Int64,
        where holds: (Int64) -> Bool
    ) -> Int64 {
        var (low, high) = (low, high)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if holds(middle) { high = middle } else { low = middle }
        }
        return high
    }
}

extension ChurnRisk {
    /// The risk and the quantile of the gap that lift the band, nil when time alone lifts it no
    /// more.
    private func thresholds(_ standing: Standing) -> (risk: Double, quantile: Double)? {
        guard standing.purchaseDays > 0, standing.spent >= configuration.minimumSpent else {
            return nil
        }
        switch standing.band {
        case .insufficientData, .low:
            return (configuration.raiseMedium, configuration.quantileMedium)
        case .medium where standing.repeats > 0:
            return (configuration.raiseHigh, configuration.quantileHigh)
        default: return nil
        }
    }

    /// A moment after `time` before which the band does not rise: the closed form of the silence
    /// quantile, the end of the cooldown.
    ///
    /// Set on the path of events; whether the risk is high enough by then is asked when it comes.
    /// Where silence is long enough already, only the root tells.
    func earliestRise(
        of standing: Standing,
        after time: Int64,
        _ teller: Teller
    ) -> Int64 {
        guard let (_, quantile) = thresholds(standing) else { return DueMoment.never }
        let gap = teller.parameters.gapQuantile(
            quantile,
            x: standing.repeats,
            recency: standing.recency
        )
        let silent = DueMoment.ceiling(
            Double(standing.lastPurchase) + gap * 7 * Double(DayCalendar.dayMilliseconds) - 2
        )
        guard silent > time else { return nextRise(of: standing, after: time, teller) }
        let start = standing.band < .medium ? standing.cooldownUntil : Int64.min
        return max(silent, start)
    }

    /// The first moment after `time` at which the band rises if nothing happens.
    func nextRise(
        of standing: Standing,
        after time: Int64,
        _ teller: Teller
    ) -> Int64 {
        guard let (level, quantile) = thresholds(standing) else { return DueMoment.never }
        let day = Double(DayCalendar.dayMilliseconds)
        let gap =
            teller.parameters.gapQuantile(
                quantile,
                x: standing.repeats,
                recency: standing.recency
            ) * 7
        func isSilent(_ moment: Int64) -> Bool {
            max(0, Double(moment - standing.lastPurchase) / day) > gap
        }
        func isRisky(_ moment: Int64) -> Bool {
            teller.risk(standing.summary(at: moment)) >= level
        }
        var moment = DueMoment.first(
            near: DueMoment.ceiling(Double(standing.lastPurchase) + gap * day),
            notBefore: time + 1,
            where: isSilent
        )
        if moment < DueMoment.never && !isRisky(moment) {
            guard level < 1,
                let age = teller.ageWhenRiskRises(to: level, standing.summary(at: moment))
            else { return DueMoment.never }
            moment = DueMoment.first(
                near: DueMoment.ceiling(Double(standing.firstPurchase) + age * 7 * day),
                notBefore: moment,
                where: isRisky
            )
        }
        // A raise waits for the end of the cooldown; an escalation never does.
        return standing.band < .medium ? max(moment, standing.cooldownUntil) : moment
    }
}

/// Declared bounds of features that move with time, and when a row crosses them.
struct MovingBounds: Sendable {
    private struct Bound: Sendable {
        var feature: Int
        var form: CompiledSchema.FeatureForm
        /// The bound, and whether values at or above it are outliers, or those at or below it.
        var value: Double
        var isUpper: Bool
    }

    private let schema: CompiledSchema
    private let moving: [Bound]
    private let fixed: [CompiledSchema.CompiledBound]

    init(schema: CompiledSchema) {
        self.schema = schema
        var moving: [Bound] = []
        var fixed: [CompiledSchema.CompiledBound] = []
        for bound in schema.bounds {
            let form = schema.features[bound.feature]
            switch form {
            case .yearsSince, .daysSince, .decayed:
                for (value, isUpper) in [(bound.atLeast, true), (bound.atMost, false)]
                where value.isFinite {
                    moving.append(
                        Bound(feature: bound.feature, form: form, value: value, isUpper: isUpper)
                    )
                }
            default: fixed.append(bound)
            }
        }
        self.moving = moving
        self.fixed = fixed
    }

    /// Whether time alone ever makes or ends an outlier.
    var isEmpty: Bool { moving.isEmpty }

    /// A moment after `time` before which no bound is crossed, in closed form.
    func earliestCrossing(of row: Int, after time: Int64, _ table: CustomerTable) -> Int64 {
        var earliest = DueMoment.never
        for bound in moving {
            let moment = estimate(bound, row, table)
            // Two milliseconds for rounding.
            guard moment < DueMoment.never, moment >= time - 2 else { continue }
            earliest = min(earliest, max(time + 1, moment - 2))
        }
        return earliest
    }

    /// The first moment after `time` at which the row enters or leaves training.
    ///
    /// What the row says, `isOutlier`, need not be what holds at `time`: a timer or a model may
    /// have decided later than that, and then the crossings up to there are over.
    ///
    /// - Parameters:
    ///   - row: the row.
    ///   - isOutlier: what was decided last.
    ///   - time: not before the customer's clock.
    ///   - table: the row's table.
    ///   - evaluator: has read the row.
    /// - Returns: the moment, `never` for none.
    func nextChange(
        of row: Int,
        from isOutlier: Bool,
        after time: Int64,
        _ table: CustomerTable,
        _ evaluator: FeatureEvaluator
    ) -> Int64 {
        guard !moving.isEmpty else { return DueMoment.never }
        for bound in fixed where !evaluator.isMissing[bound.feature] {
            let value = evaluator.stored[bound.feature]
            if value >= bound.atLeast || value <= bound.atMost { return DueMoment.never }
        }
        var moment = time
        if isBeyond(row, at: time, table) != isOutlier {
            repeat {
                moment = nextCrossing(of: row, after: moment, table)
                // Nothing to come makes it true: then it is wrong now.
                if moment == DueMoment.never { return time + 1 }
            } while isBeyond(row, at: moment, table) != isOutlier
        }
        repeat {
            moment = nextCrossing(of: row, after: moment, table)
        } while moment < DueMoment.never && isBeyond(row, at: moment, table) == isOutlier
        return moment
    }

    private func isBeyond(_ row: Int, at time: Int64, _ table: CustomerTable) -> Bool {
        moving.contains { holds($0, row, at: time, table) }
    }

    private func nextCrossing(of row: Int, after time: Int64, _ table: CustomerTable) -> Int64 {
        var next = DueMoment.never
        for bound in moving {
            let near = estimate(bound, row, table)
            guard near < DueMoment.never, near >= time - 2 else { continue }
            for moment in max(time + 1, near - 2)...max(time + 1, near + 2)
            where moment < next
                && holds(bound, row, at: moment, table) != holds(bound, row, at: moment - 1, table)
            {
                next = moment
            }
        }
        return next
    }

    /// Whether a value is beyond its bound; a missing one never is.
    private func holds(
        _ bound: Bound,
        _ row: Int,
        at time: Int64,
        _ table: CustomerTable
    ) -> Bool {
        let value: Double
        switch bound.form {
        case .yearsSince(let slot):
            value = -table.numbers[row, slot] + DayCalendar.decimalYear(of: time)
        case .daysSince(let slot):
            value = -table.numbers[row, slot] + Double(time) / Double(DayCalendar.dayMilliseconds)
        case .decayed(let decay):
            let slot = schema.decays[decay]
            value =
                table.numbers[row, slot.value]
                * Decay.factor(
                    at: time,
                    landmark: table.numbers[row, slot.landmark],
                    halfLife: slot.halfLifeMilliseconds
                )
        default: return false
        }
        return bound.isUpper ? value >= bound.value : value <= bound.value
    }

    /// When a value reaches its bound, to a millisecond.
    private func estimate(_ bound: Bound, _ row: Int, _ table: CustomerTable) -> Int64 {
        let moment: Double
        switch bound.form {
        case .yearsSince(let slot):
            moment = DayCalendar.moment(ofDecimalYear: bound.value + table.numbers[row, slot])
        case .daysSince(let slot):
            moment =
                (bound.value + table.numbers[row, slot]) * Double(DayCalendar.dayMilliseconds)
        case .decayed(let decay):
            let slot = schema.decays[decay]
            moment = Decay.moment(
                when: table.numbers[row, slot.value],
                isWorth: bound.value,
                landmark: table.numbers[row, slot.landmark],
                halfLife: slot.halfLifeMilliseconds
            )
        default: return DueMoment.never
        }
        return moment.isNaN ? DueMoment.never : DueMoment.ceiling(moment)
    }
}

extension DayCalendar {
    /// The moment of a decimal calendar year (UTC), in milliseconds since 1970; not a number where
    /// there is none.
    static func moment(ofDecimalYear value: Double) -> Double {
        guard abs(value) < 10_000 else { return .nan }
        let year = Int64(value.rounded(.down))
        let start = dayNumber(year: year, month: 1, day: 1) * dayMilliseconds
        let end = dayNumber(year: year + 1, month: 1, day: 1) * dayMilliseconds
        return Double(start) + (value - Double(year)) * Double(end - start)
    }
}
