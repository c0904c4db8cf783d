import EventLog
import TestSupport
import Testing

/// What the contract needs of a broker; made anew, with topics of its own, for every promise.
///
/// A struct of closures, since a protocol's associated type cannot be noncopyable yet.
struct LogHarness<Log: TransactionalLog & ~Copyable> {
    /// A log of one group over `eventTopicCount` event topics of two partitions each.
    ///
    /// Segments and
    /// changelog have two partitions, the model and the rejected topic one.
    var openLog: (_ instance: String, _ start: LogStart) throws -> Log
    /// Adds a committed record to an event topic; nil for no key and for no value, a timestamp
    /// below 0 for now.
    var append: (_ topicIndex: Int, _ record: StoredRecord) throws -> Void
    /// All that a read_committed reader sees of an output topic now, by partition and offset.
    ///
    /// Takes
    /// some time, real or virtual, since it is called again until something shows.
    var readCommitted: (_ topic: LogTopic) throws -> [StoredRecord]
    /// Deletes what is before an offset in a partition of an event topic.
    var deleteRecords: (_ topicIndex: Int, _ partition: Int32, _ offset: Int64) throws -> Void
    /// The wall clock by which records get their time, in milliseconds since 1970.
    var wallMilliseconds: () -> Int64
    /// Ends a log as a dying process does: its transaction stays open.
    var kill: (_ log: consuming Log) -> Void
    /// Lets the group stop waiting for a log; `meanwhile` polls for the others and may be called
    /// often.
    var expel: (_ log: inout Log, _ meanwhile: () throws -> Void) throws -> Void
    /// Lets some time pass, real or virtual.
    var pause: () -> Void
    /// How long one poll waits, in milliseconds.
    var pollMilliseconds: Int
    /// Polls until a promise counts as broken; a genuine broker needs half a minute.
    var pollCountMax = 600

    /// Event topics of a log.
    static var eventTopicCount: Int { 2 }
}

/// Gives up on something that never comes.
struct NeverCame: Error {
    var what: String
}

/// What every transactional log promises, one case each.
///
/// `check` makes the logs it needs. The same cases run on the model broker and on a genuine one, so
/// that the simulation proves something about production.
enum LogPromise: String, CaseIterable, Sendable {
    case commitShowsRecordsOffsetsAndMetadata
    case abortHidesRecordsAndKeepsOffsets
    case olderProducerIsFenced
    case restoreWaitsForADeadProducersTransaction
    case tailIsReadFromItsOffset
    case startsAreOffsets
    case pendingOffsetsAreAwaited
    case rewindAfterAbortRedelivers
    case rebalanceTakesBeforeItGives
    case offsetsNeedNoMembership
    case staleMemberIsRefused
    case bytesSurviveInBothDirections
    case partitionsAreHonoured
    case limitsHold
    case emptyTransactionsEnd

    /// Checks the promise.
    func check<Log: TransactionalLog & ~Copyable>(_ harness: LogHarness<Log>) throws {
        switch self {
        case .commitShowsRecordsOffsetsAndMetadata: try harness.checkCommit()
        case .abortHidesRecordsAndKeepsOffsets: try harness.checkAbort()
        case .olderProducerIsFenced: try harness.checkFencing()
        case .restoreWaitsForADeadProducersTransaction: try harness.checkRestore()
        case .tailIsReadFromItsOffset: try harness.checkTail()
        case .startsAreOffsets: try harness.checkStarts()
        case .pendingOffsetsAreAwaited: try harness.checkPendingOffsets()
        case .rewindAfterAbortRedelivers: try harness.checkRewind()
        case .rebalanceTakesBeforeItGives: try harness.checkRebalance()
        case .offsetsNeedNoMembership: try harness.checkOffsetsWithoutMembership()
        case .staleMemberIsRefused: try harness.checkStaleMember()
        case .bytesSurviveInBothDirections: try harness.checkBytes()
        case .partitionsAreHonoured: try harness.checkPartitions()
        case .limitsHold: try harness.checkLimits()
        case .emptyTransactionsEnd: try harness.checkEmptyTransactions()
        }
    }
}

extension LogHarness where Log: ~Copyable {
    /// Limits that no promise but one reaches.
    static var limits: PollLimits {
        PollLimits(records: 1_000, payloadBytes: 1 << 20, lingerMilliseconds: 20)
    }

