import OnlineLearning

@testable import Segmentation

/// A small shop with its changelog and a checkpoint that is written while events go on.
struct CheckpointShop: ~Copyable {
    /// One record of the changelog.
    struct Entry {
        var key: [UInt8]
        var value: [UInt8]?
    }

    var feeder = Feeder(SmallShop.configuration)
    var events: RandomEvents
    /// Committed records, by offset.
    private(set) var changelog: [Entry] = []
    private var erasures = 0

    static let partition: Int32 = 3

    init(seed: UInt64, customers: Int = 60) {
        events = RandomEvents(seed: seed, customers: customers)
    }

    func header(offset: Int) -> CheckpointHeader {
        CheckpointHeader(
            group: "shop",
            topic: "customers",
            partition: Self.partition,
            claim: "1@1000",
            offset: Int64(offset),
            notedAtMilliseconds: 1_000,
            slots: feeder.core.slotFingerprint
        )
    }

    /// A transaction of some events, an erasure among them; its changelog is kept when committed.
    mutating func transaction(_ count: Int, commits: Bool = true) {
        feeder.core.begin()
        feeder.output.removeAll()
        for _ in 0..<count { feeder.apply(events.next(), partition: Self.partition) }
        erasures += 1
        let customer = (erasures &* 7) % events.customers
        feeder.apply(
            "{\"id\":\"x\(erasures)\",\"time\":\(SmallShop.start),\"customer_id\":\"c\(customer)\","
                + "\"type\":\"privacy.erased\"}",
            partition: Self.partition
        )
        guard commits else { return feeder.core.abort() }
        feeder.core.expireSuppressions(into: &feeder.output)
        feeder.core.appendChangelog(into: &feeder.output)
        for record in feeder.output.records where record.destination == .changelog {
            let value = record.value.map { Array(feeder.output.bytes[$0]) }
            changelog.append(Entry(key: Array(feeder.output.bytes[record.key]), value: value))
        }
        feeder.core.commit()
    }

    /// Writes a checkpoint in slices; transactions go on between them, some of them aborted.
    mutating func checkpoint(rows: Int, busy: Bool, blockBytes: Int = 2_000) -> [UInt8] {
        var round = CheckpointRound([header(offset: changelog.count)], blockBytes: blockBytes)
        var file: [UInt8] = []
        var slices = 0
        while !round.isComplete {
            feeder.core.advance(&round, limit: rows) { file += $0.bytes }
            slices += 1
            if busy { transaction(9, commits: slices % 3 != 0) }
        }
        return file
    }

    /// Rows and stubs by key, in the changelog's bytes.
    var contents: [[UInt8]: [UInt8]] { Self.contents(feeder.core) }

    static func contents(_ core: borrowing SegmentationCore) -> [[UInt8]: [UInt8]] {
        var block = core.block
        var result: [[UInt8]: [UInt8]] = [:]
        for row in 0..<core.table.rowEnd where core.table.isInUse(row) {
            var bytes: [UInt8] = []
            RowCodec.encode(row, of: core.table, block: &block, into: &bytes)
            result[core.table.id(of: row)] = bytes
        }
        for (key, stub) in core.table.suppressed {
            var bytes: [UInt8] = []
            let ranges = RowCodec.encode(key, stub, into: &bytes)
            result[Array(bytes[ranges.key])] = Array(bytes[ranges.value])
        }
        return result
    }

    /// A table from a checkpoint and the changelog behind its offset.
    func restored(from file: [UInt8]) throws -> [[UInt8]: [UInt8]] {
        var fresh = Feeder(SmallShop.configuration)
        let offset = try CheckpointFile.load(file, into: &fresh.core).offset
        try replay(from: Int(offset), into: &fresh.core)
        return Self.contents(fresh.core)
    }

    /// A table from the whole changelog.
    func restoredFromChangelog() throws -> [[UInt8]: [UInt8]] {
        var fresh = Feeder(SmallShop.configuration)
        try replay(from: 0, into: &fresh.core)
        return Self.contents(fresh.core)
    }

    private func replay(from offset: Int, into core: inout SegmentationCore) throws {
        for entry in changelog[offset...] {
            let bytes = entry.key + (entry.value ?? [])
            try core.restoreRow(
                key: 0..<entry.key.count,
                value: entry.value == nil ? nil : entry.key.count..<bytes.count,
                bytes: bytes,
                partition: Self.partition
            )
        }
        core.finishRestore()
    }
}

/// Reads a checkpoint from memory, as the engine does from its file.
enum CheckpointFile {
    static func load(
        _ file: [UInt8],
        into core: inout SegmentationCore
    ) throws -> CheckpointHeader {
        var position = 0
        func take(_ count: Int) -> [UInt8] {
            defer { position = min(file.count, position + count) }
            return Array(file[position..<min(file.count, position + count)])
        }
        let prefix = take(CheckpointHeader.prefixBytes)
        let length = try CheckpointHeader.length(fromPrefix: prefix)
        var decoder = try CheckpointDecoder(header: prefix + take(length - prefix.count))
        while true {
            let frame = try decoder.frame(head: take(CheckpointFrame.headBytes))
            let payload = take(frame.payloadBytes)
            try decoder.check(frame, payload: payload)
            if frame.isFooter { break }
            try core.restoreBlock(
                payload,
                entries: frame.entries,
                partition: decoder.header.partition
            )
        }
        guard position == file.count else { throw CheckpointFailure.truncated }
        return decoder.header
    }
}
