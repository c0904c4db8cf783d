import EventLog

/// One record of a topic in memory.
struct ListedRecord: Equatable {
    var partition: Int32
    var key: String?
    var value: String?
    var headers: [String: String]
    var timestampMilliseconds: Int64 = 0
}

/// A topic of dead letters in memory, and what was sent to event topics; outlives the runs.
final class ListedTopic {
    /// Letters and receipts, by partition.
    var letters: [[ListedRecord]] = [[], []]
    /// Records sent again, by topic.
    var sent: [String: [ListedRecord]] = [:]

    /// Appends a letter as workers do.
    func reject(
        _ key: String?,
        _ value: String?,
        from source: String,
        because reason: String = "unknown_currency",
        partition: Int = 0,
        at milliseconds: Int64 = 1,
        headers: [String: String] = [:]
    ) {
        let parts = source.split(separator: "/").map(String.init)
        var all = headers
        all["segmentd-reason"] = reason
        all["segmentd-detail"] = "currency"
        if parts.count == 3 {
            all["segmentd-topic"] = parts[0]
            all["segmentd-partition"] = parts[1]
            all["segmentd-offset"] = parts[2]
        }
        letters[partition].append(
            ListedRecord(
                partition: Int32(partition),
                key: key,
                value: value,
                headers: all,
                timestampMilliseconds: milliseconds
            )
        )
    }
}

/// Dead letters in memory, for one run that may end in any transaction.
struct ListedDeadLetters: ~Copyable, DeadLetterRetryTopic {
    /// How a run ends.
    enum End {
        case beforeCommit, afterCommit
    }

    let topic: ListedTopic
    /// Transaction in which the run ends, nil for none, and how.
    var end: (transaction: Int, how: End)?
    private var transactions = 0
    private var reading: (partition: Int, position: Int, target: Int) = (0, 0, 0)

    init(_ topic: ListedTopic, end: (transaction: Int, how: End)? = nil) {
        self.topic = topic
        self.end = end
    }

    mutating func fence() throws(LogError) {}

    mutating func partitionCount() throws(LogError) -> Int { topic.letters.count }

    mutating func beginReading(partition: Int32) throws(LogError) {
        let count = topic.letters[Int(partition)].count
        reading = (Int(partition), 0, count)
    }

    mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress {
        batch.removeAll()
        // Few at a time, so that letters stand in several batches.
        while reading.position < reading.target, batch.records.count < 4 {
            let record = topic.letters[reading.partition][reading.position]
            Self.append(record, offset: Int64(reading.position), to: &batch)
            reading.position += 1
        }
        return RestoreProgress(
            position: Int64(reading.position),
            target: Int64(reading.target),
            isComplete: reading.position == reading.target
        )
    }

    mutating func append(copiesOf: [RecordView], in: RecordBatch) throws(LogError) {
        preconditionFailure("nothing is copied here")
    }

    mutating func delete(partition: Int32, before offset: Int64) throws(LogError) {
        preconditionFailure("nothing is deleted here")
    }

    mutating func retry(_ letters: [RetriedLetter], in batch: RecordBatch) throws(LogError) {
        let fault = LogError(
            remedy: .restartProcess,
            operation: "send",
            code: "_FENCED",
            reason: "the run ends here"
        )
        let ends = end.map { $0.transaction == transactions } ?? false
        transactions += 1
        if ends, end?.how == .beforeCommit { throw fault }
        for letter in letters {
            var headers: [String: String] = [letter.mark.name: letter.mark.value]
            for index in letter.headerIndices {
                let header = batch.headers[index]
                headers[Self.text(header.name, batch) ?? ""] = Self.text(header.value, batch)
            }
            topic.sent[letter.topic, default: []].append(
                ListedRecord(
                    partition: letter.partition,
                    key: Self.text(letter.record.key, batch),
                    value: Self.text(letter.record.value, batch),
                    headers: headers
                )
            )
            topic.letters[Int(letter.record.partition)].append(
                ListedRecord(
                    partition: letter.record.partition,
                    key: nil,
                    value: nil,
                    headers: [letter.receipt.name: letter.receipt.value]
                )
            )
        }
        if ends { throw fault }
    }

    private static func text(_ range: Range<Int>?, _ batch: RecordBatch) -> String? {
        range.map { String(decoding: batch.bytes[$0], as: UTF8.self) }
    }

    private static func append(
        _ record: ListedRecord,
        offset: Int64,
        to batch: inout RecordBatch
    ) {
        func store(_ text: String, in batch: inout RecordBatch) -> Range<Int> {
            let bytes = Array(text.utf8)
            return batch.store(bytes.span)
        }
        let key = record.key.map { store($0, in: &batch) }
        let value = record.value.map { store($0, in: &batch) }
        for (name, text) in record.headers.sorted(by: { $0.key < $1.key }) {
            let name = store(name, in: &batch)
            batch.appendHeader(name: name, value: store(text, in: &batch))
        }
        batch.append(
            topicIndex: 0,
            partition: record.partition,
            offset: offset,
            timestampMilliseconds: record.timestampMilliseconds,
            key: key,
            value: value
        )
    }
}
