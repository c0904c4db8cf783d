internal import CLibrdkafka

/// A Kafka broker inside this process, for demonstrations and for tests of the order of calls.
///
/// It is librdkafka's mock cluster: it forgets everything with the object, keeps at most 5 MB per
/// partition, drops offsets sent in transactions and shows aborted records to everyone. It proves
/// nothing about exactly once.
///
/// Sendable although it holds pointers: librdkafka's handles may be used from any thread, and
/// a value that cannot be copied has one owner.
@safe public struct EmbeddedCluster: ~Copyable, @unchecked Sendable {
    // Unchecked: the cluster runs on threads of its own and takes calls from any thread.
    private let client: OpaquePointer
    private let cluster: OpaquePointer
    /// Value for `bootstrap.servers`.
    public let bootstrapServers: String

    /// Starts one broker on a free port of this machine.
    ///
    /// - Throws: `LogError` with `.restartProcess` when the client library cannot start it.
    public init() throws(LogError) {
        var words = [CChar](repeating: 0, count: 512)
        let conf = unsafe rd_kafka_conf_new()
        // Else the client warns on standard error that it has no brokers.
        unsafe rd_kafka_conf_set(conf, "log_level", "3", &words, words.count)
        guard let client = unsafe rd_kafka_new(RD_KAFKA_PRODUCER, conf, &words, words.count) else {
            throw Self.error(KafkaError.text(words))
        }
        guard let cluster = unsafe rd_kafka_mock_cluster_new(client, 1),
            let servers = unsafe rd_kafka_mock_cluster_bootstraps(cluster)
        else {
            unsafe rd_kafka_destroy(client)
            throw Self.error("the client library refused")
        }
        unsafe self.client = client
        unsafe self.cluster = cluster
        bootstrapServers = unsafe String(cString: servers)
    }

    deinit {
        unsafe rd_kafka_mock_cluster_destroy(cluster)
        unsafe rd_kafka_destroy(client)
    }

    /// Creates a topic of one replica.
    ///
    /// Topics that are not created appear with four partitions when a client asks for them.
    ///
    /// - Parameters:
    ///   - name: name of the topic.
    ///   - partitions: partitions, 1 or more.
    /// - Throws: `LogError` with `.restartProcess` when the topic exists.
    public func createTopic(_ name: String, partitions: Int) throws(LogError) {
        precondition(partitions > 0)
        let code = unsafe rd_kafka_mock_topic_create(cluster, name, Int32(partitions), 1)
        if code != RD_KAFKA_RESP_ERR_NO_ERROR {
            throw KafkaError.make(code, operation: "create topic \(name) of the embedded broker")
        }
    }

    private static func error(_ reason: String) -> LogError {
        LogError(
            remedy: .restartProcess,
            operation: "start the embedded broker",
            code: "EMBEDDED_CLUSTER",
            reason: reason
        )
    }
}
