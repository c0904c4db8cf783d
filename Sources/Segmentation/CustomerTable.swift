import Kernels

/// What the row itself says, beside slots and ledger; index of the word and its parts.
enum RowWord {
    static let hash = 0
    static let life = 1
    /// Revision (low 32 bits) and model version (high 32).
    static let revisionAndVersion = 2
    static let clock = 3
    static let segmentSince = 4
    static let cooldownUntil = 5
    /// Published segment, membership, band and flags, partition: 16 bits each, from the lowest.
    static let decision = 6
    /// First (low) and last (high) purchase day outside the ledger.
    static let daysOutside = 7
    /// Number of purchase days outside (low) and first purchase day of all (high).
    static let outsideCountAndFirst = 8
    /// Last purchase day of all (low) and number of purchase days of all (high).
    static let lastAndCount = 9
    /// Offset (32), words (16) and id bytes (16) of the row's block.
    static let block = 10
    /// Ledger entries (8), event ids (8), has profile times (8), spare (8), statistics epoch (32).
    static let counts = 11
    /// Transaction epoch; 0 = the row is not in use.
    static let epoch = 12
    /// Due moment with its bits turned so that 0 is none; derived, not part of the durable state.
    static let due = 13
    static let count = 14
}

/// Bits of a row's flags.
enum RowFlag {
    static let outlier: UInt64 = 1
    static let segmentPublished: UInt64 = 2
    static let inUse: UInt64 = 4
    /// Changed since the last refit; not part of the durable state.
    static let changed: UInt64 = 8
    /// A move to the nearest segment waits for the end of the minimum dwell.
    static let moveWaits: UInt64 = 16
}

/// Churn band of a row.
public enum ChurnBand: UInt8, Sendable, CaseIterable {
    /// Nothing can be said yet.
    case insufficientData
    /// Nothing to do.
    case low
    /// Worth a look.
    case medium
    /// Likely gone.
    case high

    /// Name in records.
    public var name: String {
        switch self {
        case .insufficientData: "insufficient_data"
        case .low: "low"
        case .medium: "medium"
        case .high: "high"
        }
    }
}

/// One row per customer: fixed-stride numbers and words, and one variable block, no object per
/// customer.
///
/// The table has two layers. What a transaction touches is saved first (see `CustomerTable+Undo`),
/// so that an abort puts every byte back and a commit just forgets what was saved.
struct CustomerTable: Sendable {
    let schema: CompiledSchema
    var numbers: RowStore<Double>
    var words: RowStore<UInt64>
    var arena = WordArena()
    var undo = UndoLog()
    private var index = CustomerIndex()
    private var freeRows: [Int] = []
    private(set) var rowEnd = 0
    /// Customers in the table.
    private(set) var count = 0
    /// Erased customers whose late events are kept out.
    var suppressed: [SuppressionKey: Suppression] = [:]
    /// Epoch of the open transaction, from 1.
    var transactionEpoch: UInt64 = 1
    /// Rows below it have their blocks in chunks that stay; nil where no blocks are being moved.
    var compactionCursor: Int?
    /// A block on its way, reused.
    var scratch = [UInt64](repeating: 0, count: WordArena.blockWordsMax)

    init(schema: CompiledSchema) {
        self.schema = schema
        numbers = RowStore(stride: schema.numberCount, initial: 0)
        words = RowStore(stride: RowWord.count, initial: 0)
    }

    /// Bytes of memory of rows, blocks and index.
    var memoryBytes: Int {
        numbers.memoryBytes + words.memoryBytes + arena.memoryBytes + index.memoryBytes
    }

    func isInUse(_ row: Int) -> Bool { words[row, RowWord.decision] >> 40 & RowFlag.inUse != 0 }

    /// Row of a customer, or -1.
    func find(hash: UInt64, id: [UInt8], range: Range<Int>) -> Int {
        var position = index.first(hash)
        while true {
            let row = index.row(at: position)
            if row < 0 { return -1 }
            if words[row, RowWord.hash] == hash && hasID(row, id, range) { return row }
            position = index.following(hash, after: position)
        }
    }

    /// Row that is looked at first for a hash, or -1; nearly always the customer's own.
    func firstRow(hash: UInt64) -> Int { index.row(at: index.first(hash)) }

    /// Reads where a hash begins in the index.
    ///
    /// - Returns: a number that depends on it, so that the reading is not optimised away.
    func warmIndex(hash: UInt64) -> UInt64 { index.warm(hash) }

    private func hasID(_ row: Int, _ id: [UInt8], _ range: Range<Int>) -> Bool {
        guard idBytes(row) == range.count else { return false }
        return arena.holds(id, range, at: blockOffset(row))
    }

