import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Restores new partitions and begins to consume them.
    mutating func takeOver(_ partitions: [Int32]) throws(LoopFault) {
        let started = clock.monotonicMicroseconds()
        board.move(to: .restoring, atMilliseconds: clock.wallMilliseconds())
        let fresh = partitions.filter { !positions.owns(partition: $0) }
        // Committed offsets first: what a dead worker committed behind them is then in the
        // changelog.
        var offsets: [PartitionOffset] = []
        try attempt { (loop) throws(LogError) in
            offsets = try loop.log.committedOffsets(of: partitions)
        }
        for partition in fresh { try restoreRows(of: partition) }
        // A given model that does not learn stands by itself; one that does goes on where it was.
        if !configuration.isModelGiven || core.configuration.model.learning { try restoreModel() }
        core.finishRestore()
        for index in offsets.indices {
            offsets[index] = try withBackfillEnd(offsets[index])
        }
        positions.take(offsets, partitions: partitions)
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

    private mutating func withBackfillEnd(
        _ offset: PartitionOffset
    ) throws(LoopFault) -> PartitionOffset {
        guard !offset.metadata.hasPrefix(PartitionPositions.backfillPrefix) else { return offset }
        var result = offset
        var end: Int64 = 0
        try attempt { (loop) throws(LogError) in
            end = try loop.log.endOffset(
                topicIndex: offset.topicIndex,
                partition: offset.partition
            )
        }
        result.metadata = "\(PartitionPositions.backfillPrefix)\(end)"
        return result
    }

    private mutating func restoreRows(of partition: Int32) throws(LoopFault) {
        try attempt { (loop) throws(LogError) in
            try loop.log.beginRestore(of: .changelog, partition: partition)
        }
        var isComplete = false
        while !isComplete {
            batch.removeAll()
            var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
            try attempt { (loop) throws(LogError) in
                progress = try loop.log.restore(into: &loop.batch, timeoutMilliseconds: 200)
            }
            for record in batch.records {
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
            if configuration.mutation == .restoreEndsAtStable, batch.records.isEmpty {
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
        report(.revoked(partitions: partitions))
    }
}

/// Where the worker stands in its partitions: committed, and pending in the open transaction.
struct PartitionPositions {
    static let backfillPrefix = "backfill="

    private struct Position {
        var committed: Int64?
        var pending: Int64?
        var metadata: String
        var backfillEnd: Int64
    }

    private struct Place: Hashable, Comparable {
        var topicIndex: Int
        var partition: Int32

        static func < (a: Place, b: Place) -> Bool {
            (a.topicIndex, a.partition) < (b.topicIndex, b.partition)
        }
    }

    private(set) var partitions: Set<Int32> = []
    private var positions: [Place: Position] = [:]
    private var lastPlace = Place(topicIndex: -1, partition: -1)
    private var lastBackfillEnd: Int64 = 0

    func owns(partition: Int32) -> Bool { partitions.contains(partition) }

    mutating func take(_ offsets: [PartitionOffset], partitions new: [Int32]) {
        partitions.formUnion(new)
        for offset in offsets {
            let place = Place(topicIndex: offset.topicIndex, partition: offset.partition)
            positions[place] = Position(
                committed: offset.offset,
                pending: nil,
                metadata: offset.metadata,
                backfillEnd: Int64(offset.metadata.dropFirst(Self.backfillPrefix.count)) ?? 0
            )
        }
        lastPlace.topicIndex = -1
    }

    mutating func drop(_ gone: [Int32]) {
        partitions.subtract(gone)
        positions = positions.filter { partitions.contains($0.key.partition) }
        lastPlace.topicIndex = -1
    }

    mutating func advance(topicIndex: Int, partition: Int32, to offset: Int64) {
        positions[Place(topicIndex: topicIndex, partition: partition)]?.pending = offset
    }

    mutating func isBackfill(topicIndex: Int, partition: Int32, offset: Int64) -> Bool {
        let place = Place(topicIndex: topicIndex, partition: partition)
        if place != lastPlace {
            lastPlace = place
            lastBackfillEnd = positions[place]?.backfillEnd ?? 0
        }
        return offset < lastBackfillEnd
    }

    /// Whether any partition has not reached the end that it had when the group first got it.
    var isBackfilling: Bool {
        positions.values.contains { ($0.pending ?? $0.committed ?? 0) < $0.backfillEnd }
    }

    /// Whether a partition has not reached the end that it had when the group first got it.
    func isBackfilling(_ partition: Int32) -> Bool {
        positions.contains { place, position in
            place.partition == partition
                && (position.pending ?? position.committed ?? 0) < position.backfillEnd
        }
    }

    /// The next offset to read of every topic of a partition; nil where nothing has been read.
    func nextOffsets(of partition: Int32) -> [(topicIndex: Int, offset: Int64?)] {
        positions.filter { $0.key.partition == partition }.map { place, position in
            (place.topicIndex, position.pending ?? position.committed)
        }
    }

    /// Offsets for the open transaction: those that moved, and at least one of an owned partition,
    /// so that a stale owner is refused; partition 0 when the model topic is written.
    func offsetsToSend(writesModel: Bool) -> [PartitionOffset] {
        var result: [PartitionOffset] = []
        for (place, position) in positions.sorted(by: { $0.key < $1.key }) {
            let needed =
                position.pending != nil || (writesModel && place.partition == 0)
            if needed { result.append(Self.offset(place, position)) }
        }
        if result.isEmpty, let first = positions.min(by: { $0.key < $1.key }) {
            result.append(Self.offset(first.key, first.value))
        }
        return result
    }

    private static func offset(_ place: Place, _ position: Position) -> PartitionOffset {
        PartitionOffset(
            topicIndex: place.topicIndex,
            partition: place.partition,
            offset: position.pending ?? position.committed ?? 0,
            metadata: position.metadata
        )
    }

    mutating func commit() {
        for place in positions.keys {
            if let pending = positions[place]?.pending { positions[place]?.committed = pending }
            positions[place]?.pending = nil
        }
    }

    mutating func abort() { for place in positions.keys { positions[place]?.pending = nil } }

    /// Committed offsets, to rewind to.
    var committed: [PartitionOffset] {
        positions.sorted { $0.key < $1.key }.map { place, position in
            PartitionOffset(
                topicIndex: place.topicIndex,
                partition: place.partition,
                offset: position.committed,
                metadata: position.metadata
            )
        }
    }
}
