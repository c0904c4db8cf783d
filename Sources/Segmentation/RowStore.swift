import Kernels

/// Eight bytes that can be added up.
protocol WarmWord {
    var warmBits: UInt64 { get }
}

extension UInt64: WarmWord {
    var warmBits: UInt64 { self }
}

extension Double: WarmWord {
    var warmBits: UInt64 { bitPattern }
}

/// Fixed-stride rows in pages, so that growing never copies what is there.
///
/// A page has room for so many rows that the system can hold most of them in large pages of its
/// own; it takes memory as rows come.
struct RowStore<Element: BitwiseCopyable>: Sendable where Element: Sendable {
    private static var shift: Int { 16 }
    private static var mask: Int { (1 << shift) - 1 }

    /// Elements per row.
    let stride: Int
    private let initial: Element
    private var pages: [[Element]] = []

    init(stride: Int, initial: Element) {
        precondition(stride > 0)
        self.stride = stride
        self.initial = initial
    }

    /// Rows that have memory.
    private(set) var capacity = 0

    /// Bytes of memory taken.
    var memoryBytes: Int { capacity * stride * MemoryLayout<Element>.stride }

    /// Rows that get memory at a time.
    private static var step: Int { 64 }

    /// Makes sure that a row has memory, and those before it.
    mutating func reserve(row: Int) {
        while row >= capacity {
            if capacity & Self.mask == 0 {
                pages.append(LargePages.array(capacity: stride << Self.shift))
            }
            pages[pages.count - 1].append(
                contentsOf: repeatElement(initial, count: stride * Self.step)
            )
            capacity += Self.step
        }
    }

    subscript(row: Int, field: Int) -> Element {
        get {
            assert(field < stride)
            return pages[row >> Self.shift][(row & Self.mask) &* stride &+ field]
        }
        _modify {
            assert(field < stride)
            yield &pages[row >> Self.shift][(row & Self.mask) &* stride &+ field]
        }
    }

    /// Copies a row into `target` from an index on.
    func copy(row: Int, to target: inout [Element], at start: Int) {
        let base = (row & Self.mask) &* stride
        var copy = target.mutableSpan
        copyElements(pages[row >> Self.shift], base, stride, into: &copy, start)
    }

    /// Lends a row.
    func withRow<Result>(_ row: Int, _ body: (borrowing Span<Element>) -> Result) -> Result {
        let base = (row & Self.mask) &* stride
        let page = pages[row >> Self.shift]
        return body(page.span.extracting(base..<(base &+ stride)))
    }

    /// Reads an element of every cache line of a row.
    ///
    /// - Returns: a number that depends on all of them.
    func warm(row: Int) -> UInt64 where Element: WarmWord {
        let base = (row & Self.mask) &* stride
        var sum: UInt64 = 0
        var field = 0
        while field < stride {
            sum &+= pages[row >> Self.shift][base &+ field].warmBits
            field &+= 8
        }
        return sum
    }

    /// Overwrites a row from `source`, from an index on.
    mutating func write(row: Int, from source: [Element], at start: Int) {
        let count = stride
        let base = (row & Self.mask) &* count
        var page = pages[row >> Self.shift].mutableSpan
        copyElements(source, start, count, into: &page, base)
    }
}

/// Variable-sized blocks of words in chunks, with a free list per size.
///
/// A row's block holds what differs in size between customers: id, times of profile fields, event
/// ids, order ledger. Offsets name chunk and word; a block never spans two chunks.
struct WordArena: Sendable {
    private static let chunkShift = 20
    /// Words of a chunk: it has room for so many that most of them lie in large pages.
    static let chunkWords = 1 << chunkShift
    /// Largest block, in words.
    static let blockWordsMax = 4096
    /// Words by which a chunk grows.
    private static let growthWords = 4096

    /// Each takes memory as blocks are cut from it.
    private var chunks: [[UInt64]] = []
    /// Chunk that blocks are cut from, and its words in use.
    private var current = -1
    private var used = WordArena.chunkWords
    /// Chunks that blocks are to leave, per chunk.
    private var isLeft: [Bool] = []
    /// Chunks below have been looked at by `dropChunks`.
    private var dropCursor = 0
    /// Chunks without memory, whose numbers are given again.
    private var vacant: [Int] = []
    private var free: [[UInt32]] = Array(repeating: [], count: blockWordsMax / 2 + 1)
    private(set) var liveWords = 0

    /// Bytes of memory taken.
    var memoryBytes: Int { chunks.reduce(0) { $0 + $1.count } * 8 }

    /// Words that a block of `count` words takes.
    static func rounded(_ count: Int) -> Int { (count + 1) & ~1 }

    /// Takes a block of at least `count` words, 1 or more.
    mutating func allocate(_ count: Int) -> UInt32 {
        let words = Self.rounded(count)
        precondition(words > 0 && words <= Self.blockWordsMax)
        liveWords += words
        if let offset = free[words / 2].popLast() { return offset }
        if used + words > Self.chunkWords {
            let rest = Self.chunkWords - used
            if current >= 0 && rest >= 2 {
                // The end of a chunk is cut into a block of its own and waits for a row of that
                // size.
                let size = min(rest & ~1, Self.blockWordsMax)
                free[size / 2].append(cut(size))
            }
            openChunk()
        }
        return cut(words)
    }

