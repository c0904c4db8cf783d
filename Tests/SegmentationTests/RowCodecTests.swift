import OnlineLearning
import Testing

@testable import Segmentation

/// The changelog's bytes: what goes in comes out, and nothing damaged is ever used.
struct RowCodecTests {
    private struct Entry {
        var key: [UInt8]
        var value: [UInt8]?
        var partition: Int32
    }

    /// A shop with all kinds of rows, and the changelog that a compacted topic would hold.
    private func filled(
        seed: UInt64,
        events: Int = 400
    ) throws -> (shop: TestShop, changelog: [[UInt8]: Entry]) {
        let shop = TestShop(model: try TestModel.shared.get())
        var stream = EventStream(seed: seed, customers: 40)
        stream.erasures = 0.03
        var changelog: [[UInt8]: Entry] = [:]
        for _ in 0..<(events / 40) {
            shop.core.begin()
            for event in stream.events(40) { shop.send(event) }
            shop.core.expireSuppressions(into: &shop.output)
            shop.core.appendChangelog(into: &shop.output)
            shop.core.commit()
            for record in shop.take() where record.destination == .changelog {
                changelog[record.key] =
                    record.value.map {
                        Entry(key: record.key, value: $0, partition: record.partition)
                    }
            }
        }
        return (shop, changelog)
    }

    private func restore(
        _ entries: some Sequence<Entry>,
        into shop: TestShop,
        finishes: Bool = true
    ) throws(RestoreFailure) {
        for entry in entries {
            let batch = TestBatch(value: entry.value, key: entry.key)
            try shop.core.restoreRow(
                key: batch.record.key ?? 0..<0,
                value: batch.record.value,
                bytes: batch.bytes,
                partition: entry.partition
            )
        }
        if finishes { shop.core.finishRestore() }
    }

    /// Rows without what belongs to a run: place, marks, dirtiness.
    private func contents(_ shop: TestShop) -> [[UInt8]: [UInt64]] {
        let table = shop.core.table
        var result: [[UInt8]: [UInt64]] = [:]
        for row in 0..<table.rowEnd where table.isInUse(row) {
            var words = (0..<table.schema.numberCount).map { table.numbers[row, $0].bitPattern }
            for word in 0..<RowWord.count {
                switch word {
                case RowWord.epoch, RowWord.due: continue
                case RowWord.decision:
                    words.append(table.words[row, word] & ~(RowFlag.changed << 40))
                case RowWord.block: words.append(table.words[row, word] >> 32)
                case RowWord.counts: words.append(table.words[row, word] & 0xffff_ffff)
                default: words.append(table.words[row, word])
                }
            }
            words += (0..<table.blockWords(row)).map {
                table.arena.word(table.blockOffset(row), $0)
            }
            result[table.id(of: row)] = words
        }
        return result
    }

    @Test(arguments: 1...4) func restoredRowsEqualTheWrittenOnes(seed: UInt64) throws {
        let (shop, changelog) = try filled(seed: seed)
        let restored = TestShop(model: try TestModel.shared.get())
        try restore(changelog.values, into: restored)
        #expect(contents(restored) == contents(shop))
        #expect(restored.core.table.suppressed == shop.core.table.suppressed)
        #expect(restored.core.customerCount == shop.core.customerCount)
        #expect(restored.core.customerCount > 20)
        let difference = restored.statisticsDifference(at: shop.core.greatestEventTime)
        #expect(difference == nil)
    }

    @Test(arguments: 5...7) func aRestoredShopGoesOnAsIfNothingHadHappened(seed: UInt64) throws {
        let (shop, changelog) = try filled(seed: seed)
        let restored = TestShop(model: try TestModel.shared.get())
        try restore(changelog.values, into: restored)
        var stream = EventStream(
            seed: seed &+ 50,
            customers: 45,
            start: shop.core.greatestEventTime
        )
        for event in stream.events(300) {
            shop.send(event)
            restored.send(event)
        }
        let records = shop.take()
        let others = restored.take()
        #expect(records.contains { $0.destination == .segments })
        #expect(records.count == others.count)
        let difference = zip(records, others).first { $0 != $1 }
        #expect(difference == nil, "\(difference?.0.text ?? "")\n\(difference?.1.text ?? "")")
    }

    @Test func laterRecordsReplaceEarlierOnesAndTombstonesRemove() throws {
        let (shop, changelog) = try filled(seed: 8)
        let rows = changelog.values.filter { $0.key.first != RowCodec.stubPrefix }
        let restored = TestShop(model: try TestModel.shared.get())
        try restore(Array(rows) + Array(rows.reversed()), into: restored)
        #expect(restored.core.customerCount == shop.core.customerCount)
        try restore(rows.map { Entry(key: $0.key, partition: $0.partition) }, into: restored)
        #expect(restored.core.customerCount == 0 && restored.core.blockBytes == 0)
    }

