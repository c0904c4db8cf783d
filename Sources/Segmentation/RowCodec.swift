/// The changelog's bytes of a row: layout in `Segmentation.docc/RowFormat.md`, version 1.
///
/// A row carries everything that survives a restart; sums, medians and timers are derived from it.
enum RowCodec {
    static let magic: UInt8 = 0x53
    static let version: UInt8 = 1
    /// First byte of the key of an erasure's stub; no customer id starts with it.
    static let stubPrefix: UInt8 = 0

    fileprivate enum Tag: UInt8 {
        case zero, missing, integer, cents, double
    }

    /// Why bytes are no row of ours.
    enum Failure: Error, Equatable {
        case tooShort
        case unknownVersion(UInt8)
        case otherSlots
        case checksum
        case inconsistent
    }

    /// Appends a row's value.
    static func encode(
        _ row: Int,
        of table: borrowing CustomerTable,
        block: inout RowBlock,
        into bytes: inout [UInt8]
    ) {
        block.load(row, of: table)
        let start = bytes.count
        let content = block.contentWords
        let most = 128 + 11 * table.schema.numberCount + 8 * content.count
        bytes.append(contentsOf: repeatElement(0, count: most))
        var writer = ByteWriter(position: start)
        var target = bytes.mutableSpan
        writer.byte(magic, to: &target)
        writer.byte(version, to: &target)
        writer.fixed(table.schema.fingerprint, to: &target)
        table.words.withRow(row) { words in
            writer.signed(Int64(bitPattern: words[RowWord.life]), to: &target)
            writer.unsigned(words[RowWord.revisionAndVersion] & 0xffff_ffff, to: &target)
            writer.unsigned(words[RowWord.revisionAndVersion] >> 32, to: &target)
            writer.signed(Int64(bitPattern: words[RowWord.clock]), to: &target)
            writer.signed(Int64(bitPattern: words[RowWord.segmentSince]), to: &target)
            writer.signed(Int64(bitPattern: words[RowWord.cooldownUntil]), to: &target)
            // Published segment, membership, band, flags of the decision; partition and marks of
            // the run stay out.
            let flags = (RowFlag.outlier | RowFlag.moveWaits) << 40
            writer.unsigned(words[RowWord.decision] & (0xff_ffff_ffff | flags), to: &target)
            writer.fixed(words[RowWord.daysOutside], to: &target)
            writer.unsigned(words[RowWord.outsideCountAndFirst] & 0xffff_ffff, to: &target)
        }
        table.numbers.withRow(row) { writer.numbers($0, to: &target) }
        writer.unsigned(table.words[row, RowWord.counts] & 0xff_ffff, to: &target)
        writer.unsigned(UInt64(content.count), to: &target)
        for index in content { writer.fixed(block.words[index], to: &target) }
        bytes.removeLast(bytes.count - writer.position)
        appendChecksum(from: start, to: &bytes)
    }

