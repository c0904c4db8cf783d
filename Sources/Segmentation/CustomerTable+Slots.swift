/// How events move the numbers of a row.
extension CustomerTable {
    /// Adds to a slot, plain or decayed.
    mutating func add(_ amount: Double, to number: Int, decay: Int, of row: Int, at time: Int64) {
        guard decay >= 0 else {
            numbers[row, number] += amount
            return
        }
        let slot = schema.decays[decay]
        let halfLife = slot.halfLifeMilliseconds
        let landmark = Decay.landmark(at: time, halfLife: halfLife)
        var own = numbers[row, slot.landmark]
        if numbers[row, number] == 0 {
            own = landmark
        } else if landmark > own {
            // Eight half-lives on: an exact power of two.
            numbers[row, number] = scalbn8(numbers[row, number], own - landmark)
            own = landmark
        }
        numbers[row, slot.landmark] = own
        numbers[row, number] +=
            amount * Decay.weight(at: time, landmark: own, halfLife: halfLife)
    }

    private func scalbn8(_ value: Double, _ landmarks: Double) -> Double {
        value * Double(sign: .plus, exponent: max(-1022, Int(8 * landmarks)), significand: 1)
    }

    /// Moves the slots from what an order put in before to what it puts in now.
    mutating func moveOrder(from old: LedgerEntry?, to new: LedgerEntry, of row: Int) {
        if let old { apply(old, sign: -1, to: row) }
        apply(new, sign: 1, to: row)
    }

    private mutating func apply(_ entry: LedgerEntry, sign: Double, to row: Int) {
        let count = schema.categoryCount
        let effect = entry.effect(categoryCount: count)
        if effect.mask != 0 {
            for slot in schema.amountSlots {
                if slot.decay >= 0 && !entry.hasVersion { continue }
                let amount = slot.filter < 0 ? effect.total : effect[slot.filter]
                if amount == 0 { continue }
                add(sign * amount, to: slot.number, decay: slot.decay, of: row, at: entry.time)
            }
        }
        guard entry.isInForce else { return }
        for slot in schema.orderCountSlots {
            if slot.filter >= 0 && slot.filter != entry.channel { continue }
            if slot.discount >= 0 && (slot.discount == 1) != entry.discount { continue }
            add(sign, to: slot.number, decay: slot.decay, of: row, at: entry.time)
        }
    }

    /// Counts an engagement.
    mutating func count(
        _ slots: [CompiledSchema.CountSlot],
        accepted: Bool,
        of row: Int,
        at time: Int64
    ) {
        for slot in slots {
            if slot.accepted >= 0 && (slot.accepted == 1) != accepted { continue }
            add(1, to: slot.number, decay: slot.decay, of: row, at: time)
        }
    }

    /// Takes an order that leaves the ledger over into the days outside.
    mutating func retire(
        _ entry: LedgerEntry,
        of row: Int,
        block: inout RowBlock,
        calendar: DayCalendar
    ) {
        guard entry.isInForce else { return }
        let day = calendar.day(of: entry.time)
        let outside = words[row, RowWord.daysOutside]
        let first = Int32(truncatingIfNeeded: outside)
        let last = Int32(truncatingIfNeeded: outside >> 32)
        if !entry.isDayCountedOutside && day != first && day != last {
            words[row, RowWord.outsideCountAndFirst] += 1
            words[row, RowWord.daysOutside] = Self.days(min(first, day), max(last, day))
        }
        block.markDayCounted(day, calendar: calendar)
    }

    /// Whether a purchase day is known to be among the days outside the ledger.
    func isDayCounted(
        _ day: Int32,
        of row: Int,
        block: RowBlock,
        calendar: DayCalendar
    ) -> Bool {
        let outside = words[row, RowWord.daysOutside]
        return day == Int32(truncatingIfNeeded: outside)
            || day == Int32(truncatingIfNeeded: outside >> 32)
            || block.isDayCounted(day, calendar: calendar)
    }

    static func days(_ low: Int32, _ high: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: low)) | UInt64(UInt32(bitPattern: high)) << 32
    }

    /// Derives purchase days and the last-purchase slot from ledger and days outside.
    mutating func derivePurchases(of row: Int, block: RowBlock, calendar: DayCalendar) {
        deriveDays(of: row, block: block, calendar: calendar)
        guard schema.lastPurchase >= 0 else { return }
        let base = numbers[row, schema.lastPurchaseBase]
        guard purchaseDays(row) > 0 else {
            numbers[row, schema.lastPurchase] = base
            return
        }
        let start =
            Double(calendar.start(ofDay: lastPurchaseDay(row)))
            / Double(DayCalendar.dayMilliseconds)
        numbers[row, schema.lastPurchase] = base.isNaN ? start : max(base, start)
    }

    /// Derives purchase days (x, first, last) from ledger and days outside.
    mutating func deriveDays(of row: Int, block: RowBlock, calendar: DayCalendar) {
        let outside = words[row, RowWord.daysOutside]
        let outsideCount = words[row, RowWord.outsideCountAndFirst] & 0xffff_ffff
        let days = block.purchaseDays(
            outsideCount: Int(outsideCount),
            outsideFirst: Int32(truncatingIfNeeded: outside),
            outsideLast: Int32(truncatingIfNeeded: outside >> 32),
            calendar: calendar
        )
        words[row, RowWord.outsideCountAndFirst] =
            outsideCount | UInt64(UInt32(bitPattern: days.first)) << 32
        words[row, RowWord.lastAndCount] =
            UInt64(UInt32(bitPattern: days.last)) | UInt64(days.count) << 32
    }
}
