extension KafkaLogConfiguration {
    /// Says which access a refusal is about; other errors are returned as they are.
    ///
    /// - Parameters:
    ///   - error: what happened.
    ///   - topic: the topic that was asked for, where it is known.
    ///   - access: what was asked of the topic, in Kafka's words: Read, Write.
    /// - Returns: the error, with resource and operation in its words.
    func naming(_ error: LogError, topic: String? = nil, access: String = "Read") -> LogError {
        let needed: String
        switch error.code {
        case "TOPIC_AUTHORIZATION_FAILED":
            guard let topic else { return error }
            needed = "\(access) on topic \(topic)"
        case "GROUP_AUTHORIZATION_FAILED": needed = "Read on group \(group)"
        case "TRANSACTIONAL_ID_AUTHORIZATION_FAILED":
            needed = "Write on transactional id \(transactionalID)"
        default: return error
        }
        var named = error
        named.reason += ": \(needed) is needed"
        return named
    }
}
