/// A row's variable block, loaded for editing: id, times of profile fields, event ids, order
/// ledger.
///
/// One reused buffer; `load`, edit, `store`.
struct RowBlock: Sendable {
    private(set) var words = [UInt64](repeating: 0, count: WordArena.blockWordsMax)
    private var row = -1
    private var idWords = 0
    private var profileWords = 0
    private(set) var eventCount = 0
    private(set) var ledgerCount = 0
    /// Most orders that `ledger.orders` allows.
    private static let ledgerMax = 64
    private var end = 0
    /// Times of profile fields that the schema declares.
    private let profileCount: Int

    init(schema: CompiledSchema) { profileCount = schema.profileFields.count }

    private var eventStart: Int { idWords + profileWords }
    private var ledgerStart: Int { eventStart + eventCount }

    mutating func load(_ row: Int, of table: borrowing CustomerTable) {
        self.row = row
        idWords = max(1, (table.idBytes(row) + 7) / 8)
        let counts = table.words[row, RowWord.counts]
        ledgerCount = Int(counts & 0xff)
        eventCount = Int(counts >> 8 & 0xff)
        profileWords = counts >> 16 & 1 == 1 ? profileCount : 0
        end = table.blockWords(row)
        table.arena.read(table.blockOffset(row), end, into: &words)
    }

    /// Writes the block back; it moves when its size has changed.
    func store(into table: inout CustomerTable) {
        let before = table.blockWords(row)
        var offset = table.blockOffset(row)
        if WordArena.rounded(before) != WordArena.rounded(end) {
            table.arena.release(offset, before)
            offset = table.arena.allocate(end)
        }
        table.arena.write(offset, end, from: words)
        let block = table.words[row, RowWord.block]
        table.words[row, RowWord.block] =
            block & ~0xffff_ffff_ffff | UInt64(offset) | UInt64(end) << 32
        let counts = table.words[row, RowWord.counts]
        table.words[row, RowWord.counts] = counts & ~0xff_ffff | packedCounts
    }

    /// Words that the order ledger takes.
    var ledgerWords: Int { end - ledgerStart }

    // MARK: profile times

    /// Time of the newest value of a profile field; `Int64.min` for none.
    func profileTime(_ index: Int) -> Int64 {
        profileWords == 0 ? Int64.min : Int64(bitPattern: words[idWords + index])
    }

    mutating func setProfileTime(_ index: Int, _ time: Int64) {
        if profileWords == 0 {
            insert(profileCount, at: idWords)
            profileWords = profileCount
            for k in 0..<profileCount { words[idWords + k] = UInt64(bitPattern: Int64.min) }
        }
        words[idWords + index] = UInt64(bitPattern: time)
    }

    // MARK: event ids

    func containsEvent(_ hash: UInt64) -> Bool {
        for k in eventStart..<ledgerStart where words[k] == hash { return true }
        return false
    }

    /// Remembers an event id and forgets the oldest above `limit`.
    mutating func appendEvent(_ hash: UInt64, limit: Int) {
        guard limit > 0 else { return }
        while eventCount >= limit {
            remove(1, at: eventStart)
            eventCount -= 1
        }
        insert(1, at: ledgerStart)
        words[ledgerStart] = hash
        eventCount += 1
    }

    // MARK: ledger, in order of arrival

