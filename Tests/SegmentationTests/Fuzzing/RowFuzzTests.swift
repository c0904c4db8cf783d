import OnlineLearning
import Testing

@testable import Segmentation

/// Bytes that change at random.
struct FuzzedBytes {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func below(_ limit: Int) -> Int {
        Int(truncatingIfNeeded: ((random.next() >> 32) &* UInt64(limit)) >> 32)
    }

    /// Changes bytes in one place.
    mutating func change(_ bytes: inout [UInt8]) {
        guard !bytes.isEmpty else { return bytes.append(UInt8(truncatingIfNeeded: random.next())) }
        let index = below(bytes.count)
        switch below(9) {
        case 0: bytes[index] ^= 1 << UInt8(below(8))
        case 1: bytes[index] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes[index] = [0, 0x7f, 0x80, 0xff][below(4)]
        case 3: bytes.remove(at: index)
        case 4: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
        case 5: bytes.removeSubrange(index...)
        case 6: bytes.removeSubrange(index..<min(bytes.count, index + 1 + below(12)))
        case 7:
            // The longest integers there are.
            for place in index..<min(bytes.count, index + 1 + below(10)) { bytes[place] = 0xff }
        default: bytes.append(contentsOf: bytes[index...])
        }
    }
}

/// Rows, checkpoints and models under mutated bytes, most of them with checksums that fit: what is
/// refused says why, what is accepted is what was written.
@Suite struct RowFuzzTests {
    private struct Entry {
        var key: [UInt8]
        var value: [UInt8]
    }

    /// Rows and stubs as a shop of all kinds of events writes them.
    private func corpus() throws -> [Entry] {
        let shop = TestShop(model: try TestModel.shared.get())
        var stream = EventStream(seed: FuzzScale.seed, customers: 40)
        stream.erasures = 0.03
        var entries: [Entry] = []
        for _ in 0..<10 {
            shop.core.begin()
            for event in stream.events(40) { shop.send(event) }
            shop.core.appendChangelog(into: &shop.output)
            shop.core.commit()
            for record in shop.take() where record.destination == .changelog {
                if let value = record.value { entries.append(Entry(key: record.key, value: value)) }
            }
        }
        return entries
    }