    /// Appends rows of another table as they are, but without their blocks, and without index: for
    /// a refit, which reads numbers and words alone.
    mutating func appendRows(_ range: Range<Int>, of other: CustomerTable) {
        var rowNumbers = Array(repeating: 0.0, count: numbers.stride)
        var rowWords = Array(repeating: UInt64(0), count: words.stride)
        for row in range {
            other.numbers.copy(row: row, to: &rowNumbers, at: 0)
            other.words.copy(row: row, to: &rowWords, at: 0)
            numbers.reserve(row: rowEnd)
            words.reserve(row: rowEnd)
            numbers.write(row: rowEnd, from: rowNumbers, at: 0)
            words.write(row: rowEnd, from: rowWords, at: 0)
            if isInUse(rowEnd) { count += 1 }
            rowEnd += 1
        }
    }

    /// Appends a customer's id to `target`.
    func appendID(of row: Int, to target: inout [UInt8]) {
        let count = idBytes(row)
        let start = target.count
        target.append(contentsOf: repeatElement(0, count: count))
        arena.copyBytes(blockOffset(row), count, to: &target, at: start)
    }

    /// A customer's id.
    func id(of row: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        appendID(of: row, to: &bytes)
        return bytes
    }

    /// Adds a row; its life, clock and partition are the caller's to set.
    mutating func insert(hash: UInt64, id: [UInt8], range: Range<Int>) -> Int {
        let row = placeRow(hash: hash)
        numbers.write(row: row, from: schema.initialNumbers, at: 0)
        words.write(row: row, from: Self.initialWords, at: 0)
        words[row, RowWord.hash] = hash
        words[row, RowWord.epoch] = transactionEpoch
        let idWords = (range.count + 7) / 8
        for k in 0..<idWords { scratch[k] = 0 }
        for k in 0..<range.count {
            scratch[k >> 3] |= UInt64(id[range.lowerBound + k]) << UInt64((k & 7) * 8)
        }
        let offset = arena.allocate(max(1, idWords))
        arena.write(offset, idWords, from: scratch)
        words[row, RowWord.block] =
            UInt64(offset) | UInt64(max(1, idWords)) << 32 | UInt64(range.count) << 48
        undo.inserted(row)
        return row
    }

    /// Adds a row that was read from elsewhere; it is committed, and no abort takes it out.
    mutating func insert(
        _ decoded: inout DecodedRow,
        hash: UInt64,
        idBytes: Int,
        partition: Int32,
        block: inout RowBlock
    ) -> Int {
        let row = placeRow(hash: hash)
        decoded.words[RowWord.hash] = hash
        decoded.words[RowWord.epoch] = transactionEpoch
        decoded.words[RowWord.decision] |= UInt64(UInt16(partition)) << 48
        numbers.write(row: row, from: decoded.numbers, at: 0)
        words.write(row: row, from: decoded.words, at: 0)
        block.place(row, idBytes: idBytes, in: &self)
        return row
    }

    /// Takes a row out; its bytes are saved until the transaction ends.
    mutating func remove(_ row: Int) {
        saveRow(row, as: .removed)
        arena.release(blockOffset(row), blockWords(row))
        vacate(row)
    }

    // MARK: parts of a row

    /// No purchase day: an empty range, first above last.
    static let noDays =
        UInt64(UInt32(bitPattern: Int32.max)) | UInt64(UInt32(bitPattern: Int32.min)) << 32

    /// Words of a customer of whom nothing is known.
    private static let initialWords: [UInt64] = {
        var words = Array(repeating: UInt64(0), count: RowWord.count)
        words[RowWord.decision] = RowFlag.inUse << 40
        words[RowWord.daysOutside] = noDays
        words[RowWord.outsideCountAndFirst] = noDays << 32
        words[RowWord.lastAndCount] = noDays >> 32
        return words
    }()