    /// Position of an order in `words`, or -1.
    func findOrder(_ hash: UInt64) -> Int {
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            if words[position] == hash { return position }
            position += LedgerWords.count(words, position)
        }
        return -1
    }

    func entry(at position: Int) -> LedgerEntry { LedgerWords.decode(words, position) }

    mutating func replace(_ entry: LedgerEntry, at position: Int) {
        let before = LedgerWords.count(words, position)
        remove(before, at: position)
        insert(LedgerWords.countMax, at: position)
        let count = LedgerWords.encode(entry, into: &words, at: position)
        remove(LedgerWords.countMax - count, at: position + count)
    }

    mutating func append(_ entry: LedgerEntry) {
        end += LedgerWords.encode(entry, into: &words, at: end)
        ledgerCount += 1
    }

    /// Takes out the order that arrived first.
    mutating func removeFirst() -> LedgerEntry {
        let entry = LedgerWords.decode(words, ledgerStart)
        remove(LedgerWords.count(words, ledgerStart), at: ledgerStart)
        ledgerCount -= 1
        return entry
    }

    /// Marks the remaining orders of a day as counted outside.
    mutating func markDayCounted(_ day: Int32, calendar: DayCalendar) {
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            if calendar.day(of: LedgerWords.time(words, position)) == day {
                words[position + 1] |= LedgerWords.dayCountedFlag
            }
            position += LedgerWords.count(words, position)
        }
    }

    /// Whether an order of the ledger says that its day, this one, is counted outside.
    func isDayCounted(_ day: Int32, calendar: DayCalendar) -> Bool {
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            if words[position + 1] & LedgerWords.dayCountedFlag != 0,
                calendar.day(of: LedgerWords.time(words, position)) == day
            {
                return true
            }
            position += LedgerWords.count(words, position)
        }
        return false
    }

    /// Every order of the ledger, in order of arrival.
    func forEachOrder(_ body: (LedgerEntry) -> Void) {
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            body(LedgerWords.decode(words, position))
            position += LedgerWords.count(words, position)
        }
    }

    /// Times of the orders of the ledger that have a version, without what else they say.
    func forEachOrderTime(_ body: (Int64) -> Void) {
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            if LedgerWords.hasVersion(words, position) { body(LedgerWords.time(words, position)) }
            position += LedgerWords.count(words, position)
        }
    }

    /// Purchase days: those outside, and the distinct days in force in the ledger not yet counted.
    ///
    /// - Returns: number of days, first and last day (`Int32.max`, `Int32.min` without a purchase).
    func purchaseDays(
        outsideCount: Int,
        outsideFirst: Int32,
        outsideLast: Int32,
        calendar: DayCalendar
    ) -> (count: Int, first: Int32, last: Int32) {
        var first = outsideFirst
        var last = outsideLast
        var days = InlineArray<64, Int32>(repeating: 0)
        assert(ledgerCount <= Self.ledgerMax)
        var distinct = 0
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            defer { position += LedgerWords.count(words, position) }
            guard LedgerWords.isInForce(words, position) else { continue }
            let day = calendar.day(of: LedgerWords.time(words, position))
            first = min(first, day)
            last = max(last, day)
            if words[position + 1] & LedgerWords.dayCountedFlag != 0 { continue }
            if day == outsideFirst || day == outsideLast { continue }
            var isNew = true
            for k in 0..<distinct where days[k] == day { isNew = false }
            if isNew {
                days[distinct] = day
                distinct += 1
            }
        }
        return (outsideCount + distinct, first, last)
    }

    // MARK: the changelog's view

    /// Indices in `words` of everything behind the id.
    var contentWords: Range<Int> { idWords..<end }

    /// Reads a block from elsewhere.
    ///
    /// - Parameters:
    ///   - bytes: where id and content stand.
    ///   - id: the customer's id.
    ///   - counts: as in `RowWord.counts`; they say how to read the content.
    ///   - content: everything behind the id, eight bytes to a word.
    /// - Returns: false when that is no block of ours; the block means nothing then.
    mutating func read(
        _ bytes: [UInt8],
        id: Range<Int>,
        counts: UInt64,
        content: Range<Int>
    ) -> Bool {
        idWords = max(1, (id.count + 7) / 8)
        ledgerCount = Int(counts & 0xff)
        eventCount = Int(counts >> 8 & 0xff)
        profileWords = counts >> 16 & 1 == 1 ? profileCount : 0
        end = idWords + content.count / 8
        guard ledgerCount <= Self.ledgerMax, ledgerStart <= end,
            end + LedgerWords.countMax <= words.count
        else { return false }
        let first = idWords
        var target = words.mutableSpan
        for k in 0..<first { target[k] = 0 }
        for k in 0..<id.count {
            target[k >> 3] |= UInt64(bytes[id.lowerBound + k]) << UInt64((k & 7) * 8)
        }
        for k in 0..<content.count / 8 {
            target[first + k] = StableHash.word(of: bytes, at: content.lowerBound + 8 * k)
        }
        var position = ledgerStart
        for _ in 0..<ledgerCount {
            guard position + 3 <= end else { return false }
            position += LedgerWords.count(words, position)
        }
        return position == end
    }

    /// Gives the block a place, as that of a row that has none yet.
    mutating func place(_ row: Int, idBytes: Int, in table: inout CustomerTable) {
        self.row = row
        let offset = table.arena.allocate(end)
        table.arena.write(offset, end, from: words)
        table.words[row, RowWord.block] =
            UInt64(offset) | UInt64(end) << 32 | UInt64(idBytes) << 48
        table.words[row, RowWord.counts] = packedCounts
    }

    private var packedCounts: UInt64 {
        UInt64(ledgerCount) | UInt64(eventCount) << 8 | (profileWords > 0 ? 1 << 16 : 0)
    }

    // MARK: words

    private mutating func insert(_ count: Int, at position: Int) {
        precondition(end + count <= words.count)
        var k = end
        while k > position {
            k -= 1
            words[k + count] = words[k]
        }
        end += count
    }

    private mutating func remove(_ count: Int, at position: Int) {
        for k in position..<(end - count) { words[k] = words[k + count] }
        end -= count
    }
}
