internal import CLibrdkafka

/// The transactional log over Kafka: one consumer of the group and one transactional producer.
///
/// The group assigns eagerly by `range`, so that equal partition numbers of all event topics come
/// together. Offsets are committed only within transactions. A rewind assigns anew with explicit
/// offsets instead of seeking: the client then drops whatever it had fetched before.
///
/// `close` and the end of the value's life leave an open transaction open: the next
/// `initTransactions` of the same instance aborts it, or else its timeout does (10 s).
///
/// Needs librdkafka 2.0.2 or newer. Brokers without read_committed isolation, such as the client
/// library's own mock cluster, do for demonstrations and not for exactly once.
///
/// Sendable although it holds pointers: a value that cannot be copied has one owner, which may hand
/// it to the engine's thread and no longer uses it then.
@safe public struct KafkaLog: ~Copyable, TransactionalLog, @unchecked Sendable {
    // Unchecked: it has one owner, who may hand it to a thread as a whole; what the client's own
    // threads call touches only the `@Sendable` log closure.
    let configuration: KafkaLogConfiguration
    let callbacks: KafkaCallbacks
    let consumer: KafkaClient
    let producer: KafkaClient
    /// Handles of the event topics, held so that a record's topic is known by its address.
    let eventTopicHandles: [OpaquePointer]
    /// Handles of the output topics by `LogTopic.rawValue`.
    let outputTopicHandles: [OpaquePointer]
    /// Arguments of one produce call, reused.
    let arguments: ProduceArguments
    /// A record that did not fit into the last batch.
    var held = HeldRecord()
    /// Offsets at which partitions were found to have no more records.
    var reachedEnds: [EventPartition: Int64] = [:]
    /// Whether the consumer has begun to join the group.
    var isSubscribed = false
    /// Clients and state of restoring.
    var restorer: KafkaRestorer?
    /// When the brokers may be probed again while they are away.
    var nextProbe = Deadline(afterMilliseconds: 0)

    /// Creates the clients; the group is joined at the first poll.
    ///
    /// - Throws: `LogError` with `.restartProcess` when a property is unknown or invalid.
    public init(_ configuration: KafkaLogConfiguration) throws(LogError) {
        precondition(!configuration.eventTopics.isEmpty, "a log needs an event topic")
        let callbacks = KafkaCallbacks(
            connection: configuration.connection,
            onLog: configuration.onLog
        )
        let consumer = try KafkaClient(
            isConsumer: true,
            properties: configuration.consumerProperties,
            callbacks: callbacks,
            rebalances: true
        )
        let producer = try KafkaClient(
            isConsumer: false,
            properties: configuration.producerProperties,
            callbacks: KafkaCallbacks(
                connection: configuration.connection,
                onLog: configuration.onLog
            )
        )
        let inputs = unsafe try Self.handles(of: configuration.eventTopics, consumer)
        let names = LogTopic.allCases.map { configuration.name(of: $0) }
        let outputs = unsafe try Self.handles(of: names, producer)
        // Assigned at the end: a value with a deinit is initialised completely or not at all.
        self.configuration = configuration
        self.callbacks = callbacks
        self.consumer = consumer
        self.producer = producer
        unsafe eventTopicHandles = inputs
        unsafe outputTopicHandles = outputs
        arguments = ProduceArguments()
    }

    deinit {
        held.dropLast()
        consumer.destroy()
        producer.destroy()
    }

    /// Frees the clients, within about 10 seconds even without brokers.
    ///
    /// A static member stays one of the group until its session ends.
    ///
    /// An open transaction stays open; commit or abort it before.
    public mutating func close() {
        held.drop()
        restorer = nil
        consumer.destroy()
        producer.destroy()
    }

    /// Joins the group, once.
    ///
    /// Not done at creation: the client joins in the background, and the group would wait for us
    /// while older producers are still being fenced.
    mutating func subscribe() throws(LogError) {
        guard !isSubscribed else { return }
        let topics = PartitionList(capacity: configuration.eventTopics.count)
        for name in configuration.eventTopics { topics.add(name, -1, offset: 0) }
        let code = unsafe rd_kafka_subscribe(consumer.handle, topics.pointer)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(code, operation: "subscribe to the event topics")
        }
        isSubscribed = true
    }

    private static func handles(
        of names: [String],
        _ client: KafkaClient
    ) throws(LogError) -> [OpaquePointer] {
        var handles: [OpaquePointer] = unsafe []
        for name in names { try unsafe handles.append(client.topic(name)) }
        return unsafe handles
    }

    /// Throws what makes waiting pointless: a fatal state of a client, or refused access.
    func checkHealth(operation: String) throws(LogError) {
        if var refusal = callbacks.refusal ?? producer.refusal {
            refusal.operation = operation
            throw configuration.naming(refusal)
        }
        if let fatal = unsafe KafkaError.fatal(of: producer.handle, operation: operation) {
            throw configuration.naming(fatal)
        }
    }
}

/// One partition of one event topic.
struct EventPartition: Hashable {
    var topicIndex: Int
    var partition: Int32
}

/// A record taken from the client that waits for the next batch.
@safe struct HeldRecord {
    private var record: UnsafeMutablePointer<rd_kafka_message_t>?

    /// Keeps a record; there is at most one.
    mutating func keep(_ message: UnsafeMutablePointer<rd_kafka_message_t>) {
        precondition(unsafe record == nil)
        unsafe record = message
    }

    /// Hands the record over.
    mutating func take() -> UnsafeMutablePointer<rd_kafka_message_t>? {
        defer { unsafe record = nil }
        return unsafe record
    }

    /// Frees the record.
    mutating func drop() {
        if let message = unsafe take() { unsafe rd_kafka_message_destroy(message) }
    }

    /// Frees the record at the end of a log's life.
    func dropLast() {
        if let message = unsafe record { unsafe rd_kafka_message_destroy(message) }
    }
}
