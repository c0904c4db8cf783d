import Foundation
import Glibc
import Testing

/// All tests of the real program: one after the other, because each starts processes of its own.
@Suite(.serialized, .timeLimit(.minutes(3))) struct DaemonTests {}

/// Where the program under test and the files of the project are.
enum Place {
    /// The program, built beside the tests.
    static let program = URL(fileURLWithPath: "/proc/self/exe")
        .resolvingSymlinksInPath().deletingLastPathComponent().appending(path: "segmentd")
    /// Folder of `Package.swift`.
    static let package = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    /// Good and bad configurations.
    static let fixtures = package.appending(path: "Tests/DaemonTests/Fixtures")
    /// Results of the batch job, which are not part of the project.
    static let reference = package.deletingLastPathComponent().appending(path: "shared/reference")
}

/// How a program ended.
struct Outcome {
    /// Exit status; nil after a signal.
    var status: Int32?
    var output: Data
    var errors: String
    var text: String { String(decoding: output, as: UTF8.self) }
    var lines: [Substring] { text.split(separator: "\n") }
}

/// A wait that took too long, or a program that is not there.
struct Overdue: Error, CustomStringConvertible {
    var description: String
}

/// Asks again and again, up to a limit.
///
/// - Throws: `Overdue` when the limit has passed.
func eventually<Value>(
    _ what: String,
    within limit: Duration = .seconds(30),
    _ ask: () async throws -> Value?
) async throws -> Value {
    let end = ContinuousClock.now + limit
    while true {
        if let value = try await ask() { return value }
        guard ContinuousClock.now < end else { throw Overdue(description: "not in time: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}

/// A started program; it is killed when the test forgets it.
final class Program {
    private let process = Process()
    private let folder: URL

    /// Starts `segmentd` with these arguments.
    ///
    /// Output goes to files, so that nothing blocks however much there is.
    init(_ arguments: [String], input: URL? = nil, in directory: URL? = nil) throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "segmentd-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["out", "err"] {
            try Data().write(to: folder.appending(path: name))
        }
        process.executableURL = Place.program
        process.arguments = arguments
        process.currentDirectoryURL = directory ?? folder
        var environment = ProcessInfo.processInfo.environment
        environment["OPENBLAS_NUM_THREADS"] = "1"
        environment["JOURNAL_STREAM"] = nil
        environment["NOTIFY_SOCKET"] = nil
        process.environment = environment
        process.standardOutput = try FileHandle(forWritingTo: folder.appending(path: "out"))
        process.standardError = try FileHandle(forWritingTo: folder.appending(path: "err"))
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: $0) } ?? FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        try? FileManager.default.removeItem(at: folder)
    }

    var isRunning: Bool { process.isRunning }

    func output() throws -> Data { try Data(contentsOf: folder.appending(path: "out")) }

    func errors() throws -> String {
        String(decoding: try Data(contentsOf: folder.appending(path: "err")), as: UTF8.self)
    }

    /// Signals that the program has a handler for, a bit each, the first of them signal 1.
    var caughtSignals: UInt64 {
        get throws {
            let path = "/proc/\(process.processIdentifier)/status"
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            let words = lines.first { $0.hasPrefix("SigCgt:") }?.dropFirst(7)
            return words.flatMap { UInt64($0.filter { !$0.isWhitespace }, radix: 16) } ?? 0
        }
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    /// Waits for the end.
    func outcome(within limit: Duration = .seconds(60)) async throws -> Outcome {
        _ = try await eventually("the end of \(process.arguments ?? [])", within: limit) {
            process.isRunning ? nil : true
        }
        return Outcome(
            status: process.terminationReason == .exit ? process.terminationStatus : nil,
            output: try output(),
            errors: try errors()
        )
    }

    /// Waits for a piece of text on stderr and returns what stands between it and the next space.
    func word(after text: String, within limit: Duration = .seconds(30)) async throws -> String {
        try await eventually("\"\(text)\" on stderr", within: limit) {
            let words = try errors()
            guard let range = words.range(of: text) else {
                guard isRunning else { throw Overdue(description: "ended, saying: \(words)") }
                return nil
            }
            let rest = words[range.upperBound...]
            // Without what ends the word it may not be written in full yet.
            guard let end = rest.firstIndex(where: \.isWhitespace) else { return nil }
            return String(rest[..<end])
        }
    }
}

/// Runs a command to its end.
func segmentd(
    _ arguments: String...,
    input: URL? = nil,
    in directory: URL? = nil
) async throws -> Outcome {
    try await Program(arguments, input: input, in: directory).outcome()
}

/// A folder that goes with the test.
final class Scratch {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "segmentd-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    func path(_ name: String) -> String { file(name).path }
    func file(_ name: String) -> URL { url.appending(path: name) }
    func data(_ name: String) throws -> Data { try Data(contentsOf: file(name)) }
    func text(_ name: String) throws -> String { String(decoding: try data(name), as: UTF8.self) }
}
