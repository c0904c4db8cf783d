import EventLog
import TestSupport

/// Reads the event topic of the model broker as a log reads its changelog.
struct ModelEventReader: ~Copyable, EventReader {
    private var log: ModelLog

    init(_ broker: ModelBroker, plan: FaultPlan? = nil) {
        var configuration = ModelLogConfiguration(
            group: SimulationInput.group,
            instance: "reader",
            eventTopics: [SimulationInput.eventTopic]
        )
        configuration.outputTopics[.changelog] = SimulationInput.eventTopic
        log = ModelLog(broker: broker, configuration: configuration, plan: plan)
    }

    mutating func beginReading(
        topicIndex: Int,
        partition: Int32,
        from offset: Int64
    ) throws(LogError) {
        try log.beginRestore(of: .changelog, partition: partition, from: offset)
    }

    mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress {
        try log.restore(into: &batch, timeoutMilliseconds: 200)
    }
}
