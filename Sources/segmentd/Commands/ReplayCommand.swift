import ArgumentParser
import Engine
import Foundation
import Segmentation
import Settings

/// The same engine over a file, clock = event time.
struct ReplayCommand: ParsableCommand {
    /// Formats of the input.
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case ndjson, csv
    }

    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Run the engine over a file of events; the clock is event time.",
        discussion: """
            Deterministic: the same input, configuration and seed give the same bytes.

            Examples:
              segmentd replay --config F --input events.ndjson --output decisions.ndjson
              segmentd simulate --customers 5000 --events 200000 --seed 1 | \\
                segmentd replay --config F --input - --assignments-out assignments.csv
              segmentd replay --config config/smartcart-notebook.yaml --format csv \\
                --input smartcart_customers.csv --as-of 2014-06-29 --model-out model.json
              segmentd replay --config F --input events.ndjson --cut 2026-06-30 \\
                --churn-report churn.json
            """
    )

    @OptionGroup var options: ConfigurationOptions

    @Option(help: "File of events, or - for standard input.")
    var input: String

    @Option(help: "ndjson: one event per line; csv: one customer.snapshot of --as-of per row.")
    var format = Format.ndjson

    @Option(name: .long, help: "Final clock: a date or RFC 3339 time; later events are skipped.")
    var asOf: String?

    @Option(help: "File for output records, one JSON line each, or - for standard output.")
    var output: String?

    @Option(help: "Start from this bundle; learning is off unless model.learning is set.")
    var model: String?

    @Option(name: .long, help: "File for the final model bundle.")
    var modelOut: String?

    @Option(name: .long, help: "File for the assignments, CSV.")
    var assignmentsOut: String?

    @Option(name: .long, help: "File for the customer table at the end, CSV, as export writes it.")
    var tableOut: String?

    @Option(
        name: .long,
        help: "Folder that is there; model, assignments and table of every refit go into it."
    )
    var versionsOut: String?

    @Option(
        name: .long,
        help: "File for how well churn was foretold at --cut, JSON; events behind it only tell."
    )
    var churnReport: String?

    @Option(help: "Last day that the churn report's model sees, yyyy-mm-dd.")
    var cut: String?

    func validate() throws {
        if format == .csv && asOf == nil {
            throw ValidationError("--format csv needs --as-of, the moment of the snapshot")
        }
        if let asOf, EventTime.parse(asOf) == nil {
            throw ValidationError("--as-of \(asOf) is no date and no RFC 3339 time")
        }
        guard (churnReport == nil) == (cut == nil) else {
            throw ValidationError("--churn-report and --cut need each other")
        }
        if let cut {
            guard asOf == nil else {
                throw ValidationError("--cut is the final clock already; leave out --as-of")
            }
            guard cut.utf8.count == 10, EventTime.parse(cut) != nil else {
                throw ValidationError("--cut \(cut) is no date; expected yyyy-mm-dd")
            }
        }
    }

    func run() throws {
        var loaded = try options.load(.standalone)
        let given = try model.map { path in
            try ModelFile.load(path, for: loaded.segmentation)
        }
        if given != nil && !loaded.isLearningExplicit { loaded.segmentation.model.learning = false }
        let started = ContinuousClock.now
        let cutDay = cut.flatMap(EventTime.parse).map(DayCalendar.utc.day)
        let cutEnd = cutDay.map { loaded.segmentation.calendar.start(ofDay: $0 + 1) - 1 }
        var runner = ReplayRunner(
            configuration: loaded.segmentation,
            model: given,
            asOf: cutEnd ?? asOf.flatMap(EventTime.parse),
            encodes: true
        )
        if let cutDay { runner.holdOut(after: cutDay) }
        runner.keepsVersions = versionsOut != nil
        let records = try output.map { try OutputFile(path: $0, option: "--output") }
        try read(into: &runner, records: records)
        try runner.finish()
        try writeVersions(&runner)
        try flush(&runner, to: records)
        Terminal.endProgress()
        if let modelOut {
            guard let bundle = runner.core.bundle else {
                throw CommandFailure("no model to write to --model-out: too few customers")
            }
            try OutputFile(path: modelOut, option: "--model-out")
                .write(Array(bundle.json(pretty: true)) + Array("\n".utf8))
        }
        if let assignmentsOut {
            try OutputFile(path: assignmentsOut, option: "--assignments-out")
                .write(runner.assignments())
        }
        if let tableOut {
            try OutputFile(path: tableOut, option: "--table-out").write(runner.table())
        }
        Terminal.note(
            ReplaySummary.text(runner, seconds: (ContinuousClock.now - started).seconds)
        )
        if let churnReport {
            let report: ChurnReport
            do throws(ChurnReportFailure) {
                report = try runner.core.churnReport()
            } catch {
                throw CommandFailure("cannot write --churn-report: \(error.description)")
            }
            try OutputFile(path: churnReport, option: "--churn-report")
                .write(report.json() + Array("\n".utf8))
            Terminal.note(ChurnReportText.lines(report).joined(separator: "\n"))
        }
    }

    private func read(into runner: inout ReplayRunner, records: OutputFile?) throws {
        var reader = try LineReader(path: input)
        var snapshots: CSVSnapshots?
        var number = 0
        // Read once: an option's value is looked up each time.
        let format = format
        while let line = try reader.next() {
            number += 1
            if format == .ndjson {
                if line.isEmpty { continue }
                try runner.append(line.span)
            } else if let snapshots {
                if line.isEmpty { continue }
                let record = try snapshots.record(Array(line), number: number)
                try runner.append(record.span)
            } else {
                snapshots = try CSVSnapshots(header: Array(line), asOf: "\"\(asOf ?? "")\"")
            }
            if runner.hasVersions { try writeVersions(&runner) }
            if runner.lines.count > 1 << 20 { try flush(&runner, to: records) }
            if number % 65_536 == 0 {
                Terminal.progress(
                    "\(Terminal.grouped(number)) records, "
                        + "\(Terminal.grouped(runner.core.customerCount)) customers"
                )
            }
        }
    }

    /// `model-0001.json`, `assignments-0001.csv` and `table-0001.csv`, for every version.
    private func writeVersions(_ runner: inout ReplayRunner) throws {
        guard let versionsOut else { return }
        while let version = runner.takeVersion() {
            let number = String(format: "%04d", version.version)
            for (name, bytes) in [
                (
                    "model-\(number).json",
                    Array(try version.bundle.json(pretty: true)) + Array("\n".utf8)
                ),
                ("assignments-\(number).csv", version.assignments),
                ("table-\(number).csv", version.table),
            ] {
                try OutputFile(path: "\(versionsOut)/\(name)", option: "--versions-out")
                    .write(bytes)
            }
        }
    }

    private func flush(_ runner: inout ReplayRunner, to file: OutputFile?) throws {
        try file?.write(runner.lines)
        runner.removeLines()
    }
}

