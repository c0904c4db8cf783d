/// What a step gathered; nothing has left the process yet.
public struct StepOutput: Sendable {
    /// Where a record goes.
    public enum Destination: Sendable, Equatable {
        /// The output topic.
        case segments
        /// The changelog, to the partition of the input record.
        case changelog
        /// The model topic.
        case model
    }

    /// One record: ranges of `bytes` and of `headers`.
    public struct Record: Sendable, Equatable {
        /// Where it goes.
        public var destination: Destination
        /// Partition of the customer's input.
        public var partition: Int32
        /// Range of the key.
        public var key: Range<Int>
        /// Range of the value; nil is a tombstone.
        public var value: Range<Int>?
        /// Range of headers.
        public var headers: Range<Int>
    }

    /// A record of the input that goes to the dead-letter topic.
    public struct Rejected: Sendable, Equatable {
        /// Index of the record in the batch.
        public var recordIndex: Int
        /// Why.
        public var rejection: Rejection
    }

    /// Keys, values and headers of all records.
    public internal(set) var bytes: [UInt8] = []
    /// Records, in the order in which they are produced.
    public internal(set) var records: [Record] = []
    /// Headers of all records.
    public internal(set) var headers: [InputHeader] = []
    /// Rejections, in the order of the input.
    public internal(set) var rejections: [Rejected] = []

    /// Creates an empty output.
    public init() {}

    /// Forgets everything and keeps the memory.
    public mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        records.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
        rejections.removeAll(keepingCapacity: true)
    }

    /// Appends a header; equal names and constant values may share bytes.
    mutating func appendHeader(_ name: StaticString, _ value: Range<Int>) {
        let start = bytes.count
        JSONText.append(name, to: &bytes)
        headers.append(InputHeader(name: start..<bytes.count, value: value))
    }

    /// Appends bytes.
    ///
    /// - Returns: their range.
    mutating func store(_ text: StaticString) -> Range<Int> {
        let start = bytes.count
        JSONText.append(text, to: &bytes)
        return start..<bytes.count
    }
}
