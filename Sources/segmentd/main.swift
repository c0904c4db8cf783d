import ArgumentParser
import Foundation

EarlySignals.keep()
// Broken pipes are an error of the write, not the end of the process.
signal(SIGPIPE, SIG_IGN)

/// Parses the command line and runs what it names.
func execute() async throws {
    var command = try Segmentd.parseAsRoot()
    if !(type(of: command) is any DrainingCommand.Type) { EarlySignals.letThrough() }
    if var asynchronous = command as? any AsyncParsableCommand {
        try await asynchronous.run()
    } else {
        try command.run()
    }
}

do {
    try await execute()
} catch let status as ExitStatus {
    exit(status.rawValue)
} catch let failure as CommandFailure {
    if failure.isReport {
        Terminal.report(failure.message)
    } else {
        Terminal.error(failure.message)
    }
    exit(failure.status.rawValue)
} catch {
    // Help and version are asked for; anything else that the parser throws is a usage error.
    let isAskedFor = Segmentd.exitCode(for: error) == .success
    let text = Segmentd.fullMessage(for: error)
    if isAskedFor {
        Terminal.output(text + "\n")
        exit(ExitStatus.done.rawValue)
    }
    Terminal.error(text)
    exit(ExitStatus.usage.rawValue)
}