    func blockOffset(_ row: Int) -> UInt32 { UInt32(truncatingIfNeeded: words[row, RowWord.block]) }
    func blockWords(_ row: Int) -> Int { Int(words[row, RowWord.block] >> 32 & 0xffff) }
    func idBytes(_ row: Int) -> Int { Int(words[row, RowWord.block] >> 48) }
    func life(_ row: Int) -> Int64 { Int64(bitPattern: words[row, RowWord.life]) }
    func clock(_ row: Int) -> Int64 { Int64(bitPattern: words[row, RowWord.clock]) }
    func segmentSince(_ row: Int) -> Int64 { Int64(bitPattern: words[row, RowWord.segmentSince]) }
    func cooldownUntil(_ row: Int) -> Int64 { Int64(bitPattern: words[row, RowWord.cooldownUntil]) }
    func revision(_ row: Int) -> UInt32 {
        UInt32(truncatingIfNeeded: words[row, RowWord.revisionAndVersion])
    }
    func modelVersion(_ row: Int) -> Int { Int(words[row, RowWord.revisionAndVersion] >> 32) }
    func publishedSegment(_ row: Int) -> Int { Int(words[row, RowWord.decision] & 0xffff) }
    func membership(_ row: Int) -> Int { Int(words[row, RowWord.decision] >> 16 & 0xffff) }
    func band(_ row: Int) -> ChurnBand {
        ChurnBand(rawValue: UInt8(words[row, RowWord.decision] >> 32 & 0xff)) ?? .insufficientData
    }
    func isOutlier(_ row: Int) -> Bool {
        words[row, RowWord.decision] >> 40 & RowFlag.outlier != 0
    }
    func partition(_ row: Int) -> Int32 { Int32(words[row, RowWord.decision] >> 48) }
    /// Number of purchase days; x is one less.
    func purchaseDays(_ row: Int) -> Int { Int(words[row, RowWord.lastAndCount] >> 32) }
    func firstPurchaseDay(_ row: Int) -> Int32 {
        Int32(truncatingIfNeeded: words[row, RowWord.outsideCountAndFirst] >> 32)
    }
    func lastPurchaseDay(_ row: Int) -> Int32 {
        Int32(truncatingIfNeeded: words[row, RowWord.lastAndCount])
    }

    mutating func setLife(_ row: Int, _ life: Int64) {
        words[row, RowWord.life] = UInt64(bitPattern: life)
    }
    mutating func setClock(_ row: Int, _ clock: Int64) {
        words[row, RowWord.clock] = UInt64(bitPattern: clock)
    }
    mutating func setSegmentSince(_ row: Int, _ time: Int64) {
        words[row, RowWord.segmentSince] = UInt64(bitPattern: time)
    }
    mutating func setCooldownUntil(_ row: Int, _ time: Int64) {
        words[row, RowWord.cooldownUntil] = UInt64(bitPattern: time)
    }
    mutating func setRevision(_ row: Int, _ revision: UInt32) {
        let word = words[row, RowWord.revisionAndVersion]
        words[row, RowWord.revisionAndVersion] = word & ~0xffff_ffff | UInt64(revision)
    }
    mutating func setModelVersion(_ row: Int, _ version: Int) {
        let word = words[row, RowWord.revisionAndVersion]
        words[row, RowWord.revisionAndVersion] = word & 0xffff_ffff | UInt64(version) << 32
    }
    mutating func setPublishedSegment(_ row: Int, _ segment: Int) {
        words[row, RowWord.decision] = words[row, RowWord.decision] & ~0xffff | UInt64(segment)
    }
    mutating func setMembership(_ row: Int, _ segment: Int) {
        words[row, RowWord.decision] =
            words[row, RowWord.decision] & ~0xffff_0000 | UInt64(segment) << 16
    }
    mutating func setBand(_ row: Int, _ band: ChurnBand) {
        words[row, RowWord.decision] =
            words[row, RowWord.decision] & ~(0xff << 32) | UInt64(band.rawValue) << 32
    }
    mutating func setOutlier(_ row: Int, _ isOutlier: Bool) {
        let bit = RowFlag.outlier << 40
        let word = words[row, RowWord.decision]
        words[row, RowWord.decision] = isOutlier ? word | bit : word & ~bit
    }
    mutating func setPartition(_ row: Int, _ partition: Int32) {
        words[row, RowWord.decision] =
            words[row, RowWord.decision] & ~(0xffff << 48) | UInt64(UInt16(partition)) << 48
    }

    /// Whether the statistics have not been told yet of a change of this row.
    func isDirty(_ row: Int, epoch: UInt32) -> Bool {
        UInt32(truncatingIfNeeded: words[row, RowWord.counts] >> 32) == epoch
    }
    mutating func setDirty(_ row: Int, epoch: UInt32) {
        words[row, RowWord.counts] = words[row, RowWord.counts] & 0xffff_ffff | UInt64(epoch) << 32
    }

