import Engine
import Segmentation
import TestSupport

/// One run: a broker, an input, workers that take turns, and faults; all of it follows from the
/// plan.
struct SimulationRun {
    /// What one run is made of.
    struct Plan {
        var input: SimulationInput
        /// A given model, nil to learn.
        var model: SegmentModel?
        /// Instance names of the workers; more than one take turns at random.
        var instances = ["a"]
        /// The workers follow on each other instead: each starts when the one before has died, and
        /// the last starts again.
        var isRelay = false
        var faults: FaultPlan
        var loop = CommitLoopConfiguration()
        var broker = ModelBroker.Settings()
        /// Records that are in the topic before the first worker starts.
        var recordsBefore = 0
        /// Chance that a living worker is told to stop at a turn, in thousandths.
        var stopsPerMille = 0
        /// Chance that an operator asks the next worker for something, in thousandths.
        var commandsPerMille = 0
        /// Disks of the workers, by instance; a worker without one keeps no checkpoints.
        var checkpoints: [String: MemoryCheckpoints] = [:]
        /// Seed of the interleaving.
        var seed: UInt64
    }

    /// Wall clock at the start: the end of the shop's time.
    static let wallMilliseconds: Int64 = 1_782_864_000_000
    /// A run that takes more turns than that never ends.
    static let turnsMax = 6_000
    /// Starts of processes, at most: every fault costs one at most, and every stop.
    static let startsMax = 80

    let plan: Plan
    let broker: ModelBroker
    let asker: SimulatedOperator
    /// Whether all input was committed within the bounds.
    private(set) var isFinished = false
    /// Why processes ended, in order.
    private(set) var ends: [CommitLoopEnd] = []
    private(set) var turns = 0
    private var starts = 0
    private var appended = 0
    private var random: SplitMix64
    private var workers: [SimulatedWorker?]

    init(_ plan: Plan) {
        self.plan = plan
        random = SplitMix64(seed: plan.seed)
        workers = plan.isRelay ? [nil] : plan.instances.map { _ in nil }
        broker = ModelBroker(
            clock: VirtualClock(wallMilliseconds: Self.wallMilliseconds),
            settings: plan.broker
        )
        broker.createSimulationTopics()
        // A seed of its own, so that everything else goes on as without commands.
        asker = SimulatedOperator(
            broker: broker,
            perMille: plan.commandsPerMille,
            seed: plan.seed ^ 0x5eed
        )
    }

    /// Runs until all input is committed, then stops the workers and lets time pass.
    mutating func run() {
        append(plan.recordsBefore)
        while turns < Self.turnsMax && starts <= Self.startsMax {
            if isCommitted {
                isFinished = true
                break
            }
            if appended < plan.input.records.count { append(random.below(12)) }
            turn()
        }
        // A model may still be bringing its rows up to date, and due moments may be left, a few a
        // turn; then a commit that nothing disturbs.
        for _ in 0..<(plan.loop.dueRows < 100 ? 600 : plan.model == nil ? 60 : 0) { turn() }
        for index in workers.indices {
            if let worker = workers[index] { ends.append(worker.stop()) }
            asker.finishTurn(of: index, hasEnded: true)
            workers[index] = nil
        }
        // What a crash left open is aborted by then.
        let patience = broker.settings.transactionTimeoutMilliseconds * 4
        broker.clock.sleep(milliseconds: patience)
    }

    private mutating func turn() {
        turns += 1
        let index = workers.count == 1 ? 0 : random.below(workers.count)
        if random.below(60) == 0 { broker.compact("changelog") }
        if random.below(60) == 0 { broker.compact("model") }
        guard let worker = workers[index] else {
            let place = plan.isRelay ? min(starts, plan.instances.count - 1) : index
            starts += 1
            let disk = plan.checkpoints[plan.instances[place]]
            disk?.age(&random)
            workers[index] = SimulatedWorker(
                broker: broker,
                instance: plan.instances[place],
                plan: plan.faults,
                model: plan.model,
                configuration: plan.loop,
                checkpoints: disk
            )
            return
        }
        let isToldToStop = random.below(1000) < plan.stopsPerMille
        asker.prepareTurn(of: index, worker)
        let end = isToldToStop ? worker.stop() : worker.turn()
        asker.finishTurn(of: index, hasEnded: end != nil)
        if let end {
            ends.append(end)
            workers[index] = nil
        }
    }

    private mutating func append(_ count: Int) {
        let records = plan.input.records[appended...].prefix(count)
        broker.append(records)
        appended += records.count
    }

    /// Whether the group has committed everything that there is to come.
    private var isCommitted: Bool {
        guard appended == plan.input.records.count else { return false }
        return (0..<Int32(SimulationInput.partitionCount)).allSatisfy { partition in
            let topic = SimulationInput.eventTopic
            let end = broker.highWatermark(topic, partition: partition)
            let offset = broker.committedOffset(
                group: SimulationInput.group,
                topic: topic,
                partition: partition
            )
            return end == 0 || offset == end
        }
    }
}