    /// Reads a row's value, whole, before any table knows of it; the caller derives purchases
    /// afterwards.
    ///
    /// - Parameters:
    ///   - bytes: where key and value stand.
    ///   - key: the customer's id.
    ///   - range: the value.
    ///   - isChecked: a checksum over more than the row has told already that its bytes are whole.
    ///   - schema: the slots that the row must have been written with.
    ///   - row: INOUT: what the row says, but for its hash, partition and place.
    ///   - block: INOUT: the row's block.
    /// - Throws: `Failure` for bytes that are no row of ours; row and block mean nothing then.
    static func decode(
        _ bytes: [UInt8],
        key: Range<Int>,
        _ range: Range<Int>,
        isChecked: Bool = false,
        schema: CompiledSchema,
        into row: inout DecodedRow,
        block: inout RowBlock
    ) throws(Failure) {
        var reader = ByteReader(bytes: bytes, position: range.lowerBound, end: range.upperBound - 4)
        guard range.count > 14 else { throw .tooShort }
        guard bytes[range.lowerBound] == magic else { throw .inconsistent }
        guard bytes[range.lowerBound + 1] == version else {
            throw .unknownVersion(bytes[range.lowerBound + 1])
        }
        let covered = range.lowerBound..<range.upperBound - 4
        guard isChecked || checksum(bytes, covered) == reader.checksumAtEnd() else {
            throw .checksum
        }
        reader.position += 2
        guard reader.fixed() == schema.fingerprint else { throw .otherSlots }
        row.words[RowWord.life] = UInt64(bitPattern: reader.signed())
        let revision = reader.unsigned()
        row.words[RowWord.revisionAndVersion] = revision & 0xffff_ffff | reader.unsigned() << 32
        row.words[RowWord.clock] = UInt64(bitPattern: reader.signed())
        row.words[RowWord.segmentSince] = UInt64(bitPattern: reader.signed())
        row.words[RowWord.cooldownUntil] = UInt64(bitPattern: reader.signed())
        row.words[RowWord.decision] = reader.unsigned() & 0xffff_ffff_ffff | RowFlag.inUse << 40
        row.words[RowWord.daysOutside] = reader.fixed()
        row.words[RowWord.outsideCountAndFirst] = reader.unsigned() & 0xffff_ffff
        guard reader.unsigned() == UInt64(schema.numberCount) else { throw .inconsistent }
        readNumbers(into: &row.numbers, from: &reader)
        let counts = reader.unsigned() & 0xff_ffff
        let words = Int(truncatingIfNeeded: reader.unsigned())
        guard words >= 0, words <= WordArena.blockWordsMax,
            reader.position + words * 8 == reader.end
        else { throw .inconsistent }
        let content = reader.position..<reader.end
        guard block.read(bytes, id: key, counts: counts, content: content),
            isPlausible(row, schema)
        else { throw .inconsistent }
    }

    /// Whether a row can be computed with: no event makes one that cannot.
    private static func isPlausible(_ row: DecodedRow, _ schema: CompiledSchema) -> Bool {
        let words = row.words
        guard abs(Double(Int64(bitPattern: words[RowWord.clock]))) < EventDecoder.timeMax,
            isPlausible(moment: Int64(bitPattern: words[RowWord.segmentSince])),
            isPlausible(moment: Int64(bitPattern: words[RowWord.cooldownUntil])),
            isPlausible(moment: Int64(bitPattern: words[RowWord.life])),
            words[RowWord.revisionAndVersion] & 0xffff_ffff < UInt32.max,
            words[RowWord.outsideCountAndFirst] & 0xffff_ffff < 1 << 31
        else { return false }
        for number in row.numbers where number.isInfinite { return false }
        // Landmarks are whole multiples of 8 half-lives, which are 15 minutes or more.
        for decay in schema.decays {
            let landmark = row.numbers[decay.landmark]
            guard landmark == landmark.rounded(), abs(landmark) < 0x1p26 else { return false }
        }
        for field in schema.profileFields where !isLevel(row.numbers, field, schema) {
            return false
        }
        for field in schema.snapshotFields where !isLevel(row.numbers, field, schema) {
            return false
        }
        return true
    }

    /// Whether a field is no category, or one of its levels.
    private static func isLevel(
        _ numbers: [Double],
        _ field: CompiledSchema.FieldSlot,
        _ schema: CompiledSchema
    ) -> Bool {
        guard field.category >= 0 else { return true }
        let level = numbers[field.number]
        let count = schema.categorySlots[field.category].levelNames.count
        return level.isNaN || (0..<count).contains(Int(exactly: level) ?? -1)
    }

    /// Whether a time can be added to and taken from others: twice what an event's may be, for a
    /// cooldown or a dwell that ends later.
    private static func isPlausible(moment: Int64) -> Bool {
        abs(Double(moment)) < 2 * EventDecoder.timeMax
    }

    private static func readNumbers(into numbers: inout [Double], from reader: inout ByteReader) {
        let count = numbers.count
        let tagStart = reader.position
        reader.position += (count + 1) / 2
        for slot in 0..<count {
            let tag = reader.byte(at: tagStart + slot / 2) >> UInt8((slot & 1) * 4) & 0xf
            switch Tag(rawValue: tag) {
            case .missing: numbers[slot] = .nan
            case .integer: numbers[slot] = Double(reader.signed())
            case .cents: numbers[slot] = Double(reader.signed()) / 100
            case .double: numbers[slot] = Double(bitPattern: reader.fixed())
            case .zero, nil: numbers[slot] = 0
            }
        }
    }

