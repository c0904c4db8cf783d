internal import CLibrdkafka

extension BrokerInspection {
    /// Transactions: their coordinator, the worker's id, the group, and write access.
    mutating func inspectTransactions(_ present: [String: Int]) {
        inspectOwnID()
        var client: TransactionProbe
        do throws(LogError) {
            client = try TransactionProbe(configuration)
        } catch {
            noteProbe(error)
            return
        }
        note(.ok, "transactions", "supported")
        inspectGroup(client, present)
        for topic in ownTopics.map(\.name) where present[topic] != nil {
            do throws(LogError) {
                try client.tryWriting(to: topic)
                note(.ok, "topic \(topic)", "may be written")
            } catch {
                let named = configuration.naming(error, topic: topic, access: "Write")
                note(.problem, "topic \(topic)", named.description)
                // A transaction in which nothing was allowed leaves the client of no use.
                do throws(LogError) {
                    client = try TransactionProbe(configuration)
                } catch {
                    noteProbe(error)
                    return
                }
            }
        }
    }

    /// The worker's own transactional id, without fencing the worker that uses it.
    private mutating func inspectOwnID() {
        let id = configuration.transactionalID
        let subject = "transactional id \(id)"
        do throws(LogError) {
            let members = try client.memberCount(
                ofGroup: configuration.group,
                timeoutMilliseconds: 10_000
            )
            guard members == 0 else {
                note(
                    .ok,
                    subject,
                    "not asked for while group \(configuration.group) has \(members) "
                        + (members == 1 ? "member" : "members")
                )
                return
            }
            // The greatest there is: brokers refuse it by transaction.max.timeout.ms, after they
            // have looked at the access and before they change anything.
            _ = try TransactionProbe(configuration, id: id, timeoutMilliseconds: 2_147_483_647)
            note(.ok, subject, "may be used")
        } catch {
            guard error.code != "INVALID_TRANSACTION_TIMEOUT" else {
                note(.ok, subject, "may be used")
                return
            }
            note(.problem, subject, configuration.naming(error).description)
        }
    }

    /// The group, by offsets added to a transaction that is aborted.
    private mutating func inspectGroup(
        _ probe: borrowing TransactionProbe,
        _ present: [String: Int]
    ) {
        let subject = "group \(configuration.group)"
        guard let topic = configuration.eventTopics.first(where: { present[$0] != nil }) else {
            return
        }
        do throws(LogError) {
            try probe.tryOffsets(of: topic, group: configuration.group, configuration)
            note(.ok, subject, "may be used")
        } catch {
            note(.problem, subject, configuration.naming(error, topic: topic).description)
        }
    }

    private mutating func noteProbe(_ error: LogError) {
        let id = TransactionProbe.id(configuration)
        switch error.code {
        case "TRANSACTIONAL_ID_AUTHORIZATION_FAILED":
            note(
                .warning,
                "transactions",
                "group and write access are not looked at, for which Write on transactional id "
                    + "\(id) is needed; a rule for the prefix \(configuration.group)- has it"
            )
        case _ where error.isFenced:
            note(.warning, "transactions", "another check ran at the same time; run it again")
        default: note(.problem, "transactions", error.description)
        }
    }
}

/// A transactional producer that sends nothing.
private struct TransactionProbe: ~Copyable {
    /// An id that no worker of this configuration has, below the group's name as access rules by
    /// prefix have it.
    static func id(_ configuration: KafkaLogConfiguration) -> String {
        let id = "\(configuration.group)-check"
        return id == configuration.transactionalID ? id + ".broker" : id
    }

    private let client: KafkaClient
    private let callbacks: KafkaCallbacks

