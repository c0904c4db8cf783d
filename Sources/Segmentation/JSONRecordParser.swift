import CSimdjson

/// One record's bytes in, typed fields out, no tree: the only file that calls the simdjson shim.
///
/// It owns the parser, its tables and one reused buffer for strings. Not thread-safe; one worker
/// has one.
@safe struct JSONRecordParser: ~Copyable {
    /// What a field holds.
    enum Kind: Int32 {
        case absent, null, number, string, bool, object, array, overflow
    }

    /// A read-only view of one field.
    struct Field {
        var kind: Kind
        var number: Double
        var symbol: Int
        var hash: UInt64
        /// Range of a string's bytes in `text`.
        var text: Range<Int>
    }

    private let handle: OpaquePointer
    private let dataName: Int32
    private let categoriesName: Int32
    private var top: [csj_field]
    private var data: [csj_field]
    private var topAmounts = csj_amounts()
    private var dataAmounts = csj_amounts()
    /// Bytes of all strings of the record.
    private(set) var text: [UInt8]

    /// - Parameters:
    ///   - names: fields to look for.
    ///   - symbols: strings with codes.
    ///   - symbolCategories: category of each symbol, -1 for none.
    ///   - recordBytesMax: largest record, in bytes.
    init(names: [String], symbols: [String], symbolCategories: [Int32], recordBytesMax: Int) {
        precondition(symbols.count == symbolCategories.count)
        dataName = Int32(EnvelopeField.data.rawValue)
        categoriesName = Int32(EnvelopeField.categories.rawValue)
        top = Array(repeating: csj_field(), count: names.count)
        data = top
        text = Array(repeating: 0, count: recordBytesMax + 64)
        unsafe handle = Self.withCStrings(names) { names in
            unsafe Self.withCStrings(symbols) { symbols in
                unsafe symbolCategories.withUnsafeBufferPointer { categories in
                    unsafe csj_create(
                        names.baseAddress,
                        names.count,
                        symbols.baseAddress,
                        categories.baseAddress,
                        symbols.count
                    )
                }
            }
        }
    }

    deinit { unsafe csj_destroy(handle) }

    /// Reads one record.
    ///
    /// - Parameters:
    ///   - bytes: a batch's bytes, with 64 readable ones behind the record.
    ///   - range: the record.
    /// - Returns: nil, or the rejection.
    mutating func parse(_ bytes: [UInt8], _ range: Range<Int>) -> Rejection? {
        precondition(range.upperBound + 64 <= bytes.count && range.count + 64 <= text.count)
        let status = unsafe bytes.withUnsafeBufferPointer { source in
            unsafe top.withUnsafeMutableBufferPointer { top in
                unsafe data.withUnsafeMutableBufferPointer { data in
                    unsafe text.withUnsafeMutableBufferPointer { text in
                        unsafe csj_parse(
                            handle,
                            source.baseAddress.map { unsafe $0 + range.lowerBound },
                            range.count,
                            source.count - range.lowerBound,
                            dataName,
                            categoriesName,
                            top.baseAddress,
                            &topAmounts,
                            data.baseAddress,
                            &dataAmounts,
                            text.baseAddress,
                            text.count
                        )
                    }
                }
            }
        }
        switch UInt32(status) {
        case CSJ_OK.rawValue: return nil
        case CSJ_NOT_AN_OBJECT.rawValue: return Rejection(.malformedJSON, "not a JSON object")
        case CSJ_TOO_LARGE.rawValue: return Rejection(.tooLarge, "limits.record_bytes")
        default: return Rejection(.malformedJSON, "not valid JSON")
        }
    }

    /// A field of the top level, or of the object under `data`.
    func field(_ index: Int, inData: Bool) -> Field {
        let raw = inData ? data[index] : top[index]
        return Field(
            kind: Kind(rawValue: raw.kind) ?? .absent,
            number: raw.number,
            symbol: Int(raw.symbol),
            hash: raw.hash,
            text: Int(raw.text_offset)..<Int(raw.text_offset) + Int(raw.text_length)
        )
    }

    /// Kind of a field, without the rest.
    func kind(_ index: Int, inData: Bool) -> Kind {
        Kind(rawValue: inData ? data[index].kind : top[index].kind) ?? .absent
    }

    /// What the object under `categories` held.
    func categoryAmounts(inData: Bool) -> (amounts: OrderAmounts, undeclared: Double, fault: Int) {
        let raw = inData ? dataAmounts : topAmounts
        var amounts = OrderAmounts()
        var rest = raw.mask
        unsafe withUnsafeBytes(of: raw.amounts) { bytes in
            let values = unsafe bytes.assumingMemoryBound(to: Double.self)
            while rest != 0 {
                let category = rest.trailingZeroBitCount
                unsafe amounts[category] = values[category]
                rest &= rest &- 1
            }
        }
        return (amounts, raw.undeclared, Int(raw.fault))
    }

    private static func withCStrings<Result>(
        _ strings: [String],
        _ body: (UnsafeBufferPointer<UnsafePointer<CChar>?>) -> Result
    ) -> Result {
        var bytes: [CChar] = []
        var offsets: [Int] = []
        for string in strings {
            offsets.append(bytes.count)
            bytes += string.utf8.map { CChar(bitPattern: $0) } + [0]
        }
        return unsafe bytes.withUnsafeBufferPointer { buffer in
            let pointers = unsafe offsets.map { offset in
                unsafe buffer.baseAddress.map { unsafe $0 + offset }
            }
            return unsafe pointers.withUnsafeBufferPointer(body)
        }
    }
}
