import EventLog
import Synchronization

/// A broker in memory that keeps the promises exactly-once depends on.
///
/// Topics with partitions whose transaction markers take up offsets, producers with epochs, last
/// stable offsets, offsets that stay pending until their transaction commits, and one eagerly
/// assigned group per name. It keeps what brokers promise, not how they do it: no requests, no
/// replication, no retention. A transaction older than its timeout is aborted and its producer
/// fenced.
///
/// All calls are short and under one lock. Time is the clock's: nothing happens between calls.
public final class ModelBroker: Sendable {
    /// What a broker may be told at the start.
    public struct Settings: Sendable {
        /// Age at which an open transaction is aborted, in milliseconds.
        public var transactionTimeoutMilliseconds = 10_000
        /// How long the group waits for a member that died, in milliseconds.
        public var sessionTimeoutMilliseconds = 10_000
        /// How long after the end of a transaction its markers come, in milliseconds.
        ///
        /// Until then
        /// readers stop before it and its offsets are pending.
        public var markerDelayMilliseconds = 0
        /// Time that every call of a log takes, in microseconds; 1 or more, else a loop that asks
        /// the clock would never end.
        public var callMicroseconds = 20
        /// What the broker says of how long it keeps tombstones, in milliseconds; `compact` drops
        /// them whenever it is told to.
        public var tombstoneRetentionMilliseconds: Int64 = 86_400_000

        /// Creates the defaults.
        public init() {}

        var transactionTimeoutMicroseconds: Int64 { Int64(transactionTimeoutMilliseconds) * 1000 }
        var markerDelayMicroseconds: Int64 { Int64(markerDelayMilliseconds) * 1000 }
    }

    /// Time of this broker and of all logs on it.
    public let clock: VirtualClock
    /// What it was told at the start.
    public let settings: Settings
    private let state: Mutex<BrokerState>

    /// Creates a broker without topics.
    public init(clock: VirtualClock = VirtualClock(), settings: Settings = Settings()) {
        precondition(settings.callMicroseconds > 0)
        self.clock = clock
        self.settings = settings
        state = Mutex(BrokerState(settings: settings))
    }

    /// Creates a topic; traps when it exists.
    ///
    /// - Parameters:
    ///   - name: any text.
    ///   - partitions: 1 or more.
    public func createTopic(_ name: String, partitions: Int) {
        precondition(partitions > 0)
        state.withLock { state in
            precondition(state.topics[name] == nil, "topic \(name) exists")
            state.topics[name] = Array(repeating: PartitionLog(), count: partitions)
        }
    }

    /// Gives a topic more partitions; a group that reads it is rebalanced.
    ///
    /// - Parameters:
    ///   - name: an existing topic.
    ///   - count: as many as it has or more.
    ///   - group: who reads it, nil for nobody.
    public func grow(_ name: String, to count: Int, readBy group: String? = nil) {
        withState { state in
            let present = state.topics[name]?.count ?? 0
            precondition(present > 0 && count >= present, "no topic loses partitions")
            for _ in present..<count { state.topics[name]?.append(PartitionLog()) }
            if let group { state.groups[group]?.grow(to: count) }
        }
    }

    /// Number of partitions of a topic.
    public func partitionCount(of topic: String) -> Int {
        withState { $0.topics[topic]?.count ?? 0 }
    }

    /// Adds one committed record; it needs no transaction.
    ///
    /// - Parameters:
    ///   - topic: an existing topic.
    ///   - partition: nil for murmur2 of the key; a record without key then goes to partition 0.
    ///   - key: nil for none.
    ///   - value: nil for a tombstone.
    ///   - headers: in order.
    ///   - timestamp: in milliseconds since 1970, nil for the clock's wall time.
    public func append(
        _ topic: String,
        partition: Int32? = nil,
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [StoredHeader] = [],
        timestamp: Int64? = nil
    ) {
        withState { state in
            let count = state.topics[topic]?.count ?? 1
            let place = partition ?? key.map { Murmur2.partition(of: $0, count: count) } ?? 0
            let record = StoredRecord(
                partition: place,
                offset: 0,
                key: key,
                value: value,
                headers: headers,
                timestampMilliseconds: timestamp ?? clock.wallMilliseconds()
            )
            state.append(record, to: topic, transaction: nil)
        }
    }

