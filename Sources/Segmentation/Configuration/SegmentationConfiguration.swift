/// Everything the pure core is told: what to remember, how to see it, how to learn and to decide.
///
/// `CompiledSchema` turns it into flat tables once at start; `validate()` finds what cannot work.
public struct SegmentationConfiguration: Sendable, Equatable {
    /// What is published.
    public enum Emit: String, Sendable, CaseIterable {
        /// Only records that carry a transition.
        case transitions
        /// Every decision.
        case all
    }

    /// Handling of one-hot levels.
    public enum OneHot: String, Sendable, CaseIterable {
        /// Every level becomes a feature.
        case none
        /// The first level is left out, so that a category does not count twice.
        case first
    }

    /// Before enough customers are known.
    public enum ColdStart: String, Sendable, CaseIterable {
        /// Nothing before the first version, then every known customer once.
        case hold
        /// Segments of an early model, marked provisional.
        case provisional
    }

    /// What a null value in an event topic means.
    public enum NullPolicy: String, Sendable, CaseIterable {
        /// A rejection `null_value`.
        case reject
        /// Nothing.
        case ignore
        /// The customer is erased.
        case erase
    }

    /// The model and its learning.
    public struct Model: Sendable, Equatable {
        /// Number of segments, 2 to 20; nil lets the elbow of the sweep decide.
        public var segments: Int? = 4
        /// Principal components, 1 to 16.
        public var components = 3
        /// Handling of one-hot levels.
        public var oneHot = OneHot.first
        /// Seed of everything random.
        public var seed: UInt64 = 1
        /// Whether the model learns.
        public var learning = true
        /// Row changes between two steps of the centroids, 16 or more.
        public var miniBatch = 1024
        /// Time between refits on the event clock, in milliseconds.
        public var refitIntervalMilliseconds: Int64 = 86_400_000
        /// Share of customers that changed since the last refit and so cause one, 0 to 1.
        public var refitChangedShare = 0.5
        /// Shortest time between refits on the event clock, in milliseconds, unless customers
        /// doubled.
        public var refitMinimumIntervalMilliseconds: Int64 = 6 * 3_600_000
        /// Customers before a first version is published.
        public var minimumCustomers = 500
        /// Before that.
        public var coldStart = ColdStart.hold
        /// Greedy k-means++ starts of a refit, 1 or more.
        public var challengers = 20
        /// Relative fall of inertia that lets a challenger replace the incumbent.
        public var margin = 0.005
        /// Rows that Lloyd iterations run over; more are sampled uniformly.
        public var sample = 20_000
        /// Shortest time between sweeps over K on the event clock, in milliseconds, unless
        /// customers doubled or `replay` ends.
        public var sweepIntervalMilliseconds: Int64 = 7 * 86_400_000
        /// Customers that the sweep runs over; more are sampled uniformly.
        public var silhouetteSample = 5_000
        /// Silence that halves what a customer weighs in training, in milliseconds, 1 day or more;
        /// nil where everybody weighs the same.
        public var forgettingHalfLifeMilliseconds: Int64?
        /// What a new version may change without being asked for.
        public var guardLimits = GuardLimits()

        /// Creates the defaults.
        public init() {}
    }

    /// What a new version may change; above a limit it waits until an operator accepts it.
    public struct GuardLimits: Sendable, Equatable {
        /// Share of customers whose published segment would change, 0 to 1; 1 is no limit.
        public var segmentShare = 0.2
        /// Share of churn bands that would change, 0 to 1; 1 is no limit.
        public var bandShare = 0.2

        /// Creates the defaults.
        public init() {}
    }

    /// From a nearest centroid to a published segment.
    public struct Assignment: Sendable, Equatable {
        /// A customer moves when the new distance is at most (1 - hysteresis) of the present one; 0
        /// to 1.
        public var hysteresis = 0.1
        /// Shortest stay in a segment on the customer clock, in milliseconds.
        public var minimumDwellMilliseconds: Int64 = 0

        /// Creates the defaults.
        public init() {}
    }

