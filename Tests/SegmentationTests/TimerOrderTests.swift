import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// With a given model and clocks that hold, what is said of a customer follows from their own
/// events, however these are cut into batches and mixed with others, and whenever a run ends.
struct TimerOrderTests {
    private static let day = TestConfiguration.day

    private func configuration() -> SegmentationConfiguration {
        var configuration = TestConfiguration.smartCart()
        configuration.churn.latenessMilliseconds = 3 * 86_400_000
        configuration.assignment.minimumDwellMilliseconds = 9 * Self.day
        configuration.outliers.append(OutlierBound(feature: "recency", atLeast: 45))
        return configuration
    }

    /// Events over two years: some customers stay, some fall silent.
    private func events(seed: UInt64, lateDays: Int64) -> [TestEvent] {
        var stream = EventStream(seed: seed, customers: 24, stepMax: 86_400_000)
        stream.latenessMax = lateDays * Self.day
        stream.erasures = 0.002
        return stream.events(1400)
    }

    /// What a run says of every customer, `decided_at` and `backfill` left out.
    private func decisions(
        _ events: [TestEvent],
        model: SegmentModel,
        cut: (Int) -> Bool,
        restart: (Int) -> Bool
    ) throws -> [String: [String]] {
        var shop = TestShop(configuration(), model: model)
        shop.wall = 4_000_000_000_000
        var said: [String: [String]] = [:]
        var rows: [ProducedRecord] = []
        func take() {
            for record in shop.take() {
                switch record.destination {
                case .segments: said[record.keyText, default: []].append(Self.cleaned(record.text))
                case .changelog: rows.append(record)
                case .model: break
                }
            }
        }
        shop.core.begin()
        for (index, event) in events.enumerated() {
            shop.send(event)
            guard cut(index) || index == events.count - 1 else { continue }
            for partition in 0..<Int32(3) { shop.decideDue(of: partition, limit: 3) }
            shop.core.appendChangelog(into: &shop.output)
            shop.core.commit()
            take()
            #expect(shop.dueProblem == nil)
            if restart(index) {
                shop = TestShop(configuration(), model: model)
                shop.wall = 4_000_000_000_000
                for row in rows {
                    try shop.core.restoreRow(
                        key: 0..<row.key.count,
                        value: row.value.map { row.key.count..<(row.key.count + $0.count) },
                        bytes: row.key + (row.value ?? []),
                        partition: row.partition
                    )
                }
                shop.core.finishRestore()
            }
            shop.core.begin()
        }
        take()
        return said
    }

    private static func cleaned(_ text: String) -> String {
        guard let start = text.range(of: "\"decided_at\""),
            let end = text.range(of: "\"model_version\"")
        else { return text }
        return String(text[..<start.lowerBound] + text[end.lowerBound...])
    }

    @Test(arguments: 1...3) func batchesAndRestartsMakeNoDifference(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        // Later than the lateness too: the partition's records in order still say it all.
        let events = events(seed: seed, lateDays: 20)
        let whole = try decisions(
            events,
            model: model,
            cut: { _ in false },
            restart: { _ in false }
        )
        let timed = whole.values.joined().count { $0.contains("\"cause\":\"time\"") }
        #expect(timed > 20)
        var random = SeededGenerator(seed: seed)
        for share in [1, 7, 60] {
            let cuts = Set(events.indices.filter { _ in random.next(below: share) == 0 })
            let ends = Set(cuts.filter { _ in random.next(below: 8) == 0 })
            let some = try decisions(
                events,
                model: model,
                cut: { cuts.contains($0) },
                restart: { ends.contains($0) }
            )
            for (key, records) in whole {
                #expect(some[key] == records, "\(key), a cut in \(share)")
            }
            #expect(some.count == whole.count)
        }
    }

    @Test(arguments: 4...6) func othersMakeNoDifference(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        let events = events(seed: seed, lateDays: 2)
        let whole = try decisions(
            events,
            model: model,
            cut: { $0 % 5 == 0 },
            restart: { _ in false }
        )
        // Every partition by itself, one after the other.
        var apart: [String: [String]] = [:]
        for partition in 0..<Int32(3) {
            let own = events.filter { $0.partition == partition }
            let said = try decisions(
                own,
                model: model,
                cut: { $0 % 11 == 0 },
                restart: { _ in false }
            )
            apart.merge(said) { a, _ in a }
        }
        #expect(apart == whole)
    }
}
