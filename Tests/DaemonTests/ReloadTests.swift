import Foundation
import Glibc
import Segmentation
import Settings
import Testing

@testable import segmentd

/// A configuration that is read again.
@Suite struct ReloadTests {
    private static let first = """
        kafka:
          properties: {bootstrap.servers: "localhost:9092", sasl.password: secret-of-old}
        churn: {raise: {high: 0.8}, cooldown: 7d}
        ledger: {orders: 8}
        slots: {spent: {sum: orders}}
        features: [{name: spent, slot: spent}]
        personas: [{key: big, name: Big, strategy: Write, weights: {spent: 1}}]

        """

    private func reload(
        _ second: String,
        overrides: [String] = []
    ) throws -> (ReloadableConfiguration, ConfigurationChanges) {
        let scratch = try Scratch()
        try Data(Self.first.utf8).write(to: scratch.file("c.yaml"))
        var configuration = try ReloadableConfiguration(
            path: scratch.path("c.yaml"),
            overrides: overrides,
            purpose: .kafka
        )
        try Data(second.utf8).write(to: scratch.file("c.yaml"))
        let changes = try configuration.reload()
        return (configuration, changes)
    }

    @Test func whatMayChangeIsTakenOverAndTheRestIsNamed() throws {
        let (configuration, changes) = try reload(
            Self.first.replacing("high: 0.8", with: "high: 0.9, medium: 0.4")
                .replacing("cooldown: 7d", with: "minimum_spent: 5")
                .replacing("orders: 8", with: "orders: 16")
                .replacing("name: Big", with: "name: Bigger")
                .replacing("secret-of-old", with: "secret-of-new")
        )
        #expect(
            changes.atOnce == [
                "churn.raise.medium", "churn.raise.high", "churn.cooldown", "churn.minimum_spent",
            ]
        )
        #expect(changes.withNextModel == ["personas"])
        #expect(changes.afterRestart == ["kafka.properties", "ledger.orders"])
        let churn = configuration.current.segmentation.churn
        #expect(churn.raiseHigh == 0.9 && churn.raiseMedium == 0.4 && churn.minimumSpent == 5)
        // Left out means the default, as at a start.
        #expect(churn.cooldownMilliseconds == 14 * 86_400_000)
        #expect(configuration.current.segmentation.ledgerOrders == 8)
        #expect(configuration.current.segmentation.personas.first?.name == "Bigger")
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!dumped.contains("secret-of"))
    }

    @Test func theSameSaidOtherwiseIsNoChange() throws {
        let (_, changes) = try reload(
            "# moved down a line\n" + Self.first.replacing("cooldown: 7d", with: "cooldown: 1w")
                + "assignment: {hysteresis: 0.1}\n"
        )
        #expect(changes.isEmpty)
    }

    @Test func overridesStayInForce() throws {
        let (configuration, changes) = try reload(
            Self.first.replacing("0.8", with: "0.9"),
            overrides: ["churn.raise.high=0.6"]
        )
        #expect(changes.isEmpty)
        #expect(configuration.current.segmentation.churn.raiseHigh == 0.6)
    }

    @Test func aFileWithAProblemChangesNothing() throws {
        #expect {
            try reload(Self.first.replacing("0.8", with: "1.8").replacing("7d", with: "1d"))
        } throws: { error in
            "\(error)".contains("c.yaml:3: churn.raise.high: must be 0 to 1, is 1.8")
        }
    }

    @Test func everyChangeableKeyExists() throws {
        let known = Set(ServiceConfiguration.keys)
        #expect(Set(ReloadableConfiguration.changeableKeys).subtracting(known) == [])
    }
}

extension DaemonTests {
    /// SIGHUP reads the configuration again.
    @Suite struct HangUpTests {
        @Test func whatHasChangedIsSaid() async throws {
            let scratch = try Scratch()
            let file = scratch.file("c.yaml")
            let text = try String(
                contentsOf: Place.fixtures.appending(path: "minimal.good.yaml"),
                encoding: .utf8
            )
            try Data(text.utf8).write(to: file)
            let program = try Program([
                "run", "--config", file.path,
                "--set", "kafka.properties.bootstrap.servers=127.0.0.1:1",
                "--set", "admin.listen=127.0.0.1:0",
            ])
            let admin = try await program.word(after: "address=")
            try Data((text + "logs: {level: debug}\n").utf8).write(to: file)
            program.signal(SIGHUP)
            _ = try await program.word(after: "configuration not reloaded, ")
            #expect(try program.errors().contains("the one in force stays"))
            try Data((text + "log: {level: notice}\n").utf8).write(to: file)
            program.signal(SIGHUP)
            let keys = try await program.word(after: "in_force=", within: .seconds(60))
            #expect(keys == "log.level")
            let outcome = try await segmentd("status", "--admin", admin)
            #expect(outcome.text.contains("\"refused\":1"))
            program.signal(SIGTERM)
            #expect(try await program.outcome(within: .seconds(30)).status == 0)
        }
    }
}
