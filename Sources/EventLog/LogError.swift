/// What to do about a fault of the log.
public enum Remedy: Sendable, Equatable {
    /// Call again; nothing is lost.
    case retry
    /// Abort the open transaction, discard what is pending, rewind.
    case abortTransaction
    /// Stop: fenced or fatal. Recovery is the start-up path.
    case restartProcess
}

/// A fault of the log, with its remedy.
public struct LogError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What to do.
    public var remedy: Remedy
    /// What was attempted, for example "commit the transaction".
    public var operation: String
    /// The broker's or client's name of the fault, for example `_FENCED`.
    public var code: String
    /// Their words.
    public var reason: String
    /// True when a newer worker of the same name took over, or the broker gave this one up.
    public var isFenced: Bool
    /// True when the brokers refuse who we are or what we may do, or we them: no waiting mends it.
    public var isRefused: Bool

    /// Creates an error from its parts.
    public init(
        remedy: Remedy,
        operation: String,
        code: String,
        reason: String,
        isFenced: Bool = false,
        isRefused: Bool = false
    ) {
        self.remedy = remedy
        self.operation = operation
        self.code = code
        self.reason = reason
        self.isFenced = isFenced
        self.isRefused = isRefused
    }

    /// One sentence for people.
    public var description: String { "could not \(operation): \(reason) (\(code))" }
}
