/// Timers: one per row, for its next due moment.
///
/// A due moment is derived, so nothing of it is durable: it follows from the row, the model and the
/// configuration. On the path of events only closed forms are computed, which are never later than
/// the moment itself; when one comes up, the exact moment is found, and the row waits on if that is
/// later. So the rule that a customer's moments are decided in order, each before what comes after
/// it, holds without a root per event.
extension SegmentationCore {
    /// Whether a partition has rows that are due by its clock, or may be.
    public func isDue(_ partition: Int32) -> Bool {
        guard let first = due.first(partition) else { return false }
        return first.moment <= dueLimit(partition)
    }

    /// The clock that due moments go by: where orders are missing, not the partition's.
    private func timerClock(_ partition: Int32) -> Int64 {
        silence.clock(of: Int(partition), partitionClock(partition))
    }

    /// Latest due moment that a partition's clock allows to be decided without an event.
    private func dueLimit(_ partition: Int32) -> Int64 {
        let clock = timerClock(partition)
        guard clock > Int64.min else { return Int64.min }
        return clock - configuration.churn.latenessMilliseconds
    }

    /// Decides the rows of a partition that are due by its clock, soonest first, at their due
    /// moments.
    ///
    /// - Parameters:
    ///   - partition: the partition.
    ///   - limit: rows looked at, at most.
    ///   - ignoresLateness: nothing can come late any more, as at the end of `replay`.
    ///   - context: the moment of the step.
    ///   - output: where records go.
    /// - Returns: rows looked at; fewer than `limit` when nothing is due any more.
    public mutating func decideDue(
        of partition: Int32,
        limit: Int,
        ignoresLateness: Bool = false,
        context: StepContext,
        into output: inout StepOutput
    ) -> Int {
        watchOrders(of: partition)
        let until = ignoresLateness ? timerClock(partition) : dueLimit(partition)
        let decidedBefore = counters.dueMoments
        var looked = 0
        while looked < limit, let (queued, row) = due.first(partition), queued <= until {
            looked += 1
            let moment = table.due(row)
            if moment > queued {
                // Put off since: it waits for its own moment.
                requeue(row, partition, at: moment)
            } else {
                decideDue(row, at: moment, isChange: false, context: context, into: &output)
            }
        }
        if counters.dueMoments > decidedBefore {
            statistics.flush(&table, model: inForce, landmarks: landmarks)
        }
        return looked
    }

    /// Decides what is due before an event of the customer is applied: due moments up to the
    /// event's, and those that the partition's clock has passed by more than the lateness, so that
    /// it makes no difference where batches are cut.
    mutating func decideDue(
        _ row: Int,
        before time: Int64,
        context: StepContext,
        into output: inout StepOutput
    ) {
        let until = max(time, dueLimit(table.partition(row)))
        while true {
            let moment = table.due(row)
            guard moment <= until else { return }
            decideDue(row, at: moment, isChange: true, context: context, into: &output)
        }
    }

    /// Decides a row at its due moment, or finds that the moment is later.
    private mutating func decideDue(
        _ row: Int,
        at moment: Int64,
        isChange: Bool,
        context: StepContext,
        into output: inout StepOutput
    ) {
        evaluator.read(row, of: table, landmarks: landmarks)
        let exact = nextDue(of: row, after: moment - 1)
        guard exact == moment else {
            table.notePostponed(row, from: moment)
            setDue(row, exact)
            return
        }
        counters.dueMoments += 1
        statistics.markChanging(
            row,
            of: &table,
            learner: inForce,
            isChange: isChange
        )
        table.touch(row)
        decide(row, cause: .time, at: moment, context: context, into: &output)
    }

    /// Notes a row's due moment.
    ///
    /// Being put off costs nothing: the queued moment is then too soon, and the row is queued anew
    /// when that comes up.
    mutating func setDue(_ row: Int, _ moment: Int64) {
        let before = table.due(row)
        guard moment != before else { return }
        table.setDue(row, moment)
        if moment < before { due.set(row, table.partition(row), to: moment) }
    }

    /// Puts back what `notePostponed` noted.
    mutating func putBackDue(_ row: Int, _ moment: Int64) {
        table.setDue(row, moment)
        due.set(row, table.partition(row), to: moment)
    }

