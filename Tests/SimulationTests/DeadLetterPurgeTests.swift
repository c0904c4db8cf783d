import EventLog
import TestSupport
import Testing

@testable import Engine

/// One customer's dead letters go, nobody else's are lost.
@Suite struct DeadLetterPurgeTests {
    private let broker = ModelBroker()
    private let customer = Array("c-42".utf8)

    init() {
        broker.createTopic(SimulationInput.eventTopic, partitions: 2)
        broker.createTopic(ModelDeadLetters.topic, partitions: 2)
    }

    /// Appends a letter as workers do.
    private func reject(
        _ key: String?,
        _ value: String,
        at offset: Int,
        partition: Int32 = 0,
        headers: [StoredHeader] = []
    ) {
        broker.append(
            ModelDeadLetters.topic,
            partition: partition,
            key: key.map { Array($0.utf8) },
            value: Array(value.utf8),
            headers: headers + [
                StoredHeader("segmentd-reason", "malformed_json"),
                StoredHeader("segmentd-topic", "events"),
                StoredHeader("segmentd-partition", "\(partition)"),
                StoredHeader("segmentd-offset", "\(offset)"),
            ]
        )
    }

    /// Letters of several customers in both partitions; the ones of `c-42` have values with a star.
    private func fill() {
        for offset in 0..<12 {
            reject("c-\(offset)", "of another, number \(offset)", at: offset)
            reject("c-\(offset)", "of another, number \(offset)", at: offset, partition: 1)
        }
        reject("c-42", "* key", at: 20)
        reject(nil, #"* {"type":"order.placed", "customer_id" : "c-42"}"#, at: 21)
        // Two of another hand that are equal: both stay.
        for _ in 0..<2 {
            broker.append(ModelDeadLetters.topic, partition: 0, key: "x", value: "not ours")
        }
        reject("c-7", "friend of c-42", at: 22)
        reject("c-42", "* later", at: 23, partition: 1)
        reject("c-8", "behind", at: 24, partition: 1)
    }

    /// Letters that are there, without offsets, sorted.
    private func letters() -> [String] {
        broker.readCommitted(ModelDeadLetters.topic).map { record in
            let source = record.headers.last.map { String(decoding: $0.value ?? [], as: UTF8.self) }
            return "\(record.partition) \(source ?? "-") \(record.keyText ?? "none") "
                + (record.valueText ?? "null")
        }.sorted()
    }

    private func purge(
        _ plan: FaultPlan? = nil,
        removesMentions: Bool = false,
        isDryRun: Bool = false
    ) throws(LogError) -> DeadLetterPurge.Outcome {
        var topic = ModelDeadLetters(broker, plan: plan)
        var purge = DeadLetterPurge(
            customer: customer,
            removesMentions: removesMentions,
            isDryRun: isDryRun
        )
        purge.copyRecordsMax = 5
        return try purge.run(on: &topic)
    }

    @Test func theCustomersLettersGoAndAllOthersStay() throws {
        fill()
        let others = letters().filter { !$0.contains("*") }
        let outcome = try purge()
        #expect(letters() == others)
        #expect(outcome.byKey == 2)
        #expect(outcome.byName == 1)
        #expect(outcome.mentioned == 1)
        #expect(outcome.read == 24 + 7)
        #expect(outcome.copied == 24)
        #expect(outcome.starts == [0: 14, 1: 13])
        // Also not to a reader that sees what was aborted.
        let all = broker.readUncommitted(ModelDeadLetters.topic).compactMap(\.valueText)
        #expect(all.allSatisfy { !$0.contains("*") })
        let again = try purge()
        #expect(again.found == 0)
        #expect(again.starts.isEmpty)
        #expect(letters() == others)
    }

    @Test func mentionsGoOnlyWhenThatIsAskedFor() throws {
        fill()
        let outcome = try purge(removesMentions: true)
        #expect(outcome.byMention == 1)
        #expect(outcome.mentioned == 0)
        #expect(letters().allSatisfy { !$0.contains("c-42") })
        #expect(letters().count == 24 + 7 - 4)
    }

    @Test func aDryRunChangesNothing() throws {
        fill()
        let before = broker.readUncommitted(ModelDeadLetters.topic)
        let outcome = try purge(isDryRun: true)
        #expect(outcome.found == 3)
        #expect(outcome.starts.isEmpty)
        #expect(broker.readUncommitted(ModelDeadLetters.topic) == before)
    }

    @Test func whereThereIsNothingOfTheCustomerNothingIsWritten() throws {
        reject("c-1", "of another", at: 1)
        let before = broker.readUncommitted(ModelDeadLetters.topic)
        let outcome = try purge()
        #expect(outcome.read == 1)
        #expect(broker.readUncommitted(ModelDeadLetters.topic) == before)
    }

    /// The process dies before and after every call; a run that follows finishes the work, and
    /// nothing of others is missing at any moment, nor there twice in the end.
    @Test(arguments: [Fault.Kind.crash, .retriable, .fenced])
    func aRunThatEndsAnywhereIsFinishedByTheNext(_ kind: Fault.Kind) throws {
        let calls = try countCalls()
        #expect(calls > 40)
        var doubled = 0
        for call in 1...calls {
            for moment in [Fault.Moment.before, .after] {
                let test = DeadLetterPurgeTests()
                test.fill()
                let others = test.letters().filter { !$0.contains("*") }
                let plan = FaultPlan([.init(Fault(kind, moment), call: call)])
                #expect(throws: LogError.self) { try test.purge(plan) }
                let between = test.letters().filter { !$0.contains("*") }
                #expect(Set(between).isSuperset(of: others), "call \(call), \(moment)")
                if between.count > others.count { doubled += 1 }
                // A worker goes on.
                test.reject("c-5", "later", at: 99)
                test.reject("c-42", "* later", at: 98)
                _ = try test.purge()
                let expected = others + ["0 99 c-5 later"]
                #expect(test.letters() == expected.sorted(), "call \(call), \(moment)")
            }
        }
        #expect(doubled > 0, "no run ended between the copies and the deletion")
    }

    private func countCalls() throws -> Int {
        let test = DeadLetterPurgeTests()
        test.fill()
        let plan = FaultPlan()
        _ = try test.purge(plan)
        return plan.calls.values.reduce(0, +)
    }

    /// What a worker has open when the command begins is waited for.
    @Test func lettersOfAnOpenTransactionAreFoundOnceItIsCommitted() throws {
        reject("c-1", "of another", at: 1)
        var worker = ModelLog(
            broker: broker,
            configuration: ModelLogConfiguration(
                group: SimulationInput.group,
                instance: "a",
                eventTopics: [SimulationInput.eventTopic]
            )
        )
        try worker.initTransactions()
        try worker.beginTransaction()
        let record = ProducedRecord(topic: .rejected, partition: 0, key: 0..<4, value: 0..<4)
        try worker.produce(record, bytes: customer, headers: [])
        // It is never committed: the broker ends it after its timeout, and only then the read ends.
        reject("c-42", "* behind", at: 3)
        let outcome = try purge()
        #expect(outcome.found == 1)
        #expect(letters() == ["0 1 c-1 of another"])
        worker.close()
    }

    @Test(arguments: [
        (#"{"customer_id":"c-42"}"#, CustomerMention.name),
        (#"{"customer_id"  :  "c-42","x":"#, .name), (#"{"data":{"subject":"c-42"}}"#, .name),
        (#"{"ID":"c-42"}"#, .name), (#"{"customer_id":"\u0063-\u00342"}"#, .name),
        (#"{"customer_id":"c-42"#, .name), (#"{"customer_id":c-42}"#, .name),
        (#"{"friend":"c-42"}"#, .elsewhere), ("c-42", .elsewhere), ("to c-42.", .elsewhere),
        (#"{"customer_id":"c-421"}"#, nil), (#"{"customer_id":"c-4"}"#, nil),
        (#"{"customer_id":"xc-42"}"#, nil), ("c-42-7", nil), ("", nil), ("c-4", nil),
        (#"{"customer_id":""}"#, nil), (#"{"customer_id":"#, nil), (#""customer_id"#, nil),
    ])
    func whoIsNamedIsFound(text: String, expected: CustomerMention?) {
        let found = Self.mention(of: "c-42", key: "other", value: text)
        #expect(found == expected, "\(text)")
    }

    @Test func numbersKeysAndHeadersAreLookedAtToo() {
        #expect(Self.mention(of: "5524", value: #"{"ID":5524,"Income":1}"#) == .name)
        #expect(Self.mention(of: "5524", value: #"{"ID":55245,"Income":5524}"#) == .elsewhere)
        #expect(Self.mention(of: "5524", value: #"{"ID":5524.5}"#) == .elsewhere)
        #expect(Self.mention(of: "ä\"b", value: #"{"customer_id":"\u00e4\"b"}"#) == .name)
        #expect(Self.mention(of: "😀", value: #"{"subject":"\ud83d\ude00"}"#) == .name)
        #expect(Self.mention(of: "c", key: "c", value: "") == .key)
        #expect(Self.mention(of: "c", key: "c\u{0}", value: "") == .elsewhere)
        #expect(Self.mention(of: "c", value: "", header: ("ce_subject", "c")) == .name)
        #expect(
            Self.mention(of: "c", value: "", header: ("segmentd-detail", "not c")) == .elsewhere
        )
        #expect(Self.mention(of: "c", value: "", header: ("ce_subject", "cc")) == nil)
    }

    private static func mention(
        of customer: String,
        key: String? = nil,
        value: String,
        header: (String, String)? = nil
    ) -> CustomerMention? {
        var batch = RecordBatch()
        if let header {
            let name = batch.store(Array(header.0.utf8).span)
            batch.appendHeader(name: name, value: batch.store(Array(header.1.utf8).span))
        }
        batch.append(
            topicIndex: 0,
            partition: 0,
            offset: 0,
            timestampMilliseconds: 0,
            key: key.map { batch.store(Array($0.utf8).span) },
            value: batch.store(Array(value.utf8).span)
        )
        return CustomerMentions(id: Array(customer.utf8)).find(in: batch.records[0], of: batch)
    }
}
