import EventLog

/// Everything the broker keeps, as a plain value.
struct BrokerState: Sendable {
    struct Transaction: Sendable {
        var producer: String
        var begunAt: Int64
        var places: [TopicPlace] = []
        var group: String?
        var offsets: [TopicPlace: StoredOffset] = [:]
        /// Decided but not yet written: what the markers will say, and when they come.
        var decision: (commits: Bool, settlesAt: Int64)?
    }

    struct Producer: Sendable {
        var epoch = -1
        var transaction: Int?
    }

    let settings: ModelBroker.Settings
    var topics: [String: [PartitionLog]] = [:]
    var groups: [String: GroupState] = [:]
    private(set) var producers: [String: Producer] = [:]
    private(set) var transactions: [Int: Transaction] = [:]
    private var nextTransaction = 0
    /// Calls that still find no broker.
    var unavailableCalls = 0
    /// Counts records without key and partition, to spread them.
    var unkeyedCount = 0

    init(settings: ModelBroker.Settings) { self.settings = settings }

    /// Does what is due: markers, timeouts, dead members.
    mutating func advance(to now: Int64) {
        for number in transactions.keys.sorted() {
            guard let transaction = transactions[number] else { continue }
            let end = transaction.begunAt + settings.transactionTimeoutMicroseconds
            if transaction.decision == nil, now > end {
                // As brokers do: who let it lie is fenced as well. It happened then, though nobody
                // has asked since.
                producers[transaction.producer]?.epoch += 1
                decide(number, commits: false, now: end)
            }
            if let decision = transactions[number]?.decision, decision.settlesAt <= now {
                settle(number)
            }
        }
        for name in groups.keys.sorted() { groups[name]?.expire(now: now) }
    }

    /// Fences older producers of the id and aborts what they left open.
    ///
    /// - Returns: the new epoch.
    mutating func initialise(_ id: String, now: Int64) -> Int {
        var producer = producers[id] ?? Producer()
        producer.epoch += 1
        producers[id] = producer
        if let open = producer.transaction {
            if transactions[open]?.decision == nil { decide(open, commits: false, now: now) }
            // The new producer waits for the markers.
            settle(open)
        }
        return producer.epoch
    }

    /// The transaction that the producer adds to, begun when there is none.
    mutating func openTransaction(
        of id: String,
        epoch: Int,
        now: Int64
    ) throws(LogError) -> Int {
        try check(id, epoch)
        if let open = producers[id]?.transaction {
            if transactions[open]?.decision == nil { return open }
            // Brokers make the next transaction wait for the markers of the last one.
            settle(open)
        }
        let number = nextTransaction
        nextTransaction += 1
        transactions[number] = Transaction(producer: id, begunAt: now)
        producers[id]?.transaction = number
        return number
    }

    /// Ends the producer's transaction.
    ///
    /// Without one, or when it has been decided, nothing happens.
    mutating func end(
        _ id: String,
        epoch: Int,
        commits: Bool,
        now: Int64
    ) throws(LogError) {
        try check(id, epoch)
        guard let open = producers[id]?.transaction, transactions[open]?.decision == nil
        else { return }
        decide(open, commits: commits, now: now)
    }

    /// Adds a record to a transaction, or at once without one.
    mutating func append(_ record: StoredRecord, to topic: String, transaction: Int?) {
        let place = TopicPlace(topic: topic, partition: record.partition)
        let count = topics[topic]?.count ?? 0
        precondition(
            record.partition >= 0 && Int(record.partition) < count,
            "no partition \(record.partition) in topic \(topic)"
        )
        topics[topic]?[Int(record.partition)].append(record, transaction: transaction)
        guard let transaction, transactions[transaction]?.places.contains(place) == false else {
            return
        }
        transactions[transaction]?.places.append(place)
    }

    /// Adds offsets to a transaction.
    mutating func add(_ offsets: [TopicPlace: StoredOffset], of group: String, to number: Int) {
        transactions[number]?.group = group
        transactions[number]?.offsets.merge(offsets) { _, new in new }
    }

    /// Whether any transaction without markers holds offsets of the group in these partitions.
    func areOffsetsPending(of group: String, in places: [TopicPlace]) -> Bool {
        transactions.values.contains { transaction in
            transaction.group == group && places.contains { transaction.offsets[$0] != nil }
        }
    }

    private func check(_ id: String, _ epoch: Int) throws(LogError) {
        guard producers[id]?.epoch == epoch else { throw .fenced }
    }

    private mutating func decide(_ number: Int, commits: Bool, now: Int64) {
        let settlesAt = now + settings.markerDelayMicroseconds
        transactions[number]?.decision = (commits, settlesAt)
        if settlesAt <= now { settle(number) }
    }

    private mutating func settle(_ number: Int) {
        guard let transaction = transactions.removeValue(forKey: number),
            let decision = transaction.decision
        else { return }
        for place in transaction.places {
            topics[place.topic]?[Int(place.partition)].end(number, commits: decision.commits)
        }
        if decision.commits, let group = transaction.group,
            let topic = transaction.offsets.keys.first?.topic
        {
            // A group may have offsets before anybody has joined it.
            let count = topics[topic]?.count ?? 1
            groups[group, default: GroupState(partitionCount: count)].committed
                .merge(transaction.offsets) { _, new in new }
        }
        producers[transaction.producer]?.transaction = nil
    }
}

extension LogError {
    /// What an older producer is told.
    static let fenced = LogError(
        remedy: .restartProcess,
        operation: "go on with an old producer",
        code: "_FENCED",
        reason: "a newer producer has the same transactional id",
        isFenced: true
    )
}
