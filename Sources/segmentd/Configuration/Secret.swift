/// A value that no log, error or debugger output may show.
///
/// It prints as a mask everywhere; only `reveal()` gives the text, and only the Kafka client asks
/// for it.
struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// What is printed instead of the text, of one length so that the length says nothing either.
    static let mask = "********"

    private let text: String

    /// Wraps a text.
    init(_ text: String) { self.text = text }

    /// The text itself.
    func reveal() -> String { text }

    var description: String { Self.mask }
    var debugDescription: String { Self.mask }
    var customMirror: Mirror { Mirror(self, children: []) }

    /// True for librdkafka properties whose value must not be shown.
    static func isSecret(property name: String) -> Bool {
        ["password", "secret", "sasl.jaas", "ssl.key.pem", "oauthbearer.config"]
            .contains { name.contains($0) }
    }
}
