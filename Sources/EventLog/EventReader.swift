/// Reads single partitions of the event topics without being a member of the group.
public protocol EventReader: ~Copyable {
    /// Begins to read a partition from an offset, or from the oldest record that is kept, up to the
    /// high watermark of this moment, read_committed.
    mutating func beginReading(
        topicIndex: Int,
        partition: Int32,
        from offset: Int64
    ) throws(LogError)

    /// Reads on; a call that brings nothing has waited for some 200 ms.
    mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress
}
