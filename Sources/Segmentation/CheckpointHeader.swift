/// What a checkpoint belongs to: the head of its file, laid out in
/// `Segmentation.docc/CheckpointFormat.md`.
///
/// A checkpoint is a copy of one partition's rows on the local disk, so that a restart reads only
/// the tail of the changelog. It is a cache: whatever does not fit is not used, and the changelog
/// is read from its start.
public struct CheckpointHeader: Equatable, Sendable {
    /// Format of the file; a file of another one is not used.
    static let version: UInt32 = 1
    static let magic: UInt64 = 0x3154_504b_4347_4553
    /// Magic, version, bytes of the header: enough to know how many more to read.
    public static let prefixBytes = 16
    /// Prefix and the numbers behind it; texts and a checksum of 8 bytes follow.
    private static let fixedBytes = 48
    /// Longest header that is read: five texts and fixed fields are far below it.
    static let bytesMax = 4096
    private static let textBytesMax = 512

    /// Consumer group.
    public var group: String
    /// Changelog topic.
    public var topic: String
    /// Partition of the changelog.
    public var partition: Int32
    /// Who owned the partition when it was written; the group's committed offsets carry the same
    /// words for as long as nobody else has owned it.
    public var claim: String
    /// Next offset of the changelog to read: every record before it is in the rows.
    public var offset: Int64
    /// When that offset was noted, before the first row was written; milliseconds since 1970.
    public var notedAtMilliseconds: Int64
    /// Fingerprint of the declared slots.
    public var slots: UInt64

    /// Creates a header from its parts; texts are cut to 512 bytes.
    public init(
        group: String,
        topic: String,
        partition: Int32,
        claim: String,
        offset: Int64,
        notedAtMilliseconds: Int64,
        slots: UInt64
    ) {
        self.group = group
        self.topic = topic
        self.partition = partition
        self.claim = claim
        self.offset = offset
        self.notedAtMilliseconds = notedAtMilliseconds
        self.slots = slots
    }

    /// The header's bytes, checksum included.
    public func encoded() -> [UInt8] {
        var body: [UInt8] = []
        CheckpointBytes.append(UInt64(UInt32(bitPattern: partition)), 4, to: &body)
        CheckpointBytes.append(UInt64(RowCodec.version), 4, to: &body)
        CheckpointBytes.append(UInt64(bitPattern: offset), 8, to: &body)
        CheckpointBytes.append(UInt64(bitPattern: notedAtMilliseconds), 8, to: &body)
        CheckpointBytes.append(slots, 8, to: &body)
        for text in [group, topic, claim] {
            let utf8 = Array(text.utf8.prefix(Self.textBytesMax))
            CheckpointBytes.append(UInt64(utf8.count), 2, to: &body)
            body.append(contentsOf: utf8)
        }
        var bytes: [UInt8] = []
        CheckpointBytes.append(Self.magic, 8, to: &bytes)
        CheckpointBytes.append(UInt64(Self.version), 4, to: &bytes)
        CheckpointBytes.append(UInt64(Self.prefixBytes + body.count + 8), 4, to: &bytes)
        bytes.append(contentsOf: body)
        CheckpointBytes.append(Self.checksum(bytes, bytes.count), 8, to: &bytes)
        return bytes
    }

    /// Bytes that the header takes, from its first `prefixBytes` bytes.
    ///
    /// - Parameter prefix: the first 16 bytes of the file, or fewer where there are no more.
    /// - Returns: bytes of the whole header, prefix included.
    /// - Throws: `CheckpointFailure` when it is no file of ours, or one of another format.
    public static func length(
        fromPrefix prefix: [UInt8]
    ) throws(CheckpointFailure) -> Int {
        guard prefix.count == prefixBytes else { throw .truncated }
        guard CheckpointBytes.read(prefix, 0, 8) == magic else { throw .notACheckpoint }
        let version = CheckpointBytes.read(prefix, 8, 4)
        guard version == UInt64(Self.version) else { throw .otherFormat(version) }
        let length = Int(CheckpointBytes.read(prefix, 12, 4))
        guard (prefixBytes + 8...bytesMax).contains(length) else { throw .checksum }
        return length
    }

