import AdminServer
import Engine
import EventLog
import Foundation
import Logging
import Segmentation
import Settings
import ServiceLifecycle
import UnixSignals

/// Wires log, core, admin server and notifier into one service group.
struct Daemon {
    let configuration: ServiceConfiguration
    let model: SegmentModel?
    let logger: Logger
    let logging: DaemonLogging
    let reloadable: ReloadableConfiguration?
    let board: StatusBoard
    let mailbox: Mailbox
    let engine: EngineService<KafkaLog, SystemClock>
    /// Addresses once they accept connections.
    let onListening: @Sendable (ListenAddress) -> Void

    /// Wires everything.
    ///
    /// - Parameters:
    ///   - configuration: valid.
    ///   - reloadable: the same as it is read again on SIGHUP; nil where it is not.
    ///   - model: a given model.
    ///   - logging: where log lines go.
    ///   - report: told what the engine reports, beside the log.
    ///   - onListening: told addresses once they accept connections.
    init(
        configuration: ServiceConfiguration,
        reloadable: ReloadableConfiguration? = nil,
        model: SegmentModel?,
        logging: DaemonLogging,
        report: @escaping @Sendable (EngineReport) -> Void = { _ in },
        onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.model = model
        let logger = logging.logger
        self.logger = logger
        self.logging = logging
        self.reloadable = reloadable
        self.onListening = onListening
        let clock = SystemClock()
        board = StatusBoard(sinceMilliseconds: clock.wallMilliseconds())
        let mailbox = Mailbox()
        self.mailbox = mailbox
        var limits = configuration.commitLimits
        limits.clockAtEnd = configuration.clockAtEnd == .wall ? .wall : .hold
        limits.isModelGiven = model != nil
        limits.refitRunner = RefitRunner()
        limits.eventTopics = configuration.kafka.eventTopics
        limits.checkpoint = configuration.checkpointConfiguration
        let log = configuration.kafka.logConfiguration(
            connection: limits.connection,
            logger: logger
        )
        let segmentation = configuration.segmentation
        let board = board
        engine = EngineService(
            clock: clock,
            board: board,
            mailbox: mailbox,
            configuration: limits,
            report: { event in
                Self.log(event, to: logger)
                report(event)
            },
            open: { () throws(LogError) in
                try KafkaTopics.ensure(log)
                return EngineService<KafkaLog, SystemClock>.Parts(
                    log: try KafkaLog(log),
                    core: SegmentationCore(configuration: segmentation, model: model)
                )
            }
        )
    }

