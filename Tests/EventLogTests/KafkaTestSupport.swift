import Foundation
import Testing

@testable import EventLog

/// A record as text, for comparisons.
struct TextRecord: Equatable {
    var topicIndex = 0
    var partition: Int32
    var offset: Int64
    var key: String?
    var value: String?
    var headers: [String: String] = [:]
}

extension RecordBatch {
    /// The records as text.
    var texts: [TextRecord] {
        records.map { record in
            var headers: [String: String] = [:]
            for header in self.headers[record.headers] {
                headers[text(header.name)] = header.value.map { text($0) } ?? "null"
            }
            return TextRecord(
                topicIndex: record.topicIndex,
                partition: record.partition,
                offset: record.offset,
                key: record.key.map { text($0) },
                value: record.value.map { text($0) },
                headers: headers
            )
        }
    }

    private func text(_ range: Range<Int>) -> String {
        String(decoding: bytes[range], as: UTF8.self)
    }
}

/// What a test needs of a broker: names of its own and a way to create topics.
struct KafkaFixture {
    let configuration: KafkaLogConfiguration

    init(servers: String, eventTopicCount: Int = 1) {
        let name = "t\(UInt32.random(in: 0...UInt32.max))"
        configuration = KafkaLogConfiguration(
            properties: ["bootstrap.servers": servers, "session.timeout.ms": "6000"],
            group: name,
            instance: "a",
            eventTopics: (0..<eventTopicCount).map { "\(name)-events-\($0)" },
            segmentsTopic: "\(name)-segments",
            changelogTopic: "\(name)-customers",
            modelTopic: "\(name)-model",
            rejectedTopic: "\(name)-rejected"
        )
    }

    /// The same group, another worker.
    func configuration(instance: String) -> KafkaLogConfiguration {
        var other = configuration
        other.instance = instance
        return other
    }

    /// Creates the input topics at a broker that has an administration.
    func createInputs(partitions: Int) throws {
        let client = try KafkaClient(
            isConsumer: false,
            properties: configuration.propertiesOfAnyClient,
            callbacks: KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        )
        let topics = configuration.eventTopics.map {
            NewTopic(name: $0, partitionCount: partitions, replicationFactor: 1, settings: [])
        }
        let refused = try client.create(topics, timeoutMilliseconds: 10_000)
        #expect(refused.isEmpty)
        // A broker may have created what it does not show yet.
        let deadline = Deadline(afterMilliseconds: 30_000)
        while deadline.remainingMilliseconds > 0 {
            let counts = try client.partitionCounts(timeoutMilliseconds: 10_000)
            if topics.allSatisfy({ counts[$0.name] == partitions }) { return }
        }
        throw WaitedTooLong()
    }

    /// Sends records whose values count up from zero, to one partition.
    func feed(_ count: Int, topicIndex: Int = 0, partition: Int32 = 0) throws {
        let feeder = try EventFeeder(properties: configuration.propertiesOfAnyClient)
        for index in 0..<count {
            let key = Array("k\(index)".utf8)
            let value = Array("\(index)".utf8)
            try feeder.send(
                topic: configuration.eventTopics[topicIndex],
                partition: partition,
                key: key.span,
                value: value.span,
                // Not a time long ago: the broker's retention would delete the records meanwhile.
                timestampMilliseconds: nil
            )
        }
        try feeder.flush(timeoutMilliseconds: 20_000)
    }

    /// All records of a topic.
    func read(_ topic: String, uncommitted: Bool = false) throws -> [TextRecord] {
        let reader = try TopicReader(
            properties: ["bootstrap.servers": configuration.properties["bootstrap.servers"] ?? ""],
            readsUncommitted: uncommitted
        )
        var found: [TextRecord] = []
        // A broker may not show at once what it has created.
        try retrying { () throws(LogError) in
            found.removeAll()
            try reader.read(topic, timeoutMilliseconds: 20_000) { found += $0.texts }
        }
        return found
    }
}

/// Gives up on a wait that the broker never ends.
struct WaitedTooLong: Error {}

/// Calls again while the remedy is to retry, for half a minute at most.
func retrying<Value>(_ body: () throws(LogError) -> Value) throws -> Value {
    let deadline = Deadline(afterMilliseconds: 30_000)
    while true {
        do throws(LogError) {
            return try body()
        } catch {
            guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else { throw error }
        }
    }
}

let anyLimits = PollLimits(records: 1_000, payloadBytes: 1 << 20, lingerMilliseconds: 50)

/// Polls until the group gives partitions.
func awaitAssignment(_ log: inout KafkaLog) throws -> [Int32] {
    var batch = RecordBatch()
    let deadline = Deadline(afterMilliseconds: 30_000)
    while deadline.remainingMilliseconds > 0 {
        let result = try log.poll(into: &batch, limits: anyLimits, timeoutMilliseconds: 200)
        if case .assigned(let partitions) = result { return partitions }
        #expect(batch.records.isEmpty, "records before the assignment was taken up")
    }
    throw WaitedTooLong()
}

/// Polls until so many records have come.
func awaitRecords(
    _ count: Int,
    _ log: inout KafkaLog,
    limits: PollLimits = anyLimits
) throws -> [TextRecord] {
    var batch = RecordBatch()
    var found: [TextRecord] = []
    let deadline = Deadline(afterMilliseconds: 30_000)
    while found.count < count, deadline.remainingMilliseconds > 0 {
        let result = try log.poll(into: &batch, limits: limits, timeoutMilliseconds: 200)
        #expect(result == .records)
        #expect(batch.records.count <= limits.records)
        found += batch.texts
    }
    guard found.count >= count else { throw WaitedTooLong() }
    return found
}

/// Adds one record of texts to the open transaction.
func produce(
    _ topic: LogTopic,
    partition: Int32?,
    key: String,
    value: String?,
    _ log: inout KafkaLog
) throws {
    let bytes = Array(key.utf8) + Array((value ?? "").utf8)
    let keyRange = 0..<key.utf8.count
    let record = ProducedRecord(
        topic: topic,
        partition: partition,
        key: keyRange,
        value: value.map { _ in keyRange.upperBound..<bytes.count }
    )
    try log.produce(record, bytes: bytes, headers: [])
}
