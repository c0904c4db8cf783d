import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, section 7: where orders are missing, no customer is blamed.
@Suite struct SilenceGuardTests {
    private static let day = TestConfiguration.day
    private static let hour: Int64 = 3_600_000
    private static let start = TestConfiguration.start

    /// A guard that expects 48 orders a day in partition 0 and 24 in partition 1, of two segments.
    private func shop(
        partitions: [Double] = [48, 24],
        segments: [Double] = [48, 24]
    ) -> SilenceGuard {
        var guardian = SilenceGuard(configuration: SegmentationConfiguration.Churn())
        var expectation = SilenceGuard.Expectation(segments: segments.count)
        for (segment, rate) in segments.enumerated() {
            expectation.add(rate: rate, segment: segment, partition: segment)
        }
        expectation.partitions = partitions
        guardian.take(expectation)
        return guardian
    }

    /// Orders at their expected pace from a moment to another.
    private func order(
        _ guardian: inout SilenceGuard,
        from start: Int64,
        to end: Int64,
        partitions: [(Int, Int64)] = [(0, 30), (1, 60)]
    ) {
        for (partition, minutes) in partitions {
            for time in stride(from: start, through: end, by: Int(minutes * 60_000)) {
                guardian.note(orderAt: time, segment: partition, partition: partition)
            }
        }
    }

    @Test func nothingWaitsWhileOrdersCome() {
        var guardian = shop()
        for step in 0..<200 as Range<Int64> {
            let now = Self.start + step * Self.hour
            order(&guardian, from: now, to: now + Self.hour - 1)
            for partition in 0...1 {
                guardian.look(at: partition, clock: now + Self.hour)
                #expect(guardian.clock(of: partition, now + Self.hour) == now + Self.hour)
            }
        }
        #expect(guardian.reason == nil && guardian.holding == 0)
    }

    @Test func afterSevenMissingOrdersTimersGoByTheNewestOne() {
        var guardian = shop()
        order(&guardian, from: Self.start, to: Self.start + 2 * Self.day)
        let newest = Self.start + 2 * Self.day
        // 72 a day: seven of them take 140 minutes.
        guardian.look(at: 0, clock: newest + 139 * 60_000)
        #expect(guardian.holding == 0)
        guardian.look(at: 0, clock: newest + 141 * 60_000)
        #expect(guardian.clock(of: 0, newest + 141 * 60_000) == newest)
        #expect(guardian.reason?.contains("no order since 2026-01-03T00:00:00.000Z") == true)
        #expect(guardian.reason?.contains("72 a day") == true)
        // Two days later the feed is back, with what has waited first.
        let back = newest + 2 * Self.day
        guardian.look(at: 0, clock: back)
        for waited in stride(from: newest + Self.hour, to: back, by: Int(Self.hour)) {
            guardian.note(orderAt: waited, segment: 0, partition: 0)
            guardian.look(at: 0, clock: back)
            #expect(guardian.clock(of: 0, back) == waited)
        }
        order(&guardian, from: back, to: back + 6 * Self.hour)
        guardian.look(at: 0, clock: back + 6 * Self.hour)
        #expect(guardian.holding == 0)
    }

    @Test func aPartitionWaitsAlone() {
        var guardian = shop()
        order(&guardian, from: Self.start, to: Self.start + Self.day)
        order(
            &guardian,
            from: Self.start + Self.day,
            to: Self.start + 2 * Self.day,
            partitions: [(0, 30)]
        )
        let now = Self.start + 2 * Self.day
        guardian.look(at: 0, clock: now)
        guardian.look(at: 1, clock: now)
        #expect(guardian.clock(of: 0, now) == now)
        #expect(guardian.clock(of: 1, now) == Self.start + Self.day)
    }

    @Test func aPartitionWithoutOrdersOfItsOwnIsLetGoAfterTheLateness() {
        // Nothing is expected of partition 1 within weeks.
        var guardian = shop(partitions: [72, 0.01])
        guardian.note(orderAt: Self.start, segment: 1, partition: 1)
        order(&guardian, from: Self.start, to: Self.start + Self.day, partitions: [(0, 20)])
        let silent = Self.start + 2 * Self.day
        guardian.look(at: 1, clock: silent)
        #expect(guardian.clock(of: 1, silent) == Self.start)
        order(&guardian, from: silent, to: silent + 3 * Self.hour, partitions: [(0, 20)])
        guardian.look(at: 1, clock: silent + Self.hour)
        #expect(guardian.clock(of: 1, silent + Self.hour) == Self.start)
        guardian.look(at: 1, clock: silent + 2 * Self.hour - 1)
        #expect(guardian.clock(of: 1, silent + 2 * Self.hour) == Self.start)
        guardian.look(at: 1, clock: silent + 2 * Self.hour)
        #expect(guardian.clock(of: 1, silent + 2 * Self.hour) == silent + 2 * Self.hour)
    }

