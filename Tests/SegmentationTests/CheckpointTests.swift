import OnlineLearning
import Testing

@testable import Segmentation

@Suite struct CheckpointTests {
    /// What a changelog says of its keys, whatever it has become since.
    private func expected(_ shop: borrowing CheckpointShop) -> [[UInt8]: [UInt8]] {
        var newest: [[UInt8]: [UInt8]] = [:]
        for index in shop.changelog.indices {
            newest[shop.changelog[index].key] = shop.changelog[index].value
        }
        return newest
    }

    @Test(arguments: [1, 3, 7, 1_000], [true, false])
    func checkpointAndTailEqualTheChangelog(rows: Int, busy: Bool) throws {
        var shop = CheckpointShop(seed: UInt64(rows))
        for _ in 0..<20 { shop.transaction(20) }
        let file = shop.checkpoint(rows: rows, busy: busy)
        if busy { shop.transaction(15) }
        let contents = shop.contents
        #expect(contents == expected(shop))
        #expect(try shop.restoredFromChangelog() == contents)
        #expect(try shop.restored(from: file) == contents)
        #expect(contents.keys.contains { $0.first == RowCodec.stubPrefix })
        #expect(contents.keys.contains { $0.first != RowCodec.stubPrefix })
    }

    /// The offset that counts is the one from before the first row.
    @Test func anOffsetNotedTooLateLosesChanges() throws {
        var shop = CheckpointShop(seed: 5)
        for _ in 0..<20 { shop.transaction(20) }
        var round = CheckpointRound([shop.header(offset: shop.changelog.count)])
        var file: [UInt8] = []
        shop.feeder.core.advance(&round, limit: 40) { file += $0.bytes }
        for _ in 0..<5 { shop.transaction(20) }
        while !round.isComplete {
            shop.feeder.core.advance(&round, limit: 40) { file += $0.bytes }
        }
        let late = shop.header(offset: shop.changelog.count)
        var empty = CheckpointRound([late])
        var wrong: [UInt8] = []
        shop.feeder.core.advance(&empty, limit: 1_000) { wrong += $0.bytes }
        #expect(try shop.restored(from: file) == shop.contents)
        #expect(try shop.restored(from: wrong) == shop.contents)
        // The same rows under the later header: what a wrong order of steps would have written.
        var fresh = Feeder(SmallShop.configuration)
        _ = try CheckpointFile.load(file, into: &fresh.core)
        fresh.core.finishRestore()
        #expect(CheckpointShop.contents(fresh.core) != shop.contents)
    }

    @Test func rowsOfOtherPartitionsStayOut() throws {
        var shop = CheckpointShop(seed: 6)
        for _ in 0..<5 { shop.transaction(20) }
        shop.feeder.core.begin()
        shop.feeder.apply(
            "{\"id\":\"f1\",\"time\":\(SmallShop.start),\"customer_id\":\"foreign\","
                + "\"type\":\"engagement.visit\"}",
            partition: 0
        )
        shop.feeder.core.commit()
        let file = shop.checkpoint(rows: 10, busy: false)
        var fresh = Feeder(SmallShop.configuration)
        _ = try CheckpointFile.load(file, into: &fresh.core)
        let found = CheckpointShop.contents(fresh.core)
        #expect(found[Array("foreign".utf8)] == nil)
        #expect(found.count == shop.contents.count - 1)
        fresh.core.forgetRestored(CheckpointShop.partition)
        #expect(CheckpointShop.contents(fresh.core).isEmpty)
    }

    @Test func aPartitionLeftOutIsNotWritten() {
        var shop = CheckpointShop(seed: 6)
        shop.transaction(20)
        var round = CheckpointRound([shop.header(offset: 0)])
        round.leaveOut(CheckpointShop.partition)
        var pieces = 0
        shop.feeder.core.advance(&round, limit: 1_000) { _ in pieces += 1 }
        #expect(round.isComplete && pieces == 0 && round.partitions.isEmpty)
    }

