import EventLog
import TestSupport

/// A model broker with the topics of one small worker.
struct ModelShop {
    let broker: ModelBroker
    let limits = PollLimits(records: 100, payloadBytes: 1 << 20, lingerMilliseconds: 0)

    init(settings: ModelBroker.Settings = ModelBroker.Settings(), partitions: Int = 2) {
        broker = ModelBroker(settings: settings)
        for name in ["events", "segments", "changelog"] {
            broker.createTopic(name, partitions: partitions)
        }
        for name in ["model", "rejected"] { broker.createTopic(name, partitions: 1) }
    }

    func configuration(_ instance: String) -> ModelLogConfiguration {
        ModelLogConfiguration(group: "group", instance: instance, eventTopics: ["events"])
    }

    func makeLog(_ instance: String = "worker", plan: FaultPlan? = nil) -> ModelLog {
        ModelLog(broker: broker, configuration: configuration(instance), plan: plan)
    }

    /// One poll of no time.
    func poll(_ log: inout ModelLog) throws(LogError) -> PollResult {
        var batch = RecordBatch()
        return try log.poll(into: &batch, limits: limits, timeoutMilliseconds: 0)
    }

    /// Adds a row to partition 0 of the changelog.
    func produce(
        _ value: String,
        key: String = "k",
        _ log: inout ModelLog
    ) throws(LogError) {
        let bytes = Array((key + value).utf8)
        let end = key.utf8.count
        let record = ProducedRecord(
            topic: .changelog,
            partition: 0,
            key: 0..<end,
            value: end..<bytes.count
        )
        try log.produce(record, bytes: bytes, headers: [])
    }

    /// The error that a call throws, nil when it throws none.
    func fault(_ body: () throws(LogError) -> Void) -> LogError? {
        do throws(LogError) {
            try body()
            return nil
        } catch {
            return error
        }
    }
}
