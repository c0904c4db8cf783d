import EventLog
import Testing

@testable import Engine

/// Records of dead letters are sent again, each once, and nothing else is.
@Suite struct DeadLetterRetryTests {
    private static let name = "rejected"

    private func run(
        _ topic: ListedTopic,
        _ selection: DeadLetterSelection = DeadLetterSelection(),
        lettersMax: Int = 3,
        isDryRun: Bool = false,
        end: (transaction: Int, how: ListedDeadLetters.End)? = nil
    ) throws(LogError) -> DeadLetterRetry.Outcome {
        var retry = DeadLetterRetry(selection, inputs: ["a", "b"], isDryRun: isDryRun)
        retry.lettersMax = lettersMax
        var letters = ListedDeadLetters(topic, end: end)
        return try retry.run(on: &letters, name: Self.name)
    }

    /// Ten letters of topic `a`, three of them without key or value.
    private func filled() -> ListedTopic {
        let topic = ListedTopic()
        for index in 0..<10 {
            topic.reject(
                index == 3 ? nil : "c-\(index)",
                index == 4 ? nil : index == 5 ? "" : "value \(index)",
                from: "a/\(index % 2)/\(index)",
                partition: index % 2,
                headers: ["ce_type": "order.placed", "segmentd-retried-from": "older/0/1"]
            )
        }
        return topic
    }

    private func expectAllSentOnce(_ topic: ListedTopic) {
        let sent = topic.sent["a"] ?? []
        #expect(sent.count == 10 && topic.sent.count == 1)
        for index in 0..<10 {
            let mark = "\(Self.name)/\(index % 2)/\(index / 2)"
            let expected = ListedRecord(
                partition: Int32(index % 2),
                key: index == 3 ? nil : "c-\(index)",
                value: index == 4 ? nil : index == 5 ? "" : "value \(index)",
                headers: ["ce_type": "order.placed", "segmentd-retried-from": mark]
            )
            #expect(sent.filter { $0 == expected }.count == 1)
        }
    }

    @Test func everyLetterIsSentOnceWhereverARunEnds() throws {
        for lettersMax in [1, 3, 100] {
            for transaction in 0..<12 {
                for how in [ListedDeadLetters.End.beforeCommit, .afterCommit] {
                    let topic = filled()
                    do throws(LogError) {
                        _ = try run(topic, lettersMax: lettersMax, end: (transaction, how))
                    } catch {
                        #expect(error.code == "_FENCED")
                    }
                    _ = try run(topic, lettersMax: lettersMax)
                    expectAllSentOnce(topic)
                    let again = try run(topic)
                    #expect(again.alreadySent == 10 && again.sentCount == 0 && again.read == 10)
                }
            }
        }
    }

    @Test func receiptsHoldNothingPersonal() throws {
        let topic = filled()
        _ = try run(topic)
        for receipt in topic.letters.joined() where receipt.headers["segmentd-reason"] == nil {
            #expect(receipt.key == nil && receipt.value == nil)
            #expect(Array(receipt.headers.keys) == ["segmentd-retried"])
        }
    }

    @Test func onlyWhatIsSelectedIsSent() throws {
        let topic = ListedTopic()
        topic.reject("c-1", "1", from: "a/0/1", because: "out_of_range", at: 10)
        topic.reject("c-2", "2", from: "a/0/2", at: 10)
        topic.reject("c-3", "3", from: "a/0/3", at: 20)
        topic.reject("c-4", "4", from: "b/0/4", partition: 1, at: 30)
        var selection = DeadLetterSelection()
        selection.reason = "unknown_currency"
        selection.sinceMilliseconds = 20
        #expect(try run(topic, selection, isDryRun: true).sent == ["a": 1, "b": 1])
        #expect(topic.sent.isEmpty)
        selection.places = [RecordPlace(topic: Self.name, partition: 0, offset: 2)]
        #expect(try run(topic, selection).sent == ["a": 1])
        #expect(topic.sent["a"]?.map(\.key) == ["c-3"])
    }

    @Test func whatHasNoPlaceAmongTheInputsStays() throws {
        let topic = ListedTopic()
        topic.reject("c-1", "1", from: "elsewhere/0/1")
        topic.reject("c-2", "2", from: "")
        let outcome = try run(topic)
        #expect(outcome.foreign == 1 && outcome.withoutSource == 1 && topic.sent.isEmpty)
    }

    @Test func aRecordRejectedAgainMayBeSentAgain() throws {
        let topic = ListedTopic()
        topic.reject("c-1", "1", from: "a/0/1")
        _ = try run(topic)
        // A worker copies the headers of the record, and finds it at its new offset.
        topic.reject("c-1", "1", from: "a/0/9", headers: topic.sent["a"]?.first?.headers ?? [:])
        #expect(try run(topic).sent == ["a": 1])
        #expect(topic.sent["a"]?.last?.headers == ["segmentd-retried-from": "rejected/0/2"])
    }

    @Test func aLetterThatStandsTwiceIsSentOnce() throws {
        let topic = ListedTopic()
        for _ in 0..<2 { topic.reject("c-1", "1", from: "a/0/1") }
        #expect(try run(topic).alreadySent == 1)
        #expect(topic.sent["a"]?.count == 1)
    }

    @Test func aLetterWithAHeaderOfReceiptsIsALetter() throws {
        let topic = ListedTopic()
        topic.reject("c-1", "1", from: "a/0/1", headers: ["segmentd-retried": "a/0/2"])
        topic.reject("c-2", "2", from: "a/0/2")
        #expect(try run(topic).sent == ["a": 2])
    }

    @Test func aListCountsAndShowsNoKey() throws {
        let topic = filled()
        topic.reject("c-11", "11", from: "a/0/11", because: "out_of_range", at: 50)
        var selection = DeadLetterSelection()
        selection.places = [RecordPlace(topic: Self.name, partition: 0, offset: 0)]
        _ = try run(topic, selection)
        var short = DeadLetterList(DeadLetterSelection(), linesMax: 1)
        var list = DeadLetterList(DeadLetterSelection(), linesMax: 4)
        var letters = ListedDeadLetters(topic)
        try short.read(&letters, name: Self.name)
        try list.read(&letters, name: Self.name)
        #expect(short.lines.map(\.offset) == [5, 4] && short.counts == list.counts)
        let currency = DeadLetterList.Cause(reason: "unknown_currency", detail: "currency")
        let range = DeadLetterList.Cause(reason: "out_of_range", detail: "currency")
        #expect(Set(list.counts.keys) == [currency, range])
        #expect(list.counts[currency]?.letters == 10 && list.counts[currency]?.retried == 1)
        #expect(list.counts[range]?.firstMilliseconds == 50)
        #expect(list.lines.map(\.offset) == [2, 3, 4, 5, 1, 2, 3, 4])
        #expect(list.lines.allSatisfy { !$0.isRetried })
        let keyless = try #require(list.lines.first { $0.source?.offset == 3 })
        #expect(keyless.keyHash == nil && list.lines.filter { $0.keyHash == nil }.count == 1)
        #expect(!"\(list)".contains("c-8"))
    }
}
