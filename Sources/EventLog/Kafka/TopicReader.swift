internal import CLibrdkafka
import Glibc

/// Reads a whole topic once, from the start to the end of the moment, for verifiers and tools.
@safe public struct TopicReader: ~Copyable {
    private let client: KafkaClient
    private let callbacks: KafkaCallbacks
    private let batchRecordCount: Int

    /// Creates a reader that joins no group and commits nothing.
    ///
    /// - Parameters:
    ///   - properties: librdkafka's own names, for example `bootstrap.servers`.
    ///   - readsUncommitted: true to see open and aborted transactions too.
    ///   - batchRecordCount: records per batch at most, 1 or more.
    /// - Throws: `LogError` with `.restartProcess` when a property is unknown or invalid.
    public init(
        properties: [String: String],
        readsUncommitted: Bool = false,
        batchRecordCount: Int = 10_000
    ) throws(LogError) {
        precondition(batchRecordCount > 0)
        callbacks = KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        let configuration = KafkaLogConfiguration(
            properties: properties,
            group: "segmentd",
            instance: "",
            eventTopics: [],
            segmentsTopic: "",
            changelogTopic: "",
            modelTopic: "",
            rejectedTopic: ""
        )
        client = try KafkaClient(
            isConsumer: true,
            properties: configuration.readerProperties(readsUncommitted: readsUncommitted),
            callbacks: callbacks
        )
        self.batchRecordCount = batchRecordCount
    }

    /// Reads every partition until its present end: for a committed reader the end of what is
    /// stable, so that an open transaction and what stands behind it are not awaited.
    ///
    /// - Parameters:
    ///   - topic: name of the topic.
    ///   - timeoutMilliseconds: how long the whole may take.
    ///   - body: gets each batch, with records of several partitions; do not keep it.
    /// - Returns: number of records read.
    /// - Throws: `LogError`; `.retry` when the time was too short or the broker is away.
    @discardableResult
    public func read(
        _ topic: String,
        timeoutMilliseconds: Int = 60_000,
        body: (RecordBatch) throws(LogError) -> Void
    ) throws(LogError) -> Int {
        let deadline = Deadline(afterMilliseconds: timeoutMilliseconds)
        let count = try client.partitionCount(of: topic, timeoutMilliseconds: 5_000)
        guard count > 0 else {
            throw KafkaError.make(
                RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                operation: "read \(topic)"
            )
        }
        let list = PartitionList(capacity: count)
        var ends: [Int32: Int64] = [:]
        for partition in 0..<Int32(count) {
            let range = try range(of: topic, partition, deadline)
            guard !range.isEmpty else { continue }
            ends[partition] = range.upperBound
            list.add(topic, partition, offset: Int64(RD_KAFKA_OFFSET_BEGINNING))
        }
        try client.assign(list)
        var batch = RecordBatch()
        var total = 0
        while !ends.isEmpty {
            try readSome(topic, into: &batch, ends: &ends, deadline: deadline)
            total += batch.records.count
            if !batch.records.isEmpty { try body(batch) }
            guard deadline.remainingMilliseconds > 0 || ends.isEmpty else {
                throw KafkaError.make(
                    RD_KAFKA_RESP_ERR__TIMED_OUT,
                    operation: "read the whole of \(topic)"
                )
            }
        }
        try client.assign(nil)
        return total
    }

    /// Offsets of a partition; a topic just created has no leader for a moment.
    private func range(
        of topic: String,
        _ partition: Int32,
        _ deadline: Deadline
    ) throws(LogError) -> Range<Int64> {
        while true {
            do throws(LogError) {
                return try client.watermarks(
                    of: topic,
                    partition: partition,
                    timeoutMilliseconds: 5_000
                )
            } catch {
                guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else {
                    throw error
                }
                usleep(50_000)
            }
        }
    }

    /// Fills one batch and strikes out the partitions whose end was reached.
    private func readSome(
        _ topic: String,
        into batch: inout RecordBatch,
        ends: inout [Int32: Int64],
        deadline: Deadline
    ) throws(LogError) {
        batch.removeAll()
        let handle = unsafe client.handle
        while batch.records.count < batchRecordCount, !ends.isEmpty {
            let wait = batch.records.isEmpty ? min(deadline.remainingMilliseconds, 1_000) : 0
            guard let message = unsafe rd_kafka_consumer_poll(handle, wait) else { break }
            defer { unsafe rd_kafka_message_destroy(message) }
            let partition = unsafe message.pointee.partition
            let offset = unsafe message.pointee.offset
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                guard let end = ends[partition] else { continue }
                if offset < end { unsafe batch.append(message, topicIndex: 0) }
                if offset + 1 >= end { ends[partition] = nil }
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                if let end = ends[partition], offset >= end { ends[partition] = nil }
            case let code:
                let error = KafkaError.make(code, operation: "read \(topic)")
                if error.remedy == .restartProcess { throw error }
            }
        }
        if let refusal = callbacks.refusal { throw refusal }
    }
}
