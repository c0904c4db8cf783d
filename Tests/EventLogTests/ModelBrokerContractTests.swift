import EventLog
import TestSupport
import Testing

/// The model broker keeps what the contract promises.
struct ModelBrokerContractTests {
    private func makeHarness(_ settings: ModelBroker.Settings) -> LogHarness<ModelLog> {
        let clock = VirtualClock(wallMilliseconds: 1_700_000_000_000)
        let broker = ModelBroker(clock: clock, settings: settings)
        let events = ["events-0", "events-1"]
        for name in events + ["segments", "changelog"] {
            broker.createTopic(name, partitions: 2)
        }
        for name in ["model", "rejected"] { broker.createTopic(name, partitions: 1) }
        return LogHarness(
            openLog: { instance, start in
                var configuration = ModelLogConfiguration(
                    group: "group",
                    instance: instance,
                    eventTopics: events
                )
                configuration.start = start
                return ModelLog(broker: broker, configuration: configuration)
            },
            append: { index, record in
                broker.append(
                    events[index],
                    partition: record.partition,
                    key: record.key,
                    value: record.value,
                    headers: record.headers,
                    timestamp: record.timestampMilliseconds < 0
                        ? nil : record.timestampMilliseconds
                )
            },
            readCommitted: { topic in
                broker.clock.sleep(milliseconds: 10)
                return broker.readCommitted("\(topic)")
            },
            deleteRecords: { index, partition, offset in
                broker.deleteRecords(events[index], partition: partition, before: offset)
            },
            wallMilliseconds: { clock.wallMilliseconds() },
            kill: { log in
                var log = log
                log.crash()
            },
            expel: { log, _ in log.expel() },
            pause: { broker.clock.sleep(milliseconds: 10) },
            pollMilliseconds: 100
        )
    }

    /// With markers at once, and later than the answer to the commit.
    @Test(arguments: LogPromise.allCases, [0, 35])
    func promiseIsKept(promise: LogPromise, markerDelayMilliseconds: Int) throws {
        var settings = ModelBroker.Settings()
        settings.markerDelayMilliseconds = markerDelayMilliseconds
        try promise.check(makeHarness(settings))
    }
}
