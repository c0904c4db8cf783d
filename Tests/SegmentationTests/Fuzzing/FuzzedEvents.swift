import OnlineLearning

@testable import Segmentation

/// Records of events, valid ones and what becomes of them when fields, values and bytes change.
///
/// Seeded, without allocation once its buffers have grown: made for tens of millions of records.
struct FuzzedEvents {
    /// How a record carries its envelope.
    private enum Envelope: Int { case plain, structured, binary }

    /// A record in the making: fields by their places among names and values.
    private struct Field {
        var name: Int
        var value: Int
    }

    private var random: SeededGenerator
    private var fields: [Field] = []
    private var content: [UInt8] = []
    private var spare: [UInt8] = []
    /// Bytes of the record, with the padding that the parser wants.
    private(set) var bytes: [UInt8] = []
    private(set) var headers: [InputHeader] = []
    private(set) var record = FuzzedEvents.empty
    /// Whether nothing was changed: then it has to be accepted.
    private(set) var isValid = false

    private static let empty = InputRecord(
        key: nil,
        value: nil,
        headers: 0..<0,
        partition: 0,
        timestampMilliseconds: nil
    )

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    // MARK: names and values

    private static func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    private static let nameTexts = [
        "id", "source", "type", "time", "customer_id", "subject", "specversion", "data",
        "order_id", "amount", "currency", "categories", "channel", "discount", "full", "accepted",
        "campaign_id", "income", "birth_year", "education", "marital_status", "kids_home",
        "teens_home", "enrolled_at", "Income", "Year_Birth", "Education", "Marital_Status",
        "Kidhome", "Teenhome", "Dt_Customer", "Recency", "MntWines", "MntMeatProducts",
        "NumWebPurchases", "NumWebVisitsMonth", "Response", "Complain", "unknown", "",
        "typ\\u0065", "am\\u006funt", "\\ud83d\\ude00", "\\ud83d", "a\\u0000b",
    ]
    private static let names = bytes(nameTexts)

    /// A value for every field that a type has; what stands behind them only comes by mutation.
    private static let goodTexts = [
        "\"e-1\"", "\"shop\"", "1772442900000", "\"2026-03-01T10:15:00Z\"", "\"c-42\"", "\"1.0\"",
        "\"o-7\"", "61.5", "\"EUR\"", "{\"wines\":41.5,\"meat\":20}", "\"web\"", "true", "false",
        "\"spring\"", "52000", "1970", "\"Master\"", "\"Married\"", "1", "\"2025-06-01\"",
        "\"order.placed\"", "\"order.reversed\"", "\"customer.profile\"", "\"customer.snapshot\"",
        "\"engagement.visit\"", "\"engagement.campaign\"", "\"engagement.complaint\"",
        "\"privacy.erased\"", "58", "{\"meat\":20}",
    ]
    private static let oddTexts = [
        "null", "0", "-0", "-1", "-0.0", "0.005", "1e3", "1e308", "1e309", "-1e309", "1e-400",
        "9007199254740993", "18446744073709551615", "18446744073709551616", "-9223372036854775808",
        "9223372036854775808", "140737488355327", "140737488355328", "-140737488355328",
        "8.999e15", "0.1e1", "01", "1.", ".5", "+1", "1e", "NaN", "Infinity", "-Infinity", "nul",
        "tru", "\"\"", "\" \"", "\"\\\"", "\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\\ud800\"",
        "\"\\ud83d\\ude00\"", "\"\\x\"", "\"\u{1}\"", "\"ä€😀\"", "\"2026-02-30\"", "\"2026-13-01\"",
        "\"0000-01-01\"", "\"9999-12-31T23:59:60Z\"", "\"2026-03-01T24:00:00Z\"",
        "\"2026-03-01T10:15:00+99:99\"", "\"2026-03-01 10:15\"", "\"04-09-2012\"",
        "\"2026-03-01T10:15:00.123456789012345678901234567890Z\"", "\"USD\"", "\"XXX\"", "{}", "[]",
        "[[[[[[[[[[]]]]]]]]]]", "[1,2,{\"a\":[]}]", "{\"a\":{\"b\":{\"c\":[{}]}}}",
        "{\"wines\":1e308,\"meat\":1e308}", "{\"wines\":-1}", "{\"wines\":\"1\"}",
        "{\"wines\":null}", "{\"wines\":1,\"wines\":2}", "{\"other\":3,\"nope\":4}",
        "{\"wines\":{}}", "{\"wines\":[1]}", "{\"\":1}", "{\"wines\":1e999}", "{,}", "[,]", "{",
        "[", "}", "]", "\"", ":", ",", "",
    ]
    private static let values =
        bytes(goodTexts + oddTexts) + [
            // Deeper than any record, and longer than any number or text.
            [UInt8](repeating: UInt8(ascii: "["), count: 2_000),
            Array(("[" * 500 + "]" * 500).utf8), Array(("{\"a\":" * 300 + "1" + "}" * 300).utf8),
            Array(("1" * 400).utf8), Array(("0." + "0" * 400 + "1").utf8),
            Array(("\"" + "a" * 3_000 + "\"").utf8), [0x22, 0xff, 0xfe, 0x22], [0x22, 0xc0, 0x80],
            [0x22, 0xed, 0xa0, 0x80, 0x22], [0xef, 0xbb, 0xbf], [0],
        ]

