import Foundation
import Segmentation
import TestSupport

/// What is wrong after a run; every sentence is a broken promise.
struct Audit {
    let run: SimulationRun
    private(set) var problems: [String] = []

    /// Audits a run that has ended.
    ///
    /// - Parameters:
    ///   - run: the run.
    ///   - expected: what a core alone makes of the input; nil for a run that learns, whose models
    ///     depend on when it was interrupted.
    init(_ run: SimulationRun, expected: Recomputation?) {
        self.run = run
        if !run.isFinished {
            problems.append("no end after \(run.turns) turns, \(run.ends.count) ends: \(run.ends)")
        }
        if run.broker.openTransactionCount != 0 { problems.append("a transaction is still open") }
        problems += run.asker.problems
        checkOffsets()
        if let expected {
            checkOutputs(expected)
            checkRows(expected)
            checkRejections(expected)
        } else {
            checkHistories()
            checkModel()
        }
    }

    private mutating func checkOffsets() {
        for partition in 0..<Int32(SimulationInput.partitionCount) {
            let topic = SimulationInput.eventTopic
            let end = run.broker.highWatermark(topic, partition: partition)
            let offset = run.broker.committedOffset(
                group: SimulationInput.group,
                topic: topic,
                partition: partition
            )
            if end > 0 && offset != end {
                problems.append("partition \(partition): offset \(offset ?? -1) of \(end)")
            }
        }
    }

    // MARK: with a given model

    private mutating func checkOutputs(_ expected: Recomputation) {
        var outputs: [[UInt8]: [Decided]] = [:]
        for record in run.broker.readCommitted("segments") {
            let decided = Decided(value: record.value, headers: record.headers)
            outputs[record.key ?? [], default: []].append(decided)
        }
        for key in Set(outputs.keys).union(expected.outputs.keys) {
            let found = outputs[key] ?? []
            let wanted = expected.outputs[key] ?? []
            guard found != wanted else { continue }
            let place = zip(found, wanted).enumerated().first { $0.element.0 != $0.element.1 }
            let name = String(decoding: key, as: UTF8.self)
            problems.append(
                "\(name): \(found.count) outputs instead of \(wanted.count), differ from "
                    + "\(place?.offset ?? min(found.count, wanted.count)) on"
            )
        }
    }

    private mutating func checkRows(_ expected: Recomputation) {
        let rows = Self.latest(run.broker.readCommitted("changelog"))
        for key in Set(rows.keys).union(expected.rows.keys) where rows[key] != expected.rows[key] {
            problems.append("\(Self.name(key)): the last row differs")
        }
    }

    private mutating func checkRejections(_ expected: Recomputation) {
        var counts: [Source: Int] = [:]
        for letter in run.broker.readCommitted("rejected") {
            let own = letter.headers.filter { $0.name.starts(with: "segmentd-".utf8) }
            let headers = Dictionary(
                own.map { (Self.name($0.name), Self.name($0.value ?? [])) },
                uniquingKeysWith: { first, _ in first + " twice" }
            )
            guard let partition = headers["segmentd-partition"].flatMap(Int32.init),
                let offset = headers["segmentd-offset"].flatMap(Int64.init)
            else {
                problems.append("a dead letter that does not say where it is from")
                continue
            }
            let source = Source(partition: partition, offset: offset)
            counts[source, default: 0] += 1
            let original = run.plan.input.records.lazy.filter { $0.partition == partition }
                .dropFirst(Int(offset)).first
            if headers["segmentd-reason"] != expected.rejections[source]
                || headers["segmentd-topic"] != SimulationInput.eventTopic
                || headers["segmentd-detail"] == nil || letter.key != original?.key
                || letter.value != original?.value
                || letter.headers.count != own.count + (original?.headers.count ?? 0)
            {
                problems.append("dead letter of \(partition)/\(offset) differs")
            }
        }
        for source in expected.rejections.keys where counts[source] != 1 {
            problems.append(
                "\(counts[source] ?? 0) dead letters of \(source.partition)/\(source.offset)"
            )
        }
    }

