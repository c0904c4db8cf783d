import OnlineLearning

/// A pass over all rows that adds up which orders the version in force expects of them.
struct ExpectationPass: Sendable {
    var sum: SilenceGuard.Expectation
    /// Rows below it are in the sum.
    var cursor = 0
}

/// What the silence guard is told: orders as they come, and how many the purchase model expects.
///
/// The expectation is made anew by every version and once a day of events, as a slice of
/// maintenance.
extension SegmentationCore {
    /// Why due moments wait for orders, in words; nil while they do not.
    public var silenceReason: String? { silence.reason }

    /// Looks whether the orders of a partition come as they should; due moments wait where they
    /// do not.
    ///
    /// Once a turn of the loop: the clock alone can make silence strange.
    public mutating func watchOrders(of partition: Int32) {
        guard let inForce, inForce.model.churn != nil, inForce.model.churnPending == nil else {
            silence.open(Int(partition))
            return
        }
        silence.look(at: Int(partition), clock: partitionClock(partition))
    }

    /// Notes an order that has just been applied.
    mutating func noteOrder(at time: Int64, of row: Int, partition: Int32) {
        let segment = inForce?.model.index(ofSegment: table.membership(row)) ?? -1
        silence.note(orderAt: time, segment: segment, partition: Int(partition))
        // Those of later rows are found in their ledgers.
        if let cursor = expectationPass?.cursor, row < cursor {
            expectationPass?.sum.add(orderAt: time, segment: segment)
        }
    }

    /// Whether the expectation is of another version, or of yesterday.
    var isExpectationDue: Bool {
        guard expectationPass == nil, !isRescoring, let inForce else { return false }
        if inForce.model.version != expectedVersion { return true }
        // Before the first event there was nobody to expect anything of.
        guard expectedAt > Int64.min else { return greatestEventTime > expectedAt }
        return greatestEventTime - expectedAt >= DayCalendar.dayMilliseconds
    }

    /// Begins a pass.
    mutating func beginExpectation() {
        guard let inForce else { return }
        expectedVersion = inForce.model.version
        expectedAt = greatestEventTime
        expectationPass = ExpectationPass(
            sum: SilenceGuard.Expectation(segments: inForce.model.segments.count)
        )
    }

    /// Goes on with a pass.
    ///
    /// - Parameter limit: rows looked at, at most.
    mutating func expect(limit: Int) {
        guard let start = expectationPass?.cursor else { return }
        let end = limit < table.rowEnd - start ? start + limit : table.rowEnd
        for row in start..<end where table.isInUse(row) && table.purchaseDays(row) > 0 {
            block.load(row, of: table)
            expectOrders(of: row)
        }
        endSlice(at: end)
    }

    private mutating func endSlice(at end: Int) {
        expectationPass?.cursor = end
        guard end == table.rowEnd, let pass = expectationPass else { return }
        silence.take(pass.sum)
        expectationPass = nil
    }

    /// Adds a row whose block is loaded.
    private mutating func expectOrders(of row: Int) {
        guard let inForce else { return }
        let segment = inForce.model.index(ofSegment: table.membership(row))
        block.forEachOrderTime { expectationPass?.sum.add(orderAt: $0, segment: segment) }
        guard let parameters = inForce.model.churn else { return }
        let partition = table.partition(row)
        let now = max(table.clock(row), partitionClock(partition))
        let purchases = standing(of: row).summary(at: now)
        let rate = parameters.ratePerWeek(
            x: purchases.repeatPurchases,
            recency: purchases.recency,
            age: purchases.age
        )
        expectationPass?.sum.add(rate: rate / 7, segment: segment, partition: Int(partition))
    }

    /// Notes the orders that restored rows remember, and what is expected of them.
    mutating func restoreExpectation() {
        silence.forgetPartitions()
        beginExpectation()
        for row in 0..<table.rowEnd where table.isInUse(row) && table.purchaseDays(row) > 0 {
            block.load(row, of: table)
            let partition = Int(table.partition(row))
            block.forEachOrderTime {
                silence.note(orderAt: $0, segment: -1, partition: partition)
            }
            expectOrders(of: row)
        }
        endSlice(at: table.rowEnd)
    }
}
