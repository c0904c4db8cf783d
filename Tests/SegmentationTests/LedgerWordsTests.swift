import OnlineLearning
import Testing

@testable import Segmentation

struct LedgerWordsTests {
    private func amount(_ random: inout SeededGenerator, isNarrow: Bool) -> Double {
        switch random.next(below: isNarrow ? 3 : 6) {
        case 0: 0
        case 1: Double(random.next(below: 4_200_000_000)) / 100
        case 2: Double(random.next(below: 10_000)) / 100
        case 3: random.nextDouble() * 1e9
        case 4: -random.nextDouble()
        default: 41_999_999.991
        }
    }

    private func amounts(_ random: inout SeededGenerator, isNarrow: Bool) -> OrderAmounts {
        var result = OrderAmounts()
        for category in 0..<16 where random.next(below: 3) == 0 {
            result[category] = amount(&random, isNarrow: isNarrow)
        }
        return result
    }

    private func entry(_ random: inout SeededGenerator) -> LedgerEntry {
        var entry = LedgerEntry()
        let isNarrow = random.next(below: 2) == 0
        entry.hash = random.next()
        entry.time = Int64(random.next(below: 1 << 48)) - 1 << 47
        entry.channel = random.next(below: 4)
        entry.discount = random.next(below: 2) == 0
        entry.isDayCountedOutside = random.next(below: 2) == 0
        entry.hasVersion = random.next(below: 4) != 0
        if random.next(below: 3) == 0 {
            entry.fullReversal = Int64(random.next(below: 1 << 48)) - 1 << 47
        }
        entry.amounts = amounts(&random, isNarrow: isNarrow)
        entry.reversed = amounts(&random, isNarrow: isNarrow)
        if random.next(below: 3) == 0 {
            entry.reversedUncategorised = amount(&random, isNarrow: isNarrow)
        }
        return entry
    }

    @Test func wordsGiveTheEntryBack() {
        var random = SeededGenerator(seed: 21)
        for _ in 0..<5000 {
            let entry = entry(&random)
            let start = random.next(below: 5)
            var words = [UInt64](repeating: 0xaaaa_aaaa_aaaa_aaaa, count: 64)
            let count = LedgerWords.encode(entry, into: &words, at: start)
            #expect(count <= LedgerWords.countMax)
            #expect(LedgerWords.count(words, start) == count)
            #expect(LedgerWords.decode(words, start) == entry)
            #expect(LedgerWords.isInForce(words, start) == entry.isInForce)
            #expect(LedgerWords.time(words, start) == entry.time)
            #expect(words[..<start].allSatisfy { $0 == 0xaaaa_aaaa_aaaa_aaaa })
            #expect(words[(start + count)...].allSatisfy { $0 == 0xaaaa_aaaa_aaaa_aaaa })
        }
    }

    @Test func sevenCategoriesOfCentsTakeSixWords() {
        var entry = LedgerEntry()
        entry.hasVersion = true
        for category in 0..<7 { entry.amounts[category] = 41.55 + Double(category) }
        var words = [UInt64](repeating: 0, count: 64)
        #expect(LedgerWords.encode(entry, into: &words, at: 0) == 6)
    }

    @Test func aBlockKeepsItsPartsThroughRandomEdits() {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        var random = SeededGenerator(seed: 22)
        for _ in 0..<40 {
            var table = CustomerTable(schema: schema)
            let id = Array("customer-\(random.next(below: 100_000))".utf8)
            let row = table.insert(hash: 7, id: id, range: 0..<id.count)
            var block = RowBlock(schema: schema)
            var orders: [LedgerEntry] = []
            var events: [UInt64] = []
            var times = Array(repeating: Int64.min, count: schema.profileFields.count)
            for _ in 0..<40 {
                block.load(row, of: table)
                switch random.next(below: 5) {
                case 0:
                    let index = random.next(below: times.count)
                    times[index] = Int64(random.next(below: 1 << 40))
                    block.setProfileTime(index, times[index])
                case 1:
                    let hash = random.next()
                    block.appendEvent(hash, limit: 3)
                    events = Array((events + [hash]).suffix(3))
                case 2 where !orders.isEmpty:
                    var new = entry(&random)
                    let index = random.next(below: orders.count)
                    new.hash = orders[index].hash
                    orders[index] = new
                    block.replace(new, at: block.findOrder(new.hash))
                case 3 where orders.count > 3: #expect(block.removeFirst() == orders.removeFirst())
                default:
                    let new = entry(&random)
                    orders.append(new)
                    block.append(new)
                }
                block.store(into: &table)
                block.load(row, of: table)
                #expect(block.entries == orders)
                #expect(times.indices.map { block.profileTime($0) } == times)
                #expect(events.allSatisfy(block.containsEvent) && block.eventCount == events.count)
                #expect(table.id(of: row) == id)
            }
        }
    }
}
