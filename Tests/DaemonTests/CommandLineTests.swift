import Foundation
import Testing

extension DaemonTests {
    /// What every command does with its arguments, and `check`.
    @Suite struct CommandLineTests {
        private static let commands = [
            [], ["run"], ["demo"], ["replay"], ["check"], ["simulate"], ["export"], ["explain"],
            ["status"], ["model"], ["model", "show"], ["model", "sweep"], ["model", "diff"],
            ["rejected"], ["rejected", "purge"], ["repartition"],
        ]

        private static func fixtures(_ ending: String) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: Place.fixtures.path)
                .filter { $0.hasSuffix(ending) }.sorted()
        }

        @Test func goodConfigurationsPass() async throws {
            let names = try Self.fixtures(".good.yaml")
            #expect(names.count >= 2)
            for name in names {
                let outcome = try await segmentd("check", "--config", name, in: Place.fixtures)
                #expect(outcome.status == 0, "\(name): \(outcome.errors)")
                #expect(outcome.text.hasPrefix("\(name): fine, "))
                #expect(outcome.errors == "")
            }
        }

        @Test func badConfigurationsAreReportedInFull() async throws {
            let names = try Self.fixtures(".bad.yaml")
            #expect(names.count >= 8)
            for name in names {
                let file = Place.fixtures.appending(
                    path: name.replacing(".bad.yaml", with: ".bad.expected")
                )
                let expected = String(decoding: try Data(contentsOf: file), as: UTF8.self)
                let outcome = try await segmentd("check", "--config", name, in: Place.fixtures)
                #expect(outcome.status == 2)
                #expect(outcome.errors == expected, "\(name)")
                #expect(outcome.text == "")
            }
        }

        @Test func shippedConfigurationsPass() async throws {
            for name in ["config/segmentd.yaml", "config/smartcart-notebook.yaml"] {
                let outcome = try await segmentd("check", "--config", name, in: Place.package)
                #expect(outcome.status == 0, "\(outcome.errors)")
            }
        }

        @Test func overridesAreCheckedToo() async throws {
            let outcome = try await segmentd(
                "check",
                "--config",
                "minimal.good.yaml",
                "--set",
                "churn.raise.high=7",
                in: Place.fixtures
            )
            #expect(outcome.status == 2)
            #expect(outcome.errors.hasPrefix("--set: churn.raise.high: must be 0 to 1, is 7\n"))
        }

        @Test func aFileThatIsNotThereIsNamed() async throws {
            let outcome = try await segmentd("check", "--config", "nowhere.yaml")
            #expect(outcome.status == 2)
            #expect(outcome.errors.contains("nowhere.yaml"))
        }

        @Test(arguments: [
            ["nonsense"], ["check"], ["check", "--config"], ["replay", "--config", "x"],
            ["run", "--no-such-option"], ["simulate", "--customers", "many"],
            ["demo", "--rate", "0"],
            ["replay", "--config", "x", "--input", "-", "--format", "csv"],
            ["simulate", "--customers", "0", "--events", "1", "--seed", "1"],
            ["rejected", "purge"], ["rejected", "purge", "", "--config", "x"],
            ["rejected", "purge", "c-4", "--hex", "--config", "x"],
            ["rejected", "purge", "123", "--hex", "--config", "x"],
            ["repartition"], ["repartition", "--config", "x", "--partitioner", "random"],
            ["repartition", "--config", "x", "--transaction-timeout", "5"],
        ]) func wrongUsageEndsWithTwo(arguments: [String]) async throws {
            let outcome = try await Program(arguments).outcome()
            #expect(outcome.status == 2)
            #expect(outcome.text == "")
            #expect(outcome.errors.hasPrefix("segmentd: "))
            // What the shop or a number may be is said without the usage.
            if arguments.first != "simulate" || arguments.contains("many") {
                #expect(outcome.errors.contains("Usage: segmentd"))
            }
        }

        @Test func everyCommandHelpsWithAnExample() async throws {
            for command in Self.commands {
                let outcome = try await Program(command + ["--help"]).outcome()
                #expect(outcome.status == 0)
                #expect(outcome.errors == "")
                let isGroup = [["model"], ["rejected"]].contains(command)
                let example = "segmentd " + command.joined(separator: " ")
                let body = outcome.text.components(separatedBy: "USAGE:").first ?? ""
                #expect(isGroup || body.contains(example), "\(command): no example")
            }
            let version = try await segmentd("--version")
            #expect(version.status == 0)
            #expect(version.text.first?.isNumber == true)
        }

        @Test func aBrokerThatIsAwayEndsAPurgeWithOne() async throws {
            let outcome = try await segmentd(
                "rejected",
                "purge",
                "c-42",
                "--config",
                "minimal.good.yaml",
                "--set",
                "kafka.properties.bootstrap.servers=127.0.0.1:1",
                in: Place.fixtures
            )
            #expect(outcome.status == 1)
            #expect(outcome.text == "")
            #expect(outcome.errors.hasPrefix("segmentd: could not list the topics: "))
            #expect(!outcome.errors.contains("c-42"))
        }

        @Test(arguments: [["status"], ["export"], ["explain", "c-1"], ["model", "show"]])
        func withoutADaemonTheyEndWithFive(command: [String]) async throws {
            let outcome = try await Program(command + ["--admin", "127.0.0.1:1"]).outcome()
            #expect(outcome.status == 5)
            #expect(outcome.text == "")
            #expect(outcome.errors.hasPrefix("segmentd: no daemon answers at 127.0.0.1:1; "))
        }
    }
}
