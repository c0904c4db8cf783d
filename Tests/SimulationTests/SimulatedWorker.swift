import Engine
import EventLog
import Segmentation
import TestSupport

/// One process: a commit loop over a log of its own, run turn by turn.
final class SimulatedWorker {
    private var loop: CommitLoop<ModelLog, VirtualClock>

    /// Where operators ask.
    let mailbox = Mailbox()

    init(
        broker: ModelBroker,
        instance: String,
        plan: FaultPlan,
        model: SegmentModel?,
        configuration: CommitLoopConfiguration = CommitLoopConfiguration(),
        checkpoints: MemoryCheckpoints? = nil,
        start: LogStart = .earliest,
        hasSilenceGuard: Bool = true
    ) {
        var configuration = configuration
        configuration.checkpoint = checkpoints?.configuration(instance: instance)
        configuration.isModelGiven = model != nil
        configuration.eventTopics = [SimulationInput.eventTopic]
        var logConfiguration = ModelLogConfiguration(
            group: SimulationInput.group,
            instance: instance,
            eventTopics: [SimulationInput.eventTopic]
        )
        logConfiguration.start = start
        var segmentation = SimulationInput.configuration(learning: model == nil)
        segmentation.churn.silenceGuard = hasSilenceGuard
        loop = CommitLoop(
            log: ModelLog(broker: broker, configuration: logConfiguration, plan: plan),
            core: SegmentationCore(
                configuration: segmentation,
                model: model
            ),
            clock: broker.clock,
            board: StatusBoard(sinceMilliseconds: broker.clock.wallMilliseconds()),
            mailbox: mailbox,
            configuration: configuration,
            report: { report in checkpoints?.note(report) }
        )
    }

    /// Runs one turn.
    ///
    /// - Returns: why the process ended, nil while it lives.
    func turn() -> CommitLoopEnd? { loop.turnOnce() }

    /// Ends as SIGTERM does it.
    func stop() -> CommitLoopEnd { loop.stop() }
}
