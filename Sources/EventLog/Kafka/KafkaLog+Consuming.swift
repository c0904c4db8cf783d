internal import CLibrdkafka

extension KafkaLog {
    /// Fills a batch, record by record, or reports a change of the assignment.
    ///
    /// Batch consumption of librdkafka 2.0.2 may skip offsets and is not used.
    ///
    /// - Parameters:
    ///   - batch: emptied first.
    ///   - limits: of the batch, and how long to go on filling it.
    ///   - timeoutMilliseconds: how long to wait for the first record.
    /// - Returns: records, perhaps none, or one change of the assignment.
    /// - Throws: `LogError` with `.restartProcess` when fenced, fatal or refused. A missing topic
    ///   or absent brokers are no error: the client goes on looking; `BrokerConnection` tells.
    public mutating func poll(
        into batch: inout RecordBatch,
        limits: PollLimits,
        timeoutMilliseconds: Int
    ) throws(LogError) -> PollResult {
        batch.removeAll()
        // Serves the producer's error callback.
        unsafe rd_kafka_poll(producer.handle, 0)
        try checkHealth(operation: "poll")
        try subscribe()
        let handle = unsafe consumer.handle
        // Only waiting looks at the clock: a busy partition fills the batch first.
        var wait = Deadline(afterMilliseconds: timeoutMilliseconds)
        while callbacks.rebalances.isEmpty, batch.records.count < limits.records,
            batch.payloadBytes < limits.payloadBytes
        {
            var next = unsafe held.take() ?? rd_kafka_consumer_poll(handle, 0)
            if unsafe next == nil, callbacks.rebalances.isEmpty {
                let milliseconds = wait.remainingMilliseconds
                guard milliseconds > 0 else { break }
                unsafe next = rd_kafka_consumer_poll(handle, milliseconds)
            }
            guard let message = unsafe next else { continue }
            if unsafe message.pointee.err != RD_KAFKA_RESP_ERR_NO_ERROR {
                defer { unsafe rd_kafka_message_destroy(message) }
                if unsafe message.pointee.err == RD_KAFKA_RESP_ERR__PARTITION_EOF {
                    let topic = unsafe topicIndex(of: message.pointee.rkt)
                    let partition = unsafe message.pointee.partition
                    let key = EventPartition(topicIndex: topic, partition: partition)
                    reachedEnds[key] = unsafe message.pointee.offset
                }
                try unsafe checkConsumerError(message)
                continue
            }
            let size = unsafe message.pointee.key_len + message.pointee.len
            if !batch.records.isEmpty, batch.payloadBytes + size > limits.payloadBytes {
                unsafe held.keep(message)
                break
            }
            if batch.records.isEmpty {
                wait = Deadline(afterMilliseconds: limits.lingerMilliseconds)
            }
            unsafe batch.append(message, topicIndex: topicIndex(of: message.pointee.rkt))
            unsafe rd_kafka_message_destroy(message)
        }
        if !batch.records.isEmpty {
            configuration.connection.markUp()
            return .records
        }
        if !callbacks.rebalances.isEmpty {
            configuration.connection.markUp()
            switch callbacks.rebalances.removeFirst() {
            case .assigned(let partitions): return .assigned(partitions)
            case .revoked(let partitions, let lost): return .revoked(partitions, lost: lost)
            }
        }
        try checkHealth(operation: "poll")
        probeBrokers()
        return .records
    }

    /// Starts, or starts again, to consume exactly these partitions from these offsets.
    ///
    /// Whatever was fetched before is dropped.
    ///
    /// - Throws: `LogError` with `.restartProcess` when the client is in a fatal state.
    public mutating func startConsuming(from offsets: [PartitionOffset]) throws(LogError) {
        held.drop()
        reachedEnds.removeAll()
        let list = PartitionList(capacity: offsets.count)
        for offset in offsets {
            guard let next = offset.offset else {
                preconditionFailure("partition \(offset.partition) is consumed from nowhere")
            }
            list.add(configuration.eventTopics[offset.topicIndex], offset.partition, offset: next)
        }
        try consumer.assign(list)
    }

    /// Gives revoked partitions back to the group.
    ///
    /// - Throws: `LogError` with `.restartProcess` when the client is in a fatal state.
    public mutating func releaseAssignment() throws(LogError) {
        held.drop()
        try consumer.assign(nil)
    }

    /// Offsets and metadata the group has committed, topic by topic.
    ///
    /// Tries for 30 seconds while offsets of an open transaction are pending.
    ///
    /// - Throws: `LogError` with `.retry` after that, `.restartProcess` when refused.
    public mutating func committedOffsets(
        of partitions: [Int32]
    ) throws(LogError) -> [PartitionOffset] {
        let operation = "read the group's committed offsets"
        let list = PartitionList(capacity: partitions.count * configuration.eventTopics.count)
        for name in configuration.eventTopics {
            for partition in partitions { list.add(name, partition, offset: -1_001) }
        }
        guard list.count > 0 else { return [] }
        let deadline = Deadline(afterMilliseconds: 30_000)
        while true {
            // Offsets of an open transaction are awaited: the client times out meanwhile.
            let left = max(deadline.remainingMilliseconds, 1)
            let code = unsafe rd_kafka_committed(consumer.handle, list.pointer, min(left, 5_000))
            guard let fault = list.firstFault(code) else { break }
            let error = configuration.naming(KafkaError.make(fault, operation: operation))
            try checkHealth(operation: operation)
            guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else { throw error }
            unsafe rd_kafka_poll(producer.handle, 50)
        }
        configuration.connection.markUp()
        return (0..<list.count).map { index in
            PartitionOffset(
                topicIndex: index / partitions.count,
                partition: partitions[index % partitions.count],
                offset: list.offset(index),
                metadata: list.metadata(index)
            )
        }
    }

