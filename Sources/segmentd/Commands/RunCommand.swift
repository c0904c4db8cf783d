import ArgumentParser
import Engine
import EventLog
import Foundation
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

            Examples:
              segmentd run --config /etc/segmentd/segmentd.yaml
              segmentd run --config F --model model.json --set kafka.instance=2
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "Start from this bundle; learning is off unless model.learning is set.")
    var model: String?

    func run() async throws {
        var loaded = try options.load(.kafka)
        let given = try model.map { path in
            try ModelFile.load(path, for: loaded.segmentation)
        }
        if given != nil && !loaded.isLearningExplicit { loaded.segmentation.model.learning = false }
        let logger = DaemonLogging.logger(level: loaded.logLevel)
        logger.info(
            "starting",
            metadata: [
                "version": "\(Segmentd.version)", "group": "\(loaded.kafka.group)",
                "instance": "\(loaded.kafka.instance)",
                "topics": "\(loaded.kafka.eventTopics.joined(separator: ","))",
            ]
        )
        let daemon = Daemon(configuration: loaded, model: given, logger: logger)
        let end: CommitLoopEnd
        do {
            end = try await daemon.run()
        } catch {
            throw CommandFailure("cannot serve: \(error)")
        }
        try Self.leave(end)
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
        case .failed(let error): throw CommandFailure(error.description)
        case .corruptState(let reason): throw CommandFailure(reason, status: .corruptState)
        }
    }
}

/// Log lines on stderr, key=value, without a time where journald adds one.
enum DaemonLogging {
    static func logger(level: Logger.Level) -> Logger {
        let underJournal = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
        var logger = Logger(label: "segmentd") { _ in LineLogHandler(hasTime: !underJournal) }
        logger.logLevel = level
        return logger
    }
}

/// One line per message: level, text, key=value.
struct LineLogHandler: LogHandler {
    let hasTime: Bool
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var line = hasTime ? Date.now.formatted(.iso8601) + " " : Self.priority(event.level)
        line += "\(event.level.rawValue.uppercased()) \(event.message)"
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            let text = "\(value)"
            line += text.contains(" ") ? " \(key)=\"\(text)\"" : " \(key)=\(text)"
        }
        Terminal.note(line)
    }

    /// Prefix by which journald knows the priority (sd-daemon(3)).
    private static func priority(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "<7>"
        case .info: "<6>"
        case .notice: "<5>"
        case .warning: "<4>"
        case .error: "<3>"
        case .critical: "<2>"
        }
    }
}
