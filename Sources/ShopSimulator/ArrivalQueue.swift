/// What happens next: a binary heap of one entry per slot, earliest arrival first.
///
/// A slot is a customer or a delivery under way, and stands in the queue at most once. So (time,
/// slot) is a strict order, and the sequence of entries does not depend on how the heap is built.
///
/// - Complexity: O(log n) for each operation but `first`, 16 bytes per entry.
struct ArrivalQueue: Sendable {
    /// One entry: when, and whose.
    struct Entry: Sendable {
        var time: Int64
        var slot: Int

        static func < (left: Entry, right: Entry) -> Bool {
            left.time == right.time ? left.slot < right.slot : left.time < right.time
        }
    }

    private var entries: [Entry] = []

    /// The earliest entry, nil when nothing is left.
    var first: Entry? { entries.first }

    mutating func reserveCapacity(_ count: Int) {
        entries.reserveCapacity(count)
    }

    mutating func insert(_ entry: Entry) {
        entries.append(entry)
        var index = entries.count - 1
        while index > 0 {
            let parent = (index - 1) / 2
            guard entry < entries[parent] else { break }
            entries[index] = entries[parent]
            index = parent
        }
        entries[index] = entry
    }

    /// Takes the first entry out.
    mutating func removeFirst() {
        precondition(!entries.isEmpty, "an empty queue has no first entry")
        let last = entries.removeLast()
        if !entries.isEmpty { sink(last) }
    }

    /// Puts another entry in the place of the first one, in one pass instead of two.
    mutating func replaceFirst(with entry: Entry) {
        precondition(!entries.isEmpty, "an empty queue has no first entry")
        sink(entry)
    }

    /// Lets an entry sink from the root to its place.
    private mutating func sink(_ entry: Entry) {
        let count = entries.count
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < count else { break }
            if child + 1 < count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < entry else { break }
            entries[index] = entries[child]
            index = child
        }
        entries[index] = entry
    }
}
