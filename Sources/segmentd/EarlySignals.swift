import Glibc
import ServiceLifecycle
import Synchronization

/// A command that drains when it is told to end, instead of ending at once.
protocol DrainingCommand {}

/// Remembers that the program was told to end before anybody watches for it.
///
/// Blocking the signals would not do: the main thread of an asynchronous program waits with all of
/// them let through.
enum EarlySignals {
    private static let last = Atomic<Int32>(0)

    /// Whether one has come.
    static var haveCome: Bool { last.load(ordering: .relaxed) != 0 }

    /// Keeps what comes from here on, until somebody watches or `letThrough`.
    static func keep() {
        // Made here: a handler must not be the first to use it.
        last.store(0, ordering: .relaxed)
        for number in [SIGTERM, SIGINT] {
            signal(number) { EarlySignals.last.store($0, ordering: .relaxed) }
        }
    }

    /// Lets signals end the program at once, one that has come already too.
    static func letThrough() {
        for number in [SIGTERM, SIGINT] { signal(number, SIG_DFL) }
        let number = last.load(ordering: .relaxed)
        if number != 0 { raise(number) }
    }
}

/// Ends the group when the program was told to end before the group watched for it, which it does
/// before it runs its first service.
struct EarlySignalWatcher: Service {
    func run() async throws {
        if !EarlySignals.haveCome { try await gracefulShutdown() }
    }
}
