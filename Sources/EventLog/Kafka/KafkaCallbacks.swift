internal import CLibrdkafka
import Glibc

/// What the client's callbacks leave for the thread that polls.
///
/// Rebalance and error callbacks run inside a poll, on the polling thread; those for the log and
/// for certificates run on any thread of the client and touch nothing but `onLog` and `details`.
final class KafkaCallbacks {
    /// One rebalance as the group told it.
    enum Rebalance {
        case assigned([Int32])
        case revoked([Int32], lost: Bool)
    }

    /// Rebalances not yet handed to the caller, oldest first.
    var rebalances: [Rebalance] = []
    /// True while the consumer is being closed: then a revocation is answered at once.
    var isClosing = false
    /// A refusal that no waiting mends, until the caller has been told.
    var refusal: LogError?
    /// What the client said last of why a broker cannot be used; nil once one answers.
    var lastFault: LogError?
    /// What it said on other threads.
    let details = KafkaFaultDetails()
    let connection: BrokerConnection
    let onLog: @Sendable (Int32, String) -> Void
    /// Servers that the client was given; nil where that is not known.
    var serverCount: Int?
    /// Those of them that could not be used before any answered.
    private var failedServers: Set<Substring> = []

    init(connection: BrokerConnection, onLog: @escaping @Sendable (Int32, String) -> Void) {
        self.connection = connection
        self.onLog = onLog
    }

    /// Registers the callbacks; the box must outlive the client made of `conf`.
    func register(on conf: OpaquePointer, rebalances: Bool) {
        unsafe rd_kafka_conf_set_opaque(conf, Unmanaged.passUnretained(self).toOpaque())
        unsafe rd_kafka_conf_set_log_cb(conf) { client, level, facility, text in
            guard let client = unsafe client, let text = unsafe text,
                let facility = unsafe facility,
                let box = unsafe KafkaCallbacks.of(rd_kafka_opaque(client))
            else { return }
            let words = unsafe String(cString: text)
            unsafe box.details.noteLog(String(cString: facility), words)
            box.onLog(level, words)
        }
        unsafe registerCertificates(on: conf)
        unsafe rd_kafka_conf_set_error_cb(conf) { _, code, reason, opaque in
            let words = unsafe reason.map { unsafe String(cString: $0) }
            unsafe KafkaCallbacks.of(opaque)?.note(code, words)
        }
        guard rebalances else { return }
        unsafe rd_kafka_conf_set_rebalance_cb(conf) { client, code, list, opaque in
            guard let client = unsafe client, let box = unsafe KafkaCallbacks.of(opaque) else {
                return
            }
            unsafe box.note(code, list, client)
        }
    }

    /// The client verifies certificates itself; here it only says what is wrong with one, which its
    /// own words do not tell.
    private func registerCertificates(on conf: OpaquePointer) {
        unsafe rd_kafka_conf_set_ssl_cert_verify_cb(conf) {
            _,
            broker,
            _,
            fault,
            _,
            _,
            _,
            words,
            count,
            opaque in
            // A certificate without fault stays one, and with a fault is refused, as without us.
            guard let fault = unsafe fault?.pointee, fault != 0 else { return 1 }
            let name = unsafe broker.map { unsafe String(cString: $0) } ?? "a broker"
            guard let box = unsafe KafkaCallbacks.of(opaque) else { return 0 }
            let text = box.details.noteCertificate(fault: fault, of: name)
            if let words = unsafe words, count > 0 {
                unsafe strncpy(words, text, count - 1)
                unsafe words[count - 1] = 0
            }
            return 0
        }
    }

    /// The box behind the pointer that the client hands back.
    private static func of(_ opaque: UnsafeMutableRawPointer?) -> KafkaCallbacks? {
        unsafe opaque.map { unsafe Unmanaged.fromOpaque($0).takeUnretainedValue() }
    }

    /// Notes what the client says of its brokers.
    ///
    /// - Parameters:
    ///   - number: of the error.
    ///   - reason: the client's words, which begin with the broker's name.
    func note(_ number: Int32, _ reason: String?) {
        let operation = "reach the brokers"
        let code = rd_kafka_resp_err_t(rawValue: number)
        let isSummary = code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
        if !isSummary {
            lastFault = KafkaError.connection(code, reason, details, operation: operation)
        }
        if isSummary || isLastOfServers(reason) {
            connection.markDown()
            // Once a broker has answered, another one's new certificate is no reason to end.
            if !connection.hasAnswered, var fault = lastFault, fault.isRefused {
                fault.remedy = .restartProcess
                refusal = fault
            }
        }
        if KafkaError.isAccessDenied(code) {
            refusal = KafkaError.make(code, operation: operation, reason: reason)
        }
        onLog(isSummary ? 4 : 5, reason ?? "unknown error")
    }

    /// Whether every server that the client was given has failed and none has answered yet.
    ///
    /// The client says itself when no broker is left, but never where a server fails before the
    /// client has counted it, which happens at the start on a busy machine (librdkafka 2.0.2).
    private func isLastOfServers(_ reason: String?) -> Bool {
        guard !connection.hasAnswered, let serverCount, let reason,
            let end = reason.firstRange(of: "/bootstrap: ")?.lowerBound
        else { return false }
        failedServers.insert(reason[..<end])
        return failedServers.count >= serverCount
    }

    private func note(
        _ code: rd_kafka_resp_err_t,
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>?,
        _ client: OpaquePointer
    ) {
        if isClosing {
            unsafe rd_kafka_assign(client, nil)
            return
        }
        var partitions: Set<Int32> = []
        if let list = unsafe list {
            for index in 0..<Int(unsafe list.pointee.cnt) {
                unsafe partitions.insert(list.pointee.elems[index].partition)
            }
        }
        switch code {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
            rebalances.append(.assigned(partitions.sorted()))
        case RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS:
            let lost = unsafe rd_kafka_assignment_lost(client) != 0
            rebalances.append(.revoked(partitions.sorted(), lost: lost))
        default:
            // The group has no valid assignment for us; answering keeps the client in step with it.
            unsafe rd_kafka_assign(client, nil)
        }
        // Without this the poll would go on waiting for a record until its timeout.
        unsafe rd_kafka_yield(client)
    }
}