    @Test(arguments: [false, true])
    func fewOrdersInEverySegmentStopAllTimers(oneSegmentIsWell: Bool) {
        var guardian = shop(partitions: [48, 6], segments: [48, 6])
        order(
            &guardian,
            from: Self.start,
            to: Self.start + Self.day,
            partitions: [(0, 30), (1, 240)]
        )
        // One or two a day still come, or all of the smaller segment: in all, less than a fifth.
        let now = Self.start + 3 * Self.day
        order(
            &guardian,
            from: Self.start + Self.day + 1,
            to: now,
            partitions: [(0, 700), (1, oneSegmentIsWell ? 240 : 1440)]
        )
        // Not a moment of silence, whatever the pace.
        guardian.note(orderAt: now, segment: 0, partition: 0)
        guardian.look(at: 0, clock: now)
        #expect(guardian.clock(of: 0, now) == (oneSegmentIsWell ? now : Int64.min))
        #expect((guardian.reason?.contains("fewer than a fifth") == true) == !oneSegmentIsWell)
        // Back to normal for most of a day.
        order(&guardian, from: now, to: now + 8 * Self.hour)
        guardian.look(at: 0, clock: now + 8 * Self.hour)
        #expect(guardian.clock(of: 0, now + 8 * Self.hour) == now + 8 * Self.hour)
    }

    @Test func aSmallShopIsNeverThin() {
        var guardian = shop(partitions: [20, 10], segments: [20, 10])
        order(&guardian, from: Self.start, to: Self.start + Self.day)
        let now = Self.start + 3 * Self.day
        order(
            &guardian,
            from: Self.start + Self.day,
            to: now,
            partitions: [(0, 700), (1, 1400)]
        )
        guardian.note(orderAt: now, segment: 0, partition: 0)
        guardian.look(at: 0, clock: now)
        #expect(guardian.clock(of: 0, now) == now)
    }

    @Test func aHoldEndsWithThePartitionAndWithBands() {
        for forgets in [true, false] {
            var guardian = shop()
            order(&guardian, from: Self.start, to: Self.start + Self.day)
            let now = Self.start + 3 * Self.day
            guardian.look(at: 0, clock: now)
            guardian.look(at: 1, clock: now)
            #expect(guardian.holding == 2 && guardian.reason != nil)
            if forgets {
                guardian.forgetPartitions()
                #expect(guardian.holding == 0 && guardian.reason == nil)
            } else {
                guardian.open(1)
                #expect(guardian.holding == 1)
                #expect(guardian.clock(of: 1, now) == now)
            }
        }
    }

    @Test func whoSwitchesItOffHasTheClockAlone() {
        var churn = SegmentationConfiguration.Churn()
        churn.silenceGuard = false
        var guardian = SilenceGuard(configuration: churn)
        var expectation = SilenceGuard.Expectation(segments: 1)
        expectation.add(rate: 1000, segment: 0, partition: 0)
        guardian.take(expectation)
        guardian.note(orderAt: Self.start, segment: 0, partition: 0)
        guardian.look(at: 0, clock: Self.start + 9 * Self.day)
        #expect(guardian.clock(of: 0, Self.start + 9 * Self.day) == Self.start + 9 * Self.day)
    }
}

