import OnlineLearning
import Testing

@testable import Segmentation

/// After an abort, state equals that before the begin, and the same events do the same again.
struct TransactionTests {
    /// All state that is not a cache, as values.
    struct State: Equatable {
        var rows: [[UInt8]: [UInt64]] = [:]
        var blocks: [[UInt8]: [UInt64]] = [:]
        var suppressed: [SuppressionKey: Suppression]
        var moments: FeatureMoments
        var sketches: [PopulationStatistics.MedianSketch]
        var centres: [Double]
        var clusters: [Double]
        var members: [Int]
        var changed: Int
        var counters: StepCounters
        var model: SegmentModel?
        var scalars: [Int64]
        var landmarks: [Double]

        init(_ shop: TestShop) {
            let table = shop.core.table
            for row in 0..<table.rowEnd where table.isInUse(row) {
                let id = table.id(of: row)
                var words = (0..<table.schema.numberCount).map { table.numbers[row, $0].bitPattern }
                for word in 0..<RowWord.count {
                    switch word {
                    // Where the block lies, which transaction touched the row, and how near its
                    // due moment is known, is no state.
                    case RowWord.epoch, RowWord.due: continue
                    case RowWord.block: words.append(table.words[row, word] >> 32)
                    case RowWord.counts: words.append(table.words[row, word] & 0xffff_ffff)
                    default: words.append(table.words[row, word])
                    }
                }
                rows[id] = words + [UInt64(row)]
                blocks[id] = (0..<table.blockWords(row)).map {
                    table.arena.word(table.blockOffset(row), $0)
                }
            }
            suppressed = table.suppressed
            let statistics = shop.core.statistics
            moments = statistics.moments
            sketches = statistics.sketches
            centres = statistics.centres
            clusters = statistics.clusters.sums
            members = statistics.clusters.counts
            changed = statistics.changedCustomers
            counters = shop.core.counters
            model = shop.core.model
            scalars =
                [
                    shop.core.greatestEventTime, Int64(shop.core.rowChanges),
                    Int64(shop.core.rescoreCursor), shop.core.lastRefitAt,
                    Int64(shop.core.lastRefitCustomers), Int64(table.count),
                    Int64(table.arena.liveWords),
                ] + shop.core.partitionClocks
            landmarks = shop.core.landmarks
        }

        /// Names of the parts that differ.
        func difference(from other: State) -> String? {
            if rows != other.rows { return "rows" }
            if blocks != other.blocks { return "blocks" }
            if suppressed != other.suppressed { return "suppressed" }
            if centres != other.centres { return "centres" }
            if moments != other.moments { return "moments" }
            if sketches != other.sketches { return "sketches" }
            if clusters != other.clusters || members != other.members { return "clusters" }
            if changed != other.changed { return "changed" }
            if counters != other.counters { return "counters" }
            if model != other.model { return "model" }
            if scalars != other.scalars { return "scalars \(scalars) \(other.scalars)" }
            return landmarks == other.landmarks ? nil : "landmarks"
        }
    }

    /// What one transaction is asked to do.
    private struct Work {
        var events: [TestEvent]
        var refits: Bool
        var rescores: Bool
        var decidesDue: Bool
    }

    private func perform(_ work: Work, _ shop: TestShop) throws {
        for (index, event) in work.events.enumerated() {
            shop.send(event)
            if work.refits && index == work.events.count / 2 {
                try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
            }
        }
        var looked = 1
        while work.decidesDue && looked > 0 {
            looked = shop.core.decideDue(
                of: 0,
                limit: 7,
                context: StepContext(wallMilliseconds: nil, backfill: false),
                into: &shop.output
            )
        }
        if work.rescores {
            shop.core.rescore(
                limit: 15,
                context: StepContext(wallMilliseconds: nil, backfill: false),
                into: &shop.output
            )
        }
        shop.core.expireSuppressions(into: &shop.output)
        shop.core.appendChangelog(into: &shop.output)
    }

    private func run(seed: UInt64, learning: Bool) throws {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = learning
        configuration.model.miniBatch = 64
        configuration.emit = .all
        configuration.model.sweepIntervalMilliseconds = Int64.max / 2
        let shop = TestShop(configuration, model: try TestModel.shared.get())
        var stream = EventStream(seed: seed, customers: 40, stepMax: 3_600_000 * 8)
        stream.erasures = 0.05
        var random = SeededGenerator(seed: seed &+ 1000)
        for round in 0..<25 {
            let work = Work(
                events: stream.events(1 + random.next(below: 50)),
                refits: learning && round > 3 && random.next(below: 4) == 0,
                rescores: random.next(below: 2) == 0,
                decidesDue: random.next(below: 3) > 0
            )
            shop.core.begin()
            let before = State(shop)
            try perform(work, shop)
            let first = shop.take()
            shop.core.abort()
            let difference = State(shop).difference(from: before)
            #expect(shop.dueProblem == nil, "seed \(seed), round \(round)")
            #expect(difference == nil, "seed \(seed), round \(round), \(work.refits)")
            if difference != nil { return }
            shop.core.begin()
            try perform(work, shop)
            let second = shop.take()
            #expect(first == second, "seed \(seed), round \(round)")
            if first != second { return }
            shop.core.commit()
        }
    }

    @Test(arguments: 1...2) func abortRestoresStateAndTheSameEventsDoTheSame(seed: UInt64) throws {
        try run(seed: seed, learning: false)
    }

    @Test(arguments: 5...6) func abortTakesRefitsAndStepsBack(seed: UInt64) throws {
        try run(seed: seed, learning: true)
    }

    @Test func abortBringsAnErasedCustomerBack() {
        let shop = TestShop()
        shop.core.begin()
        shop.send(#"{"type":"engagement.visit","time":1000}"#, key: "c")
        shop.send(#"{"type":"engagement.visit","time":1000}"#, key: "d")
        shop.core.commit()
        let before = State(shop)
        shop.core.begin()
        shop.send(#"{"type":"privacy.erased","time":2000}"#, key: "c")
        shop.send(#"{"type":"engagement.visit","time":3000}"#, key: "e")
        shop.send(#"{"type":"engagement.visit","time":3000}"#, key: "c")
        shop.send(#"{"type":"privacy.erased","time":4000}"#, key: "c")
        shop.core.abort()
        #expect(State(shop).difference(from: before) == nil)
        #expect(shop.row("c") >= 0 && shop.row("d") >= 0 && shop.row("e") < 0)
    }

    @Test func aChangedRowIsWrittenOnce() {
        let shop = TestShop()
        shop.core.begin()
        for time in [1, 2, 3] {
            shop.send("{\"type\":\"engagement.visit\",\"time\":\(time)}", key: "c")
        }
        shop.send(#"{"type":"engagement.visit","time":5}"#, key: "d", partition: 3)
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        let written = shop.take().filter { $0.destination == .changelog }
        #expect(written.map(\.keyText) == ["c", "d"] && written.map(\.partition) == [0, 3])
        shop.core.begin()
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        #expect(shop.take().isEmpty)
    }

    @Test func aCustomerErasedAndBackInOneTransactionEndsWithARow() {
        let shop = TestShop()
        shop.core.begin()
        shop.send(#"{"type":"engagement.visit","time":1}"#, key: "c")
        shop.core.commit()
        shop.core.begin()
        shop.send(#"{"type":"privacy.erased","time":2}"#, key: "c")
        shop.send(#"{"type":"engagement.visit","time":3}"#, key: "c")
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        let rows = shop.take().filter { $0.destination == .changelog && $0.keyText == "c" }
        #expect(rows.map { $0.value == nil } == [true, false])
    }
}
