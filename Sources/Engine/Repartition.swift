public import EventLog
import Segmentation

/// Moves the rows of a group after its input has got more partitions.
///
/// ```
///     plan ------> mark -------> (the changelog gets its partitions) ------> move ------> done
///      ^   reads,    |  one transaction: no worker                 |  one transaction: rows,
///      |   refuses   |  begins from now on                         |  tombstones, stubs, offsets
///      +-------------+---------------- interrupted ----------------+
/// ```
///
/// The mark stands beside the committed offsets and names the number of partitions for which the
/// rows are laid out; the transaction that moves them takes it away. So a run that ends anywhere
/// leaves either everything as it was, or a mark with everything as it was, or everything done, and
/// running again ends right. No worker may be in the group, and none can come: before the mark the
/// numbers of partitions differ, after it there is the mark.
///
/// Rows go as they are, byte for byte, with life and revision. Stubs of erasures, of which nobody
/// knows whose they are, go to every partition. Offsets of old partitions stay, new ones begin at
/// their oldest record; none of what waits there counts as history. Who owned a partition is
/// forgotten, so that no checkpoint from before is used.
public struct Repartition: Sendable {
    /// Calls of the log that are made again while the remedy is to retry.
    private static let attemptsMax = 12
    /// Reads without progress, some 200 ms each, before the reader gives up: two minutes.
    private static let idleReadsMax = 600

    private let partitioner: KeyPartitioner?
    private let wallMilliseconds: Int64

    /// Prepares to move.
    ///
    /// - Parameters:
    ///   - partitioner: where events of a key arrive; nil to find out from where keys are.
    ///   - wallMilliseconds: now, since 1970; part of the new owner's name.
    public init(partitioner: KeyPartitioner?, wallMilliseconds: Int64) {
        self.partitioner = partitioner
        self.wallMilliseconds = wallMilliseconds
    }

    /// Reads offsets, rows and unread events, and changes nothing.
    ///
    /// - Parameters:
    ///   - log: after `initTransactions`; it starts at the earliest record.
    ///   - reader: reads the event topics.
    ///   - topicCount: number of event topics.
    ///   - inputCount: their partitions.
    ///   - changelogCount: those of the changelog.
    /// - Returns: what is to be done; nil when rows are where they belong.
    /// - Throws: `RepartitionFailure`.
    public func plan<Log: TransactionalLog & ~Copyable, Reader: EventReader & ~Copyable>(
        log: inout Log,
        reader: inout Reader,
        topicCount: Int,
        inputCount: Int,
        changelogCount: Int
    ) throws(RepartitionFailure) -> RepartitionPlan? {
        // Offsets first, as at a start: what a dead worker committed behind them is then read.
        let all = (0..<Int32(inputCount)).map { $0 }
        var committed: [PartitionOffset] = []
        try attempt { () throws(LogError) in committed = try log.committedOffsets(of: all) }
        let mark = committed.compactMap { OffsetMetadata($0.metadata).moving }.first
        if mark == nil && changelogCount == inputCount { return nil }
        guard changelogCount <= inputCount else {
            throw .refused(
                "the changelog has \(changelogCount) partitions and the input \(inputCount): no "
                    + "topic loses partitions; an input made anew with fewer needs another "
                    + "kafka.group"
            )
        }
        let oldCount = mark ?? changelogCount
        var plan = RepartitionPlan(oldCount: oldCount, newCount: inputCount, partitioner: .murmur2)
        plan.isResumed = mark != nil
        var rows = PartitionerEvidence()
        var moves: [KeyPartitioner: Int] = [:]
        for partition in 0..<Int32(oldCount) {
            try readRows(of: partition, on: &log, stubs: &plan.stubs) { key, _ in
                rows.note(key[...], in: partition, of: oldCount)
                for candidate in KeyPartitioner.allCases
                where candidate.partition(of: key[...], count: inputCount) != partition {
                    moves[candidate, default: 0] += 1
                }
            }
        }
        plan.customers = rows.total
        if rows.total + plan.stubs.count > 0, committed.allSatisfy({ $0.offset == nil }) {
            throw .refused(
                "there are \(rows.total) rows but no committed offsets of the group, which brokers "
                    + "forget after offsets.retention.minutes; commit where its rows end first"
            )
        }
        plan.offsets = try offsets(from: committed, topicCount: topicCount, on: &log)
        var tails = UnreadEvents(oldCount: oldCount, newCount: inputCount)
        for offset in plan.offsets {
            try readTail(of: offset, &reader, into: &tails)
        }
        plan.partitioner = try choose(rows, tails.newPartitions)
        plan.moving = moves[plan.partitioner, default: 0]
        plan.unread = tails.unread(plan.partitioner)
        return plan
    }

