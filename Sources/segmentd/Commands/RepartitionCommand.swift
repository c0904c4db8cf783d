import ArgumentParser
import Engine
import EventLog
import Foundation
import Logging
import Settings

/// Moves the state after the input got another number of partitions.
struct RepartitionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repartition",
        abstract: "Move the customers' rows after the input has got more partitions.",
        discussion: """
            With more partitions the events of most customers arrive in another one, and
            the daemon refuses to start until their rows have followed. Lives and
            revisions go on growing.

            In this order:
              1. Let the workers read everything, then stop all of them (SIGTERM).
                 Producers pause, or at least the customers whose events move must have
                 none unread.
              2. Give every input topic the same new number of partitions. Producers
                 have to know it before they go on (metadata.max.age.ms, 5 minutes).
              3. segmentd repartition, then start the workers.

            Where the events of a key arrive is found out from where keys are: murmur2
            (Java, librdkafka's murmur2_random), crc32 (librdkafka's own default) or fnv1a
            (Sarama). If none explains every key, or several do, nothing moves.

            Refused are: workers in the group, fewer partitions than before, and unread
            events in old partitions of customers who leave them. Those would be applied
            to nobody's row.

            Rows move in one transaction. Interrupted at any moment, run it again; until
            then no worker starts. New partitions are read from their oldest record on.

            Needed access: that of the daemon, alter on the changelog topic, describe on
            the group, and the transactional id GROUP-repartition. Exit status 3: another
            run took over.

            Examples:
              segmentd repartition --config /etc/segmentd/segmentd.yaml --dry-run
              segmentd repartition --config /etc/segmentd/segmentd.yaml
              segmentd repartition --config F --partitioner crc32
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(
        help: "Who places keys: murmur2, crc32 or fnv1a.",
        transform: { text in
            guard let known = KeyPartitioner(rawValue: text) else {
                throw ValidationError("'\(text)' is none of murmur2, crc32, fnv1a")
            }
            return known
        }
    )
    var partitioner: KeyPartitioner?

    @Option(
        help: ArgumentHelp(
            "How long the transaction may take, at most transaction.max.timeout.ms of the broker.",
            valueName: "seconds"
        )
    )
    var transactionTimeout = 900

    @Flag(help: "Only look, and say what would move.")
    var dryRun = false

    func validate() throws {
        guard (10...86_400).contains(transactionTimeout) else {
            throw ValidationError("--transaction-timeout must be 10 to 86400 seconds")
        }
    }

    func run() throws {
        let loaded = try options.load(.kafka)
        var kafka = loaded.kafka.logConfiguration(
            connection: BrokerConnection(),
            logger: DaemonLogging.logger(for: loaded)
        )
        kafka.instance = "repartition"
        kafka.start = .earliest
        kafka.properties["transaction.timeout.ms"] = "\(transactionTimeout * 1000)"
        do throws(RepartitionFailure) {
            try move(kafka)
        } catch {
            throw Self.failure(error)
        }
    }

    private func move(_ kafka: KafkaLogConfiguration) throws(RepartitionFailure) {
        var layout = try Self.logged { () throws(LogError) in try KafkaLayout(kafka) }
        guard let changelogCount = layout.changelogCount else {
            Terminal.note("there is no topic \(kafka.changelogTopic): nothing has to move")
            return
        }
        try Self.refuseMembers(layout, kafka)
        let repartition = Repartition(
            partitioner: partitioner,
            wallMilliseconds: SystemClock().wallMilliseconds()
        )
        var log = try Self.readyLog(kafka)
        var reader = try Self.logged { () throws(LogError) in try KafkaEventReader(kafka) }
        let found = try repartition.plan(
            log: &log,
            reader: &reader,
            topicCount: kafka.eventTopics.count,
            inputCount: layout.inputCount,
            changelogCount: changelogCount
        )
        guard let plan = found else {
            Terminal.note(
                "\(kafka.changelogTopic) has the input's \(changelogCount) partitions: nothing has "
                    + "to move"
            )
            return
        }
        Self.tell(plan, topics: kafka.eventTopics)
        try Self.refuseObstacles(plan, topics: kafka.eventTopics)
        if dryRun {
            Terminal.note("dry run: nothing is changed")
            return
        }
        try repartition.mark(plan, on: &log)
        // Looked at again behind the mark: who came in between has left or will be refused.
        try Self.refuseMembers(layout, kafka)
        // A producer keeps the number of partitions that it began with.
        log.close()
        try Self.logged { () throws(LogError) in try layout.growChangelog() }
        log = try Self.readyLog(kafka)
        try repartition.move(plan, on: &log) { moved in
            Terminal.progress("\(Terminal.grouped(moved)) of \(Terminal.grouped(plan.moving)) rows")
        }
        Terminal.endProgress()
        log.close()
        Terminal.note(
            "moved \(Terminal.grouped(plan.moving)) rows; \(kafka.changelogTopic) has "
                + "\(plan.newCount) partitions; the workers may start"
        )
    }

    private static func tell(_ plan: RepartitionPlan, topics: [String]) {
        if plan.isResumed { Terminal.note("an earlier run was interrupted; going on") }
        Terminal.note(
            "\(Terminal.grouped(plan.customers)) rows in \(plan.oldCount) partitions, "
                + "\(Terminal.grouped(plan.moving)) of them move to other ones of \(plan.newCount) "
                + "(keys are placed by \(plan.partitioner.rawValue)); "
                + "\(Terminal.grouped(plan.erased)) stubs of erasures"
        )
        for unread in plan.unread {
            Terminal.note(
                "unread: \(Terminal.grouped(unread.count)) events in "
                    + "\(topics[unread.topicIndex])/\(unread.partition) from offset \(unread.from)"
            )
        }
    }

    private static func refuseObstacles(
        _ plan: RepartitionPlan,
        topics: [String]
    ) throws(RepartitionFailure) {
        let obstacles = plan.obstacles
        guard !obstacles.isEmpty else { return }
        let places = obstacles.map {
            "\($0.leaving) in \(topics[$0.topicIndex])/\($0.partition), the last at offset "
                + "\($0.lastLeaving ?? -1)"
        }
        throw .refused(
            "old partitions hold unread events of customers whose events arrive elsewhere now: "
                + places.joined(separator: "; ")
        )
    }

    /// A worker that has stopped is a member until its session ends; whoever stays longer runs.
    private static func refuseMembers(
        _ layout: borrowing KafkaLayout,
        _ kafka: KafkaLogConfiguration
    ) throws(RepartitionFailure) {
        let session = kafka.properties["session.timeout.ms"].flatMap { Int($0) } ?? 10_000
        let end = ContinuousClock.now + .milliseconds(session + 5_000)
        var isTold = false
        while true {
            var count = 0
            do throws(LogError) { count = try layout.memberCount() } catch { throw .log(error) }
            if count == 0 { return }
            guard ContinuousClock.now < end else {
                throw .refused(
                    "group \(kafka.group) still has \(count) members after "
                        + "\(session / 1000 + 5) s: stop all workers"
                )
            }
            if !isTold {
                Terminal.note("waiting for the sessions of \(count) members to end")
                isTold = true
            }
            Thread.sleep(forTimeInterval: 0.5)
        }
    }

    private static func readyLog(_ kafka: KafkaLogConfiguration) throws(RepartitionFailure)
        -> KafkaLog
    {
        var log = try logged { () throws(LogError) in try KafkaLog(kafka) }
        let end = ContinuousClock.now + .seconds(60)
        while true {
            do throws(LogError) {
                try log.initTransactions()
                return log
            } catch {
                guard error.remedy == .retry, ContinuousClock.now < end else { throw .log(error) }
            }
        }
    }

    private static func logged<Value: ~Copyable>(
        _ body: () throws(LogError) -> Value
    ) throws(RepartitionFailure) -> Value {
        do throws(LogError) { return try body() } catch { throw .log(error) }
    }

    private static func failure(_ failure: RepartitionFailure) -> CommandFailure {
        Terminal.endProgress()
        switch failure {
        case .log(let error):
            let again = error.remedy == .retry ? "; nothing is lost, run it again" : ""
            return CommandFailure(
                error.description + again,
                status: error.isFenced ? .fenced : .failure
            )
        case .refused(let reason): return CommandFailure(reason)
        case .corruptState(let reason): return CommandFailure(reason, status: .corruptState)
        }
    }
}
