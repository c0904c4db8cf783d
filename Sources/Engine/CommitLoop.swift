public import EventLog
public import Segmentation
import Synchronization

/// Wall and monotonic time, so that the simulation runs the same code on a virtual clock.
public protocol EngineClock: Sendable {
    /// Wall clock, in milliseconds since 1970.
    func wallMilliseconds() -> Int64
    /// A clock that never goes back, in microseconds.
    func monotonicMicroseconds() -> Int64
    /// Waits.
    func sleep(milliseconds: Int)
}

/// Limits of the commit loop.
public struct CommitLoopConfiguration: Sendable {
    /// Longest time that a transaction stays open, in milliseconds.
    public var intervalMaximumMilliseconds = 100
    /// Shortest time, in milliseconds.
    public var intervalMinimumMilliseconds = 10
    /// Input records of a transaction, at most.
    public var transactionRecords = 20_000
    /// Input bytes of a transaction, at most.
    public var transactionBytes = 8 << 20
    /// Rows that are scored again per turn after a refit: some milliseconds, most of them for the
    /// records of those who move.
    public var rescoreRows = 500
    /// Rows copied between two transactions for a refit beside the loop: some milliseconds.
    public var refitRows = 16_384
    /// Rows of which sums are made anew, or blocks moved, between two transactions: some
    /// milliseconds.
    public var maintenanceRows = 4_096
    /// Runs refits beside the loop; nil runs them in place, between two batches.
    public var refitRunner: RefitRunner?
    /// Rows looked at per turn because they are due, at most; records are polled in between.
    public var dueRows = 2_000
    /// How a partition's clock goes on once its end has been reached.
    public var clockAtEnd = ClockAtEnd.hold
    /// A model was given with `--model`: the model topic is read only to learn on from it.
    public var isModelGiven = false
    /// How checkpoints are kept; nil keeps none, and a restart reads the whole changelog.
    public var checkpoint: CheckpointConfiguration?
    /// Input topics, for lag.
    public var eventTopics: [String] = []
    /// A bug for the simulation to find.
    package var mutation: EngineMutation?
    /// Whether brokers answer, as the log notes it; published with the status.
    public var connection = BrokerConnection()

    /// Creates the defaults.
    public init() {}
}

/// How a partition's clock goes on once its end has been reached.
public enum ClockAtEnd: String, Sendable, CaseIterable {
    /// With the wall clock.
    case wall
    /// Not at all: event time only.
    case hold
}

/// Why the loop ended.
public enum CommitLoopEnd: Sendable, Equatable {
    /// It was asked to stop; everything read is committed.
    case drained
    /// A newer worker of the same name took over, or the broker ended the transaction in its stead.
    case fenced(LogError)
    /// A fault that only a restart mends.
    case failed(LogError)
    /// State that must not be used: what, where, and what to do.
    case corruptState(String)
}

/// Runs the core over the log exactly once.
///
/// ```
///              records, refit, slice             interval or limit
///     idle ---------------------> transacting ---------------------> committing
///      ^                            |    |                            |   |
///      |        abort, rewind       |    | fatal                      |   |
///      +----------------------------+    +----------> ended <---------+   |
///      +------------------------------------------------------------------+
/// ```
///
/// Outputs, changelog rows, dead letters, model records and input offsets share one transaction.
/// Recovery is the start-up path: committed offsets, then the changelog up to the high watermark
/// taken afterwards.
public struct CommitLoop<Log: TransactionalLog & ~Copyable, Clock: EngineClock>: ~Copyable {
    var log: Log
    var core: SegmentationCore
    let clock: Clock
    let board: StatusBoard
    let mailbox: Mailbox
    var configuration: CommitLoopConfiguration
    let report: @Sendable (EngineReport) -> Void

    var batch = RecordBatch()
    var output = StepOutput()
    var inputHeaders: [InputHeader] = []
    var inputs: [InputRecord] = []
    var producedHeaders: [HeaderView] = []
    var positions = PartitionPositions()
    /// Timestamps of the open transaction's records that are no backfill, in milliseconds since
    /// 1970.
    var timestamps: [Int64] = []
    /// Partitions that a take-over has begun to restore.
    var unrestored: Set<Int32> = []
    /// Partitions whose rows came from a checkpoint, so that its claim goes on.
    var keptClaims: Set<Int32> = []
    /// The checkpoints being kept; nil where none are.
    var checkpoints: CheckpointKeeper?
    var transaction = OpenTransaction()
    var waits = Backoff()
    /// What the last poll brought, until it is dealt with: a fault may come between, and no poll
    /// says it twice.
    var unfinished: PollResult?
    private var isInitialised = false
    var commitMicroseconds: Int64 = 5_000
    var lastModelRead: Int64 = 0
    var transactions = 0
    var aborted = 0
    var publishedVersion = -1
    var publishedShadow: Int?
    /// Whether it has been reported that due moments wait for orders.
    var publishedSilence = false
    /// Operators' commands of the open transaction, to be answered when it ends.
    var commands: [Mailbox.Command] = []
    var nextStatus: Int64 = 0
    /// When the ends of partitions are asked for again, monotonic, in microseconds.
    var nextClockCheck: Int64 = 0

