/// One remembered order, decoded.
///
/// What it puts into the slots is a pure function of the entry (`effect`), so a change of the entry
/// moves the slots by the difference, and the order of arrival inside the ledger does not matter.
struct LedgerEntry: Equatable {
    /// Hash of the order id.
    var hash: UInt64 = 0
    /// Time of the newest version, in milliseconds since 1970.
    var time: Int64 = 0
    var channel = CompiledSchema.otherChannel
    var discount = false
    /// The purchase day is counted among the days outside the ledger.
    var isDayCountedOutside = false
    /// False while only a reversal of the order has been seen.
    var hasVersion = false
    /// Time of the newest full reversal.
    var fullReversal: Int64?
    /// What the newest version holds.
    var amounts = OrderAmounts()
    /// Reversed by category, added up over versions.
    var reversed = OrderAmounts()
    /// Reversed without categories: taken from what the categories leave, in proportion.
    var reversedUncategorised = 0.0

    /// Whether the order counts: its newest version is newer than its full reversal.
    var isInForce: Bool {
        guard hasVersion else { return false }
        return fullReversal.map { time > $0 } ?? true
    }

    /// Money per category that the entry has put into the slots.
    ///
    /// A reversal of an order that has not been seen takes money out at once, below zero if need
    /// be.
    func effect(categoryCount: Int) -> OrderAmounts {
        var result = OrderAmounts()
        guard hasVersion else {
            for category in 0..<categoryCount where reversed[category] != 0 {
                result[category] = -reversed[category]
            }
            if reversedUncategorised != 0 { result[categoryCount - 1] -= reversedUncategorised }
            return result
        }
        guard isInForce else { return result }
        if reversed.mask == 0 && reversedUncategorised == 0 { return amounts }
        var rest = 0.0
        for category in 0..<categoryCount {
            let remaining = max(0, amounts[category] - reversed[category])
            result[category] = remaining
            rest += remaining
        }
        if reversedUncategorised > 0 && rest > 0 {
            let kept = max(0, 1 - reversedUncategorised / rest)
            for category in 0..<categoryCount { result[category] *= kept }
        }
        return result
    }
}

/// The words of an entry: byte layout in `Segmentation.docc/RowFormat.md`.
///
/// Amounts that are whole cents below 2^32 take 32 bits each, others 64, so that an order of up to
/// seven categories takes 48 bytes.
enum LedgerWords {
    private static let fullFlag: UInt64 = 1 << 6
    private static let wideFlag: UInt64 = 1 << 7
    private static let versionFlag: UInt64 = 1 << 8
    private static let uncategorisedFlag: UInt64 = 1 << 9
    private static let discountFlag: UInt64 = 1 << 4
    static let dayCountedFlag: UInt64 = 1 << 5
    /// Largest entry: header, full reversal, 16 + 16 + 1 wide amounts.
    static let countMax = 4 + 33

    /// Words of the entry that starts at `start`.
    static func count(_ words: [UInt64], _ start: Int) -> Int {
        let flags = words[start + 1]
        let masks = words[start + 2]
        let payload =
            (masks & 0xffff).nonzeroBitCount + (masks >> 16 & 0xffff).nonzeroBitCount
            + (flags & uncategorisedFlag != 0 ? 1 : 0)
        let head = flags & fullFlag != 0 ? 4 : 3
        return head + (flags & wideFlag != 0 ? payload : payload / 2)
    }

    static func time(_ words: [UInt64], _ start: Int) -> Int64 {
        Int64(bitPattern: words[start + 1]) >> 16
    }

    /// Whether a version has come, and not a reversal alone.
    static func hasVersion(_ words: [UInt64], _ start: Int) -> Bool {
        words[start + 1] & versionFlag != 0
    }

    static func isInForce(_ words: [UInt64], _ start: Int) -> Bool {
        let flags = words[start + 1]
        guard flags & versionFlag != 0 else { return false }
        if flags & fullFlag == 0 { return true }
        return time(words, start) > Int64(bitPattern: words[start + 3])
    }

