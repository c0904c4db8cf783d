/// Appends JSON and times to a buffer of bytes, numbers in shortest round-trip form.
enum JSONText {
    static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text.description.utf8)
    }

    static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(contentsOf: text.utf8)
    }

    /// A number; not a number and infinity become null.
    static func append(_ number: Double, to bytes: inout [UInt8]) {
        guard number.isFinite else {
            append("null", to: &bytes)
            return
        }
        if number == number.rounded() && abs(number) < 1e15 {
            append(Int64(number), to: &bytes)
        } else {
            bytes.append(contentsOf: number.description.utf8)
        }
    }

    static func append(_ number: Int64, to bytes: inout [UInt8]) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(number.magnitude, width: 1, to: &bytes)
    }

    static func append(_ flag: Bool, to bytes: inout [UInt8]) {
        append(flag ? "true" as StaticString : "false", to: &bytes)
    }

    /// A quoted string from UTF-8.
    static func appendQuoted(_ source: some Sequence<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in source {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                append("\\u00" as StaticString, to: &bytes)
                for nibble in [byte >> 4, byte & 15] {
                    bytes.append(
                        nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
                    )
                }
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// `2026-06-11T10:15:00.000Z`.
    static func appendTime(_ milliseconds: Int64, to bytes: inout [UInt8]) {
        let day = DayCalendar.floorDivide(milliseconds, DayCalendar.dayMilliseconds)
        appendDate(day: day, to: &bytes)
        let rest = UInt64(milliseconds - day * DayCalendar.dayMilliseconds)
        bytes.append(UInt8(ascii: "T"))
        appendDigits(rest / 3_600_000, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        appendDigits(rest / 60_000 % 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        appendDigits(rest / 1000 % 60, width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        appendDigits(rest % 1000, width: 3, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// `2026-03-01`.
    static func appendDate(day: Int64, to bytes: inout [UInt8]) {
        let (year, month, date) = DayCalendar.civil(ofDay: day)
        appendDigits(year.magnitude, width: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        appendDigits(UInt64(month), width: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        appendDigits(UInt64(date), width: 2, to: &bytes)
    }

    private static func appendDigits(_ number: UInt64, width: Int, to bytes: inout [UInt8]) {
        var digits = 1
        var limit: UInt64 = 10
        while digits < 20 && number >= limit {
            digits += 1
            if digits == 20 { break }
            limit *= 10
        }
        for _ in 0..<max(0, width - digits) { bytes.append(UInt8(ascii: "0")) }
        let start = bytes.count
        for _ in 0..<digits { bytes.append(0) }
        var rest = number
        var position = start + digits
        while position > start {
            position -= 1
            bytes[position] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
    }
}