    @Test func everyTruncationIsRefused() throws {
        var shop = CheckpointShop(seed: 8, customers: 20)
        for _ in 0..<10 { shop.transaction(20) }
        let file = shop.checkpoint(rows: 7, busy: true, blockBytes: 700)
        let contents = shop.contents
        #expect(try shop.restored(from: file) == contents)
        let lengths = (0..<file.count).filter {
            $0 < 300 || file.count - $0 < 300 || $0 % 9 == 0
        }
        for length in lengths {
            #expect(throws: CheckpointFailure.self, "\(length) bytes") {
                var fresh = Feeder(SmallShop.configuration)
                _ = try CheckpointFile.load(Array(file[..<length]), into: &fresh.core)
            }
        }
        #expect(throws: CheckpointFailure.truncated) {
            var fresh = Feeder(SmallShop.configuration)
            _ = try CheckpointFile.load(file + [0], into: &fresh.core)
        }
    }

    /// One bit flipped at 1,000 random places: never a wrong table.
    @Test(arguments: [11, 12] as [UInt64])
    func everyFlippedBitIsRefused(seed: UInt64) throws {
        var shop = CheckpointShop(seed: seed, customers: 20)
        for _ in 0..<10 { shop.transaction(20) }
        let file = shop.checkpoint(rows: 7, busy: true, blockBytes: 700)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<1_000 {
            var damaged = file
            let bit = random.next(below: file.count * 8)
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: CheckpointFailure.self, "bit \(bit)") {
                var fresh = Feeder(SmallShop.configuration)
                _ = try CheckpointFile.load(damaged, into: &fresh.core)
            }
        }
    }

    /// Whole blocks left out, doubled, in another order, or of another checkpoint.
    @Test func blocksHaveTheirFileAndPlace() throws {
        var shop = CheckpointShop(seed: 9)
        for _ in 0..<10 { shop.transaction(20) }
        func pieces(_ shop: inout CheckpointShop, offset: Int) -> [[UInt8]] {
            var round = CheckpointRound([shop.header(offset: offset)], blockBytes: 2_000)
            var found: [[UInt8]] = []
            while !round.isComplete {
                shop.feeder.core.advance(&round, limit: 1_000) { found.append($0.bytes) }
            }
            return found
        }
        let whole = pieces(&shop, offset: 1)
        let other = pieces(&shop, offset: 2)
        #expect(whole.count > 4)
        var swapped = whole
        swapped.swapAt(1, 2)
        var missing = whole
        missing.remove(at: 2)
        var doubled = whole
        doubled.insert(whole[2], at: 2)
        var shortened = whole
        shortened.remove(at: whole.count - 2)
        var foreign = whole
        foreign[2] = other[2]
        for pieces in [swapped, missing, doubled, shortened, foreign] {
            #expect(throws: CheckpointFailure.self) {
                var fresh = Feeder(SmallShop.configuration)
                _ = try CheckpointFile.load(Array(pieces.joined()), into: &fresh.core)
            }
        }
    }

    @Test func otherSlotsAreRefused() throws {
        var shop = CheckpointShop(seed: 10)
        shop.transaction(20)
        let file = shop.checkpoint(rows: 100, busy: false)
        var configuration = SmallShop.configuration
        configuration.slots.append(SlotDeclaration(name: "more", source: .visits))
        #expect(throws: CheckpointFailure.self) {
            var fresh = Feeder(configuration)
            _ = try CheckpointFile.load(file, into: &fresh.core)
        }
        let other = Feeder(configuration).core.slotFingerprint
        #expect(other != shop.feeder.core.slotFingerprint)
    }

    @Test(arguments: [1, 200_000, Int(UInt32.max)])
    func moreEntriesThanABlockCanHoldAreRefused(count: Int) {
        #expect(throws: CheckpointFailure.inconsistent) {
            try CheckpointFrame.entries(of: [0, 0, 0, 0, 0], count: count)
        }
    }

    /// A row keeps 16 bits of its partition.
    @Test(arguments: [Int32.min, -1, 65_536, Int32.max])
    func aPartitionThatNoRowCanKeepIsRefused(partition: Int32) throws {
        var header = CheckpointHeader(
            group: "g",
            topic: "t",
            partition: 65_535,
            claim: "1@5",
            offset: 7,
            notedAtMilliseconds: 9,
            slots: 1
        )
        #expect(try CheckpointHeader(header.encoded()) == header)
        header.partition = partition
        #expect(throws: CheckpointFailure.inconsistent) { try CheckpointHeader(header.encoded()) }
    }

    /// A header that says that it is shorter than its numbers, under a checksum that fits.
    @Test(arguments: 24...55)
    func aHeaderThatIsTooShortIsRefused(length: Int) {
        let head: [UInt8] = Array("SEGCKPT1".utf8) + [1, 0, 0, 0, UInt8(length), 0, 0, 0]
        var bytes = head + Array(repeating: 0, count: length - 24)
        let sum = StableHash.hash(
            of: bytes,
            range: 0..<bytes.count,
            seed: CheckpointHeader.magic
        )
        for k in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: sum >> UInt64(8 * k))) }
        #expect(throws: CheckpointFailure.inconsistent) { try CheckpointHeader(bytes) }
    }

    /// The bytes of format 1, so that no change of them goes unnoticed.
    @Test func anEmptyCheckpointHasItsBytes() throws {
        let header = CheckpointHeader(
            group: "g",
            topic: "t",
            partition: 2,
            claim: "1@5",
            offset: 7,
            notedAtMilliseconds: 9,
            slots: 0x0102_0304_0506_0708
        )
        var encoder = CheckpointEncoder(header, blockBytes: 100)
        encoder.finish()
        let bytes = Array(encoder.takeReady().joined())
        let text = bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        let expected =
            "534547434b5054310100000043000000020000000100000007000000000000000900000000000000"
            + "08070605040302010100670100740300314035c05c3c7e189874f0464f4f54180000000000000000"
            + "000000e99b4603a1b2d5f9000000000000000000000000000000000000000000000000"
        #expect(text == expected)
        #expect(try CheckpointHeader(header.encoded()) == header)
    }
}
