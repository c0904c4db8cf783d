import Engine
import Segmentation
import Synchronization
import TestSupport
import Testing

/// A refit beside the real loop, held back by the test.
@Suite(.timeLimit(.minutes(2))) struct RefitRunnerTests {
    /// Work that runs when the test says so.
    private final class Shelf: Sendable {
        private let works = Mutex<[RefitRunner.Work]>([])

        var count: Int { works.withLock(\.count) }

        func put(_ work: @escaping RefitRunner.Work) { works.withLock { $0.append(work) } }

        func runAll() {
            let all = works.withLock { works in
                defer { works = [] }
                return works
            }
            for work in all { work() }
        }
    }

    private let broker: ModelBroker

    init() {
        broker = ModelBroker(
            clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds),
            settings: ModelBroker.Settings()
        )
        broker.createSimulationTopics()
        broker.append(SimulationInput(seed: 1).records)
    }

    private func worker(
        _ instance: String,
        _ shelf: Shelf,
        rescoreRows: Int = 500
    ) -> SimulatedWorker {
        SimulatedWorker(
            broker: broker,
            instance: instance,
            plan: FaultPlan([]),
            model: nil,
            configuration: {
                var configuration = CommitLoopConfiguration()
                configuration.transactionRecords = 16
                configuration.refitRows = 5
                configuration.rescoreRows = rescoreRows
                configuration.refitRunner = RefitRunner { shelf.put($0) }
                return configuration
            }()
        )
    }

    private var versions: Int {
        let keys = broker.readCommitted("model").compactMap(\.key)
        return Set(keys.filter { $0.starts(with: "version/".utf8) }).count
    }

    /// Turns until the shelf holds a job.
    private func turnUntilAJob(_ worker: SimulatedWorker, _ shelf: Shelf) throws {
        for _ in 0..<300 where shelf.count == 0 { #expect(worker.turn() == nil) }
        try #require(shelf.count == 1, "a refit is due")
    }

    @Test func theLoopTakesEventsWhileARefitRuns() throws {
        let shelf = Shelf()
        let worker = worker("a", shelf)
        try turnUntilAJob(worker, shelf)
        let before = broker.readCommitted("changelog").count
        for _ in 0..<100 { #expect(worker.turn() == nil) }
        #expect(broker.readCommitted("changelog").count > before)
        #expect(versions == 0 && shelf.count == 1, "one at a time")
        shelf.runAll()
        for _ in 0..<60 { #expect(worker.turn() == nil) }
        #expect(versions == 1)
        // And so on.
        for _ in 0..<300 {
            shelf.runAll()
            #expect(worker.turn() == nil)
        }
        #expect(versions > 1)
        #expect(worker.stop() == .drained)
    }

    /// An idle loop need not wait for records while it has rows to score.
    @Test func rowsAreScoredAgainWithoutWaits() throws {
        let shelf = Shelf()
        let worker = worker("a", shelf, rescoreRows: 1)
        try turnUntilAJob(worker, shelf)
        // Everything has been read by then.
        for _ in 0..<300 { #expect(worker.turn() == nil) }
        shelf.runAll()
        let start = broker.clock.monotonicMicroseconds()
        // The first of them waits for records, and finds the version.
        for _ in 0..<12 { #expect(worker.turn() == nil) }
        let waited = broker.clock.monotonicMicroseconds() - start
        // One row a turn, and the least that a poll waited for the end of a transaction is 10 ms.
        #expect(waited < 110_000)
        for _ in 0..<100 { #expect(worker.turn() == nil) }
        #expect(versions == 1)
        #expect(worker.stop() == .drained)
    }

    @Test func aDrainDoesNotWaitForARefit() throws {
        let shelf = Shelf()
        let worker = worker("a", shelf)
        try turnUntilAJob(worker, shelf)
        #expect(worker.stop() == .drained)
        // It has been told to end, and there is nobody to take its result.
        shelf.runAll()
        #expect(versions == 0)
        // The next process finds the refit due.
        let next = self.worker("a", shelf)
        try turnUntilAJob(next, shelf)
        shelf.runAll()
        for _ in 0..<60 { _ = next.turn() }
        #expect(versions == 1)
        #expect(next.stop() == .drained)
    }

    @Test func aRebalanceDropsTheResult() throws {
        let (shelf, other) = (Shelf(), Shelf())
        let first = worker("b", shelf)
        try turnUntilAJob(first, shelf)
        // Partitions are spread anew, so what the job has copied is no longer what there is.
        let second = worker("a", other)
        for _ in 0..<200 {
            #expect(first.turn() == nil)
            #expect(second.turn() == nil)
        }
        #expect(shelf.count == 1 && versions == 0)
        shelf.runAll()
        for _ in 0..<60 {
            #expect(first.turn() == nil)
            #expect(second.turn() == nil)
        }
        #expect(versions == 0)
        #expect(first.stop() == .drained)
        #expect(second.stop() == .drained)
    }
}
