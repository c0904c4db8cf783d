internal import CLibrdkafka

extension KafkaClient {
    /// Partition counts of all topics that the broker shows us, which creates none.
    func partitionCounts(timeoutMilliseconds: Int32) throws(LogError) -> [String: Int] {
        let found = unsafe try metadata(
            of: nil,
            timeoutMilliseconds: timeoutMilliseconds,
            operation: "list the topics"
        )
        defer { unsafe rd_kafka_metadata_destroy(found) }
        var counts: [String: Int] = [:]
        for index in 0..<Int(unsafe found.pointee.topic_cnt) {
            let row = unsafe found.pointee.topics[index]
            guard let name = unsafe row.topic, unsafe row.partition_cnt > 0 else { continue }
            counts[unsafe String(cString: name)] = Int(unsafe row.partition_cnt)
        }
        return counts
    }

    /// Creates topics; one that exists already counts as created.
    ///
    /// - Parameters:
    ///   - topics: what to create.
    ///   - timeoutMilliseconds: how long the broker may take.
    ///   - onlyValidates: true to learn what would be refused, and to create nothing.
    /// - Returns: those refused, each with the broker's words.
    /// - Throws: `LogError` when the request as a whole failed.
    func create(
        _ topics: [NewTopic],
        timeoutMilliseconds: Int32,
        onlyValidates: Bool = false
    ) throws(LogError) -> [(NewTopic, String)] {
        let operation = "create topics"
        var requests: [OpaquePointer?] = unsafe []
        defer { unsafe rd_kafka_NewTopic_destroy_array(&requests, requests.count) }
        for topic in topics { try unsafe requests.append(Self.request(topic)) }
        guard let queue = unsafe rd_kafka_queue_new(handle) else { return [] }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        let options = unsafe rd_kafka_AdminOptions_new(handle, RD_KAFKA_ADMIN_OP_CREATETOPICS)
        defer { if let options = unsafe options { unsafe rd_kafka_AdminOptions_destroy(options) } }
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        unsafe rd_kafka_AdminOptions_set_validate_only(options, onlyValidates ? 1 : 0, nil, 0)
        unsafe rd_kafka_CreateTopics(handle, &requests, requests.count, options, queue)
        guard let event = unsafe rd_kafka_queue_poll(queue, timeoutMilliseconds + 2_000) else {
            throw KafkaError.make(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        let code = unsafe rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            let reason = unsafe rd_kafka_event_error_string(event).map {
                unsafe String(cString: $0)
            }
            throw KafkaError.make(code, operation: operation, reason: reason)
        }
        noteAnswer()
        var count = 0
        let result = unsafe rd_kafka_event_CreateTopics_result(event)
        let rows = unsafe rd_kafka_CreateTopics_result_topics(result, &count)
        var refused: [(NewTopic, String)] = []
        for index in 0..<min(count, topics.count) {
            guard let row = unsafe rows?[index] else { continue }
            let code = unsafe rd_kafka_topic_result_error(row)
            let isThere =
                code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS
            guard !isThere else { continue }
            let words = unsafe rd_kafka_topic_result_error_string(row)
                .map { unsafe String(cString: $0) }
            refused.append((topics[index], words ?? "refused"))
        }
        return refused
    }

    /// One setting of a topic as it is in force.
    ///
    /// - Parameters:
    ///   - key: name of the setting.
    ///   - topic: the topic.
    ///   - timeoutMilliseconds: how long the broker may take.
    /// - Returns: its value, nil where the broker does not name it.
    /// - Throws: `LogError`, also when the broker does not let us read settings.
    func setting(
        _ key: String,
        of topic: String,
        timeoutMilliseconds: Int32
    ) throws(LogError) -> String? {
        try settings(
            of: topic,
            timeoutMilliseconds: timeoutMilliseconds,
            operation: "read \(key) of topic \(topic)"
        )[key]
    }

    /// Every setting of a topic as it is in force.
    ///
    /// - Parameters:
    ///   - topic: the topic.
    ///   - timeoutMilliseconds: how long the broker may take.
    ///   - operation: what is attempted, for messages.
    /// - Returns: values by name, without those that the broker does not show.
    /// - Throws: `LogError`, also when the broker does not let us read settings.
    func settings(
        of topic: String,
        timeoutMilliseconds: Int32,
        operation: String? = nil
    ) throws(LogError) -> [String: String] {
        let operation = operation ?? "read the settings of topic \(topic)"
        guard let queue = unsafe rd_kafka_queue_new(handle) else { return [:] }
        defer { unsafe rd_kafka_queue_destroy(queue) }
        guard
            let resource = unsafe rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic),
            let options = unsafe rd_kafka_AdminOptions_new(
                handle,
                RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS
            )
        else { return [:] }
        defer {
            unsafe rd_kafka_AdminOptions_destroy(options)
            unsafe rd_kafka_ConfigResource_destroy(resource)
        }
        unsafe rd_kafka_AdminOptions_set_request_timeout(options, timeoutMilliseconds, nil, 0)
        var resources: [OpaquePointer?] = unsafe [resource]
        unsafe rd_kafka_DescribeConfigs(handle, &resources, 1, options, queue)
        guard let event = unsafe rd_kafka_queue_poll(queue, timeoutMilliseconds + 2_000) else {
            throw KafkaError.make(RD_KAFKA_RESP_ERR__TIMED_OUT, operation: operation)
        }
        defer { unsafe rd_kafka_event_destroy(event) }
        var code = unsafe rd_kafka_event_error(event)
        var count = 0
        let result = unsafe rd_kafka_event_DescribeConfigs_result(event)
        let rows = unsafe rd_kafka_DescribeConfigs_result_resources(result, &count)
        let row = unsafe count > 0 ? rows?[0] : nil
        if code == RD_KAFKA_RESP_ERR_NO_ERROR, let row = unsafe row {
            code = unsafe rd_kafka_ConfigResource_error(row)
        }
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaError.make(code, operation: operation)
        }
        noteAnswer()
        var values: [String: String] = [:]
        guard let row = unsafe row else { return values }
        let entries = unsafe rd_kafka_ConfigResource_configs(row, &count)
        for index in 0..<count {
            guard let entry = unsafe entries?[index],
                let name = unsafe rd_kafka_ConfigEntry_name(entry),
                let value = unsafe rd_kafka_ConfigEntry_value(entry)
            else { continue }
            unsafe values[String(cString: name)] = unsafe String(cString: value)
        }
        return values
    }

    private static func request(_ topic: NewTopic) throws(LogError) -> OpaquePointer {
        var words = [CChar](repeating: 0, count: 256)
        let made = unsafe rd_kafka_NewTopic_new(
            topic.name,
            Int32(topic.partitionCount),
            Int32(topic.replicationFactor),
            &words,
            words.count
        )
        guard let made = unsafe made else {
            throw LogError(
                remedy: .restartProcess,
                operation: "create topic \(topic.name)",
                code: "_INVALID_ARG",
                reason: KafkaError.text(words)
            )
        }
        for (key, value) in topic.settings {
            unsafe rd_kafka_NewTopic_set_config(made, key, value)
        }
        return unsafe made
    }
}