/// The same with a whole shop: a feed that stops, and comes back with what has waited.
@Suite struct BrokenFeedTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start

    private func shop(hasGuard: Bool) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        configuration.churn.silenceGuard = hasGuard
        let shop = TestShop(configuration, model: try DecisionTests.twoSegments())
        // 900 customers with rhythms from 3 to 9 days, for 60 days; some stop on the way.
        shop.core.begin()
        var random = SeededGenerator(seed: 7)
        var orders: [(time: Int64, customer: Int)] = []
        for customer in 0..<900 {
            var time = Double(random.next(below: 9))
            let stop = customer % 2 == 0 ? 60 : 30 + Double(random.next(below: 30))
            while time < stop {
                orders.append((Self.start + Int64(time * Double(Self.day)), customer))
                time += Double(3 + customer % 7) * (0.5 + random.nextDouble())
            }
        }
        for (number, order) in orders.sorted(by: { $0.time < $1.time }).enumerated() {
            send(shop, order.customer, at: order.time, "o\(number)")
            shop.decideDue()
            // Transactions, as the loop has them; maintenance comes with their ends.
            guard number % 100 == 99 else { continue }
            shop.core.commit()
            shop.core.begin()
        }
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        shop.core.rescore(limit: .max, context: context, into: &shop.output)
        shop.core.commit()
        return shop
    }

    private func send(_ shop: TestShop, _ customer: Int, at time: Int64, _ id: String) {
        shop.send(
            "{\"type\":\"order.placed\",\"time\":\(time),\"order_id\":\"\(id)\",\"amount\":10}",
            key: "c\(customer)"
        )
    }

    private func tick(_ shop: TestShop, to moment: Int64) {
        shop.core.advanceClock(of: 0, to: moment)
        shop.core.watchOrders(of: 0)
        shop.decideDue()
    }

    /// Alerts since the last call: customers whose band rose, with the moment.
    private func alerts(_ shop: TestShop) -> [String] {
        shop.take().filter {
            $0.destination == .segments
                && ($0.text.contains("\"churn_transition\":\"raised\"")
                    || $0.text.contains("\"churn_transition\":\"escalated\""))
        }
        .map(\.keyText)
    }

    /// Customers whose next due moment falls into an interval.
    private func due(_ shop: TestShop, _ interval: ClosedRange<Int64>) -> [(Int, Int64)] {
        (0..<shop.core.table.rowEnd).compactMap { row in
            guard let moment = shop.core.nextReview(of: row), interval.contains(moment) else {
                return nil
            }
            let id = String(decoding: shop.core.table.id(of: row), as: UTF8.self)
            return (Int(id.dropFirst()) ?? -1, moment)
        }
    }

    @Test(arguments: [false, true], [false, true])
    func nobodyIsBlamedWhoseOrderWaits(hasGuard: Bool, restarts: Bool) throws {
        var shop = try shop(hasGuard: hasGuard)
        let stop = Self.start + 60 * Self.day
        let back = stop + 2 * Self.day
        _ = alerts(shop)
        let waiting = due(shop, stop + 6 * 3_600_000...back - 3 * 3_600_000)
        #expect(waiting.count > 20)
        // Half of those whose alert is near have ordered meanwhile; it is in the pipe.
        let ordered = waiting.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
        let absent = waiting.enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        if restarts { shop = try restarted(shop) }
        for hour in 1...48 as ClosedRange<Int64> { tick(shop, to: stop + hour * 3_600_000) }
        let meanwhile = Set(alerts(shop))
        let blamed = ordered.filter { meanwhile.contains("c\($0.0)") }
        #expect(blamed.isEmpty == hasGuard, "\(blamed.count) of \(ordered.count)")
        #expect((shop.core.silenceReason != nil) == hasGuard)

        // The pipe is mended: what waited comes in order, then what is new.
        let late = ordered.map { (customer: $0.0, time: $0.1 - 3_600_000) }
        for (number, order) in late.sorted(by: { $0.time < $1.time }).enumerated() {
            send(shop, order.customer, at: order.time, "late\(number)")
            tick(shop, to: back)
        }
        for number in 0..<60 as Range<Int64> {
            let time = back + number * 600_000
            send(shop, Int(number) * 2, at: time, "new\(number)")
            tick(shop, to: time)
        }
        let afterwards = Set(alerts(shop))
        #expect(shop.core.silenceReason == nil)
        guard hasGuard else { return }
        for (customer, _) in ordered { #expect(!afterwards.contains("c\(customer)")) }
        // Those who did not order and are not among the new ones are alerted, once.
        let expected = absent.filter { $0.0 % 2 == 1 || $0.0 >= 120 }.map { "c\($0.0)" }
        #expect(expected.count > 5)
        for key in expected {
            #expect(afterwards.contains(key) != meanwhile.contains(key), "\(key)")
        }
    }

    /// A shop that has read the rows of another one, as after a restart.
    private func restarted(_ former: TestShop) throws -> TestShop {
        let shop = TestShop(former.core.configuration, model: former.core.model)
        var block = RowBlock(schema: former.core.schema)
        for row in 0..<former.core.table.rowEnd where former.core.table.isInUse(row) {
            var bytes = former.core.table.id(of: row)
            let key = 0..<bytes.count
            RowCodec.encode(row, of: former.core.table, block: &block, into: &bytes)
            try shop.core.restoreRow(
                key: key,
                value: key.upperBound..<bytes.count,
                bytes: bytes,
                partition: 0
            )
        }
        shop.core.finishRestore()
        return shop
    }
}