    /// Writes the mark, so that no worker begins from now on.
    ///
    /// - Throws: `RepartitionFailure`.
    public func mark<Log: TransactionalLog & ~Copyable>(
        _ plan: RepartitionPlan,
        on log: inout Log
    ) throws(RepartitionFailure) {
        // A group that has never committed has no rows either: there is nothing to mark.
        guard !plan.offsets.isEmpty else { return }
        try transact(on: &log) { (log) throws(LogError) in
            try log.sendOffsets(self.offsets(of: plan, moving: plan.oldCount))
        }
    }

    /// Moves everything in one transaction; the changelog has its partitions by now.
    ///
    /// Takes memory for the rows that move.
    ///
    /// - Parameters:
    ///   - plan: what was found; nothing has changed since, for nobody else writes.
    ///   - log: opened since the changelog has its partitions, after `initTransactions`.
    ///   - report: told how many rows have been written, some times a second.
    /// - Throws: `RepartitionFailure`; then nothing has moved, and the mark is still there.
    public func move<Log: TransactionalLog & ~Copyable>(
        _ plan: RepartitionPlan,
        on log: inout Log,
        report: (Int) -> Void = { _ in }
    ) throws(RepartitionFailure) {
        guard !plan.offsets.isEmpty else { return }
        // All is read before anything is written: what is open of us would end every read.
        var rows = MovingRows()
        for partition in 0..<Int32(plan.oldCount) {
            var stubs: [[UInt8]: RepartitionPlan.Stub] = [:]
            try readRows(of: partition, on: &log, stubs: &stubs) { key, value in
                let place = plan.partitioner.partition(of: key[...], count: plan.newCount)
                if place != partition { rows.append(key, value, from: partition, to: place) }
            }
        }
        guard rows.records.count == plan.moving else {
            throw .refused(
                "somebody has written rows since they were read: \(rows.records.count) would move "
                    + "now instead of \(plan.moving); run it again"
            )
        }
        let offsets = offsets(of: plan, moving: nil)
        try transact(on: &log) { (log) throws(LogError) in
            for (index, row) in rows.records.enumerated() {
                try log.produce(row.arriving, bytes: rows.bytes, headers: [])
                try log.produce(row.tombstone, bytes: rows.bytes, headers: [])
                if index.isMultiple(of: 10_000) { report(index) }
            }
            for (key, stub) in plan.stubs {
                let bytes = key + stub.value
                for place in 0..<Int32(plan.newCount) where !stub.partitions.contains(place) {
                    let record = ProducedRecord(
                        topic: .changelog,
                        partition: place,
                        key: key.indices,
                        value: key.count..<bytes.count
                    )
                    try log.produce(record, bytes: bytes, headers: [])
                }
            }
            try log.sendOffsets(offsets)
        }
    }

    // MARK: offsets

