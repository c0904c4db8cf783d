import Engine
import EventLog
import TestSupport
import Testing

@testable import Segmentation

/// When a checkpoint is used, and when the whole changelog is read instead.
@Suite struct CheckpointRestoreTests {
    /// A shop whose worker has run, stopped in good order, and left checkpoints.
    private final class Shop {
        let broker: ModelBroker
        let disk: MemoryCheckpoints
        let expected: Recomputation
        private let input: SimulationInput
        private var appended = 0

        init(_ disk: MemoryCheckpoints = MemoryCheckpoints()) throws {
            self.disk = disk
            input = SimulationInput(seed: 3)
            expected = try Recomputation(input, wallMilliseconds: SimulationRun.wallMilliseconds)
            broker = ModelBroker(
                clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds)
            )
            broker.createSimulationTopics()
        }

        func append(_ count: Int) {
            let records = input.records[appended...].prefix(count)
            broker.append(records)
            appended += records.count
        }

        func worker(_ disk: MemoryCheckpoints?, instance: String = "a") -> SimulatedWorker {
            SimulatedWorker(
                broker: broker,
                instance: instance,
                plan: FaultPlan(),
                model: expected.model,
                configuration: CommitLoopConfiguration(),
                checkpoints: disk
            )
        }

        /// Runs a worker until it has committed everything, and some turns more.
        func run(_ worker: SimulatedWorker, turns: Int = 60) {
            for _ in 0..<turns { #expect(worker.turn() == nil) }
        }

        /// Runs a worker until it has told where its rows came from, and lets it die.
        func restart(_ disk: MemoryCheckpoints, until count: Int) {
            let worker = worker(disk)
            for _ in 0..<200 where disk.count("restored") + disk.count("ignored") < count {
                #expect(worker.turn() == nil)
            }
            #expect(disk.count("restored") + disk.count("ignored") == count)
        }

        /// A second disk with the same files.
        func copy() -> MemoryCheckpoints {
            let copy = MemoryCheckpoints(intervalMilliseconds: 3_600_000)
            copy.put(disk.files)
            return copy
        }

        /// The header of a file, changed; nothing follows it.
        func header(
            _ partition: Int32,
            _ change: (inout CheckpointHeader) -> Void
        ) throws -> [Int32: [UInt8]] {
            let file = try #require(disk.files[partition])
            let prefix = Array(file.prefix(CheckpointHeader.prefixBytes))
            let length = try CheckpointHeader.length(fromPrefix: prefix)
            var header = try CheckpointHeader(Array(file.prefix(length)))
            change(&header)
            var files = disk.files
            files[partition] = header.encoded()
            return files
        }
    }

    private func stoppedShop() throws -> Shop {
        let shop = try Shop(MemoryCheckpoints(intervalMilliseconds: 3_600_000))
        shop.append(150)
        let worker = shop.worker(shop.disk)
        shop.run(worker)
        #expect(worker.stop() == .drained)
        return shop
    }

    @Test func aCleanStopLeavesACheckpointOfTheEnd() throws {
        let shop = try stoppedShop()
        #expect(shop.disk.count("wrote") == 1)
        #expect(shop.disk.files.keys.sorted() == [0, 1])
        for partition in Int32(0)...1 {
            var offset: Int64 = -1
            _ = try shop.header(partition) { offset = $0.offset }
            #expect(offset == shop.broker.highWatermark("changelog", partition: partition))
        }
        shop.restart(shop.copy(), until: 2)
        let disk = shop.copy()
        shop.restart(disk, until: 2)
        #expect(disk.count("restored") == 2, "\(disk.reasons)")
    }

    @Test func roundsBeginAtTheirInterval() throws {
        let shop = try Shop(MemoryCheckpoints(intervalMilliseconds: 1_000, rows: 5))
        shop.append(100)
        let worker = shop.worker(shop.disk)
        let start = shop.broker.clock.monotonicMicroseconds()
        while shop.broker.clock.monotonicMicroseconds() - start < 10_500_000 {
            #expect(worker.turn() == nil)
        }
        #expect((9...10).contains(shop.disk.count("wrote")), "\(shop.disk.count("wrote"))")
    }