    /// Cuts a block from the present chunk.
    private mutating func cut(_ count: Int) -> UInt32 {
        while chunks[current].count < used + count {
            chunks[current].append(contentsOf: repeatElement(0, count: Self.growthWords))
        }
        defer { used += count }
        return UInt32(current << Self.chunkShift | used)
    }

    /// Gives a block back.
    mutating func release(_ offset: UInt32, _ count: Int) {
        let words = Self.rounded(count)
        liveWords -= words
        if !isLeaving(offset) { free[words / 2].append(offset) }
    }

    private mutating func openChunk() {
        if let number = vacant.popLast() {
            chunks[number] = LargePages.array(capacity: Self.chunkWords)
            current = number
        } else {
            chunks.append(LargePages.array(capacity: Self.chunkWords))
            isLeft.append(false)
            current = chunks.count - 1
        }
        used = 0
    }

    // MARK: moving together

    /// Has blocks leave the present chunks: whoever takes one from now on gets it elsewhere.
    mutating func leaveChunks() {
        for number in chunks.indices { isLeft[number] = !chunks[number].isEmpty }
        free = Array(repeating: [], count: Self.blockWordsMax / 2 + 1)
        current = -1
        used = Self.chunkWords
        dropCursor = 0
    }

    /// Whether a block lies in a chunk that is being left.
    func isLeaving(_ offset: UInt32) -> Bool { isLeft[Int(offset) >> Self.chunkShift] }

    /// Gives memory of chunks back that all blocks have left.
    ///
    /// - Parameter limit: chunks given back, at most.
    /// - Returns: true after the last one.
    mutating func dropChunks(limit: Int) -> Bool {
        var left = limit
        while dropCursor < chunks.count {
            if isLeft[dropCursor] {
                guard left > 0 else { return false }
                left -= 1
                chunks[dropCursor] = []
                isLeft[dropCursor] = false
                vacant.append(dropCursor)
            }
            dropCursor += 1
        }
        return true
    }

    /// Copies a block into `target` from an index on.
    func read(_ offset: UInt32, _ count: Int, into target: inout [UInt64], at start: Int = 0) {
        let base = Int(offset) & (Self.chunkWords - 1)
        var copy = target.mutableSpan
        copyElements(chunks[Int(offset) >> Self.chunkShift], base, count, into: &copy, start)
    }

    /// Reads a word of every cache line of a block.
    ///
    /// - Returns: a number that depends on all of them.
    func warm(_ offset: UInt32, _ count: Int) -> UInt64 {
        let base = Int(offset) & (Self.chunkWords - 1)
        var sum: UInt64 = 0
        var word = 0
        while word < count {
            sum &+= chunks[Int(offset) >> Self.chunkShift][base &+ word]
            word &+= 8
        }
        return sum
    }

    /// Overwrites a block from `source`, from an index on.
    mutating func write(_ offset: UInt32, _ count: Int, from source: [UInt64], at start: Int = 0) {
        let base = Int(offset) & (Self.chunkWords - 1)
        var chunk = chunks[Int(offset) >> Self.chunkShift].mutableSpan
        copyElements(source, start, count, into: &chunk, base)
    }

    /// Whether a block begins with these bytes, eight to a word.
    func holds(_ bytes: [UInt8], _ range: Range<Int>, at offset: UInt32) -> Bool {
        let chunk = chunks[Int(offset) >> Self.chunkShift]
        var word = Int(offset) & (Self.chunkWords - 1)
        var index = range.lowerBound
        while index < range.upperBound {
            let end = min(index &+ 8, range.upperBound)
            var expected: UInt64 = 0
            var shift: UInt64 = 0
            while index < end {
                expected |= UInt64(bytes[index]) &<< shift
                shift &+= 8
                index &+= 1
            }
            if chunk[word] != expected { return false }
            word &+= 1
        }
        return true
    }

    /// Copies the bytes that a block begins with, eight to a word, into `target` from an index on.
    func copyBytes(_ offset: UInt32, _ count: Int, to target: inout [UInt8], at start: Int) {
        let base = Int(offset) & (Self.chunkWords - 1)
        let words = (count + 7) / 8
        let chunk = chunks[Int(offset) >> Self.chunkShift]
        let source = chunk.span.extracting(base..<(base &+ words))
        var copy = target.mutableSpan
        for k in 0..<count {
            copy[start &+ k] = UInt8(truncatingIfNeeded: source[k >> 3] &>> UInt64((k & 7) &* 8))
        }
    }

    /// One word of a block.
    func word(_ offset: UInt32, _ index: Int) -> UInt64 {
        chunks[Int(offset) >> Self.chunkShift][(Int(offset) & (Self.chunkWords - 1)) &+ index]
    }
}

/// Copies some elements of a page, as one check of both ranges and one move.
private func copyElements<Element: BitwiseCopyable>(
    _ page: borrowing [Element],
    _ base: Int,
    _ count: Int,
    into target: inout MutableSpan<Element>,
    _ start: Int
) {
    let source = page.span.extracting(base..<(base &+ count))
    for k in 0..<count { target[start &+ k] = source[k] }
}
