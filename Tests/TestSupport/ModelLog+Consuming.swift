public import EventLog

extension ModelLog {
    /// Where the log reads on in one partition.
    struct Position {
        var topicIndex: Int
        var place: TopicPlace
        var offset: Int64
    }

    /// A restore under way.
    struct Restoring {
        var place: TopicPlace
        var progress: RestoreProgress
    }

    /// Fills a batch or reports a change of the assignment, as `TransactionalLog` says.
    public mutating func poll(
        into batch: inout RecordBatch,
        limits: PollLimits,
        timeoutMilliseconds: Int
    ) throws(LogError) -> PollResult {
        batch.removeAll()
        return try perform(.poll) { (log) throws(LogError) in
            guard !log.isBrokerSilent else {
                log.broker.clock.sleep(milliseconds: max(0, timeoutMilliseconds))
                return .records
            }
            log.joinIfNeeded()
            for isLastTry in [false, true] {
                if let event = log.takeEvent() { return event }
                log.fill(&batch, limits)
                if !batch.records.isEmpty || isLastTry { break }
                log.broker.clock.sleep(milliseconds: max(0, timeoutMilliseconds))
            }
            return .records
        }
    }

    /// Starts, or starts again, to consume from offsets, as `TransactionalLog` says.
    public mutating func startConsuming(from offsets: [PartitionOffset]) throws(LogError) {
        try perform(.startConsuming) { (log) throws(LogError) in
            log.reachedEnds = [:]
            log.positions = offsets.map { offset in
                guard let next = offset.offset else {
                    preconditionFailure("partition \(offset.partition) is consumed from nowhere")
                }
                return Position(
                    topicIndex: offset.topicIndex,
                    place: log.place(offset.topicIndex, offset.partition),
                    offset: next
                )
            }
        }
    }

    /// Gives revoked partitions back, as `TransactionalLog` says.
    public mutating func releaseAssignment() throws(LogError) {
        try perform(.releaseAssignment) { (log) throws(LogError) in
            log.positions = []
            guard let member = log.member else { return }
            let group = log.configuration.group
            let stays = log.broker.withState { $0.groups[group]?.release(member) ?? false }
            if !stays { log.member = nil }
        }
    }

    /// Waits up to 30 seconds of virtual time while offsets are pending, then throws `.retry`.
    public mutating func committedOffsets(
        of partitions: [Int32]
    ) throws(LogError) -> [PartitionOffset] {
        try perform(.committedOffsets) { (log) throws(LogError) in
            let group = log.configuration.group
            let topics = log.configuration.eventTopics
            let places = topics.flatMap { topic in
                partitions.map { TopicPlace(topic: topic, partition: $0) }
            }
            var waits = 0
            while log.broker.withState({ $0.areOffsetsPending(of: group, in: places) }) {
                guard waits < 300 else {
                    let words = "offsets of an open transaction are pending"
                    let error = LogError(
                        remedy: .retry,
                        operation: "",
                        code: "_TIMED_OUT",
                        reason: words
                    )
                    try log.fail(error, at: .committedOffsets)
                }
                waits += 1
                log.broker.clock.sleep(milliseconds: 100)
            }
            return log.broker.withState { state in
                places.enumerated().map { index, place in
                    let stored = state.groups[group]?.committed[place]
                    return PartitionOffset(
                        topicIndex: index / partitions.count,
                        partition: place.partition,
                        offset: stored?.offset,
                        metadata: stored?.metadata ?? ""
                    )
                }
            }
        }
    }

    /// Where a group that has never committed begins, as `TransactionalLog` says.
    public mutating func startOffset(topicIndex: Int, partition: Int32) throws(LogError) -> Int64 {
        try perform(.startOffset) { (log) throws(LogError) in
            let (place, start) = (log.place(topicIndex, partition), log.configuration.start)
            return log.broker.withState { state in
                guard let found = state.topics[place.topic]?[Int(place.partition)] else {
                    preconditionFailure("no topic \(place.topic)")
                }
                switch start {
                case .earliest: return found.lowWatermark
                case .latest: return found.lastStableOffset
                case .timestamp(let time): return found.offset(from: time) ?? found.lastStableOffset
                }
            }
        }
    }

    /// End of a partition of an event topic, as `TransactionalLog` says.
    public mutating func endOffset(topicIndex: Int, partition: Int32) throws(LogError) -> Int64 {
        try perform(.endOffset) { (log) throws(LogError) in
            let place = log.place(topicIndex, partition)
            return log.broker.lastStableOffset(place.topic, partition: partition)
        }
    }

    /// The high watermark of the last poll that read the partition, nil before the first.
    public func knownEndOffset(topicIndex: Int, partition: Int32) -> Int64? {
        knownEnds[place(topicIndex, partition)]
    }

    /// Where the last poll found nothing more to read, nil before.
    public func reachedEnd(topicIndex: Int, partition: Int32) -> Int64? {
        reachedEnds[place(topicIndex, partition)]
    }

    /// Begins to read a partition up to its present high watermark, as `TransactionalLog` says.
    public mutating func beginRestore(
        of topic: LogTopic,
        partition: Int32,
        from offset: Int64?
    ) throws(LogError) {
        try perform(.beginRestore) { (log) throws(LogError) in
            let name = log.configuration.name(of: topic)
            let target = log.broker.highWatermark(name, partition: partition)
            let start = offset ?? log.broker.lowWatermark(name, partition: partition)
            log.restoring = Restoring(
                place: TopicPlace(topic: name, partition: partition),
                progress: RestoreProgress(
                    position: start,
                    target: target,
                    isComplete: start >= target
                )
            )
        }
    }

