import Foundation
import OnlineLearning
import Segmentation

/// Alerts of a shop that falls silent: so many customers, no events, and a clock that goes on hour
/// by hour for 90 days.
///
/// Every alert is held against the rule: one millisecond before its moment the band would have
/// stayed. At the end of every day a full scan looks for somebody whose moment has passed. The same
/// once more with a restart half-way, in the middle of a transaction, gives the same alerts. What
/// timers cost events is measured beside it.
struct TimerBenchmark {
    let customers: Int

    private static let hour: Int64 = 3_600_000
    private static let steps = 90 * 24
    /// As the commit loop does it.
    private static let dueRows = 2_000

    /// What a run has published: alerts, and a sum that tells sets of them apart.
    private struct Alerts: Equatable {
        var count = 0
        var sum: UInt64 = 0
    }

    private struct Run {
        var alerts = Alerts()
        /// Seconds of each step.
        var steps: [Double] = []
        var wrongMoments = 0
        var overdue = 0
    }

    /// - Returns: whether every alert is where it belongs.
    func run() -> Bool {
        measureEvents()
        let once = silentDays(restartsAt: nil)
        let sorted = once.steps.sorted()
        let total = once.steps.reduce(0, +)
        print(
            "\(once.alerts.count) alerts in \(Self.steps) steps of an hour, "
                + String(format: "%.1f s: ", total)
                + String(format: "median %.2f ms a step, ", sorted[sorted.count / 2] * 1000)
                + String(format: "longest %.0f ms, ", (sorted.last ?? 0) * 1000)
                + String(format: "%.1f us an alert", total * 1e6 / Double(once.alerts.count))
        )
        print("alerts not at their exact moment: \(once.wrongMoments)")
        print("customers that 90 full scans found overdue: \(once.overdue)")
        let again = silentDays(restartsAt: Self.steps / 2)
        print(
            "with a restart half-way: \(again.alerts.count) alerts, "
                + (again.alerts == once.alerts ? "the same, each once" : "NOT the same")
        )
        return once.alerts == again.alerts && once.wrongMoments == 0 && once.overdue == 0
    }

    /// A shop with a purchase model, where everybody has bought three times in a month.
    private func shop(hasTimers: Bool = true) -> SegmentationCore {
        var core = Self.core()
        var output = StepOutput()
        let stream = stream(seed: 3, days: 30)
        apply(stream, to: &core, &output)
        core.begin()
        do {
            try core.refit(at: core.greatestEventTime, into: &output)
        } catch {
            preconditionFailure("the refit failed: \(error)")
        }
        core.commit()
        guard var model = core.model else { preconditionFailure("a refit makes a model") }
        model.version += 1
        model.calibration = nil
        // Probabilities all the same, but no bands, and nothing to wait for.
        model.churnPending = hasTimers ? nil : "a benchmark without timers"
        // What CDNOW's customers are like.
        model.churn = PurchaseParameters(
            model: .mbgNBD,
            r: 0.525,
            alpha: 6.183,
            a: 0.891,
            b: 1.614
        )
        core.adopt(model)
        while core.isRescoring {
            core.begin()
            core.rescore(
                limit: 65_536,
                context: StepContext(wallMilliseconds: nil, backfill: false),
                into: &output
            )
            core.commit()
            output.removeAll()
        }
        return core
    }

    private static func core() -> SegmentationCore {
        var configuration = BenchmarkConfiguration.shop
        // Nobody orders any more: that is what is measured.
        configuration.churn.silenceGuard = false
        // So that an alert's moment is a matter of silence alone.
        configuration.churn.cooldownMilliseconds = 0
        configuration.model.learning = true
        return SegmentationCore(configuration: configuration, customerFromBody: true)
    }

    private func stream(seed: UInt64, days: Int64, from first: Int = 0) -> OrderStream {
        OrderStream(
            count: 3 * customers,
            customers: customers,
            milliseconds: days * 86_400_000,
            seed: seed,
            from: first,
            after: seed == 3 ? 0 : 30 * 86_400_000
        )
    }

    private func apply(
        _ stream: OrderStream,
        to core: inout SegmentationCore,
        _ output: inout StepOutput
    ) {
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        for start in stride(from: 0, to: stream.lines.count, by: 256) {
            let records = stream.lines[start..<min(start + 256, stream.lines.count)].map {
                InputRecord(
                    key: nil,
                    value: $0,
                    headers: 0..<0,
                    partition: 0,
                    timestampMilliseconds: nil
                )
            }
            core.begin()
            core.apply(records, bytes: stream.bytes, headers: [], context: context, into: &output)
            while core.isDue(0) {
                _ = core.decideDue(of: 0, limit: Self.dueRows, context: context, into: &output)
            }
            core.commit()
            output.removeAll()
        }
    }

