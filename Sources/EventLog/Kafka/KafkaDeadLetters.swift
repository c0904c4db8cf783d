internal import CLibrdkafka

/// The topic of dead letters in Kafka, for reading, removing or sending again some of them.
@safe public struct KafkaDeadLetters: ~Copyable, DeadLetterTopic {
    /// How long a call goes on while the brokers or their coordinator are away.
    private static let patienceMilliseconds = 60_000

    /// What the topic is opened for: each use has a transactional id of its own, which fences other
    /// runs of the same use.
    public enum Purpose: String, Sendable {
        /// To remove letters, or only to read; `GROUP-rejected.purge`.
        case purge
        /// To send them again; `GROUP-rejected.retry`.
        case retry
    }

    let configuration: KafkaLogConfiguration
    let producer: KafkaClient
    private let restorer: KafkaRestorer
    private let handle: OpaquePointer
    private let count: Int
    let arguments = ProduceArguments()

    /// Creates the clients and looks for the topic; no group is joined, no topic created.
    ///
    /// - Parameters:
    ///   - configuration: as a worker has it; its instance does not count.
    ///   - purpose: what it is opened for.
    /// - Throws: `LogError`: `.retry` when the brokers do not answer, `.restartProcess` when a
    ///   property is unknown or invalid, or there is no such topic.
    public init(
        _ configuration: KafkaLogConfiguration,
        for purpose: Purpose = .purge
    ) throws(LogError) {
        var own = configuration
        // An id of its own, below the group's name as access rules by prefix have it.
        own.instance = "rejected.\(purpose.rawValue)"
        own.properties["transaction.timeout.ms"] = "60000"
        let producer = try KafkaClient(
            isConsumer: false,
            properties: own.producerProperties,
            callbacks: KafkaCallbacks(connection: own.connection, onLog: own.onLog)
        )
        // All topics are asked for: who asks for one by name may have it created.
        let counts = try producer.partitionCounts(timeoutMilliseconds: 10_000)
        guard let count = counts[own.rejectedTopic] else {
            throw LogError(
                remedy: .restartProcess,
                operation: "find the dead letters",
                code: "UNKNOWN_TOPIC_OR_PART",
                reason: "no topic \(own.rejectedTopic)"
            )
        }
        let restorer = try KafkaRestorer(own)
        let handle = try unsafe producer.topic(own.rejectedTopic)
        // Assigned at the end: a value that cannot be copied is initialised completely or not.
        self.configuration = own
        self.producer = producer
        self.restorer = restorer
        self.count = count
        unsafe self.handle = unsafe handle
    }

    /// Fences another run; waits for the brokers for a minute.
    ///
    /// - Throws: `LogError`: `.retry` when they did not answer, `.restartProcess` when refused.
    public mutating func fence() throws(LogError) {
        try retrying { () throws(LogError) in
            try unsafe finish(
                rd_kafka_init_transactions(producer.handle, 5_000),
                "prepare to change dead letters"
            )
        }
    }

    /// Number of partitions, as the broker told at the beginning.
    public mutating func partitionCount() throws(LogError) -> Int { count }

    /// A setting of the topic as it is in force, nil where the broker does not name it.
    ///
    /// - Throws: `LogError`, also when the broker does not let us read settings.
    public func setting(_ key: String) throws(LogError) -> String? {
        try producer.setting(key, of: configuration.rejectedTopic, timeoutMilliseconds: 10_000)
    }

    /// Begins to read a partition from its start.
    public mutating func beginReading(partition: Int32) throws(LogError) {
        try retrying { () throws(LogError) in
            try restorer.begin(configuration.rejectedTopic, partition, from: nil)
        }
    }

    /// Reads on.
    public mutating func read(into batch: inout RecordBatch) throws(LogError) -> RestoreProgress {
        try restorer.read(into: &batch, timeoutMilliseconds: 200)
    }

    /// Appends copies in one transaction.
    ///
    /// - Throws: `LogError`: `.restartProcess` when another run has fenced this one or a record is
    ///   refused, `.retry` when the brokers were away for too long. Nothing is visible then, unless
    ///   only the answer to the commit was lost.
    public mutating func append(
        copiesOf records: [RecordView],
        in batch: RecordBatch
    ) throws(LogError) {
        let client = unsafe producer.handle
        try unsafe finish(rd_kafka_begin_transaction(client), "begin a transaction")
        do throws(LogError) {
            for record in records { try send(record, batch) }
            try retrying { () throws(LogError) in
                try unsafe finish(
                    rd_kafka_commit_transaction(client, 10_000),
                    "commit copies of dead letters"
                )
            }
        } catch {
            if error.remedy == .abortTransaction {
                try unsafe finish(
                    rd_kafka_abort_transaction(client, 10_000),
                    "abort the copies after: \(error.description)"
                )
            }
            throw error
        }
    }

    /// Deletes the beginning of a partition.
    ///
    /// - Throws: `LogError`: `POLICY_VIOLATION` where the topic's cleanup.policy has no delete, and
    ///   what access rules say.
    public mutating func delete(partition: Int32, before offset: Int64) throws(LogError) {
        let name = configuration.rejectedTopic
        try retrying { () throws(LogError) in
            try producer.deleteRecords(
                of: name,
                partition: partition,
                before: offset,
                timeoutMilliseconds: 20_000
            )
        }
    }

    private func send(_ record: RecordView, _ batch: RecordBatch) throws(LogError) {
        let copy = ProducedRecord(
            topic: .rejected,
            partition: record.partition,
            key: record.key,
            value: record.value,
            headers: record.headers
        )
        while true {
            let error = unsafe batch.bytes.withUnsafeBytes { source in
                unsafe arguments.produce(
                    copy,
                    topic: handle,
                    source: source,
                    headers: batch.headers,
                    timestampMilliseconds: record.timestampMilliseconds,
                    to: producer.handle
                )
            }
            guard let error = unsafe error else { return }
            guard unsafe rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__QUEUE_FULL else {
                throw unsafe KafkaError.take(error, operation: "copy a dead letter")
            }
            unsafe rd_kafka_error_destroy(error)
            // Ends: what cannot be sent is given up after the transaction's timeout.
            unsafe rd_kafka_poll(producer.handle, 10)
            unsafe rd_kafka_flush(producer.handle, 10)
        }
    }

    func retrying(_ call: () throws(LogError) -> Void) throws(LogError) {
        let deadline = Deadline(afterMilliseconds: Self.patienceMilliseconds)
        while true {
            do throws(LogError) {
                return try call()
            } catch {
                unsafe rd_kafka_poll(producer.handle, 100)
                if let refusal = producer.refusal { throw configuration.naming(refusal) }
                guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else {
                    throw error
                }
            }
        }
    }

    func finish(_ error: OpaquePointer?, _ operation: String) throws(LogError) {
        guard let error = unsafe error else { return }
        throw configuration.naming(unsafe KafkaError.take(error, operation: operation))
    }
}