    /// The first offset kept and the present high watermark.
    public mutating func bounds(
        of topic: LogTopic,
        partition: Int32
    ) throws(LogError) -> Range<Int64> {
        try perform(.bounds) { (log) throws(LogError) in
            let name = log.configuration.name(of: topic)
            let low = log.broker.lowWatermark(name, partition: partition)
            return low..<log.broker.highWatermark(name, partition: partition)
        }
    }

    /// As the broker's settings say.
    public mutating func tombstoneRetentionMilliseconds() throws(LogError) -> Int64 {
        try perform(.tombstoneRetention) { (log) throws(LogError) in
            log.broker.settings.tombstoneRetentionMilliseconds
        }
    }

    /// Reads at most 1,000 records a call; waits once when nothing is stable.
    public mutating func restore(
        into batch: inout RecordBatch,
        timeoutMilliseconds: Int
    ) throws(LogError) -> RestoreProgress {
        batch.removeAll()
        return try perform(.restore) { (log) throws(LogError) in
            guard let restoring = log.restoring else {
                preconditionFailure("restore before beginRestore")
            }
            var progress = restoring.progress
            guard !progress.isComplete else { return progress }
            for isLastTry in [false, true] {
                log.read(restoring.place, &progress, into: &batch)
                if !batch.records.isEmpty || progress.isComplete || isLastTry { break }
                log.broker.clock.sleep(milliseconds: max(0, timeoutMilliseconds))
            }
            log.restoring?.progress = progress
            return progress
        }
    }

    private func place(_ topicIndex: Int, _ partition: Int32) -> TopicPlace {
        TopicPlace(topic: configuration.eventTopics[topicIndex], partition: partition)
    }

    private mutating func joinIfNeeded() {
        guard member == nil else { return }
        hasJoined = true
        let (group, topics) = (configuration.group, configuration.eventTopics)
        member = broker.withState { state in
            let count = state.topics[topics[0]]?.count ?? 0
            precondition(
                count > 0 && topics.allSatisfy { state.topics[$0]?.count == count },
                "event topics must exist and have equal partition counts"
            )
            return state.groups[group, default: GroupState(partitionCount: count)].join()
        }
    }

    private func takeEvent() -> PollResult? {
        guard let member else { return nil }
        let group = configuration.group
        return broker.withState { $0.groups[group]?.takeEvent(of: member) }
    }

    /// Takes records in turn from all partitions, and no more of a batch than the limits allow.
    private mutating func fill(_ batch: inout RecordBatch, _ limits: PollLimits) {
        guard let member else { return }
        let group = configuration.group
        for index in positions.indices {
            let position = positions[index]
            let room = limits.records - batch.records.count
            let bytes = limits.payloadBytes - batch.payloadBytes
            let isFirst = batch.records.isEmpty
            let found = broker.withState { state -> Fetched? in
                guard state.groups[group]?.mayConsume(member) == true else { return nil }
                return state.fetch(position, records: room, bytes: bytes, evenOne: isFirst)
            }
            guard let found else { return }
            knownEnds[position.place] = found.highWatermark
            positions[index].offset = found.position
            if found.isAtEnd { reachedEnds[position.place] = found.position }
            for record in found.records {
                batch.append(record, topicIndex: position.topicIndex)
            }
        }
        // The next batch begins with another partition, so that none starves.
        if positions.count > 1 { positions.append(positions.removeFirst()) }
    }

    private func read(
        _ place: TopicPlace,
        _ progress: inout RestoreProgress,
        into batch: inout RecordBatch
    ) {
        let position = Position(topicIndex: 0, place: place, offset: progress.position)
        let found = broker.withState { state in
            state.fetch(position, records: 1_000, bytes: Int.max, evenOne: true)
        }
        for record in found.records { batch.append(record, topicIndex: 0) }
        progress.position = found.position
        progress.isComplete = found.isAtEnd && found.position >= progress.target
    }
}

/// What one read of a partition brought.
private struct Fetched: Sendable {
    var records: [StoredRecord] = []
    var position: Int64
    var highWatermark: Int64
    /// Nothing stable is left behind the position.
    var isAtEnd = false
}

extension BrokerState {
    /// What a reader gets from a position on; `evenOne` takes a first record above the limit too.
    fileprivate func fetch(
        _ position: ModelLog.Position,
        records: Int,
        bytes: Int,
        evenOne: Bool
    ) -> Fetched {
        guard let log = topics[position.place.topic]?[Int(position.place.partition)] else {
            preconditionFailure("no topic \(position.place.topic)")
        }
        var found = Fetched(position: position.offset, highWatermark: log.highWatermark)
        var left = bytes
        while found.records.count < records {
            let (record, next) = log.next(from: found.position)
            guard let record else {
                found.position = next
                found.isAtEnd = true
                break
            }
            let isAllowedAnyway = evenOne && found.records.isEmpty
            guard isAllowedAnyway || record.payloadBytes <= left else { break }
            left -= record.payloadBytes
            found.position = next
            found.records.append(record)
        }
        return found
    }
}