    private func measureEvents() {
        for hasTimers in [true, false] {
            var core = shop(hasTimers: hasTimers)
            var output = StepOutput()
            let stream = stream(seed: 4, days: 30, from: 3 * customers)
            let seconds = Measure.seconds { apply(stream, to: &core, &output) }
            Measure.report(
                hasTimers ? "events with timers" : "events without bands and timers",
                seconds: seconds,
                events: stream.lines.count
            )
        }
    }

    private func silentDays(restartsAt restart: Int?) -> Run {
        var core = shop()
        var output = StepOutput()
        var result = Run()
        let start = core.greatestEventTime
        for step in 1...Self.steps {
            let clock = start + Int64(step) * Self.hour
            if step == restart { Self.restart(&core, at: clock, &output) }
            var seconds = Measure.seconds { core.advanceClock(of: 0, to: clock) }
            while core.isDue(0) {
                seconds += Measure.seconds {
                    decide(&core, clock, &output)
                    core.commit()
                }
                take(output, core, into: &result, isChecked: restart == nil)
                output.removeAll()
            }
            result.steps.append(seconds)
            if restart == nil && step % 24 == 0 {
                result.overdue += core.overdue(
                    at: clock - core.configuration.churn.latenessMilliseconds
                )
            }
        }
        return result
    }

    private func decide(_ core: inout SegmentationCore, _ clock: Int64, _ output: inout StepOutput)
    {
        core.begin()
        _ = core.decideDue(
            of: 0,
            limit: Self.dueRows,
            context: StepContext(wallMilliseconds: clock, backfill: false),
            into: &output
        )
    }

    /// Ends in the middle of a transaction, and begins again from the committed rows.
    private static func restart(
        _ core: inout SegmentationCore,
        at clock: Int64,
        _ output: inout StepOutput
    ) {
        let model = core.model
        core.advanceClock(of: 0, to: clock)
        core.begin()
        _ = core.decideDue(
            of: 0,
            limit: dueRows / 2,
            context: StepContext(wallMilliseconds: clock, backfill: false),
            into: &output
        )
        output.removeAll()
        core.abort()
        var rows: [[UInt8]] = []
        var round = CheckpointRound([
            CheckpointHeader(
                group: "benchmark",
                topic: "customers",
                partition: 0,
                claim: "1@0",
                offset: 0,
                notedAtMilliseconds: 0,
                slots: core.slotFingerprint
            )
        ])
        while !round.isComplete {
            core.advance(&round, limit: 20_000) { rows.append($0.bytes) }
        }
        core = Self.core()
        if let model { core.adopt(model) }
        do {
            var decoder = try CheckpointDecoder(header: rows[0])
            for piece in rows.dropFirst() {
                let frame = try decoder.frame(head: Array(piece.prefix(CheckpointFrame.headBytes)))
                let payload = Array(piece.dropFirst(CheckpointFrame.headBytes))
                try decoder.check(frame, payload: payload)
                guard !frame.isFooter else { break }
                try core.restoreBlock(payload, entries: frame.entries, partition: 0)
            }
        } catch {
            preconditionFailure("the restore failed: \(error)")
        }
        core.finishRestore()
        core.begin()
        core.rescore(
            limit: core.customerCount,
            context: StepContext(wallMilliseconds: clock, backfill: false),
            into: &output
        )
        core.commit()
        precondition(output.records.isEmpty, "nothing but timers is to be said")
    }

    private func take(
        _ output: StepOutput,
        _ core: borrowing SegmentationCore,
        into run: inout Run,
        isChecked: Bool
    ) {
        for record in output.records where record.destination == .segments {
            guard let value = record.value else { continue }
            let text = String(decoding: output.bytes[value], as: UTF8.self)
            guard let band = Self.band("churn_band", of: text),
                let before = Self.band("previous_churn_band", of: text), band > before,
                let moment = Self.field("effective_at", of: text)
            else { continue }
            let id = Array(output.bytes[record.key])
            run.alerts.count += 1
            let name = id + Array("/\(band.name)/\(moment)".utf8)
            run.alerts.sum &+= StableHash.hash(of: name, range: 0..<name.count)
            guard isChecked else { continue }
            let digits = Array(moment.utf8)
            let milliseconds = TimeText.parse(digits, 0..<digits.count) ?? 0
            if core.band(ofCustomer: id, at: milliseconds, from: before) != band
                || core.band(ofCustomer: id, at: milliseconds - 1, from: before) != before
            {
                run.wrongMoments += 1
            }
        }
    }

    private static func band(_ key: String, of text: String) -> ChurnBand? {
        field(key, of: text).flatMap { name in ChurnBand.allCases.first { $0.name == name } }
    }

    /// The string of a key in a record.
    private static func field(_ key: String, of text: String) -> String? {
        guard let start = text.range(of: "\"\(key)\":\"")?.upperBound else { return nil }
        return text[start...].firstIndex(of: "\"").map { String(text[start..<$0]) }
    }
}
