/// Projects rows onto a basis: `scores[i] = offset[i] + sum over j of matrix[i][j] * row[j]`.
///
/// Scaling, centring and imputation are folded into matrix and offset by the caller.
public enum Projection {
    /// Projects one row.
    ///
    /// - Parameters:
    ///   - matrix: IN, `[componentCount x dimension]`, row-major.
    ///   - offset: IN, `[componentCount]`.
    ///   - row: IN, `[dimension]`.
    ///   - scores: OUT, `[componentCount]`.
    /// - Complexity: O(componentCount x dimension) time, no allocation.
    public static func apply(
        matrix: [Double],
        offset: [Double],
        row: [Double],
        scores: inout [Double]
    ) {
        apply(
            matrix: matrix,
            offset: offset,
            rows: row,
            rowCount: 1,
            dimension: row.count,
            scores: &scores
        )
    }

    /// Projects many rows; each gives the same bytes as it does alone.
    ///
    /// - Parameters:
    ///   - matrix: IN, `[componentCount x dimension]`, row-major.
    ///   - offset: IN, `[componentCount]`.
    ///   - rows: IN, at least `[rowCount x dimension]`, row-major.
    ///   - rowCount: rows to project; the arrays may be longer.
    ///   - dimension: width of a row, 1 or more.
    ///   - scores: OUT, at least `[rowCount x componentCount]`, row-major.
    /// - Complexity: O(rowCount x componentCount x dimension) time, no allocation.
    public static func apply(
        matrix: [Double],
        offset: [Double],
        rows: [Double],
        rowCount: Int,
        dimension: Int,
        scores: inout [Double]
    ) {
        let componentCount = offset.count
        precondition(dimension > 0 && rowCount >= 0, "sizes must not be negative")
        precondition(matrix.count == componentCount * dimension, "matrix of another shape")
        precondition(rows.count >= rowCount * dimension, "too few rows")
        precondition(scores.count >= rowCount * componentCount, "too little room for scores")
        unsafe matrix.withUnsafeBufferPointer { matrix in
            unsafe rows.withUnsafeBufferPointer { rows in
                guard let m = matrix.baseAddress, let first = rows.baseAddress else { return }
                for index in 0..<rowCount {
                    let row = unsafe first + index &* dimension
                    for component in 0..<componentCount {
                        let product = unsafe dot(m + component &* dimension, row, dimension)
                        scores[index &* componentCount &+ component] = offset[component] + product
                    }
                }
            }
        }
    }

    /// Scalar product in a fixed order: eight lanes, their sum, then the rest.
    @inline(__always)
    private static func dot(
        _ a: UnsafePointer<Double>,
        _ b: UnsafePointer<Double>,
        _ count: Int
    ) -> Double {
        var sums = Lanes.zero
        var j = 0
        while j &+ laneCount <= count {
            unsafe sums += a.lanes(at: j) * b.lanes(at: j)
            j &+= laneCount
        }
        var sum = sums.sum()
        while j < count {
            unsafe sum += a[j] * b[j]
            j &+= 1
        }
        return sum
    }
}
