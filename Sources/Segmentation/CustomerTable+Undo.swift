/// Names an erased customer without saying who it was: two keyed 64-bit hashes of the id.
struct SuppressionKey: Hashable, Sendable {
    var high: UInt64
    var low: UInt64
    /// Every partition has its own: after a repartition all of them hold the same stubs.
    var partition: Int32

    /// The key of an id; `secret` is the group's, so that two installations cannot be compared.
    init(id: [UInt8], range: Range<Int>, secret: UInt64, partition: Int32) {
        self.partition = partition
        high = StableHash.hash(of: id, range: range, seed: secret)
        low = StableHash.hash(of: id, range: range, seed: StableHash.mix(secret &+ 1))
    }

    init(high: UInt64, low: UInt64, partition: Int32) {
        self.partition = partition
        self.high = high
        self.low = low
    }
}

/// What stays of an erased customer.
struct Suppression: Equatable, Sendable {
    /// Time of the erasure, in milliseconds since 1970.
    var time: Int64
    /// Life that ended; a new one is greater.
    var life: Int64
    var partition: Int32
}

/// What the open transaction has touched, with the bytes from before.
struct UndoLog: Sendable {
    enum Kind { case touched, inserted, removed }

    struct Entry {
        var kind: Kind
        var row: Int
        /// Index of the saved numbers, words and block in the buffers.
        var numbers = 0
        var words = 0
        var block = 0
    }

    /// Elements that are overwritten from the start by the next transaction.
    struct Buffer<Element: Sendable>: Sendable {
        let blank: Element
        var elements: [Element] = []
        private var end = 0

        init(blank: Element) { self.blank = blank }

        /// Takes room for some elements; where they begin.
        mutating func take(_ count: Int) -> Int {
            defer { end += count }
            if end + count > elements.count {
                elements.append(
                    contentsOf: repeatElement(blank, count: max(count, elements.count))
                )
            }
            return end
        }

        mutating func clear() { end = 0 }
    }

    var entries: [Entry] = []
    var numbers = Buffer<Double>(blank: 0)
    var words = Buffer<UInt64>(blank: 0)
    var blocks = Buffer<UInt64>(blank: 0)
    var suppressions: [(SuppressionKey, Suppression?)] = []
    /// Rows, not touched otherwise by then, whose mark of a change a refit took away.
    var unmarked: [Int] = []

    /// Rows, not touched otherwise by then, that a look at their due moment put off, with the
    /// moment from before: the model that said so may be taken back too.
    var postponed: [(row: Int, moment: Int64)] = []

    mutating func inserted(_ row: Int) { entries.append(Entry(kind: .inserted, row: row)) }

    mutating func clear() {
        entries.removeAll(keepingCapacity: true)
        numbers.clear()
        words.clear()
        blocks.clear()
        suppressions.removeAll(keepingCapacity: true)
        unmarked.removeAll(keepingCapacity: true)
        postponed.removeAll(keepingCapacity: true)
    }
}

extension CustomerTable {
    /// Saves a row before its first change in the open transaction.
    mutating func touch(_ row: Int) {
        guard words[row, RowWord.epoch] != transactionEpoch else { return }
        saveRow(row, as: .touched)
        words[row, RowWord.epoch] = transactionEpoch
    }

    mutating func saveRow(_ row: Int, as kind: UndoLog.Kind) {
        var entry = UndoLog.Entry(kind: kind, row: row)
        let count = blockWords(row)
        entry.numbers = undo.numbers.take(numbers.stride)
        entry.words = undo.words.take(words.stride)
        entry.block = undo.blocks.take(count)
        numbers.copy(row: row, to: &undo.numbers.elements, at: entry.numbers)
        words.copy(row: row, to: &undo.words.elements, at: entry.words)
        arena.read(blockOffset(row), count, into: &undo.blocks.elements, at: entry.block)
        undo.entries.append(entry)
    }

    /// Whether a row's changelog record of the open transaction has still to be written.
    ///
    /// Called once at the end of a transaction: afterwards the row counts as written.
    mutating func takeUnwritten(_ row: Int) -> Bool {
        guard words[row, RowWord.epoch] == transactionEpoch else { return false }
        words[row, RowWord.epoch] = transactionEpoch | Self.writtenBit
        return true
    }

    static let writtenBit: UInt64 = 1 << 63

    /// Remembers an erasure, or forgets one where nil.
    mutating func setSuppression(_ key: SuppressionKey, _ value: Suppression?) {
        undo.suppressions.append((key, suppressed[key]))
        suppressed[key] = value
    }

    /// The pending layer becomes the committed one.
    mutating func commit() {
        undo.clear()
        transactionEpoch += 1
    }

    /// Drops the pending layer: every row is again what it was when the transaction began.
    ///
    /// - Parameters:
    ///   - willRestore: called with a row before its bytes go back.
    ///   - didRestore: called with a row after its bytes went back.
    mutating func abort(
        willRestore: (Int, borrowing CustomerTable) -> Void,
        didRestore: (Int, borrowing CustomerTable) -> Void
    ) {
        for entry in undo.entries.reversed() {
            let row = entry.row
            if entry.kind != .removed {
                willRestore(row, self)
                arena.release(blockOffset(row), blockWords(row))
            }
            if entry.kind == .inserted {
                vacate(row)
                continue
            }
            if entry.kind == .removed {
                let placed = placeRow(hash: undo.words.elements[entry.words + RowWord.hash])
                precondition(placed == row, "an undone removal comes back to its own row")
            }
            numbers.write(row: row, from: undo.numbers.elements, at: entry.numbers)
            words.write(row: row, from: undo.words.elements, at: entry.words)
            let count = blockWords(row)
            let offset = arena.allocate(count)
            arena.write(offset, count, from: undo.blocks.elements, at: entry.block)
            words[row, RowWord.block] = words[row, RowWord.block] & ~0xffff_ffff | UInt64(offset)
            didRestore(row, self)
        }
        for row in undo.unmarked { words[row, RowWord.decision] |= RowFlag.changed << 40 }
        for (key, value) in undo.suppressions.reversed() { suppressed[key] = value }
        undo.clear()
        transactionEpoch += 1
    }
}
