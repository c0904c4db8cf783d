/// Writers of the few JSON pieces that an event consists of, straight into bytes.
///
/// Everything written is ASCII of the simulator's own making, so nothing ever needs escaping.
extension Array where Element == UInt8 {
    /// Appends ASCII text as it stands.
    @inline(__always)
    mutating func write(_ text: String) {
        append(contentsOf: text.utf8)
    }

    /// Appends a non-negative integer in decimal, padded with zeros to a width.
    mutating func write(_ value: Int, width: Int = 1) {
        assert(value >= 0, "only non-negative numbers are written")
        // Digits come out from the right; a word has at most 20, so 32 lanes hold them all.
        var digits = SIMD32<UInt8>()
        var count = 0
        var rest = UInt64(value)
        repeat {
            let quotient = rest / 10
            digits[count] = UInt8(truncatingIfNeeded: rest &- quotient &* 10) &+ 0x30
            rest = quotient
            count &+= 1
        } while rest > 0
        while count < width {
            digits[count] = 0x30
            count &+= 1
        }
        while count > 0 {
            count &-= 1
            append(digits[count])
        }
    }

    /// Appends an amount given in cents in its shortest form: 61.5, 20, 0.05.
    mutating func write(cents: Int) {
        write(cents / 100)
        let fraction = cents % 100
        guard fraction > 0 else { return }
        append(0x2E)
        append(UInt8(0x30 + fraction / 10))
        if fraction % 10 > 0 { append(UInt8(0x30 + fraction % 10)) }
    }

    /// Appends a date, `2026-03-01`.
    mutating func write(date time: Int64) {
        let day = CivilTime.day(dayNumber: CivilTime.dayNumber(time))
        write(day.year, width: 4)
        append(0x2D)
        write(day.month, width: 2)
        append(0x2D)
        write(day.day, width: 2)
    }

    /// Appends a moment to the second, `2026-03-01T10:15:00Z`.
    mutating func write(timestamp time: Int64) {
        write(date: time)
        let dayStart = Int64(CivilTime.dayNumber(time)) * CivilTime.millisecondsPerDay
        let second = Int((time - dayStart) / 1_000)
        append(0x54)
        write(second / 3_600, width: 2)
        append(0x3A)
        write(second / 60 % 60, width: 2)
        append(0x3A)
        write(second % 60, width: 2)
        append(0x5A)
    }
}
