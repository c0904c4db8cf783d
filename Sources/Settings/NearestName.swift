/// Finds what somebody meant when they wrote a name that does not exist.
enum NearestName {
    /// The known name nearest to `written`, or nil when none is near enough to be meant.
    ///
    /// Names are compared whole and, so that a key under the wrong parent is found, by their last
    /// part.
    static func of(_ written: String, among known: [String]) -> String? {
        var best: (name: String, distance: Int)?
        let writtenLast = last(written)
        for name in known {
            let tail = last(name)
            // A misplaced key costs one edit, so that a slip of the pen under the right parent
            // wins.
            let whole = distance(Array(written.utf8), Array(name.utf8))
            let part = 1 + distance(Array(writtenLast.utf8), Array(tail.utf8))
            let distance = min(whole, part)
            let allowed = max(1, writtenLast.utf8.count / 3)
            if distance <= allowed && distance < best?.distance ?? .max { best = (name, distance) }
        }
        return best?.name
    }

    private static func last(_ name: String) -> Substring {
        name.lastIndex(of: ".").map { name[name.index(after: $0)...] } ?? name[...]
    }

    /// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours.
    ///
    /// Complexity: O(a.count x b.count) time, three rows of memory.
    static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var previous = Array(0...b.count)
        for i in a.indices {
            var current = [i + 1]
            for j in b.indices {
                let isSame = a[i] == b[j]
                var cost = min(previous[j + 1] + 1, current[j] + 1, previous[j] + (isSame ? 0 : 1))
                if i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j] {
                    cost = min(cost, beforeLast[j - 1] + 1)
                }
                current.append(cost)
            }
            beforeLast = previous
            previous = current
        }
        return previous[b.count]
    }
}
