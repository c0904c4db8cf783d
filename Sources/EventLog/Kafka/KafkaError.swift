internal import CLibrdkafka

/// The one place where faults of the client become `LogError`s.
enum KafkaError {
    /// Makes an error of a code.
    ///
    /// - Parameters:
    ///   - code: what the client answered.
    ///   - operation: what was attempted, as in "could not ...".
    ///   - reason: words to use instead of the client's general ones.
    /// - Returns: the error with its remedy.
    static func make(
        _ code: rd_kafka_resp_err_t,
        operation: String,
        reason: String? = nil
    ) -> LogError {
        LogError(
            remedy: remedy(of: code),
            operation: operation,
            code: name(of: code),
            reason: words(for: code, given: reason),
            isFenced: isFenced(code),
            isRefused: isAccessDenied(code)
        )
    }

    /// Makes an error of what the client says of a connection that failed.
    ///
    /// - Parameters:
    ///   - code: as the error callback gets it.
    ///   - reason: the client's words.
    ///   - details: what it said on other threads.
    ///   - operation: what was attempted.
    /// - Returns: the error; a refused certificate counts as a refusal, its remedy is to retry.
    static func connection(
        _ code: rd_kafka_resp_err_t,
        _ reason: String?,
        _ details: KafkaFaultDetails,
        operation: String
    ) -> LogError {
        var reason = reason
        let isUnverified =
            code == RD_KAFKA_RESP_ERR__SSL && reason?.contains("certificate verify failed") == true
        if isUnverified { reason = details.certificate ?? reason }
        var error = make(code, operation: operation, reason: reason)
        if isUnverified { error.isRefused = true }
        return error
    }

    /// Makes an error of a code's number, as the error callback gets it.
    static func make(number: Int32, operation: String, reason: String? = nil) -> LogError {
        make(rd_kafka_resp_err_t(rawValue: number), operation: operation, reason: reason)
    }

    /// Makes an error of the client's error object and frees that.
    static func take(_ error: OpaquePointer, operation: String) -> LogError {
        defer { unsafe rd_kafka_error_destroy(error) }
        let code = unsafe rd_kafka_error_code(error)
        let reason = unsafe rd_kafka_error_string(error).map { unsafe String(cString: $0) }
        var made = make(code, operation: operation, reason: reason)
        let isFatal = unsafe rd_kafka_error_is_fatal(error) != 0
        if isFatal || made.isFenced || isAccessDenied(code) {
            made.remedy = .restartProcess
        } else if unsafe rd_kafka_error_txn_requires_abort(error) != 0 {
            made.remedy = .abortTransaction
        } else if unsafe rd_kafka_error_is_retriable(error) != 0 {
            made.remedy = .retry
        }
        return made
    }

    /// The fatal error a client is in, if it is.
    static func fatal(of client: OpaquePointer, operation: String) -> LogError? {
        // Asked once per poll: the words are only fetched when there are any.
        guard unsafe rd_kafka_fatal_error(client, nil, 0) != RD_KAFKA_RESP_ERR_NO_ERROR else {
            return nil
        }
        var words = [CChar](repeating: 0, count: 512)
        let code = unsafe rd_kafka_fatal_error(client, &words, words.count)
        var made = make(code, operation: operation, reason: text(words))
        made.remedy = .restartProcess
        return made
    }

    /// True when the broker refuses who we are or what we may do.
    static func isAccessDenied(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED,
            RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED,
            RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
            true
        default: false
        }
    }

    /// Text of a zero-terminated buffer that the client wrote.
    static func text(_ buffer: [CChar]) -> String {
        String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func name(of code: rd_kafka_resp_err_t) -> String {
        unsafe rd_kafka_err2name(code).map { unsafe String(cString: $0) } ?? "\(code.rawValue)"
    }

    private static func isFenced(_ code: rd_kafka_resp_err_t) -> Bool {
        switch code {
        case RD_KAFKA_RESP_ERR__FENCED, RD_KAFKA_RESP_ERR_PRODUCER_FENCED,
            RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID:
            true
        default: false
        }
    }

    private static func remedy(of code: rd_kafka_resp_err_t) -> Remedy {
        if isFenced(code) || isAccessDenied(code) { return .restartProcess }
        switch code {
        case RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
            RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
            RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR__SSL, RD_KAFKA_RESP_ERR__RETRY,
            RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__WAIT_CACHE,
            RD_KAFKA_RESP_ERR__IN_PROGRESS, RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
            RD_KAFKA_RESP_ERR__QUEUE_FULL,
            RD_KAFKA_RESP_ERR__NO_OFFSET, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
            RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, RD_KAFKA_RESP_ERR__NOENT,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT,
            RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
            RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
            RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
            return .retry
        case RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST:
            return .abortTransaction
        default:
            return .restartProcess
        }
    }

    private static func words(for code: rd_kafka_resp_err_t, given: String?) -> String {
        let general = unsafe rd_kafka_err2str(code).map { unsafe String(cString: $0) } ?? ""
        let reason = given.map(withoutTimes) ?? general
        switch code {
        case RD_KAFKA_RESP_ERR__AUTHENTICATION, RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
            return reason + "; check sasl.username, sasl.password and sasl.mechanism"
        case _ where isAccessDenied(code):
            return reason + "; the broker's access rules do not allow it"
        case RD_KAFKA_RESP_ERR__SSL where reason.contains("SSL handshake failed"):
            return reason + "; does the listener at that port speak TLS, as security.protocol says?"
        default:
            return reason
        }
    }

    /// Without what the client adds to each such line: `(after 5ms in state CONNECT, ...)`.
    private static func withoutTimes(_ reason: String) -> String {
        guard reason.hasSuffix(")"), let start = reason.ranges(of: " (after ").last?.lowerBound
        else { return reason }
        return String(reason[..<start])
    }
}
