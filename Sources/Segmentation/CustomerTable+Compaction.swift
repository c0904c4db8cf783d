/// Moving blocks together, slice by slice.
///
/// Blocks grow with every order, so while a shop is young many small ones are left behind. New
/// blocks go to other chunks from the beginning on, rows are moved there one after the other, and
/// in the end nothing is left in the old chunks. A block is found by its offset all the time.
extension CustomerTable {
    /// Whether blocks are being moved together.
    var isCompacting: Bool { compactionCursor != nil }

    /// Chunks given back in a slice: the system takes the memory back page by page.
    private static let chunksMax = 4

    /// Begins where an eighth or more of the arena is no longer used.
    mutating func beginCompaction() {
        guard !isCompacting, arena.memoryBytes > 4 << 20,
            arena.liveWords * 8 < arena.memoryBytes / 8 * 7
        else { return }
        arena.leaveChunks()
        compactionCursor = 0
    }

    /// Moves the blocks of the next rows; after the last one, gives chunks back.
    ///
    /// - Parameter limit: rows looked at, at most.
    mutating func compactBlocks(limit: Int) {
        guard let start = compactionCursor else { return }
        guard start < rowEnd else {
            if arena.dropChunks(limit: Self.chunksMax) { compactionCursor = nil }
            return
        }
        let end = limit < rowEnd - start ? start + limit : rowEnd
        for row in start..<end where isInUse(row) && arena.isLeaving(blockOffset(row)) {
            let (old, count) = (blockOffset(row), blockWords(row))
            arena.read(old, count, into: &scratch)
            let offset = arena.allocate(count)
            arena.write(offset, count, from: scratch)
            arena.release(old, count)
            words[row, RowWord.block] = words[row, RowWord.block] & ~0xffff_ffff | UInt64(offset)
        }
        compactionCursor = end
    }

    /// Moves all blocks together at once, where that is worth it.
    mutating func compactBlocks() {
        beginCompaction()
        while isCompacting { compactBlocks(limit: .max) }
    }
}
