import AdminServer
import Logging
import Segmentation

/// Everything the daemon is told, with its defaults.
///
/// Filled by `load`; each part is handed to the target that it belongs to. Nothing here is global.
struct ServiceConfiguration: Sendable, Equatable {
    /// How the log's clocks go on at the end of a partition.
    enum ClockAtEnd: String, Sendable, CaseIterable {
        /// With the wall clock.
        case wall
        /// Not at all: event time only.
        case hold
    }

    /// When a transaction ends.
    struct Commit: Sendable, Equatable {
        /// Longest time between commits, in milliseconds; the interval adapts between the two.
        var intervalMaximumMilliseconds: Int64 = 100
        /// Shortest time between commits, in milliseconds.
        var intervalMinimumMilliseconds: Int64 = 10
        /// Input records at most.
        var records = 20_000
        /// Input bytes at most.
        var bytes = 8 * 1_048_576
    }

    /// What the core is told.
    var segmentation = SegmentationConfiguration()
    /// How Kafka is reached, and the topics.
    var kafka = KafkaSettings()
    /// When a transaction ends.
    var commit = Commit()
    /// Where health, metrics and questions are answered.
    var admin = AdminConfiguration()
    /// Folder for files that may be lost at any time.
    var stateDirectory = "/var/lib/segmentd"
    /// How a partition's clock goes on once its end has been reached.
    var clockAtEnd = ClockAtEnd.wall
    /// How far a partition's clock passes a due moment before its timer fires, in milliseconds.
    var churnLatenessMilliseconds: Int64 = 3_600_000
    /// Horizon over which risks are calibrated, in milliseconds; nil is `churn.horizon_days`.
    ///
    /// Read by a later version.
    var churnCalibrationHorizonMilliseconds: Int64?
    /// What is logged.
    var logLevel = Logger.Level.info
    /// Whether `model.learning` was written rather than left to its default: `--model` switches
    /// learning off unless it was.
    var isLearningExplicit = false
    /// Name of `calendar.timezone`.
    var timeZone = "UTC"
}

/// How Kafka is reached, and the topics, before the Kafka client takes them over.
struct KafkaSettings: Sendable, Equatable {
    /// A librdkafka property.
    enum Property: Sendable, Equatable {
        /// Shown in logs.
        case plain(String)
        /// Never shown.
        case secret(Secret)

        /// The value for the client.
        var value: String {
            switch self {
            case .plain(let text): text
            case .secret(let secret): secret.reveal()
            }
        }
    }

    /// Where a group begins that has never committed.
    enum Start: Sendable, Equatable {
        case earliest
        case latest
        /// At the first record of that time or later, in milliseconds since 1970.
        case time(Int64)
    }

    /// librdkafka properties by their own names.
    var properties: [String: Property] = [:]
    /// Consumer group; part of the transactional id and of the names of our own topics.
    var group = "segmentd"
    /// Name of this worker within the group, stable over restarts; part of the transactional id.
    var instance = "1"
    /// Where a group begins that has never committed.
    var start = Start.earliest
    /// Input topics.
    var eventTopics = ["customer-events"]
    /// Output topic.
    var segmentsTopic = "customer-segments"
    /// Dead letters; nil is `segmentd-<group>-rejected`.
    var rejectedTopic: String?

    /// Topic of dead letters.
    var rejectedTopicName: String { rejectedTopic ?? "segmentd-\(group)-rejected" }
    /// Topic of customer rows.
    var changelogTopicName: String { "segmentd-\(group)-customers" }
    /// Topic of models.
    var modelTopicName: String { "segmentd-\(group)-model" }

    /// Properties that segmentd sets itself, with what to write instead; exactly-once rests on
    /// them.
    static let ownProperties: [String: String] = [
        "group.id": "kafka.group",
        "group.instance.id": "kafka.instance", "transactional.id": "kafka.group and kafka.instance",
        "auto.offset.reset": "kafka.start", "enable.auto.commit": "", "auto.commit.interval.ms": "",
        "enable.auto.offset.store": "", "isolation.level": "", "enable.idempotence": "",
        "enable.partition.eof": "", "partition.assignment.strategy": "", "partitioner": "",
        "enable.gapless.guarantee": "", "group.protocol": "",
    ]
}