    // MARK: stubs of erased customers

    /// Appends key and value of a stub: prefix and 32 hexadecimal digits; time, life, checksum.
    static func encode(
        _ key: SuppressionKey,
        _ stub: Suppression,
        into bytes: inout [UInt8]
    ) -> (key: Range<Int>, value: Range<Int>) {
        let start = bytes.count
        bytes.append(stubPrefix)
        for word in [key.high, key.low] {
            for shift in stride(from: 60, through: 0, by: -4) {
                let nibble = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
                bytes.append(
                    nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10
                )
            }
        }
        let middle = bytes.count
        bytes.append(contentsOf: repeatElement(0, count: 32))
        var writer = ByteWriter(position: middle)
        var target = bytes.mutableSpan
        writer.byte(magic, to: &target)
        writer.byte(version, to: &target)
        writer.signed(stub.time, to: &target)
        writer.signed(stub.life, to: &target)
        bytes.removeLast(bytes.count - writer.position)
        appendChecksum(from: middle, to: &bytes)
        return (start..<middle, middle..<bytes.count)
    }

    static func isStub(_ bytes: [UInt8], _ key: Range<Int>) -> Bool {
        key.count == 33 && bytes[key.lowerBound] == stubPrefix
    }

    static func stubKey(
        _ bytes: [UInt8],
        _ key: Range<Int>,
        partition: Int32
    ) -> SuppressionKey {
        var halves: (UInt64, UInt64) = (0, 0)
        for index in 0..<32 {
            let byte = bytes[key.lowerBound + 1 + index]
            let nibble = UInt64(
                byte <= UInt8(ascii: "9")
                    ? byte &- UInt8(ascii: "0") : byte &- UInt8(ascii: "a") &+ 10
            )
            if index < 16 {
                halves.0 = halves.0 << 4 | nibble
            } else {
                halves.1 = halves.1 << 4 | nibble
            }
        }
        return SuppressionKey(high: halves.0, low: halves.1, partition: partition)
    }

    static func decodeStub(
        _ bytes: [UInt8],
        _ range: Range<Int>,
        partition: Int32
    ) throws(Failure) -> Suppression {
        guard range.count > 7 else { throw .tooShort }
        var reader = ByteReader(bytes: bytes, position: range.lowerBound, end: range.upperBound - 4)
        guard bytes[range.lowerBound + 1] == version else {
            throw .unknownVersion(bytes[range.lowerBound + 1])
        }
        guard checksum(bytes, range.lowerBound..<range.upperBound - 4) == reader.checksumAtEnd()
        else {
            throw .checksum
        }
        reader.position += 2
        let stub = Suppression(
            time: reader.signed(),
            life: reader.signed(),
            partition: partition
        )
        guard isPlausible(moment: stub.time), stub.life == .min || isPlausible(moment: stub.life)
        else { throw .inconsistent }
        return stub
    }

    // MARK: integers

    private static func checksum(_ bytes: [UInt8], _ range: Range<Int>) -> UInt32 {
        UInt32(truncatingIfNeeded: StableHash.hash(of: bytes, range: range, seed: 0x5345_474d))
    }

    private static func appendChecksum(from start: Int, to bytes: inout [UInt8]) {
        let sum = checksum(bytes, start..<bytes.count)
        for shift in [0, 8, 16, 24] {
            bytes.append(UInt8(truncatingIfNeeded: sum >> UInt32(shift)))
        }
    }
}

/// A row as it was read, on its way into a table; reused.
struct DecodedRow: Sendable {
    /// `[RowWord.count]`; what is not part of the durable state is as in a new row.
    var words: [UInt64]
    /// `[numberCount]`.
    var numbers: [Double]

