/// Why a line cannot be used, by the reason codes of the dead letters.
public enum Breakage: String, CaseIterable, Sendable {
    /// Cut off in the middle.
    case malformedJSON = "malformed_json"
    /// An order without amount.
    case missingField = "missing_field"
    /// An amount as a string.
    case wrongType = "wrong_type"
    /// A negative amount.
    case outOfRange = "out_of_range"
    /// A type nobody has heard of.
    case unknownType = "unknown_type"
    /// No customer, and so no record key either.
    case missingCustomer = "missing_customer"
}

/// What is known about a line besides its bytes.
public struct SimulatedEvent: Sendable, Equatable {
    /// Where the customer id, which is the record key, stands in the line; empty without one.
    public var keyRange: Range<Int>
    /// When it happened, epoch milliseconds.
    public var eventTime: Int64
    /// When it arrives, epoch milliseconds: never before it happened, never decreasing.
    public var arrivalTime: Int64
    /// Why a reader has to reject the line; nil for a good one.
    public var breakage: Breakage?

    /// Whether a reader has to reject the line.
    public var isBroken: Bool { breakage != nil }
}

/// What goes with a line while it is on its way.
struct Envelope: Sendable {
    /// How a line came to be where it is.
    enum Stage: UInt8, Sendable {
        /// Has just happened, or will when its time comes: it can still become late.
        case fresh
        /// Was held up and arrives now.
        case late
        /// The same bytes once more.
        case redelivery
    }

    var keyRange: Range<Int>
    var eventTime: Int64
    var customer: Int
    var stage: Stage = .fresh
    var breakage: Breakage?
    /// How much later than it happens it will arrive, milliseconds; 0 for on time.
    var delay: Int64 = 0
}

/// A line that waits for its arrival.
struct Delivery: Sendable {
    var bytes: [UInt8]
    var envelope: Envelope
}