    /// Writes an entry.
    ///
    /// - Returns: the words it took.
    static func encode(_ entry: LedgerEntry, into words: inout [UInt64], at start: Int) -> Int {
        var flags = UInt64(entry.channel)
        if entry.discount { flags |= discountFlag }
        if entry.isDayCountedOutside { flags |= dayCountedFlag }
        if entry.hasVersion { flags |= versionFlag }
        if entry.fullReversal != nil { flags |= fullFlag }
        if entry.reversedUncategorised != 0 { flags |= uncategorisedFlag }
        if !isNarrow(entry) { flags |= wideFlag }
        words[start] = entry.hash
        words[start + 1] = UInt64(bitPattern: entry.time << 16) | flags
        words[start + 2] = UInt64(entry.amounts.mask) | UInt64(entry.reversed.mask) << 16
        var next = start + 3
        if let time = entry.fullReversal {
            words[next] = UInt64(bitPattern: time)
            next += 1
        }
        let isWide = flags & wideFlag != 0
        var position = 0
        func put(_ value: Double) {
            if isWide {
                words[next + position] = value.bitPattern
            } else {
                let cents = UInt64((value * 100).rounded())
                // The first amount fits beside the masks, the others share words in pairs.
                if position == 0 {
                    words[start + 2] |= cents << 32
                } else if position & 1 == 1 {
                    words[next + position / 2] = cents
                } else {
                    words[next + position / 2 - 1] |= cents << 32
                }
            }
            position += 1
        }
        forEach(entry.amounts, put)
        forEach(entry.reversed, put)
        if entry.reversedUncategorised != 0 { put(entry.reversedUncategorised) }
        return next - start + (isWide ? position : position / 2)
    }

    /// Reads the entry that starts at `start`.
    static func decode(_ words: [UInt64], _ start: Int) -> LedgerEntry {
        var entry = LedgerEntry()
        let flags = words[start + 1]
        let masks = words[start + 2]
        entry.hash = words[start]
        entry.time = time(words, start)
        entry.channel = Int(flags & 0xf)
        entry.discount = flags & discountFlag != 0
        entry.isDayCountedOutside = flags & dayCountedFlag != 0
        entry.hasVersion = flags & versionFlag != 0
        var next = start + 3
        if flags & fullFlag != 0 {
            entry.fullReversal = Int64(bitPattern: words[next])
            next += 1
        }
        let isWide = flags & wideFlag != 0
        var position = 0
        func take() -> Double {
            defer { position += 1 }
            if isWide { return Double(bitPattern: words[next + position]) }
            let cents =
                position == 0
                ? masks >> 32
                : position & 1 == 1
                    ? words[next + position / 2] & 0xffff_ffff
                    : words[next + position / 2 - 1] >> 32
            return Double(cents) / 100
        }
        var rest = masks & 0xffff
        while rest != 0 {
            entry.amounts[rest.trailingZeroBitCount] = take()
            rest &= rest - 1
        }
        rest = masks >> 16 & 0xffff
        while rest != 0 {
            entry.reversed[rest.trailingZeroBitCount] = take()
            rest &= rest - 1
        }
        if flags & uncategorisedFlag != 0 { entry.reversedUncategorised = take() }
        return entry
    }

    private static func forEach(_ amounts: OrderAmounts, _ body: (Double) -> Void) {
        var rest = amounts.mask
        while rest != 0 {
            body(amounts[rest.trailingZeroBitCount])
            rest &= rest - 1
        }
    }

    private static func isNarrow(_ entry: LedgerEntry) -> Bool {
        var narrow = isCents(entry.reversedUncategorised)
        forEach(entry.amounts) { narrow = narrow && isCents($0) }
        forEach(entry.reversed) { narrow = narrow && isCents($0) }
        return narrow
    }

    /// Whether 32 bits of cents give back exactly this number.
    private static func isCents(_ value: Double) -> Bool {
        guard value >= 0 && value < 42_000_000 else { return false }
        return (value * 100).rounded() / 100 == value
    }
}
