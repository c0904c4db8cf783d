/// Counts of consecutive buckets, as far as buckets were ever used.
///
/// A dense window instead of a table: adding is one index, and nothing is allocated once the window
/// spans the data.
struct BucketWindow: Sendable {
    /// Bucket of `counts[0]`.
    private(set) var base = 0
    /// How often each bucket from `base` on was added and not removed.
    private(set) var counts: [Int] = []
    /// Sum of all counts.
    private(set) var total = 0

    /// Adds to the count of a bucket.
    mutating func add(_ bucket: Int, count: Int = 1) {
        if bucket < base || bucket >= base + counts.count { grow(toward: bucket) }
        counts[bucket - base] += count
        total += count
    }

    /// Takes from the count of a bucket what was added before.
    mutating func remove(_ bucket: Int, count: Int = 1) {
        let index = bucket - base
        precondition(counts.indices.contains(index) && counts[index] >= count, "never added")
        counts[index] -= count
        total -= count
    }

    /// Adds all counts of another window.
    mutating func merge(_ other: BucketWindow) {
        for (index, count) in other.counts.enumerated() where count > 0 {
            add(other.base + index, count: count)
        }
    }

    /// Renames every bucket b to b + offset.
    mutating func shift(by offset: Int) { base += offset }

    /// Bucket of the value at `rank` (0-based) in ascending order of buckets.
    func bucket(atRank rank: Int) -> Int {
        precondition(0 <= rank && rank < total, "no such rank")
        var below = 0
        for (index, count) in counts.enumerated() {
            below += count
            if below > rank { return base + index }
        }
        preconditionFailure("the total is the sum of the counts")
    }

    /// Room is added in proportion to the window, so growing costs O(1) per value in the long run.
    private mutating func grow(toward bucket: Int) {
        guard !counts.isEmpty else {
            base = bucket - 32
            counts = [Int](repeating: 0, count: 64)
            return
        }
        let spare = counts.count / 2 + 32
        if bucket < base {
            let added = base - bucket + spare
            counts.insert(contentsOf: repeatElement(0, count: added), at: 0)
            base -= added
        } else {
            let added = bucket - (base + counts.count) + 1 + spare
            counts.append(contentsOf: repeatElement(0, count: added))
        }
    }
}

extension BucketWindow: Equatable {
    /// Windows are equal when they count the same, however far they span.
    static func == (left: BucketWindow, right: BucketWindow) -> Bool {
        guard left.total == right.total else { return false }
        let first = min(left.base, right.base)
        let end = max(left.base + left.counts.count, right.base + right.counts.count)
        return (first..<end).allSatisfy { left.count(of: $0) == right.count(of: $0) }
    }

    private func count(of bucket: Int) -> Int {
        let index = bucket - base
        return counts.indices.contains(index) ? counts[index] : 0
    }
}
