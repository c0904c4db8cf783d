import Kernels
import OnlineLearning

/// Where a refit is, said when it gets there.
public enum RefitStage: Sendable, CaseIterable {
    /// Moments and medians from the rows.
    case statistics
    /// Scaler, basis, and the scores of all rows by it.
    case basis
    /// Inertia and silhouette for each number of segments.
    case sweep
    /// Greedy k-means++ starts against the centroids in force.
    case challengers
    /// Members and means over all rows, identity, names.
    case members
    /// Parameters of the purchase model.
    case churn
    /// What the version would change.
    case verdict
}

/// What a refit starts from beside the rows: the same plan and rows give the same version.
struct RefitPlan: Sendable {
    let configuration: SegmentationConfiguration
    let schema: CompiledSchema
    let previous: SegmentModel?
    /// Number of the new version, above all that were ever given.
    let version: Int
    /// First segment id that may be given, above all that ever were.
    let nextSegmentID: Int
    let landmarks: [Double]
    /// `[d]`, stored units: what the moments of the version are kept about.
    let centres: [Double]
    /// The moment of the refit, event clock, in milliseconds since 1970.
    let time: Int64
    let isFinal: Bool
    let isGuardArmed: Bool
    let reason: RefitReason
    /// Decisions about versions by then: one more, and the result is of no use.
    let decisions: Int

    /// Fits a version to rows and judges it.
    ///
    /// - Parameters:
    ///   - table: the rows; no blocks are read.
    ///   - trails: purchases of some of them.
    ///   - statistics: of these rows.
    ///   - fences: beyond which rows have been left out.
    ///   - begins: told every stage; false ends the refit.
    /// - Returns: nil when it was told to end.
    func fit(
        _ table: CustomerTable,
        _ trails: PurchaseTrails,
        _ statistics: PopulationStatistics,
        fences: [OutlierFence],
        begins: @escaping (RefitStage) -> Bool
    ) -> RefitResult? {
        guard statistics.sums.rowCount > 0 else { return failure("nobody to learn from") }
        var trainer = ModelTrainer(self, begins: begins)
        var fitted: SegmentModel
        do throws(NumericError) {
            guard
                let model = try trainer.fit(table: table, trails: trails, statistics: statistics)
            else { return nil }
            fitted = model
        } catch {
            return failure("\(error)")
        }
        fitted.fences = fences
        var candidate = ModelCandidate(model: fitted)
        if let previous, !isFinal {
            guard begins(.verdict) else { return nil }
            candidate.model.verdict = ModelGuard.judge(
                fitted,
                against: previous,
                table: table,
                landmarks: landmarks,
                time: time,
                configuration: configuration,
                schema: schema,
                isArmed: isGuardArmed
            )
        }
        return RefitResult(plan: self, outcome: .success(candidate))
    }

    private func failure(_ words: String) -> RefitResult {
        let failure = RefitFailure(description: "fit version \(version): \(words)")
        return RefitResult(plan: self, outcome: .failure(failure))
    }
}

/// A refit that runs on any thread while the table goes on changing: it has copies of all it needs.
public struct RefitJob: Sendable {
    let plan: RefitPlan
    /// Rows without blocks; each as it was when its slice was copied.
    var rows: CustomerTable
    /// Purchases of some of them.
    var trails: PurchaseTrails

    /// Bytes of memory that the copies take.
    public var memoryBytes: Int { rows.memoryBytes }

    /// Does the work.
    ///
    /// - Parameter begins: told every stage, on this thread; false ends the job there.
    /// - Returns: nil when it was told to end.
    public consuming func run(
        begins: @escaping (RefitStage) -> Bool = { _ in true }
    ) -> RefitResult? {
        guard begins(.statistics) else { return nil }
        let fences = OutlierFence.fitted(
            to: rows,
            schema: plan.schema,
            landmarks: plan.landmarks
        )
        refreshOutliers(fences)
        var statistics = PopulationStatistics(schema: plan.schema)
        statistics.make(
            from: rows,
            centres: plan.centres,
            model: nil,
            landmarks: plan.landmarks
        )
        return plan.fit(rows, trails, statistics, fences: fences, begins: begins)
    }

    /// Takes the outlier decision of every copied row at the moment of the refit; the rows
    /// themselves get theirs when they are scored.
    private mutating func refreshOutliers(_ fences: [OutlierFence]) {
        guard !plan.schema.bounds.isEmpty || !fences.isEmpty else { return }
        var bounds = SegmentModel()
        bounds.fences = fences
        var evaluator = FeatureEvaluator(schema: plan.schema)
        // Before there are medians, a missing value is beyond no bound.
        let noImputation = Array(repeating: 0.0, count: plan.schema.featureCount)
        for row in 0..<rows.rowEnd where rows.isInUse(row) {
            evaluator.read(row, of: rows, landmarks: plan.landmarks)
            evaluator.evaluate(at: plan.time, imputation: noImputation)
            let isOutlier = evaluator.isOutlier || bounds.isBeyondFence(evaluator)
            // Hardly any changes, and a write may copy the page.
            if isOutlier != rows.isOutlier(row) { rows.setOutlier(row, isOutlier) }
        }
    }
}

/// What a refit has found, for `SegmentationCore.receive`.
public struct RefitResult: Sendable {
    let plan: RefitPlan
    let outcome: Result<ModelCandidate, RefitFailure>

    /// Whether there is a version, and the guard does not hold it.
    var comesIntoForce: Bool {
        if case .success(let candidate) = outcome { !candidate.isHeld } else { false }
    }
}

/// A refit beside the hot path, from its first slice of copied rows until its result is taken over.
struct RefitUnderWay: Sendable {
    let reason: RefitReason
    let decisions: Int
    /// Rows copied so far; empty once the job has been handed out.
    var rows: CustomerTable
    var trails = PurchaseTrails()
    var cursor = 0
    /// Customers whose change since the last refit it has taken note of.
    var notedChanges = 0
    var isHandedOut = false
    var result: RefitResult?
}
