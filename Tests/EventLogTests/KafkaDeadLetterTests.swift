import Testing

@testable import EventLog

/// Removing dead letters, which only a genuine broker can show.
@Suite(.serialized, .enabled(if: GenuineBroker.servers != nil, "needs KAFKA_BOOTSTRAP"))
struct KafkaDeadLetterTests {
    private func fixture() throws -> KafkaFixture {
        let fixture = KafkaFixture(servers: try #require(GenuineBroker.servers))
        try fixture.createInputs(partitions: 1)
        try retrying { () throws(LogError) in try KafkaTopics.ensure(fixture.configuration) }
        return fixture
    }

    private func opened(_ fixture: KafkaFixture) throws -> KafkaDeadLetters {
        var topic = try KafkaDeadLetters(fixture.configuration)
        try topic.fence()
        return topic
    }

    private func fill(_ fixture: KafkaFixture) throws {
        let feeder = try EventFeeder(properties: fixture.configuration.propertiesOfAnyClient)
        for (index, key) in ["a", "b", nil, "c"].enumerated() {
            let bytes = key.map { Array($0.utf8) }
            let value = Array("value \(index)".utf8)
            // Not so long ago that retention would take them.
            let time = WallClock.milliseconds() - 1_000_000 + Int64(index)
            if let bytes {
                try feeder.send(
                    topic: fixture.configuration.rejectedTopic,
                    partition: 0,
                    key: bytes.span,
                    value: value.span,
                    timestampMilliseconds: time
                )
            } else {
                try feeder.send(
                    topic: fixture.configuration.rejectedTopic,
                    partition: 0,
                    key: nil,
                    value: value.span,
                    timestampMilliseconds: time
                )
            }
        }
        try feeder.flush(timeoutMilliseconds: 20_000)
    }

    private func readAll(_ topic: inout KafkaDeadLetters) throws -> [RecordBatch] {
        try topic.beginReading(partition: 0)
        var batches: [RecordBatch] = []
        let deadline = Deadline(afterMilliseconds: 30_000)
        while true {
            try #require(deadline.remainingMilliseconds > 0)
            var batch = RecordBatch()
            let progress = try topic.read(into: &batch)
            batches.append(batch)
            if progress.isComplete { return batches }
        }
    }

    @Test func copiesKeepKeyValueAndTimestampAndTheBeginningGoes() throws {
        let fixture = try fixture()
        try fill(fixture)
        var topic = try opened(fixture)
        #expect(try topic.partitionCount() == 1)
        #expect(try topic.setting("cleanup.policy") == "delete")
        #expect(try topic.setting("segment.ms") == "86400000")
        let before = try readAll(&topic)
        let times = before.flatMap(\.records).map(\.timestampMilliseconds)
        for batch in before where !batch.records.isEmpty {
            let others = batch.records.filter { [0, 2].contains($0.offset) }
            try topic.append(copiesOf: others, in: batch)
        }
        try topic.delete(partition: 0, before: 3)
        let after = try readAll(&topic)
        let texts = after.flatMap(\.texts)
        #expect(texts.map(\.value) == ["value 3", "value 0", "value 2"])
        #expect(texts.map(\.key) == ["c", "a", nil])
        let copied = after.flatMap(\.records).map(\.timestampMilliseconds)
        #expect(copied == [times[3], times[0], times[2]])
        // Nobody else is given them either.
        let seen = try fixture.read(fixture.configuration.rejectedTopic, uncommitted: true)
        #expect(seen.map(\.value) == ["value 3", "value 0", "value 2"])
    }

    @Test func anotherRunFencesThisOne() throws {
        let fixture = try fixture()
        try fill(fixture)
        var first = try opened(fixture)
        let batches = try readAll(&first)
        let second = try opened(fixture)
        var caught: LogError?
        do throws(LogError) {
            for batch in batches where !batch.records.isEmpty {
                try first.append(copiesOf: batch.records, in: batch)
            }
        } catch { caught = error }
        #expect(caught?.isFenced == true)
        let seen = try fixture.read(fixture.configuration.rejectedTopic)
        #expect(seen.count == 4)
        _ = consume second
    }

    @Test func aTopicThatIsNotThereIsNotCreated() throws {
        let fixture = KafkaFixture(servers: try #require(GenuineBroker.servers))
        var caught: LogError?
        do throws(LogError) {
            _ = try KafkaDeadLetters(fixture.configuration)
        } catch { caught = error }
        #expect(caught?.remedy == .restartProcess)
        #expect(caught?.reason == "no topic \(fixture.configuration.rejectedTopic)")
    }

    @Test func aCompactedTopicIsRefusedByTheBroker() throws {
        let fixture = try fixture()
        var compacted = fixture.configuration
        compacted.rejectedTopic = fixture.configuration.modelTopic
        var topic = try KafkaDeadLetters(compacted)
        var caught: LogError?
        do throws(LogError) { try topic.delete(partition: 0, before: 0) } catch { caught = error }
        #expect(caught?.code == "POLICY_VIOLATION")
    }
}
