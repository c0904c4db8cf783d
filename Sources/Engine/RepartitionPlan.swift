public import EventLog

/// Why the rows of a group cannot be moved now.
public enum RepartitionFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// A fault of the log; running again is the remedy where it says to retry.
    case log(LogError)
    /// Something that has to be put right first; nothing was changed.
    case refused(String)
    /// State that must not be used.
    case corruptState(String)

    /// One sentence for people.
    public var description: String {
        switch self {
        case .log(let error): error.description
        case .refused(let reason), .corruptState(let reason): reason
        }
    }
}

/// What has to move after the input has got more partitions, as it was found.
public struct RepartitionPlan: Sendable {
    /// Events of one partition of one event topic that the group has not read.
    public struct Unread: Sendable, Equatable {
        /// Index into the list of event topics.
        public var topicIndex: Int
        /// Partition number.
        public var partition: Int32
        /// How many.
        public var count = 0
        /// Of customers whose events arrive in another partition from now on.
        public var leaving = 0
        /// The last of those.
        public var lastLeaving: Int64?
        /// The first of a customer whose events arrived in another partition so far.
        public var firstArriving: Int64?
        /// Where the group stands.
        public var from: Int64
    }

    /// Partitions for which the rows are laid out.
    public internal(set) var oldCount: Int
    /// Partitions of the input.
    public internal(set) var newCount: Int
    /// Where events of a key arrive.
    public internal(set) var partitioner: KeyPartitioner
    /// Rows of customers.
    public internal(set) var customers = 0
    /// Rows that move.
    public internal(set) var moving = 0
    /// What the group has not read, by topic and partition, where there is something.
    public internal(set) var unread: [Unread] = []
    /// Whether an earlier run was interrupted.
    public internal(set) var isResumed = false
    /// Where the group goes on: as it stands, and at the oldest record in new partitions.
    var offsets: [PartitionOffset] = []
    /// The stub to keep of each erased customer, by key.
    var stubs: [[UInt8]: Stub] = [:]

    /// A stub of an erasure.
    struct Stub: Sendable {
        var value: [UInt8]
        /// Partitions that have just this one.
        var partitions: Set<Int32>
    }

    /// Erased customers whose late events are still kept out.
    public var erased: Int { stubs.count }

    /// What keeps the rows where they are: unread events that belong to the old layout.
    ///
    /// One that is read after its customer's row has moved would be refused.
    public var obstacles: [Unread] { unread.filter { $0.leaving > 0 } }
}

/// What the partitions of known keys say about who has placed them.
struct PartitionerEvidence {
    private var agreeing: [KeyPartitioner: Int] = [:]
    private(set) var total = 0

    /// Notes that a key stands in a partition of so many.
    mutating func note(_ key: ArraySlice<UInt8>, in partition: Int32, of count: Int) {
        total += 1
        for candidate in KeyPartitioner.allCases
        where candidate.partition(of: key, count: count) == partition {
            agreeing[candidate, default: 0] += 1
        }
    }

    /// Those that explain every key.
    var candidates: [KeyPartitioner] {
        KeyPartitioner.allCases.filter { agreeing[$0, default: 0] == total }
    }

    /// For people: how many keys each explains.
    var words: String {
        KeyPartitioner.allCases
            .map { "\($0.rawValue) explains \(agreeing[$0, default: 0]) of \(total)" }
            .joined(separator: ", ")
    }
}
