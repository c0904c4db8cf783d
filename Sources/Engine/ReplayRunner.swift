import EventLog
public import Segmentation

/// The same core over a file: clock = event time, batches cut by count, refits where they are
/// triggered.
///
/// Deterministic to the byte for the same input, configuration and seed.
public struct ReplayRunner: ~Copyable {
    /// Records per batch; a batch is what a transaction is in the daemon.
    public static let batchRecords = 1024

    /// The core, for reports after `finish`.
    public private(set) var core: SegmentationCore
    /// Hash over the lines of all output records, in order.
    public private(set) var outputHash: UInt64 = 0
    /// Output records so far.
    public private(set) var outputCount = 0
    /// Refits so far.
    public private(set) var refitCount = 0

    /// Keeps what a batch job needs to be held against every version; see `takeVersion`.
    public var keepsVersions = false

    private let asOf: Int64?
    private let encodes: Bool
    private var versions: [ReplayVersion] = []
    private var batch = RecordBatch()
    private var inputs: [InputRecord] = []
    private var output = StepOutput()
    /// Output lines since `removeLines`, `{"key":…,"headers":{…},"value":…}`.
    public private(set) var lines: [UInt8] = []

    /// Creates a runner.
    ///
    /// - Parameters:
    ///   - configuration: valid; its `futureToleranceMilliseconds` is ignored.
    ///   - model: a given model, or nil to learn from nothing.
    ///   - asOf: the final clock; later events are skipped and counted.
    ///   - encodes: whether output records are written as lines (see `lines`) and hashed.
    public init(
        configuration: SegmentationConfiguration,
        model: SegmentModel?,
        asOf: Int64?,
        encodes: Bool
    ) {
        core = SegmentationCore(configuration: configuration, model: model, customerFromBody: true)
        self.asOf = asOf
        self.encodes = encodes
    }

    /// Keeps the purchases behind the final clock for `core.churnReport`.
    ///
    /// - Parameter cut: number of the day that the final clock ends; the holdout is the churn
    ///   horizon behind it.
    public mutating func holdOut(after cut: Int32) {
        let days = core.configuration.churn.horizonDays
        let calendar = core.configuration.calendar
        let until = calendar.start(ofDay: cut + 1 + Int32(days.rounded(.up))) - 1
        core.holdout = HoldoutPurchases(cut: cut, until: until)
    }

    /// Takes one record in.
    ///
    /// - Parameter line: one JSON object, without the line's end.
    /// - Throws: `RefitFailure` when a refit fails.
    public mutating func append(_ line: Span<UInt8>) throws(RefitFailure) {
        let value = batch.store(line)
        batch.append(
            topicIndex: 0,
            partition: 0,
            offset: Int64(core.counters.records + batch.records.count),
            timestampMilliseconds: -1,
            key: nil,
            value: value
        )
        if batch.records.count >= Self.batchRecords { try flush() }
    }

    /// Applies what is in the batch, then refits where that is due.
    private mutating func flush() throws(RefitFailure) {
        core.begin()
        let context = StepContext(wallMilliseconds: nil, backfill: false, asOf: asOf)
        inputs.removeAll(keepingCapacity: true)
        for record in batch.records {
            inputs.append(
                InputRecord(
                    key: nil,
                    value: record.value,
                    headers: 0..<0,
                    partition: 0,
                    timestampMilliseconds: nil
                )
            )
        }
        core.apply(inputs, bytes: batch.bytes, headers: [], context: context, into: &output)
        batch.removeAll()
        decideDue(context)
        core.expireSuppressions(into: &output)
        core.commit()
        drain()
        while core.isMaintenanceDue { core.maintain(limit: .max) }
        if core.isRefitDue { try refit(isFinal: false) }
    }

    /// Decides what is due by the clock, all of it: no record waits meanwhile.
    private mutating func decideDue(_ context: StepContext, ignoresLateness: Bool = false) {
        while core.decideDue(
            of: 0,
            limit: Self.batchRecords,
            ignoresLateness: ignoresLateness,
            context: context,
            into: &output
        ) == Self.batchRecords {}
    }

    private mutating func refit(isFinal: Bool) throws(RefitFailure) {
        core.begin()
        try core.refit(at: core.greatestEventTime, isFinal: isFinal, into: &output)
        refitCount += 1
        core.commit()
        drain()
        if keepsVersions { keepVersion() }
        rescore()
    }

    private mutating func rescore() {
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        while core.isRescoring {
            core.begin()
            core.rescore(limit: Self.batchRecords, context: context, into: &output)
            core.commit()
            drain()
        }
    }

    /// Ends the replay: the clock goes to its end, and unless learning is off a last refit, which
    /// ignores margin and guard, scores everyone.
    ///
    /// - Throws: `RefitFailure` when a refit fails.
    public mutating func finish() throws(RefitFailure) {
        if !batch.records.isEmpty { try flush() }
        if let asOf { core.advanceClock(to: asOf) }
        // The file has ended, so nothing comes late any more.
        core.begin()
        decideDue(StepContext(wallMilliseconds: nil, backfill: false), ignoresLateness: true)
        core.commit()
        drain()
        if core.mayLearn && core.customerCount >= 2 {
            try refit(isFinal: true)
        } else {
            rescore()
        }
    }

    /// Forgets the lines so far and keeps their memory.
    public mutating func removeLines() { lines.removeAll(keepingCapacity: true) }

    /// The assignments file of CONTRACT, section 6, at the final clock.
    public mutating func assignments() -> [UInt8] { core.assignments() }

    /// The customer table at the final clock, as `segmentd export` writes it.
    public mutating func table() -> [UInt8] {
        var bytes: [UInt8] = []
        var cursor: Int? = 0
        while let from = cursor {
            cursor = core.appendExport(from: from, limit: 65_536, into: &bytes)
        }
        return bytes
    }

    /// Whether a version waits to be taken.
    public var hasVersions: Bool { !versions.isEmpty }

    /// The oldest version that waits to be taken, nil when none does.
    public mutating func takeVersion() -> ReplayVersion? {
        versions.isEmpty ? nil : versions.removeFirst()
    }

    private mutating func keepVersion() {
        guard let model = core.model, let bundle = core.bundle else { return }
        versions.append(
            ReplayVersion(
                version: model.version,
                bundle: bundle,
                assignments: assignments(),
                table: table()
            )
        )
    }

    private mutating func drain() {
        if encodes {
            for record in output.records where record.destination == .segments {
                let start = lines.count
                OutputLine.append(record, of: output, to: &lines)
                outputHash = OutputLine.hash(lines, start..<lines.count, after: outputHash)
                outputCount += 1
            }
        } else {
            outputCount += output.records.count { $0.destination == .segments }
        }
        output.removeAll()
    }
}

/// A version as it came out of its refit, before anybody was scored again: the bundle, and what it
/// was fit to.
public struct ReplayVersion: Sendable {
    /// Number of the version.
    public let version: Int
    /// The bundle.
    public let bundle: ModelBundle
    /// Every customer in the nearest segment of this version, as in the assignments file.
    public let assignments: [UInt8]
    /// The customer table of that moment, as `segmentd export` writes it.
    public let table: [UInt8]
}