    /// Where a group that has never committed begins, as configured, from the broker.
    ///
    /// - Throws: `LogError`; `.retry` while the partition has no leader or the broker is away.
    public mutating func startOffset(
        topicIndex: Int,
        partition: Int32
    ) throws(LogError) -> Int64 {
        let name = configuration.eventTopics[topicIndex]
        switch configuration.start {
        case .earliest:
            return try consumer.watermarks(
                of: name,
                partition: partition,
                timeoutMilliseconds: 5_000
            ).lowerBound
        case .latest:
            return try endOffset(topicIndex: topicIndex, partition: partition)
        case .timestamp(let milliseconds):
            let list = PartitionList(capacity: 1)
            list.add(name, partition, offset: milliseconds)
            let code = unsafe rd_kafka_offsets_for_times(consumer.handle, list.pointer, 5_000)
            if let fault = list.firstFault(code) {
                throw KafkaError.make(fault, operation: "find the start of \(name)/\(partition)")
            }
            configuration.connection.markUp()
            if let found = list.offset(0) { return found }
            // Nothing that young yet: whatever comes next is.
            return try endOffset(topicIndex: topicIndex, partition: partition)
        }
    }

    /// End of a partition of an event topic, from the broker.
    ///
    /// A read_committed client is told the last stable offset, behind which a transaction is open;
    /// brokers without that notion tell the high watermark, which does as well.
    public mutating func endOffset(topicIndex: Int, partition: Int32) throws(LogError) -> Int64 {
        try consumer.watermarks(
            of: configuration.eventTopics[topicIndex],
            partition: partition,
            timeoutMilliseconds: 5_000
        ).upperBound
    }

    /// The high watermark of the last fetch, nil before the first.
    public func knownEndOffset(topicIndex: Int, partition: Int32) -> Int64? {
        var low: Int64 = 0
        var high: Int64 = 0
        let name = configuration.eventTopics[topicIndex]
        let code = unsafe rd_kafka_get_watermark_offsets(
            consumer.handle,
            name,
            partition,
            &low,
            &high
        )
        return code == RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0 ? high : nil
    }

    /// Offset of the last partition-EOF, nil before the first.
    public func reachedEnd(topicIndex: Int, partition: Int32) -> Int64? {
        reachedEnds[EventPartition(topicIndex: topicIndex, partition: partition)]
    }

    /// Index of the event topic behind a record's handle.
    private func topicIndex(of topic: OpaquePointer?) -> Int {
        for index in unsafe eventTopicHandles.indices {
            if unsafe eventTopicHandles[index] == topic { return index }
        }
        let name = unsafe rd_kafka_topic_name(topic).map { unsafe String(cString: $0) } ?? ""
        guard let index = configuration.eventTopics.firstIndex(of: name) else {
            preconditionFailure("a record of a topic that was not subscribed: \(name)")
        }
        return index
    }

    private func checkConsumerError(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>
    ) throws(LogError) {
        let code = unsafe message.pointee.err
        let words = unsafe rd_kafka_message_errstr(message).map { unsafe String(cString: $0) }
        let operation = "poll"
        if let fatal = unsafe KafkaError.fatal(of: consumer.handle, operation: operation) {
            throw fatal
        }
        let topic = unsafe message.pointee.rkt.flatMap { unsafe rd_kafka_topic_name($0) }
            .map { unsafe String(cString: $0) }
        let error = configuration.naming(
            KafkaError.make(code, operation: operation, reason: words),
            topic: topic
        )
        switch code {
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: return
        case RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED:
            // The revocation follows and says that the partitions are lost.
            configuration.onLog(4, error.description)
        default:
            if error.remedy == .restartProcess { throw error }
            // The client goes on by itself: a missing topic may appear, a broker come back.
            configuration.onLog(5, error.description)
        }
    }

    /// Asks the brokers for something small while they count as down, once a second at most: an
    /// idle log would otherwise never learn that they are back.
    private mutating func probeBrokers() {
        guard configuration.connection.downSinceMilliseconds != nil,
            nextProbe.remainingMilliseconds == 0
        else { return }
        nextProbe = Deadline(afterMilliseconds: 1_000)
        do {
            _ = try consumer.partitionCount(
                of: configuration.eventTopics[0],
                timeoutMilliseconds: 200
            )
        } catch {
            configuration.onLog(7, error.description)
        }
    }
}
