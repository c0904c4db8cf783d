import CCharconv

/// Appends JSON and times to a buffer of bytes, numbers in shortest round-trip form.
enum JSONText {
    static func append(_ text: StaticString, to bytes: inout [UInt8]) {
        text.withUTF8Buffer { unsafe bytes.append(contentsOf: $0) }
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
            appendShortest(number, to: &bytes)
        }
    }

    /// As `Double.description` writes it, which makes a string for it first.
    private static func appendShortest(_ number: Double, to bytes: inout [UInt8]) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        let decimal = ccv_shortest(number)
        let count = Int(decimal.count)
        // Of the digits, so many stand before the point.
        let whole = count + Int(decimal.exponent)
        if whole < -3 || number.magnitude > 0x1p53 {
            appendDigits(decimal.digits, width: 1, fraction: count - 1, to: &bytes)
            append(whole > 0 ? "e+" as StaticString : "e-", to: &bytes)
            appendDigits(UInt64((whole - 1).magnitude), width: 2, to: &bytes)
        } else if whole >= count {
            appendDigits(decimal.digits, width: 1, to: &bytes)
            for _ in count..<whole { bytes.append(UInt8(ascii: "0")) }
            append(".0" as StaticString, to: &bytes)
        } else {
            appendDigits(decimal.digits, width: 1, fraction: count - whole, to: &bytes)
        }
    }

    static func append(_ number: Int64, to bytes: inout [UInt8]) {
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        appendDigits(number.magnitude, width: 1, to: &bytes)
    }

    static func append(_ flag: Bool, to bytes: inout [UInt8]) {
        append(flag ? "true" as StaticString : "false", to: &bytes)
    }

    /// A quoted string from UTF-8 that stands in the same bytes.
    ///
    /// By index: in release builds a slice of the bytes that are appended to was seen to dangle
    /// when an append moved them.
    static func appendQuoted(_ range: Range<Int>, within bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for index in range { appendEscaped(bytes[index], to: &bytes) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A quoted string from UTF-8, which must not be a part of the bytes that it goes to.
    static func appendQuoted(_ source: some Collection<UInt8>, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        if source.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") })
        {
            bytes.append(contentsOf: source)
        } else {
            for byte in source { appendEscaped(byte, to: &bytes) }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// A string in quotes, for what is written again and again.
    static func quoted(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        appendQuoted(text.utf8, to: &bytes)
        return bytes
    }

    /// Appends what stands in the same bytes, by index as `appendQuoted`.
    static func appendCopy(of range: Range<Int>, within bytes: inout [UInt8]) {
        for index in range { bytes.append(bytes[index]) }
    }

    private static func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
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

    /// A whole number of `width` digits at least, the last `fraction` of them behind a point.
    private static func appendDigits(
        _ number: UInt64,
        width: Int,
        fraction: Int = 0,
        to bytes: inout [UInt8]
    ) {
        // Twenty digits hold every 64-bit number, and a point and zeros before it fit as well.
        var text = InlineArray<32, UInt8>(repeating: UInt8(ascii: "0"))
        var rest = number
        var first = 32
        if fraction > 0 {
            for _ in 0..<fraction {
                first -= 1
                text[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            }
            first -= 1
            text[first] = UInt8(ascii: ".")
        }
        let point = first
        while rest > 0 || point - first < width {
            first -= 1
            text[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
        unsafe text.span.extracting(first..<32).withUnsafeBufferPointer {
            unsafe bytes.append(contentsOf: $0)
        }
    }
}
