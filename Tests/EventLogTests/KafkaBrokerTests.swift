import Foundation
import TestSupport
import Testing

@testable import EventLog

/// Where the genuine broker is; says once why its tests are skipped.
enum GenuineBroker {
    static let servers: String? = {
        let found = ProcessInfo.processInfo.environment["KAFKA_BOOTSTRAP"]
        print(
            found.map { "Broker tests run on the Kafka at \($0)" }
                ?? "Broker tests skipped: KAFKA_BOOTSTRAP names no broker"
        )
        return found
    }()
}

/// What only a broker with transactions can show.
@Suite(.serialized, .enabled(if: GenuineBroker.servers != nil, "needs KAFKA_BOOTSTRAP"))
struct KafkaBrokerTests {
    private func fixture(partitions: Int, eventTopicCount: Int = 1) throws -> KafkaFixture {
        let servers = try #require(GenuineBroker.servers)
        let fixture = KafkaFixture(servers: servers, eventTopicCount: eventTopicCount)
        try fixture.createInputs(partitions: partitions)
        try retrying { () throws(LogError) in try KafkaTopics.ensure(fixture.configuration) }
        return fixture
    }

    private func startedLog(_ configuration: KafkaLogConfiguration) throws -> KafkaLog {
        var log = try KafkaLog(configuration)
        try retrying { () throws(LogError) in try log.initTransactions() }
        return log
    }

    @Test func committedWorkIsVisibleWithItsOffsets() throws {
        let fixture = try fixture(partitions: 2, eventTopicCount: 2)
        try fixture.feed(3, topicIndex: 1, partition: 1)
        var log = try startedLog(fixture.configuration)
        let assigned = try awaitAssignment(&log)
        #expect(assigned == [0, 1])
        let before = try log.committedOffsets(of: assigned)
        #expect(before.allSatisfy { $0.offset == nil })
        try log.consume(assigned)
        let records = try awaitRecords(3, &log)
        #expect(records.map(\.topicIndex) == [1, 1, 1])
        try log.beginTransaction()
        try produce(.segments, partition: nil, key: "k0", value: "decision", &log)
        try produce(.changelog, partition: 1, key: "k0", value: "row", &log)
        let sent = PartitionOffset(
            topicIndex: 1,
            partition: 1,
            offset: 3,
            metadata: "until 1970-01-01, 0x1f"
        )
        try log.sendOffsets([sent])
        try log.commitTransaction()
        // Markers follow the answer to a commit, on a new broker after a while.
        var decisions: [TextRecord] = []
        let deadline = Deadline(afterMilliseconds: 20_000)
        while decisions.isEmpty && deadline.remainingMilliseconds > 0 {
            decisions = try fixture.read(fixture.configuration.segmentsTopic)
        }
        #expect(decisions.map(\.value) == ["decision"])
        let count = try log.partitionCount(of: .changelog)
        #expect(count == 2)
        log.close()

        var next = try startedLog(fixture.configuration)
        let again = try awaitAssignment(&next)
        let after = try next.committedOffsets(of: again)
        #expect(after.filter { $0.offset != nil } == [sent])
        var batch = RecordBatch()
        try retrying { () throws(LogError) in
            try next.beginRestore(of: .changelog, partition: 1)
        }
        var rows: [TextRecord] = []
        var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
        while !progress.isComplete {
            progress = try next.restore(into: &batch, timeoutMilliseconds: 500)
            rows += batch.texts
        }
        #expect(rows.map(\.value) == ["row"])
        #expect(progress.position >= progress.target)
        next.close()
    }

