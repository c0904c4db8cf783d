import OnlineLearning

/// Why a refit comes.
public enum RefitReason: String, Sendable, CaseIterable {
    /// There is no version yet.
    case first
    /// The version in force was made of fewer customers than `model.minimum_customers`.
    case grown
    /// There are twice as many customers as at the last refit.
    case doubled
    /// `model.refit.interval` has passed.
    case interval
    /// `model.refit.changed_share` of the customers have changed.
    case changedShare = "changed_share"
    /// The quantisation error has risen.
    case drift
    /// The end of a replay.
    case final
    /// Somebody asked for it.
    case asked
}

extension SegmentationCore {
    /// Whether enough has changed for a refit, on the event clock.
    public var isRefitDue: Bool { refitReason != nil }

    /// Mean quantisation error of the last step in units of that in training, nil before the first
    /// step of a version.
    public var quantisationError: Double? { drift.last }

    /// How near the quantisation error is to count as risen; 1 and above asks for a refit.
    public var quantisationDrift: Double { drift.detector.level }

    /// Hands the distances since the last step to the detector.
    mutating func completeDriftStep() {
        guard let model else { return }
        drift.completeStep(
            inertiaPerCustomer: model.inertia / Double(max(1, model.trainingCustomers))
        )
    }
}

extension StepCounters {
    /// Refits by name of their reason.
    public var refitsByReason: [String: Int] {
        Dictionary(
            uniqueKeysWithValues: zip(RefitReason.allCases, refits).map { ($0.rawValue, $1) }
        )
    }

    mutating func count(_ reason: RefitReason) {
        refits[RefitReason.allCases.firstIndex(of: reason) ?? 0] += 1
    }
}
