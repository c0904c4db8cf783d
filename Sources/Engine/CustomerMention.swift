import EventLog

/// How a dead letter is about a customer.
public enum CustomerMention: Sendable, Equatable {
    /// The record's key is the customer's id.
    case key
    /// It names the customer: in `customer_id`, `subject` or `ID` of its body, or in the header
    /// `ce_subject`.
    case name
    /// The id stands somewhere else, as a word of its own.
    case elsewhere
}

/// Finds what dead letters say of one customer.
///
/// A dead letter may be anything, so its body is not parsed: names and values are looked for in the
/// bytes, wherever they stand. An id written with JSON's escapes is found behind those names, and
/// not elsewhere.
struct CustomerMentions {
    private static let members = ["customer_id", "subject", "ID"].map { Array("\"\($0)\"".utf8) }
    private static let subjectHeader = Array("ce_subject".utf8)

    /// The customer's id, at least one byte.
    let id: [UInt8]

    /// What one record says of the customer, nil for nothing.
    ///
    /// - Complexity: O(bytes of the record).
    func find(in record: RecordView, of batch: RecordBatch) -> CustomerMention? {
        let bytes = batch.bytes
        if let key = record.key, bytes[key].elementsEqual(id) { return .key }
        if let value = record.value, isNamed(in: bytes[value]) { return .name }
        var isElsewhere = record.value.map { contains(bytes[$0]) } ?? false
        isElsewhere = isElsewhere || (record.key.map { contains(bytes[$0]) } ?? false)
        for header in batch.headers[record.headers] {
            guard let value = header.value else { continue }
            if bytes[header.name].elementsEqual(Self.subjectHeader),
                bytes[value].elementsEqual(id)
            {
                return .name
            }
            isElsewhere = isElsewhere || contains(bytes[value])
        }
        return isElsewhere ? .elsewhere : nil
    }

    /// Whether a member with one of the names has the id as its value.
    private func isNamed(in text: ArraySlice<UInt8>) -> Bool {
        for start in text.indices where text[start] == UInt8(ascii: "\"") {
            for name in Self.members where text[start...].starts(with: name) {
                var rest = text[(start + name.count)...].drop(while: Self.isSpace)
                guard rest.first == UInt8(ascii: ":") else { continue }
                rest = rest.dropFirst().drop(while: Self.isSpace)
                if isValue(rest) { return true }
            }
        }
        return false
    }

    /// Whether a JSON string or number at the start of a text is the id.
    private func isValue(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.first == UInt8(ascii: "\"") else {
            return text.starts(with: id)
                && !(text.dropFirst(id.count).first.map(Self.isOfNumber) ?? false)
        }
        var string = JSONStringBytes(text.dropFirst())
        for byte in id { guard string.next() == byte else { return false } }
        // A string that is cut off here may well have been this one.
        return string.next() == nil
    }

    /// Whether the id stands in a text as a word of its own.
    private func contains(_ text: ArraySlice<UInt8>) -> Bool {
        guard text.count >= id.count else { return false }
        for start in text.startIndex...(text.endIndex - id.count)
        where text[start] == id[0] && text[start...].starts(with: id) {
            let end = start + id.count
            let isBegin = start == text.startIndex || !Self.isOfWord(text[start - 1])
            if isBegin && (end == text.endIndex || !Self.isOfWord(text[end])) { return true }
        }
        return false
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || (0x09...0x0d).contains(byte)
    }

    private static func isOfNumber(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: ".")
            || byte | 0x20 == UInt8(ascii: "e")
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte >= 0x80
    }
}

/// The bytes of a JSON string with its escapes undone, up to the closing quote.
private struct JSONStringBytes {
    private var rest: ArraySlice<UInt8>
    private var ready: ArraySlice<UInt8> = []

    init(_ text: ArraySlice<UInt8>) { rest = text }

    /// The next byte, nil at the end.
    mutating func next() -> UInt8? {
        if let byte = ready.popFirst() { return byte }
        guard let byte = rest.popFirst(), byte != UInt8(ascii: "\"") else { return nil }
        guard byte == UInt8(ascii: "\\"), let kind = rest.popFirst() else { return byte }
        switch kind {
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0c
        case UInt8(ascii: "n"): return 0x0a
        case UInt8(ascii: "r"): return 0x0d
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "u"):
            ready = Array(String(decoding: units(), as: UTF16.self).utf8)[...]
            return ready.popFirst()
        default: return kind
        }
    }

    /// One code unit, or both of a pair.
    private mutating func units() -> [UInt16] {
        guard let first = hexadecimal() else { return [0xfffd] }
        let mark = [UInt8(ascii: "\\"), UInt8(ascii: "u")]
        guard (0xd800..<0xdc00).contains(first), rest.starts(with: mark) else { return [first] }
        rest = rest.dropFirst(2)
        return [first, hexadecimal() ?? 0xfffd]
    }

    private mutating func hexadecimal() -> UInt16? {
        let digits = rest.prefix(4)
        rest = rest.dropFirst(4)
        return digits.count == 4 ? UInt16(String(decoding: digits, as: UTF8.self), radix: 16) : nil
    }
}
