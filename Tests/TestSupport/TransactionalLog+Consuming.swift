public import EventLog

extension TransactionalLog where Self: ~Copyable {
    /// Begins to consume partitions where the group stands, or else where it is told to begin.
    ///
    /// - Parameter partitions: of every event topic.
    /// - Returns: the offsets.
    /// - Throws: what the calls of the log throw.
    @discardableResult
    public mutating func consume(_ partitions: [Int32]) throws(LogError) -> [PartitionOffset] {
        var offsets = try committedOffsets(of: partitions)
        for index in offsets.indices where offsets[index].offset == nil {
            let (topicIndex, partition) = (offsets[index].topicIndex, offsets[index].partition)
            offsets[index].offset = try startOffset(topicIndex: topicIndex, partition: partition)
        }
        try startConsuming(from: offsets)
        return offsets
    }
}