    /// Where the group goes on in the topics that it reads.
    private func offsets<Log: TransactionalLog & ~Copyable>(
        from committed: [PartitionOffset],
        topicCount: Int,
        on log: inout Log
    ) throws(RepartitionFailure) -> [PartitionOffset] {
        var result: [PartitionOffset] = []
        for topicIndex in 0..<topicCount {
            let ofTopic = committed.filter { $0.topicIndex == topicIndex }
            // A topic that the group has never read begins where kafka.start says.
            guard ofTopic.contains(where: { $0.offset != nil }) else { continue }
            for var offset in ofTopic {
                var metadata = OffsetMetadata(offset.metadata)
                if offset.offset == nil {
                    var start: Int64 = 0
                    try attempt { () throws(LogError) in
                        start = try log.startOffset(
                            topicIndex: topicIndex,
                            partition: offset.partition
                        )
                    }
                    offset.offset = start
                    // What came since the input has grown is no history.
                    metadata.backfillEnd = start
                }
                metadata.moving = nil
                metadata.claim = "repartition@\(wallMilliseconds)"
                offset.metadata = metadata.text
                result.append(offset)
            }
        }
        return result
    }

    private func offsets(of plan: RepartitionPlan, moving: Int?) -> [PartitionOffset] {
        plan.offsets.map { offset in
            var metadata = OffsetMetadata(offset.metadata)
            metadata.moving = moving
            var result = offset
            result.metadata = metadata.text
            return result
        }
    }

    // MARK: reading

    /// Reads the rows of a partition as they stand at its end.
    private func readRows<Log: TransactionalLog & ~Copyable>(
        of partition: Int32,
        on log: inout Log,
        stubs: inout [[UInt8]: RepartitionPlan.Stub],
        _ body: ([UInt8], [UInt8]) -> Void
    ) throws(RepartitionFailure) {
        var rows: [[UInt8]: [UInt8]] = [:]
        try attempt { () throws(LogError) in
            try log.beginRestore(of: .changelog, partition: partition)
        }
        var batch = RecordBatch()
        var patience = Patience()
        while true {
            var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
            try attempt { () throws(LogError) in
                progress = try log.restore(into: &batch, timeoutMilliseconds: 200)
            }
            for record in batch.records {
                guard let key = record.key else { continue }
                rows[Array(batch.bytes[key])] = record.value.map { Array(batch.bytes[$0]) }
            }
            if progress.isComplete { break }
            try patience.check(progress, batch, "the changelog, partition \(partition)")
        }
        for (key, value) in rows {
            guard ErasureStub.isKey(key, key.indices) else {
                body(key, value)
                continue
            }
            try note(key, value, of: partition, in: &stubs)
        }
    }

    /// Of several stubs of one customer that of the last erasure counts.
    private func note(
        _ key: [UInt8],
        _ value: [UInt8],
        of partition: Int32,
        in stubs: inout [[UInt8]: RepartitionPlan.Stub]
    ) throws(RepartitionFailure) {
        do throws(RestoreFailure) {
            let new = try ErasureStub(value, value: value.indices)
            if let known = stubs[key] {
                let old = try ErasureStub(known.value, value: known.value.indices)
                if old > new { return }
                if old == new {
                    stubs[key]?.partitions.insert(partition)
                    return
                }
            }
            stubs[key] = RepartitionPlan.Stub(value: value, partitions: [partition])
        } catch {
            throw .corruptState("changelog, partition \(partition): \(error)")
        }
    }

    /// Reads what the group has not read of a partition of an event topic.
    private func readTail<Reader: EventReader & ~Copyable>(
        of offset: PartitionOffset,
        _ reader: inout Reader,
        into tails: inout UnreadEvents
    ) throws(RepartitionFailure) {
        guard let from = offset.offset else { return }
        try attempt { () throws(LogError) in
            try reader.beginReading(
                topicIndex: offset.topicIndex,
                partition: offset.partition,
                from: from
            )
        }
        tails.begin(offset.topicIndex, offset.partition, from: from)
        var batch = RecordBatch()
        var patience = Patience()
        while true {
            var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
            try attempt { () throws(LogError) in progress = try reader.read(into: &batch) }
            for record in batch.records { tails.note(record, of: batch) }
            if progress.isComplete { return }
            try patience.check(progress, batch, "the events of partition \(offset.partition)")
        }
    }

    /// Gives up on a reader that does not get on.
    private struct Patience {
        private var idleReads = 0

