/// Bytes become a `CustomerEvent` or a `Rejection`.
///
/// Three envelopes are told apart without configuration: CloudEvents binary mode (`ce_*` headers),
/// structured mode (`specversion` in the body), and a plain object.
struct EventDecoder: ~Copyable {
    private let schema: CompiledSchema
    private let limits: SegmentationConfiguration.Limits
    private let currencyHash: UInt64
    private var rates: [UInt64: Double]
    private let typesBySymbol: [EventType]
    private let channelSymbol: Int
    /// Where a record without key takes its customer from: only in replay.
    private let customerFromBody: Bool
    private var parser: JSONRecordParser
    /// Fields of the profile or snapshot just decoded.
    private(set) var fields: Fields
    /// Category names that no group holds, met so far.
    private(set) var unknownCategoryCount = 0

    init(configuration: SegmentationConfiguration, schema: CompiledSchema, customerFromBody: Bool) {
        self.schema = schema
        self.limits = configuration.limits
        self.customerFromBody = customerFromBody
        parser = JSONRecordParser(
            names: schema.fieldNames,
            symbols: schema.symbols,
            symbolCategories: schema.symbolCategories,
            recordBytesMax: configuration.limits.recordBytes
        )
        typesBySymbol = EventType.allCases
        channelSymbol = EventType.allCases.count
        currencyHash = Self.hash(ofCurrency: configuration.currency)
        rates = Self.rates(configuration)
        fields = Fields(schema: schema)
    }

    /// Takes other exchange rates over.
    mutating func take(ratesOf configuration: SegmentationConfiguration) {
        rates = Self.rates(configuration)
    }

    private static func hash(ofCurrency code: String) -> UInt64 {
        StableHash.hash(of: Array(code.utf8), range: 0..<code.utf8.count)
    }

    private static func rates(_ configuration: SegmentationConfiguration) -> [UInt64: Double] {
        Dictionary(
            configuration.currencyRates.map { (hash(ofCurrency: $0.key), $0.value) },
            uniquingKeysWith: { $1 }
        )
    }

    /// Fields of a profile or snapshot, in the schema's order.
    struct Fields {
        /// NaN unknown.
        fileprivate(set) var values: [Double]
        fileprivate(set) var isPresent: [Bool]

        init(schema: CompiledSchema) {
            let count = max(schema.profileFields.count, schema.snapshotFields.count)
            values = Array(repeating: .nan, count: count)
            isPresent = Array(repeating: false, count: count)
        }
    }

    /// Gives the fields of the event just decoded away for others to write into.
    mutating func exchangeFields(with other: inout Fields) { swap(&fields, &other) }

    /// The parser's strings, in which a customer id from the body stands.
    var text: [UInt8] { parser.text }

    /// Decodes one record; nil, or why it cannot be used.
    mutating func decode(
        _ record: InputRecord,
        bytes: [UInt8],
        headers: [InputHeader],
        to event: inout CustomerEvent
    ) -> Rejection? {
        do throws(Rejection) {
            try decode(record, bytes: bytes, headers: headers, into: &event)
            return nil
        } catch {
            return error
        }
    }

    /// Decodes one record.
    ///
    /// - Throws: the rejection; no state has changed then.
    mutating func decode(
        _ record: InputRecord,
        bytes: [UInt8],
        headers: [InputHeader],
        into event: inout CustomerEvent
    ) throws(Rejection) {
        event.customerIsInText = false
        if let key = record.key, !key.isEmpty {
            guard Self.isUTF8(bytes, key) else {
                throw Rejection(.malformedJSON, "the key is not UTF-8")
            }
            event.customer = key
            event.customerHash = StableHash.hash(of: bytes, range: key)
        } else if !customerFromBody {
            throw Rejection(.missingCustomer, "the record has no key")
        } else {
            event.customer = 0..<0
        }
        guard var value = record.value else { throw Rejection(.nullValue, "privacy.on_null") }
        if value.count > limits.recordBytes { throw Rejection(.tooLarge, "limits.record_bytes") }
        if value.count >= 5 && bytes[value.lowerBound] == 0 {
            value = value.lowerBound + 5..<value.upperBound
            guard let first = value.first(where: { !Self.isSpace(bytes[$0]) }),
                bytes[first] == UInt8(ascii: "{")
            else { throw Rejection(.unsupportedEncoding, "framed content that is not JSON") }
        }
        if let rejection = parser.parse(bytes, value) { throw rejection }
        let isStructured =
            parser.kind(EnvelopeField.specversion.rawValue, inData: false) != .absent
            && parser.kind(EnvelopeField.data.rawValue, inData: false) == .object
        var envelope = Envelope()
        if !record.headers.isEmpty {
            envelope.read(headers[record.headers], bytes: bytes, types: typesBySymbol)
        }
        try decodeEnvelope(envelope, isStructured: isStructured, bytes: bytes, into: &event)
        try decodeCustomer(envelope, isStructured: isStructured, bytes: bytes, into: &event)
        try decodeBody(inData: isStructured, into: &event)
    }

