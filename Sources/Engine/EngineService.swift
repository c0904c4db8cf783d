public import EventLog
import Foundation
public import Segmentation
public import ServiceLifecycle
import Synchronization

/// The engine as a service: one thread of its own runs the commit loop.
///
/// Blocking calls of the log never touch the cooperative pool. Graceful shutdown drains; the
/// service ends with the loop, and `end` says why.
public final class EngineService<
    Log: TransactionalLog & SendableMetatype & ~Copyable,
    Clock: EngineClock
>: Service {
    /// Opens the log and makes the core; called on the engine's thread, again and again while it
    /// asks for another try.
    public struct Parts: ~Copyable {
        /// The log.
        public var log: Log
        /// The core.
        public var core: SegmentationCore

        /// Creates the parts.
        public init(log: consuming Log, core: consuming SegmentationCore) {
            self.log = log
            self.core = core
        }
    }

    private let open: @Sendable () throws(LogError) -> Parts
    private let clock: Clock
    private let board: StatusBoard
    private let mailbox: Mailbox
    private let configuration: CommitLoopConfiguration
    private let report: @Sendable (EngineReport) -> Void
    private let shouldStop = Atomic<Bool>(false)
    private let outcome = Mutex<CommitLoopEnd?>(nil)

    /// Creates a service that has not begun.
    public init(
        clock: Clock,
        board: StatusBoard,
        mailbox: Mailbox,
        configuration: CommitLoopConfiguration,
        report: @escaping @Sendable (EngineReport) -> Void,
        open: @escaping @Sendable () throws(LogError) -> Parts
    ) {
        self.open = open
        self.clock = clock
        self.board = board
        self.mailbox = mailbox
        self.configuration = configuration
        self.report = report
    }

    /// Why the loop ended, nil while it runs.
    public var end: CommitLoopEnd? { outcome.withLock { $0 } }

    /// Runs the loop to its end.
    public func run() async {
        await withTaskCancellationOrGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                let thread = Thread { [self] in
                    let end = runLoop()
                    outcome.withLock { $0 = end }
                    continuation.resume()
                }
                thread.name = "segmentd-engine"
                thread.stackSize = 8 << 20
                thread.start()
            }
        } onCancelOrGracefulShutdown: {
            self.stop()
        }
    }

    /// Asks the loop to drain and end.
    public func stop() { shouldStop.store(true, ordering: .relaxed) }

    private func runLoop() -> CommitLoopEnd {
        var waits = Backoff()
        while !shouldStop.load(ordering: .relaxed) {
            do throws(LogError) {
                let parts = try open()
                if waits.isWaiting { report(.recovered) }
                return run(parts)
            } catch {
                let downSince = configuration.connection.downSinceMilliseconds
                board.update {
                    $0.lastError = error.description
                    $0.brokerDownSinceMilliseconds = downSince
                }
                board.turned()
                guard error.remedy == .retry else {
                    board.move(to: .stopped, atMilliseconds: clock.wallMilliseconds())
                    mailbox.close()
                    return error.isFenced ? .fenced(error) : .failed(error)
                }
                if !waits.isWaiting { report(.retrying(error.description)) }
                clock.sleep(milliseconds: waits.next())
            }
        }
        board.move(to: .stopped, atMilliseconds: clock.wallMilliseconds())
        mailbox.close()
        return .drained
    }

    private func run(_ parts: consuming Parts) -> CommitLoopEnd {
        var loop = CommitLoop(
            log: parts.log,
            core: parts.core,
            clock: clock,
            board: board,
            mailbox: mailbox,
            configuration: configuration,
            report: report
        )
        return loop.run(until: { self.shouldStop.load(ordering: .relaxed) })
    }
}

/// The machine's clocks.
public struct SystemClock: EngineClock {
    private let start = ContinuousClock.now

    /// Creates the clock.
    public init() {}

    /// Wall clock, in milliseconds since 1970.
    public func wallMilliseconds() -> Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    /// A clock that never goes back, in microseconds.
    public func monotonicMicroseconds() -> Int64 {
        let parts = (ContinuousClock.now - start).components
        return parts.seconds * 1_000_000 + parts.attoseconds / 1_000_000_000_000
    }

    /// Waits.
    public func sleep(milliseconds: Int) {
        Thread.sleep(forTimeInterval: Double(milliseconds) / 1000)
    }
}