        mutating func check(
            _ progress: RestoreProgress,
            _ batch: RecordBatch,
            _ what: String
        ) throws(RepartitionFailure) {
            idleReads = batch.records.isEmpty ? idleReads + 1 : 0
            guard idleReads >= Repartition.idleReadsMax else { return }
            throw .log(
                LogError(
                    remedy: .retry,
                    operation: "read \(what) to the end",
                    code: "_TIMED_OUT",
                    reason:
                        "it came to offset \(progress.position) of \(progress.target): a "
                        + "broker is away, or a transaction is still open"
                )
            )
        }
    }

    // MARK: who places keys

    private func choose(
        _ rows: PartitionerEvidence,
        _ events: PartitionerEvidence
    ) throws(RepartitionFailure) -> KeyPartitioner {
        if let partitioner {
            guard rows.candidates.contains(partitioner), events.candidates.contains(partitioner)
            else { throw .refused(Self.contradiction(rows, events, "\(partitioner.rawValue) ")) }
            return partitioner
        }
        let candidates = rows.candidates.filter { events.candidates.contains($0) }
        guard let first = candidates.first else {
            throw .refused(Self.contradiction(rows, events, "none known "))
        }
        guard candidates.count == 1 || rows.total == 0 else {
            let names = candidates.map(\.rawValue).joined(separator: ", ")
            throw .refused(
                "keys are where each of \(names) puts them: where events arrive from now on is not "
                    + "known; say so with --partitioner"
            )
        }
        return first
    }

    private static func contradiction(
        _ rows: PartitionerEvidence,
        _ events: PartitionerEvidence,
        _ name: String
    ) -> String {
        "keys are not where a partitioner puts them (\(name)does): of customers' rows "
            + "\(rows.words); of unread events in new partitions \(events.words)"
    }

    // MARK: calls of the log

    private func attempt(
        _ body: () throws(LogError) -> Void
    ) throws(RepartitionFailure) {
        var attempts = 1
        while true {
            do throws(LogError) {
                return try body()
            } catch {
                guard error.remedy == .retry, attempts < Self.attemptsMax else { throw .log(error) }
                attempts += 1
            }
        }
    }

    private func transact<Log: TransactionalLog & ~Copyable>(
        on log: inout Log,
        _ body: (inout Log) throws(LogError) -> Void
    ) throws(RepartitionFailure) {
        try attempt { () throws(LogError) in try log.beginTransaction() }
        do throws(RepartitionFailure) {
            do throws(LogError) { try body(&log) } catch { throw RepartitionFailure.log(error) }
            try commit(&log)
        } catch {
            try abandon(&log, after: error)
        }
    }

    /// Commits; while it is not known whether that has worked, only asking again tells.
    private func commit<Log: TransactionalLog & ~Copyable>(
        _ log: inout Log
    ) throws(RepartitionFailure) {
        try attempt { () throws(LogError) in try log.commitTransaction() }
    }

    /// Aborts after a fault where that is possible, and throws the fault.
    private func abandon<Log: TransactionalLog & ~Copyable>(
        _ log: inout Log,
        after failure: RepartitionFailure
    ) throws(RepartitionFailure) -> Never {
        switch failure {
        case .log(let error) where error.remedy != .abortTransaction: break
        default:
            do throws(LogError) {
                try log.abortTransaction()
            } catch {
                // The next run of the same id aborts it, or its timeout does.
            }
        }
        throw failure
    }
}

/// Rows that move, in one block of memory.
private struct MovingRows {
    private(set) var bytes: [UInt8] = []
    private(set) var records: [(arriving: ProducedRecord, tombstone: ProducedRecord)] = []

    mutating func append(_ key: [UInt8], _ value: [UInt8], from old: Int32, to new: Int32) {
        let start = bytes.count
        bytes.append(contentsOf: key)
        let middle = bytes.count
        bytes.append(contentsOf: value)
        let (key, value) = (start..<middle, middle..<bytes.count)
        records.append(
            (
                ProducedRecord(topic: .changelog, partition: new, key: key, value: value),
                ProducedRecord(topic: .changelog, partition: old, key: key, value: nil)
            )
        )
    }
}
