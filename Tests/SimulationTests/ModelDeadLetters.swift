import EventLog
import TestSupport

/// The dead letters of the model broker, for removing some of them.
struct ModelDeadLetters: ~Copyable, DeadLetterTopic {
    static let topic = "rejected"

    private let broker: ModelBroker
    private var log: ModelLog

    init(_ broker: ModelBroker, plan: FaultPlan? = nil) {
        self.broker = broker
        log = ModelLog(
            broker: broker,
            configuration: ModelLogConfiguration(
                group: SimulationInput.group,
                instance: "rejected.purge",
                eventTopics: [SimulationInput.eventTopic]
            ),
            plan: plan
        )
    }

    mutating func fence() throws(LogError) { try log.initTransactions() }

    mutating func partitionCount() throws(LogError) -> Int { try log.partitionCount(of: .rejected) }

    mutating func beginReading(partition: Int32) throws(LogError) {
        try log.beginRestore(of: .rejected, partition: partition)
    }

    mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress {
        try log.restore(into: &batch, timeoutMilliseconds: 200)
    }

    mutating func append(
        copiesOf records: [RecordView],
        in batch: RecordBatch
    ) throws(LogError) {
        try log.beginTransaction()
        for record in records {
            let copy = ProducedRecord(
                topic: .rejected,
                partition: record.partition,
                key: record.key,
                value: record.value,
                headers: record.headers
            )
            try log.produce(copy, bytes: batch.bytes, headers: batch.headers)
        }
        try log.commitTransaction()
    }

    mutating func delete(partition: Int32, before offset: Int64) throws(LogError) {
        // Any call of the log does to let a fault happen here too.
        _ = try log.bounds(of: .rejected, partition: partition)
        broker.deleteRecords(Self.topic, partition: partition, before: offset)
    }
}
