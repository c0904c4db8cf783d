public import EventLog
import Segmentation

/// Counts dead letters by reason, and remembers the newest.
public struct DeadLetterList: Sendable {
    /// Letters of one reason and detail.
    public struct Count: Sendable, Equatable {
        /// Letters.
        public var letters = 0
        /// Of them, those that were sent again.
        public var retried = 0
        /// Time of the first, in milliseconds since 1970.
        public var firstMilliseconds = Int64.max
        /// Time of the last.
        public var lastMilliseconds = Int64.min
    }

    /// What letters are counted by.
    public struct Cause: Hashable, Sendable, Comparable {
        /// Code of the reason.
        public var reason: String
        /// What exactly was wrong.
        public var detail: String

        /// By reason, then by detail.
        public static func < (left: Cause, right: Cause) -> Bool {
            (left.reason, left.detail) < (right.reason, right.detail)
        }
    }

    /// One letter, without its content.
    public struct Line: Sendable, Equatable {
        /// Partition of the letter.
        public var partition: Int32
        /// Its offset.
        public var offset: Int64
        /// Its time, in milliseconds since 1970.
        public var timestampMilliseconds: Int64
        /// Why it was rejected.
        public var cause: Cause
        /// Where its record came from, nil where that is not said.
        public var source: RecordPlace?
        /// Hash of the key, nil without one; equal keys have equal ones.
        public var keyHash: UInt64?
        /// Whether it was sent again.
        public var isRetried = false
    }

    /// Counts by reason and detail.
    public private(set) var counts: [Cause: Count] = [:]
    /// The newest letters, in the order of partitions and offsets.
    public private(set) var lines: [Line] = []
    private let selection: DeadLetterSelection
    private let linesMax: Int
    private var retried: Set<RecordPlace> = []

    /// Prepares a list.
    ///
    /// - Parameters:
    ///   - selection: which letters count.
    ///   - linesMax: letters to remember of each partition, the newest; 0 or more.
    public init(_ selection: DeadLetterSelection, linesMax: Int) {
        precondition(linesMax >= 0)
        self.selection = selection
        self.linesMax = linesMax
    }

    /// Reads the topic to its present end, twice: receipts stand behind their letters.
    ///
    /// - Parameters:
    ///   - topic: the topic; nothing in it changes.
    ///   - name: its name.
    /// - Throws: `LogError`.
    /// - Complexity: memory grows with receipts and kinds of causes, not with letters.
    public mutating func read<Topic: DeadLetterTopic & ~Copyable>(
        _ topic: inout Topic,
        name: String
    ) throws(LogError) {
        let (retried, ends) = try DeadLetterRetry.receipts(in: &topic)
        self.retried = retried
        for (partition, end) in ends {
            var newest: [Line] = []
            try topic.readLetters(of: partition, until: end) { (_, batch) throws(LogError) in
                for record in batch.records where record.offset < end {
                    guard let line = add(record, of: batch, name), linesMax > 0 else { continue }
                    newest.append(line)
                }
                // Twice the lines, so that what is dropped is not moved for each record.
                if newest.count > 2 * linesMax { newest.removeFirst(newest.count - linesMax) }
            }
            lines += newest.suffix(linesMax)
        }
    }

    private mutating func add(
        _ record: RecordView,
        of batch: RecordBatch,
        _ name: String
    ) -> Line? {
        let headers = DeadLetterHeaders(record, of: batch)
        guard headers.retried == nil, selection.contains(record, headers, topic: name) else {
            return nil
        }
        let cause = Cause(reason: headers.reason ?? "unknown", detail: headers.detail ?? "")
        let isRetried = headers.source.map { retried.contains($0) } ?? false
        var count = counts[cause, default: Count()]
        count.letters += 1
        count.retried += isRetried ? 1 : 0
        count.firstMilliseconds = min(count.firstMilliseconds, record.timestampMilliseconds)
        count.lastMilliseconds = max(count.lastMilliseconds, record.timestampMilliseconds)
        counts[cause] = count
        return Line(
            partition: record.partition,
            offset: record.offset,
            timestampMilliseconds: record.timestampMilliseconds,
            cause: cause,
            source: headers.source,
            keyHash: record.key.map { StableHash.hash(of: batch.bytes, range: $0) },
            isRetried: isRetried
        )
    }
}
