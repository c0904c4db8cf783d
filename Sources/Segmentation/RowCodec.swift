/// The changelog's bytes of a row: layout in `Segmentation.docc/RowFormat.md`, version 1.
///
/// A row carries everything that survives a restart; sums, medians and timers are derived from it.
enum RowCodec {
    static let magic: UInt8 = 0x53
    static let version: UInt8 = 1
    /// First byte of the key of an erasure's stub; no customer id starts with it.
    static let stubPrefix: UInt8 = 0

    private enum Tag: UInt8 {
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
        of table: CustomerTable,
        block: inout RowBlock,
        into bytes: inout [UInt8]
    ) {
        let start = bytes.count
        bytes.append(magic)
        bytes.append(version)
        appendFixed(table.schema.fingerprint, to: &bytes)
        appendSigned(table.life(row), to: &bytes)
        appendUnsigned(table.words[row, RowWord.revisionAndVersion] & 0xffff_ffff, to: &bytes)
        appendUnsigned(table.words[row, RowWord.revisionAndVersion] >> 32, to: &bytes)
        appendSigned(table.clock(row), to: &bytes)
        appendSigned(table.segmentSince(row), to: &bytes)
        appendSigned(table.cooldownUntil(row), to: &bytes)
        // Published segment, membership, band, flags of the decision; partition and marks of the
        // run stay out.
        let flags = (RowFlag.outlier | RowFlag.moveWaits) << 40
        appendUnsigned(
            table.words[row, RowWord.decision] & (0xff_ffff_ffff | flags),
            to: &bytes
        )
        appendFixed(table.words[row, RowWord.daysOutside], to: &bytes)
        appendUnsigned(table.words[row, RowWord.outsideCountAndFirst] & 0xffff_ffff, to: &bytes)
        appendNumbers(row, of: table, into: &bytes)
        block.load(row, of: table)
        appendUnsigned(table.words[row, RowWord.counts] & 0xff_ffff, to: &bytes)
        let words = block.contentWords
        appendUnsigned(UInt64(words.count), to: &bytes)
        for index in words { appendFixed(block.words[index], to: &bytes) }
        appendChecksum(from: start, to: &bytes)
    }

    private static func appendNumbers(
        _ row: Int,
        of table: CustomerTable,
        into bytes: inout [UInt8]
    ) {
        let count = table.schema.numberCount
        appendUnsigned(UInt64(count), to: &bytes)
        let tagStart = bytes.count
        for _ in 0..<((count + 1) / 2) { bytes.append(0) }
        for slot in 0..<count {
            let value = table.numbers[row, slot]
            let tag: Tag
            if value.isNaN {
                tag = .missing
            } else if value == 0 && value.sign == .plus {
                tag = .zero
            } else if value == value.rounded() && abs(value) < 1e15 && value != 0 {
                tag = .integer
                appendSigned(Int64(value), to: &bytes)
            } else if abs(value) < 1e12, (value * 100).rounded() / 100 == value, value != 0 {
                tag = .cents
                appendSigned(Int64((value * 100).rounded()), to: &bytes)
            } else {
                tag = .double
                appendFixed(value.bitPattern, to: &bytes)
            }
            bytes[tagStart + slot / 2] |= tag.rawValue << UInt8((slot & 1) * 4)
        }
    }

