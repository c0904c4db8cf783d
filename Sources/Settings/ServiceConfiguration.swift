package import AdminServer
package import Logging
package import Segmentation

/// Everything the daemon is told, with its defaults.
///
/// Filled by `load`; each part is handed to the target that it belongs to. Nothing here is global.
package struct ServiceConfiguration: Sendable, Equatable {
    /// How the log's clocks go on at the end of a partition.
    package enum ClockAtEnd: String, Sendable, CaseIterable {
        /// With the wall clock.
        case wall
        /// Not at all: event time only.
        case hold
    }

    /// When a transaction ends.
    package struct Commit: Sendable, Equatable {
        /// Longest time between commits, in milliseconds; the interval adapts between the two.
        package var intervalMaximumMilliseconds: Int64 = 100
        /// Shortest time between commits, in milliseconds.
        package var intervalMinimumMilliseconds: Int64 = 10
        /// Input records at most.
        package var records = 20_000
        /// Rows looked at between two polls because they are due, at most.
        package var dueRows = 2_000
        /// Input bytes at most.
        package var bytes = 8 * 1_048_576
    }

    /// The local copies of the rows.
    package struct Checkpoint: Sendable, Equatable {
        /// Time between the starts of two, in milliseconds; nil keeps none.
        package var intervalMilliseconds: Int64? = 600_000
        /// Rows copied between two transactions, at most.
        package var rows = 2_000
    }

    /// What the core is told.
    package var segmentation = SegmentationConfiguration()
    /// How Kafka is reached, and the topics.
    package var kafka = KafkaSettings()
    /// When a transaction ends.
    package var commit = Commit()
    /// Where health, metrics and questions are answered.
    package var admin = AdminConfiguration()
    /// The local copies of the rows, in the folder below.
    package var checkpoint = Checkpoint()
    /// Folder for files that may be lost at any time.
    package var stateDirectory = "/var/lib/segmentd"
    /// How a partition's clock goes on once its end has been reached.
    package var clockAtEnd = ClockAtEnd.wall
    /// How log lines look.
    package enum LogFormat: String, Sendable, CaseIterable {
        /// Level, words, key=value.
        case text
        /// One JSON object a line.
        case json
    }

    /// What is logged.
    package var logLevel = Logger.Level.info
    /// How log lines look.
    package var logFormat = LogFormat.text
    /// Credentials that the file names and that nobody has handed over.
    package var missingCredentials: [String] = []
    /// Whether `model.learning` was written rather than left to its default: `--model` switches
    /// learning off unless it was.
    package var isLearningExplicit = false
    /// Name of `calendar.timezone`.
    package var timeZone = "UTC"
}

/// How Kafka is reached, and the topics, before the Kafka client takes them over.
package struct KafkaSettings: Sendable, Equatable {
    /// A librdkafka property.
    package enum Property: Sendable, Equatable {
        /// Shown in logs.
        case plain(String)
        /// Never shown.
        case secret(Secret)

        /// The value for the client.
        package var value: String {
            switch self {
            case .plain(let text): text
            case .secret(let secret): secret.reveal()
            }
        }
    }

    /// Where a group begins that has never committed.
    package enum Start: Sendable, Equatable {
        case earliest
        case latest
        /// At the first record of that time or later, in milliseconds since 1970.
        case time(Int64)
    }

    /// librdkafka properties by their own names.
    package var properties: [String: Property] = [:]
    /// Consumer group; part of the transactional id and of the names of our own topics.
    package var group = "segmentd"
    /// Name of this worker within the group, stable over restarts; part of the transactional id.
    package var instance = "1"
    /// Where a group begins that has never committed.
    package var start = Start.earliest
    /// Input topics.
    package var eventTopics = ["customer-events"]
    /// Output topic.
    package var segmentsTopic = "customer-segments"
    /// Dead letters; nil is `segmentd-<group>-rejected`.
    package var rejectedTopic: String?

    /// Topic of dead letters.
    package var rejectedTopicName: String { rejectedTopic ?? "segmentd-\(group)-rejected" }
    /// Topic of customer rows.
    package var changelogTopicName: String { "segmentd-\(group)-customers" }
    /// Topic of models.
    package var modelTopicName: String { "segmentd-\(group)-model" }

    /// Properties that segmentd sets itself, with what to write instead; exactly-once rests on
    /// them.
    package static let ownProperties: [String: String] = [
        "group.id": "kafka.group",
        "group.instance.id": "kafka.instance", "transactional.id": "kafka.group and kafka.instance",
        "auto.offset.reset": "kafka.start", "enable.auto.commit": "", "auto.commit.interval.ms": "",
        "enable.auto.offset.store": "", "isolation.level": "", "enable.idempotence": "",
        "enable.partition.eof": "", "partition.assignment.strategy": "", "partitioner": "",
        "enable.gapless.guarantee": "", "group.protocol": "",
    ]
}