    // MARK: with learning

    private struct Record: Decodable {
        var life: Int64
        var revision: Int
        var segment_id: Int
        var previous_segment_id: Int?
        var model_version: Int
    }

    /// Revisions of a life count 1, 2, 3 and so on, segments follow on each other, and the row that
    /// was kept agrees with the last record.
    private mutating func checkHistories() {
        let (decoder, records) = (JSONDecoder(), run.broker.readCommitted("segments"))
        var last: [[UInt8]: Record] = [:]
        var lives: [[UInt8]: Int64] = [:]
        for stored in records {
            let key = stored.key ?? []
            guard let value = stored.value else {
                last[key] = nil
                continue
            }
            let record: Record
            do {
                record = try decoder.decode(Record.self, from: Data(value))
            } catch {
                problems.append("\(Self.name(key)): not readable, \(error)")
                continue
            }
            let before = last[key]
            if record.revision != (before?.revision ?? 0) + 1 {
                problems.append(
                    "\(Self.name(key)): revision \(record.revision) after \(before?.revision ?? 0)"
                )
            }
            if record.previous_segment_id != before?.segment_id {
                problems.append("\(Self.name(key)), \(record.revision): another segment before")
            }
            if before == nil ? record.life <= lives[key] ?? .min : record.life != before?.life {
                problems.append("\(Self.name(key)): life \(record.life) after \(lives[key] ?? 0)")
            }
            last[key] = record
            lives[key] = record.life
        }
        checkRestored(last, decoder)
    }

    private struct Explanation: Decodable {
        var life: Int64
        var revision: Int
    }

    private mutating func checkRestored(_ last: [[UInt8]: Record], _ decoder: JSONDecoder) {
        var core = SegmentationCore(configuration: SimulationInput.configuration(learning: true))
        do {
            for record in run.broker.readCommitted("changelog") {
                let key = record.key ?? []
                let end = key.count + (record.value?.count ?? 0)
                try core.restoreRow(
                    key: 0..<key.count,
                    value: record.value == nil ? nil : key.count..<end,
                    bytes: key + (record.value ?? []),
                    partition: record.partition
                )
            }
            core.finishRestore()
            for (key, record) in last {
                let row = try core.explain(customer: key).map {
                    try decoder.decode(Explanation.self, from: Data($0))
                }
                if row?.revision != record.revision || row?.life != record.life {
                    problems.append(
                        "\(Self.name(key)): row of revision \(row?.revision ?? -1), last record "
                            + "\(record.revision)"
                    )
                }
            }
        } catch {
            problems.append("the changelog cannot be restored: \(error)")
        }
    }

    private struct Active: Decodable { var version: Int }

    private mutating func checkModel() {
        let stored = run.broker.readCommitted("model")
        var documents: [[UInt8]: [UInt8]] = [:]
        for record in stored where (record.key ?? []).starts(with: "version/".utf8) {
            guard let key = record.key, let value = record.value else { continue }
            if documents.updateValue(value, forKey: key).map({ $0 != value }) ?? false {
                problems.append("\(Self.name(key)) has changed")
            }
        }
        let records = Self.latest(stored)
        guard let active = records[Array("active".utf8)] else {
            problems.append("no active model")
            return
        }
        do {
            let version = try JSONDecoder().decode(Active.self, from: Data(active)).version
            if records[Array("version/\(version)".utf8)] == nil {
                problems.append("version \(version) is active, but not there")
            }
        } catch {
            problems.append("the active version is not readable: \(error)")
        }
    }

    // MARK: topics as tables

    private static func latest(_ records: [StoredRecord]) -> [[UInt8]: [UInt8]] {
        records.reduce(into: [:]) { $0[$1.key ?? []] = $1.value }
    }

    /// Bytes as text, as well as they are.
    private static func name(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
