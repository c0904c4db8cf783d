public import EventLog

/// Sends the records of dead letters to where they came from once more.
///
/// ```
///     fence -> read all receipts, note the ends -> send what is selected and has none -> done
/// ```
///
/// Each record goes back to its topic and partition with the key, value and headers that it had, in
/// one transaction with a receipt in the topic of dead letters, which names the place that the
/// record came from. So a record has been sent again exactly if there is a receipt for it, wherever
/// a run ends, and however often the command is run: the fence ends what an older run left open
/// before receipts are read. A record that is rejected again is a new letter with a source of its
/// own, and may be sent again in its turn; letters that come while a run goes on are left for the
/// next one.
///
/// A receipt holds no personal data, and is never removed before its letter: it stands behind it in
/// the same partition. Where `rejected purge` moves letters, their sources stay the same.
public struct DeadLetterRetry: Sendable {
    /// What was found and done.
    public struct Outcome: Sendable, Equatable {
        /// Letters looked at.
        public var read = 0
        /// Letters that were selected.
        public var selected = 0
        /// Of them, those that had been sent again before.
        public var alreadySent = 0
        /// Of them, those that do not say where their record came from.
        public var withoutSource = 0
        /// Of them, those of topics that are no input any more.
        public var foreign = 0
        /// Records sent again, or that would be.
        public var sent: [String: Int] = [:]

        /// Records sent again, of all topics.
        public var sentCount: Int { sent.values.reduce(0, +) }
    }

    /// Letters of one transaction, at most.
    var lettersMax = 1_000
    /// Their bytes, at most; the last one may go beyond it.
    private static let bytesMax = 4 << 20

    private let selection: DeadLetterSelection
    private let inputs: Set<String>
    private let isDryRun: Bool

    /// Prepares to send letters again.
    ///
    /// - Parameters:
    ///   - selection: which letters.
    ///   - inputs: the event topics; nothing is sent anywhere else, whatever a header says.
    ///   - isDryRun: only count.
    public init(_ selection: DeadLetterSelection, inputs: [String], isDryRun: Bool = false) {
        self.selection = selection
        self.inputs = Set(inputs)
        self.isDryRun = isDryRun
    }

    /// Sends what was in the topic when its partitions' ends were read.
    ///
    /// - Parameters:
    ///   - topic: the topic; fenced first, unless only counted.
    ///   - name: its name.
    /// - Returns: what was found and done.
    /// - Throws: `LogError`. What was sent has its receipts then, and running again goes on.
    public func run<Topic: DeadLetterRetryTopic & ~Copyable>(
        on topic: inout Topic,
        name: String
    ) throws(LogError) -> Outcome {
        var outcome = Outcome()
        if !isDryRun { try topic.fence() }
        var (retried, ends) = try Self.receipts(in: &topic)
        for (partition, end) in ends {
            try topic.readLetters(of: partition, until: end) { (topic, batch) throws(LogError) in
                var letters: [RetriedLetter] = []
                var bytes = 0
                for record in batch.records where record.offset < end {
                    guard let letter = letter(record, of: batch, name, &retried, &outcome) else {
                        continue
                    }
                    letters.append(letter)
                    bytes += (record.key?.count ?? 0) + (record.value?.count ?? 0)
                    if letters.count == lettersMax || bytes >= Self.bytesMax {
                        try send(&letters, of: batch, to: &topic, &outcome)
                        bytes = 0
                    }
                }
                try send(&letters, of: batch, to: &topic, &outcome)
            }
        }
        return outcome
    }

    /// Reads all receipts, and where each partition ends.
    ///
    /// - Returns: sources of the records that were sent again, and ends, in order.
    static func receipts<Topic: DeadLetterTopic & ~Copyable>(
        in topic: inout Topic
    ) throws(LogError) -> (Set<RecordPlace>, [(Int32, Int64)]) {
        var retried: Set<RecordPlace> = []
        var ends: [(Int32, Int64)] = []
        for partition in 0..<Int32(try topic.partitionCount()) {
            let end = try topic.readLetters(of: partition, until: nil) {
                (_, batch) throws(LogError) in
                for record in batch.records {
                    if let source = DeadLetterHeaders(record, of: batch).retried {
                        retried.insert(source)
                    }
                }
            }
            ends.append((partition, end))
        }
        return (retried, ends)
    }

    /// What is to be sent for a record, nil for none.
    private func letter(
        _ record: RecordView,
        of batch: RecordBatch,
        _ name: String,
        _ retried: inout Set<RecordPlace>,
        _ outcome: inout Outcome
    ) -> RetriedLetter? {
        let headers = DeadLetterHeaders(record, of: batch)
        guard headers.retried == nil else { return nil }
        outcome.read += 1
        guard selection.contains(record, headers, topic: name) else { return nil }
        outcome.selected += 1
        guard let source = headers.source else {
            outcome.withoutSource += 1
            return nil
        }
        guard inputs.contains(source.topic) else {
            outcome.foreign += 1
            return nil
        }
        // An interrupted purge leaves letters twice: the first of them counts.
        guard retried.insert(source).inserted else {
            outcome.alreadySent += 1
            return nil
        }
        let own = record.headers.filter { index in
            !batch.bytes[batch.headers[index].name].starts(with: "segmentd-".utf8)
        }
        let place = RecordPlace(
            topic: name,
            partition: record.partition,
            offset: record.offset
        )
        return RetriedLetter(
            record: record,
            topic: source.topic,
            partition: source.partition,
            headerIndices: own,
            mark: (DeadLetterHeaders.retriedFromName, place.description),
            receipt: (DeadLetterHeaders.retriedName, source.description)
        )
    }

    private func send<Topic: DeadLetterRetryTopic & ~Copyable>(
        _ letters: inout [RetriedLetter],
        of batch: RecordBatch,
        to topic: inout Topic,
        _ outcome: inout Outcome
    ) throws(LogError) {
        guard !letters.isEmpty else { return }
        if !isDryRun { try topic.retry(letters, in: batch) }
        for letter in letters { outcome.sent[letter.topic, default: 0] += 1 }
        letters.removeAll(keepingCapacity: true)
    }
}