    private static func seal(_ value: inout [UInt8]) {
        guard value.count >= 4 else { return }
        let end = value.count - 4
        let sum = StableHash.hash(of: value, range: 0..<end, seed: 0x5345_474d)
        for k in 0..<4 { value[end + k] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * k)) }
    }

    @Test func rowsComeBackAsWrittenOrAreRefused() throws {
        let start = ContinuousClock.now
        let entries = try corpus()
        #expect(entries.contains { $0.key.count == 33 && $0.key[0] == 0 })
        let count = max(1, FuzzScale.events / 4)
        var source = FuzzedBytes(seed: FuzzScale.seed)
        let shop = TestShop(model: try TestModel.shared.get())
        var block = shop.core.block
        var (accepted, unchanged, otherForms) = (0, 0, 0)
        var reasons: [String: Int] = [:]
        for number in 0..<count {
            var entry = entries[source.below(entries.count)]
            var changes = source.below(4)
            for _ in 0..<changes { source.change(&entry.value) }
            if source.below(4) > 0 { Self.seal(&entry.value) }
            if source.below(64) == 0 {
                source.change(&entry.key)
                changes += 1
            }
            let bytes = entry.key + entry.value + [UInt8](repeating: 0, count: 8)
            let key = 0..<entry.key.count
            let value = key.upperBound..<key.upperBound + entry.value.count
            do throws(RestoreFailure) {
                try shop.core.restoreRow(key: key, value: value, bytes: bytes, partition: 0)
            } catch {
                let words = error.description.split(separator: ":").dropFirst().joined()
                reasons[words.filter { !$0.isNumber }, default: 0] += 1
                #expect(changes > 0, "\(error)")
                continue
            }
            accepted += 1
            if changes == 0 { unchanged += 1 }
            let written = Self.written(shop.core, key, bytes, &block)
            if written != entry.value { otherForms += 1 }
            let isStable = written == entry.value || isTakenAgain(shop, entry.key, written, &block)
            guard isStable, changes > 0 || written == entry.value else {
                Issue.record(
                    "FUZZ_SEED=\(FuzzScale.seed), row \(number): \(entry.value) \(written)"
                )
                return
            }
            if accepted & 63 == 0 { compute(shop, entry.key) }
            shop.core.table.suppressed.removeAll()
            try shop.core.restoreRow(key: key, value: nil, bytes: bytes, partition: 0)
        }
        FuzzScale.report(
            "rows",
            count,
            since: start,
            "\(accepted) accepted, \(unchanged) of them unchanged, \(otherForms) in a form that is "
                + "not written, refused: \(reasons)"
        )
        #expect(!reasons.keys.contains(""))
        #expect(accepted > unchanged)
    }

    /// Whether bytes that the core writes are taken as what they are.
    private func isTakenAgain(
        _ shop: TestShop,
        _ key: [UInt8],
        _ value: [UInt8],
        _ block: inout RowBlock
    ) -> Bool {
        let bytes = key + value + [UInt8](repeating: 0, count: 8)
        let range = key.count..<key.count + value.count
        do throws(RestoreFailure) {
            try shop.core.restoreRow(
                key: 0..<key.count,
                value: range,
                bytes: bytes,
                partition: 0
            )
        } catch {
            return false
        }
        return Self.written(shop.core, 0..<key.count, bytes, &block) == value
    }

    /// What the core would write of the one row or stub that it has.
    private static func written(
        _ core: borrowing SegmentationCore,
        _ key: Range<Int>,
        _ bytes: [UInt8],
        _ block: inout RowBlock
    ) -> [UInt8] {
        var written: [UInt8] = []
        if let (name, stub) = core.table.suppressed.first {
            let ranges = RowCodec.encode(name, stub, into: &written)
            return Array(written[ranges.value])
        }
        let hash = StableHash.hash(of: bytes, range: key)
        let row = core.table.find(hash: hash, id: bytes, range: key)
        if row >= 0 { RowCodec.encode(row, of: core.table, block: &block, into: &written) }
        return written
    }

    /// Goes on with what was restored: derived state, an event, a decision, the row's bytes.
    private func compute(_ shop: TestShop, _ key: [UInt8]) {
        shop.core.finishRestore()
        shop.core.begin()
        for body in ["\"engagement.visit\"", "\"order.placed\",\"order_id\":\"o\",\"amount\":1"] {
            let json = "{\"time\":1772442900000,\"type\":\(body)}"
            shop.send(Array(json.utf8), keyBytes: key)
        }
        shop.core.rescore(
            limit: 10,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        _ = shop.take()
    }

    @Test func checkpointsAreReadOrRefused() throws {
        let start = ContinuousClock.now
        var shop = CheckpointShop(seed: FuzzScale.seed)
        for _ in 0..<4 { shop.transaction(60) }
        let whole = shop.checkpoint(rows: 1_000, busy: false)
        let count = max(1, FuzzScale.events / 40)
        var source = FuzzedBytes(seed: FuzzScale.seed)
        var (accepted, unchanged) = (0, 0)
        var reasons: [String: Int] = [:]
        for _ in 0..<count {
            var file = whole
            let changes = source.below(4)
            for _ in 0..<changes { source.change(&file) }
            if source.below(4) > 0 { CheckpointSeals.renew(&file) }
            var fresh = Feeder(SmallShop.configuration)
            do {
                _ = try CheckpointFile.load(file, into: &fresh.core)
                fresh.core.finishRestore()
                accepted += 1
                if changes == 0 { unchanged += 1 }
            } catch let error as CheckpointFailure {
                reasons[String(error.description.prefix { $0 != "(" }.prefix(60)), default: 0] += 1
                #expect(changes > 0, "\(error)")
            }
        }
        let refusals = reasons.values.reduce(0, +)
        FuzzScale.report(
            "checkpoints",
            count,
            since: start,
            "\(accepted) accepted, \(unchanged) of them unchanged, \(refusals) refused for "
                + "\(reasons.count) reasons"
        )
        #expect(!reasons.keys.contains(""))
        #expect(unchanged > 0 && refusals > 0)
    }
}

/// Checksums of a checkpoint's file whose bytes were changed, as who wrote those bytes would have
/// written them.
enum CheckpointSeals {
    static func renew(_ file: inout [UInt8]) {
        guard file.count >= CheckpointHeader.prefixBytes else { return }
        let length = Int(CheckpointBytes.read(file, 12, 4))
        guard length >= 24, length <= file.count else { return }
        let head = StableHash.hash(
            of: file,
            range: 0..<length - 8,
            seed: CheckpointHeader.magic
        )
        CheckpointBytes.write(head, 8, at: length - 8, in: &file)
        var position = length
        var (index, total, chain): (UInt64, UInt64, UInt64) = (0, 0, 0)
        while position + CheckpointFrame.headBytes <= file.count {
            let mark = CheckpointBytes.read(file, position, 4)
            let payload = Int(CheckpointBytes.read(file, position + 4, 4))
            let entries = CheckpointBytes.read(file, position + 8, 4)
            let start = position + CheckpointFrame.headBytes
            guard payload <= file.count - start else { return }
            CheckpointBytes.write(index, 4, at: position + 12, in: &file)
            if mark == CheckpointFrame.footerMark, payload == CheckpointFrame.footerBytes {
                for (k, sum) in [index, total, chain].enumerated() {
                    CheckpointBytes.write(sum, 8, at: start + 8 * k, in: &file)
                }
            }
            let seed = StableHash.mix(
                StableHash.mix(head ^ (mark | UInt64(payload) << 32)) &+ (entries | index << 32)
            )
            let range = start..<start + payload
            let sum = StableHash.longHash(of: file, range: range, seed: seed)
            CheckpointBytes.write(sum, 8, at: position + 16, in: &file)
            chain = StableHash.mix(chain ^ sum)
            index += 1
            total += entries
            position = start + payload
        }
    }
}
