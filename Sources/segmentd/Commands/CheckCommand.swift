import ArgumentParser
import Segmentation
import Settings

/// Names every problem of a configuration at once.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration: every problem at once, each with line, key and rule.",
        discussion: """
            Examples:
              segmentd check --config /etc/segmentd/segmentd.yaml
              segmentd check --config segmentd.yaml --set churn.raise.high=0.8
            """
    )

    @OptionGroup var options: ConfigurationOptions

    func run() throws {
        let loaded = try options.load(.inspection)
        for name in loaded.missingCredentials {
            Terminal.note(
                "\(options.config): the credential \(name) was not looked at, only the service "
                    + "is given it"
            )
        }
        let schema = CompiledSchema(loaded.segmentation)
        Terminal.output(
            "\(options.config): fine, \(schema.slotNames.count) slots, "
                + "\(schema.featureCount) features, group \(loaded.kafka.group)\n"
        )
    }
}
