internal import CLibrdkafka

/// A plain producer for demonstrations, tests and tools: no transaction, one record a call.
///
/// Sendable although it holds a pointer: librdkafka's producer may be used from any thread.
@safe public struct EventFeeder: ~Copyable, @unchecked Sendable {
    // Unchecked: owned by one thread at a time, as a value that cannot be copied.
    private let client: KafkaClient
    private let callbacks: KafkaCallbacks
    private let arguments = FeedArguments()

    /// Creates a producer that places keys as Java clients do (murmur2) and acknowledges by all
    /// replicas, unless the properties say otherwise.
    ///
    /// - Parameter properties: librdkafka's own names, for example `bootstrap.servers`.
    /// - Throws: `LogError` with `.restartProcess` when a property is unknown or invalid.
    public init(properties: [String: String]) throws(LogError) {
        let defaults = [
            "linger.ms": "5",
            "partitioner": "murmur2_random",
            "enable.idempotence": "true",
            "queue.buffering.max.messages": "200000",
        ]
        callbacks = KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        client = try KafkaClient(
            isConsumer: false,
            properties: defaults.merging(properties) { _, given in given },
            callbacks: callbacks
        )
    }

    /// Adds one record; waits while the queue is full.
    ///
    /// - Parameters:
    ///   - topic: name of the topic.
    ///   - partition: partition, or nil to let the key decide.
    ///   - key: key, nil for none.
    ///   - value: value, copied before the call returns.
    ///   - timestampMilliseconds: record timestamp since 1970, nil for now.
    /// - Throws: `LogError`; `.restartProcess` when the record is refused for good.
    public func send(
        topic: String,
        partition: Int32?,
        key: Span<UInt8>?,
        value: Span<UInt8>,
        timestampMilliseconds: Int64?
    ) throws(LogError) {
        let handle = try unsafe client.topic(topic)
        while true {
            let error = unsafe value.withUnsafeBytes { value in
                guard let key else {
                    return unsafe arguments.send(
                        handle,
                        partition,
                        nil,
                        value,
                        timestampMilliseconds,
                        client.handle
                    )
                }
                return unsafe key.withUnsafeBytes { key in
                    unsafe arguments.send(
                        handle,
                        partition,
                        key,
                        value,
                        timestampMilliseconds,
                        client.handle
                    )
                }
            }
            guard let error = unsafe error else { return }
            guard unsafe rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw unsafe KafkaError.take(error, operation: "send to \(topic)")
            }
            unsafe rd_kafka_error_destroy(error)
            unsafe rd_kafka_poll(client.handle, 10)
            if let refusal = callbacks.refusal { throw refusal }
            unsafe rd_kafka_flush(client.handle, 10)
        }
    }

    /// Waits until every record is acknowledged.
    ///
    /// - Throws: `LogError` with `.retry` when some are still under way after the time.
    public func flush(timeoutMilliseconds: Int) throws(LogError) {
        let code = unsafe rd_kafka_flush(client.handle, Int32(clamping: timeoutMilliseconds))
        if let refusal = callbacks.refusal { throw refusal }
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            throw KafkaError.make(code, operation: "send the queued records")
        }
    }
}

/// The argument list of one send, allocated once.
@safe private final class FeedArguments {
    private let list = UnsafeMutablePointer<rd_kafka_vu_t>.allocate(capacity: 6)
    /// Stands for an empty value: a null pointer would mean a tombstone.
    private let empty = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)

    init() {
        unsafe list.initialize(repeating: rd_kafka_vu_t(), count: 6)
    }

    deinit {
        unsafe list.deallocate()
        unsafe empty.deallocate()
    }

    /// Hands a record to the client; returns its error for the caller to free.
    func send(
        _ topic: OpaquePointer,
        _ partition: Int32?,
        _ key: UnsafeRawBufferPointer?,
        _ value: UnsafeRawBufferPointer,
        _ timestamp: Int64?,
        _ client: OpaquePointer
    ) -> OpaquePointer? {
        unsafe list[0].vtype = RD_KAFKA_VTYPE_RKT
        unsafe list[0].u.rkt = topic
        unsafe list[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS
        unsafe list[1].u.i = RD_KAFKA_MSG_F_COPY
        unsafe list[2].vtype = RD_KAFKA_VTYPE_PARTITION
        unsafe list[2].u.i32 = partition ?? -1
        unsafe list[3].vtype = RD_KAFKA_VTYPE_VALUE
        unsafe list[3].u.mem.ptr = pointer(value)
        unsafe list[3].u.mem.size = value.count
        unsafe list[4].vtype = RD_KAFKA_VTYPE_KEY
        unsafe list[4].u.mem.ptr = key.map { unsafe pointer($0) }
        unsafe list[4].u.mem.size = key?.count ?? 0
        unsafe list[5].vtype = RD_KAFKA_VTYPE_TIMESTAMP
        unsafe list[5].u.i64 = timestamp ?? 0
        return unsafe rd_kafka_produceva(client, list, 6)
    }

    private func pointer(_ bytes: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer {
        unsafe bytes.count == 0
            ? empty : UnsafeMutableRawPointer(mutating: bytes.baseAddress) ?? empty
    }
}
