internal import CLibrdkafka
import Glibc

/// One client of librdkafka with its topic handles and its callbacks' box.
@safe final class KafkaClient {
    private var raw: OpaquePointer?
    private var topics: [String: TopicHandle] = [:]
    private let callbacks: KafkaCallbacks
    private let isConsumer: Bool

    /// Creates a client.
    ///
    /// - Parameters:
    ///   - isConsumer: consumer or producer.
    ///   - properties: all its properties.
    ///   - callbacks: kept until the client is destroyed.
    ///   - rebalances: whether the box hears of rebalances.
    /// - Throws: `.restartProcess` when a property is unknown or invalid.
    init(
        isConsumer: Bool,
        properties: [String: String],
        callbacks: KafkaCallbacks,
        rebalances: Bool = false
    ) throws(LogError) {
        self.callbacks = callbacks
        self.isConsumer = isConsumer
        callbacks.serverCount = properties["bootstrap.servers"]?.split(separator: ",").count
        guard let conf = unsafe rd_kafka_conf_new() else {
            throw Self.configurationError("no memory for a configuration")
        }
        var words = [CChar](repeating: 0, count: 512)
        for (key, value) in properties.sorted(by: { $0.key < $1.key }) {
            let result = unsafe rd_kafka_conf_set(conf, key, value, &words, words.count)
            guard result == RD_KAFKA_CONF_OK else {
                unsafe rd_kafka_conf_destroy(conf)
                throw Self.configurationError("kafka.properties.\(key): \(KafkaError.text(words))")
            }
        }
        unsafe callbacks.register(on: conf, rebalances: rebalances)
        let type = isConsumer ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER
        guard let client = unsafe rd_kafka_new(type, conf, &words, words.count) else {
            unsafe rd_kafka_conf_destroy(conf)
            throw Self.configurationError(KafkaError.text(words))
        }
        unsafe raw = client
        // One queue for records, rebalances and errors, so that one poll serves them all.
        if isConsumer { unsafe rd_kafka_poll_set_consumer(client) }
    }

    deinit { destroy() }

    /// The client; using a closed log is a mistake of the caller.
    var handle: OpaquePointer {
        guard let raw = unsafe raw else { preconditionFailure("the log is closed") }
        return unsafe raw
    }

    /// Notes that a broker answered.
    func noteAnswer() {
        callbacks.connection.markUp()
        callbacks.lastFault = nil
    }

    /// A refusal that no waiting mends, when there was one.
    var refusal: LogError? { callbacks.refusal }

    /// What the client said on threads of its own.
    var details: KafkaFaultDetails { callbacks.details }

    /// Handle of a topic, kept as long as the client.
    func topic(_ name: String) throws(LogError) -> OpaquePointer {
        if let known = topics[name] { return unsafe known.pointer }
        guard let made = unsafe rd_kafka_topic_new(handle, name, nil) else {
            throw KafkaError.make(rd_kafka_last_error(), operation: "open topic \(name)")
        }
        topics[name] = unsafe TopicHandle(pointer: made)
        return unsafe made
    }

