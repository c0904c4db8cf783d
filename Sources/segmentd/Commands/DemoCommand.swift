import AdminServer
import ArgumentParser
import Engine
import EventLog
import Foundation
import Logging
import Segmentation
import Settings
import ServiceLifecycle
import ShopSimulator
import Synchronization

/// Embedded broker, simulated shop and daemon in one process.
struct DemoCommand: AsyncParsableCommand, DrainingCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "See it work: embedded broker, simulated shop and daemon, no set-up.",
        discussion: """
            The daemon is the one of `run`, on the built-in configuration. The embedded broker \
            keeps nothing and proves nothing about exactly-once; it is there so that you can look.

            Examples:
              segmentd demo
              segmentd demo --seconds 20 --customers 2000 --rate 5000
              segmentd demo --set model.segments=auto
            """
    )

    @Option(help: "Customers of the shop.")
    var customers = 5_000

    @Option(help: "Events per second.")
    var rate = 5_000

    @Option(help: "End by itself after this time; without it, Ctrl-C ends the demo.")
    var seconds: Double?

    @Option(help: "Seed of the shop.")
    var seed: UInt64 = 1

    @Option(
        name: .long,
        parsing: .singleValue,
        help: ArgumentHelp(
            "Override a key of the configuration; repeatable.",
            valueName: "key=value"
        )
    )
    var set: [String] = []

    func validate() throws {
        if customers < 1 || customers > 1_000_000 {
            throw ValidationError("--customers must be 1 to 1000000")
        }
        if rate < 1 || rate > 1_000_000 { throw ValidationError("--rate must be 1 to 1000000") }
        if let seconds, !(seconds > 0) { throw ValidationError("--seconds must be above 0") }
    }

    func run() async throws {
        var loaded: ServiceConfiguration
        do {
            loaded = try ServiceConfiguration.load(
                text: BuiltInConfiguration.text,
                file: BuiltInConfiguration.file,
                overrides: set,
                purpose: .standalone
            )
        } catch {
            throw CommandFailure(error)
        }
        let cluster = try EmbeddedCluster()
        try createTopics(of: loaded.kafka, on: cluster)
        loaded.kafka.properties["bootstrap.servers"] = .plain(cluster.bootstrapServers)
        // An address that is free, unless one was asked for.
        if !set.contains(where: { $0.hasPrefix("admin.listen=") }) {
            loaded.admin.listen = ListenAddress(host: "127.0.0.1", port: 0)
        }
        // A year of events passes in a minute, long ago: with the wall clock, everybody would have
        // been silent for months whenever the daemon has read all that there is.
        if !set.contains(where: { $0.hasPrefix("clock.at_end=") }) { loaded.clockAtEnd = .hold }
        // Its broker ends with it: nothing is left that a checkpoint would belong to.
        loaded.checkpoint.intervalMilliseconds = nil
        let logging = DaemonLogging(level: .warning)
        let addresses = DemoAddresses()
        let progress = DemoProgress()
        let daemon = Daemon(
            configuration: loaded,
            model: nil,
            logging: logging,
            report: { progress.note($0) },
            onListening: { addresses.admin($0) }
        )
        introduce(loaded, broker: cluster.bootstrapServers)
        let shop = DemoShop(
            topic: loaded.kafka.eventTopics[0],
            bootstrapServers: cluster.bootstrapServers,
            customers: customers,
            rate: rate,
            seconds: seconds,
            seed: seed,
            board: daemon.board,
            addresses: addresses,
            progress: progress
        )
        let end = try await daemon.run(others: [shop])
        Terminal.endProgress()
        summarise(daemon.board.current, sent: shop.sent, seconds: shop.elapsed)
        withExtendedLifetime(cluster) {}
        try RunCommand.leave(end)
    }

    private func createTopics(
        of kafka: KafkaSettings,
        on cluster: borrowing EmbeddedCluster
    ) throws {
        let wide = kafka.eventTopics + [kafka.segmentsTopic, kafka.changelogTopicName]
        for topic in wide { try cluster.createTopic(topic, partitions: 4) }
        for topic in [kafka.modelTopicName, kafka.rejectedTopicName] {
            try cluster.createTopic(topic, partitions: 1)
        }
    }

    private func introduce(_ loaded: ServiceConfiguration, broker: String) {
        Terminal.note(
            """
            segmentd demo: a shop with \(Terminal.grouped(customers)) customers, \
            \(Terminal.grouped(rate)) events per second, seed \(seed)
              broker   \(broker)
              decide   kcat -b \(broker) -t \(loaded.kafka.segmentsTopic) -C -f '%k %s\\n'
              events   kcat -b \(broker) -t \(loaded.kafka.eventTopics[0]) -C
              refused  kcat -b \(broker) -t \(loaded.kafka.rejectedTopicName) -C -f '%h\\n%s\\n'
            """
        )
        if seconds == nil { Terminal.note("  end      Ctrl-C") }
    }

    private func summarise(_ status: EngineStatus, sent: Int, seconds: Double) {
        let applied = status.eventsByType.values.reduce(0, +)
        let rejected = status.rejectionsByReason.values.reduce(0, +)
        var lines = [
            "",
            "\(Terminal.grouped(sent)) events sent, "
                + "\(Terminal.grouped(status.records)) records read, "
                + "\(Terminal.grouped(applied)) applied, \(Terminal.grouped(status.duplicates)) "
                + "duplicates, \(Terminal.grouped(rejected)) refused; "
                + "\(Terminal.grouped(Int(Double(status.records) / max(seconds, 1e-9)))) events/s",
            "\(Terminal.grouped(status.customers)) customers, "
                + "\(Terminal.grouped(status.transactions)) transactions, "
                + "\(status.abortedTransactions) aborted",
        ]
        if let model = status.model {
            lines.append("model \(model.version), step \(model.step)")
            var rows = [["  segment", "id", "customers"]]
            let sizes = model.segments.map { ($0, status.segmentCustomers[$0.id] ?? 0) }
            for (segment, size) in sizes.sorted(by: { $0.1 > $1.1 }) {
                rows.append(["  " + segment.name, "\(segment.id)", Terminal.grouped(size)])
            }
            lines.append(Terminal.table(rows))
            if !model.featuresWithoutData.isEmpty {
                lines.append(
                    "features that nobody has yet, which weigh nothing: "
                        + model.featuresWithoutData.joined(separator: ", ")
                )
            }
        } else {
            lines.append("no model yet: too few customers so far")
        }
        let flags = status.outputsByType["churn.changed"] ?? 0
        lines.append(
            "published: " + Terminal.grouped(status.outputsByType["segment.changed"] ?? 0)
                + " segment.changed, "
                + "\(Terminal.grouped(flags)) churn.changed"
        )
        lines.append(
            status.churnMissing.map { "churn bands: not yet, \($0)" }
                ?? "churn flags: "
                + ["medium", "high"].map {
                    "\(Terminal.grouped(status.bandEntries[$0] ?? 0)) into \($0)"
                }.joined(separator: ", ")
        )
        Terminal.note(lines.joined(separator: "\n"))
    }
}

