/// The stages of one event's path.
package enum PathStage: String, CaseIterable, Sendable {
    /// Bytes become an event.
    case decode
    /// The customer's row moves.
    case tableUpdate = "table update"
    /// Moments, medians and cluster sums follow, a batch at a time.
    case statisticsUpdate = "statistics update"
    /// Features, projection, nearest centroid, churn risk.
    case score
    /// Every decision is written as a record.
    case encode
}

/// Runs events through the first stages of the path only, so that each can be measured.
package struct EventPath: ~Copyable {
    private var core: SegmentationCore
    private let stage: PathStage
    private var output = StepOutput()
    private let context = StepContext(wallMilliseconds: nil, backfill: false)

    /// A path through `stage`, on a model fit to the given events where the stage needs one.
    package init(
        configuration: SegmentationConfiguration,
        through stage: PathStage,
        trainingBytes: [UInt8],
        trainingLines: [Range<Int>]
    ) {
        self.stage = stage
        var settings = configuration
        settings.model.learning = stage == .decode
        settings.emit = stage == .encode ? .all : .transitions
        var model: SegmentModel?
        if stage == .score || stage == .encode {
            var learner = SegmentationCore(configuration: settings, customerFromBody: true)
            var output = StepOutput()
            learner.begin()
            for line in trainingLines.prefix(50_000) {
                learner.apply(
                    Self.record(line),
                    recordIndex: 0,
                    bytes: trainingBytes,
                    headers: [],
                    context: StepContext(wallMilliseconds: nil, backfill: false),
                    into: &output
                )
            }
            do throws(RefitFailure) {
                try learner.refit(at: learner.greatestEventTime, into: &output)
            } catch {
                preconditionFailure("the benchmark's model cannot be fit: \(error)")
            }
            model = learner.model
        }
        core = SegmentationCore(configuration: settings, model: model, customerFromBody: true)
        core.begin()
    }

    private static func record(_ line: Range<Int>) -> InputRecord {
        InputRecord(
            key: nil,
            value: line,
            headers: 0..<0,
            partition: 0,
            timestampMilliseconds: nil
        )
    }

    /// Runs one event through the stages.
    ///
    /// - Returns: something that depends on all of it.
    package mutating func run(_ line: Range<Int>, bytes: [UInt8]) -> Int {
        if stage == .decode {
            do throws(Rejection) {
                try core.decoder.decode(
                    Self.record(line),
                    bytes: bytes,
                    headers: [],
                    into: &core.event
                )
            } catch {
                preconditionFailure("the benchmark's event is rejected: \(error)")
            }
            return Int(truncatingIfNeeded: core.event.time)
        }
        if stage == .tableUpdate { return core.updateTable(Self.record(line), bytes: bytes) }
        core.apply(
            Self.record(line),
            recordIndex: 0,
            bytes: bytes,
            headers: [],
            context: context,
            into: &output
        )
        if core.counters.records & 1023 == 0 {
            core.commit()
            core.begin()
            output.removeAll()
        }
        return core.counters.applied
    }
}

extension SegmentationCore {
    /// Decodes an event and moves its row, and nothing more.
    fileprivate mutating func updateTable(_ record: InputRecord, bytes: [UInt8]) -> Int {
        do throws(Rejection) {
            try decoder.decode(record, bytes: bytes, headers: [], into: &event)
        } catch {
            preconditionFailure("the benchmark's event is rejected: \(error)")
        }
        let id = event.customerIsInText ? decoder.text : bytes
        var row = table.find(hash: event.customerHash, id: id, range: event.customer)
        if row < 0 {
            row = table.insert(hash: event.customerHash, id: id, range: event.customer)
            block.load(row, of: table)
        } else {
            if isDuplicate(row) { return row }
            table.touch(row)
        }
        applySlots(row)
        counters.records += 1
        if counters.records & 1023 == 0 { table.commit() }
        return row
    }
}
