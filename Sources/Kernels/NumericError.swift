/// A numeric operation that could not deliver a result.
///
/// Sizes that do not fit are bugs and trap; this error is for what depends on the data.
public struct NumericError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong, as far as a caller may want to switch over it.
    public enum Kind: Sendable, Equatable {
        /// An input is NaN or infinite, or there is too little data. Leave the input out.
        case badInput
        /// The iteration did not converge. Keep the previous result.
        case notConverged
        /// The library refused the call or had no memory. Keep the previous result.
        case libraryFailure
    }

    /// What went wrong.
    public var kind: Kind
    /// What was attempted, for example "decompose a symmetric matrix".
    public var operation: String
    /// The cause in words, with the library's code where there is one.
    public var reason: String

    /// Creates an error from its parts.
    public init(kind: Kind, operation: String, reason: String) {
        self.kind = kind
        self.operation = operation
        self.reason = reason
    }

    /// One sentence for people.
    public var description: String { "could not \(operation): \(reason)" }
}