    init(schema: CompiledSchema) {
        words = Array(repeating: 0, count: RowWord.count)
        numbers = Array(repeating: 0, count: schema.numberCount)
    }
}

/// Reads integers; past the end it gives zeros, which the checks of the caller refuse.
private struct ByteReader {
    let bytes: [UInt8]
    var position: Int
    let end: Int

    func byte(at index: Int) -> UInt8 { index < end ? bytes[index] : 0 }

    mutating func fixed() -> UInt64 {
        if position &+ 8 <= end {
            defer { position &+= 8 }
            return StableHash.word(of: bytes, at: position)
        }
        var word: UInt64 = 0
        for k in 0..<8 { word |= UInt64(byte(at: position + k)) << UInt64(8 * k) }
        position += 8
        return word
    }

    mutating func unsigned() -> UInt64 {
        if position &+ 8 <= end {
            let word = StableHash.word(of: bytes, at: position)
            // The highest bit of each byte is set where another byte follows.
            let last = (~word & 0x8080_8080_8080_8080).trailingZeroBitCount
            if last == 7 {
                position &+= 1
                return word & 0x7f
            }
            if last < 64 {
                position &+= (last &+ 1) >> 3
                return Self.joined(word & (UInt64.max >> UInt64(63 &- last)))
            }
        }
        var number: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 64 {
            let next = byte(at: position)
            position += 1
            number |= UInt64(next & 0x7f) << shift
            if next < 0x80 { break }
            shift += 7
        }
        return number
    }

    /// Seven bits of each byte, side by side.
    @inline(__always)
    private static func joined(_ word: UInt64) -> UInt64 {
        let pairs = word & 0x007f_007f_007f_007f | (word & 0x7f00_7f00_7f00_7f00) >> 1
        let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2
        return fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4
    }

    mutating func signed() -> Int64 {
        let number = unsigned()
        return Int64(bitPattern: number >> 1) ^ -Int64(bitPattern: number & 1)
    }

    func checksumAtEnd() -> UInt32 {
        var sum: UInt32 = 0
        for k in 0..<4 { sum |= UInt32(bytes[end + k]) << UInt32(8 * k) }
        return sum
    }
}

/// Writes integers into bytes that have room for them.
private struct ByteWriter {
    var position: Int

    mutating func byte(_ byte: UInt8, to target: inout MutableSpan<UInt8>) {
        target[position] = byte
        position &+= 1
    }

    mutating func fixed(_ word: UInt64, to target: inout MutableSpan<UInt8>) {
        for k in 0..<8 {
            target[position &+ k] = UInt8(truncatingIfNeeded: word &>> UInt64(8 &* k))
        }
        position &+= 8
    }

    mutating func unsigned(_ number: UInt64, to target: inout MutableSpan<UInt8>) {
        var rest = number
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80, to: &target)
            rest >>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest), to: &target)
    }

    mutating func signed(_ number: Int64, to target: inout MutableSpan<UInt8>) {
        unsigned(UInt64(bitPattern: number << 1 ^ number >> 63), to: &target)
    }

    /// How many, a tag of four bits each, and what the tags do not say.
    mutating func numbers(
        _ numbers: borrowing Span<Double>,
        to target: inout MutableSpan<UInt8>
    ) {
        unsigned(UInt64(numbers.count), to: &target)
        let tagStart = position
        position += (numbers.count + 1) / 2
        for slot in 0..<numbers.count {
            let value = numbers[slot]
            let tag: RowCodec.Tag
            if value.isNaN {
                tag = .missing
            } else if value == 0 && value.sign == .plus {
                tag = .zero
            } else if value == value.rounded() && abs(value) < 1e15 && value != 0 {
                tag = .integer
                signed(Int64(value), to: &target)
            } else if abs(value) < 1e12, (value * 100).rounded() / 100 == value, value != 0 {
                tag = .cents
                signed(Int64((value * 100).rounded()), to: &target)
            } else {
                tag = .double
                fixed(value.bitPattern, to: &target)
            }
            target[tagStart + slot / 2] |= tag.rawValue << UInt8((slot & 1) * 4)
        }
    }
}
