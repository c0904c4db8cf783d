import EventLog
import Segmentation
import TestSupport

/// One record of the output topic, without what may differ between two runs.
struct Decided: Equatable, Sendable {
    var value: [UInt8]?
    var headers: [StoredHeader]

    /// Takes `decided_at` and `backfill` out: they tell when and how late, not what.
    init(value: [UInt8]?, headers: [StoredHeader]) {
        self.value = value.map(Self.withoutMoment)
        self.headers = headers
    }

    private static let start = Array("\"decided_at\"".utf8)
    private static let end = Array("\"model_version\"".utf8)

    private static func withoutMoment(_ value: [UInt8]) -> [UInt8] {
        guard let first = position(of: start, in: value, from: 0),
            let last = position(of: end, in: value, from: first)
        else { return value }
        return Array(value[..<first] + value[last...])
    }

    private static func position(of text: [UInt8], in value: [UInt8], from: Int) -> Int? {
        var index = from
        while index + text.count <= value.count {
            if value[index] == text[0], value[index..<(index + text.count)].elementsEqual(text) {
                return index
            }
            index += 1
        }
        return nil
    }
}

/// A place in the input.
struct Source: Hashable, Sendable {
    var partition: Int32
    var offset: Int64
}

/// What a core alone makes of the input, partition by partition: no log, no faults, no restarts.
struct Recomputation: Sendable {
    /// Output records by customer, in order.
    private(set) var outputs: [[UInt8]: [Decided]] = [:]
    /// Last changelog value by key; nothing for a tombstone.
    private(set) var rows: [[UInt8]: [UInt8]] = [:]
    /// Reason of every record that cannot be used.
    private(set) var rejections: [Source: String] = [:]
    /// The model that was used.
    let model: SegmentModel

    /// Fits a model to the whole input, then recomputes everything with it.
    init(_ input: SimulationInput, wallMilliseconds: Int64) throws {
        let context = StepContext(wallMilliseconds: wallMilliseconds, backfill: false)
        var output = StepOutput()
        var teacher = SegmentationCore(
            configuration: SimulationInput.configuration(learning: true)
        )
        teacher.begin()
        for partition in 0..<Int32(SimulationInput.partitionCount) {
            Self.apply(input, partition, to: &teacher, context, into: &output)
        }
        try teacher.refit(at: teacher.greatestEventTime, into: &output)
        teacher.commit()
        guard let model = teacher.model else { preconditionFailure("a refit makes a model") }
        self.model = model

        var core = SegmentationCore(
            configuration: SimulationInput.configuration(learning: false),
            model: model
        )
        for partition in 0..<Int32(SimulationInput.partitionCount) {
            output.removeAll()
            core.begin()
            Self.apply(input, partition, to: &core, context, into: &output)
            while core.isDue(partition) {
                _ = core.decideDue(of: partition, limit: 100, context: context, into: &output)
            }
            core.expireSuppressions(into: &output)
            core.appendChangelog(into: &output)
            core.commit()
            take(output, partition)
        }
    }

    private static func apply(
        _ input: SimulationInput,
        _ partition: Int32,
        to core: inout SegmentationCore,
        _ context: StepContext,
        into output: inout StepOutput
    ) {
        var offset = 0
        for record in input.records where record.partition == partition {
            var bytes: [UInt8] = []
            let key = record.key.map { store($0, in: &bytes) }
            let value = record.value.map { store($0, in: &bytes) }
            let headers = record.headers.map { header in
                InputHeader(
                    name: store(header.name, in: &bytes),
                    value: header.value.map { store($0, in: &bytes) }
                )
            }
            // A vectorised parser may read past a value.
            bytes.append(contentsOf: repeatElement(0, count: RecordBatch.padding))
            core.apply(
                InputRecord(
                    key: key,
                    value: value,
                    headers: 0..<headers.count,
                    partition: partition,
                    timestampMilliseconds: record.timestamp
                ),
                recordIndex: offset,
                bytes: bytes,
                headers: headers,
                context: context,
                into: &output
            )
            offset += 1
        }
    }

    private static func store(_ bytes: [UInt8], in target: inout [UInt8]) -> Range<Int> {
        let start = target.count
        target.append(contentsOf: bytes)
        return start..<target.count
    }

    private mutating func take(_ output: StepOutput, _ partition: Int32) {
        for record in output.records {
            let key = Array(output.bytes[record.key])
            let value = record.value.map { Array(output.bytes[$0]) }
            switch record.destination {
            case .model: break
            case .changelog: rows[key] = value
            case .segments:
                let headers = output.headers[record.headers].map { header in
                    StoredHeader(
                        name: Array(output.bytes[header.name]),
                        value: header.value.map { Array(output.bytes[$0]) }
                    )
                }
                outputs[key, default: []].append(Decided(value: value, headers: headers))
            }
        }
        for rejected in output.rejections {
            let source = Source(partition: partition, offset: Int64(rejected.recordIndex))
            rejections[source] = rejected.rejection.reason.rawValue
        }
    }
}
