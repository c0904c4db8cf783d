internal import CLibrdkafka

extension KafkaLog {
    /// Fences older producers of this instance; waits for at most two seconds.
    ///
    /// - Throws: `.retry` while the brokers or their coordinator are away; calling again goes on
    ///   where the last call stopped. `.restartProcess` when access is refused.
    public mutating func initTransactions() throws(LogError) {
        let operation = "fence older producers of \(configuration.transactionalID)"
        let error = unsafe rd_kafka_init_transactions(producer.handle, 2_000)
        unsafe rd_kafka_poll(producer.handle, 0)
        if unsafe error != nil { try unsafe checkRefusal(operation: operation, freeing: error) }
        try unsafe finish(error, operation: operation)
    }

    /// Opens a transaction; no broker is asked.
    ///
    /// - Throws: `LogError` with `.restartProcess` when fenced, fatal or called out of order.
    public mutating func beginTransaction() throws(LogError) {
        try unsafe finish(
            rd_kafka_begin_transaction(producer.handle),
            operation: "begin a transaction"
        )
    }

    /// Adds one record to the open transaction; waits while the client's queue is full.
    ///
    /// - Parameters:
    ///   - record: where to, and ranges of key, value and headers.
    ///   - bytes: what the ranges point into; copied before the call returns.
    ///   - headers: what `record.headers` points into.
    /// - Throws: `LogError`: `.abortTransaction` when the transaction has failed already,
    ///   `.restartProcess` when fenced, fatal, or the record is larger than `message.max.bytes`.
    public mutating func produce(
        _ record: ProducedRecord,
        bytes: [UInt8],
        headers: [HeaderView]
    ) throws(LogError) {
        let topic = unsafe outputTopicHandles[record.topic.rawValue]
        while true {
            let error = unsafe bytes.withUnsafeBytes { source in
                unsafe arguments.produce(
                    record,
                    topic: topic,
                    source: source,
                    headers: headers,
                    to: producer.handle
                )
            }
            guard let error = unsafe error else { return }
            guard unsafe rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                let name = configuration.name(of: record.topic)
                try unsafe failInTransaction(error, operation: "produce to \(name)", topic: name)
            }
            unsafe rd_kafka_error_destroy(error)
            // Ends: what cannot be sent is given up after the transaction's timeout, and the next
            // call then tells to abort.
            unsafe rd_kafka_poll(producer.handle, 10)
            unsafe rd_kafka_flush(producer.handle, 10)
        }
    }

    /// Adds input offsets to the open transaction; waits for at most five seconds.
    ///
    /// - Throws: `LogError`: `.abortTransaction` when the group no longer knows us,
    ///   `.retry` when the coordinator is away, `.restartProcess` when fenced or fatal.
    public mutating func sendOffsets(_ offsets: [PartitionOffset]) throws(LogError) {
        let list = PartitionList(capacity: offsets.count)
        for offset in offsets {
            guard let next = offset.offset else { continue }
            list.add(
                configuration.eventTopics[offset.topicIndex],
                offset.partition,
                offset: next,
                metadata: offset.metadata
            )
        }
        let metadata = unsafe rd_kafka_consumer_group_metadata(consumer.handle)
        defer {
            if let metadata = unsafe metadata {
                unsafe rd_kafka_consumer_group_metadata_destroy(metadata)
            }
        }
        let error = unsafe rd_kafka_send_offsets_to_transaction(
            producer.handle,
            list.pointer,
            metadata,
            5_000
        )
        if let error = unsafe error {
            try unsafe failInTransaction(error, operation: "add offsets to the transaction")
        }
    }

    /// Commits the open transaction; waits for at most five seconds.
    ///
    /// - Throws: `LogError`: `.retry` when it is not known yet whether it is committed (call again:
    ///   the client goes on where it was), `.abortTransaction` when it cannot be committed,
    ///   `.restartProcess` when fenced or fatal.
    public mutating func commitTransaction() throws(LogError) {
        if let error = unsafe rd_kafka_commit_transaction(producer.handle, 5_000) {
            try unsafe failInTransaction(error, operation: "commit the transaction")
        }
        configuration.connection.markUp()
    }

    /// Aborts the open transaction; waits for at most five seconds.
    ///
    /// - Throws: `LogError`: `.retry` to call again, `.restartProcess` when fenced or fatal.
    public mutating func abortTransaction() throws(LogError) {
        try unsafe finish(
            rd_kafka_abort_transaction(producer.handle, 5_000),
            operation: "abort the transaction"
        )
        configuration.connection.markUp()
    }

    /// Number of partitions of a topic that we write to, from the broker.
    ///
    /// - Throws: `LogError` with `.retry` when there is no answer or no such topic yet.
    public mutating func partitionCount(of topic: LogTopic) throws(LogError) -> Int {
        try producer.partitionCount(
            of: configuration.name(of: topic),
            timeoutMilliseconds: 5_000
        )
    }

    private func finish(_ error: OpaquePointer?, operation: String) throws(LogError) {
        guard let error = unsafe error else { return }
        throw configuration.naming(unsafe KafkaError.take(error, operation: operation))
    }

    /// A refusal shows up as a timeout; the callback knows better.
    private func checkRefusal(operation: String, freeing error: OpaquePointer?) throws(LogError) {
        guard var refusal = callbacks.refusal ?? producer.refusal else { return }
        if let error = unsafe error { unsafe rd_kafka_error_destroy(error) }
        refusal.operation = operation
        throw configuration.naming(refusal)
    }

    /// Throws a fault inside a transaction.
    ///
    /// A producer whose transaction has failed already answers every further call with a state
    /// error; the remedy is the abort that it waits for, unless it is in a fatal state or was
    /// refused access, which an abort would hide behind an error of its own.
    private func failInTransaction(
        _ error: OpaquePointer,
        operation: String,
        topic: String? = nil
    ) throws(LogError) -> Never {
        var fault = unsafe KafkaError.take(error, operation: operation)
        var topic = topic
        if fault.code == "_STATE" || fault.code == "_PURGE_QUEUE" {
            if let fatal = unsafe KafkaError.fatal(of: producer.handle, operation: operation) {
                throw configuration.naming(fatal)
            }
            if let cause = causeOfFailure(operation: operation) {
                fault = cause
                topic = producer.details.topic
            }
            if !fault.isRefused { fault.remedy = .abortTransaction }
        }
        throw configuration.naming(
            fault,
            topic: topic ?? producer.details.topic,
            access: "Write"
        )
    }

    /// Why the open transaction has failed, nil where the client does not say.
    ///
    /// Asked to begin another one, it answers with the fault of the failed one and does nothing.
    private func causeOfFailure(operation: String) -> LogError? {
        guard let error = unsafe rd_kafka_begin_transaction(producer.handle) else { return nil }
        let cause = unsafe KafkaError.take(error, operation: operation)
        return cause.code == "_STATE" ? nil : cause
    }
}

