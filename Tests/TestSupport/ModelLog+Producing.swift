public import EventLog

extension ModelLog {
    /// Fences older producers of this instance, as `TransactionalLog` says.
    public mutating func initTransactions() throws(LogError) {
        try perform(.initTransactions) { (log) throws(LogError) in
            guard log.phase == .uninitialised else {
                try log.fail(.state(.restartProcess, "called twice"), at: .initTransactions)
            }
            let id = log.configuration.transactionalID
            let now = log.broker.clock.monotonicMicroseconds()
            log.epoch = log.broker.withState { $0.initialise(id, now: now) }
            log.phase = .ready
        }
    }

    /// Opens a transaction, as `TransactionalLog` says.
    public mutating func beginTransaction() throws(LogError) {
        try perform(.beginTransaction) { (log) throws(LogError) in
            guard log.phase == .ready else {
                try log.fail(.state(.restartProcess, "not ready"), at: .beginTransaction)
            }
            log.phase = .inTransaction
        }
    }

    /// Adds one record to the open transaction, as `TransactionalLog` says.
    public mutating func produce(
        _ record: ProducedRecord,
        bytes: [UInt8],
        headers: [HeaderView]
    ) throws(LogError) {
        try perform(.produce) { (log) throws(LogError) in
            try log.requireTransaction(at: .produce)
            let topic = log.configuration.name(of: record.topic)
            var stored = StoredRecord(
                partition: record.partition ?? 0,
                offset: 0,
                key: record.key.map { Array(bytes[$0]) },
                value: record.value.map { Array(bytes[$0]) },
                headers: headers[record.headers].map { header in
                    StoredHeader(
                        name: Array(bytes[header.name]),
                        value: header.value.map { Array(bytes[$0]) }
                    )
                },
                timestampMilliseconds: log.broker.clock.wallMilliseconds()
            )
            try log.inBroker(at: .produce) { (state, transaction) in
                if record.partition == nil {
                    stored.partition = state.partition(for: stored.key, in: topic)
                }
                state.append(stored, to: topic, transaction: transaction)
            }
        }
    }

    /// Adds input offsets to the open transaction, as `TransactionalLog` says.
    public mutating func sendOffsets(_ offsets: [PartitionOffset]) throws(LogError) {
        try perform(.sendOffsets) { (log) throws(LogError) in
            try log.requireTransaction(at: .sendOffsets)
            let group = log.configuration.group
            var places: [TopicPlace: StoredOffset] = [:]
            for offset in offsets {
                guard let next = offset.offset else { continue }
                let place = TopicPlace(
                    topic: log.configuration.eventTopics[offset.topicIndex],
                    partition: offset.partition
                )
                places[place] = StoredOffset(offset: next, metadata: offset.metadata)
            }
            let (member, hasJoined) = (log.member, log.hasJoined)
            let isCurrent = log.broker.withState { state in
                // Who never was a member says nothing of a generation, and is believed.
                guard hasJoined else { return true }
                return member.map { state.groups[group]?.isCurrent($0) ?? false } ?? false
            }
            guard isCurrent else { try log.fail(.staleMember, at: .sendOffsets) }
            let sent = places
            try log.inBroker(at: .sendOffsets) { (state, transaction) in
                state.add(sent, of: group, to: transaction)
            }
        }
    }

    /// Commits the open transaction, as `TransactionalLog` says.
    public mutating func commitTransaction() throws(LogError) {
        try perform(.commitTransaction) { (log) throws(LogError) in
            if log.phase != .committing { try log.requireTransaction(at: .commitTransaction) }
            try log.end(commits: true, at: .commitTransaction)
        }
    }

    /// Aborts the open transaction, as `TransactionalLog` says.
    public mutating func abortTransaction() throws(LogError) {
        try perform(.abortTransaction) { (log) throws(LogError) in
            guard log.isTransactionOpen || log.phase == .aborting else {
                let words = "no transaction, or its commit was asked for"
                try log.fail(.state(.restartProcess, words), at: .abortTransaction)
            }
            try log.end(commits: false, at: .abortTransaction)
        }
    }

    /// Number of partitions of a topic of ours, as `TransactionalLog` says.
    public mutating func partitionCount(of topic: LogTopic) throws(LogError) -> Int {
        try perform(.partitionCount) { (log) throws(LogError) in
            let name = log.configuration.name(of: topic)
            return log.broker.withState { $0.topics[name]?.count ?? 0 }
        }
    }

    private mutating func requireTransaction(at method: LogMethod) throws(LogError) {
        switch phase {
        case .inTransaction: return
        case .abortable(let error): throw error
        default: try fail(.state(.abortTransaction, "no transaction"), at: method)
        }
    }

    private mutating func end(commits: Bool, at method: LogMethod) throws(LogError) {
        let id = configuration.transactionalID
        let (epoch, now) = (epoch, broker.clock.monotonicMicroseconds())
        do throws(LogError) {
            try broker.withState { (state) throws(LogError) in
                try state.end(id, epoch: epoch, commits: commits, now: now)
            }
        } catch {
            try fail(error, at: method)
        }
        phase = .ready
    }

    /// Changes the broker within the open transaction, which begins there with the first change.
    private mutating func inBroker(
        at method: LogMethod,
        _ body: (inout BrokerState, Int) -> Void
    ) throws(LogError) {
        let id = configuration.transactionalID
        let (epoch, now) = (epoch, broker.clock.monotonicMicroseconds())
        do throws(LogError) {
            try broker.withState { (state) throws(LogError) in
                let transaction = try state.openTransaction(of: id, epoch: epoch, now: now)
                body(&state, transaction)
            }
        } catch {
            try fail(error, at: method)
        }
    }
}

extension BrokerState {
    /// Where a record without explicit partition goes.
    fileprivate mutating func partition(for key: [UInt8]?, in topic: String) -> Int32 {
        let count = topics[topic]?.count ?? 1
        if let key { return Murmur2.partition(of: key, count: count) }
        unkeyedCount += 1
        return Int32(unkeyedCount % count)
    }
}

extension LogError {
    /// What a member is told that the group has stopped waiting for.
    fileprivate static let staleMember = LogError(
        remedy: .abortTransaction,
        operation: "",
        code: "ILLEGAL_GENERATION",
        reason: "the group has another generation by now"
    )
}
