/// One partition: records and transaction markers, each at an offset of its own.
struct PartitionLog: Sendable {
    private struct Entry: Sendable {
        var record: StoredRecord
        var transaction: Int?
        var isMarker: Bool
    }

    private var entries: [Entry] = []
    /// First offset of each transaction without a marker yet.
    private var openTransactions: [Int: Int64] = [:]
    private var abortedTransactions: Set<Int> = []
    /// Offset of the first record that is kept.
    private(set) var lowWatermark: Int64 = 0
    /// Offset of the next record, committed or not.
    private(set) var highWatermark: Int64 = 0

    /// End of what a read_committed reader may see: the first record of the oldest open
    /// transaction.
    var lastStableOffset: Int64 { openTransactions.values.min() ?? highWatermark }

    /// Adds a record at the end; its offset is set here.
    mutating func append(_ record: StoredRecord, transaction: Int?) {
        var record = record
        record.offset = highWatermark
        if let transaction, openTransactions[transaction] == nil {
            openTransactions[transaction] = highWatermark
        }
        entries.append(Entry(record: record, transaction: transaction, isMarker: false))
        highWatermark += 1
    }

    /// Ends a transaction with a marker.
    mutating func end(_ transaction: Int, commits: Bool) {
        openTransactions[transaction] = nil
        if !commits { abortedTransactions.insert(transaction) }
        let marker = StoredRecord(partition: 0, offset: highWatermark, key: nil, value: nil)
        entries.append(Entry(record: marker, transaction: transaction, isMarker: true))
        highWatermark += 1
    }

    /// Deletes everything before an offset, as retention does with what is old.
    mutating func deleteRecords(before offset: Int64) {
        lowWatermark = min(max(lowWatermark, offset), lastStableOffset)
        entries.removeFirst(firstIndex(from: lowWatermark))
    }

    /// The first stable record of this time or later.
    ///
    /// - Parameter milliseconds: since 1970.
    /// - Returns: its offset, nil when there is none.
    func offset(from milliseconds: Int64) -> Int64? {
        let end = lastStableOffset
        return entries.first { entry in
            !entry.isMarker && entry.record.offset < end
                && entry.record.timestampMilliseconds >= milliseconds
        }?.record.offset
    }

    /// The next record that a read_committed reader sees.
    ///
    /// - Parameter offset: where the reader stands; before the first record that is kept, it goes
    ///   on there.
    /// - Returns: the record, nil when there is none; and where the reader stands then.
    func next(from offset: Int64) -> (record: StoredRecord?, position: Int64) {
        let end = lastStableOffset
        let offset = max(offset, lowWatermark)
        for entry in entries[firstIndex(from: offset)...] {
            guard entry.record.offset < end else { break }
            if isVisible(entry) { return (entry.record, entry.record.offset + 1) }
        }
        return (nil, max(offset, end))
    }

    /// All records that a read_committed reader sees.
    var committedRecords: [StoredRecord] {
        let end = lastStableOffset
        return entries.filter { $0.record.offset < end && isVisible($0) }.map(\.record)
    }

    /// All records, aborted and open ones too.
    var allRecords: [StoredRecord] { entries.filter { !$0.isMarker }.map(\.record) }

    /// Drops stable records behind which a newer one of the same key is stable, as cleaning does;
    /// offsets stay.
    ///
    /// - Parameter dropsTombstones: also drops stable tombstones, as cleaning does after a while.
    mutating func compact(dropsTombstones: Bool) {
        let end = lastStableOffset
        var newest: [[UInt8]: Int64] = [:]
        for record in committedRecords {
            if let key = record.key { newest[key] = record.offset }
        }
        entries = entries.filter { entry in !isDroppable(entry) }

        func isDroppable(_ entry: Entry) -> Bool {
            guard entry.record.offset < end, !entry.isMarker else { return false }
            guard isVisible(entry) else { return true }
            guard let key = entry.record.key else { return false }
            let isSuperseded = newest[key] != entry.record.offset
            return isSuperseded || (dropsTombstones && entry.record.value == nil)
        }
    }

    private func isVisible(_ entry: Entry) -> Bool {
        guard !entry.isMarker else { return false }
        return entry.transaction.map { !abortedTransactions.contains($0) } ?? true
    }

    private func firstIndex(from offset: Int64) -> Int {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].record.offset < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
