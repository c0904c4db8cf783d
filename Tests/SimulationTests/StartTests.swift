import EventLog
import TestSupport
import Testing

/// Where a group begins that has never committed.
@Suite struct StartTests {
    private let shop: SeededPlan.Shop
    private let broker = ModelBroker(
        clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds)
    )

    init() throws {
        shop = try SeededPlan.shops()[0]
        broker.createSimulationTopics()
    }

    private func worker(_ start: LogStart, _ faults: [FaultPlan.Entry] = []) -> SimulatedWorker {
        SimulatedWorker(
            broker: broker,
            instance: "a",
            plan: FaultPlan(faults),
            model: shop.expected.model,
            start: start
        )
    }

    /// Next offset that the group has committed, by partition.
    private var committed: [Int64?] {
        (0..<Int32(SimulationInput.partitionCount)).map {
            broker.committedOffset(
                group: SimulationInput.group,
                topic: SimulationInput.eventTopic,
                partition: $0
            )
        }
    }

    private func ends() -> [Int64?] {
        (0..<Int32(SimulationInput.partitionCount)).map {
            broker.highWatermark(SimulationInput.eventTopic, partition: $0)
        }
    }

    /// The start is committed before anything is read from it: a second process does not look for
    /// it again, and finds what came in between.
    @Test(arguments: [
        LogStart.latest, .timestamp(SimulationRun.wallMilliseconds + 1_000_000),
    ])
    func aStartAtTheEndIsCommittedAtOnce(_ start: LogStart) throws {
        let count = shop.input.records.count / 2
        broker.append(shop.input.records.prefix(count))
        let before = ends()
        do {
            let first = worker(start)
            for _ in 0..<40 { #expect(first.turn() == nil) }
            #expect(committed == before)
        }
        // It has died, its session lasts on, and nobody reads what comes.
        broker.append(shop.input.records.dropFirst(count))
        let second = worker(start)
        for _ in 0..<400 where committed != ends() { #expect(second.turn() == nil) }
        #expect(committed == ends())
        _ = second.stop()
        let young = Set(shop.input.records.dropFirst(count).map(\.key))
        #expect(young.count < Set(shop.input.records.map(\.key)).count)
        // Stubs of those who were erased have keys of their own.
        let written = broker.readCommitted("changelog").filter { $0.key?.first != 0 }
        #expect(!written.isEmpty)
        #expect(written.allSatisfy { young.contains($0.key) })
        // What was there when the group came is not read, so nothing counts as read late.
        let decided = broker.readCommitted("segments").compactMap(\.valueText)
        #expect(!decided.isEmpty)
        #expect(decided.allSatisfy { $0.contains("\"backfill\":false") })
    }

    /// What retention has deleted is not waited for: the group stands at the first record left.
    @Test func theEarliestStartIsBehindWhatWasDeleted() throws {
        broker.append(shop.input.records)
        let before = ends()
        for (partition, end) in before.enumerated() {
            broker.deleteRecords(
                SimulationInput.eventTopic,
                partition: Int32(partition),
                before: end ?? 0
            )
        }
        let worker = worker(.earliest)
        for _ in 0..<40 { #expect(worker.turn() == nil) }
        #expect(committed == before)
        #expect(broker.readCommitted("changelog").isEmpty)
    }

    /// An aborted transaction leaves the start to the next one.
    @Test func anAbortKeepsTheStart() throws {
        broker.append(shop.input.records)
        let before = ends()
        let abort = Fault(.abortable, .before)
        let worker = worker(.latest, [.init(abort, at: .commitTransaction, call: 1)])
        for _ in 0..<10 where committed[0] == nil { #expect(worker.turn() == nil) }
        for _ in 0..<40 { #expect(worker.turn() == nil) }
        #expect(committed == before)
        #expect(broker.readCommitted("changelog").isEmpty)
    }
}
