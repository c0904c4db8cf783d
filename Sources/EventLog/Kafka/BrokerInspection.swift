internal import CLibrdkafka
import Glibc

/// Looks whether a worker could run against the brokers, and changes nothing there.
///
/// ```
///     reachable -> topics, settings -> read access, keys -> transactional id, group, write access
/// ```
///
/// No record is written, no offset committed, no group joined, no topic created. Write access is
/// asked for by adding partitions to a transaction that is aborted before any record is sent, under
/// an id of its own, `<group>-check`: of that, the topics keep one marker each, which no reader
/// sees. The worker's own transactional id is asked for with a timeout that brokers refuse after
/// they have looked at the access and before they fence anybody, and only while the group has no
/// members.
public struct BrokerInspection: ~Copyable {
    let configuration: KafkaLogConfiguration
    let client: KafkaClient
    let reader: KafkaClient
    /// What was found so far.
    var findings: [InspectionFinding] = []
    private let report: (InspectionFinding) -> Void

    /// Creates the clients, which connect when they are first asked.
    ///
    /// - Parameters:
    ///   - configuration: as the worker has it.
    ///   - report: told every finding at once.
    /// - Throws: `LogError` with `.restartProcess` when a property is unknown or invalid.
    public init(
        _ configuration: KafkaLogConfiguration,
        report: @escaping (InspectionFinding) -> Void
    ) throws(LogError) {
        let client = try KafkaClient(
            isConsumer: false,
            properties: configuration.propertiesOfAnyClient,
            callbacks: KafkaCallbacks(
                connection: configuration.connection,
                onLog: configuration.onLog
            )
        )
        let reader = try KafkaClient(
            isConsumer: true,
            properties: configuration.readerProperties(readsUncommitted: false),
            callbacks: KafkaCallbacks(
                connection: configuration.connection,
                onLog: configuration.onLog
            )
        )
        self.configuration = configuration
        self.client = client
        self.reader = reader
        self.report = report
    }

    /// Looks at everything; takes some seconds, up to a minute when brokers are slow.
    ///
    /// - Returns: every finding, in order.
    public mutating func run() -> [InspectionFinding] {
        let present: [String: Int]
        do throws(LogError) {
            present = try client.partitionCounts(timeoutMilliseconds: 10_000)
        } catch {
            note(.problem, "brokers", error.description)
            return findings
        }
        let servers = configuration.properties["bootstrap.servers", default: ""]
        note(.ok, "brokers", "\(servers) answer")
        let inputCount = inspectInputs(present)
        inspectOwnTopics(present, inputCount: inputCount)
        var all = KeySample()
        for topic in configuration.eventTopics {
            if let count = present[topic] { sampleKeys(of: topic, partitions: count, &all) }
        }
        if configuration.eventTopics.count > 1, all.scatteredCount > 0 {
            all.findings("all input topics").filter { $0.grade == .problem }.forEach { add($0) }
        }
        for topic in ownTopics.map(\.name) where topic != configuration.segmentsTopic {
            guard present[topic] != nil, topic != configuration.rejectedTopic else { continue }
            inspectReading(of: topic)
        }
        inspectTransactions(present)
        return findings
    }

    /// Our own topics as they would be created.
    var ownTopics: [NewTopic] { KafkaTopics.needed(configuration, inputCount: 1) }

    mutating func note(_ grade: InspectionFinding.Grade, _ subject: String, _ text: String) {
        add(InspectionFinding(grade, subject, text))
    }

    mutating func add(_ finding: InspectionFinding) {
        findings.append(finding)
        report(finding)
    }

    /// Input topics are there, with equal numbers of partitions.
    ///
    /// - Returns: their number of partitions, nil where it is not known.
    private mutating func inspectInputs(_ present: [String: Int]) -> Int? {
        for topic in configuration.eventTopics {
            let subject = "topic \(topic)"
            guard let count = present[topic] else {
                note(
                    .problem,
                    subject,
                    "is not there, or hidden: create it, correct topics.events, or allow Read on it"
                )
                continue
            }
            note(.ok, subject, "\(count) partition\(count == 1 ? "" : "s")")
            // It is the owner's: lacking access to its settings is nothing to talk of.
            if let policy = cleanupPolicy(of: topic), policy.contains("compact") {
                note(
                    .warning,
                    subject,
                    "cleanup.policy is \(policy): events that are compacted away before they are "
                        + "read are lost; delete is right for events"
                )
            }
        }
        do throws(LogError) {
            return try KafkaTopics.inputPartitionCount(configuration, present)
        } catch {
            if error.code == "PARTITION_COUNT" {
                note(.problem, "topics.events", error.reason)
            }
            return nil
        }
    }

    private func cleanupPolicy(of topic: String) -> String? {
        do throws(LogError) {
            return try client.settings(of: topic, timeoutMilliseconds: 10_000)["cleanup.policy"]
        } catch {
            configuration.onLog(7, error.description)
            return nil
        }
    }

