/// One thing that an inspection of the brokers found.
public struct InspectionFinding: Sendable, Equatable {
    /// What it means for a worker.
    public enum Grade: String, Sendable {
        /// As it has to be.
        case ok
        /// A worker runs, and not as well as it could; or something could not be looked at.
        case warning
        /// A worker would not start, or stop before long, or do what is not wanted.
        case problem
    }

    /// What it means for a worker.
    public var grade: Grade
    /// What was looked at, for example `topic customer-events`.
    public var subject: String
    /// What was found, and what to do.
    public var text: String

    /// Creates a finding from its parts.
    public init(_ grade: Grade, _ subject: String, _ text: String) {
        self.grade = grade
        self.subject = subject
        self.text = text
    }
}
