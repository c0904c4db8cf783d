import Glibc

/// How many partitions the topics of a group have, and who is in the group: what has to be known,
/// and changed, when the input has got more partitions.
public struct KafkaLayout: ~Copyable {
    private let configuration: KafkaLogConfiguration
    private let client: KafkaClient

    /// Partitions of every event topic.
    public let inputCount: Int
    /// Partitions of the changelog, nil where there is none.
    public private(set) var changelogCount: Int?

    /// Looks at the topics.
    ///
    /// - Throws: `LogError`: `.retry` when the brokers do not answer, `.restartProcess` when an
    ///   event topic is missing or event topics differ in partitions.
    public init(_ configuration: KafkaLogConfiguration) throws(LogError) {
        let client = try KafkaClient(
            isConsumer: false,
            properties: configuration.propertiesOfAnyClient,
            callbacks: KafkaCallbacks(
                connection: configuration.connection,
                onLog: configuration.onLog
            )
        )
        let present = try client.partitionCounts(timeoutMilliseconds: 10_000)
        let inputCount = try KafkaTopics.inputPartitionCount(configuration, present)
        self.configuration = configuration
        self.client = client
        self.inputCount = inputCount
        changelogCount = present[configuration.changelogTopic]
    }

    /// Members of the group, stopped and dead ones too until their session has ended.
    ///
    /// - Throws: `LogError` when the coordinator does not tell.
    public func memberCount() throws(LogError) -> Int {
        let deadline = Deadline(afterMilliseconds: 30_000)
        while true {
            do throws(LogError) {
                return try client.memberCount(
                    ofGroup: configuration.group,
                    timeoutMilliseconds: 10_000
                )
            } catch {
                guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else {
                    throw error
                }
                usleep(200_000)
            }
        }
    }

    /// Gives the changelog the input's number of partitions, and waits until they are there.
    ///
    /// - Throws: `LogError`; `.retry` when the brokers took too long.
    public mutating func growChangelog() throws(LogError) {
        let topic = configuration.changelogTopic
        if changelogCount != inputCount {
            try client.createPartitions(
                of: topic,
                total: inputCount,
                timeoutMilliseconds: 20_000
            )
        }
        let deadline = Deadline(afterMilliseconds: 30_000)
        for partition in 0..<Int32(inputCount) {
            while true {
                do throws(LogError) {
                    // A partition just created has no leader for a moment.
                    _ = try client.watermarks(
                        of: topic,
                        partition: partition,
                        timeoutMilliseconds: 5_000
                    )
                    break
                } catch {
                    guard error.remedy == .retry, deadline.remainingMilliseconds > 0 else {
                        throw error
                    }
                    usleep(100_000)
                }
            }
        }
        changelogCount = inputCount
    }
}