/// What the demo learns of its addresses.
final class DemoAddresses: Sendable {
    private let address = Mutex<ListenAddress?>(nil)

    func admin(_ listen: ListenAddress) {
        address.withLock { $0 = listen }
        Terminal.note(
            """
              admin    http://\(listen)/api/status  /metrics  /api/model
              explain  segmentd explain c-000042 --admin \(listen)
            """
        )
    }
}

/// Says what happens, a line each: a model whose segments have other names than the one before.
///
/// The shop lives through a year in minutes, so there is a refit every second or so.
final class DemoProgress: Sendable {
    private let lastNames = Mutex<[String]>([])

    func note(_ event: EngineReport) {
        guard case .newModel(let version, let customers, let segments) = event else { return }
        let names = segments.map { $0.prefix { $0 != "(" } }.map(String.init).sorted()
        let isNews = lastNames.withLock { last in
            defer { last = names }
            return last != names
        }
        guard isNews else { return }
        Terminal.endProgress()
        Terminal.note(
            "model \(version) of \(Terminal.grouped(customers)) customers: "
                + segments.joined(separator: ", ")
        )
    }
}

/// The simulated shop, sending at its rate; events lie in the past year, so that churn can be seen.
final class DemoShop: Service {
    private let topic: String
    private let bootstrapServers: String
    private let customers: Int
    private let rate: Int
    private let seconds: Double?
    private let seed: UInt64
    private let board: StatusBoard
    private let sentCount = Atomic<Int>(0)
    private let started = ContinuousClock.now
    private let ended = Mutex<ContinuousClock.Instant?>(nil)

