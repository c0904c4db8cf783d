/// Frames of a checkpoint behind its header: blocks of entries, then a footer.
///
/// A frame is 24 bytes and its payload. Its checksum covers payload, lengths and place, and starts
/// from the header's, so that a block of another file or of another place is refused too.
public struct CheckpointFrame: Equatable, Sendable {
    /// Bytes of a frame's head.
    public static let headBytes = 24
    /// A block is closed at the first entry that brings it here.
    static let blockBytes = 128 << 10
    /// Largest payload that is read: a block and its last entry are far below it.
    static let payloadBytesMax = 4 << 20
    static let blockMark: UInt64 = 0x4b43_4c42
    static let footerMark: UInt64 = 0x544f_4f46
    static let footerBytes = 24
    /// Lengths of key (2 bytes) and value (4) before each entry.
    static let entryHeadBytes = 6

    /// Bytes that follow the head.
    public var payloadBytes: Int
    /// Whether it is the footer: nothing follows it.
    public var isFooter: Bool
    /// Entries of a block, 0 in the footer.
    public var entries: Int
    fileprivate var index: UInt64
    fileprivate var checksum: UInt64

    /// Where keys and values of a checked block lie.
    ///
    /// - Parameters:
    ///   - payload: the block's bytes.
    ///   - count: its entries.
    /// - Throws: `CheckpointFailure` when they do not add up.
    /// - Returns: ranges of key and value of each entry.
    package static func entries(
        of payload: [UInt8],
        count: Int
    ) throws(CheckpointFailure) -> [(key: Range<Int>, value: Range<Int>)] {
        // Before memory is taken for so many.
        guard count <= payload.count / entryHeadBytes else { throw .inconsistent }
        var result: [(key: Range<Int>, value: Range<Int>)] = []
        result.reserveCapacity(count)
        var position = 0
        for _ in 0..<count {
            let keyStart = position + entryHeadBytes
            guard keyStart <= payload.count else { throw .inconsistent }
            let keyEnd = keyStart + Int(CheckpointBytes.read(payload, position, 2))
            let end = keyEnd + Int(CheckpointBytes.read(payload, position + 2, 4))
            guard keyEnd > keyStart, end <= payload.count else { throw .inconsistent }
            result.append((keyStart..<keyEnd, keyEnd..<end))
            position = end
        }
        guard position == payload.count else { throw .inconsistent }
        return result
    }

    fileprivate func seed(_ file: UInt64) -> UInt64 {
        let mark = isFooter ? Self.footerMark : Self.blockMark
        let lengths = StableHash.mix(file ^ (mark | UInt64(payloadBytes) << 32))
        return StableHash.mix(lengths &+ (UInt64(entries) | index << 32))
    }

    fileprivate func checksum(of bytes: [UInt8], from start: Int, file: UInt64) -> UInt64 {
        StableHash.longHash(of: bytes, range: start..<start + payloadBytes, seed: seed(file))
    }

    fileprivate func write(into bytes: inout [UInt8]) {
        CheckpointBytes.write(isFooter ? Self.footerMark : Self.blockMark, 4, at: 0, in: &bytes)
        CheckpointBytes.write(UInt64(payloadBytes), 4, at: 4, in: &bytes)
        CheckpointBytes.write(UInt64(entries), 4, at: 8, in: &bytes)
        CheckpointBytes.write(index, 4, at: 12, in: &bytes)
        CheckpointBytes.write(checksum, 8, at: 16, in: &bytes)
    }
}

/// Makes the bytes of one partition's checkpoint, block by block.
struct CheckpointEncoder: Sendable {
    private let file: UInt64
    private let blockBytes: Int
    private var block: [UInt8]
    private var entries = 0
    private var frames: UInt64 = 0
    private var total: UInt64 = 0
    private var chain: UInt64 = 0
    /// Whole pieces, to be written in this order.
    private(set) var ready: [[UInt8]]

    init(_ header: CheckpointHeader, blockBytes: Int) {
        let head = header.encoded()
        file = CheckpointBytes.read(head, head.count - 8, 8)
        self.blockBytes = blockBytes
        ready = [head]
        block = Self.emptyBlock(blockBytes)
    }

    private static func emptyBlock(_ blockBytes: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(blockBytes + 4096)
        bytes.append(contentsOf: repeatElement(0, count: CheckpointFrame.headBytes))
        return bytes
    }

