/// What is remembered of each customer under one name, and how events feed it.
///
/// Slots fed by events that add (orders, visits, campaigns, complaints) start at 0; slots that a
/// profile or a snapshot sets are unknown until then.
public struct SlotDeclaration: Sendable, Equatable {
    /// How events move the slot.
    public enum Source: Sendable, Equatable {
        /// Set by a field of `customer.profile`; the newest event time wins.
        case profile(field: String)
        /// Amounts of orders in force; of one category, or of all where nil. `other` is what no
        /// declared category holds.
        case orderAmount(category: String?)
        /// Orders in force; of one channel where given, with or without a discount where given.
        case orderCount(channel: String?, discount: Bool?)
        /// `engagement.visit` events.
        case visits
        /// `engagement.campaign` events; only (un)accepted ones where given.
        case campaigns(accepted: Bool?)
        /// `engagement.complaint` events.
        case complaints
        /// Day of the last purchase in force.
        case lastPurchase
        /// Nothing but snapshots.
        case snapshotOnly
    }

    /// What values mean.
    public enum Kind: Sendable, Equatable {
        /// A number.
        case number
        /// A moment: a date or time in events, days since 1970 in the row.
        case moment
        /// One of declared groups of names; a name in none of them, or none yet, is the default
        /// group.
        case category(groups: [CategoryGroup], defaultGroup: String)
    }

    /// A group of category names that the model sees as one level.
    public struct CategoryGroup: Sendable, Equatable {
        /// Name of the level.
        public var name: String
        /// Names in events that belong to it; its own name always does.
        public var members: [String]

        /// Creates a group.
        public init(name: String, members: [String]) {
            self.name = name
            self.members = members
        }
    }

    /// Unique name.
    public var name: String
    /// What values mean.
    public var kind: Kind
    /// How events move it.
    public var source: Source
    /// Column of `customer.snapshot` that sets it, nil for none.
    public var snapshotField: String?
    /// The snapshot column holds days before the snapshot's time rather than a moment.
    public var snapshotIsDaysAgo: Bool
    /// Forward decay with this half-life in days; nil for plain counting.
    public var halfLifeDays: Double?

    /// Creates a declaration.
    public init(
        name: String,
        kind: Kind = .number,
        source: Source,
        snapshotField: String? = nil,
        snapshotIsDaysAgo: Bool = false,
        halfLifeDays: Double? = nil
    ) {
        self.name = name
        self.kind = kind
        self.source = source
        self.snapshotField = snapshotField
        self.snapshotIsDaysAgo = snapshotIsDaysAgo
        self.halfLifeDays = halfLifeDays
    }
}

/// How the model sees the slots.
public struct FeatureDeclaration: Sendable, Equatable {
    /// What the value is made of.
    public enum Form: Sendable, Equatable {
        /// The slot itself; a decayed slot decays to the moment of evaluation.
        case slot(String)
        /// Natural logarithm of 1 + slot; not for slots that move with time.
        case log1p(String)
        /// Sum of slots; missing where one of them is.
        case sum([String])
        /// Decimal calendar years since the year in the slot.
        case yearsSince(String)
        /// Days since the moment in the slot.
        case daysSince(String)
        /// One 0/1 feature per group of a category slot, named `<name>_<group>`.
        case oneHot(String)
    }

    /// Unique name.
    public var name: String
    /// What the value is made of.
    public var form: Form

    /// Creates a declaration.
    public init(name: String, form: Form) {
        self.name = name
        self.form = form
    }
}

/// Customers beyond a bound are scored, but not learnt from.
public struct OutlierBound: Sendable, Equatable {
    /// Name of the feature; an imputed value is never an outlier.
    public var feature: String
    /// Outlier when the value is this or more.
    public var atLeast: Double?
    /// Outlier when the value is this or less.
    public var atMost: Double?
    /// Interquartile ranges between the quartiles and the fences of a version, nil for no fences;
    /// not for features that move with time.
    public var fence: Double?

    /// Creates a bound.
    public init(
        feature: String,
        atLeast: Double? = nil,
        atMost: Double? = nil,
        fence: Double? = nil
    ) {
        self.fence = fence
        self.feature = feature
        self.atLeast = atLeast
        self.atMost = atMost
    }
}

/// A name for segments that look a certain way, with what to do about them.
public struct PersonaDeclaration: Sendable, Equatable {
    /// Stable machine key, for example `high-value-loyalists`.
    public var key: String
    /// Name for people.
    public var name: String
    /// What marketing does with the segment.
    public var strategy: String
    /// Weight of each feature's deviation from the mean (in standard deviations): a segment fits
    /// the better the higher the weighted sum over its centroid.
    public var weights: [String: Double]

    /// Creates a persona.
    public init(key: String, name: String, strategy: String, weights: [String: Double]) {
        self.key = key
        self.name = name
        self.strategy = strategy
        self.weights = weights
    }
}
