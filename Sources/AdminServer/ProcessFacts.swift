/// What is told of the process that serves.
public struct ProcessFacts: Sendable, Equatable {
    /// Version of the program.
    public var version: String
    /// Memory that is in RAM, in bytes; nil where the system does not tell.
    public var residentBytes: Int?

    /// Creates facts from their parts.
    ///
    /// - Parameters:
    ///   - version: of the program.
    ///   - residentBytes: memory in RAM, in bytes; nil where unknown.
    public init(version: String, residentBytes: Int?) {
        self.version = version
        self.residentBytes = residentBytes
    }
}