    @Test func oldOnesAreNotUsed() throws {
        let shop = try stoppedShop()
        var noted: Int64 = 0
        _ = try shop.header(0) { noted = $0.notedAtMilliseconds }
        let half = Int64(43_200_000)
        shop.broker.clock.setWall(milliseconds: noted + half - 600_000)
        let young = shop.copy()
        shop.restart(young, until: 2)
        #expect(young.count("restored") == 2, "\(young.reasons)")
        shop.broker.clock.setWall(milliseconds: noted + half + 1)
        let old = shop.copy()
        shop.restart(old, until: 2)
        #expect(old.count("ignored") == 2)
        #expect(old.reasons.allSatisfy { $0.contains("tombstones may have gone") })
        #expect(old.files.isEmpty, "what can never be used is removed")
    }

    @Test func onesFromTheFutureAreNotUsed() throws {
        let shop = try stoppedShop()
        let disk = shop.copy()
        disk.put(
            try shop.header(0) {
                $0.notedAtMilliseconds = shop.broker.clock.wallMilliseconds() + 3_600_000
            }
        )
        shop.restart(disk, until: 2)
        #expect(disk.count("restored") == 1)
        #expect(disk.reasons.first?.contains("from the future") == true, "\(disk.reasons)")
    }

    /// Each fits in all but one thing.
    @Test func foreignOnesAreNotUsed() throws {
        let shop = try stoppedShop()
        let end = shop.broker.highWatermark("changelog", partition: 0)
        let changes: [(String, (inout CheckpointHeader) -> Void)] = [
            ("before the start", { $0.offset = -1 }),
            ("behind the end", { $0.offset = end + 1 }),
            ("of partition 1", { $0.partition = 1 }),
            ("of group other", { $0.group = "other" }),
            ("topic other", { $0.topic = "other" }),
            ("other slots", { $0.slots ^= 1 }),
            ("written by a@1", { $0.claim = "a@1" }),
            // What follows the header belongs to another header.
            ("does not end with its footer", { $0.notedAtMilliseconds -= 1 }),
        ]
        for (words, change) in changes {
            let disk = shop.copy()
            disk.put(try shop.header(0, change))
            shop.restart(disk, until: 2)
            #expect(disk.count("restored") == 1, "\(words): \(disk.reasons)")
            #expect(disk.reasons.contains { $0.contains(words) }, "\(words): \(disk.reasons)")
        }
    }

    @Test func aGroupThatWasResetUsesNone() throws {
        let shop = try stoppedShop()
        let other = try Shop()
        let disk = shop.copy()
        other.restart(disk, until: 2)
        #expect(disk.count("ignored") == 2)
        #expect(disk.reasons.allSatisfy { $0.contains("name no owner") }, "\(disk.reasons)")
    }

    /// Rows that another worker wrote in between may have been erased since.
    @Test(arguments: [true, false])
    func anotherOwnerInBetweenIsSeen(keepsCheckpoints: Bool) throws {
        let shop = try stoppedShop()
        let other = keepsCheckpoints ? MemoryCheckpoints() : nil
        let second = shop.worker(other, instance: "b")
        shop.append(60)
        shop.run(second)
        #expect(second.stop() == .drained)
        let disk = shop.copy()
        shop.restart(disk, until: 2)
        #expect(disk.count("ignored") == 2)
        let words = keepsCheckpoints ? "b@" : "name no owner"
        #expect(disk.reasons.allSatisfy { $0.contains(words) }, "\(disk.reasons)")
    }

    /// A bit flipped anywhere, or the end missing: ignored, never used.
    @Test func damagedFilesAreNotUsed() throws {
        let shop = try stoppedShop()
        var random = SplitMix64(seed: 4)
        let whole = shop.disk.files
        let file = try #require(whole[0])
        let disk = shop.copy()
        var count = 0
        for trial in 0..<360 {
            var damaged = file
            if trial < 300 {
                damaged[random.below(file.count)] ^= 1 << UInt8(random.below(8))
            } else {
                damaged.removeLast(1 + random.below(file.count))
            }
            disk.put([0: damaged, 1: whole[1] ?? []])
            count += 2
            shop.restart(disk, until: count)
            #expect(disk.count("ignored") == trial + 1, "trial \(trial)")
        }
        disk.put(whole)
        shop.restart(disk, until: count + 2)
        #expect(disk.count("ignored") == 360)
    }

