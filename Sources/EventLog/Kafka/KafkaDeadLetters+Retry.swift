internal import CLibrdkafka

extension KafkaDeadLetters: DeadLetterRetryTopic {
    /// Sends records again, with receipts, in one transaction.
    ///
    /// - Throws: `LogError`: `.restartProcess` when another run has fenced this one, or when one of
    ///   the topics may not be written, which the words name; `.retry` when the brokers were away
    ///   for too long. Nothing is visible then, unless only the answer to the commit was lost; a
    ///   further run finds out.
    public mutating func retry(
        _ letters: [RetriedLetter],
        in batch: RecordBatch
    ) throws(LogError) {
        let client = unsafe producer.handle
        try unsafe finish(rd_kafka_begin_transaction(client), "begin a transaction")
        do throws(LogError) {
            for letter in letters { try send(letter, batch) }
            try retrying { () throws(LogError) in
                try unsafe finish(
                    rd_kafka_commit_transaction(client, 10_000),
                    "commit what is sent again"
                )
            }
        } catch {
            if error.remedy == .abortTransaction {
                try unsafe finish(
                    rd_kafka_abort_transaction(client, 10_000),
                    "abort what was to be sent again after: \(error.description)"
                )
            }
            let denied = producer.details.topic
            throw configuration.naming(error, topic: denied, access: "Write")
        }
    }

    private func send(_ letter: RetriedLetter, _ batch: RecordBatch) throws(LogError) {
        var copy = RecordBytes()
        let key = copy.append(letter.record.key, of: batch)
        let value = copy.append(letter.record.value, of: batch)
        for index in letter.headerIndices {
            let header = batch.headers[index]
            let name = copy.append(header.name, of: batch) ?? 0..<0
            let value = copy.append(header.value, of: batch)
            copy.headers.append(HeaderView(name: name, value: value))
        }
        copy.append(letter.mark)
        let record = ProducedRecord(
            topic: .rejected,
            partition: letter.partition,
            key: key,
            value: value,
            headers: 0..<copy.headers.count
        )
        try send(record, copy, to: letter.topic)
        var receipt = RecordBytes()
        receipt.append(letter.receipt)
        let proof = ProducedRecord(
            topic: .rejected,
            partition: letter.record.partition,
            key: nil,
            value: nil,
            headers: 0..<1
        )
        try send(proof, receipt, to: configuration.rejectedTopic)
    }

    private func send(
        _ record: ProducedRecord,
        _ content: RecordBytes,
        to topic: String
    ) throws(LogError) {
        let operation = "send to \(topic) again"
        let handle = try unsafe producer.topic(topic)
        while true {
            let error = unsafe content.bytes.withUnsafeBytes { source in
                unsafe arguments.produce(
                    record,
                    topic: handle,
                    source: source,
                    headers: content.headers,
                    to: producer.handle
                )
            }
            guard let error = unsafe error else { return }
            let fault = unsafe KafkaError.take(error, operation: operation)
            guard fault.code == "_QUEUE_FULL" else { throw cause(of: fault, operation) }
            // Ends: what cannot be sent is given up after the transaction's timeout.
            unsafe rd_kafka_poll(producer.handle, 10)
            unsafe rd_kafka_flush(producer.handle, 10)
        }
    }

    /// Why the transaction has failed, where the client only says that it has.
    private func cause(of fault: LogError, _ operation: String) -> LogError {
        guard fault.code == "_STATE", let error = unsafe rd_kafka_begin_transaction(producer.handle)
        else { return fault }
        let cause = unsafe KafkaError.take(error, operation: operation)
        return cause.code == "_STATE" ? fault : cause
    }
}

/// The bytes of one record that is made here.
private struct RecordBytes {
    var bytes: [UInt8] = []
    var headers: [HeaderView] = []

    mutating func append(_ range: Range<Int>?, of batch: RecordBatch) -> Range<Int>? {
        guard let range else { return nil }
        let start = bytes.count
        bytes.append(contentsOf: batch.bytes[range])
        return start..<bytes.count
    }

    mutating func append(_ header: (name: String, value: String)) {
        let start = bytes.count
        bytes.append(contentsOf: header.name.utf8)
        let middle = bytes.count
        bytes.append(contentsOf: header.value.utf8)
        headers.append(HeaderView(name: start..<middle, value: middle..<bytes.count))
    }
}