    /// What the open transaction holds so far.
    struct OpenTransaction {
        var isOpen = false
        var startedAt: Int64 = 0
        var records = 0
        var bytes = 0
        var writesModel = false
        var tombstones = 0
    }

    /// Creates a loop that has not begun.
    public init(
        log: consuming Log,
        core: consuming SegmentationCore,
        clock: Clock,
        board: StatusBoard,
        mailbox: Mailbox,
        configuration: CommitLoopConfiguration,
        report: @escaping @Sendable (EngineReport) -> Void
    ) {
        self.log = log
        self.core = core
        self.clock = clock
        self.board = board
        self.mailbox = mailbox
        self.configuration = configuration
        self.report = report
        checkpoints = configuration.checkpoint.map(CheckpointKeeper.init)
    }

    /// Runs until it is told to stop or a fault ends it.
    ///
    /// - Parameter shouldStop: asked once a turn.
    /// - Returns: why it ended.
    public mutating func run(until shouldStop: () -> Bool) -> CommitLoopEnd {
        while !shouldStop() {
            if let end = turnOnce() { return end }
        }
        return stop()
    }

    /// Runs one turn, so that a simulation can let several loops take turns on one thread.
    ///
    /// - Returns: why the loop ended, nil when it goes on; after an end it is of no use.
    package mutating func turnOnce() -> CommitLoopEnd? {
        do throws(LoopFault) {
            if !isInitialised {
                try attempt { (loop) throws(LogError) in try loop.log.initTransactions() }
                isInitialised = true
            }
            try turn()
            waits.reset()
        } catch {
            if let end = recover(from: error) {
                close()
                return end
            }
        }
        board.turned()
        mailbox.answer(from: &core)
        publishStatus(force: false)
        return nil
    }

    /// Commits what is open and ends.
    package mutating func stop() -> CommitLoopEnd {
        let end = drain()
        close()
        return end
    }

    private mutating func close() {
        configuration.refitRunner?.cancel()
        publishStatus(force: true)
        answerCommands(.failure(.unknownOutcome))
        checkpoints?.writer.close()
        mailbox.close()
        log.close()
        board.move(to: .stopped, atMilliseconds: clock.wallMilliseconds())
    }

    /// One turn: poll, apply, and commit when it is time.
    private mutating func turn() throws(LoopFault) {
        let result: PollResult
        if let unfinished { result = unfinished } else { result = try poll() }
        unfinished = result
        switch result {
        case .assigned(let partitions): try takeOver(partitions)
        case .revoked(let partitions, let isLost): try giveUp(partitions, isLost: isLost)
        case .records: if !batch.records.isEmpty { try applyBatch() }
        }
        unfinished = nil
        guard result == .records else { return }
        // Where the group begins is committed also when nothing else is there to commit.
        if positions.hasUncommittedStarts { try begin() }
        try decideDue()
        try learn()
        try obey()
        if isCommitDue { try commit() }
        takeSettings()
        keepCheckpoints()
        workBetweenTransactions()
    }

    private mutating func poll() throws(LoopFault) -> PollResult {
        let linger = transaction.isOpen ? 0 : 2
        let limits = PollLimits(
            records: max(1, min(4096, configuration.transactionRecords - transaction.records)),
            payloadBytes: max(1, configuration.transactionBytes - transaction.bytes),
            lingerMilliseconds: linger
        )
        let timeout = pollTimeoutMilliseconds
        batch.removeAll()
        do throws(LogError) {
            return try log.poll(into: &batch, limits: limits, timeoutMilliseconds: timeout)
        } catch {
            throw .log(error)
        }
    }

    /// How long a poll may wait: not at all while a slice of work could be done instead.
    private var pollTimeoutMilliseconds: Int {
        // Without partitions there is nothing to hurry for.
        guard !positions.partitions.isEmpty else {
            return transaction.isOpen ? remainingMilliseconds : 100
        }
        if core.isRescoring { return 0 }
        // This work waits for the end of the open transaction.
        if transaction.isOpen { return remainingMilliseconds }
        // A copy that another worker's partition 0 has ended is never gone on with.
        let isCopying = core.isPreparingRefit && positions.owns(partition: 0)
        return isCopying || core.isMaintenanceDue || isAnythingDue ? 0 : 100
    }

    /// The interval follows what a commit costs, so that commits take a fifth of the time at most.
    private var intervalMicroseconds: Int64 {
        let wanted = 4 * commitMicroseconds
        let low = Int64(configuration.intervalMinimumMilliseconds) * 1000
        let high = Int64(configuration.intervalMaximumMilliseconds) * 1000
        return min(max(wanted, low), high)
    }

