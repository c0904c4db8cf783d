import EventLog

/// Where the worker stands in its partitions: committed, and pending in the open transaction.
struct PartitionPositions {
    private struct Position {
        /// Next offset to read, as the group has committed it; where it begins when it never did.
        var base: Int64
        /// Whether the group has committed it.
        var isCommitted: Bool
        /// Next offset to read, as the open transaction will commit it.
        var pending: Int64?
        var metadata: OffsetMetadata
        /// The end when the partition was taken over, until the client knows a later one.
        var askedEnd: Int64
        /// The claim has changed and no committed offset says so yet.
        var isClaimNew: Bool
        var backfillEnd: Int64 { metadata.backfillEnd ?? 0 }
        var next: Int64 { pending ?? base }
        var isBackfilling: Bool { next < backfillEnd }
    }

    private struct Place: Hashable, Comparable {
        var topicIndex: Int
        var partition: Int32

        static func < (a: Place, b: Place) -> Bool {
            (a.topicIndex, a.partition) < (b.topicIndex, b.partition)
        }
    }

    private(set) var partitions: Set<Int32> = []
    /// Whether the group has never committed in one of the partitions: the next transaction commits
    /// where it begins, so that nobody looks for the start again.
    private(set) var hasUncommittedStarts = false
    private var positions: [Place: Position] = [:]
    private var lastPlace = Place(topicIndex: -1, partition: -1)
    private var lastBackfillEnd: Int64 = 0

    func owns(partition: Int32) -> Bool { partitions.contains(partition) }

    /// Takes partitions over from where the group stands.
    ///
    /// - Parameters:
    ///   - offsets: what the group has committed; nil where it never has.
    ///   - starts: where it begins then, one for each of the offsets.
    ///   - ends: where the partitions end now, one for each of the offsets.
    ///   - new: the partitions.
    ///   - claims: who is their owner from now on; none where nobody claims anything.
    mutating func take(
        _ offsets: [PartitionOffset],
        starts: [Int64],
        ends: [Int64],
        partitions new: [Int32],
        claims: [Int32: String]
    ) {
        partitions.formUnion(new)
        for ((offset, start), end) in zip(zip(offsets, starts), ends) {
            let place = Place(topicIndex: offset.topicIndex, partition: offset.partition)
            var metadata = OffsetMetadata(offset.metadata)
            let claim = claims[offset.partition]
            let isClaimNew = metadata.claim != claim
            metadata.claim = claim
            positions[place] = Position(
                base: offset.offset ?? start,
                isCommitted: offset.offset != nil,
                pending: nil,
                metadata: metadata,
                askedEnd: end,
                isClaimNew: isClaimNew
            )
        }
        noteStarts()
        lastPlace.topicIndex = -1
    }

    private mutating func noteStarts() {
        hasUncommittedStarts = positions.values.contains { !$0.isCommitted }
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
        noteStarts()
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
        positions.values.contains(where: \.isBackfilling)
    }

    /// Whether a partition has not reached the end that it had when the group first got it.
    func isBackfilling(_ partition: Int32) -> Bool {
        positions.contains { $0.key.partition == partition && $0.value.isBackfilling }
    }

    /// Where a partition ended when it was taken over, nil for one of others.
    func askedEnd(topicIndex: Int, partition: Int32) -> Int64? {
        positions[Place(topicIndex: topicIndex, partition: partition)]?.askedEnd
    }

    /// The next offset to read of every topic of a partition.
    func nextOffsets(of partition: Int32) -> [(topicIndex: Int, offset: Int64)] {
        positions.filter { $0.key.partition == partition }.map { ($0.topicIndex, $1.next) }
    }

    /// Offsets for the open transaction: those that moved or were never committed, and at least one
    /// of an owned partition, so that a stale owner is refused; partition 0 when the model topic is
    /// written.
    func offsetsToSend(writesModel: Bool) -> [PartitionOffset] {
        var result: [PartitionOffset] = []
        for (place, position) in positions.sorted(by: { $0.key < $1.key }) {
            let isNew = !position.isCommitted || position.isClaimNew
            let needed = position.pending != nil || isNew || (writesModel && place.partition == 0)
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
            offset: position.next,
            metadata: position.metadata.text
        )
    }

    mutating func commit() {
        for place in positions.keys {
            if let pending = positions[place]?.pending { positions[place]?.base = pending }
            positions[place]?.pending = nil
            positions[place]?.isCommitted = true
            positions[place]?.isClaimNew = false
        }
        hasUncommittedStarts = false
    }

    mutating func abort() { for place in positions.keys { positions[place]?.pending = nil } }

    /// Committed offsets, and starts where there are none yet, to rewind to.
    var committed: [PartitionOffset] {
        positions.sorted { $0.key < $1.key }.map { place, position in
            PartitionOffset(
                topicIndex: place.topicIndex,
                partition: place.partition,
                offset: position.base,
                metadata: position.metadata.text
            )
        }
    }
}
