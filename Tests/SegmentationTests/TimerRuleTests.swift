import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, section 7: what a timer may do beside the decision it is there for.
struct TimerRuleTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start
    private static let hour: Int64 = 3_600_000
    private let context = StepContext(wallMilliseconds: nil, backfill: false)

    private func shop(
        churn: Bool = true,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in },
        model changeModel: (inout SegmentModel) -> Void = { _ in }
    ) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        change(&configuration)
        var model = try DecisionTests.twoSegments(churn: churn)
        changeModel(&model)
        return TestShop(configuration, model: model)
    }

    private func visit(_ shop: TestShop, at time: Int64, key: String = "c") {
        shop.send("{\"type\":\"engagement.visit\",\"time\":\(time)}", key: key)
    }

    /// Six weekly orders, the last on day 35.
    private func weekly(_ shop: TestShop) {
        for week in 0..<6 {
            let time = Self.start + Int64(week) * 7 * Self.day + 5 * Self.hour
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\(time),\"order_id\":\"o\(time)\",\"amount\":10}",
                key: "c"
            )
        }
    }

    /// Somebody nearer to another segment than to theirs, for ten days.
    private func dwelling(_ shop: TestShop) {
        for index in 0..<10 { visit(shop, at: Self.start + Int64(index) * Self.hour) }
    }

    private func dwell(_ configuration: inout SegmentationConfiguration) {
        configuration.assignment.minimumDwellMilliseconds = 10 * Self.day
    }

    // MARK: the end of a dwell

    @Test func aDwellEndsToTheMillisecond() throws {
        for offset in [Int64(-1), 0] {
            let shop = try shop(churn: false, dwell)
            dwelling(shop)
            let row = shop.row("c")
            let end = Self.start + 10 * Self.day
            #expect(shop.core.table.due(row) == end && shop.core.nextReview(of: row) == end)
            visit(shop, at: end + offset)
            #expect(shop.core.table.moveWaits(row) == (offset < 0))
            #expect(shop.core.table.publishedSegment(row) == (offset < 0 ? 7 : 9))
            // One decision at one moment: none is spent on a moment too soon.
            #expect(shop.core.counters.dueMoments == (offset < 0 ? 0 : 1))
        }
    }

    /// A shorter dwell after a restart: what is over is due next, never before what was decided.
    @Test func aDwellThatIsOverIsDueNext() throws {
        let shop = try shop(churn: false, dwell)
        dwelling(shop)
        let row = shop.row("c")
        let end = Self.start + 10 * Self.day
        let table = shop.core.table
        shop.core.evaluator.read(row, of: table, landmarks: shop.core.landmarks)
        #expect(shop.core.nextDue(of: row, after: end - 1) == end)
        #expect(shop.core.nextDue(of: row, after: end) == end + 1)
        #expect(shop.core.nextDue(of: row, after: end + 5 * Self.day) == end + 5 * Self.day + 1)
        #expect(shop.core.earliestDue(of: row, after: end + 5 * Self.day) > end + 5 * Self.day)
    }

    // MARK: transactions

    /// Under another version a row may be due later, or never; an abort brings the old one back,
    /// and its moment with it.
    @Test func anAbortBringsAPostponedMomentBack() throws {
        let shop = try shop()
        weekly(shop)
        let row = shop.row("c")
        shop.core.begin()
        shop.core.commit()
        let due = shop.core.table.due(row)
        #expect(due < DueMoment.never)
        shop.core.begin()
        shop.core.adopt(try DecisionTests.twoSegments(churn: false))
        shop.core.advanceClock(of: 0, to: due + 2 * Self.hour)
        let looked = shop.core.decideDue(
            of: 0,
            limit: 10,
            context: context,
            into: &shop.output
        )
        #expect(looked > 0 && shop.core.table.due(row) == DueMoment.never)
        shop.core.abort()
        #expect(shop.core.table.due(row) == due)
        #expect(shop.dueProblem == nil)
        // It comes up again.
        shop.core.begin()
        visit(shop, at: due + 400 * Self.day, key: "ticker")
        _ = shop.take()
        shop.decideDue()
        #expect(shop.core.counters.dueMoments > 0)
        shop.core.commit()
    }

    @Test func sumsFollowATimerAtOnceAndNobodyHasChanged() throws {
        let shop = try shop(churn: false)
        // Born 1936.5: 90 in the middle of 2026.
        shop.send(
            "{\"type\":\"customer.profile\",\"time\":\(Self.start),\"birth_year\":1936.5}",
            key: "c"
        )
        visit(shop, at: Self.start, key: "other")
        shop.core.begin()
        shop.core.commit()
        shop.core.begin()
        for row in 0..<shop.core.table.rowEnd { shop.core.table.clearChanged(row) }
        let changed = shop.core.statistics.changedCustomers
        let rowChanges = shop.core.rowChanges
        #expect(shop.core.statistics.moments.count == 2)
        shop.core.advanceClock(of: 0, to: Self.start + 200 * Self.day)
        shop.decideDue()
        #expect(shop.core.counters.dueMoments == 1)
        #expect(shop.core.table.isOutlier(shop.row("c")))
        // Within the transaction: a refit in it would learn from who is there.
        #expect(shop.core.statistics.moments.count == 1)
        shop.core.commit()
        #expect(shop.core.statistics.changedCustomers == changed)
        #expect(shop.core.rowChanges == rowChanges)
        // An event is a change.
        shop.core.begin()
        visit(shop, at: Self.start + 200 * Self.day, key: "other")
        shop.core.commit()
        #expect(shop.core.statistics.changedCustomers == changed + 1)
    }

    // MARK: what is not due

    @Test func bandsThatAreHeldBackHaveNoMoments() throws {
        let pending = try shop(model: { $0.churnPending = "history" })
        weekly(pending)
        let row = pending.row("c")
        let table = pending.core.table
        pending.core.evaluator.read(row, of: table, landmarks: pending.core.landmarks)
        let clock = table.clock(row)
        #expect(pending.core.nextDue(of: row, after: clock) == DueMoment.never)
        #expect(pending.core.earliestDue(of: row, after: clock) == DueMoment.never)
        #expect(pending.core.nextReview(of: row) == nil)
        visit(pending, at: clock + 900 * Self.day, key: "ticker")
        pending.decideDue()
        #expect(pending.core.counters.dueMoments == 0)
    }

    /// A customer beyond a bound whose crossing has passed while nobody looked.
    @Test func aCrossingThatIsOverIsNotDueAgain() throws {
        let shop = try shop(churn: false) {
            $0.outliers = [OutlierBound(feature: "recent_spent", atLeast: 80, atMost: 10)]
        }
        shop.send(
            "{\"type\":\"order.placed\",\"time\":\(Self.start),\"order_id\":\"o\",\"amount\":160}",
            key: "c"
        )
        let row = shop.row("c")
        // 160 is below 80 after a half-life of 30 days, and at 10 after four.
        let (within, beyond) = (Self.start + 30 * Self.day + 1, Self.start + 120 * Self.day)
        func next(after time: Int64) -> Int64 {
            let table = shop.core.table
            shop.core.evaluator.read(row, of: table, landmarks: shop.core.landmarks)
            return shop.core.nextDue(of: row, after: time)
        }
        #expect(shop.core.table.isOutlier(row))
        #expect(next(after: Self.start) == within && next(after: within - 1) == within)
        // A timer has decided that they are within, later than the customer's clock says.
        shop.core.table.setOutlier(row, false)
        #expect(next(after: Self.start) == beyond)
        #expect(next(after: within) == beyond && next(after: beyond - 1) == beyond)
        shop.core.table.setOutlier(row, true)
        #expect(next(after: beyond) == DueMoment.never)
        // What the row says is wrong, and nothing to come mends it: now.
        shop.core.table.setOutlier(row, false)
        #expect(next(after: beyond) == beyond + 1)
    }

    // MARK: clocks

    @Test func aClockNeverGoesBack() throws {
        let shop = try shop()
        shop.core.advanceClock(of: 1, to: Self.start + Self.day)
        shop.core.advanceClock(of: 1, to: Self.start)
        #expect(shop.core.partitionClock(1) == Self.start + Self.day)
        #expect(shop.core.partitionClock(0) == Int64.min)
        shop.send(
            "{\"type\":\"engagement.visit\",\"time\":\(Self.start)}",
            key: "c",
            partition: 1
        )
        #expect(shop.core.partitionClock(1) == Self.start + Self.day)
        visit(shop, at: Self.start + 9, key: "d")
        visit(shop, at: Self.start + 3, key: "e")
        #expect(shop.core.partitionClock(0) == Self.start + 9)
    }

    /// At the end of a replay nothing can come late any more.
    @Test func theLastMomentsWaitForNoLateness() throws {
        let shop = try shop(churn: false, dwell)
        dwelling(shop)
        visit(shop, at: Self.start + 10 * Self.day, key: "ticker")
        let isDue = shop.core.isDue(0)
        #expect(!isDue)
        func looked(_ ignoresLateness: Bool) -> Int {
            shop.core.decideDue(
                of: 0,
                limit: 10,
                ignoresLateness: ignoresLateness,
                context: context,
                into: &shop.output
            )
        }
        #expect(looked(false) == 0 && shop.core.table.moveWaits(shop.row("c")))
        #expect(looked(true) > 0 && !shop.core.table.moveWaits(shop.row("c")))
    }
}
