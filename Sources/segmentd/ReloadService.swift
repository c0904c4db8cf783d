import Engine
import Logging
import ServiceLifecycle
import Settings
import UnixSignals

/// Reads the configuration again on SIGHUP, and has the engine take over what may change.
struct ReloadService: Service {
    let configuration: ReloadableConfiguration
    let logging: DaemonLogging
    let board: StatusBoard
    let mailbox: Mailbox

    /// Signals, watched for before any service runs, so that none is lost.
    let signals: UnixSignalsSequence

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var configuration = configuration
            for await _ in signals { await reload(&configuration) }
        }
    }

    private func reload(_ configuration: inout ReloadableConfiguration) async {
        // A service that has not said that it is ready must not say that it reloads.
        let socket = board.current.state == .running ? NotifySocket() : nil
        socket?.sendReloading()
        let logger = logging.logger
        do throws(ConfigurationProblemsReport) {
            let changes = try configuration.reload()
            logging.level = configuration.current.logLevel
            mailbox.leave(configuration.current.engineSettings)
            await isTakenOver()
            Self.tell(changes, to: logger)
        } catch {
            board.update { $0.reloads.refused += 1 }
            for line in error.lines { logger.error("\(line)") }
            logger.error("configuration not reloaded, the one in force stays: \(error.summary)")
        }
        socket?.send("READY=1")
    }

    /// Waits until the engine has taken the settings, which it does between two transactions; while
    /// no broker answers that may take long, and nobody should wait for it.
    private func isTakenOver() async {
        let limit = ContinuousClock.now + .seconds(20)
        while mailbox.areSettingsWaiting && ContinuousClock.now < limit {
            do {
                try await Task.sleep(for: .milliseconds(20))
            } catch {
                // Cancelled: the shutdown has begun.
                return
            }
        }
    }

    private static func tell(_ changes: ConfigurationChanges, to logger: Logger) {
        guard !changes.isEmpty else {
            logger.notice("configuration reloaded, nothing has changed")
            return
        }
        let parts: [(String, [String])] = [
            ("in_force", changes.atOnce), ("with_the_next_model", changes.withNextModel),
            ("after_a_restart", changes.afterRestart),
        ]
        var metadata: Logger.Metadata = [:]
        for (name, keys) in parts where !keys.isEmpty {
            metadata[name] = "\(keys.joined(separator: ","))"
        }
        logger.log(
            level: changes.afterRestart.isEmpty ? .notice : .warning,
            "configuration reloaded",
            metadata: metadata
        )
    }
}

extension ServiceConfiguration {
    /// The limits of the commit loop, without what only the program knows.
    var commitLimits: CommitLoopConfiguration {
        var limits = CommitLoopConfiguration()
        limits.intervalMaximumMilliseconds = Int(commit.intervalMaximumMilliseconds)
        limits.intervalMinimumMilliseconds = Int(commit.intervalMinimumMilliseconds)
        limits.transactionRecords = commit.records
        limits.transactionBytes = commit.bytes
        limits.dueRows = commit.dueRows
        return limits
    }

    /// What the engine takes over while it runs.
    var engineSettings: EngineSettings {
        EngineSettings(segmentation: segmentation, limits: commitLimits)
    }
}