    /// Fields of every type behind the envelope, as names and values.
    private static let bodies: [(type: Int, fields: [(String, String)])] = [
        (
            20,
            [
                ("order_id", "\"o-7\""), ("amount", "61.5"), ("currency", "\"EUR\""),
                ("categories", "{\"wines\":41.5,\"meat\":20}"), ("channel", "\"web\""),
                ("discount", "true"),
            ]
        ),
        (
            21,
            [("order_id", "\"o-7\""), ("amount", "61.5"), ("categories", "{\"meat\":20}")]
        ),
        (21, [("order_id", "\"o-7\""), ("full", "true")]),
        (
            22,
            [
                ("income", "52000"), ("birth_year", "1970"), ("education", "\"Master\""),
                ("marital_status", "\"Married\""), ("kids_home", "1"),
                ("enrolled_at", "\"2025-06-01\""),
            ]
        ),
        (
            23,
            [
                ("Income", "52000"), ("Year_Birth", "1970"), ("Education", "\"Master\""),
                ("Recency", "58"), ("MntWines", "58"), ("NumWebPurchases", "1"), ("Response", "1"),
                ("Dt_Customer", "\"2025-06-01\""),
            ]
        ),
        (24, []), (25, [("campaign_id", "\"spring\""), ("accepted", "false")]), (26, []), (27, []),
    ]
    private static let bodyFields: [(type: Int, fields: [Field])] = bodies.map { body in
        (
            body.type,
            body.fields.map { name, value in
                Field(
                    name: nameTexts.firstIndex(of: name) ?? 0,
                    value: goodTexts.firstIndex(of: value) ?? 0
                )
            }
        )
    }
    private static let keys =
        bytes(["c-42", "c-43", "", "ä", "c-\u{0}42", "a" * 300]) + [[0xff], [0xc3, 0x28], [0]]
    private static let headerNames = bytes([
        "ce_specversion", "ce_type", "ce_id", "ce_source", "ce_time", "ce_subject", "ce_other", "",
    ])
    private static let spaces = bytes(["", " ", "\n", "\t\r\n  "])

    // MARK: one record

    private mutating func below(_ limit: Int) -> Int {
        Int(truncatingIfNeeded: ((random.next() >> 32) &* UInt64(limit)) >> 32)
    }

    /// Makes the next record.
    mutating func next() {
        bytes.removeAll(keepingCapacity: true)
        headers.removeAll(keepingCapacity: true)
        record = Self.empty
        isValid = true
        let dice = below(64)
        if dice == 0 { return garbage() }
        let body = below(Self.bodyFields.count)
        let envelope = Envelope(rawValue: below(3)) ?? .plain
        fields.removeAll(keepingCapacity: true)
        if envelope == .plain { appendEnvelope(Self.bodyFields[body].type) }
        for field in Self.bodyFields[body].fields { fields.append(field) }
        // Most records differ in a few places; every eighth is as it should be.
        var changes = dice & 7
        if changes > 4 { changes &= 1 }
        for _ in 0..<changes { changeFields() }
        content.removeAll(keepingCapacity: true)
        appendObject()
        if envelope == .structured { wrap(Self.bodyFields[body].type) }
        if below(4) == 0 { for _ in 0...below(3) { changeBytes() } }
        record.key = store(Self.keys[key()])
        if envelope == .binary { appendHeaders(Self.bodyFields[body].type) }
        if below(256) == 0 {
            isValid = false
        } else {
            record.value = store(content)
        }
        pad()
    }

    private mutating func garbage() {
        isValid = false
        content.removeAll(keepingCapacity: true)
        for _ in 0..<below(200) { content.append(UInt8(truncatingIfNeeded: random.next())) }
        if below(2) == 0, !content.isEmpty { content[0] = below(2) == 0 ? 0 : UInt8(ascii: "{") }
        record.key = store(Self.keys[key()])
        record.value = store(content)
        pad()
    }

