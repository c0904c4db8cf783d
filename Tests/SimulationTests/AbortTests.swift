import Engine
import TestSupport
import Testing

/// What follows on an abort.
@Suite(.timeLimit(.minutes(2))) struct AbortTests {
    /// The broker is away for the rewind; a second abort would be refused, and end the process.
    @Test func aRewindIsTriedAgainWithoutAnotherAbort() throws {
        let broker = ModelBroker(
            clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds),
            settings: ModelBroker.Settings()
        )
        broker.createSimulationTopics()
        let input = SimulationInput(seed: 1)
        broker.append(input.records.prefix(40))
        let plan = FaultPlan([])
        var configuration = CommitLoopConfiguration()
        configuration.transactionRecords = 16
        let worker = SimulatedWorker(
            broker: broker,
            instance: "a",
            plan: plan,
            model: nil,
            configuration: configuration
        )
        for _ in 0..<100 { try #require(worker.turn() == nil) }
        plan.add(Fault(.abortable, .before), atNext: .sendOffsets)
        plan.add(Fault(.retriable, .before), atNext: .startConsuming)
        broker.append(input.records.dropFirst(40))
        for _ in 0..<200 { try #require(worker.turn() == nil) }
        #expect(plan.remaining.isEmpty && plan.calls[.abortTransaction] == 1)
        for partition in 0..<Int32(SimulationInput.partitionCount) {
            let topic = SimulationInput.eventTopic
            #expect(
                broker.committedOffset(
                    group: SimulationInput.group,
                    topic: topic,
                    partition: partition
                ) == broker.highWatermark(topic, partition: partition)
            )
        }
        #expect(worker.stop() == .drained)
    }
}
