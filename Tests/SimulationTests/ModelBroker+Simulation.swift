import TestSupport

/// What every simulated shop begins with.
extension ModelBroker {
    /// Creates the five topics.
    func createSimulationTopics() {
        for name in [SimulationInput.eventTopic, "segments", "changelog"] {
            createTopic(name, partitions: SimulationInput.partitionCount)
        }
        for name in ["model", "rejected"] { createTopic(name, partitions: 1) }
    }

    /// Appends events to the topic that they are read from.
    func append(_ records: some Sequence<SimulationInput.Record>) {
        for record in records {
            append(
                SimulationInput.eventTopic,
                partition: record.partition,
                key: record.key,
                value: record.value,
                headers: record.headers,
                timestamp: record.timestamp
            )
        }
    }
}
