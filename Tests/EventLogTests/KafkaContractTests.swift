import CLibrdkafka
import Foundation
import TestSupport
import Testing

@testable import EventLog

/// The genuine log on a genuine broker keeps what the contract promises, so that the model broker
/// cannot drift from the truth.
@Suite(.serialized, .enabled(if: GenuineBroker.servers != nil, "needs KAFKA_BOOTSTRAP"))
struct KafkaContractTests {
    @Test(arguments: LogPromise.allCases)
    func promiseIsKept(promise: LogPromise) throws {
        let servers = try #require(GenuineBroker.servers)
        let count = LogHarness<KafkaLog>.eventTopicCount
        let fixture = KafkaFixture(servers: servers, eventTopicCount: count)
        try fixture.createInputs(partitions: 2)
        try retrying { () throws(LogError) in try KafkaTopics.ensure(fixture.configuration) }
        try promise.check(Self.makeHarness(fixture))
    }

    private static func makeHarness(_ fixture: KafkaFixture) throws -> LogHarness<KafkaLog> {
        let administrator = try ContractAdministrator(fixture.configuration)
        return LogHarness(
            openLog: { instance, start in
                var configuration = fixture.configuration(instance: instance)
                configuration.start = start
                if instance == "stale" {
                    // As short as the session may be: who does not poll so long is out.
                    configuration.properties["max.poll.interval.ms"] = "6000"
                    // Long enough that it is not fenced for its transaction first.
                    configuration.properties["transaction.timeout.ms"] = "60000"
                }
                return try KafkaLog(configuration)
            },
            append: { index, record in
                try administrator.append(record, to: fixture.configuration.eventTopics[index])
            },
            readCommitted: { topic in
                let name = fixture.configuration.name(of: topic)
                let reader = try TopicReader(
                    properties: fixture.configuration.propertiesOfAnyClient
                )
                var found: [StoredRecord] = []
                try reader.read(name, timeoutMilliseconds: 20_000) { found += $0.storedRecords }
                return found.sorted { ($0.partition, $0.offset) < ($1.partition, $1.offset) }
            },
            deleteRecords: { index, partition, offset in
                try administrator.deleteRecords(
                    of: fixture.configuration.eventTopics[index],
                    partition: partition,
                    before: offset
                )
            },
            wallMilliseconds: { Int64(Date.now.timeIntervalSince1970 * 1000) },
            kill: { log in _ = consume log },
            expel: { _, meanwhile in
                let deadline = Deadline(afterMilliseconds: 9_000)
                while deadline.remainingMilliseconds > 0 { try meanwhile() }
            },
            pause: { Thread.sleep(forTimeInterval: 0.05) },
            pollMilliseconds: 100
        )
    }
}

/// What a test does at a broker that no log does.
@safe private final class ContractAdministrator {
    private let client: KafkaClient

    init(_ configuration: KafkaLogConfiguration) throws {
        client = try KafkaClient(
            isConsumer: false,
            properties: configuration.propertiesOfAnyClient,
            callbacks: KafkaCallbacks(connection: BrokerConnection()) { _, _ in }
        )
    }

    /// Adds one record outside of any transaction, and waits until it is there.
    func append(_ record: StoredRecord, to topic: String) throws {
        var arguments = unsafe [rd_kafka_vu_t]()
        // Everything that arguments point into lives until the call is over.
        var kept: [UnsafeMutableRawBufferPointer] = unsafe []
        defer { while let bytes = unsafe kept.popLast() { unsafe bytes.deallocate() } }
        func keep(_ bytes: [UInt8]) -> UnsafeMutableRawPointer? {
            let copy = UnsafeMutableRawBufferPointer.allocate(
                byteCount: bytes.count + 1,
                alignment: 1
            )
            unsafe copy.copyBytes(from: bytes + [0])
            unsafe kept.append(copy)
            return copy.baseAddress
        }
        func add(_ type: rd_kafka_vtype_t, _ fill: (inout rd_kafka_vu_t) -> Void) {
            var argument = unsafe rd_kafka_vu_t()
            unsafe argument.vtype = type
            unsafe fill(&argument)
            unsafe arguments.append(argument)
        }
        let handle = try unsafe client.topic(topic)
        unsafe add(RD_KAFKA_VTYPE_RKT) { unsafe $0.u.rkt = handle }
        unsafe add(RD_KAFKA_VTYPE_MSGFLAGS) { unsafe $0.u.i = RD_KAFKA_MSG_F_COPY }
        unsafe add(RD_KAFKA_VTYPE_PARTITION) { unsafe $0.u.i32 = record.partition }
        if let key = record.key {
            unsafe add(RD_KAFKA_VTYPE_KEY) {
                unsafe $0.u.mem.ptr = keep(key)
                unsafe $0.u.mem.size = key.count
            }
        }
        if let value = record.value {
            unsafe add(RD_KAFKA_VTYPE_VALUE) {
                unsafe $0.u.mem.ptr = keep(value)
                unsafe $0.u.mem.size = value.count
            }
        }
        for header in record.headers {
            unsafe add(RD_KAFKA_VTYPE_HEADER) {
                unsafe $0.u.header.name = UnsafePointer(
                    keep(header.name)?.assumingMemoryBound(to: CChar.self)
                )
                unsafe $0.u.header.val = UnsafeRawPointer(
                    header.value.flatMap { unsafe keep($0) }
                )
                unsafe $0.u.header.size = header.value?.count ?? -1
            }
        }
        if record.timestampMilliseconds >= 0 {
            unsafe add(RD_KAFKA_VTYPE_TIMESTAMP) { unsafe $0.u.i64 = record.timestampMilliseconds }
        }
        if let error = unsafe rd_kafka_produceva(client.handle, &arguments, arguments.count) {
            throw unsafe KafkaError.take(error, operation: "append to \(topic)")
        }
        let code = unsafe rd_kafka_flush(client.handle, 20_000)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(code, operation: "append to \(topic)")
        }
    }

    /// Deletes what is before an offset.
    func deleteRecords(of topic: String, partition: Int32, before offset: Int64) throws {
        let list = PartitionList(capacity: 1)
        list.add(topic, partition, offset: offset)
        let handle = unsafe client.handle
        var request = unsafe rd_kafka_DeleteRecords_new(list.pointer)
        let queue = unsafe rd_kafka_queue_new(handle)
        let options = unsafe rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DELETERECORDS)
        defer {
            unsafe rd_kafka_AdminOptions_destroy(options)
            unsafe rd_kafka_queue_destroy(queue)
            unsafe rd_kafka_DeleteRecords_destroy(request)
        }
        unsafe rd_kafka_DeleteRecords(handle, &request, 1, options, queue)
        let event = unsafe rd_kafka_queue_poll(queue, 20_000)
        defer { unsafe rd_kafka_event_destroy(event) }
        let code =
            unsafe event == nil
            ? RD_KAFKA_RESP_ERR__TIMED_OUT : rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(code, operation: "delete records of \(topic)")
        }
        let result = unsafe rd_kafka_event_DeleteRecords_result(event)
        let rows = unsafe rd_kafka_DeleteRecords_result_offsets(result)
        let fault = unsafe rows?.pointee.elems[0].err
        #expect(fault == RD_KAFKA_RESP_ERR_NO_ERROR)
    }
}