    /// Reads a header.
    ///
    /// - Parameter bytes: all of its bytes, prefix included.
    /// - Throws: `CheckpointFailure` when they are damaged, or rows are of another format.
    public init(_ bytes: [UInt8]) throws(CheckpointFailure) {
        let length = try Self.length(fromPrefix: Array(bytes.prefix(Self.prefixBytes)))
        guard bytes.count == length else { throw .truncated }
        guard CheckpointBytes.read(bytes, length - 8, 8) == Self.checksum(bytes, length - 8) else {
            throw .checksum
        }
        guard length >= Self.fixedBytes + 8 else { throw .inconsistent }
        partition = Int32(bitPattern: UInt32(CheckpointBytes.read(bytes, 16, 4)))
        // A row keeps 16 bits of it.
        guard (0...Int32(UInt16.max)).contains(partition) else { throw .inconsistent }
        let rowVersion = CheckpointBytes.read(bytes, 20, 4)
        guard rowVersion == UInt64(RowCodec.version) else { throw .otherFormat(rowVersion) }
        offset = Int64(bitPattern: CheckpointBytes.read(bytes, 24, 8))
        notedAtMilliseconds = Int64(bitPattern: CheckpointBytes.read(bytes, 32, 8))
        slots = CheckpointBytes.read(bytes, 40, 8)
        var position = Self.fixedBytes
        var texts: [String] = []
        for _ in 0..<3 {
            let start = position + 2
            guard start <= length - 8 else { throw .inconsistent }
            let end = start + Int(CheckpointBytes.read(bytes, position, 2))
            guard end <= length - 8 else { throw .inconsistent }
            texts.append(String(decoding: bytes[start..<end], as: UTF8.self))
            position = end
        }
        guard position == length - 8 else { throw .inconsistent }
        group = texts[0]
        topic = texts[1]
        claim = texts[2]
    }

    private static func checksum(_ bytes: [UInt8], _ count: Int) -> UInt64 {
        StableHash.hash(of: bytes, range: 0..<count, seed: magic)
    }
}

/// Why a checkpoint is not used; the changelog is read from its start then.
public enum CheckpointFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// It ends before its footer, or goes on behind it.
    case truncated
    /// Its first bytes are not ours.
    case notACheckpoint
    /// Written by a program that knows another format of file or row.
    case otherFormat(UInt64)
    /// A checksum does not match.
    case checksum
    /// Its parts do not add up.
    case inconsistent
    /// A row in it is refused, in words.
    case row(String)

    /// The failure in words, for the log.
    public var description: String {
        switch self {
        case .truncated: "damaged: it does not end with its footer"
        case .notACheckpoint: "damaged: it does not begin as a checkpoint does"
        case .otherFormat(let version): "of another format (\(version))"
        case .checksum: "damaged: a checksum does not match"
        case .inconsistent: "damaged: its parts do not add up"
        case .row(let reason): "not usable: \(reason)"
        }
    }
}

/// Little-endian integers of a checkpoint.
enum CheckpointBytes {
    static func append(_ number: UInt64, _ count: Int, to bytes: inout [UInt8]) {
        for k in 0..<count { bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * k))) }
    }

    static func write(_ number: UInt64, _ count: Int, at start: Int, in bytes: inout [UInt8]) {
        for k in 0..<count {
            bytes[start + k] = UInt8(truncatingIfNeeded: number >> UInt64(8 * k))
        }
    }

    static func read(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
        var number: UInt64 = 0
        for k in 0..<count { number |= UInt64(bytes[start + k]) << UInt64(8 * k) }
        return number
    }
}
