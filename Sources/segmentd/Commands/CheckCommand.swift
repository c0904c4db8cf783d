import ArgumentParser
import EventLog
import Segmentation
import Settings

/// Names every problem of a configuration at once.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Check a configuration: every problem at once, each with line, key and rule.",
        discussion: """
            With --connect the brokers are asked too: whether they can be reached, whether topics
            are there with partitions and settings as they have to be, which access is missing,
            whether there are transactions, and whether the newest 1,000 records of each input
            topic have their customer as key; no key is shown. One line each, ok, warning or
            problem, to standard output; exit status 1 with a problem. Nothing is changed, and a
            daemon that runs is not disturbed.

            Write access is looked at with the transactional id GROUP-check, which needs Write on
            it; a rule for the prefix GROUP- has that.

            Examples:
              segmentd check --config /etc/segmentd/segmentd.yaml
              segmentd check --config /etc/segmentd/segmentd.yaml --connect
              segmentd check --config segmentd.yaml --set churn.raise.high=0.8
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Flag(help: "Ask the brokers too: access, topics, transactions, keys.")
    var connect = false

    func run() throws {
        let loaded = try options.load(connect ? .kafka : .inspection)
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
        if connect { try inspect(loaded) }
    }

    private func inspect(_ loaded: ServiceConfiguration) throws {
        let kafka = loaded.kafka.logConfiguration(
            connection: BrokerConnection(),
            logger: DaemonLogging.logger(for: loaded)
        )
        var findings: [InspectionFinding] = []
        do throws(LogError) {
            var inspection = try BrokerInspection(kafka) { finding in
                let grade = finding.grade.rawValue
                let space = String(repeating: " ", count: 9 - grade.count)
                Terminal.output("\(grade)\(space)\(finding.subject): \(finding.text)\n")
            }
            findings = inspection.run()
        } catch {
            throw CommandFailure(error.description)
        }
        let problems = findings.count { $0.grade == .problem }
        let warnings = findings.count { $0.grade == .warning }
        Terminal.note("problems: \(problems), warnings: \(warnings)")
        guard problems == 0 else { throw ExitStatus.failure }
    }
}
