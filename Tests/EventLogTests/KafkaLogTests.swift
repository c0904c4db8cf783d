import TestSupport
import Testing

@testable import EventLog

/// What librdkafka's mock cluster can show: order of calls, bytes and placement.
@Suite(.serialized)
struct KafkaLogTests {
    /// Begins a fixture on a cluster with all topics.
    private func fixture(_ cluster: borrowing EmbeddedCluster) throws -> KafkaFixture {
        let fixture = KafkaFixture(servers: cluster.bootstrapServers, eventTopicCount: 2)
        let configuration = fixture.configuration
        for name in configuration.eventTopics { try cluster.createTopic(name, partitions: 2) }
        try cluster.createTopic(configuration.segmentsTopic, partitions: 2)
        try cluster.createTopic(configuration.changelogTopic, partitions: 2)
        try cluster.createTopic(configuration.modelTopic, partitions: 1)
        try cluster.createTopic(configuration.rejectedTopic, partitions: 1)
        return fixture
    }

    @Test func callsInOrderCarryRecordsThroughTheMock() throws {
        let cluster = try EmbeddedCluster()
        let fixture = try fixture(cluster)
        let configuration = fixture.configuration
        try KafkaTopics.ensure(configuration)
        try fixture.feed(3, topicIndex: 0, partition: 0)
        try fixture.feed(2, topicIndex: 1, partition: 1)
        var log = try KafkaLog(configuration)
        try retrying { () throws(LogError) in try log.initTransactions() }
        let assigned = try awaitAssignment(&log)
        #expect(assigned == [0, 1])
        let offsets = try log.committedOffsets(of: assigned)
        #expect(offsets.map(\.topicIndex) == [0, 0, 1, 1])
        #expect(offsets.map(\.partition) == [0, 1, 0, 1])
        #expect(offsets.allSatisfy { $0.offset == nil && $0.metadata.isEmpty })
        let count = try log.partitionCount(of: .changelog)
        #expect(count == 2)
        var batch = RecordBatch()
        try log.beginRestore(of: .changelog, partition: 1)
        let restored = try log.restore(into: &batch, timeoutMilliseconds: 10)
        #expect(restored == RestoreProgress(position: 0, target: 0, isComplete: true))
        let unknown = log.knownEndOffset(topicIndex: 0, partition: 0)
        #expect(unknown == nil)
        try log.consume(assigned)
        let records = try awaitRecords(5, &log)
        let first = records.filter { $0.topicIndex == 0 }
        #expect(first.map(\.value) == ["0", "1", "2"])
        #expect(first.map(\.offset) == [0, 1, 2])
        #expect(records.filter { $0.topicIndex == 1 }.map(\.partition) == [1, 1])
        let end = try log.endOffset(topicIndex: 0, partition: 0)
        #expect(end == 3)
        let known = log.knownEndOffset(topicIndex: 0, partition: 0)
        #expect(known == 3)
        try log.beginTransaction()
        try produce(.changelog, partition: 1, key: "c", value: "row", &log)
        try produce(.changelog, partition: 1, key: "c", value: nil, &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 3)])
        try log.commitTransaction()
        let written = try fixture.read(configuration.changelogTopic)
        #expect(written.map(\.value) == ["row", nil])
        #expect(written.map(\.key) == ["c", "c"])
        #expect(written.map(\.partition) == [1, 1])
        try log.releaseAssignment()
        log.close()
    }

    @Test func headersAndEmptyBytesArriveAsSent() throws {
        let cluster = try EmbeddedCluster()
        let fixture = try fixture(cluster)
        var log = try KafkaLog(fixture.configuration)
        try retrying { () throws(LogError) in try log.initTransactions() }
        try log.beginTransaction()
        let bytes = Array("codebad".utf8)
        let headers = [
            HeaderView(name: 0..<4, value: 4..<7),
            HeaderView(name: 4..<7, value: nil),
        ]
        let whole = ProducedRecord(
            topic: .rejected,
            partition: 0,
            key: 0..<0,
            value: 7..<7,
            headers: 0..<2
        )
        try log.produce(whole, bytes: bytes, headers: headers)
        let bare = ProducedRecord(topic: .rejected, partition: 0, key: nil, value: 0..<4)
        try log.produce(bare, bytes: bytes, headers: headers)
        try log.commitTransaction()
        let found = try fixture.read(fixture.configuration.rejectedTopic)
        #expect(
            found == [
                TextRecord(
                    partition: 0,
                    offset: 0,
                    key: "",
                    value: "",
                    headers: ["code": "bad", "bad": "null"]
                ),
                TextRecord(partition: 0, offset: 1, key: nil, value: "code"),
            ]
        )
    }

    /// Hashes published with the Java client's tests of `Utils.murmur2`.
    @Test(arguments: [
        ("21", Int32(-973_932_308)), ("foobar", -790_332_482), ("abc", 479_470_107),
        ("a-little-bit-long-string", -985_981_536), ("a-little-bit-longer-string", -1_486_304_829),
    ])
    func keysGoWhereJavaClientsPutThem(key: String, hash: Int32) throws {
        let cluster = try EmbeddedCluster()
        let fixture = KafkaFixture(servers: cluster.bootstrapServers)
        try cluster.createTopic(fixture.configuration.segmentsTopic, partitions: 7)
        var log = try KafkaLog(fixture.configuration)
        try retrying { () throws(LogError) in try log.initTransactions() }
        try log.beginTransaction()
        try produce(.segments, partition: nil, key: key, value: "v", &log)
        try log.commitTransaction()
        let found = try fixture.read(fixture.configuration.segmentsTopic)
        #expect(found.map(\.partition) == [(hash & 0x7fff_ffff) % 7])
    }

    @Test func batchesKeepTheirLimits() throws {
        let cluster = try EmbeddedCluster()
        let fixture = try fixture(cluster)
        try fixture.feed(100, partition: 1)
        var log = try KafkaLog(fixture.configuration)
        _ = try awaitAssignment(&log)
        try log.startConsuming(from: [PartitionOffset(topicIndex: 0, partition: 1, offset: 0)])
        var batch = RecordBatch()
        var found: [TextRecord] = []
        let limits = PollLimits(records: 7, payloadBytes: 12, lingerMilliseconds: 20)
        let deadline = Deadline(afterMilliseconds: 30_000)
        while found.count < 100, deadline.remainingMilliseconds > 0 {
            _ = try log.poll(into: &batch, limits: limits, timeoutMilliseconds: 200)
            #expect(batch.payloadBytes <= 12 && batch.records.count <= 7)
            found += batch.texts
        }
        #expect(found.map(\.value) == (0..<100).map { "\($0)" })
        let tight = PollLimits(records: 7, payloadBytes: 1, lingerMilliseconds: 0)
        try log.startConsuming(from: [PartitionOffset(topicIndex: 0, partition: 1, offset: 42)])
        let alone = try awaitRecords(2, &log, limits: tight)
        #expect(alone.map(\.offset) == [42, 43], "a larger record still comes, alone")
    }

    @Test func missingTopicsAndMovedKeysAreNamed() throws {
        let cluster = try EmbeddedCluster()
        let fixture = KafkaFixture(servers: cluster.bootstrapServers)
        var configuration = fixture.configuration
        let missing = #expect(throws: LogError.self) { try KafkaTopics.ensure(configuration) }
        #expect(missing?.remedy == .restartProcess)
        #expect(missing?.reason.contains(configuration.eventTopics[0]) == true)
        try cluster.createTopic(configuration.eventTopics[0], partitions: 3)
        configuration.createsTopics = false
        let ours = #expect(throws: LogError.self) { try KafkaTopics.ensure(configuration) }
        #expect(ours?.reason.contains("\(configuration.changelogTopic) (3 partitions") == true)
        try cluster.createTopic(configuration.changelogTopic, partitions: 2)
        let moved = #expect(throws: LogError.self) { try KafkaTopics.ensure(configuration) }
        #expect(moved?.code == "PARTITION_COUNT")
        #expect(moved?.reason.contains("segmentd repartition") == true)
    }

    /// Numbers of the protocol (positive) and of the client (negative).
    @Test(arguments: [
        (Int32(-144), Remedy.restartProcess, true), (47, .restartProcess, true),
        (82, .restartProcess, true), (90, .restartProcess, true),
        (-169, .restartProcess, false), (29, .restartProcess, false),
        (30, .restartProcess, false), (53, .restartProcess, false),
        (-185, .retry, false), (-195, .retry, false), (-187, .retry, false),
        (14, .retry, false), (51, .retry, false), (88, .retry, false),
        (22, .abortTransaction, false), (25, .abortTransaction, false),
        (27, .abortTransaction, false), (10, .restartProcess, false),
    ])
    func codesMapToTheirRemedies(number: Int32, remedy: Remedy, isFenced: Bool) {
        let error = KafkaError.make(number: number, operation: "test")
        #expect(error.remedy == remedy, "\(error)")
        #expect(error.isFenced == isFenced, "\(error)")
        #expect(!error.reason.isEmpty)
    }

    @Test func unknownPropertiesAreNamed() {
        var configuration = KafkaFixture(servers: "127.0.0.1:1").configuration
        configuration.properties["no.such.property"] = "1"
        var caught: LogError?
        do throws(LogError) {
            _ = try KafkaLog(configuration)
        } catch { caught = error }
        #expect(caught?.remedy == .restartProcess)
        #expect(caught?.reason.contains("no.such.property") == true)
    }

    @Test func absentBrokersMeanRetryAndShowAsDown() throws {
        let configuration = KafkaFixture(servers: "127.0.0.1:1").configuration
        var log = try KafkaLog(configuration)
        var remedies: Set<Remedy> = []
        // Once is enough, unless the machine is so busy that the client has not even tried.
        for _ in 0..<15 where configuration.connection.downSinceMilliseconds == nil {
            do throws(LogError) { try log.initTransactions() } catch {
                remedies.insert(error.remedy)
            }
        }
        #expect(remedies == [.retry])
        #expect(configuration.connection.downSinceMilliseconds != nil)
        log.close()
    }

    /// The client's own summary may be missing: see `KafkaCallbacks`.
    @Test func serversThatFailOneAfterTheOtherCountAsDown() {
        let transport = Int32(-195)
        let callbacks = KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        callbacks.serverCount = 2
        callbacks.note(transport, "a:9092/bootstrap: Connect to ipv4#10.0.0.1:9092 failed")
        callbacks.note(transport, "a:9092/bootstrap: Connect to ipv4#10.0.0.2:9092 failed")
        callbacks.note(transport, "b:9092/1: Disconnected")
        #expect(callbacks.connection.downSinceMilliseconds == nil)
        callbacks.note(transport, "ssl://b:9093/bootstrap: Failed to resolve 'b:9093'")
        #expect(callbacks.connection.downSinceMilliseconds != nil)
        // Those that have answered are the client's business alone.
        callbacks.connection.markUp()
        callbacks.note(transport, "ssl://b:9093/bootstrap: Disconnected")
        #expect(callbacks.connection.downSinceMilliseconds == nil)
    }

    @Test func aCertificateThatEveryServerFailsByIsARefusal() {
        let callbacks = KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        callbacks.serverCount = 2
        let words = "SSL handshake failed: certificate verify failed"
        callbacks.note(-181, "ssl://a:9093/bootstrap: \(words)")
        #expect(callbacks.refusal == nil)
        callbacks.note(-181, "ssl://b:9093/bootstrap: \(words)")
        #expect(callbacks.refusal?.remedy == .restartProcess)
        #expect(callbacks.refusal?.reason.contains("certificate verify failed") == true)
    }
}