    /// Number of partitions of a topic as the broker tells.
    func partitionCount(of name: String, timeoutMilliseconds: Int32) throws(LogError) -> Int {
        let operation = "read the metadata of topic \(name)"
        let topic = try unsafe topic(name)
        let found = unsafe try metadata(
            of: topic,
            timeoutMilliseconds: timeoutMilliseconds,
            operation: operation
        )
        defer { unsafe rd_kafka_metadata_destroy(found) }
        guard unsafe found.pointee.topic_cnt == 1 else {
            throw KafkaError.make(RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, operation: operation)
        }
        let row = unsafe found.pointee.topics[0]
        guard unsafe row.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw unsafe KafkaError.make(row.err, operation: operation)
        }
        return unsafe Int(row.partition_cnt)
    }

    /// Asks for metadata of one topic, or of all that the broker shows us, which creates none.
    ///
    /// Asked in parts: only a poll between them brings to light why nobody answers.
    ///
    /// - Returns: the metadata, for the caller to free.
    /// - Throws: what the client said of the connection, or else a timeout.
    func metadata(
        of topic: OpaquePointer?,
        timeoutMilliseconds: Int32,
        operation: String
    ) throws(LogError) -> UnsafePointer<rd_kafka_metadata> {
        let deadline = Deadline(afterMilliseconds: Int(timeoutMilliseconds))
        // Longer each time, for brokers that take long to answer.
        var wait: Int32 = 500
        while true {
            var metadata: UnsafePointer<rd_kafka_metadata>?
            let code = unsafe rd_kafka_metadata(
                handle,
                topic == nil ? 1 : 0,
                topic,
                &metadata,
                max(1, min(wait, deadline.remainingMilliseconds))
            )
            if code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe metadata {
                noteAnswer()
                return unsafe found
            }
            // A consumer's poll would take records; its error callback runs in its own polls.
            if !isConsumer { unsafe rd_kafka_poll(handle, 0) }
            var fault = KafkaError.make(code, operation: operation)
            if let known = callbacks.refusal ?? callbacks.lastFault {
                fault = known
                fault.operation = operation
            }
            guard callbacks.refusal == nil, fault.remedy == .retry,
                deadline.remainingMilliseconds > 0
            else { throw fault }
            wait *= 2
        }
    }

    /// First and next offset of a partition as the broker tells.
    func watermarks(
        of name: String,
        partition: Int32,
        timeoutMilliseconds: Int32
    ) throws(LogError) -> Range<Int64> {
        var low: Int64 = 0
        var high: Int64 = 0
        let code = unsafe rd_kafka_query_watermark_offsets(
            handle,
            name,
            partition,
            &low,
            &high,
            timeoutMilliseconds
        )
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(code, operation: "ask for the end of \(name)/\(partition)")
        }
        callbacks.connection.markUp()
        return min(low, high)..<high
    }

    /// Replaces the assignment, by nothing when `list` is nil.
    func assign(_ list: PartitionList?) throws(LogError) {
        let code = unsafe rd_kafka_assign(handle, list?.pointer)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            throw KafkaError.make(code, operation: "change the assignment")
        }
    }

    /// Gives partitions back, in bounded time, and destroys the client.
    ///
    /// Does nothing the second time.
    func destroy() {
        guard let client = unsafe raw else { return }
        for topic in topics.values { unsafe rd_kafka_topic_destroy(topic.pointer) }
        topics.removeAll()
        callbacks.isClosing = true
        if isConsumer { unsafe closeConsumer(client) }
        unsafe raw = nil
        unsafe rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
    }

    private func closeConsumer(_ client: OpaquePointer) {
        guard let queue = unsafe rd_kafka_queue_new(client) else { return }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        // An assignment that nobody answered holds the closing up.
        unsafe rd_kafka_assign(client, nil)
        if let error = unsafe rd_kafka_consumer_close_queue(client, queue) {
            unsafe rd_kafka_error_destroy(error)
            return
        }
        let deadline = Deadline(afterMilliseconds: 8_000)
        while unsafe rd_kafka_consumer_closed(client) == 0, deadline.remainingMilliseconds > 0 {
            // As events, since the callback form stumbles over records that are still queued.
            guard let event = unsafe rd_kafka_queue_poll(queue, 50) else { continue }
            if unsafe rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE {
                unsafe rd_kafka_assign(client, nil)
            }
            unsafe rd_kafka_event_destroy(event)
        }
    }

    private static func configurationError(_ reason: String) -> LogError {
        LogError(
            remedy: .restartProcess,
            operation: "configure the Kafka client",
            code: "CONFIGURATION",
            reason: reason
        )
    }
}

/// Handle of one topic, owned by its client.
@safe private struct TopicHandle {
    let pointer: OpaquePointer
}

/// An owned list of topic partitions.
@safe final class PartitionList {
    let pointer: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>

    /// Creates an empty list with room for `capacity` partitions.
    init(capacity: Int) {
        guard let made = unsafe rd_kafka_topic_partition_list_new(Int32(clamping: capacity)) else {
            preconditionFailure("no memory for \(capacity) partitions")
        }
        unsafe pointer = made
    }

    deinit { unsafe rd_kafka_topic_partition_list_destroy(pointer) }

    /// Number of partitions.
    var count: Int { Int(unsafe pointer.pointee.cnt) }

    /// Adds a partition with an offset and metadata to commit (none when empty).
    func add(_ topic: String, _ partition: Int32, offset: Int64, metadata: String = "") {
        guard let row = unsafe rd_kafka_topic_partition_list_add(pointer, topic, partition) else {
            return
        }
        unsafe row.pointee.offset = offset
        guard !metadata.isEmpty else { return }
        // Freed with the list.
        unsafe row.pointee.metadata = unsafe UnsafeMutableRawPointer(strdup(metadata))
        unsafe row.pointee.metadata_size = metadata.utf8.count
    }

    /// One partition.
    func row(_ index: Int) -> rd_kafka_topic_partition_t {
        precondition(index >= 0 && index < count)
        return unsafe pointer.pointee.elems[index]
    }
}

extension PartitionList {
    /// Fault of the whole call or else of the first partition that has one.
    func firstFault(_ code: rd_kafka_resp_err_t) -> rd_kafka_resp_err_t? {
        if code != RD_KAFKA_RESP_ERR_NO_ERROR { return code }
        for index in 0..<count {
            let fault = unsafe row(index).err
            if fault != RD_KAFKA_RESP_ERR_NO_ERROR { return fault }
        }
        return nil
    }

    /// Offset of a partition; nil for the client's symbolic ones, such as "invalid" and "end".
    func offset(_ index: Int) -> Int64? {
        let offset = unsafe row(index).offset
        return offset < 0 ? nil : offset
    }

    /// Metadata of a partition as text, empty when there is none.
    func metadata(_ index: Int) -> String {
        let row = unsafe row(index)
        guard let start = unsafe row.metadata else { return "" }
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: row.metadata_size)
        return unsafe String(decoding: bytes, as: UTF8.self)
    }
}
