/// The topics a worker writes to.
public enum LogTopic: Int, Sendable, CaseIterable {
    /// Decisions, read by CRM and marketing.
    case segments
    /// Customer rows, one per changed customer; same partition count as the input.
    case changelog
    /// Model versions, the active one and the latest step.
    case model
    /// Dead letters.
    case rejected
}

/// Limits of one poll.
public struct PollLimits: Sendable {
    /// Records at most, 1 or more.
    public var records: Int
    /// Payload bytes at most; one larger record still comes alone.
    public var payloadBytes: Int
    /// How long to go on filling a batch that has records, in milliseconds.
    public var lingerMilliseconds: Int

    /// Creates limits from their parts.
    public init(records: Int, payloadBytes: Int, lingerMilliseconds: Int) {
        precondition(records > 0 && payloadBytes > 0 && lingerMilliseconds >= 0)
        self.records = records
        self.payloadBytes = payloadBytes
        self.lingerMilliseconds = lingerMilliseconds
    }
}

/// What a poll brought.
public enum PollResult: Sendable, Equatable {
    /// The batch was filled, perhaps with nothing.
    case records
    /// The group gave this worker partitions (numbers, equal for all event topics). Nothing is
    /// consumed of them before `startConsuming`.
    case assigned([Int32])
    /// The group takes these partitions away. They stay ours until `releaseAssignment`.
    /// `lost` means they are gone already: a commit would be refused.
    case revoked([Int32], lost: Bool)
}

/// Where the group stands in one partition of one event topic.
public struct PartitionOffset: Sendable, Equatable {
    /// Index into the list of event topics.
    public var topicIndex: Int
    /// Partition number.
    public var partition: Int32
    /// Next offset to read; nil when the group has never committed here.
    public var offset: Int64?
    /// Metadata stored with the offset.
    public var metadata: String

    /// Creates an offset from its parts.
    public init(topicIndex: Int, partition: Int32, offset: Int64?, metadata: String = "") {
        self.topicIndex = topicIndex
        self.partition = partition
        self.offset = offset
        self.metadata = metadata
    }
}

/// One record to produce; its ranges point into the bytes passed with it.
public struct ProducedRecord: Sendable, Equatable {
    /// Where to.
    public var topic: LogTopic
    /// Explicit partition, or nil for murmur2 of the key as Java clients do.
    public var partition: Int32?
    /// Range of the key, nil for none.
    public var key: Range<Int>?
    /// Range of the value, nil for a tombstone.
    public var value: Range<Int>?
    /// Range into the headers passed with it.
    public var headers: Range<Int>