    private func decodeEnvelope(
        _ envelope: Envelope,
        isStructured: Bool,
        bytes: [UInt8],
        into event: inout CustomerEvent
    ) throws(Rejection) {
        if envelope.isBinary {
            guard let type = envelope.type else {
                throw envelope.hasType
                    ? Rejection(.unknownType, "ce_type") : Rejection(.missingField, "ce_type")
            }
            event.type = type
        } else {
            let type = parser.field(EnvelopeField.type.rawValue, inData: false)
            switch type.kind {
            case .string:
                guard type.symbol >= 0 && type.symbol < typesBySymbol.count else {
                    throw Rejection(.unknownType, "type")
                }
                event.type = typesBySymbol[type.symbol]
            case .absent, .null: throw Rejection(.missingField, "type")
            default: throw Rejection(.wrongType, "type")
            }
        }
        if envelope.isBinary, let time = envelope.time {
            guard let milliseconds = TimeText.parse(bytes, time) else {
                throw Rejection(.wrongType, "ce_time")
            }
            event.time = milliseconds
        } else {
            event.time = try moment(
                parser.field(EnvelopeField.time.rawValue, inData: false),
                "time"
            )
        }
        guard abs(Double(event.time)) < Self.timeMax else { throw Rejection(.outOfRange, "time") }
        var id: UInt64 = 0
        var source: UInt64 = 0
        if envelope.isBinary {
            id = envelope.idHash
            source = envelope.sourceHash
        } else {
            id = try textHash(.id)
            source = try textHash(.source)
        }
        event.eventHash = id == 0 ? 0 : StableHash.mix(id ^ (source &* 0x9e37_79b9_7f4a_7c15)) | 1
    }

    private func textHash(_ name: EnvelopeField) throws(Rejection) -> UInt64 {
        let field = parser.field(name.rawValue, inData: false)
        switch field.kind {
        case .string: return field.text.isEmpty ? 0 : field.hash | 1
        case .absent, .null: return 0
        default: throw Rejection(.wrongType, String(describing: name))
        }
    }

    private func decodeCustomer(
        _ envelope: Envelope,
        isStructured: Bool,
        bytes: [UInt8],
        into event: inout CustomerEvent
    ) throws(Rejection) {
        if let subject = envelope.subject, envelope.isBinary {
            if event.customer.isEmpty {
                throw Rejection(.missingCustomer, "ce_subject without a key")
            }
            guard Self.equal(bytes, subject, bytes, event.customer) else {
                throw Rejection(.keyMismatch, "ce_subject")
            }
        }
        if !envelope.isBinary { try match(.subject, inData: false, bytes: bytes, into: &event) }
        try match(.customer_id, inData: isStructured, bytes: bytes, into: &event)
        if event.customer.isEmpty { throw Rejection(.missingCustomer, "customer_id") }
    }

    private func match(
        _ name: EnvelopeField,
        inData: Bool,
        bytes: [UInt8],
        into event: inout CustomerEvent
    ) throws(Rejection) {
        let field = parser.field(name.rawValue, inData: inData)
        switch field.kind {
        case .absent, .null: return
        case .string: break
        default: throw Rejection(.wrongType, String(describing: name))
        }
        if event.customer.isEmpty && !event.customerIsInText {
            if field.text.isEmpty { throw Rejection(.missingCustomer, String(describing: name)) }
            event.customer = field.text
            event.customerIsInText = true
            event.customerHash = StableHash.hash(of: parser.text, range: field.text)
            return
        }
        let equal =
            event.customerIsInText
            ? Self.equal(parser.text, field.text, parser.text, event.customer)
            : Self.equal(parser.text, field.text, bytes, event.customer)
        if !equal { throw Rejection(.keyMismatch, String(describing: name)) }
    }

    private mutating func decodeBody(inData: Bool, into event: inout CustomerEvent)
        throws(Rejection)
    {
        switch event.type {
        case .profile:
            try decodeFields(schema.profileFields, inData: inData, time: event.time)
        case .snapshot:
            try decodeFields(schema.snapshotFields, inData: inData, time: event.time)
        case .orderPlaced: try decodeOrder(inData: inData, into: &event)
        case .orderReversed: try decodeReversal(inData: inData, into: &event)
        case .campaign:
            event.flag = try flag(.accepted, inData: inData)
        case .visit, .complaint, .erased: break
        }
    }