    /// Churn model and bands.
    public struct Churn: Sendable, Equatable {
        /// The purchase model, `mbg-nbd`, `bg-nbd` or `nbd`.
        public var model = "mbg-nbd"
        /// Horizon of the risk, in days.
        public var horizonDays: Double = 90
        /// Longest horizon of the outcomes that risks are calibrated on, in milliseconds; nil is
        /// that of the risk.
        public var calibrationHorizonMilliseconds: Int64?
        /// The same in days.
        var calibrationHorizonDays: Double? {
            calibrationHorizonMilliseconds.map { Double($0) / Double(DayCalendar.dayMilliseconds) }
        }
        /// Risk from which the band may be medium, 0 to 1.
        public var raiseMedium = 0.5
        /// Risk from which the band may be high, 0 to 1.
        public var raiseHigh = 0.7
        /// Quantile of the customer's own expected gap that silence must exceed for medium.
        public var quantileMedium = 0.5
        /// Quantile of the customer's own expected gap that silence must exceed for high.
        public var quantileHigh = 0.95
        /// A band is left when risk is this far below its threshold.
        public var clearBy = 0.1
        /// After a raise, the time before a new one, in milliseconds.
        public var cooldownMilliseconds: Int64 = 14 * 86_400_000
        /// How far a partition's clock passes a due moment before its timer fires, in
        /// milliseconds: events may come that late.
        public var latenessMilliseconds: Int64 = 3_600_000
        /// Whether due moments wait while the shop's orders are missing.
        public var silenceGuard = true
        /// Money spent from which a customer is worth an alert, in units of the shop's currency;
        /// the band of others is never above low.
        public var minimumSpent: Double = 0
        /// Repeat buyers before parameters are fit.
        public var minimumRepeatBuyers = 100
        /// Longest history (age of the oldest customer) before there are bands, in days.
        public var minimumHistoryDays: Double = 90

        /// Creates the defaults.
        public init() {}
    }

    /// Limits of what a record may hold.
    public struct Limits: Sendable, Equatable {
        /// Largest amount of money.
        public var amount = 1e7
        /// Largest value of a record, in bytes.
        public var recordBytes = 65_536

        /// Creates the defaults.
        public init() {}
    }

    /// Erasure.
    public struct Privacy: Sendable, Equatable {
        /// What a null value means.
        public var onNull = NullPolicy.reject
        /// How long an erased customer's late events are kept out, in milliseconds.
        public var suppressionMilliseconds: Int64 = 7 * 86_400_000

        /// Creates the defaults.
        public init() {}
    }

    /// Currency of all amounts; amounts in another one are rejected unless a rate is declared.
    public var currency = "EUR"
    /// Units of `currency` per unit of another currency.
    public var currencyRates: [String: Double] = [:]
    /// What is remembered.
    public var slots: [SlotDeclaration] = []
    /// How the model sees it, in this order.
    public var features: [FeatureDeclaration] = []
    /// Who is not learnt from.
    public var outliers: [OutlierBound] = []
    /// Names of segments.
    public var personas: [PersonaDeclaration] = []
    /// What is published.
    public var emit = Emit.transitions
    /// The model and its learning.
    public var model = Model()
    /// From centroid to segment.
    public var assignment = Assignment()
    /// Churn.
    public var churn = Churn()
    /// Orders a row remembers, 1 to 64.
    public var ledgerOrders = 8
    /// Event ids a row remembers, 0 to 64.
    public var ledgerEvents = 8
    /// Limits of a record.
    public var limits = Limits()
    /// Erasure.
    public var privacy = Privacy()
    /// How far an event may lie in the future, in milliseconds; nil switches the check off.
    public var futureToleranceMilliseconds: Int64? = 3_600_000
    /// Days of the calendar.
    public var calendar = DayCalendar.utc
    /// Consumer group, for `ce_source`.
    public var group = "segmentd"

    /// Creates the defaults, with neither slots nor features.
    public init() {}