    /// Reads a row's value into a row just inserted; the caller derives purchases afterwards.
    ///
    /// `isChecked`: a checksum over more than the row has told already that its bytes are whole.
    static func decode(
        _ bytes: [UInt8],
        _ range: Range<Int>,
        isChecked: Bool = false,
        into row: Int,
        of table: inout CustomerTable,
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
        guard reader.fixed() == table.schema.fingerprint else { throw .otherSlots }
        table.setLife(row, reader.signed())
        let revision = reader.unsigned()
        let version = reader.unsigned()
        table.words[row, RowWord.revisionAndVersion] = revision & 0xffff_ffff | version << 32
        table.setClock(row, reader.signed())
        table.setSegmentSince(row, reader.signed())
        table.setCooldownUntil(row, reader.signed())
        let decision = reader.unsigned()
        let partition = table.words[row, RowWord.decision] & ~0xffff_ffff_ffff
        table.words[row, RowWord.decision] =
            decision & 0xffff_ffff_ffff | partition | RowFlag.inUse << 40
        table.words[row, RowWord.daysOutside] = reader.fixed()
        table.words[row, RowWord.outsideCountAndFirst] = reader.unsigned() & 0xffff_ffff
        guard reader.unsigned() == UInt64(table.schema.numberCount) else { throw .inconsistent }
        readNumbers(into: row, of: &table, from: &reader)
        let counts = reader.unsigned()
        let words = Int(truncatingIfNeeded: reader.unsigned())
        guard words >= 0, words <= WordArena.blockWordsMax,
            reader.position + words * 8 == reader.end
        else { throw .inconsistent }
        table.words[row, RowWord.counts] =
            table.words[row, RowWord.counts] & ~0xff_ffff | counts & 0xff_ffff
        block.load(row, of: table)
        guard block.setContent(words, { _ in reader.fixed() }) else { throw .inconsistent }
        block.store(into: &table)
        guard isPlausible(row, of: table) else { throw .inconsistent }
    }

    /// Whether a row can be computed with: no event makes one that cannot.
    private static func isPlausible(_ row: Int, of table: CustomerTable) -> Bool {
        let schema = table.schema
        guard abs(Double(table.clock(row))) < EventDecoder.timeMax,
            isPlausible(moment: table.segmentSince(row)),
            isPlausible(moment: table.cooldownUntil(row)), isPlausible(moment: table.life(row)),
            table.revision(row) < UInt32.max,
            table.words[row, RowWord.outsideCountAndFirst] & 0xffff_ffff < 1 << 31
        else { return false }
        for slot in 0..<schema.numberCount where table.numbers[row, slot].isInfinite {
            return false
        }
        // Landmarks are whole multiples of 8 half-lives, which are 15 minutes or more.
        for decay in schema.decays {
            let landmark = table.numbers[row, decay.landmark]
            guard landmark == landmark.rounded(), abs(landmark) < 0x1p26 else { return false }
        }
        for field in schema.profileFields + schema.snapshotFields where field.category >= 0 {
            let level = table.numbers[row, field.number]
            let count = schema.categorySlots[field.category].levelNames.count
            guard level.isNaN || (0..<count).contains(Int(exactly: level) ?? -1) else {
                return false
            }
        }
        return true
    }

    /// Whether a time can be added to and taken from others: twice what an event's may be, for a
    /// cooldown or a dwell that ends later.
    private static func isPlausible(moment: Int64) -> Bool {
        abs(Double(moment)) < 2 * EventDecoder.timeMax
    }

    private static func readNumbers(
        into row: Int,
        of table: inout CustomerTable,
        from reader: inout ByteReader
    ) {
        let count = table.schema.numberCount
        let tagStart = reader.position
        reader.position += (count + 1) / 2
        for slot in 0..<count {
            let tag = reader.byte(at: tagStart + slot / 2) >> UInt8((slot & 1) * 4) & 0xf
            switch Tag(rawValue: tag) {
            case .missing: table.numbers[row, slot] = .nan
            case .integer: table.numbers[row, slot] = Double(reader.signed())
            case .cents: table.numbers[row, slot] = Double(reader.signed()) / 100
            case .double: table.numbers[row, slot] = Double(bitPattern: reader.fixed())
            case .zero, nil: table.numbers[row, slot] = 0
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
        bytes.append(magic)
        bytes.append(version)
        appendSigned(stub.time, to: &bytes)
        appendSigned(stub.life, to: &bytes)
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

    private static func appendFixed(_ word: UInt64, to bytes: inout [UInt8]) {
        for k in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * k))) }
    }

    private static func appendUnsigned(_ number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    private static func appendSigned(_ number: Int64, to bytes: inout [UInt8]) {
        appendUnsigned(UInt64(bitPattern: number << 1 ^ number >> 63), to: &bytes)
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
