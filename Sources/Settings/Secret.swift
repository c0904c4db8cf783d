/// A value that no log, error or debugger output may show.
///
/// It prints as a mask everywhere; only `reveal()` gives the text, and only the Kafka client asks
/// for it.
package struct Secret: Sendable, Equatable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// What is printed instead of the text, of one length so that the length says nothing either.
    package static let mask = "********"

    private let text: String

    /// Wraps a text.
    init(_ text: String) { self.text = text }

    /// The text itself.
    package func reveal() -> String { text }

    package var description: String { Self.mask }
    package var debugDescription: String { Self.mask }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// True for librdkafka properties whose value must not be shown.
    static func isSecret(property name: String) -> Bool {
        ["password", "secret", "sasl.jaas", "ssl.key.pem", "oauthbearer.config"]
            .contains { name.contains($0) }
    }
}
