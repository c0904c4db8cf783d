/// Event types of the contract.
public enum EventType: String, Sendable, CaseIterable {
    /// Fields of a profile; newest event time wins, field by field.
    case profile = "customer.profile"
    /// A whole row; sets every slot it names, in arrival order.
    case snapshot = "customer.snapshot"
    /// An order, or a newer version of one.
    case orderPlaced = "order.placed"
    /// An order taken back, in full or by amounts.
    case orderReversed = "order.reversed"
    /// A visit.
    case visit = "engagement.visit"
    /// A campaign reached the customer.
    case campaign = "engagement.campaign"
    /// A complaint.
    case complaint = "engagement.complaint"
    /// The customer is to be forgotten.
    case erased = "privacy.erased"
}

/// Why a record cannot be used; the raw value is the header `segmentd-reason`.
public enum RejectionReason: String, Sendable, CaseIterable {
    /// Not JSON, not an object, not UTF-8.
    case malformedJSON = "malformed_json"
    /// A field that the type needs is absent.
    case missingField = "missing_field"
    /// A field holds another type than it should.
    case wrongType = "wrong_type"
    /// Negative, or above a limit.
    case outOfRange = "out_of_range"
    /// A type that the contract does not list.
    case unknownType = "unknown_type"
    /// Key and body name different customers, or the customer was met in another partition.
    case keyMismatch = "key_mismatch"
    /// No key, or an empty one.
    case missingCustomer = "missing_customer"
    /// Further in the future than `clock.future_tolerance`.
    case futureTime = "future_time"
    /// Larger than `limits.record_bytes`.
    case tooLarge = "too_large"
    /// A null value, where `privacy.on_null` is `reject`.
    case nullValue = "null_value"
    /// Framed content that is not JSON.
    case unsupportedEncoding = "unsupported_encoding"
    /// An amount in a currency without a declared rate.
    case unknownCurrency = "unknown_currency"
}

/// A record that cannot be used, as a value: it goes to the dead-letter topic and nothing stops.
public struct Rejection: Error, Sendable, Equatable {
    /// Why.
    public var reason: RejectionReason
    /// The field or the rule, never content of the record.
    public var detail: String

    /// Creates a rejection.
    public init(_ reason: RejectionReason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }
}

/// One header of an input record, as ranges of the batch's bytes.
public struct InputHeader: Sendable, Equatable {
    /// Range of the name.
    public var name: Range<Int>
    /// Range of the value; nil is null.
    public var value: Range<Int>?

    /// Creates a header.
    public init(name: Range<Int>, value: Range<Int>?) {
        self.name = name
        self.value = value
    }
}

/// One record as the core sees it: ranges of a batch's bytes, and where it came from.
public struct InputRecord: Sendable, Equatable {
    /// Range of the key, nil for none.
    public var key: Range<Int>?
    /// Range of the value, nil for a null value.
    public var value: Range<Int>?
    /// Range of the record's headers among the batch's headers.
    public var headers: Range<Int>
    /// Partition number.
    public var partition: Int32
    /// Record timestamp in milliseconds since 1970; nil in replay, where event time stands in.
    public var timestampMilliseconds: Int64?
    /// It was in the topic before the group first got the partition.
    public var isBackfill: Bool

    /// Creates a record.
    public init(
        key: Range<Int>?,
        value: Range<Int>?,
        headers: Range<Int>,
        partition: Int32,
        timestampMilliseconds: Int64?,
        isBackfill: Bool = false
    ) {
        self.key = key
        self.value = value
        self.headers = headers
        self.partition = partition
        self.timestampMilliseconds = timestampMilliseconds
        self.isBackfill = isBackfill
    }
}

/// A decoded event: typed values, no text.
///
/// Fields of profiles and snapshots stay in the decoder
/// until the next record.
struct CustomerEvent {
    var type = EventType.visit
    /// Milliseconds since 1970.
    var time: Int64 = 0
    /// Range of the customer id: in the batch's bytes, or in the parser's text in replay.
    var customer: Range<Int> = 0..<0
    var customerIsInText = false
    var customerHash: UInt64 = 0
    /// Hash of source and id; 0 when the event has no id.
    var eventHash: UInt64 = 0
    var orderHash: UInt64 = 0
    var order = OrderAmounts()
    var channel = CompiledSchema.otherChannel
    /// Discount of an order, acceptance of a campaign, `full` of a reversal.
    var flag = false
    var hasAmount = false
    /// A reversal without categories takes from each in proportion.
    var hasCategories = false
}

/// Amounts per category, `other` behind the last declared one; at most 16.
struct OrderAmounts: Equatable {
    static let capacity = 16
    var mask: UInt32 = 0
    var values = InlineArray<16, Double>(repeating: 0)

    subscript(category: Int) -> Double {
        get { values[category] }
        set {
            values[category] = newValue
            if newValue == 0 {
                mask &= ~(1 << UInt32(category))
            } else {
                mask |= 1 << UInt32(category)
            }
        }
    }

    static func == (a: OrderAmounts, b: OrderAmounts) -> Bool {
        guard a.mask == b.mask else { return false }
        for index in 0..<capacity where a.values[index] != b.values[index] { return false }
        return true
    }

    /// Sum in order of categories.
    var total: Double {
        var sum = 0.0
        var rest = mask
        while rest != 0 {
            sum += values[rest.trailingZeroBitCount]
            rest &= rest &- 1
        }
        return sum
    }
}
