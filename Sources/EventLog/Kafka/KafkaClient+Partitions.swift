internal import CLibrdkafka

extension KafkaClient {
    /// Gives a topic more partitions.
    ///
    /// - Throws: `LogError` with the broker's fault.
    func createPartitions(
        of topic: String,
        total: Int,
        timeoutMilliseconds: Int32
    ) throws(LogError) {
        let operation = "give topic \(topic) \(total) partitions"
        var words = [CChar](repeating: 0, count: 256)
        let made = unsafe rd_kafka_NewPartitions_new(topic, total, &words, words.count)
        guard let made = unsafe made else {
            throw LogError(
                remedy: .restartProcess,
                operation: operation,
                code: "_INVALID_ARG",
                reason: KafkaError.text(words)
            )
        }
        defer { unsafe rd_kafka_NewPartitions_destroy(made) }
        guard
            let queue = unsafe rd_kafka_queue_new(handle),
            let options = unsafe rd_kafka_AdminOptions_new(
                handle,
                RD_KAFKA_ADMIN_OP_CREATEPARTITIONS
            )
        else { preconditionFailure("no memory for a request") }
        defer {
            unsafe rd_kafka_AdminOptions_destroy(options)
            unsafe rd_kafka_queue_destroy(queue)
        }
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        var requests: [OpaquePointer?] = unsafe [made]
        unsafe rd_kafka_CreatePartitions(handle, &requests, 1, options, queue)
        guard let event = unsafe rd_kafka_queue_poll(queue, timeoutMilliseconds + 2_000) else {
            throw KafkaError.make(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let words = unsafe rd_kafka_event_error_string(event).map { unsafe String(cString: $0) }
            throw KafkaError.make(code, operation: operation, reason: words)
        }
        noteAnswer()
        var count = 0
        let result = unsafe rd_kafka_event_CreatePartitions_result(event)
        guard let rows = unsafe rd_kafka_CreatePartitions_result_topics(result, &count), count == 1,
            let row = unsafe rows[0]
        else { throw KafkaError.make(RD_KAFKA_RESP_ERR__BAD_MSG, operation: operation) }
        let fault = unsafe rd_kafka_topic_result_error(row)
        guard fault == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let words = unsafe rd_kafka_topic_result_error_string(row)
                .map { unsafe String(cString: $0) }
            throw KafkaError.make(fault, operation: operation, reason: words)
        }
    }

    /// Number of members that the group's coordinator knows, 0 for a group that is not there.
    func memberCount(ofGroup group: String, timeoutMilliseconds: Int32) throws(LogError) -> Int {
        let operation = "list the members of group \(group)"
        var list: UnsafePointer<rd_kafka_group_list>?
        let code = unsafe rd_kafka_list_groups(handle, group, &list, timeoutMilliseconds)
        defer { if let list = unsafe list { unsafe rd_kafka_group_list_destroy(list) } }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR, let found = unsafe list else {
            throw KafkaError.make(code, operation: operation)
        }
        noteAnswer()
        var count = 0
        for index in 0..<Int(unsafe found.pointee.group_cnt) {
            let row = unsafe found.pointee.groups[index]
            guard unsafe row.err == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw unsafe KafkaError.make(row.err, operation: operation)
            }
            count += Int(unsafe row.member_cnt)
        }
        return count
    }
}