    /// Whole bytes, and yet a row that is none: what came before it is forgotten again.
    @Test(arguments: [true, false])
    func rowsBeforeARefusedOneAreForgotten(isRefused: Bool) throws {
        let shop = try stoppedShop()
        var files = shop.disk.files
        let reader = MemoryCheckpoints()
        reader.put(files)
        var checkpoint = try CheckpointReader(reader, partition: 0)
        let count = try #require(try checkpoint.next())
        let payload = checkpoint.payload
        let row = try #require(try CheckpointFrame.entries(of: payload, count: count).first)
        var encoder = CheckpointEncoder(checkpoint.header, blockBytes: 1 << 20)
        encoder.append(
            key: { $0 += Array("ghost".utf8) },
            value: { $0 += payload[row.value] }
        )
        if isRefused {
            encoder.append(
                key: { $0 += Array("none".utf8) },
                value: { $0 += payload[row.value].dropLast(9) }
            )
        }
        encoder.finish()
        files[0] = Array(encoder.takeReady().joined())
        let disk = MemoryCheckpoints(intervalMilliseconds: 3_600_000)
        disk.put(files)
        let worker = shop.worker(disk)
        shop.run(worker, turns: 200)
        #expect(worker.stop() == .drained)
        #expect(disk.count("ignored") == (isRefused ? 1 : 0), "\(disk.reasons)")
        var written = try CheckpointReader(disk, partition: 0)
        let rows = try #require(try written.next())
        let entries = try CheckpointFrame.entries(of: written.payload, count: rows)
        let keys = entries.map { String(decoding: written.payload[$0.key], as: UTF8.self) }
        #expect(keys.contains("ghost") == !isRefused)
    }

    /// The disk is full at every place of a file in turn: the one before stays, and is used.
    @Test func aFullDiskLeavesTheOneBefore() throws {
        let shop = try stoppedShop()
        let size = shop.disk.files.values.reduce(0) { $0 + $1.count }
        let disk = MemoryCheckpoints(intervalMilliseconds: 1_000)
        disk.put(shop.disk.files)
        disk.setBytesLeft(0)
        let worker = shop.worker(disk)
        var failures = 0
        for bytes in stride(from: 0, to: size, by: max(1, size / 40)) {
            disk.setBytesLeft(bytes)
            let before = disk.files
            failures = disk.count("failed") + 1
            for _ in 0..<400 where disk.count("failed") < failures {
                #expect(worker.turn() == nil)
            }
            #expect(disk.count("failed") >= failures)
            #expect(disk.begunCount == 0, "room comes back at once")
            for (partition, file) in before where disk.files[partition] != file {
                // The first of two may have fitted.
                #expect(partition == 0 && bytes > 0)
            }
        }
        let wrote = disk.count("wrote")
        #expect(wrote == 0)
        disk.setBytesLeft(.max)
        shop.run(worker)
        #expect(disk.count("wrote") > 0, "the next round tries again")
        _ = worker.stop()
        let again = MemoryCheckpoints()
        again.put(disk.files)
        shop.restart(again, until: 2)
        #expect(again.count("restored") == 2)
    }

    /// What comes back at once needs no whole restore; what does not is removed.
    @Test func filesFollowThePartitions() throws {
        let shop = try Shop(MemoryCheckpoints(intervalMilliseconds: 1_000))
        shop.append(150)
        let first = shop.worker(shop.disk)
        shop.run(first, turns: 200)
        #expect(shop.disk.files.count == 2)
        shop.broker.rebalance(group: SimulationInput.group)
        shop.run(first, turns: 20)
        #expect(shop.disk.count("restored") == 2, "\(shop.disk.reasons)")
        let second = shop.worker(nil, instance: "b")
        for _ in 0..<400 {
            #expect(first.turn() == nil)
            #expect(second.turn() == nil)
        }
        #expect(shop.disk.files.count == 1)
    }
}
