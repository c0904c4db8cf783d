import Engine
import ServiceLifecycle

/// Tells systemd how the daemon is: READY, STATUS, WATCHDOG, STOPPING.
///
/// Feeds the watchdog only while the engine's loop turns. Without NOTIFY_SOCKET it does nothing.
struct ServiceNotifier: Service {
    let board: StatusBoard
    /// Longest time between turns that still feeds the watchdog.
    let loopLimit: Duration

    func run() async throws {
        guard let socket = NotifySocket() else {
            // Nothing to tell; the group ends services together.
            try await gracefulShutdown()
            return
        }
        await cancelWhenGracefulShutdown {
            var isReady = false
            var lastStatus = ""
            while !Task.isCancelled {
                let status = board.current
                if !isReady && status.state == .running {
                    isReady = true
                    socket.send("READY=1")
                }
                let text = Self.text(status)
                if text != lastStatus {
                    lastStatus = text
                    socket.send("STATUS=\(text)")
                }
                if ContinuousClock.now - status.lastTurn < loopLimit { socket.send("WATCHDOG=1") }
                do {
                    try await Task.sleep(for: .seconds(1))
                } catch {
                    // Cancelled: the shutdown has begun.
                    break
                }
            }
        }
        socket.send("STOPPING=1\nSTATUS=draining")
    }

    /// A status line that a person understands.
    static func text(_ status: EngineStatus) -> String {
        switch status.state {
        case .restoring where status.restore.target > 0:
            return "restoring \(100 * status.restore.done / status.restore.target) %"
        case .starting where status.brokerDownSinceMilliseconds != nil:
            return "starting, no broker answers"
        case .running:
            var parts = ["running"]
            if status.brokerDownSinceMilliseconds != nil { parts.append("no broker answers") }
            if status.assignedPartitions.isEmpty { parts.append("no partition assigned") }
            parts.append("lag \(status.lags.reduce(0) { $0 + $1.records }) records")
            parts.append(status.model.map { "model \($0.version)" } ?? "no model yet")
            if let shadow = status.shadow {
                parts.append("model \(shadow.version) waits for an operator")
            }
            if status.churnPaused != nil { parts.append("alerts wait for orders") }
            return parts.joined(separator: ", ")
        default: return status.state.rawValue
        }
    }
}
