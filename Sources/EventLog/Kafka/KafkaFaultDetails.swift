internal import CLibrdkafka
import Synchronization

/// What the client tells only in passing, on threads of its own: why a certificate was refused, and
/// which topic a transaction was refused.
///
/// Kept until the next of its kind; whoever reports a fault looks whether this explains it.
final class KafkaFaultDetails: Sendable {
    private struct Details {
        var certificate: String?
        var topic: String?
        var addedTopic: String?
    }

    private let details = Mutex(Details())

    /// In words for people, why the last refused certificate was refused; nil when none was.
    var certificate: String? { details.withLock { $0.certificate } }

    /// The topic that could not be added to a transaction last; nil when none was refused.
    var topic: String? { details.withLock { $0.topic } }

    /// The topic of which a partition was added to a transaction last; told only while the client
    /// logs what it does with transactions (`debug=eos`).
    var addedTopic: String? { details.withLock { $0.addedTopic } }

    /// Notes a refused certificate.
    ///
    /// - Parameters:
    ///   - fault: OpenSSL's number of the fault (`X509_V_ERR_...`).
    ///   - broker: the broker as HOST:PORT.
    /// - Returns: the words.
    func noteCertificate(fault: Int32, of broker: String) -> String {
        let words = Self.words(fault, broker)
        details.withLock { $0.certificate = words }
        return words
    }

    /// Notes the topic in a line of the log such as `Failed to add partition "x" [0] to ...`.
    func noteLog(_ facility: String, _ text: String) {
        guard facility == "ADDPARTS" else { return }
        if text.hasSuffix(" registered with transaction") {
            // `... x [0] registered with transaction`
            let words = text.split(separator: " ")
            if words.count >= 5 {
                details.withLock { $0.addedTopic = String(words[words.count - 5]) }
            }
            return
        }
        let parts = text.split(separator: "\"", omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[2].hasSuffix("Operation not attempted") else { return }
        details.withLock { $0.topic = String(parts[1]) }
    }

    private static func words(_ fault: Int32, _ broker: String) -> String {
        switch fault {
        case 62, 64:
            "the certificate of \(broker) is for another name; in bootstrap.servers and in the "
                + "brokers' advertised.listeners write one that stands in it"
        case 2, 18, 19, 20, 21:
            "the certificate of \(broker) is signed by an authority that is not known here; "
                + "ssl.ca.location must name a file with the certificate of that authority"
        case 9: "the certificate of \(broker) is not valid yet; is this machine's clock right?"
        case 10: "the certificate of \(broker) has expired; the broker needs a new one"
        default: "the certificate of \(broker) cannot be verified (OpenSSL's error \(fault))"
        }
    }
}
