import Settings

/// How the program ends; documented in the README.
enum ExitStatus: Int32, Error {
    /// Done.
    case done = 0
    /// Something failed; the message says what.
    case failure = 1
    /// Configuration or usage.
    case usage = 2
    /// A newer worker of the same name, or another run of a command, took over, or the broker gave
    /// this one up.
    case fenced = 3
    /// State in the changelog or model topic must not be used.
    case corruptState = 4
    /// The daemon that was asked does not answer.
    case noDaemon = 5
    /// The brokers refuse the password or an access, or have a certificate that cannot be trusted.
    case refused = 6
}

/// A command that cannot go on, in words for people.
struct CommandFailure: Error {
    /// What was attempted, and what to do.
    var message: String
    /// How the program ends.
    var status: ExitStatus = .failure
    /// Lines that stand for themselves, each with its place, as `check` prints them.
    var isReport = false

    init(_ message: String, status: ExitStatus = .failure) {
        self.message = message
        self.status = status
    }

    /// Every problem of a configuration.
    init(_ report: ConfigurationProblemsReport) {
        message = report.description
        status = .usage
        isReport = true
    }
}
