import Glibc
import Synchronization

/// Whether the brokers answer, for the health page: written by one log, read by any thread.
public final class BrokerConnection: Sendable {
    private static let up: Int64 = -1
    private let downSince = Atomic<Int64>(BrokerConnection.up)
    private let answered = Atomic<Bool>(false)

    /// Creates a connection that counts as up until the client says otherwise.
    public init() {}

    /// When the client lost all brokers, in milliseconds since 1970; nil while they answer.
    public var downSinceMilliseconds: Int64? {
        let since = downSince.load(ordering: .relaxed)
        return since == Self.up ? nil : since
    }

    /// Whether a broker has answered since the process began.
    var hasAnswered: Bool { answered.load(ordering: .relaxed) }

    /// Notes that no broker can be reached; the first of several notes counts.
    func markDown() {
        _ = downSince.compareExchange(
            expected: Self.up,
            desired: WallClock.milliseconds(),
            ordering: .relaxed
        )
    }

    /// Notes an answer of a broker.
    func markUp() {
        // Written only when it changes, so that the usual case costs two relaxed loads per batch.
        if downSince.load(ordering: .relaxed) != Self.up {
            downSince.store(Self.up, ordering: .relaxed)
        }
        if !hasAnswered { answered.store(true, ordering: .relaxed) }
    }
}

/// Wall clock and waiting, in milliseconds.
enum WallClock {
    /// Now, in milliseconds since 1970.
    static func milliseconds() -> Int64 {
        var now = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }
}

/// A moment on the monotonic clock by which something must be done.
struct Deadline {
    private let moment: ContinuousClock.Instant

    /// Creates a deadline that many milliseconds from now.
    init(afterMilliseconds milliseconds: Int) {
        moment = ContinuousClock.now.advanced(by: .milliseconds(milliseconds))
    }

    /// Whole milliseconds left, rounded up, 0 when the moment has passed.
    var remainingMilliseconds: Int32 {
        let left = ContinuousClock.now.duration(to: moment)
        guard left > .zero else { return 0 }
        let (seconds, attoseconds) = left.components
        let milliseconds =
            seconds * 1_000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return Int32(clamping: milliseconds)
    }
}