    private mutating func decodeOrder(inData: Bool, into event: inout CustomerEvent)
        throws(Rejection)
    {
        event.orderHash = try orderID(inData: inData)
        let field = parser.field(EnvelopeField.amount.rawValue, inData: inData)
        let rate = try currencyRate(inData: inData)
        let amount = try money(field, "amount")
        event.hasAmount = true
        try decodeAmounts(amount, rate: rate, inData: inData, into: &event)
        let channel = parser.field(EnvelopeField.channel.rawValue, inData: inData)
        switch channel.kind {
        case .absent, .null: event.channel = CompiledSchema.otherChannel
        case .string:
            let code = channel.symbol - channelSymbol
            event.channel =
                (0..<CompiledSchema.channels.count).contains(code)
                ? code : CompiledSchema.otherChannel
        default: throw Rejection(.wrongType, "channel")
        }
        event.flag = try flag(.discount, inData: inData)
    }

    private mutating func decodeReversal(
        inData: Bool,
        into event: inout CustomerEvent
    ) throws(Rejection) {
        event.orderHash = try orderID(inData: inData)
        event.flag = try flag(.full, inData: inData)
        let field = parser.field(EnvelopeField.amount.rawValue, inData: inData)
        event.hasAmount = field.kind != .absent && field.kind != .null
        event.order = OrderAmounts()
        event.hasCategories = false
        guard event.hasAmount else {
            if !event.flag { throw Rejection(.missingField, "amount or full") }
            return
        }
        let rate = try currencyRate(inData: inData)
        try decodeAmounts(try money(field, "amount"), rate: rate, inData: inData, into: &event)
    }

    private func decodeAmounts(
        _ amount: Double,
        rate: Double,
        inData: Bool,
        into event: inout CustomerEvent
    ) throws(Rejection) {
        let other = schema.categories.count
        event.order = OrderAmounts()
        event.hasCategories = false
        switch parser.kind(EnvelopeField.categories.rawValue, inData: inData) {
        case .absent, .null: event.order[other] = amount * rate
        case .object:
            let found = parser.categoryAmounts(inData: inData)
            if found.fault == 1 { throw Rejection(.wrongType, "categories") }
            if found.fault == 2 { throw Rejection(.outOfRange, "categories") }
            let declared = found.amounts.total
            // Half a cent, and what the rounding of a sum of decimal fractions leaves; an infinite
            // sum is refused too.
            guard declared + found.undeclared <= amount + 0.005 + 1e-12 * max(1, amount) else {
                throw Rejection(.outOfRange, "categories exceed amount")
            }
            event.order = found.amounts
            event.hasCategories = found.amounts.mask != 0 || found.undeclared != 0
            // Rounding to the cent in the parts is not money in `other`.
            let rest = amount - declared
            if rest > 1e-9 * max(1, amount) { event.order[other] = rest }
            if rate != 1 {
                for category in 0...other where event.order[category] != 0 {
                    event.order[category] *= rate
                }
            }
        default: throw Rejection(.wrongType, "categories")
        }
    }

    private func money(_ field: JSONRecordParser.Field, _ name: String) throws(Rejection) -> Double
    {
        switch field.kind {
        case .number:
            guard field.number >= 0 && field.number <= limits.amount else {
                throw Rejection(.outOfRange, name)
            }
            return field.number
        case .overflow: throw Rejection(.outOfRange, name)
        case .absent, .null: throw Rejection(.missingField, name)
        default: throw Rejection(.wrongType, name)
        }
    }

    private func currencyRate(inData: Bool) throws(Rejection) -> Double {
        let field = parser.field(EnvelopeField.currency.rawValue, inData: inData)
        switch field.kind {
        case .absent, .null: return 1
        case .string:
            let hash = StableHash.hash(of: parser.text, range: field.text)
            if hash == currencyHash { return 1 }
            guard let rate = rates[hash] else { throw Rejection(.unknownCurrency, "currency") }
            return rate
        default: throw Rejection(.wrongType, "currency")
        }
    }

    private func orderID(inData: Bool) throws(Rejection) -> UInt64 {
        let field = parser.field(EnvelopeField.order_id.rawValue, inData: inData)
        switch field.kind {
        case .string:
            if field.text.isEmpty { throw Rejection(.missingField, "order_id") }
            return field.hash
        case .absent, .null: throw Rejection(.missingField, "order_id")
        default: throw Rejection(.wrongType, "order_id")
        }
    }

    private func flag(_ name: EnvelopeField, inData: Bool) throws(Rejection) -> Bool {
        let field = parser.field(name.rawValue, inData: inData)
        switch field.kind {
        case .bool: return field.number != 0
        case .absent, .null: return false
        default: throw Rejection(.wrongType, String(describing: name))
        }
    }

