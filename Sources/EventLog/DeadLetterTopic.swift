/// The topic of dead letters as whoever removes some of them needs it: read, append copies, delete
/// from the front.
///
/// Kafka deletes only whole beginnings of a partition. Who wants one record gone appends copies of
/// the others that stand before it and then deletes up to it.
///
/// No call is made from two threads. Workers go on appending meanwhile.
public protocol DeadLetterTopic: ~Copyable {
    /// Fences whoever else removes dead letters of this group, and ends what it left open.
    mutating func fence() throws(LogError)

    /// Number of partitions.
    mutating func partitionCount() throws(LogError) -> Int

    /// Begins to read a partition from its start, up to the high watermark of this moment,
    /// read_committed: transactions that are open now are waited for.
    mutating func beginReading(partition: Int32) throws(LogError)

    /// Reads on; a call that brings nothing has waited for some 200 ms.
    mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress

    /// Appends copies of records to the partition that they stand in, with key, value, headers and
    /// timestamp, in one transaction, which is committed when the call returns.
    mutating func append(
        copiesOf records: [RecordView],
        in batch: RecordBatch
    ) throws(LogError)

    /// Deletes, in one partition, every record before an offset.
    ///
    /// No reader is given them afterwards. The offset must not lie behind the end of what is
    /// stable.
    mutating func delete(partition: Int32, before offset: Int64) throws(LogError)
}

/// The topic of dead letters, for sending what they hold to where it came from again.
public protocol DeadLetterRetryTopic: DeadLetterTopic, ~Copyable {
    /// Sends records again and appends a receipt for each, in one transaction, which is committed
    /// when the call returns.
    ///
    /// A receipt is a record without key and value in the partition of its letter, so that it holds
    /// no personal data. With the transaction, a letter has been sent exactly if there is one.
    mutating func retry(_ letters: [RetriedLetter], in batch: RecordBatch) throws(LogError)
}

/// One dead letter that is sent again.
public struct RetriedLetter: Sendable, Equatable {
    /// The letter; key and value are sent as they are.
    public var record: RecordView
    /// Topic that its record came from.
    public var topic: String
    /// Partition that its record came from.
    public var partition: Int32
    /// Indices into the batch's headers of those that are sent.
    public var headerIndices: [Int]
    /// A further header of the record that is sent.
    public var mark: (name: String, value: String)
    /// The only header of the receipt.
    public var receipt: (name: String, value: String)

    /// Creates a letter from its parts.
    public init(
        record: RecordView,
        topic: String,
        partition: Int32,
        headerIndices: [Int],
        mark: (name: String, value: String),
        receipt: (name: String, value: String)
    ) {
        self.record = record
        self.topic = topic
        self.partition = partition
        self.headerIndices = headerIndices
        self.mark = mark
        self.receipt = receipt
    }

    /// Whether all parts are equal.
    public static func == (left: RetriedLetter, right: RetriedLetter) -> Bool {
        left.record == right.record && left.topic == right.topic
            && left.partition == right.partition && left.headerIndices == right.headerIndices
            && left.mark == right.mark && left.receipt == right.receipt
    }
}
