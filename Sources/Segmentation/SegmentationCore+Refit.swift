import Kernels
import OnlineLearning

/// A refit that found no model; the one in force stays.
public struct RefitFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted, and the fault of the numerics.
    public var description: String
}

extension SegmentationCore {
    /// Whether anybody is known to learn from, outliers aside.
    public var mayLearn: Bool { learns && statistics.mayTeach }

    /// What asks for a refit now, on the event clock; nil for nothing.
    public var refitReason: RefitReason? {
        guard learns, greatestEventTime > Int64.min, statistics.mayTeach, refitUnderWay == nil
        else { return nil }
        let settings = configuration.model
        if let failedRefitAt, greatestEventTime - failedRefitAt < 3_600_000 { return nil }
        guard let model else { return table.count >= firstModelCustomers ? .first : nil }
        // A version is first brought to every row.
        guard rescoreCursor >= table.rowEnd else { return nil }
        if model.provisional && table.count >= settings.minimumCustomers
            && lastRefitCustomers < settings.minimumCustomers
        {
            return .grown
        }
        if table.count >= 2 * max(1, lastRefitCustomers) { return .doubled }
        let age = greatestEventTime - lastRefitAt
        if age >= settings.refitIntervalMilliseconds { return .interval }
        guard age >= settings.refitMinimumIntervalMilliseconds else { return nil }
        if Double(statistics.changedCustomers)
            >= settings.refitChangedShare * Double(table.count)
        {
            return .changedShare
        }
        return drift.detector.isRisen ? .drift : nil
    }

    /// Customers that a first version needs.
    private var firstModelCustomers: Int {
        let minimum = configuration.model.minimumCustomers
        guard configuration.model.coldStart == .provisional else { return minimum }
        return min(minimum, max(50, 10 * (configuration.model.segments ?? 4)))
    }

    /// Fits a new version to the table and takes it over; rows are scored again by `rescore`.
    ///
    /// Where the guard finds that it would move too many customers, it waits in the shadow instead.
    ///
    /// - Parameters:
    ///   - time: the moment of the refit, event clock, in milliseconds since 1970.
    ///   - isFinal: the last refit of `replay`, which ignores margin and guard and always sweeps.
    ///   - output: where the version's records go.
    /// - Throws: `RefitFailure` when a decomposition or a fit fails; the model in force stays.
    public mutating func refit(
        at time: Int64,
        isFinal: Bool = false,
        into output: inout StepOutput
    ) throws(RefitFailure) {
        let reason = isFinal ? .final : refitReason ?? .asked
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        let fences = OutlierFence.fitted(to: table, schema: schema, landmarks: landmarks)
        refreshOutliers(at: time, fences: fences)
        let plan = refitPlan(at: time, reason: reason, decisions: decisions)
        statistics.forgetChanges(in: &table)
        statistics.beginRebuild(centres: plan.centres)
        statistics.rebuildSlice(of: table, limit: .max, model: inForce, landmarks: landmarks)
        table.compactBlocks()
        var trails = PurchaseTrails()
        trails.append(
            0..<table.rowEnd,
            of: table,
            block: &block,
            calendar: configuration.calendar
        )
        guard
            let result = plan.fit(table, trails, statistics, fences: fences, begins: { _ in true })
        else { preconditionFailure("nothing told the refit to end") }
        if !result.comesIntoForce { exchangeFences(fences, for: model?.fences ?? [], at: time) }
        try take(result, into: &output)
    }

    /// What a refit starts from now.
    func refitPlan(at time: Int64, reason: RefitReason, decisions: Int) -> RefitPlan {
        RefitPlan(
            configuration: configuration,
            schema: schema,
            previous: model,
            version: versions.highest + 1,
            nextSegmentID: versions.nextSegmentID,
            landmarks: landmarks,
            centres: statistics.nearbyCentres(),
            time: time,
            isFinal: reason == .final,
            isGuardArmed: versions.isGuardArmed,
            reason: reason,
            decisions: decisions
        )
    }

    /// Takes over what a refit has found.
    mutating func take(
        _ result: RefitResult,
        into output: inout StepOutput
    ) throws(RefitFailure) {
        switch result.outcome {
        case .failure(let failure):
            failedRefitAt = greatestEventTime
            throw failure
        case .success(var candidate):
            counters.count(result.plan.reason)
            // Steps taken meanwhile count on.
            candidate.model.step = max(candidate.model.step, model?.step ?? 0)
            take(candidate, into: &output)
        }
    }

    /// Whether rows wait for their score by the present version.
    public var isRescoring: Bool { model != nil && rescoreCursor < table.rowEnd }

    /// Scores the next rows by the present version and publishes what changes, cause `model`.
    ///
    /// - Parameters:
    ///   - limit: rows looked at, at most.
    ///   - context: the moment of the slice.
    ///   - output: where records go.
    public mutating func rescore(limit: Int, context: StepContext, into output: inout StepOutput) {
        guard let version = model?.version, rescoreCursor < table.rowEnd else { return }
        let end = min(table.rowEnd, rescoreCursor + limit)
        for row in rescoreCursor..<end where table.isInUse(row) {
            if table.modelVersion(row) == version { continue }
            statistics.markChanging(
                row,
                of: &table,
                learner: inForce,
                isChange: false
            )
            table.touch(row)
            let clock = table.clock(row)
            let time = max(clock, partitionClock(table.partition(row)))
            decide(row, cause: .model, at: time, context: context, into: &output)
        }
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        rescoreCursor = end == table.rowEnd ? Int.max : end
        if !isRescoring { measureStability() }
    }

    /// Imputation before there is a model: a missing value is beyond no bound.
    var noImputation: [Double] { Array(repeating: 0, count: schema.featureCount) }
}