    /// Checksums are right, and still no event makes such a row: to compute with it would overflow.
    @Test func rowsThatCannotBeComputedWithAreRefused() throws {
        let faults: [(inout CustomerTable, Int) -> Void] = [
            { $0.setSegmentSince($1, Int64.min + 1) },
            { $0.setCooldownUntil($1, Int64.max) },
            { $0.setLife($1, Int64.max) },
            { $0.setRevision($1, UInt32.max) },
            { $0.words[$1, RowWord.outsideCountAndFirst] |= 0xffff_ffff },
            { table, _ in _ = table.count },
        ]
        for (index, fault) in faults.enumerated() {
            let shop = TestShop()
            shop.core.begin()
            shop.send(#"{"type":"engagement.visit","time":1772442900000}"#, key: "c")
            fault(&shop.core.table, 0)
            shop.core.appendChangelog(into: &shop.output)
            shop.core.commit()
            let row = try #require(shop.take().last { $0.destination == .changelog })
            let entry = Entry(key: row.key, value: row.value, partition: 0)
            if index == faults.count - 1 {
                try restore([entry], into: TestShop())
            } else {
                #expect(throws: RestoreFailure.self) { try restore([entry], into: TestShop()) }
            }
        }
    }

    /// Producers give records what timestamps they like.
    @Test(arguments: [Int64.min, Int64.min + 1, Int64.max])
    func anyTimestampOfARecordMakesALife(timestamp: Int64) throws {
        var configuration = SmallShop.configuration
        configuration.privacy.onNull = .erase
        let shop = TestShop(configuration)
        shop.core.begin()
        let visit = #"{"type":"engagement.visit","time":1772442900000}"#
        shop.send(visit, key: "c", timestamp: timestamp)
        let erasure = #"{"type":"privacy.erased","time":1772442900001}"#
        shop.send(erasure, key: "c", timestamp: timestamp)
        shop.send(visit.replacing("2900000", with: "2900002"), key: "c", timestamp: timestamp)
        #expect(shop.core.customerCount == 1)
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        let rows = shop.take().filter { $0.destination == .changelog && $0.value != nil }
        let entries = rows.map { Entry(key: $0.key, value: $0.value, partition: 0) }
        let restored = TestShop(configuration)
        try restore(entries, into: restored)
        #expect(restored.core.customerCount == 1)
        restored.core.begin()
        restored.send(nil as String?, key: "c", timestamp: timestamp)
        restored.core.commit()
    }

    @Test func damagedBytesAreRefused() throws {
        let (_, changelog) = try filled(seed: 9, events: 200)
        var random = SeededGenerator(seed: 9)
        let shop = TestShop()
        for entry in changelog.values {
            guard let value = entry.value else { continue }
            for length in 0..<value.count {
                let damaged = Entry(
                    key: entry.key,
                    value: Array(value[..<length]),
                    partition: 0
                )
                #expect(throws: RestoreFailure.self) { try restore([damaged], into: shop) }
                if value.count > 200 && length > 40 { break }
            }
            for _ in 0..<20 {
                var bytes = value
                bytes[random.next(below: bytes.count)] ^= UInt8(1 << random.next(below: 8))
                #expect(throws: RestoreFailure.self) {
                    try restore(
                        [Entry(key: entry.key, value: bytes, partition: 0)],
                        into: shop
                    )
                }
            }
        }
    }

    /// The checksum is no secret: bytes that carry a right one may still not add up.
    @Test func bytesThatDoNotAddUpNeverCrash() throws {
        let (_, changelog) = try filled(seed: 10, events: 200)
        var random = SeededGenerator(seed: 10)
        var refused = 0
        let shop = TestShop()
        for entry in changelog.values {
            guard let value = entry.value else { continue }
            for _ in 0..<60 {
                var bytes = Array(value.dropLast(4))
                for _ in 0..<(1 + random.next(below: 3)) {
                    bytes[2 + random.next(below: bytes.count - 2)] = UInt8(random.next(below: 256))
                }
                if random.next(below: 3) == 0 { bytes.removeLast(random.next(below: 9)) }
                let sum = StableHash.hash(of: bytes, range: 0..<bytes.count, seed: 0x5345_474d)
                for shift in [0, 8, 16, 24] {
                    bytes.append(UInt8(truncatingIfNeeded: sum >> UInt64(shift)))
                }
                do {
                    try restore(
                        [Entry(key: entry.key, value: bytes, partition: 0)],
                        into: shop,
                        finishes: false
                    )
                } catch {
                    refused += 1
                }
            }
        }
        shop.core.finishRestore()
        #expect(refused > 100)
    }

    @Test func otherVersionsAndOtherSlotsAreNamed() throws {
        let (_, changelog) = try filled(seed: 11, events: 80)
        guard let entry = changelog.values.first(where: { $0.key.first != 0 }),
            let value = entry.value
        else {
            Issue.record("no row")
            return
        }
        var newer = value
        newer[1] = 2
        var other = TestConfiguration.smartCart()
        other.slots.swapAt(0, 1)
        let cases: [(TestShop, [UInt8], String)] = [
            (TestShop(), newer, "row format 2"), (TestShop(other), value, "other slots"),
            (TestShop(), [1] + value.dropFirst(), "damaged"),
        ]
        for (shop, bytes, words) in cases {
            do {
                try restore([Entry(key: entry.key, value: bytes, partition: 0)], into: shop)
                Issue.record("restored: \(words)")
            } catch {
                #expect(error.description.contains(words), "\(error)")
            }
        }
    }

    @Test func droppedPartitionsTakeTheirRowsAlong() throws {
        let (shop, _) = try filled(seed: 12)
        let before = shop.core.customerCount
        shop.core.dropPartitions([1])
        #expect(shop.core.customerCount < before && shop.core.customerCount > 0)
        let table = shop.core.table
        #expect((0..<table.rowEnd).allSatisfy { !table.isInUse($0) || table.partition($0) == 0 })
        #expect(table.suppressed.values.allSatisfy { $0.partition == 0 })
        #expect(shop.statisticsDifference(at: shop.core.greatestEventTime) == nil)
    }
}
