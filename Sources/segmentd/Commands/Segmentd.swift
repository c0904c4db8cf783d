import ArgumentParser
import EventLog
import Settings

/// The program: subcommands, nothing else.
struct Segmentd: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "segmentd",
        abstract:
            "Streaming customer segmentation: events in from Kafka, segments and churn flags out.",
        discussion: """
            Examples:
              segmentd demo                                    see it work, no set-up
              segmentd check --config /etc/segmentd/segmentd.yaml
              segmentd run --config /etc/segmentd/segmentd.yaml
              segmentd replay --config F --input events.ndjson --model-out model.json
            """,
        version: version,
        subcommands: [
            RunCommand.self, DemoCommand.self, ReplayCommand.self, CheckCommand.self,
            SimulateCommand.self, ExportCommand.self, ExplainCommand.self, StatusCommand.self,
            ModelCommand.self, RejectedCommand.self, RepartitionCommand.self,
        ]
    )
}

/// The options of every command that reads a configuration.
struct ConfigurationOptions: ParsableArguments {
    @Option(name: .long, help: "Configuration file (YAML).")
    var config: String

    @Option(
        name: .long,
        parsing: .singleValue,
        help: ArgumentHelp("Override a key; repeatable.", valueName: "key=value")
    )
    var set: [String] = []

    /// What is wrong with properties of the Kafka client.
    @Sendable private static func examine(
        _ properties: [String: String]
    ) -> [(property: String, rule: String)] {
        KafkaPropertyRules.problems(of: properties).map { ($0.property, $0.rule) }
    }

    /// Loads the file.
    ///
    /// - Throws: `CommandFailure` with every problem at once; exit status 2.
    func load(
        _ purpose: ServiceConfiguration.Purpose
    ) throws(CommandFailure) -> ServiceConfiguration {
        do {
            return try ServiceConfiguration.load(
                path: config,
                overrides: set,
                purpose: purpose,
                examine: Self.examine
            )
        } catch {
            throw CommandFailure(error)
        }
    }

    /// Loads the file so that it can be read again.
    ///
    /// - Throws: `CommandFailure` with every problem at once; exit status 2.
    func reloadable(
        _ purpose: ServiceConfiguration.Purpose
    ) throws(CommandFailure) -> ReloadableConfiguration {
        do {
            return try ReloadableConfiguration(
                path: config,
                overrides: set,
                purpose: purpose,
                examine: Self.examine
            )
        } catch {
            throw CommandFailure(error)
        }
    }
}
