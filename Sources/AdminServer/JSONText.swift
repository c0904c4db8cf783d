/// A JSON value that is written in the order in which it was put together.
///
/// The status is small and has a fixed order for people; a general encoder would bring Foundation.
indirect enum JSONText: ExpressibleByStringLiteral, ExpressibleByBooleanLiteral {
    case null
    case flag(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONText])
    case object(KeyValuePairs<String, JSONText>)
    /// Keys that are only known when running, in their order.
    case map([(String, JSONText)])

    init(stringLiteral value: String) { self = .text(value) }
    init(booleanLiteral value: Bool) { self = .flag(value) }

    /// An integer, or null.
    static func optional(_ value: Int64?) -> JSONText { value.map { .integer($0) } ?? .null }

    /// A text, or null.
    static func optional(_ value: String?) -> JSONText { value.map { .text($0) } ?? .null }

    /// Counts in the order of their names.
    static func counts(_ counts: [String: Int]) -> JSONText {
        .map(counts.sorted { $0.key < $1.key }.map { ($0.key, .integer(Int64($0.value))) })
    }

    /// The text in UTF-8 without white space.
    var encoded: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .flag(let value): text += value ? "true" : "false"
        case .integer(let value): text += String(value)
        // JSON has neither NaN nor infinities.
        case .number(let value): text += value.isFinite ? "\(value)" : "null"
        case .text(let value): Self.write(value, to: &text)
        case .list(let items):
            text += "["
            for (index, item) in items.enumerated() {
                if index > 0 { text += "," }
                item.write(to: &text)
            }
            text += "]"
        case .object(let pairs): Self.write(pairs.map { ($0.key, $0.value) }, to: &text)
        case .map(let pairs): Self.write(pairs, to: &text)
        }
    }

    private static func write(_ pairs: [(String, JSONText)], to text: inout String) {
        text += "{"
        for (index, (key, value)) in pairs.enumerated() {
            if index > 0 { text += "," }
            write(key, to: &text)
            text += ":"
            value.write(to: &text)
        }
        text += "}"
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
