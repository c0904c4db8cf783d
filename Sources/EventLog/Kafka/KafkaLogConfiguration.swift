/// Where a group that has never committed begins to read.
public enum LogStart: Sendable, Equatable {
    /// At the oldest record kept.
    case earliest
    /// Behind the newest record of the moment when the partition is first consumed.
    case latest
    /// At the first record with this timestamp or a later one, in milliseconds since 1970.
    case timestamp(Int64)
}

/// What a `KafkaLog` needs to know.
public struct KafkaLogConfiguration: Sendable {
    /// Properties of librdkafka under its own names, for example `bootstrap.servers`.
    ///
    /// What exactly once depends on (isolation, idempotence, offset storage, assignment strategy)
    /// is always set by the log itself.
    public var properties: [String: String]
    /// Consumer group.
    public var group: String
    /// Stable name of this worker; the transactional id is `group-instance`.
    public var instance: String
    /// Topics to consume, in the order of `RecordView.topicIndex`; equal partition counts.
    public var eventTopics: [String]
    /// Topic of decisions.
    public var segmentsTopic: String
    /// Topic of customer rows.
    public var changelogTopic: String
    /// Topic of models.
    public var modelTopic: String
    /// Topic of dead letters.
    public var rejectedTopic: String
    /// Where a group without committed offsets begins.
    public var start: LogStart
    /// Whether `KafkaTopics.ensure` may create our own topics.
    public var createsTopics: Bool
    /// Replication factor of created topics; -1 means the broker's default.
    public var replicationFactor: Int
    /// Takes log lines of the client: syslog level (0 to 7) and text.
    ///
    /// Called from any thread.
    public var onLog: @Sendable (Int32, String) -> Void
    /// Told when the brokers go and come back.
    public var connection: BrokerConnection

    /// Creates a configuration from its parts; topic names are used as given.
    public init(
        properties: [String: String],
        group: String,
        instance: String,
        eventTopics: [String],
        segmentsTopic: String,
        changelogTopic: String,
        modelTopic: String,
        rejectedTopic: String,
        start: LogStart = .earliest,
        createsTopics: Bool = true,
        replicationFactor: Int = -1,
        connection: BrokerConnection = BrokerConnection(),
        onLog: @escaping @Sendable (Int32, String) -> Void = { _, _ in }
    ) {
        self.properties = properties
        self.group = group
        self.instance = instance
        self.eventTopics = eventTopics
        self.segmentsTopic = segmentsTopic
        self.changelogTopic = changelogTopic
        self.modelTopic = modelTopic
        self.rejectedTopic = rejectedTopic
        self.start = start
        self.createsTopics = createsTopics
        self.replicationFactor = replicationFactor
        self.connection = connection
        self.onLog = onLog
    }

    /// The id that fences an older process of the same worker.
    public var transactionalID: String { "\(group)-\(instance)" }

    /// Name of a topic that we write to.
    func name(of topic: LogTopic) -> String {
        switch topic {
        case .segments: segmentsTopic
        case .changelog: changelogTopic
        case .model: modelTopic
        case .rejected: rejectedTopic
        }
    }
}

extension KafkaLogConfiguration {
    /// Properties that only producers understand.
    ///
    /// The client would warn about each on a consumer.
    private static let producerPrefixes = [
        "linger.ms", "batch.", "compression.", "acks", "request.required.acks", "queue.buffering.",
        "transaction", "delivery.timeout.ms", "message.timeout.ms", "message.send.max.retries",
        "retries", "partitioner", "enable.idempotence", "sticky.partitioning", "enable.gapless",
    ]
    /// Properties that only consumers understand.
    private static let consumerPrefixes = [
        "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms", "fetch.", "queued.",
        "max.partition.fetch.bytes", "auto.offset.reset", "auto.commit.", "group.",
        "isolation.level",
        "partition.assignment.strategy", "enable.auto.", "enable.partition.eof", "check.crcs",
        "coordinator.query.interval.ms", "allow.auto.create.topics",
    ]

    /// The operator's properties that a consumer understands.
    private var propertiesOfConsumers: [String: String] {
        properties.filter { key, _ in !Self.producerPrefixes.contains { key.hasPrefix($0) } }
    }

    /// Properties that every client understands.
    var propertiesOfAnyClient: [String: String] {
        propertiesOfConsumers.filter { key, _ in
            !Self.consumerPrefixes.contains { key.hasPrefix($0) }
        }
        .merging(["client.id": "segmentd"]) { given, _ in given }
    }

    /// The group's consumer.
    var consumerProperties: [String: String] {
        let defaults = [
            "client.id": "segmentd",
            "session.timeout.ms": "10000",
            "max.poll.interval.ms": "1800000",
            // A rewind waits for the fetch under way, which at the end of a partition is a long
            // poll.
            "fetch.wait.max.ms": "100",
            // An offset that retention overtook goes on at the oldest record that is left.
            "auto.offset.reset": "earliest",
        ]
        let fixed = [
            "group.id": group,
            // A static member: one that is back within the session timeout has its partitions at
            // once, and a second process of the same name makes the group refuse the older one.
            "group.instance.id": instance,
            "isolation.level": "read_committed",
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            // Where the events' producer has transactions, the last offset is that of a marker, and
            // only this tells that everything has been read.
            "enable.partition.eof": "true",
            "partition.assignment.strategy": "range",
        ]
        return defaults.merging(propertiesOfConsumers) { _, given in given }
            .merging(fixed) { _, fixed in fixed }
    }

    /// A reader that assigns partitions itself and never commits.
    func readerProperties(readsUncommitted: Bool) -> [String: String] {
        let fixed = [
            // Never joined nor committed to. The client insists on a name and looks for its
            // coordinator; access rules that name the group allow that for no other name.
            "group.id": group,
            "isolation.level": readsUncommitted ? "read_uncommitted" : "read_committed",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": "false",
            "enable.auto.offset.store": "false",
            "enable.partition.eof": "true",
            // The end of a partition is told by an answer without records, for which a broker would
            // wait half a second, twice for each partition.
            "fetch.wait.max.ms": "20",
        ]
        return propertiesOfConsumers.filter { !$0.key.hasPrefix("group.") }
            .merging(fixed) { _, fixed in fixed }
    }

    /// The transactional producer.
    var producerProperties: [String: String] {
        let defaults = [
            "client.id": "segmentd",
            "linger.ms": "5",
            "transaction.timeout.ms": "10000",
        ]
        let fixed = [
            "transactional.id": transactionalID,
            "enable.idempotence": "true",
            "partitioner": "murmur2_random",
        ]
        let given = properties.filter { key, _ in
            !Self.consumerPrefixes.contains { key.hasPrefix($0) }
        }
        return defaults.merging(given) { _, given in given }
            .merging(fixed) { _, fixed in fixed }
    }
}
