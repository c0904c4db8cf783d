import OnlineLearning
import Testing

@testable import Segmentation

/// Rows, blocks and the index, against plain dictionaries.
struct CustomerTableTests {
    @Test(arguments: [UInt64.max, 0xfff, 0]) func insertAndRemoveEqualADictionary(mask: UInt64) {
        // A narrow mask makes long runs of one home slot.
        let schema = CompiledSchema(TestConfiguration.smartCart())
        var table = CustomerTable(schema: schema)
        var rows: [String: Int] = [:]
        var random = SeededGenerator(seed: 81 &+ mask)
        func hash(_ id: [UInt8]) -> UInt64 {
            StableHash.hash(of: id, range: 0..<id.count) & mask
        }
        func find(_ name: String, _ table: CustomerTable) -> Int {
            let id = Array(name.utf8)
            return table.find(hash: hash(id), id: id, range: 0..<id.count)
        }
        let steps = mask == 0 ? 400 : 6000
        for step in 0..<steps {
            let number = random.next(below: steps / 2)
            let name = String(repeating: "n", count: number % 30) + "\(number)"
            if let row = rows[name] {
                #expect(find(name, table) == row)
                if random.next(below: 2) == 0 {
                    table.remove(row)
                    rows[name] = nil
                    #expect(find(name, table) == -1)
                }
            } else {
                #expect(find(name, table) == -1)
                let id = Array(name.utf8)
                let row = table.insert(hash: hash(id), id: id, range: 0..<id.count)
                #expect(!rows.values.contains(row) || step > 500)
                rows[name] = row
            }
            if random.next(below: 50) == 0 { table.commit() }
            #expect(table.count == rows.count)
        }
        #expect(Set(rows.values).count == rows.count)
        for (name, row) in rows {
            #expect(find(name, table) == row && table.id(of: row) == Array(name.utf8))
        }
    }

    @Test func blocksKeepTheirWords() {
        var arena = WordArena()
        var random = SeededGenerator(seed: 82)
        var blocks: [(offset: UInt32, words: [UInt64])] = []
        for _ in 0..<4000 {
            if random.next(below: 5) < 2, let index = blocks.indices.randomElement(using: &random) {
                let block = blocks.remove(at: index)
                var read = [UInt64](repeating: 0, count: WordArena.blockWordsMax)
                arena.read(block.offset, block.words.count, into: &read)
                #expect(Array(read[..<block.words.count]) == block.words)
                arena.release(block.offset, block.words.count)
            } else {
                let large = random.next(below: 10) == 0
                let count = 1 + random.next(below: large ? WordArena.blockWordsMax : 40)
                let words = (0..<count).map { _ in random.next() }
                let offset = arena.allocate(count)
                arena.write(offset, count, from: words)
                blocks.append((offset, words))
            }
        }
        #expect(arena.liveWords == blocks.map { WordArena.rounded($0.words.count) }.reduce(0, +))
        for block in blocks {
            #expect(
                block.words.indices.allSatisfy { arena.word(block.offset, $0) == block.words[$0] }
            )
        }
    }

    @Test func freedBlocksAreUsedAgain() {
        var arena = WordArena()
        var blocks = (0..<5000).map { _ in arena.allocate(20) }
        let before = arena.memoryBytes
        for _ in 0..<5 {
            for block in blocks { arena.release(block, 20) }
            blocks = (0..<5000).map { _ in arena.allocate(19) }
        }
        #expect(arena.memoryBytes == before)
    }

    @Test func rowsKeepTheirFields() {
        var store = RowStore<Double>(stride: 3, initial: -1)
        for row in stride(from: 0, to: 5000, by: 7) {
            store.reserve(row: row)
            for field in 0..<3 { store[row, field] = Double(row * 3 + field) }
        }
        store.write(row: 7, from: [0, 9, 8, 7], at: 1)
        var copy = [0.0, 0, 0, 0]
        store.copy(row: 7, to: &copy, at: 1)
        #expect(copy == [0, 9, 8, 7])
        #expect(store[14, 2] == 44 && store[8, 0] == -1)
        for row in stride(from: 14, to: 5000, by: 7) {
            #expect((0..<3).allSatisfy { store[row, $0] == Double(row * 3 + $0) })
        }
    }

    @Test func partsOfARowDoNotTouchEachOther() {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        var table = CustomerTable(schema: schema)
        let row = table.insert(hash: 1, id: [0x63], range: 0..<1)
        table.setLife(row, -5)
        table.setClock(row, -6)
        table.setRevision(row, .max)
        table.setModelVersion(row, 12)
        table.setPartition(row, 40_000)
        table.setMembership(row, 65_535)
        table.setPublishedSegment(row, 1)
        table.setBand(row, .high)
        table.setOutlier(row, true)
        #expect(table.markChanged(row) && !table.markChanged(row))
        table.setDirty(row, epoch: 77)
        #expect(table.life(row) == -5 && table.clock(row) == -6)
        #expect(table.revision(row) == .max && table.modelVersion(row) == 12)
        #expect(table.partition(row) == 40_000 && table.membership(row) == 65_535)
        #expect(table.publishedSegment(row) == 1 && table.band(row) == .high)
        #expect(table.isOutlier(row) && table.isInUse(row) && table.isDirty(row, epoch: 77))
        table.setOutlier(row, false)
        table.setBand(row, .insufficientData)
        table.clearChanged(row)
        #expect(!table.isOutlier(row) && table.isInUse(row) && table.markChanged(row))
        #expect(table.partition(row) == 40_000 && table.idBytes(row) == 1)
        #expect(table.purchaseDays(row) == 0)
    }
}
