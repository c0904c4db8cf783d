import EventLog
import TestSupport
import Testing

extension LogHarness where Log: ~Copyable {
    func checkRestore() throws {
        var dead = try makeReadyLog("dead")
        try dead.beginTransaction()
        try produce(.changelog, "open", &dead)
        // With offsets: a client has then really told the broker of the transaction.
        try dead.sendOffsets([PartitionOffset(topicIndex: 1, partition: 1, offset: 1)])
        var live = try makeLog("live")
        try retrying { () throws(LogError) in try live.initTransactions() }
        // A client sends in its own time; the order of the two records matters here.
        try waitUntilSent(&live)
        kill(dead)
        try live.beginTransaction()
        try produce(.changelog, "behind", &live)
        try produce(.changelog, "elsewhere", partition: 1, &live)
        try retrying { () throws(LogError) in try live.commitTransaction() }
        let early = try awaitCommitted(1, in: .changelog)
        #expect(early.map(\.valueText) == ["elsewhere"], "behind an open transaction")
        var batch = RecordBatch()
        try retrying { () throws(LogError) in
            try live.beginRestore(of: .changelog, partition: 0)
        }
        let first = try live.restore(into: &batch, timeoutMilliseconds: 0)
        #expect(batch.records.isEmpty)
        #expect(!first.isComplete, "complete before the open transaction has ended")
        let found = try restored(.changelog, partition: 0, &live)
        #expect(found.map(\.valueText) == ["behind"])
        #expect(found.map(\.offset) == [1])
        let elsewhere = try restored(.changelog, partition: 1, &live)
        #expect(elsewhere.map(\.valueText) == ["elsewhere"])
        let model = try restored(.model, partition: 0, &live)
        #expect(model.isEmpty)
        live.close()
    }

    /// What was committed is before the end that is asked for between two transactions; a restore
    /// from there brings what comes later, and nothing at all before anything does.
    func checkTail() throws {
        var log = try makeReadyLog("worker")
        func commit(_ value: String) throws {
            try log.beginTransaction()
            try produce(.changelog, value, &log)
            try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
            try retrying { () throws(LogError) in try log.commitTransaction() }
        }
        func bounds() throws -> Range<Int64> {
            var found: Range<Int64> = 0..<0
            try retrying { () throws(LogError) in
                found = try log.bounds(of: .changelog, partition: 0)
            }
            return found
        }
        #expect(try bounds() == 0..<0)
        try commit("early")
        let noted = try bounds()
        #expect(noted.lowerBound == 0)
        // The record and, once it is written, the marker of its transaction.
        #expect((1...2).contains(noted.upperBound))
        try commit("late")
        #expect(try bounds().upperBound > noted.upperBound)
        #expect(try tail(from: noted.upperBound, &log) == ["late"])
        let end = try bounds().upperBound
        #expect(try tail(from: end, &log) == [])
        #expect(try restored(.changelog, partition: 0, &log).map(\.valueText) == ["early", "late"])
        var retention: Int64 = 0
        try retrying { () throws(LogError) in
            retention = try log.tombstoneRetentionMilliseconds()
        }
        #expect(retention == 86_400_000)
        log.close()
    }

    private func tail(from offset: Int64, _ log: inout Log) throws -> [String] {
        try retrying { () throws(LogError) in
            try log.beginRestore(of: .changelog, partition: 0, from: offset)
        }
        var batch = RecordBatch()
        var found: [String] = []
        for _ in 0..<pollCountMax {
            let progress = try log.restore(into: &batch, timeoutMilliseconds: pollMilliseconds)
            for record in batch.records {
                found.append(String(decoding: batch.bytes[record.value ?? 0..<0], as: UTF8.self))
            }
            if progress.isComplete { return found }
        }
        throw NeverCame(what: "the end of the tail")
    }

    /// Waits until partition 0 of the changelog has a record, committed or not.
    private func waitUntilSent(_ log: inout Log) throws {
        var batch = RecordBatch()
        for _ in 0..<pollCountMax {
            try retrying { () throws(LogError) in
                try log.beginRestore(of: .changelog, partition: 0)
            }
            let progress = try log.restore(into: &batch, timeoutMilliseconds: 0)
            if progress.target > 0 { return }
        }
        throw NeverCame(what: "the dead producer's record")
    }

