import EventLog
import TestSupport
import Testing

/// The model broker keeps what the contract promises.
struct ModelBrokerContractTests {
    private func makeHarness(_ settings: ModelBroker.Settings) -> LogHarness<ModelLog> {
        let broker = ModelBroker(settings: settings)
        let events = ["events-0", "events-1"]
        for name in events + ["segments", "changelog"] {
            broker.createTopic(name, partitions: 2)
        }
        for name in ["model", "rejected"] { broker.createTopic(name, partitions: 1) }
        return LogHarness(
            makeLog: { instance in
                ModelLog(
                    broker: broker,
                    configuration: ModelLogConfiguration(
                        group: "group",
                        instance: instance,
                        eventTopics: events
                    )
                )
            },
            append: { index, record in
                broker.append(
                    events[index],
                    partition: record.partition,
                    key: record.key,
                    value: record.value,
                    headers: record.headers
                )
            },
            readCommitted: { topic in
                broker.clock.sleep(milliseconds: 10)
                return broker.readCommitted("\(topic)")
            },
            kill: { log in
                var log = log
                log.crash()
            },
            expel: { log, _ in log.expel() },
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