    private func moment(
        _ field: JSONRecordParser.Field,
        _ name: String
    ) throws(Rejection) -> Int64 {
        switch field.kind {
        case .number:
            guard field.number == field.number.rounded(), abs(field.number) < 9e15 else {
                throw Rejection(.wrongType, name)
            }
            guard abs(field.number) < Self.timeMax else { throw Rejection(.outOfRange, name) }
            return Int64(field.number)
        case .string:
            guard let milliseconds = TimeText.parse(parser.text, field.text) else {
                throw Rejection(.wrongType, name)
            }
            return milliseconds
        case .overflow: throw Rejection(.outOfRange, name)
        case .absent, .null: throw Rejection(.missingField, name)
        default: throw Rejection(.wrongType, name)
        }
    }

    /// 48 bits of milliseconds, as the order ledger keeps them: years -2,490 to 6,429.
    static let timeMax = 140_737_488_355_328.0

    private mutating func decodeFields(
        _ fields: [CompiledSchema.FieldSlot],
        inData: Bool,
        time: Int64
    ) throws(Rejection) {
        for (position, slot) in fields.enumerated() {
            let field = parser.field(slot.field, inData: inData)
            self.fields.isPresent[position] = field.kind != .absent
            switch field.kind {
            case .absent: continue
            case .null: self.fields.values[position] = .nan
            case .number where slot.isMoment && !slot.isDaysAgo, .string where slot.isMoment:
                self.fields.values[position] = try momentField(field, slot)
            case .number where slot.category < 0:
                guard field.number >= 0 && field.number <= slot.maximum else {
                    throw Rejection(.outOfRange, schema.fieldNames[slot.field])
                }
                self.fields.values[position] =
                    slot.isDaysAgo
                    ? Double(time) / Double(DayCalendar.dayMilliseconds) - field.number
                    : field.number
            case .bool where slot.category < 0 && !slot.isMoment:
                self.fields.values[position] = field.number
            case .string where slot.category >= 0:
                let levels = schema.categorySlots[slot.category]
                let level = field.symbol < 0 ? -1 : Int(levels.levelOfSymbol[field.symbol])
                if level < 0 { unknownCategoryCount += 1 }
                self.fields.values[position] = Double(level < 0 ? levels.defaultLevel : level)
            case .overflow: throw Rejection(.outOfRange, schema.fieldNames[slot.field])
            default: throw Rejection(.wrongType, schema.fieldNames[slot.field])
            }
        }
    }

    /// Days since 1970 of a date, a time, or epoch milliseconds.
    private func momentField(
        _ field: JSONRecordParser.Field,
        _ slot: CompiledSchema.FieldSlot
    ) throws(Rejection) -> Double {
        let day = Double(DayCalendar.dayMilliseconds)
        if field.kind == .string, let date = TimeText.parseDate(parser.text, field.text) {
            return Double(date)
        }
        return Double(try moment(field, schema.fieldNames[slot.field])) / day
    }

    /// Outputs carry the key as text, so that other bytes would make them no JSON.
    private static func isUTF8(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        var isASCII = true
        for index in range where bytes[index] >= 0x80 { isASCII = false }
        return isASCII || String(validating: bytes[range], as: UTF8.self) != nil
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09
    }

    private static func equal(_ a: [UInt8], _ ra: Range<Int>, _ b: [UInt8], _ rb: Range<Int>)
        -> Bool
    {
        guard ra.count == rb.count else { return false }
        for k in 0..<ra.count where a[ra.lowerBound + k] != b[rb.lowerBound + k] { return false }
        return true
    }
}

/// CloudEvents attributes from `ce_*` headers.
private struct Envelope {
    var isBinary = false
    var hasType = false
    var type: EventType?
    var time: Range<Int>?
    var subject: Range<Int>?
    var idHash: UInt64 = 0
    var sourceHash: UInt64 = 0

    mutating func read(_ headers: ArraySlice<InputHeader>, bytes: [UInt8], types: [EventType]) {
        for header in headers {
            guard let value = header.value else { continue }
            if names(header, "ce_specversion", bytes) {
                isBinary = true
            } else if names(header, "ce_type", bytes) {
                hasType = true
                isBinary = true
                type = types.first { Self.equal(bytes, value, $0.rawValue) }
            } else if names(header, "ce_id", bytes) {
                idHash = StableHash.hash(of: bytes, range: value) | 1
            } else if names(header, "ce_source", bytes) {
                sourceHash = StableHash.hash(of: bytes, range: value) | 1
            } else if names(header, "ce_time", bytes) {
                time = value
            } else if names(header, "ce_subject", bytes) {
                subject = value
            }
        }
    }

    private func names(_ header: InputHeader, _ name: StaticString, _ bytes: [UInt8]) -> Bool {
        Self.equal(bytes, header.name, name.description)
    }

    private static func equal(_ bytes: [UInt8], _ range: Range<Int>, _ text: String) -> Bool {
        range.count == text.utf8.count && zip(bytes[range], text.utf8).allSatisfy { $0 == $1 }
    }
}
