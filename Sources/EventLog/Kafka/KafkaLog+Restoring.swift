internal import CLibrdkafka

extension KafkaLog {
    /// Begins to read one partition from an offset, nil for its start, up to the high watermark of
    /// this moment.
    ///
    /// - Throws: `LogError`; `.retry` while the partition has no leader or the broker is away.
    public mutating func beginRestore(
        of topic: LogTopic,
        partition: Int32,
        from offset: Int64?
    ) throws(LogError) {
        do throws(LogError) {
            try madeRestorer().begin(configuration.name(of: topic), partition, from: offset)
        } catch {
            if error.code == "_UNKNOWN_PARTITION" { try refuseGrownInput(topic, partition) }
            throw error
        }
    }

    /// The input has got more partitions while we run: waiting for those of the changelog would
    /// never end.
    private mutating func refuseGrownInput(
        _ topic: LogTopic,
        _ partition: Int32
    ) throws(LogError) {
        let count = try partitionCount(of: topic)
        guard count > 0, partition >= count else { return }
        throw KafkaTopics.keysHaveMoved(
            configuration.name(of: topic),
            changelog: count,
            input: "\(partition + 1) or more"
        )
    }

    /// First offset and high watermark of a partition of a topic that we write to.
    ///
    /// - Throws: `LogError`; `.retry` while the partition has no leader or the broker is away.
    public mutating func bounds(
        of topic: LogTopic,
        partition: Int32
    ) throws(LogError) -> Range<Int64> {
        try madeRestorer().bounds(configuration.name(of: topic), partition)
    }

    /// `delete.retention.ms` of the changelog.
    ///
    /// - Throws: `LogError`; `.restartProcess` where the broker does not let us read it.
    public mutating func tombstoneRetentionMilliseconds() throws(LogError) -> Int64 {
        try madeRestorer().retention(configuration.changelogTopic)
    }

    private mutating func madeRestorer() throws(LogError) -> KafkaRestorer {
        if let restorer { return restorer }
        let made = try KafkaRestorer(configuration)
        restorer = made
        return made
    }

    /// Reads on, up to 20,000 records or 8 MiB; waits for the first of them only.
    ///
    /// - Throws: `LogError` with `.restartProcess` when access is refused. Other faults end by
    ///   themselves and show as no progress.
    public mutating func restore(
        into batch: inout RecordBatch,
        timeoutMilliseconds: Int
    ) throws(LogError) -> RestoreProgress {
        guard let restorer else { preconditionFailure("restore before beginRestore") }
        return try restorer.read(into: &batch, timeoutMilliseconds: timeoutMilliseconds)
    }
}

/// Reads one partition at a time, from its start or an offset, to the high watermark of the
/// beginning.
///
/// Two clients, created once: the reader is read_committed, and would be told the last stable
/// offset when asked for the end, which an open transaction of a dead worker holds back. The high
/// watermark is therefore asked for by a read_uncommitted one.
final class KafkaRestorer {
    private static let recordCountMax = 20_000
    private static let payloadBytesMax = 8 << 20

    private let configuration: KafkaLogConfiguration
    private let callbacks: KafkaCallbacks
    private let reader: KafkaClient
    private let asker: KafkaClient
    private var name = ""
    private var partition: Int32 = -1
    private var progress = RestoreProgress(position: 0, target: 0, isComplete: true)

    init(_ configuration: KafkaLogConfiguration) throws(LogError) {
        self.configuration = configuration
        callbacks = KafkaCallbacks(
            connection: configuration.connection,
            onLog: configuration.onLog
        )
        reader = try KafkaClient(
            isConsumer: true,
            properties: configuration.readerProperties(readsUncommitted: false),
            callbacks: callbacks
        )
        asker = try KafkaClient(
            isConsumer: true,
            properties: configuration.readerProperties(readsUncommitted: true),
            callbacks: callbacks
        )
    }

    /// Takes the high watermark and begins at an offset, nil for the start.
    ///
    /// Whatever was under way before is dropped.
    func begin(_ topic: String, _ partition: Int32, from offset: Int64?) throws(LogError) {
        name = topic
        self.partition = partition
        try reader.assign(nil)
        let offsets = try bounds(topic, partition)
        let start = offset ?? offsets.lowerBound
        progress = RestoreProgress(
            position: start,
            target: offsets.upperBound,
            isComplete: start >= offsets.upperBound
        )
        guard !progress.isComplete else { return }
        let list = PartitionList(capacity: 1)
        list.add(topic, partition, offset: offset ?? Int64(RD_KAFKA_OFFSET_BEGINNING))
        try reader.assign(list)
    }

    /// First offset and high watermark.
    func bounds(_ topic: String, _ partition: Int32) throws(LogError) -> Range<Int64> {
        try asker.watermarks(of: topic, partition: partition, timeoutMilliseconds: 5_000)
    }

    /// `delete.retention.ms` of a topic.
    func retention(_ topic: String) throws(LogError) -> Int64 {
        let key = "delete.retention.ms"
        let value = try asker.setting(key, of: topic, timeoutMilliseconds: 5_000)
        guard let milliseconds = value.flatMap({ Int64($0) }) else {
            throw LogError(
                remedy: .restartProcess,
                operation: "read \(key) of topic \(topic)",
                code: "NO_VALUE",
                reason: value.map { "\($0) is no number" } ?? "the broker does not tell it"
            )
        }
        return milliseconds
    }

    /// Fills a batch; waits for its first record only.
    func read(
        into batch: inout RecordBatch,
        timeoutMilliseconds: Int
    ) throws(LogError) -> RestoreProgress {
        batch.removeAll()
        let handle = unsafe reader.handle
        let deadline = Deadline(afterMilliseconds: timeoutMilliseconds)
        while !progress.isComplete, batch.records.count < Self.recordCountMax,
            batch.payloadBytes < Self.payloadBytesMax
        {
            var next = unsafe rd_kafka_consumer_poll(handle, 0)
            if unsafe next == nil, batch.records.isEmpty {
                let milliseconds = deadline.remainingMilliseconds
                if milliseconds > 0 { unsafe next = rd_kafka_consumer_poll(handle, milliseconds) }
            }
            guard let message = unsafe next else { break }
            defer { unsafe rd_kafka_message_destroy(message) }
            // Left over from the partition before.
            if unsafe message.pointee.partition != partition { continue }
            let offset = unsafe message.pointee.offset
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                unsafe batch.append(message, topicIndex: 0)
                progress.position = offset + 1
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                try end(at: offset)
            case let code:
                let error = configuration.naming(
                    KafkaError.make(code, operation: "restore from \(name)"),
                    topic: name
                )
                if error.remedy == .restartProcess { throw error }
                callbacks.onLog(5, error.description)
            }
        }
        if let refusal = callbacks.refusal {
            throw configuration.naming(refusal, topic: name)
        }
        if !batch.records.isEmpty { callbacks.connection.markUp() }
        return progress
    }

    /// The end of what is stable; it counts once it has reached the target.
    private func end(at offset: Int64) throws(LogError) {
        progress.position = max(progress.position, offset)
        callbacks.connection.markUp()
        guard offset >= progress.target else { return }
        progress.isComplete = true
        try reader.assign(nil)
    }
}
