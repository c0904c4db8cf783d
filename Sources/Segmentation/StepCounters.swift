/// What the core has counted since it began; an abort takes the transaction's part back.
public struct StepCounters: Sendable, Equatable {
    /// Records seen.
    public var records = 0
    /// Events that changed a row.
    public var applied = 0
    /// Of these, by type, in the order of `EventType.allCases`.
    public var appliedByType = Array(repeating: 0, count: EventType.allCases.count)
    /// Events known already, or older than what is known.
    public var duplicates = 0
    /// Events of a customer erased after them, dropped.
    public var suppressed = 0
    /// Null values ignored.
    public var ignoredNulls = 0
    /// Reversals of orders that the ledger does not hold.
    public var unmatchedReversals = 0
    /// Customers erased.
    public var erased = 0
    /// Events after `--as-of` in replay.
    public var skipped = 0
    /// Rejections by reason, in the order of `RejectionReason.allCases`.
    public var rejections = Array(repeating: 0, count: RejectionReason.allCases.count)
    /// Records published with type `segment.changed`.
    public var segmentChanged = 0
    /// Records published with type `churn.changed`.
    public var churnChanged = 0
    /// Customers whose segment a new version of the model changed.
    public var relabelled = 0
    /// Due moments decided.
    public var dueMoments = 0
    /// Records published with type `decision.refreshed`.
    public var refreshed = 0
    /// Transitions into each band, in the order of `ChurnBand.allCases`.
    public var bandEntries = Array(repeating: 0, count: ChurnBand.allCases.count)

    /// Refits by reason, in the order of `RefitReason.allCases`.
    public var refits = Array(repeating: 0, count: RefitReason.allCases.count)

    /// Creates zeros.
    public init() {}

    /// Rejections of all reasons.
    public var rejected: Int { rejections.reduce(0, +) }

    /// Events applied, by name of the type.
    public var eventsByType: [String: Int] {
        Dictionary(
            uniqueKeysWithValues: zip(EventType.allCases, appliedByType).map { ($0.rawValue, $1) }
        )
    }

    mutating func count(_ type: EventType) {
        applied += 1
        switch type {
        case .profile: appliedByType[0] += 1
        case .snapshot: appliedByType[1] += 1
        case .orderPlaced: appliedByType[2] += 1
        case .orderReversed: appliedByType[3] += 1
        case .visit: appliedByType[4] += 1
        case .campaign: appliedByType[5] += 1
        case .complaint: appliedByType[6] += 1
        case .erased: appliedByType[7] += 1
        }
    }

    mutating func count(_ reason: RejectionReason) {
        rejections[RejectionReason.allCases.firstIndex(of: reason) ?? 0] += 1
    }
}
