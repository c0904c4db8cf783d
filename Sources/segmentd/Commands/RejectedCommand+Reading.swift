import ArgumentParser
import Engine
import EventLog
import Foundation
import Segmentation
import Settings

/// The options by which dead letters are selected.
struct DeadLetterOptions: ParsableArguments {
    @Option(help: "Only those with this reason, for example unknown_currency.")
    var reason: String?

    @Option(help: "Only those rejected at this time or later: RFC 3339, or a date (UTC).")
    var since: String?

    func validate() throws {
        let names = RejectionReason.allCases.map(\.rawValue)
        if let reason, !names.contains(reason) {
            throw ValidationError(
                "--reason \(reason) is none of \(names.joined(separator: ", "))"
            )
        }
        if let since, EventTime.parse(since) == nil {
            throw ValidationError(
                "--since \(since) is no time such as 2026-03-01 or 2026-03-01T10:15:00Z"
            )
        }
    }

    /// What the options mean.
    var selection: DeadLetterSelection {
        var selection = DeadLetterSelection()
        selection.reason = reason
        selection.sinceMilliseconds = since.flatMap { EventTime.parse($0) }
        return selection
    }
}

/// A dead letter on the command line, `PARTITION/OFFSET`.
struct DeadLetterPlace: ExpressibleByArgument {
    var partition: Int32
    var offset: Int64

    init?(argument: String) {
        guard let place = RecordPlace("/" + argument) else { return nil }
        partition = place.partition
        offset = place.offset
    }
}

extension RejectedCommand {
    /// Opens the topic and runs what is to be done with it.
    static func withTopic<Value>(
        _ options: ConfigurationOptions,
        for purpose: KafkaDeadLetters.Purpose,
        _ body: (inout KafkaDeadLetters, KafkaLogConfiguration) throws(LogError) -> Value
    ) throws -> Value {
        let loaded = try options.load(.kafka)
        let kafka = loaded.kafka.logConfiguration(
            connection: BrokerConnection(),
            logger: DaemonLogging.logger(for: loaded)
        )
        do throws(LogError) {
            var topic = try KafkaDeadLetters(kafka, for: purpose)
            return try body(&topic, kafka)
        } catch {
            let again = error.remedy == .retry ? "; nothing is lost, run it again" : ""
            throw CommandFailure(
                error.description + again,
                status: error.isFenced ? .fenced : .failure
            )
        }
    }

    /// A time for people and scripts.
    static func text(milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(.iso8601)
    }