    private var remainingMilliseconds: Int {
        guard transaction.isOpen else { return 0 }
        let elapsed = clock.monotonicMicroseconds() - transaction.startedAt
        return Int(max(0, intervalMicroseconds - elapsed) / 1000)
    }

    private var isCommitDue: Bool {
        guard transaction.isOpen else { return false }
        return transaction.records >= configuration.transactionRecords
            || transaction.bytes >= configuration.transactionBytes
            || clock.monotonicMicroseconds() - transaction.startedAt >= intervalMicroseconds
    }

    mutating func begin() throws(LoopFault) {
        guard !transaction.isOpen else { return }
        try attempt { (loop) throws(LogError) in try loop.log.beginTransaction() }
        core.begin()
        transaction = OpenTransaction()
        timestamps.removeAll(keepingCapacity: true)
        transaction.isOpen = true
        transaction.startedAt = clock.monotonicMicroseconds()
    }

    private mutating func applyBatch() throws(LoopFault) {
        try begin()
        inputHeaders.removeAll(keepingCapacity: true)
        for header in batch.headers {
            inputHeaders.append(InputHeader(name: header.name, value: header.value))
        }
        let wall = clock.wallMilliseconds()
        inputs.removeAll(keepingCapacity: true)
        for record in batch.records {
            let isBackfill = positions.isBackfill(
                topicIndex: record.topicIndex,
                partition: record.partition,
                offset: record.offset
            )
            // -1 where the record has none.
            if !isBackfill && record.timestampMilliseconds > 0 {
                timestamps.append(record.timestampMilliseconds)
            }
            inputs.append(
                InputRecord(
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                    partition: record.partition,
                    timestampMilliseconds: record.timestampMilliseconds,
                    isBackfill: isBackfill
                )
            )
            positions.advance(
                topicIndex: record.topicIndex,
                partition: record.partition,
                to: record.offset + 1
            )
        }
        core.apply(
            inputs,
            bytes: batch.bytes,
            headers: inputHeaders,
            context: StepContext(wallMilliseconds: wall, backfill: false),
            into: &output
        )
        transaction.records += batch.records.count
        transaction.bytes += batch.payloadBytes
        try produceRejections()
        try produceOutput()
    }

    /// Refits where that is due, and scores the next slice of rows after a new version.
    private mutating func learn() throws(LoopFault) {
        guard !positions.partitions.isEmpty else { return }
        core.learns = core.configuration.model.learning && positions.owns(partition: 0)
        try refitIfDue()
        if core.isRescoring {
            try begin()
            core.rescore(
                limit: configuration.rescoreRows,
                context: StepContext(
                    wallMilliseconds: clock.wallMilliseconds(),
                    backfill: positions.isBackfilling
                ),
                into: &output
            )
            try produceOutput()
        }
        if !core.learns && !configuration.isModelGiven && !transaction.isOpen {
            try followModel()
        }
    }

    /// A worker that is not the trainer looks at the model topic every few seconds.
    private mutating func followModel() throws(LoopFault) {
        let now = clock.monotonicMicroseconds()
        guard !positions.owns(partition: 0), now - lastModelRead > 5_000_000 else { return }
        lastModelRead = now
        let version = core.model?.version
        try restoreModel()
        if core.model?.version != version { core.countFormerMembers() }
    }

    /// Ends the open transaction: changelog, offsets, commit; then the pending layer is the
    /// committed one.
    mutating func commit() throws(LoopFault) {
        if configuration.mutation == .commitBeforeProduce {
            // A crash from here on leaves offsets without their rows.
            _ = try commitLog()
            try attempt { (loop) throws(LogError) in try loop.log.beginTransaction() }
        }
        core.expireSuppressions(into: &output)
        core.appendChangelog(into: &output)
        try produceOutput()
        let started = try commitLog()
        let now = clock.monotonicMicroseconds()
        commitMicroseconds = (3 * commitMicroseconds + (now - started)) / 4
        core.commit()
        positions.commit()
        transactions += 1
        publishCommit(from: started, to: now)
        transaction = OpenTransaction()
    }

    /// Sends the offsets and commits.
    ///
    /// - Returns: when the commit began, monotonic, in microseconds.
    private mutating func commitLog() throws(LoopFault) -> Int64 {
        let offsets = positions.offsetsToSend(writesModel: transaction.writesModel)
        try attempt { (loop) throws(LogError) in try loop.log.sendOffsets(offsets) }
        let started = clock.monotonicMicroseconds()
        // Its outcome may be unknown: then only another commit tells, an abort would be refused.
        try attempt(patience: 60) { (loop) throws(LogError) in
            try loop.log.commitTransaction()
        }
        return started
    }

    private mutating func drain() -> CommitLoopEnd {
        if board.current.state != .draining {
            board.move(to: .draining, atMilliseconds: clock.wallMilliseconds())
        }
        do throws(LoopFault) {
            if transaction.isOpen { try commit() }
        } catch {
            if let end = recover(from: error) { return end }
        }
        finishCheckpoints()
        return .drained
    }
}
