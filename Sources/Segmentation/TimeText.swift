/// RFC 3339 times and dates from bytes, and back, without Foundation.
package enum TimeText {
    /// Parses `2026-03-01T10:15:00.123Z`, an offset such as `+02:00`, a space or lower-case `t` and
    /// `z`, or a date alone (00:00:00Z).
    ///
    /// - Returns: milliseconds since 1970, or nil when it is no time.
    package static func parse(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
        guard let day = parseDate(bytes, range.prefix(10)) else { return nil }
        let date = day * DayCalendar.dayMilliseconds
        if range.count == 10 { return date }
        var index = range.lowerBound + 10
        guard range.count >= 20,
            [UInt8(ascii: "T"), UInt8(ascii: "t"), UInt8(ascii: " ")].contains(bytes[index]),
            bytes[index + 3] == UInt8(ascii: ":"), bytes[index + 6] == UInt8(ascii: ":"),
            let hour = digits(bytes, index + 1, 2), hour < 24,
            let minute = digits(bytes, index + 4, 2), minute < 60,
            let second = digits(bytes, index + 7, 2), second <= 60
        else { return nil }
        index += 9
        var milliseconds: Int64 = 0
        if bytes[index] == UInt8(ascii: ".") {
            index += 1
            var scale: Int64 = 100
            let start = index
            while index < range.upperBound, let digit = digits(bytes, index, 1) {
                milliseconds += digit * scale
                scale /= 10
                index += 1
            }
            guard index > start, index < range.upperBound else { return nil }
        }
        var offset: Int64 = 0
        switch bytes[index] {
        case UInt8(ascii: "Z"), UInt8(ascii: "z"):
            guard index + 1 == range.upperBound else { return nil }
        case UInt8(ascii: "+"), UInt8(ascii: "-"):
            guard index + 6 == range.upperBound, bytes[index + 3] == UInt8(ascii: ":"),
                let hours = digits(bytes, index + 1, 2), hours < 24,
                let minutes = digits(bytes, index + 4, 2), minutes < 60
            else { return nil }
            offset = (hours * 60 + minutes) * 60_000
            if bytes[index] == UInt8(ascii: "-") { offset = -offset }
        default: return nil
        }
        return date + ((hour * 60 + minute) * 60 + second) * 1000 + milliseconds - offset
    }

    /// Parses `yyyy-mm-dd` or `dd-mm-yyyy` into days since 1970.
    static func parseDate(_ bytes: [UInt8], _ range: Range<Int>) -> Int64? {
        guard range.count == 10 else { return nil }
        let dash = UInt8(ascii: "-")
        let start = range.lowerBound
        let year: Int64?
        let month: Int64?
        let day: Int64?
        if bytes[start + 4] == dash && bytes[start + 7] == dash {
            (year, month, day) = (
                digits(bytes, start, 4), digits(bytes, start + 5, 2), digits(bytes, start + 8, 2)
            )
        } else if bytes[start + 2] == dash && bytes[start + 5] == dash {
            (day, month, year) = (
                digits(bytes, start, 2), digits(bytes, start + 3, 2), digits(bytes, start + 6, 4)
            )
        } else {
            return nil
        }
        guard let year, let month, let day, (1...12).contains(month), day >= 1 else { return nil }
        let number = DayCalendar.dayNumber(year: year, month: month, day: day)
        // A day that does not exist, such as 30 February, comes back as another date.
        let back = DayCalendar.civil(ofDay: number)
        return back.month == month && back.day == day ? number : nil
    }

    private static func digits(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int64? {
        var value: Int64 = 0
        for index in start..<(start + count) {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value * 10 + Int64(digit)
        }
        return value
    }
}

extension Range<Int> {
    /// The first elements of a range, at most `count`.
    fileprivate func prefix(_ count: Int) -> Range<Int> {
        lowerBound..<Swift.min(upperBound, lowerBound + count)
    }
}

/// Times outside of events, such as on a command line, read as events are.
public enum EventTime {
    /// Milliseconds since 1970 of a date (00:00Z) or an RFC 3339 time, nil when it is neither.
    public static func parse(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        return bytes.count < 10 ? nil : TimeText.parse(bytes, 0..<bytes.count)
    }
}
