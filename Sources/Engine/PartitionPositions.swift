import EventLog

/// Where the worker stands in its partitions: committed, and pending in the open transaction.
struct PartitionPositions {
    private struct Position {
        var committed: Int64?
        var pending: Int64?
        var metadata: OffsetMetadata
        /// The claim has changed and no committed offset says so yet.
        var isClaimNew: Bool
        var backfillEnd: Int64 { metadata.backfillEnd ?? 0 }
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

    /// Takes partitions over from where the group stands.
    ///
    /// - Parameters:
    ///   - offsets: what the group has committed.
    ///   - new: the partitions.
    ///   - claims: who is their owner from now on; none where nobody claims anything.
    mutating func take(
        _ offsets: [PartitionOffset],
        partitions new: [Int32],
        claims: [Int32: String]
    ) {
        partitions.formUnion(new)
        for offset in offsets {
            let place = Place(topicIndex: offset.topicIndex, partition: offset.partition)
            var metadata = OffsetMetadata(offset.metadata)
            let claim = claims[offset.partition]
            let isClaimNew = metadata.claim != claim
            metadata.claim = claim
            positions[place] = Position(
                committed: offset.offset,
                pending: nil,
                metadata: metadata,
                isClaimNew: isClaimNew
            )
        }
        lastPlace.topicIndex = -1
    }

    /// Who owned partitions last, as the committed offsets of all their topics say together.
    func claims(found offsets: [PartitionOffset]) -> [Int32: String] {
        var found: [Int32: Set<String?>] = [:]
        for offset in offsets where offset.offset != nil {
            found[offset.partition, default: []].insert(OffsetMetadata(offset.metadata).claim)
        }
        return found.compactMapValues { $0.count == 1 ? $0.first ?? nil : nil }
    }

    /// Who owns a partition of ours, as its committed offsets say or will say.
    func claim(of partition: Int32) -> String? {
        positions.first { $0.key.partition == partition }?.value.metadata.claim
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
            // What was never committed stays so: its start is where the group is told to begin.
            let claims = position.isClaimNew && position.committed != nil
            let needed =
                position.pending != nil || claims || (writesModel && place.partition == 0)
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
            metadata: position.metadata.text
        )
    }

    mutating func commit() {
        for place in positions.keys {
            if let pending = positions[place]?.pending { positions[place]?.committed = pending }
            positions[place]?.pending = nil
            if positions[place]?.committed != nil { positions[place]?.isClaimNew = false }
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
                metadata: position.metadata.text
            )
        }
    }
}
