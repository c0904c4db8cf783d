internal import CLAPACKE

/// Eigenvalues and eigenvectors of a symmetric matrix, by LAPACK's divide and conquer (`dsyevd`).
public enum SymmetricEigen {
    /// Decomposes a symmetric matrix.
    ///
    /// The sign of each vector is whatever the library returns; `PrincipalComponents` fixes it.
    ///
    /// - Parameters:
    ///   - matrix: `[order x order]`, row-major; only one triangle is read.
    ///   - order: rows and columns, 1 or more.
    /// - Returns: `values` in descending order; `vectors` `[order x order]`, row-major, row i is
    ///   the unit eigenvector of value i.
    /// - Throws: `NumericError` of kind `badInput` when an entry is not finite, `notConverged` when
    ///   the iteration failed: keep the previous basis.
    /// - Complexity: O(order^3) time, O(order^2) memory.
    public static func decompose(
        _ matrix: [Double],
        order: Int
    ) throws(NumericError) -> (values: [Double], vectors: [Double]) {
        precondition(order > 0 && matrix.count == order * order, "a square matrix is expected")
        let operation = "decompose a symmetric matrix"
        guard matrix.allSatisfy(\.isFinite) else {
            throw NumericError(kind: .badInput, operation: operation, reason: "not finite")
        }
        var ascendingVectors = matrix
        var ascendingValues = [Double](repeating: 0, count: order)
        // Column-major: eigenvectors come back as columns, which are contiguous, that is as our
        // rows.
        clapacke_use_one_thread()
        let status = unsafe LAPACKE_dsyevd(
            LAPACK_COL_MAJOR,
            CChar(UInt8(ascii: "V")),
            CChar(UInt8(ascii: "U")),
            Int32(order),
            &ascendingVectors,
            Int32(order),
            &ascendingValues
        )
        guard status == 0 else {
            throw NumericError(
                kind: status > 0 ? .notConverged : .libraryFailure,
                operation: operation,
                reason: "dsyevd returned \(status)"
            )
        }
        var vectors: [Double] = []
        vectors.reserveCapacity(order * order)
        for index in (0..<order).reversed() {
            vectors += ascendingVectors[index * order..<(index + 1) * order]
        }
        return (ascendingValues.reversed(), vectors)
    }
}
