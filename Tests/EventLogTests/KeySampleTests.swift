import EventLog
import Testing

/// What a sample of events says of its keys.
@Suite struct KeySampleTests {
    private func store(_ text: String, in batch: inout RecordBatch) -> Range<Int> {
        let bytes = Array(text.utf8)
        return batch.store(bytes.span)
    }

    /// A batch of records: partition, key, value, and `ce_subject` where there is one.
    private func batch(
        _ records: [(partition: Int32, key: String?, value: String?, subject: String?)]
    ) -> RecordBatch {
        var batch = RecordBatch()
        for (offset, record) in records.enumerated() {
            let key = record.key.map { store($0, in: &batch) }
            let value = record.value.map { store($0, in: &batch) }
            if let subject = record.subject {
                let name = store("ce_subject", in: &batch)
                batch.appendHeader(name: name, value: store(subject, in: &batch))
            }
            batch.append(
                topicIndex: 0,
                partition: record.partition,
                offset: Int64(offset),
                timestampMilliseconds: 1,
                key: key,
                value: value
            )
        }
        return batch
    }

    private func sample(
        _ records: [(partition: Int32, key: String?, value: String?, subject: String?)]
    ) -> KeySample {
        var sample = KeySample()
        sample.add(batch(records))
        return sample
    }

    @Test func keysThatAreCustomersAreFine() throws {
        let found = sample([
            (0, "c-1", #"{"type":"order.placed","customer_id":"c-1"}"#, nil),
            (0, "c-1", #"{"specversion":"1.0","subject":"c-1","data":{}}"#, nil),
            (1, "c-2", #"{"data":{"customer_id":"c-2"}}"#, nil),
            (1, "c-2", #"{"amount":1}"#, "c-2"),
        ])
        #expect(found.keyCount == 2 && found.mismatchCount == 0 && found.unnamedCount == 0)
        let finding = try #require(found.findings("topic t").first)
        #expect(finding.grade == .ok && found.findings("topic t").count == 1)
    }

    @Test func everyKindOfFaultIsCounted() {
        let found = sample([
            (0, nil, #"{"customer_id":"c-1"}"#, nil),
            (0, "", #"{"customer_id":"c-1"}"#, nil),
            (0, "c-1", #"{"customer_id":"c-2"}"#, nil),
            (0, "c-1", #"{"amount":1}"#, "c-2"),
            (0, "c-1", #"{"data":{"customer_id":"c-2"}}"#, nil),
            (1, "c-1", #"{"amount":1}"#, nil),
            (1, "c-3", nil, nil),
            (1, "c-3", "[1]", nil),
            (1, "c-3", "{bad", nil),
            (1, "c-3", "\0\0\0\0\u{1}{\"customer_id\":\"c-3\"}", nil),
        ])
        #expect(found.recordCount == 10)
        #expect(found.keylessCount == 2)
        #expect(found.mismatchCount == 3)
        #expect(found.unnamedCount == 1)
        #expect(found.nullCount == 1)
        #expect(found.unreadableCount == 2)
        #expect(found.keyCount == 2 && found.scatteredCount == 1)
    }

    @Test func noFindingShowsAKey() {
        let found = sample([
            (0, "secret-key", #"{"customer_id":"other-secret"}"#, nil),
            (1, "secret-key", "{bad", nil),
        ])
        let findings = found.findings("topic t")
        #expect(findings.contains { $0.grade == .problem })
        for finding in findings { #expect(!finding.text.contains("secret")) }
    }

    @Test func anEmptyTopicIsSaidToBeEmpty() {
        #expect(KeySample().findings("topic t").map(\.grade) == [.warning])
    }
}