/// The argument list of one produce call, in memory that is allocated once.
@safe final class ProduceArguments {
    private static let capacity = 7
    private let list = UnsafeMutablePointer<rd_kafka_vu_t>.allocate(capacity: capacity)
    /// Stands for an empty key or value: a null pointer would mean none.
    private let empty = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)

    init() {
        unsafe list.initialize(repeating: rd_kafka_vu_t(), count: Self.capacity)
    }

    deinit {
        unsafe list.deallocate()
        unsafe empty.deallocate()
    }

    /// Hands a record to the client, which copies it; without a timestamp, or with one below 1,
    /// that is the present.
    ///
    /// - Returns: the client's error, for the caller to free; nil when the record was taken.
    func produce(
        _ record: ProducedRecord,
        topic: OpaquePointer,
        source: UnsafeRawBufferPointer,
        headers: [HeaderView],
        timestampMilliseconds: Int64 = 0,
        to client: OpaquePointer
    ) -> OpaquePointer? {
        unsafe list[0].vtype = RD_KAFKA_VTYPE_RKT
        unsafe list[0].u.rkt = topic
        unsafe list[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS
        unsafe list[1].u.i = RD_KAFKA_MSG_F_COPY
        unsafe list[2].vtype = RD_KAFKA_VTYPE_PARTITION
        unsafe list[2].u.i32 = record.partition ?? -1
        unsafe list[3].vtype = RD_KAFKA_VTYPE_VALUE
        unsafe list[3].u.mem.ptr = start(of: record.value, in: source)
        unsafe list[3].u.mem.size = record.value?.count ?? 0
        unsafe list[4].vtype = RD_KAFKA_VTYPE_KEY
        unsafe list[4].u.mem.ptr = start(of: record.key, in: source)
        unsafe list[4].u.mem.size = record.key?.count ?? 0
        // To the client 0 is the present.
        unsafe list[5].vtype = RD_KAFKA_VTYPE_TIMESTAMP
        unsafe list[5].u.i64 = max(0, timestampMilliseconds)
        guard !record.headers.isEmpty else { return unsafe rd_kafka_produceva(client, list, 6) }
        return unsafe produceWithHeaders(headers[record.headers], source: source, to: client)
    }

    private func produceWithHeaders(
        _ headers: ArraySlice<HeaderView>,
        source: UnsafeRawBufferPointer,
        to client: OpaquePointer
    ) -> OpaquePointer? {
        let made = unsafe rd_kafka_headers_new(headers.count)
        for header in headers {
            let name = unsafe start(of: header.name, in: source)
            let value = unsafe start(of: header.value, in: source)
            // The client copies both.
            unsafe rd_kafka_header_add(
                made,
                name?.assumingMemoryBound(to: CChar.self),
                header.name.count,
                value,
                header.value?.count ?? 0
            )
        }
        unsafe list[6].vtype = RD_KAFKA_VTYPE_HEADERS
        unsafe list[6].u.headers = made
        let error = unsafe rd_kafka_produceva(client, list, 7)
        // Owned by the client once it took the record.
        if let made = unsafe made, unsafe error != nil { unsafe rd_kafka_headers_destroy(made) }
        return unsafe error
    }

    private func start(
        of range: Range<Int>?,
        in source: UnsafeRawBufferPointer
    ) -> UnsafeMutableRawPointer? {
        guard let range else { return nil }
        guard !range.isEmpty else { return unsafe empty }
        // Checked here, since the client gets a bare pointer. It only reads.
        precondition(range.lowerBound >= 0 && range.upperBound <= source.count)
        return unsafe UnsafeMutableRawPointer(
            mutating: source.baseAddress?.advanced(by: range.lowerBound)
        )
    }
}