    /// Runs until a signal, or until the engine ends.
    ///
    /// - Throws: when the admin address cannot be listened on.
    /// - Returns: how the engine ended.
    func run(others: [any Service] = [], signals: Bool = true) async throws -> CommitLoopEnd {
        let admin = try AdminServer(
            configuration: configuration.admin,
            board: board,
            mailbox: mailbox,
            logger: logger,
            wallMilliseconds: { SystemClock().wallMilliseconds() },
            process: ProcessFacts.ofThisProcess,
            onListening: onListening
        )
        // Shutdown runs in reverse: the engine drains while health still answers.
        var services = [
            ServiceGroupConfiguration.ServiceConfiguration(service: admin),
            ServiceGroupConfiguration.ServiceConfiguration(
                service: ServiceNotifier(
                    board: board,
                    loopLimit: configuration.admin.loopLimit
                )
            ),
            ServiceGroupConfiguration.ServiceConfiguration(
                service: engine,
                successTerminationBehavior: .gracefullyShutdownGroup,
                failureTerminationBehavior: .gracefullyShutdownGroup
            ),
        ]
        if let reloadable {
            services.append(
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: ReloadService(
                        configuration: reloadable,
                        logging: logging,
                        board: board,
                        mailbox: mailbox,
                        signals: await UnixSignalsSequence(trapping: .sighup)
                    )
                )
            )
        }
        if signals {
            services.append(
                ServiceGroupConfiguration.ServiceConfiguration(
                    service: EarlySignalWatcher(),
                    successTerminationBehavior: .gracefullyShutdownGroup
                )
            )
        }
        services += others.map {
            ServiceGroupConfiguration.ServiceConfiguration(
                service: $0,
                successTerminationBehavior: .gracefullyShutdownGroup
            )
        }
        var quiet = logger
        quiet.logLevel = max(logger.logLevel, .warning)
        var group = ServiceGroupConfiguration(
            services: services,
            gracefulShutdownSignals: signals ? [.sigterm, .sigint] : [],
            cancellationSignals: [],
            logger: quiet
        )
        group.maximumGracefulShutdownDuration = .seconds(30)
        try await ServiceGroup(configuration: group).run()
        return engine.end ?? .drained
    }

    private static func log(_ event: EngineReport, to logger: Logger) {
        switch event {
        case .assigned(let partitions, let customers, let milliseconds):
            logger.info(
                "assigned",
                metadata: [
                    "partitions": "\(partitions.map(String.init).joined(separator: ","))",
                    "customers": "\(customers)", "restore_ms": "\(milliseconds)",
                ]
            )
        case .restoredCheckpoint(let partition, let rows, let offset):
            logger.info(
                "restoring from checkpoint and the tail of the changelog",
                metadata: [
                    "partition": "\(partition)", "rows": "\(rows)", "tail_from": "\(offset)",
                ]
            )
        case .ignoredCheckpoint(let partition, let reason):
            logger.info(
                "restoring from the whole changelog: \(reason)",
                metadata: ["partition": "\(partition)"]
            )
        case .wroteCheckpoints(let partitions, let bytes, let milliseconds):
            logger.info(
                "checkpoint written",
                metadata: [
                    "partitions": "\(partitions)", "bytes": "\(bytes)",
                    "write_ms": "\(milliseconds)",
                ]
            )
        case .checkpointFailed(let reason):
            logger.warning(
                "\(reason); the checkpoint before stays, and the next round tries again"
            )
        case .revoked(let partitions):
            logger.info(
                "revoked",
                metadata: ["partitions": "\(partitions.map(String.init).joined(separator: ","))"]
            )
        case .retrying(let reason): logger.warning("\(reason); trying again until it works")
        case .recovered: logger.info("it works again")
        case .aborted(let reason):
            logger.warning("transaction aborted and begun again: \(reason)")
        case .refitFailed(let reason):
            logger.error("\(reason); the model in force stays")
        case .refitDropped:
            logger.info("refit dropped: versions or partitions have changed since it began")
        case .silence(let reason?):
            logger.notice("alerts wait for orders: \(reason)")
        case .silence(nil):
            logger.notice("orders are back; alerts leave again")
        case .heldBack(let version, let reason, let former):
            // Said once as a warning; while nobody decides, every refit brings another candidate.
            logger.log(
                level: former == nil ? .warning : .info,
                "new model held back, the model in force stays: \(reason)",
                metadata: [
                    "version": "\(version)",
                    "next": "segmentd model accept \(version), or segmentd model reject \(version)",
                ]
            )
        case .commanded(let words): logger.info("operator: \(words)")
        case .newModel(let version, let customers, let segments):
            logger.info(
                "new model",
                metadata: [
                    "version": "\(version)", "customers": "\(customers)",
                    "segments": "\(segments.joined(separator: ", "))",
                ]
            )
        }
    }
}

extension ServiceConfiguration {
    /// How checkpoints are kept, nil where they are switched off.
    var checkpointConfiguration: CheckpointConfiguration? {
        guard let interval = checkpoint.intervalMilliseconds else { return nil }
        var result = CheckpointConfiguration(
            files: CheckpointFolder(
                stateDirectory: stateDirectory,
                group: kafka.group,
                instance: kafka.instance
            ),
            group: kafka.group,
            topic: kafka.changelogTopicName,
            instance: kafka.instance
        )
        result.intervalMilliseconds = interval
        result.rows = checkpoint.rows
        return result
    }
}

extension KafkaSettings {
    /// What the Kafka client is told.
    func logConfiguration(connection: BrokerConnection, logger: Logger) -> KafkaLogConfiguration {
        let start: LogStart =
            switch self.start {
            case .earliest: .earliest
            case .latest: .latest
            case .time(let milliseconds): .timestamp(milliseconds)
            }
        return KafkaLogConfiguration(
            properties: properties.mapValues(\.value),
            group: group,
            instance: instance,
            eventTopics: eventTopics,
            segmentsTopic: segmentsTopic,
            changelogTopic: changelogTopicName,
            modelTopic: modelTopicName,
            rejectedTopic: rejectedTopicName,
            start: start,
            connection: connection,
            onLog: { level, text in
                // The client repeats itself while a broker is away; the engine says it once.
                logger.debug("kafka client", metadata: ["level": "\(level)", "text": "\(text)"])
            }
        )
    }
}
