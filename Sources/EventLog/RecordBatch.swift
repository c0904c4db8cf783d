/// One record of a batch: where it stands in the log, and where its bytes are in
/// `RecordBatch.bytes`.
public struct RecordView: Sendable, Equatable {
    /// Index into the log's list of event topics; 0 while restoring.
    public var topicIndex: Int
    /// Partition number.
    public var partition: Int32
    /// Offset of the record in its partition.
    public var offset: Int64
    /// Record timestamp in milliseconds since 1970, or -1 when the broker keeps none.
    public var timestampMilliseconds: Int64
    /// Range of the key in `RecordBatch.bytes`, nil for a record without key.
    public var key: Range<Int>?
    /// Range of the value in `RecordBatch.bytes`, nil for a null value (tombstone).
    public var value: Range<Int>?
    /// Range of the record's headers in `RecordBatch.headers`.
    public var headers: Range<Int>

    /// Creates a view from its parts.
    public init(
        topicIndex: Int,
        partition: Int32,
        offset: Int64,
        timestampMilliseconds: Int64,
        key: Range<Int>?,
        value: Range<Int>?,
        headers: Range<Int>
    ) {
        self.topicIndex = topicIndex
        self.partition = partition
        self.offset = offset
        self.timestampMilliseconds = timestampMilliseconds
        self.key = key
        self.value = value
        self.headers = headers
    }
}

/// One header: ranges of name and value in the bytes that go with it.
public struct HeaderView: Sendable, Equatable {
    /// Range of the UTF-8 name.
    public var name: Range<Int>
    /// Range of the value, nil for a null value.
    public var value: Range<Int>?

    /// Creates a header from the ranges of its name and value.
    public init(name: Range<Int>, value: Range<Int>?) {
        self.name = name
        self.value = value
    }
}

/// A bounded batch of records with all their bytes in one reused buffer.
///
/// Appending allocates nothing once the buffers have grown to a batch's size. After the last record
/// there are always `padding` readable bytes, so that a vectorised parser may read past a value.
public struct RecordBatch: Sendable {
    /// Readable bytes kept behind the last record.
    public static let padding = 64

    /// Keys, values and header bytes of all records, followed by `padding` zero bytes.
    public internal(set) var bytes: [UInt8] = Array(repeating: 0, count: RecordBatch.padding)
    /// The records in the order of arrival.
    public private(set) var records: [RecordView] = []
    /// Headers of all records, in order.
    public private(set) var headers: [HeaderView] = []
    private var used = 0

    /// Creates an empty batch.
    public init() {}

    /// Bytes of keys, values and headers now in the batch, in bytes.
    public var payloadBytes: Int { used }

    /// Forgets all records and keeps the memory.
    public mutating func removeAll() {
        used = 0
        records.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
    }

    /// Makes room for bytes behind what is there, which the caller writes.
    mutating func reserve(_ count: Int) -> Range<Int> {
        let start = used
        let needed = start + count + Self.padding
        if bytes.count < needed {
            bytes.append(
                contentsOf: repeatElement(0, count: max(needed - bytes.count, bytes.count))
            )
        }
        used = start + count
        return start..<used
    }

    /// Adds one header of the record that is appended next.
    public mutating func appendHeader(name: Range<Int>, value: Range<Int>?) {
        headers.append(HeaderView(name: name, value: value))
    }

    /// Adds one record whose bytes were stored before, with the headers added since the last one.
    public mutating func append(
        topicIndex: Int,
        partition: Int32,
        offset: Int64,
        timestampMilliseconds: Int64,
        key: Range<Int>?,
        value: Range<Int>?
    ) {
        let firstHeader = records.last?.headers.upperBound ?? 0
        records.append(
            RecordView(
                topicIndex: topicIndex,
                partition: partition,
                offset: offset,
                timestampMilliseconds: timestampMilliseconds,
                key: key,
                value: value,
                headers: firstHeader..<headers.count
            )
        )
    }
}
