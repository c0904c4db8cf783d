import Engine
import Foundation
import Glibc
import ServiceLifecycle

/// Tells systemd how the daemon is: READY, STATUS, WATCHDOG, STOPPING.
///
/// Feeds the watchdog only while the engine's loop turns. Without NOTIFY_SOCKET it does nothing.
/// The protocol is a datagram on a Unix socket (sd_notify(3)), so no library is needed.
struct ServiceNotifier: Service {
    let board: StatusBoard
    /// Longest time between turns that still feeds the watchdog.
    let loopLimit: Duration

    func run() async throws {
        guard let socket = NotifySocket(ProcessInfo.processInfo.environment) else {
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
        case .running:
            let lag = status.lags.reduce(0) { $0 + $1.records }
            let model = status.model.map { "model \($0.version)" } ?? "no model yet"
            return "running, lag \(lag) records, \(model)"
        default: return status.state.rawValue
        }
    }
}

/// The socket that systemd gave us.
private struct NotifySocket {
    private let path: String

    init?(_ environment: [String: String]) {
        guard let path = environment["NOTIFY_SOCKET"], !path.isEmpty else { return nil }
        self.path = path
    }

    func send(_ text: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        // An abstract socket is written with @ and begins with a zero byte.
        if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard bytes.count < capacity else { return }
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let message = Array(text.utf8)
        _ = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                unsafe sendto(
                    descriptor,
                    message,
                    message.count,
                    Int32(MSG_NOSIGNAL),
                    generic,
                    length
                )
            }
        }
    }
}
