import Glibc
import Kernels

/// Standard errors of fitted parameters, from the curvature of the log-likelihood at its maximum.
public struct PurchaseStandardErrors: Sendable, Equatable {
    /// Of r.
    public var r: Double
    /// Of alpha, weeks.
    public var alpha: Double
    /// Of a; nil for `nbd`.
    public var a: Double?
    /// Of b; nil for `nbd`.
    public var b: Double?

    /// Creates errors from their parts.
    public init(r: Double, alpha: Double, a: Double?, b: Double?) {
        self.r = r
        self.alpha = alpha
        self.a = a
        self.b = b
    }

    /// Half the distance of the points that a second difference compares, in logarithms.
    private static let step = 1e-3

    /// The errors at a maximum.
    ///
    /// The curvature is taken over logarithms of the parameters, where it is well conditioned, and
    /// its inverse carried over to the parameters themselves (delta method).
    ///
    /// - Parameters:
    ///   - fit: where the maximum lies.
    ///   - likelihood: what was fitted.
    /// - Throws: `NumericError` when the curvature cannot be decomposed.
    /// - Returns: nil where the likelihood is flat in some direction, so that an error has no
    ///   bound.
    static func at(
        _ fit: PurchaseParameters,
        of likelihood: PurchaseLikelihood
    ) throws(NumericError) -> PurchaseStandardErrors? {
        var evaluated = likelihood
        let values = [fit.r, fit.alpha] + [fit.a, fit.b].compactMap(\.self)
        let count = values.count
        func logLikelihood(_ moves: (Int, Double)...) -> Double {
            var logs = values.map { log($0) }
            for (index, move) in moves { logs[index] += move }
            return evaluated.logValue(
                fit.model,
                r: exp(logs[0]),
                alpha: exp(logs[1]),
                a: count == 4 ? exp(logs[2]) : 1,
                b: count == 4 ? exp(logs[3]) : 1
            )
        }
        let top = logLikelihood()
        var information = Array(repeating: 0.0, count: count * count)
        for i in 0..<count {
            let ends = logLikelihood((i, step)) + logLikelihood((i, -step))
            information[i * count + i] = (2 * top - ends) / (step * step)
            for j in 0..<i {
                let same =
                    logLikelihood((i, step), (j, step)) + logLikelihood((i, -step), (j, -step))
                let crossed =
                    logLikelihood((i, step), (j, -step)) + logLikelihood((i, -step), (j, step))
                let curvature = (crossed - same) / (4 * step * step)
                information[i * count + j] = curvature
                information[j * count + i] = curvature
            }
        }
        let (eigenvalues, vectors) = try SymmetricEigen.decompose(information, order: count)
        // What second differences cannot tell from flat: rounding of sums of this size.
        let noise = 1e-13 * (1 + abs(top)) / (step * step)
        guard let least = eigenvalues.last, least > noise else { return nil }
        let errors = (0..<count).map { i in
            let variance = eigenvalues.indices.reduce(0) {
                $0 + vectors[$1 * count + i] * vectors[$1 * count + i] / eigenvalues[$1]
            }
            return values[i] * variance.squareRoot()
        }
        return PurchaseStandardErrors(
            r: errors[0],
            alpha: errors[1],
            a: count == 4 ? errors[2] : nil,
            b: count == 4 ? errors[3] : nil
        )
    }
}