    private mutating func key() -> Int {
        guard below(32) == 0 else { return 0 }
        isValid = false
        return below(Self.keys.count)
    }

    private mutating func appendEnvelope(_ type: Int) {
        fields.append(Field(name: 0, value: 0))
        fields.append(Field(name: 1, value: 1))
        fields.append(Field(name: 2, value: type))
        fields.append(Field(name: 3, value: 2 + below(2)))
        fields.append(Field(name: 4, value: 4))
    }

    private mutating func changeFields() {
        isValid = false
        let field = Field(name: below(Self.names.count), value: below(Self.values.count))
        guard !fields.isEmpty else { return fields.append(field) }
        let index = below(fields.count)
        switch below(8) {
        case 0: fields.remove(at: index)
        case 1: fields.append(fields[index])
        case 2: fields[index].name = field.name
        case 3: fields.insert(field, at: index)
        case 4: fields.swapAt(index, below(fields.count))
        default: fields[index].value = field.value
        }
    }

    private mutating func appendObject() {
        let space = Self.spaces[below(16) == 0 ? below(Self.spaces.count) : 0]
        content.append(UInt8(ascii: "{"))
        for (index, field) in fields.enumerated() {
            if index > 0 { content.append(UInt8(ascii: ",")) }
            content.append(contentsOf: space)
            content.append(UInt8(ascii: "\""))
            content.append(contentsOf: Self.names[field.name])
            content.append(contentsOf: [UInt8(ascii: "\""), UInt8(ascii: ":")])
            content.append(contentsOf: space)
            content.append(contentsOf: Self.values[field.value])
        }
        content.append(UInt8(ascii: "}"))
    }

    /// Puts what there is into `data` of a structured event.
    private mutating func wrap(_ type: Int) {
        swap(&content, &spare)
        content.removeAll(keepingCapacity: true)
        fields.removeAll(keepingCapacity: true)
        fields.append(Field(name: 6, value: 5))
        appendEnvelope(type)
        // The customer is the subject.
        fields[5].name = 5
        if !isValid, below(2) == 0 { changeFields() }
        appendObject()
        content.removeLast()
        content.append(contentsOf: ",\"data\":".utf8)
        content.append(contentsOf: spare)
        content.append(UInt8(ascii: "}"))
    }

    private mutating func changeBytes() {
        isValid = false
        guard !content.isEmpty else { return }
        let index = below(content.count)
        switch below(8) {
        case 0: content[index] ^= 1 << UInt8(below(8))
        case 1: content[index] = UInt8(truncatingIfNeeded: random.next())
        case 2: content.remove(at: index)
        case 3: content.insert(UInt8(truncatingIfNeeded: random.next()), at: index)
        case 4: content.removeSubrange(index...)
        case 5: content.removeSubrange(index..<min(content.count, index + 1 + below(20)))
        case 6: content.insert(0, at: 0)
        default:
            // Framed as by a schema registry, or a piece of it twice.
            if below(2) == 0 {
                content.insert(contentsOf: [0, 0, 0, 0, 1], at: 0)
            } else {
                content.append(contentsOf: content[index...])
            }
        }
    }

    private mutating func appendHeaders(_ type: Int) {
        let isOdd = below(4) == 0
        if isOdd { isValid = false }
        for (name, value) in [(0, 5), (1, type), (2, 0), (3, 1), (4, 3), (5, 4)] {
            var text = Self.values[value]
            // Values of headers stand without quotes.
            text = Array(text.dropFirst().dropLast())
            var name = name
            if isOdd {
                switch below(12) {
                case 0: continue
                case 1: name = below(Self.headerNames.count)
                case 2: text = Self.values[below(Self.values.count)]
                case 3:
                    headers.append(InputHeader(name: store(Self.headerNames[name]), value: nil))
                    continue
                default: break
                }
            }
            let range = store(Self.headerNames[name])
            headers.append(InputHeader(name: range, value: store(text)))
        }
        record.headers = 0..<headers.count
    }

    private mutating func store(_ part: [UInt8]) -> Range<Int> {
        let start = bytes.count
        bytes.append(contentsOf: part)
        return start..<bytes.count
    }

    private mutating func pad() {
        for _ in 0..<64 { bytes.append(UInt8(ascii: "\"")) }
    }
}

private func * (text: String, count: Int) -> String { String(repeating: text, count: count) }
