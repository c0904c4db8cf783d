/// Refits beside the hot path.
///
/// ```
///      prepareRefit, slice by slice          receive             finishRefit
/// none ----------------------------> running --------> finished ------------> none
///   ^         a decision meanwhile: dropped  |                    ^   abort: |
///   +----------------------------------------+                    +----------+
/// ```
///
/// Rows are copied between transactions, so a copy never holds what an abort takes back. Each is
/// copied as it is when its slice comes; what changes afterwards counts for the next refit, and
/// gets its segment by the new version as everybody does, from `rescore`.
extension SegmentationCore {
    /// Whether a refit has begun whose result has not been taken over.
    public var isRefitUnderWay: Bool { refitUnderWay != nil }

    /// Whether rows are still to be copied.
    public var isPreparingRefit: Bool { refitUnderWay.map { !$0.isHandedOut } ?? false }

    /// Whether a result waits for `finishRefit`.
    public var isRefitFinished: Bool { refitUnderWay?.result != nil }

    /// Begins a refit where one is due, or goes on with one: copies the next rows.
    ///
    /// - Parameter limit: rows copied, at most.
    /// - Returns: the job, once everything has been copied; hand what it finds to `receive`.
    /// - Precondition: no transaction is open.
    /// - Complexity: O(limit); memory of a job is that of rows without their blocks.
    public mutating func prepareRefit(limit: Int) -> RefitJob? {
        precondition(saved == nil, "commit or abort first")
        if refitUnderWay == nil {
            guard let reason = refitReason else { return nil }
            refitUnderWay = RefitUnderWay(
                reason: reason,
                decisions: decisions,
                rows: CustomerTable(schema: schema)
            )
        }
        guard let begun = refitUnderWay?.decisions, isPreparingRefit else { return nil }
        guard learns, begun == decisions else {
            dropRefit()
            return nil
        }
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        copyRows(limit: limit)
        guard let progress = refitUnderWay, progress.cursor >= table.rowEnd else { return nil }
        refitUnderWay?.rows = CustomerTable(schema: schema)
        refitUnderWay?.trails = PurchaseTrails()
        refitUnderWay?.isHandedOut = true
        let plan = refitPlan(at: greatestEventTime, reason: progress.reason, decisions: decisions)
        statistics.beginRebuild(centres: plan.centres)
        table.beginCompaction()
        return RefitJob(plan: plan, rows: progress.rows, trails: progress.trails)
    }

    private mutating func copyRows(limit: Int) {
        guard let start = refitUnderWay?.cursor else { return }
        let end = min(table.rowEnd, start + limit)
        refitUnderWay?.rows.appendRows(start..<end, of: table)
        refitUnderWay?.trails.append(
            start..<end,
            of: table,
            block: &block,
            calendar: configuration.calendar
        )
        var noted = 0
        for row in start..<end where table.isInUse(row) && table.takeChanged(row) { noted += 1 }
        statistics.addChangedCustomers(-noted, of: table.count)
        refitUnderWay?.notedChanges += noted
        refitUnderWay?.cursor = end
    }

    /// Takes what a job has found in, for `finishRefit`.
    public mutating func receive(_ result: RefitResult) {
        guard refitUnderWay?.isHandedOut == true else { return }
        refitUnderWay?.result = result
    }

    /// Takes the version over that a refit has found, in the open transaction; an abort puts the
    /// result back.
    ///
    /// - Parameter output: where the version's records go.
    /// - Returns: false when the result is dropped, because somebody has decided about versions, or
    ///   partitions have come or gone, since the refit began.
    /// - Throws: `RefitFailure` when a decomposition or a fit failed; the model in force stays.
    public mutating func finishRefit(into output: inout StepOutput) throws(RefitFailure) -> Bool {
        precondition(saved != nil, "no transaction is open")
        guard let progress = refitUnderWay, let result = progress.result else { return false }
        guard learns, progress.decisions == decisions else {
            saved?.takenRefit = progress
            dropRefit()
            return false
        }
        saved?.takenRefit = progress
        refitUnderWay = nil
        // What the open transaction has changed leaves the segments that it was in.
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        try take(result, into: &output)
        return true
    }

    /// Forgets a refit that has come to nothing; the changes it has noted count again.
    private mutating func dropRefit() {
        // A customer who has changed again meanwhile is counted twice, which only brings the next
        // refit sooner.
        statistics.addChangedCustomers(refitUnderWay?.notedChanges ?? 0, of: table.count)
        refitUnderWay = nil
    }
}