    @Test func abortedWorkIsInvisibleAndTheOffsetsStay() throws {
        let fixture = try fixture(partitions: 1)
        try fixture.feed(5)
        var log = try startedLog(fixture.configuration)
        let assigned = try awaitAssignment(&log)
        let start = try log.consume(assigned)
        let first = try awaitRecords(5, &log)
        try log.beginTransaction()
        try produce(.segments, partition: 0, key: "a", value: "aborted", &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 5)])
        try log.abortTransaction()
        try log.startConsuming(from: start)
        let second = try awaitRecords(5, &log)
        #expect(second == first)
        try log.beginTransaction()
        try produce(.segments, partition: 0, key: "a", value: "committed", &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 2)])
        try log.commitTransaction()
        let seen = try fixture.read(fixture.configuration.segmentsTopic)
        #expect(seen.map(\.value) == ["committed"])
        let after = try log.committedOffsets(of: [0])
        #expect(after.map(\.offset) == [2])
        log.close()
    }

    @Test func theEndIsReachedBehindTheMarkerOfATransaction() throws {
        let fixture = try fixture(partitions: 1)
        // A shop that publishes its events in transactions.
        var shop = fixture.configuration(instance: "shop")
        shop.segmentsTopic = fixture.configuration.eventTopics[0]
        var producer = try startedLog(shop)
        try producer.beginTransaction()
        try produce(.segments, partition: 0, key: "a", value: "event", &producer)
        try producer.commitTransaction()
        producer.close()
        var log = try startedLog(fixture.configuration)
        try log.consume(try awaitAssignment(&log))
        let records = try awaitRecords(1, &log)
        #expect(records.map(\.offset) == [0])
        let end = try log.endOffset(topicIndex: 0, partition: 0)
        #expect(end == 2)
        var batch = RecordBatch()
        let limits = PollLimits(records: 10, payloadBytes: 1 << 20, lingerMilliseconds: 0)
        let deadline = Deadline(afterMilliseconds: 20_000)
        while log.reachedEnd(topicIndex: 0, partition: 0) == nil {
            guard deadline.remainingMilliseconds > 0 else { throw WaitedTooLong() }
            _ = try log.poll(into: &batch, limits: limits, timeoutMilliseconds: 100)
        }
        #expect(log.reachedEnd(topicIndex: 0, partition: 0) == end)
        log.close()
    }

    @Test func rewindsDropWhatWasFetchedAhead() throws {
        let fixture = try fixture(partitions: 1)
        try fixture.feed(5_000)
        var log = try startedLog(fixture.configuration)
        _ = try awaitAssignment(&log)
        let limits = PollLimits(records: 10, payloadBytes: 1 << 20, lingerMilliseconds: 0)
        for start in [Int64(0), 5, 3_000, 7, 2_999, 0] {
            let offset = PartitionOffset(topicIndex: 0, partition: 0, offset: start)
            try log.startConsuming(from: [offset])
            let records = try awaitRecords(50, &log, limits: limits)
            let expected = (0..<Int64(records.count)).map { start + $0 }
            #expect(records.map(\.offset) == expected)
        }
        log.close()
    }

    @Test func restoreWaitsForTheOpenTransactionOfADeadProducer() throws {
        let fixture = try fixture(partitions: 1)
        let changelog = fixture.configuration.changelogTopic
        var configuration = fixture.configuration
        configuration.properties["transaction.timeout.ms"] = "3000"
        var dead = try startedLog(configuration)
        try dead.beginTransaction()
        try produce(.changelog, partition: 0, key: "a", value: "open", &dead)
        let deadline = Deadline(afterMilliseconds: 10_000)
        while try fixture.read(changelog, uncommitted: true).isEmpty {
            try #require(deadline.remainingMilliseconds > 0)
        }
        var live = try startedLog(fixture.configuration(instance: "b"))
        try live.beginTransaction()
        try produce(.changelog, partition: 0, key: "b", value: "behind", &live)
        try live.commitTransaction()
        dead.close()
        let stable = try fixture.read(changelog)
        #expect(stable.isEmpty, "the open transaction hides what was committed behind it")
        try retrying { () throws(LogError) in
            try live.beginRestore(of: .changelog, partition: 0)
        }
        var batch = RecordBatch()
        var rows: [TextRecord] = []
        var progress = RestoreProgress(position: 0, target: 0, isComplete: false)
        let limit = Deadline(afterMilliseconds: 40_000)
        while !progress.isComplete {
            try #require(limit.remainingMilliseconds > 0)
            progress = try live.restore(into: &batch, timeoutMilliseconds: 200)
            rows += batch.texts
        }
        #expect(rows.map(\.value) == ["behind"])
        #expect(progress.target >= 3, "open record, committed record and its marker")
        live.close()
    }

    @Test func aSecondProducerOfTheSameInstanceFencesTheFirst() throws {
        let fixture = try fixture(partitions: 1)
        var first = try startedLog(fixture.configuration)
        try first.beginTransaction()
        try produce(.segments, partition: 0, key: "a", value: "zombie", &first)
        var second = try startedLog(fixture.configuration)
        var caught: LogError?
        do throws(LogError) { try first.commitTransaction() } catch { caught = error }
        #expect(caught?.isFenced == true)
        #expect(caught?.remedy == .restartProcess)
        try second.beginTransaction()
        try produce(.segments, partition: 0, key: "a", value: "heir", &second)
        try second.commitTransaction()
        let seen = try fixture.read(fixture.configuration.segmentsTopic)
        #expect(seen.map(\.value) == ["heir"])
        first.close()
        second.close()
    }

    @Test func twoLogsShareThePartitionsAndTakeThemOver() throws {
        let fixture = try fixture(partitions: 4)
        var a = try startedLog(fixture.configuration)
        var b = try startedLog(fixture.configuration(instance: "b"))
        let all = try awaitAssignment(&a)
        #expect(all == [0, 1, 2, 3])
        try a.consume(all)
        var batch = RecordBatch()
        var ofA: [Int32]?
        var ofB: [Int32]?
        var revoked: [Int32] = []
        let deadline = Deadline(afterMilliseconds: 30_000)
        while ofA == nil || ofB == nil {
            try #require(deadline.remainingMilliseconds > 0)
            switch try a.poll(into: &batch, limits: anyLimits, timeoutMilliseconds: 100) {
            case .records: break
            case .assigned(let partitions): ofA = partitions
            case .revoked(let partitions, let lost):
                revoked = partitions
                #expect(!lost)
                // Still ours: a commit made now goes through.
                try a.beginTransaction()
                try a.sendOffsets([PartitionOffset(topicIndex: 0, partition: 3, offset: 0)])
                try a.commitTransaction()
                try a.releaseAssignment()
            }
            let result = try b.poll(into: &batch, limits: anyLimits, timeoutMilliseconds: 100)
            if case .assigned(let partitions) = result { ofB = partitions }
        }
        #expect(revoked == [0, 1, 2, 3])
        let shares = (ofA ?? []) + (ofB ?? [])
        #expect(shares.sorted() == [0, 1, 2, 3])
        #expect(ofA?.count == 2)
        try a.consume(ofA ?? [])
        // The one who leaves hands everything to the other.
        b.close()
        try a.beginTransaction()
        ofA = nil
        while ofA == nil {
            try #require(deadline.remainingMilliseconds > 0)
            switch try a.poll(into: &batch, limits: anyLimits, timeoutMilliseconds: 100) {
            case .records: break
            case .assigned(let partitions): ofA = partitions
            case .revoked: try a.releaseAssignment()
            }
        }
        #expect(ofA == [0, 1, 2, 3])
        try a.abortTransaction()
        a.close()
    }
}
