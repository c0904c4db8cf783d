/// Reads single partitions of event topics in Kafka; commits nothing.
public struct KafkaEventReader: ~Copyable, EventReader {
    private let topics: [String]
    private let restorer: KafkaRestorer

    /// Creates the clients.
    ///
    /// - Throws: `LogError` with `.restartProcess` when a property is unknown or invalid.
    public init(_ configuration: KafkaLogConfiguration) throws(LogError) {
        topics = configuration.eventTopics
        restorer = try KafkaRestorer(configuration)
    }

    /// Begins to read a partition.
    ///
    /// - Throws: `LogError`; `.retry` while the partition has no leader or the broker is away.
    public mutating func beginReading(
        topicIndex: Int,
        partition: Int32,
        from offset: Int64
    ) throws(LogError) {
        try restorer.begin(topics[topicIndex], partition, from: offset)
    }

    /// Reads on.
    public mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress {
        try restorer.read(into: &batch, timeoutMilliseconds: 200)
    }
}