    /// Notes a change since the last refit.
    ///
    /// - Returns: true for the first one.
    mutating func markChanged(_ row: Int) -> Bool {
        let bit = RowFlag.changed << 40
        if words[row, RowWord.decision] & bit != 0 { return false }
        words[row, RowWord.decision] |= bit
        return true
    }
    /// Forgets a change that a refit has taken note of, with no transaction open.
    ///
    /// - Returns: whether there was one.
    mutating func takeChanged(_ row: Int) -> Bool {
        let bit = RowFlag.changed << 40
        guard words[row, RowWord.decision] & bit != 0 else { return false }
        words[row, RowWord.decision] &= ~bit
        return true
    }
    mutating func clearChanged(_ row: Int) {
        let bit = RowFlag.changed << 40
        guard words[row, RowWord.decision] & bit != 0 else { return }
        words[row, RowWord.decision] &= ~bit
        // A row that the open transaction has touched is saved as a whole.
        if words[row, RowWord.epoch] & ~Self.writtenBit != transactionEpoch {
            undo.unmarked.append(row)
        }
    }

    // MARK: rows and index

    mutating func placeRow(hash: UInt64) -> Int {
        let row = freeRows.popLast() ?? rowEnd
        if row == rowEnd {
            rowEnd += 1
            numbers.reserve(row: row)
            words.reserve(row: row)
        }
        count += 1
        index.insert(row: row, hash: hash)
        return row
    }

    mutating func vacate(_ row: Int) {
        index.remove(row: row, hash: words[row, RowWord.hash])
        words[row, RowWord.decision] = 0
        freeRows.append(row)
        count -= 1
    }
}

/// Open addressing from hash to row: 8 bytes a slot, linear probing, at most 3/4 full.
///
/// A slot holds 32 bits of the hash beside the row, so that a row is looked at only when it is most
/// likely the right one, and so that growing looks at none.
struct CustomerIndex: Sendable {
    private static let empty = UInt64.max
    /// The tag in the high half, the row in the low one; `empty` for none.
    private var slots: [UInt64] = Array(repeating: CustomerIndex.empty, count: 1024)
    private var used = 0

    var memoryBytes: Int { slots.count * 8 }

    /// The part of a hash that a slot keeps; where a row's search begins follows from it.
    private static func tag(of hash: UInt64) -> UInt64 { hash << 24 & 0xffff_ffff_0000_0000 }

    private func start(of tag: UInt64) -> Int {
        Int(truncatingIfNeeded: tag >> 32) & (slots.count - 1)
    }
    private func next(_ position: Int) -> Int { (position + 1) & (slots.count - 1) }

    /// Where the rows of a hash begin: its first slot with the same tag, or an empty one.
    func first(_ hash: UInt64) -> Int { match(hash, from: start(of: Self.tag(of: hash))) }
    /// The slot with the same tag behind one, or an empty one.
    func following(_ hash: UInt64, after position: Int) -> Int { match(hash, from: next(position)) }

    /// What stands where the rows of a hash begin.
    func warm(_ hash: UInt64) -> UInt64 { slots[start(of: Self.tag(of: hash))] }

    /// Row of a slot, -1 for an empty one.
    func row(at position: Int) -> Int {
        let slot = slots[position]
        return slot == Self.empty ? -1 : Int(slot & 0xffff_ffff)
    }

    private func match(_ hash: UInt64, from start: Int) -> Int {
        let tag = Self.tag(of: hash)
        var position = start
        while true {
            let slot = slots[position]
            if slot == Self.empty || slot & 0xffff_ffff_0000_0000 == tag { return position }
            position = next(position)
        }
    }

    mutating func insert(row: Int, hash: UInt64) {
        precondition(row < UInt32.max, "more customers than an index can name")
        if (used + 1) * 4 > slots.count * 3 { grow() }
        place(Self.tag(of: hash) | UInt64(row))
        used += 1
    }

    private mutating func place(_ slot: UInt64) {
        var position = start(of: slot)
        while slots[position] != Self.empty { position = next(position) }
        slots[position] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = LargePages.array(capacity: old.count * 2)
        slots.append(contentsOf: repeatElement(Self.empty, count: old.count * 2))
        for slot in old where slot != Self.empty { place(slot) }
    }

    /// Takes a row out and moves later ones of its run back, so that no gap hides them.
    mutating func remove(row: Int, hash: UInt64) {
        let slot = Self.tag(of: hash) | UInt64(row)
        var gap = start(of: slot)
        while slots[gap] != slot {
            precondition(slots[gap] != Self.empty, "a row that is not in the index")
            gap = next(gap)
        }
        used -= 1
        var position = next(gap)
        while slots[position] != Self.empty {
            let home = start(of: slots[position])
            // Movable when its home is not behind the gap, seen around the ring.
            if (position &- home) & (slots.count - 1) >= (position &- gap) & (slots.count - 1) {
                slots[gap] = slots[position]
                gap = position
            }
            position = next(position)
        }
        slots[gap] = Self.empty
    }
}