    /// Creates the client and asks for an id.
    ///
    /// - Throws: `LogError`, `.retry` when there is no answer for 20 s.
    init(
        _ configuration: KafkaLogConfiguration,
        id: String? = nil,
        timeoutMilliseconds: Int32 = 60_000
    ) throws(LogError) {
        var properties = configuration.producerProperties
        properties["transactional.id"] = id ?? Self.id(configuration)
        properties["transaction.timeout.ms"] = "\(timeoutMilliseconds)"
        for name in ["message.timeout.ms", "delivery.timeout.ms", "queue.buffering.max.ms"] {
            properties[name] = nil
        }
        // What is handed over waits here until the abort drops it.
        properties["linger.ms"] = "50000"
        // Tells when a partition has been added.
        properties["debug"] = "eos"
        properties["log_level"] = "7"
        let callbacks = KafkaCallbacks(connection: configuration.connection) { _, _ in }
        let client = try KafkaClient(
            isConsumer: false,
            properties: properties,
            callbacks: callbacks
        )
        let deadline = Deadline(afterMilliseconds: 20_000)
        while true {
            do throws(LogError) {
                let error = unsafe rd_kafka_init_transactions(client.handle, 2_000)
                unsafe rd_kafka_poll(client.handle, 0)
                if let refusal = client.refusal { throw refusal }
                if let error = unsafe error {
                    throw unsafe KafkaError.take(error, operation: "prepare a transaction")
                }
                break
            } catch {
                guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else {
                    throw error
                }
            }
        }
        self.client = client
        self.callbacks = callbacks
    }

    /// Adds a partition to a transaction and aborts it before the record is sent.
    func tryWriting(to topic: String) throws(LogError) {
        let operation = "write to \(topic)"
        let handle = try unsafe client.topic(topic)
        try begin()
        let bytes: [UInt8] = Array("check".utf8)
        let record = ProducedRecord(topic: .segments, partition: 0, key: 0..<5, value: 0..<5)
        let arguments = ProduceArguments()
        let error = unsafe bytes.withUnsafeBytes { source in
            unsafe arguments.produce(
                record,
                topic: handle,
                source: source,
                headers: [],
                to: client.handle
            )
        }
        if let error = unsafe error {
            throw unsafe KafkaError.take(error, operation: operation)
        }
        let deadline = Deadline(afterMilliseconds: 5_000)
        // Where the client's words have changed, no refusal within the time has to do.
        while callbacks.details.addedTopic != topic, deadline.remainingMilliseconds > 0 {
            unsafe rd_kafka_poll(client.handle, 20)
            // In a failed transaction the answer is why it failed, else that one is open.
            guard let error = unsafe rd_kafka_begin_transaction(client.handle) else { break }
            let fault = unsafe KafkaError.take(error, operation: operation)
            if fault.code != "_STATE" { throw fault }
        }
        try abort()
    }

    /// Adds the group's offsets to a transaction and aborts it.
    borrowing func tryOffsets(
        of topic: String,
        group: String,
        _ configuration: KafkaLogConfiguration
    ) throws(LogError) {
        let operation = "use group \(group)"
        try begin()
        let list = PartitionList(capacity: 1)
        list.add(topic, 0, offset: 0)
        guard let metadata = unsafe rd_kafka_consumer_group_metadata_new(group) else { return }
        defer { unsafe rd_kafka_consumer_group_metadata_destroy(metadata) }
        let error = unsafe rd_kafka_send_offsets_to_transaction(
            client.handle,
            list.pointer,
            metadata,
            10_000
        )
        if let error = unsafe error {
            let fault = unsafe KafkaError.take(error, operation: operation)
            // The transaction is aborted for the next one to begin; the first fault counts.
            if let error = unsafe rd_kafka_abort_transaction(client.handle, 10_000) {
                unsafe rd_kafka_error_destroy(error)
            }
            throw fault
        }
        try abort()
    }

    private func begin() throws(LogError) {
        guard let error = unsafe rd_kafka_begin_transaction(client.handle) else { return }
        throw unsafe KafkaError.take(error, operation: "begin a transaction")
    }

    private func abort() throws(LogError) {
        guard let error = unsafe rd_kafka_abort_transaction(client.handle, 10_000) else { return }
        throw unsafe KafkaError.take(error, operation: "abort a transaction")
    }
}
