internal import CLibrdkafka

/// Looks for the topics of a worker and creates those that are ours.
public enum KafkaTopics {
    /// Makes sure that every topic exists with the partitions it needs.
    ///
    /// Input topics are never created. Ours are created where missing, unless the configuration
    /// forbids it: segments and changelog with the input's partitions, model and dead letters with
    /// one. Asks once and waits for nothing.
    ///
    /// - Throws: `LogError`: `.retry` when the brokers do not answer; `.restartProcess` when an
    ///   input topic is missing (`UNKNOWN_TOPIC_OR_PART`), when input topics differ in partitions
    ///   or keys have moved (`PARTITION_COUNT`), or when one of ours cannot be created (the words
    ///   name topic, partitions and settings).
    public static func ensure(_ configuration: KafkaLogConfiguration) throws(LogError) {
        let callbacks = KafkaCallbacks(
            connection: configuration.connection,
            onLog: configuration.onLog
        )
        let client = try KafkaClient(
            isConsumer: false,
            properties: configuration.propertiesOfAnyClient,
            callbacks: callbacks
        )
        let present = try client.partitionCounts(timeoutMilliseconds: 5_000)
        let inputCount = try inputPartitionCount(configuration, present)
        if let changelog = present[configuration.changelogTopic], changelog != inputCount {
            throw keysHaveMoved(
                configuration.changelogTopic,
                changelog: changelog,
                input: "\(inputCount)"
            )
        }
        let missing = needed(configuration, inputCount: inputCount).filter {
            present[$0.name] == nil
        }
        guard !missing.isEmpty else { return }
        guard configuration.createsTopics else {
            throw error(
                "UNKNOWN_TOPIC_OR_PART",
                "find the topics to write to",
                "create them, or let segmentd do it: " + describe(missing)
            )
        }
        try create(missing, configuration, client)
    }

    /// Partitions of every event topic.
    static func inputPartitionCount(
        _ configuration: KafkaLogConfiguration,
        _ present: [String: Int]
    ) throws(LogError) -> Int {
        let operation = "find the event topics"
        let missing = configuration.eventTopics.filter { present[$0] == nil }
        guard missing.isEmpty else {
            throw error(
                "UNKNOWN_TOPIC_OR_PART",
                operation,
                "no topic " + missing.joined(separator: ", ")
                    + "; create it, correct topics.events, or allow Read on it: brokers hide "
                    + "topics from those who may not read them"
            )
        }
        let counts = configuration.eventTopics.map { present[$0] ?? 0 }
        guard let first = counts.first, counts.allSatisfy({ $0 == first }) else {
            let list = zip(configuration.eventTopics, counts).map { "\($0) has \($1)" }
            throw error(
                "PARTITION_COUNT",
                operation,
                "all need the same number of partitions, but " + list.joined(separator: ", ")
            )
        }
        return first
    }

    /// What a worker says that must not begin or go on.
    static func keysHaveMoved(_ topic: String, changelog: Int, input: String) -> LogError {
        error(
            "PARTITION_COUNT",
            "use changelog topic \(topic)",
            "it has \(changelog) partitions and the input \(input), so keys have moved; "
                + "stop all workers of the group and run segmentd repartition"
        )
    }

    /// Our own topics with the settings that they are created with.
    static func needed(
        _ configuration: KafkaLogConfiguration,
        inputCount: Int
    ) -> [NewTopic] {
        let day = 86_400_000
        let replication = configuration.replicationFactor
        return [
            NewTopic(
                name: configuration.segmentsTopic,
                partitionCount: inputCount,
                replicationFactor: replication,
                settings: [
                    ("cleanup.policy", "compact"),
                    ("min.compaction.lag.ms", "\(7 * day)"),
                    ("max.compaction.lag.ms", "\(14 * day)"),
                    ("delete.retention.ms", "\(7 * day)"),
                ]
            ),
            NewTopic(
                name: configuration.changelogTopic,
                partitionCount: inputCount,
                replicationFactor: replication,
                settings: [("cleanup.policy", "compact"), ("max.compaction.lag.ms", "\(14 * day)")]
            ),
            NewTopic(
                name: configuration.modelTopic,
                partitionCount: 1,
                replicationFactor: replication,
                settings: [("cleanup.policy", "compact")]
            ),
            NewTopic(
                name: configuration.rejectedTopic,
                partitionCount: 1,
                replicationFactor: replication,
                // What was removed for an erasure leaves the disks with its segment, so that one
                // must not stay open for long.
                settings: [
                    ("cleanup.policy", "delete"), ("retention.ms", "\(7 * day)"),
                    ("segment.ms", "\(day)"),
                ]
            ),
        ]
    }

    private static func create(
        _ topics: [NewTopic],
        _ configuration: KafkaLogConfiguration,
        _ client: KafkaClient
    ) throws(LogError) {
        do throws(LogError) {
            let refused = try client.create(topics, timeoutMilliseconds: 10_000)
            guard let (topic, reason) = refused.first else { return }
            throw error("TOPIC_REFUSED", "create topic \(topic.name)", reason)
        } catch {
            guard error.remedy != .retry else { throw error }
            var fault = error
            fault.remedy = .restartProcess
            fault.reason += "; create by hand: " + describe(topics)
            throw fault
        }
    }

    private static func describe(_ topics: [NewTopic]) -> String {
        topics.map { topic in
            let settings = topic.settings.map { "\($0.key)=\($0.value)" }.joined(separator: " ")
            return "\(topic.name) (\(topic.partitionCount) partitions, \(settings))"
        }
        .joined(separator: "; ")
    }

    private static func error(_ code: String, _ operation: String, _ reason: String) -> LogError {
        LogError(remedy: .restartProcess, operation: operation, code: code, reason: reason)
    }
}

/// A topic to create.
struct NewTopic {
    var name: String
    var partitionCount: Int
    var replicationFactor: Int
    var settings: [(key: String, value: String)]
}
