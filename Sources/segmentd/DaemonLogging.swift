import Foundation
import Logging
import Settings
import Synchronization

/// Where log lines go: one line per message on stderr, of at least a level that may change while
/// the daemon runs.
final class DaemonLogging: Sendable {
    private let levels = Logger.Level.allCases
    private let least: Atomic<Int>
    private let format: ServiceConfiguration.LogFormat
    /// journald adds the time, and takes the priority from the beginning of the line.
    private let isUnderJournal = Terminal.isUnderJournal

    /// Begins to log.
    ///
    /// - Parameters:
    ///   - level: least level that is written.
    ///   - format: how lines look.
    init(level: Logger.Level, format: ServiceConfiguration.LogFormat = .text) {
        least = Atomic(levels.firstIndex(of: level) ?? 0)
        self.format = format
    }

    /// Least level that is written.
    var level: Logger.Level {
        get { levels[least.load(ordering: .relaxed)] }
        set { least.store(levels.firstIndex(of: newValue) ?? 0, ordering: .relaxed) }
    }

    /// A logger that writes here.
    var logger: Logger { Logger(label: "segmentd") { _ in LineLogHandler(output: self) } }

    /// A logger of a command.
    static func logger(for configuration: ServiceConfiguration) -> Logger {
        DaemonLogging(level: configuration.logLevel, format: configuration.logFormat).logger
    }

    fileprivate func write(_ level: Logger.Level, _ message: String, _ metadata: Logger.Metadata) {
        let line =
            switch format {
            case .text: LogLine.text(level, message, metadata, at: isUnderJournal ? nil : .now)
            case .json: LogLine.json(level, message, metadata, at: .now)
            }
        Terminal.note(isUnderJournal ? LogLine.priority(level) + line : line)
    }
}

/// One line per message.
private struct LineLogHandler: LogHandler {
    let output: DaemonLogging
    var metadata: Logger.Metadata = [:]
    /// Of this logger alone; the output has a least level for all.
    private var own = Logger.Level.trace

    init(output: DaemonLogging) { self.output = output }

    var logLevel: Logger.Level {
        get { max(own, output.level) }
        set { own = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        output.write(
            event.level,
            "\(event.message)",
            metadata.merging(event.metadata ?? [:]) { $1 }
        )
    }
}

/// What log lines look like.
enum LogLine {
    /// Level, words, key=value: `INFO new model version=3 customers=4460`.
    ///
    /// - Parameters:
    ///   - level: of the message.
    ///   - message: its words.
    ///   - metadata: what belongs to it.
    ///   - time: written first; nil where somebody else adds it.
    /// - Returns: the line.
    static func text(
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata,
        at time: Date?
    ) -> String {
        var line = time.map { $0.formatted(.iso8601) + " " } ?? ""
        line += "\(level.rawValue.uppercased()) \(flat(message))"
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(quotedIfNeeded("\(value)"))"
        }
        return line
    }

    /// One JSON object: time, level, message, and metadata in an object of its own.
    ///
    /// - Parameters:
    ///   - level: of the message.
    ///   - message: its words.
    ///   - metadata: what belongs to it.
    ///   - time: of the message.
    /// - Returns: the line.
    static func json(
        _ level: Logger.Level,
        _ message: String,
        _ metadata: Logger.Metadata,
        at time: Date
    ) -> String {
        let record = Record(
            time: time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)),
            level: level.rawValue,
            message: message,
            metadata: metadata.isEmpty ? nil : metadata.mapValues { "\($0)" }
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            return String(decoding: try encoder.encode(record), as: UTF8.self)
        } catch {
            // Texts alone are always JSON.
            return text(level, message, metadata, at: time)
        }
    }

    /// Prefix by which journald knows the priority (sd-daemon(3)).
    static func priority(_ level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "<7>"
        case .info: "<6>"
        case .notice: "<5>"
        case .warning: "<4>"
        case .error: "<3>"
        case .critical: "<2>"
        }
    }

    private struct Record: Encodable {
        var time: String
        var level: String
        var message: String
        var metadata: [String: String]?
    }

    /// A message of several lines on one: the next line would have no level.
    private static func flat(_ text: String) -> String {
        text.split(separator: "\n").joined(separator: " | ")
    }

    private static func quotedIfNeeded(_ text: String) -> String {
        let isPlain = !text.isEmpty && !text.contains { " \"=\n".contains($0) }
        if isPlain { return text }
        let escaped = text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
        return "\"\(flat(escaped))\""
    }
}