    init(
        topic: String,
        bootstrapServers: String,
        customers: Int,
        rate: Int,
        seconds: Double?,
        seed: UInt64,
        board: StatusBoard,
        addresses: DemoAddresses,
        progress: DemoProgress
    ) {
        self.topic = topic
        self.bootstrapServers = bootstrapServers
        self.customers = customers
        self.rate = rate
        self.seconds = seconds
        self.seed = seed
        self.board = board
    }

    var sent: Int { sentCount.load(ordering: .relaxed) }
    var elapsed: Double {
        ((ended.withLock { $0 } ?? ContinuousClock.now) - started).seconds
    }

    func run() async throws {
        let feeder = try EventFeeder(properties: ["bootstrap.servers": bootstrapServers])
        await cancelWhenGracefulShutdown { [self] in
            do {
                try await feed(feeder)
            } catch is CancellationError {
                // Asked to end while it waited: nothing went wrong.
            } catch {
                Terminal.error("the simulated shop stopped: \(error)")
            }
        }
        ended.withLock { $0 = ContinuousClock.now }
    }

    private func feed(_ feeder: borrowing EventFeeder) async throws {
        let now = SystemClock().wallMilliseconds()
        var shop = ShopSimulator(
            configuration: ShopSimulatorConfiguration(customers: customers, seed: seed, end: now)
        )
        var line: [UInt8] = []
        let interval = 0.05
        var turns = 0
        while !Task.isCancelled {
            if let seconds, elapsed >= seconds { break }
            let due = Int(elapsed * Double(rate))
            var isAtEnd = false
            while sent < due, !Task.isCancelled {
                guard let event = shop.next(into: &line) else {
                    isAtEnd = true
                    break
                }
                let value = line.span
                let key = value.extracting(event.keyRange)
                try feeder.send(
                    topic: topic,
                    partition: nil,
                    key: event.keyRange.isEmpty ? nil : key,
                    value: value,
                    timestampMilliseconds: event.arrivalTime
                )
                sentCount.add(1, ordering: .relaxed)
            }
            if isAtEnd {
                Terminal.endProgress()
                Terminal.note("the shop's year is over; the daemon goes on")
                try await Task.sleep(for: .seconds((seconds ?? 86_400) - elapsed))
                break
            }
            turns += 1
            if turns % 10 == 0 { showProgress() }
            try await Task.sleep(for: .seconds(interval))
        }
        try feeder.flush(timeoutMilliseconds: 2_000)
        try await settle()
    }

    /// Waits until the daemon has read everything, a few seconds at most.
    private func settle() async throws {
        for _ in 0..<100 where board.current.records < sent && !Task.isCancelled {
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    private func showProgress() {
        let status = board.current
        let model = status.model.map { "model \($0.version), step \($0.step)" } ?? "no model yet"
        Terminal.progress(
            "\(Terminal.grouped(sent)) sent, \(Terminal.grouped(status.records)) read, "
                + "\(Terminal.grouped(status.customers)) customers, \(model), "
                + "\(Terminal.grouped(status.outputsByType["segment.changed"] ?? 0)) segment and "
                + "\(Terminal.grouped(status.outputsByType["churn.changed"] ?? 0)) churn changes"
        )
    }
}