    /// Appends one entry: `key` appends a key's bytes, `value` a value's behind them.
    mutating func append(key: (inout [UInt8]) -> Void, value: (inout [UInt8]) -> Void) {
        let start = block.count
        block.append(contentsOf: repeatElement(0, count: CheckpointFrame.entryHeadBytes))
        key(&block)
        let middle = block.count
        value(&block)
        let keyBytes = middle - start - CheckpointFrame.entryHeadBytes
        CheckpointBytes.write(UInt64(keyBytes), 2, at: start, in: &block)
        CheckpointBytes.write(UInt64(block.count - middle), 4, at: start + 2, in: &block)
        entries += 1
        total += 1
        if block.count >= blockBytes { seal(isFooter: false) }
    }

    /// Closes the last block and appends the footer.
    mutating func finish() {
        if entries > 0 { seal(isFooter: false) }
        for number in [frames, total, chain] { CheckpointBytes.append(number, 8, to: &block) }
        seal(isFooter: true)
    }

    private mutating func seal(isFooter: Bool) {
        var frame = CheckpointFrame(
            payloadBytes: block.count - CheckpointFrame.headBytes,
            isFooter: isFooter,
            entries: entries,
            index: frames,
            checksum: 0
        )
        frame.checksum = frame.checksum(of: block, from: CheckpointFrame.headBytes, file: file)
        frame.write(into: &block)
        chain = StableHash.mix(chain ^ frame.checksum)
        frames += 1
        entries = 0
        ready.append(block)
        block = isFooter ? [] : Self.emptyBlock(blockBytes)
    }

    /// Hands over what is ready, and forgets it.
    mutating func takeReady() -> [[UInt8]] {
        defer { ready.removeAll(keepingCapacity: true) }
        return ready
    }
}

/// Checks the frames of a checkpoint as they are read, in order.
public struct CheckpointDecoder: Sendable {
    /// What the file belongs to.
    public let header: CheckpointHeader
    private let file: UInt64
    private var frames: UInt64 = 0
    private var total: UInt64 = 0
    private var chain: UInt64 = 0

    /// Begins behind a header.
    ///
    /// - Parameter header: all bytes of the header.
    /// - Throws: `CheckpointFailure` when they are damaged.
    public init(header: [UInt8]) throws(CheckpointFailure) {
        self.header = try CheckpointHeader(header)
        file = CheckpointBytes.read(header, header.count - 8, 8)
    }

    /// Reads the head of the next frame.
    ///
    /// - Parameter head: the next 24 bytes of the file, or fewer where there are no more.
    /// - Returns: what to read next; nothing of it is checked before `check`.
    /// - Throws: `CheckpointFailure` when it cannot be a frame.
    public func frame(head: [UInt8]) throws(CheckpointFailure) -> CheckpointFrame {
        guard head.count == CheckpointFrame.headBytes else { throw .truncated }
        let mark = CheckpointBytes.read(head, 0, 4)
        let isFooter = mark == CheckpointFrame.footerMark
        guard isFooter || mark == CheckpointFrame.blockMark else { throw .checksum }
        let payloadBytes = Int(CheckpointBytes.read(head, 4, 4))
        guard payloadBytes <= CheckpointFrame.payloadBytesMax else { throw .checksum }
        return CheckpointFrame(
            payloadBytes: payloadBytes,
            isFooter: isFooter,
            entries: Int(CheckpointBytes.read(head, 8, 4)),
            index: CheckpointBytes.read(head, 12, 4),
            checksum: CheckpointBytes.read(head, 16, 8)
        )
    }

    /// Checks a frame with its payload: its bytes, its place, and a footer's sums.
    ///
    /// - Parameters:
    ///   - frame: the frame's head.
    ///   - payload: the bytes read behind it.
    /// - Throws: `CheckpointFailure` when anything is not as it was written.
    public mutating func check(
        _ frame: CheckpointFrame,
        payload: [UInt8]
    ) throws(CheckpointFailure) {
        guard payload.count == frame.payloadBytes else { throw .truncated }
        guard frame.index == frames & 0xffff_ffff,
            frame.checksum(of: payload, from: 0, file: file) == frame.checksum
        else { throw .checksum }
        if frame.isFooter {
            guard payload.count == CheckpointFrame.footerBytes, frame.entries == 0,
                CheckpointBytes.read(payload, 0, 8) == frames,
                CheckpointBytes.read(payload, 8, 8) == total,
                CheckpointBytes.read(payload, 16, 8) == chain
            else { throw .inconsistent }
        }
        chain = StableHash.mix(chain ^ frame.checksum)
        frames += 1
        total += UInt64(frame.entries)
    }
}
