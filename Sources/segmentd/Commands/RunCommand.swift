import ArgumentParser
import Engine
import EventLog
import Foundation
import Glibc
import Logging
import Segmentation
import Settings

/// The daemon.
struct RunCommand: AsyncParsableCommand, DrainingCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the daemon: consume events, publish segments and churn flags, exactly once.",
        discussion: """
            SIGTERM and SIGINT drain: the open transaction is committed, then the program ends.
            SIGHUP reads the configuration again and takes over what can change while it runs:
            thresholds, personas, rates, limits of transactions, the log level. What takes a
            restart is named in the log; a configuration with a problem changes nothing.

            Examples:
              segmentd run --config /etc/segmentd/segmentd.yaml
              segmentd run --config F --model model.json --set kafka.instance=2
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Start from this bundle; learning is off unless model.learning is set.")
    var model: String?

    func run() async throws {
        // Until somebody watches for it; the file is just being read.
        signal(SIGHUP, SIG_IGN)
        let reloadable = try options.reloadable(.kafka)
        var loaded = reloadable.current
        let given = try model.map { path in
            try ModelFile.load(path, for: loaded.segmentation)
        }
        if given != nil && !loaded.isLearningExplicit { loaded.segmentation.model.learning = false }
        let logging = DaemonLogging(level: loaded.logLevel, format: loaded.logFormat)
        let logger = logging.logger
        logger.info(
            "starting",
            metadata: [
                "version": "\(Segmentd.version)", "group": "\(loaded.kafka.group)",
                "instance": "\(loaded.kafka.instance)",
                "topics": "\(loaded.kafka.eventTopics.joined(separator: ","))",
            ]
        )
        let daemon = Daemon(
            configuration: loaded,
            reloadable: reloadable,
            model: given,
            logging: logging
        )
        let end: CommitLoopEnd
        do {
            end = try await daemon.run()
        } catch {
            throw CommandFailure("cannot serve: \(error)")
        }
        do {
            try Self.leave(end)
        } catch {
            // What systemd shows while it waits for the next start.
            NotifySocket()?.send("STATUS=\(error.message)")
            throw error
        }
        logger.info("stopped")
    }

    /// Turns the end of the engine into an exit status.
    static func leave(_ end: CommitLoopEnd) throws(CommandFailure) {
        switch end {
        case .drained: return
        case .fenced(let error):
            throw CommandFailure(
                "\(error); another worker with the same kafka.instance took over, or this one "
                    + "stood still for longer than its transactions may last. Nothing is lost: a "
                    + "restart goes on",
                status: .fenced
            )
        case .failed(let error):
            throw CommandFailure(
                error.description,
                status: error.isRefused ? .refused : .failure
            )
        case .corruptState(let reason): throw CommandFailure(reason, status: .corruptState)
        }
    }
}
