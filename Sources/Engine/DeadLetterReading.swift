public import EventLog

/// Reads without progress, some 200 ms each, before the reader gives up: two minutes, in which
/// every open transaction ends or is ended by the broker.
private let idleReadsMax = 600

extension DeadLetterTopic where Self: ~Copyable {
    /// Reads a partition, to an offset or to the end of the moment.
    ///
    /// - Parameters:
    ///   - partition: the partition.
    ///   - end: where to stop, nil for the end; the last batch may go beyond it.
    ///   - body: gets each batch that has records.
    /// - Returns: the offset behind the last record that was looked for.
    /// - Throws: `LogError`; `.retry` when a transaction stays open, or a broker away, for too
    ///   long.
    @discardableResult
    mutating func readLetters(
        of partition: Int32,
        until end: Int64?,
        _ body: (inout Self, RecordBatch) throws(LogError) -> Void
    ) throws(LogError) -> Int64 {
        try beginReading(partition: partition)
        var batch = RecordBatch()
        var idleReads = 0
        while true {
            let progress = try read(into: &batch)
            if !batch.records.isEmpty { try body(&self, batch) }
            if progress.isComplete || progress.position >= end ?? Int64.max {
                return end ?? progress.target
            }
            idleReads = batch.records.isEmpty ? idleReads + 1 : 0
            guard idleReads < idleReadsMax else {
                throw LogError(
                    remedy: .retry,
                    operation: "read the dead letters to their end",
                    code: "_TIMED_OUT",
                    reason: "partition \(partition) came to offset \(progress.position) of "
                        + "\(progress.target): a broker is away, or a transaction is still open"
                )
            }
        }
    }
}

/// A place in a topic.
public struct RecordPlace: Hashable, Sendable, CustomStringConvertible {
    /// Name of the topic.
    public var topic: String
    /// Partition.
    public var partition: Int32
    /// Offset.
    public var offset: Int64

    /// Creates a place from its parts.
    public init(topic: String, partition: Int32, offset: Int64) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }

    /// Reads `TOPIC/PARTITION/OFFSET`.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, let partition = Int32(parts[1]), let offset = Int64(parts[2]),
            partition >= 0, offset >= 0
        else { return nil }
        self.init(topic: String(parts[0]), partition: partition, offset: offset)
    }

    /// `TOPIC/PARTITION/OFFSET`.
    public var description: String { "\(topic)/\(partition)/\(offset)" }
}

/// What the headers of a record in the topic of dead letters say.
///
/// Of headers of one name the last counts: workers put theirs behind those of the record.
public struct DeadLetterHeaders: Sendable, Equatable {
    /// Of a receipt: where the record came from that was sent again.
    public static let retriedName = "segmentd-retried"
    /// Of a record that was sent again: where its letter stood.
    public static let retriedFromName = "segmentd-retried-from"

    /// Why the record was rejected; nil for a record that no worker wrote.
    public var reason: String?
    /// What exactly was wrong, no personal data.
    public var detail: String?
    /// Where the record came from; nil where that is not said.
    public var source: RecordPlace?
    /// Of a receipt: where the record came from that was sent again.
    public var retried: RecordPlace?

    /// Reads the headers of a record.
    public init(_ record: RecordView, of batch: RecordBatch) {
        var values: [String: String] = [:]
        for header in batch.headers[record.headers] {
            let name = String(decoding: batch.bytes[header.name], as: UTF8.self)
            guard name.hasPrefix("segmentd-"), let value = header.value else { continue }
            values[name] = String(decoding: batch.bytes[value], as: UTF8.self)
        }
        reason = values["segmentd-reason"]
        detail = values["segmentd-detail"]
        // A letter of a record that carries such a header is no receipt.
        retried = reason == nil ? values[Self.retriedName].flatMap(RecordPlace.init) : nil
        if let topic = values["segmentd-topic"],
            let partition = values["segmentd-partition"].flatMap(Int32.init),
            let offset = values["segmentd-offset"].flatMap(Int64.init)
        {
            source = RecordPlace(topic: topic, partition: partition, offset: offset)
        }
    }
}

/// Which dead letters are meant; what is left out does not restrict.
public struct DeadLetterSelection: Sendable, Equatable {
    /// Code of the reason, as in `segmentd-reason`.
    public var reason: String?
    /// Rejected then or later, in milliseconds since 1970, by the time of the letter.
    public var sinceMilliseconds: Int64?
    /// Where they stand in the topic of dead letters; empty for everywhere.
    public var places: Set<RecordPlace> = []

    /// Selects every letter.
    public init() {}

    /// Whether a letter is meant.
    public func contains(
        _ record: RecordView,
        _ headers: DeadLetterHeaders,
        topic: String
    ) -> Bool {
        if let reason, headers.reason != reason { return false }
        if let since = sinceMilliseconds, record.timestampMilliseconds < since { return false }
        guard !places.isEmpty else { return true }
        return places.contains(
            RecordPlace(topic: topic, partition: record.partition, offset: record.offset)
        )
    }
}

extension DeadLetterTopic where Self: ~Copyable {
    /// Finds one letter; `body` is not called where there is none.
    public mutating func readLetter(
        of partition: Int32,
        at offset: Int64,
        _ body: (RecordView, RecordBatch) -> Void
    ) throws(LogError) {
        try readLetters(of: partition, until: offset + 1) { (_, batch) throws(LogError) in
            for record in batch.records where record.offset == offset { body(record, batch) }
        }
    }
}