    func checkBytes() throws {
        let sent = [
            StoredRecord(partition: 0, offset: 0, key: nil, value: [0, 255, 10]),
            StoredRecord(partition: 0, offset: 1, key: [0, 1], value: nil),
            StoredRecord(partition: 0, offset: 2, key: [], value: []),
            StoredRecord(
                partition: 0,
                offset: 3,
                key: [7],
                value: [200],
                headers: [
                    StoredHeader(name: Array("h".utf8), value: [0, 128]),
                    StoredHeader(name: Array("h".utf8), value: nil),
                    StoredHeader("empty", ""),
                ]
            ),
            StoredRecord(partition: 0, offset: 4, key: nil, value: nil),
        ]
        for record in sent { try append(1, record) }
        var log = try makeReadyLog("w")
        try log.consume([0, 1])
        var consumed = try awaitRecords(sent.count, &log)
        for index in consumed.indices { consumed[index].timestampMilliseconds = -1 }
        #expect(consumed == sent)
        try log.beginTransaction()
        // The other topics are cleaned by key and take no record without one.
        for record in sent { try produce(record, to: .rejected, &log) }
        try retrying { () throws(LogError) in try log.commitTransaction() }
        var produced = try awaitCommitted(sent.count, in: .rejected)
        for index in produced.indices { produced[index].timestampMilliseconds = -1 }
        #expect(produced == sent)
        log.close()
    }

    private func produce(
        _ record: StoredRecord,
        to topic: LogTopic,
        _ log: inout Log
    ) throws(LogError) {
        var batch = RecordBatch()
        let key = record.key.map { batch.store($0.span) }
        let value = record.value.map { batch.store($0.span) }
        var headers = [HeaderView(name: 0..<0, value: nil)]
        for header in record.headers {
            let name = batch.store(header.name.span)
            headers.append(
                HeaderView(name: name, value: header.value.map { batch.store($0.span) })
            )
        }
        let produced = ProducedRecord(
            topic: topic,
            partition: record.partition,
            key: key,
            value: value,
            headers: 1..<headers.count
        )
        try log.produce(produced, bytes: batch.bytes, headers: headers)
    }

    func checkPartitions() throws {
        var log = try makeReadyLog("w")
        let count = try log.partitionCount(of: .segments)
        let modelCount = try log.partitionCount(of: .model)
        #expect(count == 2)
        #expect(modelCount == 1)
        // Hashes published with the Java client's tests of its murmur2.
        let hashes: [(key: String, hash: Int32)] = [
            ("21", -973_932_308), ("foobar", -790_332_482), ("abc", 479_470_107),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ]
        try log.beginTransaction()
        for (key, hash) in hashes {
            let own = (hash & 0x7fff_ffff) % 2
            try produce(.segments, "\(own)", key: key, partition: nil, &log)
            try produce(.changelog, "\(1 - own)", key: key, partition: 1 - own, &log)
        }
        try retrying { () throws(LogError) in try log.commitTransaction() }
        for topic in [LogTopic.segments, .changelog] {
            let found = try awaitCommitted(hashes.count, in: topic)
            #expect(found.count == hashes.count)
            #expect(found.allSatisfy { $0.valueText == "\($0.partition)" })
        }
        log.close()
    }

    func checkLimits() throws {
        try feed((0..<10).map { "v\($0)" })
        try feed(["a longer value"], partition: 1)
        var log = try makeReadyLog("w")
        try log.startConsuming(from: [PartitionOffset(topicIndex: 0, partition: 0, offset: 2)])
        var batch = RecordBatch()
        var found: [StoredRecord] = []
        // Two records of three bytes fit, a third does not.
        let limits = PollLimits(records: 3, payloadBytes: 8, lingerMilliseconds: 20)
        for _ in 0..<pollCountMax where found.count < 8 {
            _ = try log.poll(
                into: &batch,
                limits: limits,
                timeoutMilliseconds: pollMilliseconds
            )
            #expect(batch.records.count <= 2)
            #expect(batch.payloadBytes <= 8)
            found += batch.storedRecords
        }
        #expect(found.map(\.valueText) == (2..<10).map { "v\($0)" })
        let known = log.knownEndOffset(topicIndex: 0, partition: 0)
        #expect(known == 10)
        try log.startConsuming(from: [PartitionOffset(topicIndex: 0, partition: 1, offset: 0)])
        for _ in 0..<pollCountMax where found.count < 9 {
            _ = try log.poll(
                into: &batch,
                limits: limits,
                timeoutMilliseconds: pollMilliseconds
            )
            found += batch.storedRecords
        }
        #expect(found.last?.valueText == "a longer value", "one larger record comes alone")
        log.close()
    }
}