    /// Creates a record from its parts.
    public init(
        topic: LogTopic,
        partition: Int32?,
        key: Range<Int>?,
        value: Range<Int>?,
        headers: Range<Int> = 0..<0
    ) {
        self.topic = topic
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// How far a restore has come.
public struct RestoreProgress: Sendable, Equatable {
    /// Offset reached.
    public var position: Int64
    /// Offset to reach: the high watermark taken when the restore began.
    public var target: Int64
    /// True once a partition-EOF at or beyond `target` was seen.
    public var isComplete: Bool

    /// Creates a progress report from its parts.
    public init(position: Int64, target: Int64, isComplete: Bool) {
        self.position = position
        self.target = target
        self.isComplete = isComplete
    }
}

/// A transactional log as one worker needs it: poll, begin, produce, send offsets, commit, abort,
/// restore.
///
/// One worker thread owns one log. No call is made from another thread. The engine is generic over
/// it, so that the simulation runs the same specialised code as production.
///
/// The order of calls in a transaction is: `beginTransaction`, any number of `produce`,
/// `sendOffsets`, `commitTransaction` or `abortTransaction`. After an abort the caller rewinds with
/// `startConsuming`.
public protocol TransactionalLog: ~Copyable {
    /// Fences older producers of the same transactional id and aborts what they left open.
    mutating func initTransactions() throws(LogError)

    /// Fills `batch` (emptied first) or reports a change of the assignment.
    ///
    /// A change of the assignment is reported alone and before further records.
    mutating func poll(
        into batch: inout RecordBatch,
        limits: PollLimits,
        timeoutMilliseconds: Int
    ) throws(LogError) -> PollResult

    /// Offsets the group has committed in these partitions of every event topic; retries inside
    /// while transactional offsets are pending, up to a bound.
    mutating func committedOffsets(of partitions: [Int32]) throws(LogError) -> [PartitionOffset]

    /// Where the group begins in a partition of an event topic in which it has never committed: the
    /// offset that the configured start means at this moment, from the broker.
    ///
    /// Asked again later, it may be another one; who asks commits it before long.
    mutating func startOffset(topicIndex: Int, partition: Int32) throws(LogError) -> Int64

    /// End of a partition of an event topic as a read_committed reader sees it, from the broker.
    mutating func endOffset(topicIndex: Int, partition: Int32) throws(LogError) -> Int64

    /// The last known end offset, without asking the broker; nil when none is known yet.
    func knownEndOffset(topicIndex: Int, partition: Int32) -> Int64?

    /// Where `poll` last found nothing more to read in a partition, since consuming began; nil
    /// before. It may lie behind the last record: markers of transactions take offsets too.
    func reachedEnd(topicIndex: Int, partition: Int32) -> Int64?

    /// First offset and high watermark of a partition of `topic`, from the broker.
    ///
    /// While no transaction of ours is open, all that we have committed is before the upper bound.
    mutating func bounds(of topic: LogTopic, partition: Int32) throws(LogError) -> Range<Int64>

    /// How long the changelog keeps a tombstone once it was cleaned (`delete.retention.ms`), in
    /// milliseconds, from the broker.
    mutating func tombstoneRetentionMilliseconds() throws(LogError) -> Int64

    /// Begins to read one partition of `topic` (changelog or model) from an offset, nil for the
    /// start, up to the high watermark of this moment, read_committed.
    ///
    /// The offset must not be below the start of the partition.
    mutating func beginRestore(
        of topic: LogTopic,
        partition: Int32,
        from offset: Int64?
    ) throws(LogError)

    /// Reads on in the restore that was begun.
    mutating func restore(
        into batch: inout RecordBatch,
        timeoutMilliseconds: Int
    ) throws(LogError) -> RestoreProgress

    /// Number of partitions of a topic that we write to.
    mutating func partitionCount(of topic: LogTopic) throws(LogError) -> Int

    /// Starts, or starts again (rewind), to consume exactly these partitions from these offsets.
    ///
    /// None of them may be nil: `startOffset` tells where there is none yet.
    mutating func startConsuming(from offsets: [PartitionOffset]) throws(LogError)

    /// Gives revoked partitions back to the group.
    mutating func releaseAssignment() throws(LogError)

    /// Opens a transaction.
    mutating func beginTransaction() throws(LogError)

    /// Adds one record to the open transaction; waits while the queue is full.
    ///
    /// - Parameters:
    ///   - record: where to, and ranges of key, value and headers.
    ///   - bytes: what the ranges point into; copied before the call returns.
    ///   - headers: what `record.headers` points into.
    /// - Throws: `.abortTransaction` once the transaction has failed, `.restartProcess` if fenced.
    mutating func produce(
        _ record: ProducedRecord,
        bytes: [UInt8],
        headers: [HeaderView]
    ) throws(LogError)

    /// Adds input offsets (next to read) to the open transaction, with fresh group metadata.
    mutating func sendOffsets(_ offsets: [PartitionOffset]) throws(LogError)

    /// Commits the open transaction; all of it is visible afterwards, or it throws.
    mutating func commitTransaction() throws(LogError)

    /// Aborts the open transaction; nothing of it is ever visible to a read_committed reader.
    mutating func abortTransaction() throws(LogError)

    /// Frees the clients; a group of static members waits for a restart until the session ends. The
    /// log is of no use afterwards.
    mutating func close()
}

extension TransactionalLog where Self: ~Copyable {
    /// Begins to read one partition of `topic` from its start.
    public mutating func beginRestore(of topic: LogTopic, partition: Int32) throws(LogError) {
        try beginRestore(of: topic, partition: partition, from: nil)
    }
}
