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
