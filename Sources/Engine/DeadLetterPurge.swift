public import EventLog
import Segmentation

/// Removes the dead letters of one customer from the topic of dead letters.
///
/// ```
///     fence -> read to the end, note -> append copies of others -> delete the beginning -> done
///                         |                                                        ^
///                         +--- nothing is the customer's: done    next partition --+
/// ```
///
/// Kafka deletes only whole beginnings of a partition. So what stands before the last of the
/// customer's letters and is not theirs is appended once more, and then everything up to that last
/// letter is deleted. A run that ends anywhere in between leaves every letter of others in the
/// topic, some of them twice, and running it again puts that right: a dead letter is known by its
/// source offset and its bytes, and of equal ones only the last is kept.
///
/// Workers go on meanwhile: what they append stands behind the end that was read.
public struct DeadLetterPurge: Sendable {
    /// What was found and done.
    public struct Outcome: Sendable, Equatable {
        /// Letters read.
        public var read = 0
        /// Removed because their key is the customer's.
        public var byKey = 0
        /// Removed because they name the customer.
        public var byName = 0
        /// Removed because the customer's id stands elsewhere in them.
        public var byMention = 0
        /// Left although the customer's id stands somewhere in them.
        public var mentioned = 0
        /// Letters of others that were appended once more.
        public var copied = 0
        /// Partitions whose beginning was deleted, with the new first offset.
        public var starts: [Int32: Int64] = [:]

        /// Letters of the customer.
        public var found: Int { byKey + byName + byMention }
    }

    /// Records of one transaction, at most.
    var copyRecordsMax = 5_000
    /// Their bytes, at most; the last one may go beyond it.
    private static let copyBytesMax = 4 << 20

    private let mentions: CustomerMentions
    private let removesMentions: Bool
    private let isDryRun: Bool

    /// Prepares to remove one customer's dead letters.
    ///
    /// - Parameters:
    ///   - customer: the id, as the records' key has it; at least one byte.
    ///   - removesMentions: also those in which the id merely stands somewhere.
    ///   - isDryRun: only count.
    public init(customer: [UInt8], removesMentions: Bool = false, isDryRun: Bool = false) {
        precondition(!customer.isEmpty, "records without a key are nobody's")
        mentions = CustomerMentions(id: customer)
        self.removesMentions = removesMentions
        self.isDryRun = isDryRun
    }

    /// Removes what was in the topic when its partitions' ends were read.
    ///
    /// - Parameter topic: the topic; fenced first.
    /// - Returns: what was found and done.
    /// - Throws: `LogError`. Nobody else's letter is lost then, and running again is the remedy
    ///   where it says to retry.
    public func run<Topic: DeadLetterTopic & ~Copyable>(
        on topic: inout Topic
    ) throws(LogError) -> Outcome {
        var outcome = Outcome()
        if !isDryRun { try topic.fence() }
        for partition in 0..<Int32(try topic.partitionCount()) {
            let survey = try survey(partition, of: &topic, &outcome)
            guard !isDryRun, let end = survey.end else { continue }
            try copyOthers(of: partition, before: end, survey, on: &topic, &outcome)
            try topic.delete(partition: partition, before: end)
            outcome.starts[partition] = end
        }
        return outcome
    }

    /// What was found in one partition.
    private struct Survey {
        /// Offset behind the last of the customer's letters, nil without any.
        var end: Int64?
        /// The last offset at which each letter stands.
        var lastOffsets: [LetterIdentity: Int64] = [:]
    }

    private func survey<Topic: DeadLetterTopic & ~Copyable>(
        _ partition: Int32,
        of topic: inout Topic,
        _ outcome: inout Outcome
    ) throws(LogError) -> Survey {
        var survey = Survey()
        try topic.readLetters(of: partition, until: nil) { (_, batch) throws(LogError) in
            for record in batch.records {
                outcome.read += 1
                let mention = mentions.find(in: record, of: batch)
                if isToRemove(mention) {
                    survey.end = record.offset + 1
                } else if let identity = LetterIdentity(record, of: batch) {
                    survey.lastOffsets[identity] = record.offset
                }
                switch mention {
                case .key: outcome.byKey += 1
                case .name: outcome.byName += 1
                case .elsewhere where removesMentions: outcome.byMention += 1
                case .elsewhere: outcome.mentioned += 1
                case nil: break
                }
            }
        }
        return survey
    }

    private func isToRemove(_ mention: CustomerMention?) -> Bool {
        switch mention {
        case .key, .name: true
        case .elsewhere: removesMentions
        case nil: false
        }
    }

    private func copyOthers<Topic: DeadLetterTopic & ~Copyable>(
        of partition: Int32,
        before end: Int64,
        _ survey: Survey,
        on topic: inout Topic,
        _ outcome: inout Outcome
    ) throws(LogError) {
        try topic.readLetters(of: partition, until: end) { (topic, batch) throws(LogError) in
            var copies: [RecordView] = []
            var bytes = 0
            for record in batch.records where record.offset < end {
                guard !isToRemove(mentions.find(in: record, of: batch)) else { continue }
                if let identity = LetterIdentity(record, of: batch),
                    survey.lastOffsets[identity] != record.offset
                {
                    // It stands there once more, from a run that was interrupted.
                    continue
                }
                copies.append(record)
                bytes += (record.key?.count ?? 0) + (record.value?.count ?? 0)
                if copies.count == copyRecordsMax || bytes >= Self.copyBytesMax {
                    try topic.append(copiesOf: copies, in: batch)
                    outcome.copied += copies.count
                    copies.removeAll(keepingCapacity: true)
                    bytes = 0
                }
            }
            if !copies.isEmpty { try topic.append(copiesOf: copies, in: batch) }
            outcome.copied += copies.count
        }
    }
}

/// By what a dead letter is known again: where its record came from, and all its bytes.
///
/// Not the timestamp, which a topic with `message.timestamp.type=LogAppendTime` changes.
private struct LetterIdentity: Hashable {
    private static let source = ["segmentd-topic", "segmentd-partition", "segmentd-offset"]
        .map { Array($0.utf8) }

    private var low: UInt64
    private var high: UInt64

    /// Nil for a record that no worker of ours wrote: two equal ones may both have a meaning.
    init?(_ record: RecordView, of batch: RecordBatch) {
        let headers = batch.headers[record.headers]
        let isOurs = Self.source.allSatisfy { name in
            headers.contains { batch.bytes[$0.name].elementsEqual(name) }
        }
        guard isOurs else { return nil }
        low = Self.hash(record, batch, seed: 0x6465_6164)
        high = Self.hash(record, batch, seed: 0x6c65_7474)
    }

    private static func hash(_ record: RecordView, _ batch: RecordBatch, seed: UInt64) -> UInt64 {
        // Each part seeds the next, and nothing differs from empty.
        var hash = seed
        func add(_ range: Range<Int>?) {
            let next = range.map { StableHash.hash(of: batch.bytes, range: $0, seed: hash) }
            hash = next ?? ~hash
        }
        add(record.key)
        add(record.value)
        for header in batch.headers[record.headers] {
            add(header.name)
            add(header.value)
        }
        return hash
    }
}
