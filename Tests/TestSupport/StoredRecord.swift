public import EventLog

/// One header of a stored record.
public struct StoredHeader: Sendable, Hashable {
    /// UTF-8 name.
    public var name: [UInt8]
    /// Value, nil for a null value.
    public var value: [UInt8]?

    /// Creates a header.
    public init(name: [UInt8], value: [UInt8]?) {
        self.name = name
        self.value = value
    }

    /// Creates a header of texts.
    public init(_ name: String, _ value: String?) {
        self.init(name: Array(name.utf8), value: value.map { Array($0.utf8) })
    }
}

/// One record as a topic keeps it, with bytes of its own.
public struct StoredRecord: Sendable, Hashable {
    /// Partition number.
    public var partition: Int32
    /// Offset in the partition.
    public var offset: Int64
    /// Key, nil for none.
    public var key: [UInt8]?
    /// Value, nil for a tombstone.
    public var value: [UInt8]?
    /// Headers in order.
    public var headers: [StoredHeader]
    /// Timestamp, in milliseconds since 1970.
    public var timestampMilliseconds: Int64

    /// Creates a record from its parts.
    public init(
        partition: Int32,
        offset: Int64,
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [StoredHeader] = [],
        timestampMilliseconds: Int64 = -1
    ) {
        self.partition = partition
        self.offset = offset
        self.key = key
        self.value = value
        self.headers = headers
        self.timestampMilliseconds = timestampMilliseconds
    }

    /// The key as text, nil for none.
    public var keyText: String? { key.map { String(decoding: $0, as: UTF8.self) } }
    /// The value as text, nil for a tombstone.
    public var valueText: String? { value.map { String(decoding: $0, as: UTF8.self) } }

    /// Bytes of key and value together.
    var payloadBytes: Int { (key?.count ?? 0) + (value?.count ?? 0) }
}

extension RecordBatch {
    /// The records with bytes of their own.
    public var storedRecords: [StoredRecord] {
        records.map { record in
            StoredRecord(
                partition: record.partition,
                offset: record.offset,
                key: record.key.map { Array(bytes[$0]) },
                value: record.value.map { Array(bytes[$0]) },
                headers: headers[record.headers].map { header in
                    StoredHeader(
                        name: Array(bytes[header.name]),
                        value: header.value.map { Array(bytes[$0]) }
                    )
                },
                timestampMilliseconds: record.timestampMilliseconds
            )
        }
    }

    /// Adds a copy of a stored record.
    mutating func append(_ record: StoredRecord, topicIndex: Int) {
        let key = record.key.map { store($0.span) }
        let value = record.value.map { store($0.span) }
        for header in record.headers {
            let name = store(header.name.span)
            appendHeader(name: name, value: header.value.map { store($0.span) })
        }
        append(
            topicIndex: topicIndex,
            partition: record.partition,
            offset: record.offset,
            timestampMilliseconds: record.timestampMilliseconds,
            key: key,
            value: value
        )
    }
}
