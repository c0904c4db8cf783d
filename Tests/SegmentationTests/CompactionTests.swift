import OnlineLearning
import Testing

@testable import Segmentation

/// Blocks are moved together while rows go on changing.
struct CompactionTests {
    /// A table beside what its blocks should hold.
    private struct Content {
        var table = CustomerTable(schema: CompiledSchema(TestConfiguration.smartCart()))
        var ids: [Int: [UInt8]] = [:]
        var rows: [Int] = []
        var random: SeededGenerator
        private var number = 0

        init(seed: UInt64) { random = SeededGenerator(seed: seed) }

        mutating func insert() {
            number += 1
            // Blocks of up to 126 words: ids, which are what a block holds from the beginning.
            let count = random.next(below: 4) == 0 ? 20 : 600 + random.next(below: 400)
            let id =
                Array("\(number)-".utf8)
                + [UInt8](repeating: UInt8(97 + random.next(below: 26)), count: count)
            let row = table.insert(hash: UInt64(number) << 8, id: id, range: 0..<id.count)
            ids[row] = id
            rows.append(row)
        }

        mutating func remove() {
            guard !rows.isEmpty else { return }
            rows.swapAt(random.next(below: rows.count), rows.count - 1)
            let row = rows.removeLast()
            table.remove(row)
            ids[row] = nil
        }

        /// Rows, of some, that do not hold what they should.
        func wrong(of some: [Int]) -> [Int] {
            some.filter { table.id(of: $0) != ids[$0] || !table.isInUse($0) }
        }

        /// What the blocks of all rows take together.
        var words: Int {
            rows.map { WordArena.rounded(table.blockWords($0)) }.reduce(0, +)
        }
    }

    @Test(arguments: 1...2) func blocksStayWhatTheyAreWhileTheyMove(seed: UInt64) {
        var content = Content(seed: seed)
        while content.table.arena.memoryBytes < 6 << 20 { content.insert() }
        while content.rows.count > 3_000 { content.remove() }
        content.table.commit()
        let before = content.table.arena.memoryBytes
        content.table.beginCompaction()
        #expect(content.table.isCompacting)
        var slices = 0
        while content.table.isCompacting {
            content.table.compactBlocks(limit: 500)
            slices += 1
            let saved = (content.ids, content.rows)
            for _ in 0..<content.random.next(below: 30) {
                if content.random.next(below: 2) == 0 { content.insert() } else { content.remove() }
            }
            if content.random.next(below: 3) == 0 {
                content.table.abort(willRestore: { _, _ in }, didRestore: { _, _ in })
                (content.ids, content.rows) = saved
            } else {
                content.table.commit()
            }
            #expect(content.table.count == content.rows.count)
            #expect(content.words == content.table.arena.liveWords, "slice \(slices)")
            #expect(content.wrong(of: Array(content.rows.suffix(60))).isEmpty, "slice \(slices)")
        }
        #expect(slices > 8 && content.wrong(of: content.rows).isEmpty)
        #expect(content.table.arena.memoryBytes < before * 3 / 4)
        #expect(content.table.arena.memoryBytes < content.words * 8 * 5 / 4 + 1 << 20)
        content.table.beginCompaction()
        #expect(!content.table.isCompacting, "nothing is left to gain")
    }

    @Test func oneStepMovesAll() {
        var content = Content(seed: 9)
        while content.table.arena.memoryBytes < 6 << 20 { content.insert() }
        while content.rows.count > 1_000 { content.remove() }
        content.table.compactBlocks()
        #expect(!content.table.isCompacting && content.wrong(of: content.rows).isEmpty)
        #expect(content.table.arena.memoryBytes < 2 << 20)
        content.table.abort(willRestore: { _, _ in }, didRestore: { _, _ in })
        #expect(content.table.count == 0 && content.table.arena.liveWords == 0)
    }

    @Test func anEighthUnusedIsWorthIt() {
        var content = Content(seed: 4)
        while content.table.arena.memoryBytes < 6 << 20 { content.insert() }
        for (share, isWorthIt) in [(0.115, false), (0.13, true)] {
            var unused = 0.0
            while unused < share {
                content.remove()
                content.table.commit()
                let used = content.table.arena.liveWords * 8
                unused = 1 - Double(used) / Double(content.table.arena.memoryBytes)
            }
            content.table.beginCompaction()
            #expect(content.table.isCompacting == isWorthIt, "\(unused)")
        }
    }

    @Test func chunksAreGivenBackAFewAtATime() {
        let chunk = WordArena.chunkWords
        let perChunk = chunk / 4_096
        var arena = WordArena()
        let blocks = (0..<perChunk * 6).map { _ in arena.allocate(4_096) }
        #expect(arena.memoryBytes == 6 * chunk * 8)
        arena.leaveChunks()
        let new = arena.allocate(4_096)
        // A chunk takes memory as blocks are cut from it.
        let begun = 4_096 * 8
        for block in blocks { arena.release(block, 4_096) }
        #expect(!arena.isLeaving(new) && arena.isLeaving(blocks[0]))
        #expect(!arena.dropChunks(limit: 2) && arena.memoryBytes == 4 * chunk * 8 + begun)
        #expect(!arena.dropChunks(limit: 2) && arena.memoryBytes == 2 * chunk * 8 + begun)
        #expect(arena.dropChunks(limit: 3) && arena.memoryBytes == begun)
        // Their numbers are given again before there are new ones.
        let again = (0..<perChunk * 6).map { _ in arena.allocate(4_096) }
        #expect(arena.memoryBytes == 6 * chunk * 8 + begun)
        #expect(again.max() ?? 0 < 7 * chunk && Set(again + [new]).count == 6 * perChunk + 1)
    }

    /// A worker that never refits, because learning is off or another one is the trainer.
    @Test(arguments: [0, 1_000_000]) func wasteIsReasonEnough(rowsAtOnce: Int) {
        let shop = TestShop()
        shop.core.rowsMaintainedAtOnce = rowsAtOnce
        let tail = String(repeating: "x", count: 900)
        let ids = (0..<6_000).map { "\($0)-" + tail }
        func transaction(_ body: () -> Void) {
            shop.core.begin()
            body()
            shop.core.commit()
            shop.output.removeAll()
        }
        transaction {
            for id in ids { shop.send("{\"type\":\"engagement.visit\",\"time\":1}", key: id) }
        }
        let before = shop.arenaBytes
        #expect(before > 5 << 20 && !shop.isCompacting)
        transaction {
            for id in ids.dropFirst(1_000) {
                shop.send("{\"type\":\"privacy.erased\",\"time\":2}", key: id)
            }
        }
        #expect(shop.isCompacting == (rowsAtOnce == 0))
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 500) }
        #expect(shop.arenaBytes < before / 4)
        #expect(ids.prefix(1_000).allSatisfy { shop.row($0) >= 0 })
        #expect(shop.customerCount == 1_000)
        transaction {}
        #expect(!shop.isCompacting, "nothing is left to gain")
    }
}

extension TestShop {
    fileprivate var isCompacting: Bool { core.table.isCompacting }
    fileprivate var arenaBytes: Int { core.table.arena.memoryBytes }
    fileprivate var customerCount: Int { core.customerCount }
}
