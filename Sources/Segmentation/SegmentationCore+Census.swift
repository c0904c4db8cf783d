/// How many customers are where, as a pass over the rows found them.
///
/// Customers of the open transaction are counted as they stand in it, and a pass over a large table
/// takes some seconds: for people and metrics, never for decisions.
public struct Census: Sendable, Equatable {
    /// Customers by published segment, by its id; those for whom nothing is published are in none.
    public var segments: [Int: Int] = [:]
    /// Customers in each band, in the order of `ChurnBand.allCases`.
    public var bands = Array(repeating: 0, count: ChurnBand.allCases.count)
    /// Customers with a due moment ahead of them.
    public var due = 0

    /// Creates a census of nobody.
    public init() {}
}

/// A pass that has not come to its end.
struct CensusPass: Sendable {
    /// Customers by id of their segment; 0 for none.
    private var segments: [Int] = [0]
    private var found = Census()
    /// Rows below it are counted.
    var cursor = 0

    mutating func count(segment: Int, band: ChurnBand, isDue: Bool) {
        if segment >= segments.count {
            segments += Array(repeating: 0, count: segment + 1 - segments.count)
        }
        segments[segment] += 1
        found.bands[Int(band.rawValue)] += 1
        if isDue { found.due += 1 }
    }

    /// What was counted.
    var census: Census {
        var census = found
        for (id, count) in segments.enumerated() where id > 0 && count > 0 {
            census.segments[id] = count
        }
        return census
    }
}

extension SegmentationCore {
    /// Goes on counting, and begins again at the end.
    ///
    /// - Parameter limit: rows looked at, at most.
    /// - Complexity: O(limit), two words of each row.
    public mutating func takeCensus(limit: Int) {
        let start = min(censusPass.cursor, table.rowEnd)
        let end = limit < table.rowEnd - start ? start + limit : table.rowEnd
        for row in start..<end where table.isInUse(row) {
            censusPass.count(
                segment: table.publishedSegment(row),
                band: table.band(row),
                isDue: table.due(row) < DueMoment.never
            )
        }
        censusPass.cursor = end
        guard end == table.rowEnd else { return }
        census = censusPass.census
        censusPass = CensusPass()
    }
}