    /// Counts by reason, and the newest letters.
    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Count dead letters by reason, and name the newest.",
            discussion: """
                To standard output: one line for each reason and detail with the number of letters,
                how many of them were sent again, and the times of the first and the last; then,
                of each partition, the newest letters with the place that their record came from.
                Instead of the key there is a hash of it, equal for equal keys: nothing personal is
                shown. Nothing is changed.

                Needed access: read on the topic.

                Examples:
                  segmentd rejected list --config /etc/segmentd/segmentd.yaml
                  segmentd rejected list --config F --reason key_mismatch --since 2026-03-01
                """
        )

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var letters: DeadLetterOptions

        @Option(help: "Newest letters of each partition to name.")
        var limit = 20

        func validate() throws {
            guard (0...100_000).contains(limit) else {
                throw ValidationError("--limit must be 0 to 100000")
            }
        }

        func run() throws {
            var list = DeadLetterList(letters.selection, linesMax: limit)
            try RejectedCommand.withTopic(options, for: .purge) {
                (topic, kafka) throws(LogError) in
                try list.read(&topic, name: kafka.rejectedTopic)
            }
            var rows = [["reason", "detail", "letters", "sent again", "first", "last"]]
            for (cause, count) in list.counts.sorted(by: { $0.key < $1.key }) {
                rows.append([
                    cause.reason, cause.detail, "\(count.letters)", "\(count.retried)",
                    RejectedCommand.text(milliseconds: count.firstMilliseconds),
                    RejectedCommand.text(milliseconds: count.lastMilliseconds),
                ])
            }
            let total = list.counts.values.reduce(0) { $0 + $1.letters }
            Terminal.output(Terminal.table(rows, left: [1, 4, 5]) + "\n")
            if !list.lines.isEmpty {
                Terminal.output("\n" + Terminal.table(Self.rows(list.lines), left: [1, 2, 3, 4]))
                Terminal.output("\n")
            }
            Terminal.note("\(Terminal.grouped(total)) dead letters")
        }

        private static func rows(_ lines: [DeadLetterList.Line]) -> [[String]] {
            [["letter", "time", "reason", "from", "key hash"]]
                + lines.map { line in
                    [
                        "\(line.partition)/\(line.offset)",
                        RejectedCommand.text(milliseconds: line.timestampMilliseconds),
                        line.cause.reason + (line.isRetried ? " (sent again)" : ""),
                        line.source?.description ?? "unknown",
                        line.keyHash.map { String($0, radix: 16) } ?? "no key",
                    ]
                }
        }
    }

    /// One letter as it is.
    struct Show: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show one dead letter: key and headers on stderr, the value on stdout.",
            discussion: """
                The value goes to standard output byte for byte, without a line break of ours. It is
                personal data, and so are key and headers.

                Example:
                  segmentd rejected show 0/4711 --config /etc/segmentd/segmentd.yaml | jq .
                """
        )

        @Argument(help: "PARTITION/OFFSET, as rejected list names it.")
        var letter: DeadLetterPlace

        @OptionGroup var options: ConfigurationOptions

        func run() throws {
            var found: (RecordView, RecordBatch)?
            try RejectedCommand.withTopic(options, for: .purge) {
                (topic, _) throws(LogError) in
                guard letter.partition < Int32(try topic.partitionCount()) else { return }
                try topic.readLetter(of: letter.partition, at: letter.offset) { record, batch in
                    found = (record, batch)
                }
            }
            guard let (record, batch) = found else {
                throw CommandFailure(
                    "there is no dead letter \(letter.partition)/\(letter.offset); it may have "
                        + "been removed after retention.ms"
                )
            }
            func text(_ range: Range<Int>?) -> String {
                range.map { String(decoding: batch.bytes[$0], as: UTF8.self) } ?? "(null)"
            }
            Terminal.note("key: \(text(record.key))")
            let time = RejectedCommand.text(milliseconds: record.timestampMilliseconds)
            Terminal.note("time: \(time)")
            for header in batch.headers[record.headers] {
                Terminal.note("\(text(header.name)): \(text(header.value))")
            }
            guard let value = record.value else {
                Terminal.note("the value is null")
                return
            }
            Terminal.output(Array(batch.bytes[value]))
        }
    }

    /// Sends records to where they came from once more.
    struct Retry: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send the records of dead letters to their topic again, each once.",
            discussion: """
                For records that could be used now: a currency got its rate, a limit was raised, an
                older version did not know a type. Each goes back to the topic and partition that it
                came from, with the key, value and headers that it had and the header
                segmentd-retried-from; its timestamp is the present. What is still no good is
                rejected again, as a new letter.

                Every letter is sent at most once, whatever interrupts the command and however often
                it is run: with each record a receipt is written into the topic of dead letters, in
                one transaction. Run it again after a failure. Receipts hold no personal data and
                count for as long as they are kept (retention.ms, at least as long as their
                letters).

                Letters from before the input got more partitions do not belong there any more; see
                to it that their keys still go to the partition they came from.

                Needed access: read and write on the topic of dead letters, write on the input
                topics, which are their owner's, and the transactional id GROUP-rejected.retry. Exit
                status 3: another run of this command took over.

                Examples:
                  segmentd rejected retry --reason unknown_currency --config F --dry-run
                  segmentd rejected retry --since 2026-03-01 --config F
                  segmentd rejected retry 0/4711 0/4712 --config F
                  segmentd rejected retry --all --config F
                """
        )

        @Argument(help: "PARTITION/OFFSET of single letters, as rejected list names them.")
        var places: [DeadLetterPlace] = []

        @OptionGroup var options: ConfigurationOptions
        @OptionGroup var letters: DeadLetterOptions

        @Flag(help: "All of them; needed where nothing else selects any.")
        var all = false

        @Flag(help: "Only count.")
        var dryRun = false

        func validate() throws {
            let isSelected = letters.reason != nil || letters.since != nil || !places.isEmpty
            guard isSelected != all else {
                throw ValidationError(
                    all
                        ? "--all goes with no other selection"
                        : "name letters, --reason or --since, or else --all"
                )
            }
        }

        func run() throws {
            let (dryRun, places, letters) = (dryRun, places, letters)
            try RejectedCommand.withTopic(options, for: .retry) {
                (topic, kafka) throws(LogError) in
                var selection = letters.selection
                selection.places = Set(
                    places.map {
                        RecordPlace(
                            topic: kafka.rejectedTopic,
                            partition: $0.partition,
                            offset: $0.offset
                        )
                    }
                )
                let retry = DeadLetterRetry(
                    selection,
                    inputs: kafka.eventTopics,
                    isDryRun: dryRun
                )
                let outcome = try retry.run(on: &topic, name: kafka.rejectedTopic)
                Self.tell(outcome, isDryRun: dryRun)
            }
        }

        private static func tell(_ outcome: DeadLetterRetry.Outcome, isDryRun: Bool) {
            func count(_ number: Int) -> String { Terminal.grouped(number) }
            Terminal.note(
                "\(count(outcome.selected)) of \(count(outcome.read)) dead letters selected, "
                    + "\(count(outcome.alreadySent)) of them sent again before"
            )
            if outcome.withoutSource > 0 {
                Terminal.note(
                    "\(count(outcome.withoutSource)) do not say where they came from, and stay"
                )
            }
            if outcome.foreign > 0 {
                Terminal.note(
                    "\(count(outcome.foreign)) came from topics that topics.events does not name, "
                        + "and stay"
                )
            }
            let verb = isDryRun ? "would be sent" : "sent"
            for (topic, number) in outcome.sent.sorted(by: { $0.key < $1.key }) {
                Terminal.note("\(count(number)) records \(verb) to \(topic)")
            }
            if outcome.sent.isEmpty { Terminal.note("nothing to send") }
            if isDryRun { Terminal.note("dry run: nothing is changed") }
        }
    }
}
