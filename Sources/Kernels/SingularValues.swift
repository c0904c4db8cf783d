internal import CLAPACKE

/// Singular value decomposition of a small square matrix, by LAPACK (`dgesvd`).
public enum SingularValues {
    /// Decomposes a matrix as `left * diagonal(values) * right`.
    ///
    /// - Parameters:
    ///   - matrix: `[order x order]`, row-major.
    ///   - order: rows and columns, 1 or more.
    /// - Returns: `left` and `right`, both orthogonal `[order x order]`, row-major, and `values` in
    ///   descending order.
    /// - Throws: `NumericError` of kind `badInput` when an entry is not finite, `notConverged` when
    ///   the iteration failed.
    /// - Complexity: O(order^3) time, O(order^2) memory.
    public static func decompose(
        _ matrix: [Double],
        order: Int
    ) throws(NumericError) -> (left: [Double], values: [Double], right: [Double]) {
        precondition(order > 0 && matrix.count == order * order, "a square matrix is expected")
        let operation = "decompose a matrix into singular values"
        guard matrix.allSatisfy(\.isFinite) else {
            throw NumericError(kind: .badInput, operation: operation, reason: "not finite")
        }
        var work = matrix
        var left = [Double](repeating: 0, count: order * order)
        var right = left
        var values = [Double](repeating: 0, count: order)
        var superdiagonal = values
        let size = Int32(order)
        let all = CChar(UInt8(ascii: "A"))
        // Row-major A is column-major A transposed = V S U^T: so the factors come back exchanged,
        // and each of them transposed once more by the reading order.
        clapacke_use_one_thread()
        let status = unsafe LAPACKE_dgesvd(
            LAPACK_COL_MAJOR,
            all,
            all,
            size,
            size,
            &work,
            size,
            &values,
            &right,
            size,
            &left,
            size,
            &superdiagonal
        )
        guard status == 0 else {
            throw NumericError(
                kind: status > 0 ? .notConverged : .libraryFailure,
                operation: operation,
                reason: "dgesvd returned \(status)"
            )
        }
        return (left, values, right)
    }
}
