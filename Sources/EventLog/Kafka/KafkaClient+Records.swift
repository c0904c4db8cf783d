internal import CLibrdkafka

extension KafkaClient {
    /// Deletes every record of a partition before an offset.
    ///
    /// - Throws: `LogError` with the broker's fault.
    func deleteRecords(
        of topic: String,
        partition: Int32,
        before offset: Int64,
        timeoutMilliseconds: Int32
    ) throws(LogError) {
        let operation = "delete the beginning of \(topic)/\(partition)"
        let list = PartitionList(capacity: 1)
        list.add(topic, partition, offset: offset)
        guard
            let queue = unsafe rd_kafka_queue_new(handle),
            let options = unsafe rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_DELETERECORDS),
            let request = unsafe rd_kafka_DeleteRecords_new(list.pointer)
        else { preconditionFailure("no memory for a request") }
        defer {
            unsafe rd_kafka_DeleteRecords_destroy(request)
            unsafe rd_kafka_AdminOptions_destroy(options)
            unsafe rd_kafka_queue_destroy(queue)
        }
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        var requests: [OpaquePointer?] = unsafe [request]
        unsafe rd_kafka_DeleteRecords(handle, &requests, 1, options, queue)
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
        let result = unsafe rd_kafka_event_DeleteRecords_result(event)
        guard let rows = unsafe rd_kafka_DeleteRecords_result_offsets(result),
            unsafe rows.pointee.cnt == 1
        else { throw KafkaError.make(RD_KAFKA_RESP_ERR__BAD_MSG, operation: operation) }
        let fault = unsafe rows.pointee.elems[0].err
        guard fault == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(fault, operation: operation)
        }
    }
}
