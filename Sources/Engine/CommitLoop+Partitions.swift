import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Restores new partitions and begins to consume them.
    mutating func takeOver(_ partitions: [Int32]) throws(LoopFault) {
        let started = clock.monotonicMicroseconds()
        board.move(to: .restoring, atMilliseconds: clock.wallMilliseconds())
        let assigned = positions.partitions.union(partitions).sorted()
        board.update { $0.assignedPartitions = assigned }
        let fresh = partitions.filter { !positions.owns(partition: $0) }
        // Committed offsets first: what a dead worker committed behind them is then in the
        // changelog.
        var offsets: [PartitionOffset] = []
        try attempt { (loop) throws(LogError) in
            offsets = try loop.log.committedOffsets(of: partitions)
        }
        try refuseWhileMoving(offsets)
        let claims = positions.claims(found: offsets)
        for partition in fresh {
            // A fault came between: half a partition is none.
            if unrestored.contains(partition) { core.forgetRestored(partition) }
            unrestored.insert(partition)
            try restoreRows(of: partition, claim: claims[partition])
        }
        // A given model that does not learn stands by itself; one that does goes on where it was.
        if !configuration.isModelGiven || core.configuration.model.learning { try restoreModel() }
        core.finishRestore()
        var starts: [Int64] = []
        var ends: [Int64] = []
        for index in offsets.indices {
            let end = try end(of: offsets[index])
            ends.append(end)
            offsets[index] = Self.withBackfillEnd(offsets[index], end)
            starts.append(try start(of: offsets[index]))
        }
        positions.take(
            offsets,
            starts: starts,
            ends: ends,
            partitions: partitions,
            claims: claimsToTake(partitions, claims)
        )
        unrestored.removeAll()
        try attempt { (loop) throws(LogError) in
            try loop.log.startConsuming(from: loop.positions.committed)
        }
        board.move(to: .running, atMilliseconds: clock.wallMilliseconds())
        let elapsed = (clock.monotonicMicroseconds() - started) / 1000
        report(
            .assigned(
                partitions: partitions,
                customers: core.customerCount,
                milliseconds: Int(elapsed)
            )
        )
    }

    /// Rows that are half-way to other partitions are no state to begin from.
    private func refuseWhileMoving(_ offsets: [PartitionOffset]) throws(LoopFault) {
        let movings = offsets.compactMap { OffsetMetadata($0.metadata).moving }
        guard let count = movings.first else { return }
        throw .log(
            LogError(
                remedy: .restartProcess,
                operation: "begin with the changelog",
                code: "PARTITION_COUNT",
                reason: "its rows are being moved from \(count) partitions to those of the input, "
                    + "and that was interrupted or goes on; run segmentd repartition again"
            )
        )
    }

    /// Where a partition ends now: its lag is known before the client has fetched anything.
    private mutating func end(of offset: PartitionOffset) throws(LoopFault) -> Int64 {
        var end: Int64 = 0
        try attempt { (loop) throws(LogError) in
            end = try loop.log.endOffset(
                topicIndex: offset.topicIndex,
                partition: offset.partition
            )
        }
        return end
    }

    /// Notes the end as that of the backfill, where the group never had the partition before.
    private static func withBackfillEnd(
        _ offset: PartitionOffset,
        _ end: Int64
    ) -> PartitionOffset {
        var metadata = OffsetMetadata(offset.metadata)
        guard metadata.backfillEnd == nil else { return offset }
        var result = offset
        metadata.backfillEnd = end
        result.metadata = metadata.text
        return result
    }

    /// Where a partition is read on: where the group stands, or else where it is told to begin.
    ///
    /// Asked for after the end of the backfill, so that a start at the end is not before it.
    private mutating func start(of offset: PartitionOffset) throws(LoopFault) -> Int64 {
        if let committed = offset.offset { return committed }
        var start: Int64 = 0
        try attempt { (loop) throws(LogError) in
            start = try loop.log.startOffset(
                topicIndex: offset.topicIndex,
                partition: offset.partition
            )
        }
        return start
    }

    private mutating func restoreRows(of partition: Int32, claim: String?) throws(LoopFault) {
        let start = try restoreCheckpoint(of: partition, claim: claim)
        try attempt { (loop) throws(LogError) in
            try loop.log.beginRestore(of: .changelog, partition: partition, from: start)
        }
        var isComplete = false
        while !isComplete {
            batch.removeAll()
            var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
            try attempt { (loop) throws(LogError) in
                progress = try loop.log.restore(into: &loop.batch, timeoutMilliseconds: 200)
            }
            let records = batch.records
            for (index, record) in records.enumerated() {
                core.foreseeKeys(from: index, of: records.count, bytes: batch.bytes) {
                    records[$0].key
                }
                guard let key = record.key else { continue }
                do throws(RestoreFailure) {
                    try core.restoreRow(
                        key: key,
                        value: record.value,
                        bytes: batch.bytes,
                        partition: partition
                    )
                } catch {
                    throw .restore(
                        "changelog, partition \(partition), offset \(record.offset), \(error)"
                    )
                }
            }
            isComplete = progress.isComplete
            // Rows may be committed behind an open transaction of a dead worker.
            if configuration.mutation == .restoreEndsAtStable, records.isEmpty {
                isComplete = true
            }
            let count = core.customerCount
            board.turned()
            board.update {
                $0.restore.done = progress.position
                $0.restore.target = progress.target
                $0.customers = count
            }
        }
    }

    /// Reads the model topic: the active version with its latest step.
    mutating func restoreModel() throws(LoopFault) {
        try attempt { (loop) throws(LogError) in
            try loop.log.beginRestore(of: .model, partition: 0)
        }
        var records: [String: [UInt8]] = [:]
        var isComplete = false
        while !isComplete {
            batch.removeAll()
            try attempt { (loop) throws(LogError) in
                isComplete = try loop.log.restore(
                    into: &loop.batch,
                    timeoutMilliseconds: 200
                ).isComplete
            }
            for record in batch.records {
                guard let key = record.key else { continue }
                let name = String(decoding: batch.bytes[key], as: UTF8.self)
                records[name] = record.value.map { Array(batch.bytes[$0]) }
            }
            board.turned()
        }
        do throws(RestoreFailure) {
            try core.restoreModel(records, onlyNewer: configuration.isModelGiven)
        } catch {
            throw .restore(error.description)
        }
    }

    /// Commits or aborts, drops the rows of partitions that were taken away, and lets go of them.
    mutating func giveUp(_ partitions: [Int32], isLost: Bool) throws(LoopFault) {
        if transaction.isOpen {
            if isLost {
                // Others own the partitions already: a commit would be refused.
                throw .log(
                    LogError(
                        remedy: .abortTransaction,
                        operation: "commit before giving partitions back",
                        code: "ASSIGNMENT_LOST",
                        reason: "the group took the partitions away"
                    )
                )
            }
            try commit()
        }
        try attempt { (loop) throws(LogError) in try loop.log.releaseAssignment() }
        core.dropPartitions(partitions)
        positions.drop(partitions)
        dropCheckpoints(of: partitions)
        report(.revoked(partitions: partitions))
    }
}
