internal import CLibrdkafka

/// What could not be read of a topic, or what was.
private enum ReadOutcome {
    case read(RecordBatch)
    case failed(LogError)
}

extension BrokerInspection {
    /// Newest records of a topic that are looked at.
    private static let sampleCountMax = 1_000

    /// Reads the newest records of an input topic and says whether their keys are customers.
    mutating func sampleKeys(of topic: String, partitions: Int, _ all: inout KeySample) {
        let subject = "topic \(topic)"
        let each = max(1, Self.sampleCountMax / max(1, partitions))
        switch readNewest(each, of: topic, partitions: 0..<Int32(partitions)) {
        case .failed(let error): note(.problem, subject, error.description)
        case .read(let batch):
            var sample = KeySample()
            sample.add(batch)
            all.add(batch)
            note(.ok, subject, "may be read")
            for finding in sample.findings(subject) { add(finding) }
        }
    }

    /// Whether a topic may be read, whatever it holds.
    mutating func inspectReading(of topic: String) {
        switch readNewest(1, of: topic, partitions: 0..<1) {
        case .failed(let error): note(.problem, "topic \(topic)", error.description)
        case .read: note(.ok, "topic \(topic)", "may be read")
        }
    }

    /// Reads the last records of every partition up to the end of the moment.
    private func readNewest(
        _ count: Int,
        of topic: String,
        partitions: Range<Int32>
    ) -> ReadOutcome {
        do throws(LogError) {
            return .read(try newest(count, of: topic, partitions: partitions))
        } catch {
            return .failed(configuration.naming(error, topic: topic))
        }
    }

    private func newest(
        _ count: Int,
        of topic: String,
        partitions: Range<Int32>
    ) throws(LogError) -> RecordBatch {
        let list = PartitionList(capacity: partitions.count)
        for partition in partitions {
            let range = try reader.watermarks(
                of: topic,
                partition: partition,
                timeoutMilliseconds: 10_000
            )
            // Asked for even where there is nothing: only a fetch shows whether it is allowed.
            let start = max(range.lowerBound, range.upperBound - Int64(count))
            list.add(topic, partition, offset: start)
        }
        try reader.assign(list)
        defer { unsafe rd_kafka_assign(reader.handle, nil) }
        var batch = RecordBatch()
        var open = Set(partitions)
        let deadline = Deadline(afterMilliseconds: 15_000)
        while !open.isEmpty {
            guard deadline.remainingMilliseconds > 0 else {
                throw KafkaError.make(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: "read \(topic)")
            }
            guard let message = unsafe rd_kafka_consumer_poll(reader.handle, 200) else { continue }
            defer { unsafe rd_kafka_message_destroy(message) }
            switch unsafe message.pointee.err {
            case RD_KAFKA_RESP_ERR_NO_ERROR:
                // More may come than was there when we looked.
                guard batch.records.count < 4 * Self.sampleCountMax else { return batch }
                unsafe batch.append(message, topicIndex: 0)
            case RD_KAFKA_RESP_ERR__PARTITION_EOF:
                open.remove(unsafe message.pointee.partition)
            case let code:
                let error = KafkaError.make(code, operation: "read \(topic)")
                if error.remedy != .retry { throw error }
            }
        }
        return batch
    }
}