    /// What cannot work, each with its key and the rule; empty when all is well.
    public func validate() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func require(_ holds: Bool, _ key: String, _ rule: String) {
            if !holds { problems.append(ConfigurationProblem(key: key, rule: rule)) }
        }
        let day: Int64 = 86_400_000
        require(
            (2...20).contains(model.segments ?? 4),
            "model.segments",
            "must be 2 to 20, or auto"
        )
        require((1...16).contains(model.components), "model.components", "must be 1 to 16")
        require(
            (16...1_000_000).contains(model.miniBatch),
            "model.mini_batch",
            "must be 16 to 1000000"
        )
        require(
            (0...1).contains(model.refitChangedShare),
            "model.refit.changed_share",
            "must be 0 to 1"
        )
        require(
            (60_000...3650 * day).contains(model.refitIntervalMilliseconds),
            "model.refit.interval",
            "must be 1m to 3650d"
        )
        require(
            (4...100_000_000).contains(model.minimumCustomers),
            "model.minimum_customers",
            "must be 4 to 100000000"
        )
        require((1...1000).contains(model.challengers), "model.challengers", "must be 1 to 1000")
        require((0...1).contains(model.margin), "model.margin", "must be 0 to 1")
        require(
            (0...1).contains(model.guardLimits.segmentShare),
            "model.guard.segment_share",
            "must be 0 to 1"
        )
        require(
            (0...1).contains(model.guardLimits.bandShare),
            "model.guard.band_share",
            "must be 0 to 1"
        )
        // A refit copies them: 16 components of a million are 128 MB.
        require(
            (100...1_000_000).contains(model.sample),
            "model.sample",
            "must be 100 to 1000000"
        )
        require(
            (1...36_500).contains(
                Double(model.forgettingHalfLifeMilliseconds ?? day) / Double(day)
            ),
            "model.forgetting.half_life",
            "must be 1d to 36500d, or off"
        )
        require(
            (0..<1).contains(assignment.hysteresis),
            "assignment.hysteresis",
            "must be 0 or more and below 1"
        )
        require(
            assignment.minimumDwellMilliseconds >= 0,
            "assignment.minimum_dwell",
            "must not be negative"
        )
        require(
            ["mbg-nbd", "bg-nbd", "nbd"].contains(churn.model),
            "churn.model",
            "must be mbg-nbd, bg-nbd or nbd"
        )
        require(
            (1...3650).contains(churn.horizonDays),
            "churn.horizon_days",
            "must be 1 to 3650"
        )
        require(
            churn.calibrationHorizonDays.map { (1...3650).contains($0) } ?? true,
            "churn.calibration_horizon",
            "must be 1d to 3650d, or horizon"
        )
        require((0...1).contains(churn.raiseMedium), "churn.raise.medium", "must be 0 to 1")
        require((0...1).contains(churn.raiseHigh), "churn.raise.high", "must be 0 to 1")
        require(
            churn.raiseMedium <= churn.raiseHigh,
            "churn.raise.medium",
            "must not be above churn.raise.high"
        )
        require(
            (0..<1).contains(churn.quantileMedium),
            "churn.quantile.medium",
            "must be 0 or more and below 1"
        )
        require(
            (0..<1).contains(churn.quantileHigh),
            "churn.quantile.high",
            "must be 0 or more and below 1"
        )
        require(
            churn.quantileMedium <= churn.quantileHigh,
            "churn.quantile.medium",
            "must not be above churn.quantile.high"
        )
        require((0...1).contains(churn.clearBy), "churn.clear_by", "must be 0 to 1")
        require((0...1e12).contains(churn.minimumSpent), "churn.minimum_spent", "must be 0 to 1e12")
        require(churn.latenessMilliseconds >= 0, "churn.lateness", "must not be negative")
        require((1...64).contains(ledgerOrders), "ledger.orders", "must be 1 to 64")
        require((0...64).contains(ledgerEvents), "ledger.events", "must be 0 to 64")
        require(
            limits.amount > 0 && limits.amount <= 1e12,
            "limits.amount",
            "must be above 0 and at most 1e12"
        )
        require(
            (256...8_388_608).contains(limits.recordBytes),
            "limits.record_bytes",
            "must be 256 to 8388608"
        )
        require(
            Self.isCurrency(currency),
            "shop.currency",
            "must be three capital letters such as EUR"
        )
        for (code, rate) in currencyRates.sorted(by: { $0.key < $1.key }) {
            let key = "shop.rates.\(code)"
            require(rate > 0 && rate <= 1e9, key, "must be above 0 and at most 1e9")
            require(
                Self.isCurrency(code),
                key,
                "is not of a code of three capital letters such as USD"
            )
            require(code != currency, key, "is of the shop's own currency, whose rate is 1")
        }
        return problems + validateDeclarations()
    }

    private static func isCurrency(_ code: String) -> Bool {
        code.utf8.count == 3 && code.allSatisfy { $0.isASCII && $0.isUppercase }
    }
}

/// One thing wrong with a configuration.
public struct ConfigurationProblem: Error, Sendable, Equatable {
    /// The key, nested by dots.
    public var key: String
    /// The rule that it breaks.
    public var rule: String

    /// Creates a problem.
    public init(key: String, rule: String) {
        self.key = key
        self.rule = rule
    }
}
