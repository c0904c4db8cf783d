import Engine
import Foundation
import Segmentation

/// Restores of the whole table: from the rows as the changelog brings them, and from a checkpoint.
///
/// What a broker and a network take is not in it: changelog rows come from memory, a checkpoint
/// from its file, which the system has in its cache. Both end with everything derived rebuilt.
struct RestoreBenchmark {
    let customers: Int
    let rounds: Int

    /// One customer's record of the changelog.
    private struct Row {
        var key: Range<Int>
        var value: Range<Int>
    }

    func run() {
        let root = NSTemporaryDirectory() + "segmentd-restore-\(UUID().uuidString)"
        let folder = CheckpointFolder(stateDirectory: root, group: "benchmark", instance: "1")
        do {
            let (count, bytes, seconds) = try write(to: folder)
            Measure.report(
                "checkpoint written",
                seconds: seconds,
                events: count,
                note: "\(bytes >> 20) MiB, \(bytes / max(1, count)) bytes a customer",
                unit: "customers"
            )
            try restoreRows(folder, count)
            try restoreCheckpoint(folder, count)
            try FileManager.default.removeItem(atPath: root)
        } catch {
            preconditionFailure("the restore failed: \(error)")
        }
    }

    /// A table of so many customers, each with a few orders, as a checkpoint.
    private func write(to folder: CheckpointFolder) throws -> (Int, Int, Double) {
        let stream = OrderStream(
            count: customers * 3,
            customers: customers,
            milliseconds: 30 * 86_400_000,
            seed: 2
        )
        var core = Self.core()
        var output = StepOutput()
        for (index, line) in stream.lines.enumerated() {
            if index % 10_000 == 0 { core.begin() }
            core.apply(
                InputRecord(
                    key: nil,
                    value: line,
                    headers: 0..<0,
                    partition: 0,
                    timestampMilliseconds: nil
                ),
                recordIndex: 0,
                bytes: stream.bytes,
                headers: [],
                context: StepContext(wallMilliseconds: nil, backfill: false),
                into: &output
            )
            if index % 10_000 == 9_999 || index == stream.lines.count - 1 {
                output.removeAll()
                core.commit()
            }
        }
        let header = CheckpointHeader(
            group: "benchmark",
            topic: "customers",
            partition: 0,
            claim: "1@0",
            offset: 0,
            notedAtMilliseconds: 0,
            slots: core.slotFingerprint
        )
        var round = CheckpointRound([header])
        var bytes = 0
        var fault: (any Error)?
        try folder.begin(0)
        let seconds = Measure.seconds {
            while !round.isComplete {
                core.advance(&round, limit: 2_000) { piece in
                    do throws(CheckpointFault) {
                        try folder.append(piece.bytes, to: 0)
                    } catch {
                        fault = error
                    }
                    bytes += piece.bytes.count
                }
            }
            do throws(CheckpointFault) { try folder.publish(0) } catch { fault = error }
        }
        if let fault { throw fault }
        return (core.customerCount, bytes, seconds)
    }

    private static func core() -> SegmentationCore {
        SegmentationCore(
            configuration: BenchmarkConfiguration.shop,
            model: nil,
            customerFromBody: true
        )
    }

    private func restoreRows(_ folder: CheckpointFolder, _ count: Int) throws {
        // The rows as a restore of the changelog has them: batches of 8 MiB.
        var batches: [(bytes: [UInt8], rows: [Row])] = [([], [])]
        var reader = try CheckpointReader(folder, partition: 0)
        while let entries = try reader.next() {
            if batches[batches.count - 1].bytes.count > 8 << 20 { batches.append(([], [])) }
            let base = batches[batches.count - 1].bytes.count
            batches[batches.count - 1].bytes += reader.payload
            for entry in try CheckpointFrame.entries(of: reader.payload, count: entries) {
                batches[batches.count - 1].rows.append(
                    Row(
                        key: entry.key.lowerBound + base..<entry.key.upperBound + base,
                        value: entry.value.lowerBound + base..<entry.value.upperBound + base
                    )
                )
            }
        }
        var derived = 0.0
        let seconds = Measure.median(rounds) {
            var core = Self.core()
            return Measure.seconds {
                for (bytes, rows) in batches {
                    for (index, row) in rows.enumerated() {
                        core.foreseeKeys(from: index, of: rows.count, bytes: bytes) {
                            rows[$0].key
                        }
                        do throws(RestoreFailure) {
                            try core.restoreRow(
                                key: row.key,
                                value: row.value,
                                bytes: bytes,
                                partition: 0
                            )
                        } catch {
                            preconditionFailure("\(error)")
                        }
                    }
                }
                derived = Measure.seconds { core.finishRestore() }
                precondition(core.customerCount == count, "all customers come back")
            }
        }
        report("restore from changelog rows", seconds, derived, count)
    }

    private func restoreCheckpoint(_ folder: CheckpointFolder, _ count: Int) throws {
        var derived = 0.0
        let seconds = Measure.median(rounds) {
            var core = Self.core()
            return Measure.seconds {
                do {
                    var reader = try CheckpointReader(folder, partition: 0)
                    while let entries = try reader.next() {
                        try core.restoreBlock(reader.payload, entries: entries, partition: 0)
                    }
                } catch {
                    preconditionFailure("\(error)")
                }
                derived = Measure.seconds { core.finishRestore() }
                precondition(core.customerCount == count, "all customers come back")
            }
        }
        report("restore from checkpoint", seconds, derived, count)
    }

    private func report(_ name: String, _ seconds: Double, _ derived: Double, _ count: Int) {
        Measure.report(
            name,
            seconds: seconds,
            events: count,
            note: "(\(Int(derived * 1000)) ms of \(Int(seconds * 1000)) for what is derived)",
            unit: "customers"
        )
    }
}
