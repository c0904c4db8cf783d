import Synchronization

/// Wall and monotonic time that move only when told to.
///
/// Waiting moves it, so a test never sleeps. Its methods fit an engine's clock as they stand.
public final class VirtualClock: Sendable {
    private struct Times {
        var wallStartMilliseconds: Int64
        var monotonicMicroseconds: Int64 = 0
    }

    private let times: Mutex<Times>

    /// Creates a clock.
    ///
    /// - Parameter wallMilliseconds: wall time at the start, in milliseconds since 1970.
    public init(wallMilliseconds: Int64 = 1_700_000_000_000) {
        times = Mutex(Times(wallStartMilliseconds: wallMilliseconds))
    }

    /// Wall clock, in milliseconds since 1970.
    public func wallMilliseconds() -> Int64 {
        times.withLock { $0.wallStartMilliseconds + $0.monotonicMicroseconds / 1000 }
    }

    /// Time since the clock was created, in microseconds; never goes back.
    public func monotonicMicroseconds() -> Int64 {
        times.withLock { $0.monotonicMicroseconds }
    }

    /// Waits, that is, moves both times on at once.
    ///
    /// - Parameter milliseconds: 0 or more.
    public func sleep(milliseconds: Int) {
        advance(microseconds: Int64(milliseconds) * 1000)
    }

    /// Moves both times on.
    ///
    /// - Parameter microseconds: 0 or more.
    public func advance(microseconds: Int64) {
        precondition(microseconds >= 0, "monotonic time goes on")
        times.withLock { $0.monotonicMicroseconds += microseconds }
    }

    /// Sets the wall clock alone, back or forth, as an operator or time service may.
    ///
    /// - Parameter milliseconds: new wall time, in milliseconds since 1970.
    public func setWall(milliseconds: Int64) {
        times.withLock { $0.wallStartMilliseconds = milliseconds - $0.monotonicMicroseconds / 1000 }
    }
}
