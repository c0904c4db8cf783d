/// Adds weighted outer products to a packed symmetric matrix.
///
/// Only the upper triangle is kept, row after row: entry (i, j), i <= j, of a matrix of dimension D
/// stands at `packedIndex(row: i, column: j, dimension: D)`.
public enum RankUpdate {
    /// Entries of a packed triangle: D (D + 1) / 2.
    public static func packedCount(dimension: Int) -> Int { dimension * (dimension + 1) / 2 }

    /// Where entry (row, column) stands; `row` must not be greater than `column`.
    public static func packedIndex(row: Int, column: Int, dimension: Int) -> Int {
        assert(0 <= row && row <= column && column < dimension)
        return row * dimension - row * (row - 1) / 2 + column - row
    }

    /// Adds `sum over i of signs[i] * rows[i] * rows[i]^T` to the triangle.
    ///
    /// Each entry receives its terms in row order, so a batch gives the same bytes as its rows one
    /// by one. Where a row holds zero, its products are skipped.
    ///
    /// - Parameters:
    ///   - upper: INOUT, packed upper triangle, D (D + 1) / 2 entries.
    ///   - rows: IN, at least `[rowCount x dimension]`, row-major, finite.
    ///   - signs: IN, at least `[rowCount]`: +weight adds a row, -weight takes it out again.
    ///   - rowCount: rows to apply; the arrays may be longer.
    ///   - dimension: D, 1 or more.
    /// - Complexity: O(rowCount x D^2 / 2) time, no allocation.
    public static func apply(
        to upper: inout [Double],
        rows: [Double],
        signs: [Double],
        rowCount: Int,
        dimension: Int
    ) {
        precondition(dimension > 0 && rowCount >= 0, "sizes must not be negative")
        precondition(upper.count == packedCount(dimension: dimension), "triangle of another size")
        precondition(rows.count >= rowCount * dimension, "too few rows")
        precondition(signs.count >= rowCount, "too few signs")
        guard rowCount > 0 else { return }
        unsafe upper.withUnsafeMutableBufferPointer { triangle in
            unsafe rows.withUnsafeBufferPointer { rows in
                guard let m = triangle.baseAddress, let first = rows.baseAddress else { return }
                var index = 0
                while index &+ 4 <= rowCount {
                    unsafe add(
                        (
                            signs[index], signs[index &+ 1], signs[index &+ 2], signs[index &+ 3]
                        ),
                        rows: first + index &* dimension,
                        to: m,
                        dimension: dimension
                    )
                    index &+= 4
                }
                while index < rowCount {
                    unsafe add(
                        signs[index],
                        row: first + index &* dimension,
                        to: m,
                        dimension: dimension
                    )
                    index &+= 1
                }
            }
        }
    }

    /// One row; entry by entry the same sum as in a block of four.
    private static func add(
        _ sign: Double,
        row: UnsafePointer<Double>,
        to triangle: UnsafeMutablePointer<Double>,
        dimension: Int
    ) {
        var m = unsafe triangle
        for i in 0..<dimension {
            let width = dimension &- i
            let factor = unsafe sign * row[i]
            if factor != 0 {
                let u = unsafe row + i
                let factors = Lanes(repeating: factor)
                var j = 0
                while j &+ laneCount <= width {
                    unsafe m.store(m.lanes(at: j) + factors * u.lanes(at: j), at: j)
                    j &+= laneCount
                }
                while j < width {
                    unsafe m[j] += factor * u[j]
                    j &+= 1
                }
            }
            unsafe m += width
        }
    }

    /// Four rows at once, so that the triangle is loaded and stored once for all of them.
    private static func add(
        _ signs: (Double, Double, Double, Double),
        rows: UnsafePointer<Double>,
        to triangle: UnsafeMutablePointer<Double>,
        dimension: Int
    ) {
        var m = unsafe triangle
        for i in 0..<dimension {
            let width = dimension &- i
            let u0 = unsafe rows + i
            let u1 = unsafe u0 + dimension
            let u2 = unsafe u1 + dimension
            let u3 = unsafe u2 + dimension
            let f0 = unsafe signs.0 * u0[0]
            let f1 = unsafe signs.1 * u1[0]
            let f2 = unsafe signs.2 * u2[0]
            let f3 = unsafe signs.3 * u3[0]
            if f0 != 0 || f1 != 0 || f2 != 0 || f3 != 0 {
                var j = 0
                while j &+ laneCount <= width {
                    var sum = unsafe m.lanes(at: j)
                    unsafe sum += Lanes(repeating: f0) * u0.lanes(at: j)
                    unsafe sum += Lanes(repeating: f1) * u1.lanes(at: j)
                    unsafe sum += Lanes(repeating: f2) * u2.lanes(at: j)
                    unsafe sum += Lanes(repeating: f3) * u3.lanes(at: j)
                    unsafe m.store(sum, at: j)
                    j &+= laneCount
                }
                while j < width {
                    var sum = unsafe m[j]
                    unsafe sum += f0 * u0[j]
                    unsafe sum += f1 * u1[j]
                    unsafe sum += f2 * u2[j]
                    unsafe sum += f3 * u3[j]
                    unsafe m[j] = sum
                    j &+= 1
                }
            }
            unsafe m += width
        }
    }
}
