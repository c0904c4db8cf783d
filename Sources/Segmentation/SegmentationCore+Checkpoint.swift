/// One pass over the rows that writes the checkpoints of several partitions, a slice at a time.
///
/// Rows change while it is under way. One written early and changed later is brought right by the
/// tail of the changelog, for the offset of the header was noted before the first row was written
/// and the changelog says every change of a key. Only committed rows go in: a slice is taken
/// between transactions.
public struct CheckpointRound: Sendable {
    /// Bytes to write next to a partition's file, in order.
    public struct Piece: Sendable {
        /// The partition whose file it belongs to.
        public var partition: Int32
        /// The bytes.
        public var bytes: [UInt8]
        /// Whether they are the last ones.
        public var isLast: Bool
    }

    fileprivate var encoders: [Int32: CheckpointEncoder] = [:]
    fileprivate var nextRow = 0
    /// Stubs to write, once all rows are; nil before.
    fileprivate var stubs: [SuppressionKey]?
    /// Whether everything has been handed over.
    public fileprivate(set) var isComplete = false

    /// Begins a pass.
    ///
    /// - Parameter headers: one per partition.
    public init(_ headers: [CheckpointHeader]) {
        self.init(headers, blockBytes: CheckpointFrame.blockBytes)
    }

    init(_ headers: [CheckpointHeader], blockBytes: Int) {
        for header in headers {
            encoders[header.partition] = CheckpointEncoder(header, blockBytes: blockBytes)
        }
    }

    /// Partitions that are being written.
    public var partitions: [Int32] { encoders.keys.sorted() }

    /// Leaves a partition out from here on: its file is not to be finished.
    public mutating func leaveOut(_ partition: Int32) { encoders[partition] = nil }
}

extension SegmentationCore {
    /// Fingerprint of the declared slots: rows of others are of no use.
    public var slotFingerprint: UInt64 { schema.fingerprint }

    /// Copies the next rows of a round, and hands over what can be written.
    ///
    /// No transaction may be open: its rows are not committed yet.
    ///
    /// - Parameters:
    ///   - round: the pass under way.
    ///   - limit: rows looked at, 1 or more; the bound of the time it takes.
    ///   - emit: called with each piece, in the order of each file.
    public mutating func advance(
        _ round: inout CheckpointRound,
        limit: Int,
        emit: (CheckpointRound.Piece) -> Void
    ) {
        precondition(saved == nil, "rows of an open transaction must not go into a checkpoint")
        precondition(limit > 0, "a slice of no rows would never end")
        guard !round.isComplete else { return }
        let end = min(table.rowEnd, round.nextRow + limit)
        for row in round.nextRow..<max(round.nextRow, end) where table.isInUse(row) {
            round.encoders[table.partition(row)]?.append(
                key: { table.appendID(of: row, to: &$0) },
                value: { RowCodec.encode(row, of: table, block: &block, into: &$0) }
            )
        }
        var left = limit - max(0, end - round.nextRow)
        round.nextRow = max(round.nextRow, end)
        if round.nextRow >= table.rowEnd {
            // A stub that comes later is in the tail, as a row is.
            var keys = round.stubs ?? Array(table.suppressed.keys)
            while left > 0, let key = keys.popLast() {
                left -= 1
                guard let stub = table.suppressed[key] else { continue }
                round.encoders[stub.partition]?.append(stub: stub, key: key)
            }
            round.stubs = keys
            if keys.isEmpty && left > 0 { round.isComplete = true }
        }
        for partition in round.partitions {
            if round.isComplete { round.encoders[partition]?.finish() }
            let pieces = round.encoders[partition]?.takeReady() ?? []
            for (index, bytes) in pieces.enumerated() {
                let isLast = round.isComplete && index == pieces.count - 1
                emit(CheckpointRound.Piece(partition: partition, bytes: bytes, isLast: isLast))
            }
        }
    }

    /// Takes the entries of a checked block over.
    ///
    /// - Parameters:
    ///   - payload: the block's bytes, checked by a `CheckpointDecoder`.
    ///   - entries: how many entries there are.
    ///   - partition: whose rows they are.
    /// - Throws: `CheckpointFailure` when a row is refused; then forget the partition's rows.
    public mutating func restoreBlock(
        _ payload: [UInt8],
        entries: Int,
        partition: Int32
    ) throws(CheckpointFailure) {
        let rows = try CheckpointFrame.entries(of: payload, count: entries)
        for (index, entry) in rows.enumerated() {
            foreseeKeys(from: index, of: rows.count, bytes: payload) { rows[$0].key }
            do throws(RestoreFailure) {
                try restoreRow(
                    key: entry.key,
                    value: entry.value,
                    bytes: payload,
                    isChecked: true,
                    partition: partition
                )
            } catch {
                throw .row(error.description)
            }
        }
    }

    /// Forgets what was restored of a partition, before `finishRestore`, so that it can be
    /// restored from the start.
    public mutating func forgetRestored(_ partition: Int32) {
        precondition(saved == nil, "commit or abort first")
        for row in 0..<table.rowEnd where table.isInUse(row) && table.partition(row) == partition {
            table.remove(row)
            table.undo.clear()
        }
        table.suppressed = table.suppressed.filter { $0.value.partition != partition }
        if partitionClocks.indices.contains(Int(partition)) {
            partitionClocks[Int(partition)] = Int64.min
        }
    }
}

extension CheckpointEncoder {
    fileprivate mutating func append(stub: Suppression, key: SuppressionKey) {
        var bytes: [UInt8] = []
        let ranges = RowCodec.encode(key, stub, into: &bytes)
        append(
            key: { $0.append(contentsOf: bytes[ranges.key]) },
            value: { $0.append(contentsOf: bytes[ranges.value]) }
        )
    }
}
