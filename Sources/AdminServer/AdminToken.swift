/// What a caller has to show to the admin address; it prints as a mask everywhere.
public struct AdminToken: Sendable, Equatable, CustomStringConvertible,
    CustomDebugStringConvertible, CustomReflectable
{
    /// Shortest token, in bytes.
    public static let bytesMin = 16

    private let bytes: [UInt8]

    /// Wraps a token.
    ///
    /// - Parameter text: `bytesMin` or more visible ASCII characters; nil otherwise.
    public init?(_ text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= Self.bytesMin, bytes.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            return nil
        }
        self.bytes = bytes
    }

    /// Whether an `Authorization` header shows the token, as RFC 6750 has it.
    ///
    /// Takes as long for a wrong token as for the right one of the same length.
    ///
    /// - Parameter header: the header's value, nil where there was none.
    /// - Returns: true for the token.
    func isShown(in header: String?) -> Bool {
        guard let header else { return false }
        let scheme = "bearer "
        guard header.prefix(scheme.count).lowercased() == scheme else { return false }
        let shown = Array(header.utf8.dropFirst(scheme.utf8.count))
        guard shown.count == bytes.count else { return false }
        var difference: UInt8 = 0
        for (a, b) in zip(shown, bytes) { difference |= a ^ b }
        return difference == 0
    }

    /// A mask.
    public var description: String { "********" }
    /// A mask.
    public var debugDescription: String { description }
    /// Nothing.
    public var customMirror: Mirror { Mirror(self, children: []) }
}
