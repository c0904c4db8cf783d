import Glibc
public import Kernels

/// Angles between the spaces that two bases span: how far a refit has turned the view.
public enum PrincipalAngles {
    /// The largest principal angle, in degrees, 0 to 90.
    ///
    /// Angles are taken from sines, the singular values of what of one basis lies outside of the
    /// other (Björck and Golub, 1973, doi:10.1090/S0025-5718-1973-0348991-3): a cosine cannot tell
    /// angles below 1e-8 radians from 0. Signs and rotations within a basis do not matter.
    ///
    /// - Parameters:
    ///   - first: `[p x d]`, row-major, rows orthonormal; rows of zeros span nothing.
    ///   - second: `[q x d]`, likewise; of the two, the smaller one is compared with the larger.
    ///   - featureCount: `d`, 1 or more.
    /// - Returns: the angle, nil where one of them spans nothing.
    /// - Throws: `NumericError` for entries that are not finite.
    /// - Complexity: O(p q d + p^3) time.
    public static func largest(
        between first: [Double],
        and second: [Double],
        featureCount: Int
    ) throws(NumericError) -> Double? {
        let d = featureCount
        precondition(d > 0 && first.count % d == 0 && second.count % d == 0, "other shape")
        var outer = rows(first, d)
        var inner = rows(second, d)
        if inner.count > outer.count { swap(&outer, &inner) }
        guard !inner.isEmpty else { return nil }
        let rest = inner.map { row in
            var rest = row
            // Twice is enough: once leaves rounding along the outer basis.
            for _ in 0..<2 {
                for axis in outer {
                    let share = dot(rest, axis)
                    for j in 0..<d { rest[j] -= share * axis[j] }
                }
            }
            return rest
        }
        let order = inner.count
        var squares = [Double](repeating: 0, count: order * order)
        for i in 0..<order {
            for j in 0..<order { squares[i * order + j] = dot(rest[i], rest[j]) }
        }
        let values = try SymmetricEigen.decompose(squares, order: order).values
        let sine = max(0, values[0]).squareRoot()
        return asin(min(1, sine)) * 180 / .pi
    }

    private static func rows(_ basis: [Double], _ d: Int) -> [[Double]] {
        stride(from: 0, to: basis.count, by: d).map { Array(basis[$0..<$0 + d]) }
            .filter { $0.contains { $0 != 0 } }
    }

    private static func dot(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
    }
}
