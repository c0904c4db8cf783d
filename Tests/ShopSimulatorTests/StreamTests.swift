import ShopSimulator
import Testing

/// What holds for the stream as a whole.
@Suite struct StreamTests {
    @Test func sameSeedGivesSameBytes() {
        let configuration = ShopSimulatorConfiguration(customers: 200, events: 3_000, seed: 5)
        let once = ParsedStream.fingerprint(configuration)
        #expect(once == ParsedStream.fingerprint(configuration))
        var other = configuration
        other.seed = 6
        #expect(once != ParsedStream.fingerprint(other))
    }

    @Test func streamStopsExactlyAtTheNumberWanted() {
        #expect(ParsedStream.shared.lines.count == 30_000)
        for events in [0, 1, 50, 20_000] {
            var shop = ShopSimulator(
                configuration: .init(customers: 700, events: events, seed: 1)
            )
            var line: [UInt8] = []
            var count = 0
            while shop.next(into: &line) != nil { count += 1 }
            #expect(count == events && shop.emittedCount == events)
            #expect(shop.next(into: &line) == nil, "an ended stream stays ended")
        }
    }

    /// The number wanted is passed by a small margin only, so the cut is late in the span.
    @Test(arguments: [2_000, 10_000, 60_000]) func activityFollowsTheNumberWanted(events: Int)
        throws
    {
        var shop = ShopSimulator(configuration: .init(customers: 500, events: events, seed: 3))
        var line: [UInt8] = []
        var last: SimulatedEvent?
        while let event = shop.next(into: &line) { last = event }
        let end = try #require(last)
        #expect(shop.emittedCount == events)
        let configuration = shop.configuration
        let span = Double(configuration.end - configuration.start)
        #expect(Double(end.arrivalTime - configuration.start) / span > 0.8)
    }

    @Test func arrivalsNeverGoBackAndNothingLeavesTheSpan() {
        let configuration = ShopSimulatorConfiguration(customers: 800, seed: 0)
        var previous = configuration.start
        for line in ParsedStream.shared.lines {
            #expect(line.event.arrivalTime >= previous)
            previous = line.event.arrivalTime
            #expect(line.event.eventTime >= configuration.start)
            #expect(line.event.eventTime <= line.event.arrivalTime)
            #expect(line.event.arrivalTime < configuration.end)
        }
    }

    @Test func otherSpansAreKept() {
        let start: Int64 = 1_700_000_000_000
        let stream = ParsedStream(
            .init(customers: 60, events: 2_000, seed: 9, start: start, end: start + 20 * 86_400_000)
        )
        #expect(stream.lines.count > 1_500)
        for line in stream.lines {
            #expect((start..<start + 20 * 86_400_000).contains(line.event.eventTime))
        }
    }

    @Test func lateRepeatedAndBrokenLinesAreFew() {
        let lines = ParsedStream.shared.lines
        let count = Double(lines.count)
        let late = Double(lines.count { $0.event.arrivalTime > $0.event.eventTime }) / count
        #expect((0.01...0.03).contains(late))
        let byDays = lines.count { $0.event.arrivalTime - $0.event.eventTime > 86_400_000 }
        #expect(byDays > 0, "some lines are days late")
        let distinct = Double(Set(lines.map(\.bytes)).count)
        #expect((0.003...0.008).contains((count - distinct) / count))
        let broken = Double(lines.count { $0.event.isBroken }) / count
        #expect((0.001...0.004).contains(broken))
    }

    @Test func problemsNameEachWrongValue() {
        #expect(ShopSimulatorConfiguration(customers: 1, seed: 0).problems.isEmpty)
        let wrong = ShopSimulatorConfiguration(customers: 0, events: -1, seed: 0, start: 5, end: 5)
        #expect(wrong.problems.count == 3)
        let wild = ShopSimulatorConfiguration(customers: 1, seed: 0, start: .min, end: .max)
        #expect(wild.problems.count == 1)
    }
}
