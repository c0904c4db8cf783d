/// Matches rows to columns at the least total cost.
public enum Assignment {
    /// Solves the assignment problem by shortest augmenting paths (Jonker and Volgenant, 1987,
    /// doi:10.1007/BF02278710).
    ///
    /// As many pairs are made as the smaller side has members. Deterministic: equal costs are
    /// decided by the order of rows and columns.
    ///
    /// - Parameters:
    ///   - cost: `[rows x columns]`, row-major, finite; negate it to maximise.
    ///   - rows: number of rows.
    ///   - columns: number of columns.
    /// - Returns: `[rows]`: column of each row, -1 for a row that stays alone.
    /// - Complexity: O(min^2 x max) time, O(max) memory.
    public static func solve(cost: [Double], rows: Int, columns: Int) -> [Int] {
        precondition(rows >= 0 && columns >= 0 && cost.count == rows * columns, "other shape")
        precondition(cost.allSatisfy(\.isFinite), "costs must be finite")
        guard rows > 0 && columns > 0 else { return [Int](repeating: -1, count: rows) }
        var columnOfRow = [Int](repeating: -1, count: rows)
        if rows <= columns {
            let rowOfColumn = match(rows, columns) { cost[$0 * columns + $1] }
            for (column, row) in rowOfColumn.enumerated() where row >= 0 {
                columnOfRow[row] = column
            }
        } else {
            columnOfRow = match(columns, rows) { cost[$1 * columns + $0] }
        }
        return columnOfRow
    }

    /// Matches every member of the smaller side; returns its partner for each of the larger, or -1.
    private static func match(
        _ smaller: Int,
        _ larger: Int,
        cost: (Int, Int) -> Double
    ) -> [Int] {
        // One slot more than members on the larger side: there the newcomer waits for its path.
        let start = larger
        var owner = [Int](repeating: -1, count: larger + 1)
        var smallPrice = [Double](repeating: 0, count: smaller)
        var largePrice = [Double](repeating: 0, count: larger + 1)
        for newcomer in 0..<smaller {
            owner[start] = newcomer
            var slack = [Double](repeating: .infinity, count: larger)
            var previous = [Int](repeating: start, count: larger)
            var isReached = [Bool](repeating: false, count: larger + 1)
            var current = start
            while owner[current] >= 0 {
                isReached[current] = true
                let row = owner[current]
                var nearest = start
                var least = Double.infinity
                for column in 0..<larger where !isReached[column] {
                    let reduced = cost(row, column) - smallPrice[row] - largePrice[column]
                    if reduced < slack[column] {
                        slack[column] = reduced
                        previous[column] = current
                    }
                    if slack[column] < least {
                        least = slack[column]
                        nearest = column
                    }
                }
                for column in 0...larger where isReached[column] {
                    smallPrice[owner[column]] += least
                    largePrice[column] -= least
                }
                for column in 0..<larger where !isReached[column] { slack[column] -= least }
                current = nearest
            }
            while current != start {
                owner[current] = owner[previous[current]]
                current = previous[current]
            }
        }
        return Array(owner.dropLast())
    }
}