    /// Our own topics are there as they have to be, or may be created.
    private mutating func inspectOwnTopics(_ present: [String: Int], inputCount: Int?) {
        var missing: [NewTopic] = []
        for topic in KafkaTopics.needed(configuration, inputCount: inputCount ?? 1) {
            guard let count = present[topic.name] else {
                missing.append(topic)
                continue
            }
            if topic.name == configuration.changelogTopic, let inputCount, count != inputCount {
                let error = KafkaTopics.keysHaveMoved(
                    topic.name,
                    changelog: count,
                    input: "\(inputCount)"
                )
                note(.problem, "topic \(topic.name)", error.reason)
            } else {
                note(.ok, "topic \(topic.name)", "\(count) partition\(count == 1 ? "" : "s")")
            }
            inspectSettings(of: topic)
        }
        if !missing.isEmpty { inspectCreation(of: missing, inputCount: inputCount) }
    }

    /// Whether missing topics may be created, by a request that only validates.
    private mutating func inspectCreation(of topics: [NewTopic], inputCount: Int?) {
        guard configuration.createsTopics else {
            for topic in topics { note(.problem, "topic \(topic.name)", "is not there") }
            return
        }
        do throws(LogError) {
            let refused = try client.create(
                topics,
                timeoutMilliseconds: 10_000,
                onlyValidates: true
            )
            for topic in topics {
                let reason = refused.first { $0.0.name == topic.name }?.1
                note(
                    reason == nil ? .ok : .problem,
                    "topic \(topic.name)",
                    reason.map { "is not there, or hidden, and may not be created: \($0)" }
                        ?? "is not there; the first start creates it"
                )
            }
        } catch {
            for topic in topics {
                note(.problem, "topic \(topic.name)", "is not there; " + error.description)
            }
        }
    }

    /// Settings of one of our own topics against those that it would be created with.
    private mutating func inspectSettings(of topic: NewTopic) {
        let subject = "topic \(topic.name)"
        guard let found = settings(of: topic.name) else { return }
        var isFine = true
        for (key, wanted) in topic.settings {
            guard let value = found[key], value != wanted else { continue }
            let verdict = SettingVerdict(
                key,
                value,
                wanted: wanted,
                holdsState: topic.name != configuration.segmentsTopic
            )
            guard let verdict else { continue }
            isFine = false
            note(
                verdict.grade,
                subject,
                "\(key) is \(value) and should be \(wanted): \(verdict.reason)"
            )
        }
        if isFine { note(.ok, subject, "settings as they have to be") }
    }

    /// Settings of a topic, nil where we may not see them, which is said.
    private mutating func settings(of topic: String) -> [String: String]? {
        do throws(LogError) {
            return try client.settings(of: topic, timeoutMilliseconds: 10_000)
        } catch {
            let consequence =
                topic == configuration.changelogTopic
                ? ": every restart reads the whole changelog, although there are checkpoints" : ""
            note(
                .warning,
                "topic \(topic)",
                error.code == "TOPIC_AUTHORIZATION_FAILED"
                    ? "settings are not shown to us; DescribeConfigs on it is needed" + consequence
                    : error.description
            )
            return nil
        }
    }
}

/// What it means that a setting is another one than at creation.
private struct SettingVerdict {
    var grade: InspectionFinding.Grade
    var reason: String

    /// Nil where the other value does as well.
    init?(_ key: String, _ value: String, wanted: String, holdsState: Bool) {
        // -1 means without end.
        let number = Int64(value).map { $0 < 0 ? Int64.max : $0 }
        let limit = Int64(wanted) ?? 0
        switch key {
        case "cleanup.policy" where wanted == "compact" && !value.contains("compact"):
            self.init(.problem, "what is older than retention.ms would be lost")
        case "cleanup.policy" where wanted == "compact" && holdsState:
            self.init(.problem, "state older than retention.ms would be lost")
        case "cleanup.policy" where wanted == "compact":
            self.init(.warning, "readers that start over miss decisions older than retention.ms")
        case "cleanup.policy" where !value.contains("delete"):
            self.init(.warning, "dead letters stay for ever, and rejected purge is refused")
        case "min.compaction.lag.ms":
            guard number.map({ $0 < limit }) ?? true else { return nil }
            self.init(.warning, "readers that were away miss transitions in between")
        case "max.compaction.lag.ms":
            guard number.map({ $0 > limit }) ?? true else { return nil }
            self.init(.warning, "erased customers may stay on the disks for longer")
        case "delete.retention.ms":
            guard number.map({ $0 < limit }) ?? true else { return nil }
            self.init(.warning, "readers that were away miss erasures")
        case "retention.ms", "segment.ms":
            guard number.map({ $0 > limit }) ?? true else { return nil }
            self.init(.warning, "dead letters, which are personal data, stay for longer")
        default: return nil
        }
    }

    private init(_ grade: InspectionFinding.Grade, _ reason: String) {
        self.grade = grade
        self.reason = reason
    }
}