extension Duration {
    /// Seconds as a number.
    var seconds: Double {
        let parts = components
        return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }
}

/// What a replay found, for people.
enum ReplaySummary {
    static func text(_ runner: borrowing ReplayRunner, seconds: Double) -> String {
        let counters = runner.core.counters
        var lines = [
            "\(Terminal.grouped(counters.records)) records in \(rounded(seconds, 2)) s "
                + "(\(Terminal.grouped(Int(Double(counters.records) / max(seconds, 1e-9)))) per s),"
                + " "
                + "\(Terminal.grouped(counters.applied)) events applied, "
                + "\(Terminal.grouped(counters.duplicates)) duplicates, "
                + "\(Terminal.grouped(counters.rejected)) rejected"
        ]
        for (reason, count) in zip(RejectionReason.allCases, counters.rejections) where count > 0 {
            lines.append("  rejected: \(reason.rawValue) \(Terminal.grouped(count))")
        }
        let others = [
            ("skipped, after the final clock", counters.skipped),
            ("reversals of orders beyond the ledger", counters.unmatchedReversals),
            ("customers erased", counters.erased),
            ("events of erased customers", counters.suppressed),
        ]
        for (name, count) in others where count > 0 {
            lines.append("  \(name): \(Terminal.grouped(count))")
        }
        lines.append(
            "\(Terminal.grouped(runner.core.customerCount)) customers, "
                + "\(Terminal.grouped(runner.outputCount)) output records "
                + "(\(Terminal.grouped(counters.segmentChanged)) segment.changed, "
                + "\(Terminal.grouped(counters.churnChanged)) churn.changed), "
                + "hash \(String(runner.outputHash, radix: 16)), "
                + "\(runner.refitCount) refits"
        )
        if let totals = runner.core.totals {
            lines.append(
                "\(Terminal.grouped(totals.orders)) orders in force, "
                    + "money \(rounded(totals.spent, 2))"
            )
        }
        if let model = runner.core.model { lines += ModelText.summary(model) }
        return lines.joined(separator: "\n")
    }

    static func rounded(_ number: Double, _ digits: Int) -> String {
        String(format: "%.\(digits)f", number)
    }
}