    /// Adds one committed record of texts.
    public func append(_ topic: String, partition: Int32, key: String?, value: String?) {
        append(
            topic,
            partition: partition,
            key: key.map { Array($0.utf8) },
            value: value.map { Array($0.utf8) }
        )
    }

    /// What a read_committed reader sees of a topic, by partition and offset.
    public func readCommitted(_ topic: String) -> [StoredRecord] {
        withState { ($0.topics[topic] ?? []).flatMap(\.committedRecords) }
    }

    /// Every record of a topic, aborted and open ones too, by partition and offset.
    public func readUncommitted(_ topic: String) -> [StoredRecord] {
        withState { ($0.topics[topic] ?? []).flatMap(\.allRecords) }
    }

    /// Offset of the first record that is kept.
    public func lowWatermark(_ topic: String, partition: Int32) -> Int64 {
        withState { $0.topics[topic]?[Int(partition)].lowWatermark ?? 0 }
    }

    /// Offset behind the last record or marker.
    public func highWatermark(_ topic: String, partition: Int32) -> Int64 {
        withState { $0.topics[topic]?[Int(partition)].highWatermark ?? 0 }
    }

    /// End of what a read_committed reader may see.
    public func lastStableOffset(_ topic: String, partition: Int32) -> Int64 {
        withState { $0.topics[topic]?[Int(partition)].lastStableOffset ?? 0 }
    }

    /// Next offset that the group has committed, nil when it never did.
    public func committedOffset(group: String, topic: String, partition: Int32) -> Int64? {
        let place = TopicPlace(topic: topic, partition: partition)
        return withState { $0.groups[group]?.committed[place]?.offset }
    }

    /// Partitions of each member of a group, in the order in which they joined.
    public func assignments(of group: String) -> [[Int32]] {
        withState { $0.groups[group]?.assignments ?? [] }
    }

    /// Transactions without markers, whoever began them.
    public var openTransactionCount: Int { withState { $0.transactions.count } }

    /// Takes every assignment of the group back, as a change of its members does.
    public func rebalance(group: String) {
        withState { $0.groups[group]?.rebalance() }
    }

    /// Lets a newer producer of the id take over, which does nothing more.
    public func fence(transactionalID: String) {
        let now = clock.monotonicMicroseconds()
        withState { _ = $0.initialise(transactionalID, now: now) }
    }

    /// Answers nothing for so many calls.
    public func becomeUnavailable(forCalls count: Int) {
        withState { $0.unavailableCalls = max($0.unavailableCalls, count) }
    }

    /// Drops superseded records of a topic, as log cleaning does; offsets stay.
    ///
    /// - Parameters:
    ///   - topic: an existing topic.
    ///   - dropsTombstones: also drops tombstones that are stable.
    public func compact(_ topic: String, dropsTombstones: Bool = false) {
        withState { state in
            for index in (state.topics[topic] ?? []).indices {
                state.topics[topic]?[index].compact(dropsTombstones: dropsTombstones)
            }
        }
    }

    /// Deletes the stable records of a partition before an offset, as retention does.
    public func deleteRecords(_ topic: String, partition: Int32, before offset: Int64) {
        withState { $0.topics[topic]?[Int(partition)].deleteRecords(before: offset) }
    }

    /// Does what is due by the clock, then the body, under the lock.
    func withState<Value: Sendable>(
        _ body: (inout BrokerState) throws(LogError) -> Value
    ) throws(LogError) -> Value {
        let now = clock.monotonicMicroseconds()
        return try state.withLock { (state) throws(LogError) in
            state.advance(to: now)
            return try body(&state)
        }
    }

    /// The same for what cannot fail.
    func withState<Value: Sendable>(_ body: (inout BrokerState) -> Value) -> Value {
        let now = clock.monotonicMicroseconds()
        return state.withLock { state in
            state.advance(to: now)
            return body(&state)
        }
    }
}