    /// A log that has done nothing yet.
    func makeLog(_ instance: String, start: LogStart = .earliest) throws -> Log {
        try openLog(instance, start)
    }

    /// A log that is initialised and has been given both partitions.
    func makeReadyLog(_ instance: String, start: LogStart = .earliest) throws -> Log {
        var log = try makeLog(instance, start: start)
        try retrying { () throws(LogError) in try log.initTransactions() }
        let partitions = try awaitAssignment(&log)
        #expect(partitions == [0, 1])
        return log
    }

    /// Adds texts to an event topic, one record each.
    func feed(
        _ values: [String],
        topicIndex: Int = 0,
        partition: Int32 = 0,
        timestamp: Int64 = -1
    ) throws {
        for value in values {
            let record = StoredRecord(
                partition: partition,
                offset: 0,
                key: Array("k".utf8),
                value: Array(value.utf8),
                timestampMilliseconds: timestamp
            )
            try append(topicIndex, record)
        }
    }

    /// Polls until the group gives partitions.
    func awaitAssignment(_ log: inout Log) throws -> [Int32] {
        var batch = RecordBatch()
        for _ in 0..<pollCountMax {
            let result = try log.poll(
                into: &batch,
                limits: Self.limits,
                timeoutMilliseconds: pollMilliseconds
            )
            #expect(batch.records.isEmpty, "records before they were asked for")
            if case .assigned(let partitions) = result { return partitions.sorted() }
        }
        throw NeverCame(what: "an assignment")
    }

    /// Polls until so many records have come.
    func awaitRecords(_ count: Int, _ log: inout Log) throws -> [StoredRecord] {
        var batch = RecordBatch()
        var found: [StoredRecord] = []
        for _ in 0..<pollCountMax where found.count < count {
            let result = try log.poll(
                into: &batch,
                limits: Self.limits,
                timeoutMilliseconds: pollMilliseconds
            )
            #expect(result == .records)
            found += batch.storedRecords
        }
        guard found.count >= count else { throw NeverCame(what: "\(count) records") }
        return found
    }

    /// Adds one record of texts to the open transaction.
    func produce(
        _ topic: LogTopic,
        _ value: String?,
        key: String = "k",
        partition: Int32? = 0,
        _ log: inout Log
    ) throws(LogError) {
        let bytes = Array(key.utf8) + Array((value ?? "").utf8)
        let keyEnd = key.utf8.count
        let record = ProducedRecord(
            topic: topic,
            partition: partition,
            key: 0..<keyEnd,
            value: value.map { _ in keyEnd..<bytes.count }
        )
        try log.produce(record, bytes: bytes, headers: [])
    }

    /// Restores a partition to its end.
    func restored(
        _ topic: LogTopic,
        partition: Int32,
        _ log: inout Log
    ) throws -> [StoredRecord] {
        try retrying { () throws(LogError) in
            try log.beginRestore(of: topic, partition: partition)
        }
        var batch = RecordBatch()
        var found: [StoredRecord] = []
        for _ in 0..<pollCountMax {
            let progress = try log.restore(into: &batch, timeoutMilliseconds: pollMilliseconds)
            found += batch.storedRecords
            if progress.isComplete { return found }
        }
        throw NeverCame(what: "the end of the restore")
    }

    /// Reads an output topic until so many records are visible: markers follow a commit on their
    /// own.
    func awaitCommitted(_ count: Int, in topic: LogTopic) throws -> [StoredRecord] {
        for _ in 0..<pollCountMax {
            let found = try readCommitted(topic)
            if found.count >= count { return found }
        }
        throw NeverCame(what: "\(count) records in \(topic)")
    }

    /// What the group has committed in partition 0 of the first event topic.
    func committed(_ log: inout Log) throws -> PartitionOffset? {
        var offsets: [PartitionOffset] = []
        try retrying { () throws(LogError) in offsets = try log.committedOffsets(of: [0, 1]) }
        return offsets.first { $0.topicIndex == 0 && $0.partition == 0 }
    }

    /// Calls again while the remedy is to retry.
    func retrying(_ body: () throws(LogError) -> Void) throws {
        for _ in 0..<pollCountMax {
            do throws(LogError) {
                return try body()
            } catch {
                guard error.remedy == .retry else { throw error }
                pause()
            }
        }
        throw NeverCame(what: "an end of retries")
    }

    /// The error that a call throws, nil when it throws none.
    func fault(_ body: () throws(LogError) -> Void) -> LogError? {
        do throws(LogError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}