    private mutating func requeue(_ row: Int, _ partition: Int32, at moment: Int64) {
        if moment == DueMoment.never {
            due.remove(row, partition)
        } else {
            due.set(row, partition, to: moment)
        }
    }

    /// Queues every row again, after a restore.
    mutating func rebuildDue() {
        due.removeAll()
        for row in 0..<table.rowEnd where table.isInUse(row) {
            table.setDue(row, DueMoment.never)
            // A row of another version is about to be scored again, and due by the new one then.
            if let inForce, table.modelVersion(row) != inForce.model.version { continue }
            setDue(row, earliestDue(of: row, after: table.clock(row)))
        }
    }

    /// The customer's next due moment, exactly; nil for none.
    mutating func nextReview(of row: Int) -> Int64? {
        guard table.due(row) < DueMoment.never else { return nil }
        evaluator.read(row, of: table, landmarks: landmarks)
        let moment = nextDue(of: row, after: table.due(row) - 1)
        return moment < DueMoment.never ? moment : nil
    }

    /// A moment after `time` before which nothing is due: closed forms only.
    func earliestDue(of row: Int, after time: Int64) -> Int64 {
        var moment = dwellEnd(of: row, after: time)
        if !movingBounds.isEmpty {
            moment = min(moment, movingBounds.earliestCrossing(of: row, after: time, table))
        }
        if let teller = tellerOfBands {
            let rise = churnRisk.earliestRise(of: standing(of: row), after: time, teller)
            moment = min(moment, rise)
        }
        return moment
    }

    /// The next due moment after `time`; the evaluator has read the row.
    func nextDue(of row: Int, after time: Int64) -> Int64 {
        var moment = dwellEnd(of: row, after: time)
        // Time alone does not bring anybody back from beyond a fence.
        if inForce?.model.isBeyondFence(evaluator) != true {
            moment = min(
                moment,
                movingBounds.nextChange(
                    of: row,
                    from: table.isOutlier(row),
                    after: time,
                    table,
                    evaluator
                )
            )
        }
        if let teller = tellerOfBands {
            let rise = churnRisk.nextRise(of: standing(of: row), after: time, teller)
            moment = min(moment, rise)
        }
        return moment
    }

    /// How the version in force tells risks; nil while there are no bands.
    private var tellerOfBands: ChurnRisk.Teller? {
        guard inForce?.model.churnPending == nil else { return nil }
        return churnRisk.teller(of: inForce)
    }

    private func dwellEnd(of row: Int, after time: Int64) -> Int64 {
        guard table.moveWaits(row) else { return DueMoment.never }
        let end = table.segmentSince(row) + configuration.assignment.minimumDwellMilliseconds
        return max(end, time + 1)
    }

    func standing(of row: Int) -> ChurnRisk.Standing {
        table.standing(of: row, calendar: configuration.calendar)
    }

    /// Moves a partition's clock on to a moment without an event: the wall clock, once the end of
    /// the partition has been reached.
    public mutating func advanceClock(of partition: Int32, to time: Int64) {
        let index = Int(partition)
        while partitionClocks.count <= index { partitionClocks.append(Int64.min) }
        partitionClocks[index] = max(partitionClocks[index], time)
    }
}

extension CustomerTable {
    /// Moment at which a row must be looked at again, or sooner; `DueMoment.never` for none.
    func due(_ row: Int) -> Int64 {
        Int64(bitPattern: words[row, RowWord.due] ^ UInt64(Int64.max))
    }

    mutating func setDue(_ row: Int, _ moment: Int64) {
        words[row, RowWord.due] = UInt64(bitPattern: moment) ^ UInt64(Int64.max)
    }

    /// Remembers a due moment until the transaction ends, unless the row is saved as a whole.
    mutating func notePostponed(_ row: Int, from moment: Int64) {
        guard words[row, RowWord.epoch] & ~Self.writtenBit != transactionEpoch else { return }
        undo.postponed.append((row, moment))
    }

    func moveWaits(_ row: Int) -> Bool {
        words[row, RowWord.decision] >> 40 & RowFlag.moveWaits != 0
    }

    mutating func setMoveWaits(_ row: Int, _ waits: Bool) {
        let bit = RowFlag.moveWaits << 40
        let word = words[row, RowWord.decision]
        words[row, RowWord.decision] = waits ? word | bit : word & ~bit
    }
}
