import Glibc

extension PurchaseParameters {
    /// The age at which the chance of no purchase within `horizon` has risen to `level`.
    ///
    /// A bracketed root: the chance rises with age, and either of its two parts alone gives an
    /// upper bound in closed form.
    ///
    /// - Parameters:
    ///   - level: above 0 and below 1.
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    ///   - horizon: h, weeks, positive.
    /// - Returns: weeks, not before `recency`; there the level is reached, and 1e-12 of the age
    ///   (and a week) earlier it is not. Nil where the age is too large for a double.
    /// - Complexity: about ten evaluations of the chance, no allocation.
    public func ageWhenNoPurchaseRises(
        to level: Double,
        x: Int,
        recency: Double,
        horizon: Double
    ) -> Double? {
        precondition(0 < level && level < 1 && horizon > 0, "a chance and a horizon")
        func excess(_ age: Double) -> Double {
            probabilityNoPurchase(x: x, recency: recency, age: age, horizon: horizon) - level
        }
        let atPurchase = excess(recency)
        guard atPurchase < 0 else { return recency }
        // Silence of the living alone: ((alpha + T) / (alpha + T + h))^(r + x) = level.
        let silence = horizon / expm1(-log(level) / shape(x)) - alpha
        let left = ageWhenAliveFalls(to: 1 - level, x: x, recency: recency) ?? .infinity
        var upper = max(recency, min(silence, left))
        guard upper.isFinite else { return nil }
        // Rounding may put the bound just before the crossing.
        var step = 1e-12 * (1 + upper)
        var atUpper = excess(upper)
        while atUpper < 0 {
            upper += step
            step *= 2
            guard upper.isFinite else { return nil }
            atUpper = excess(upper)
        }
        return RootBracket.root(
            of: excess,
            below: (recency, atPurchase),
            above: (upper, atUpper),
            tolerance: 1e-12 * (1 + upper)
        )
    }
}

/// An interval in which a function changes from below zero to zero or above.
///
/// Inverse quadratic interpolation where the last three points allow it, else halving
/// (Chandrupatla, 1997, doi:10.1016/S0965-9978(96)00051-8): few steps for smooth functions, never
/// many more than halving alone.
struct RootBracket {
    private typealias Point = (x: Double, y: Double)

    /// The newest point, the end across the root from it, and the one that was left last.
    private var newest: Point
    private var across: Point
    private var left: Point
    private var share = 0.5
    private let tolerance: Double

    init(
        below: (x: Double, y: Double),
        above: (x: Double, y: Double),
        tolerance: Double
    ) {
        precondition(below.x <= above.x && below.y < 0 && above.y >= 0, "a root between them")
        newest = above
        across = below
        left = above
        self.tolerance = tolerance
    }

    /// The end at or above zero, once both are within the tolerance.
    ///
    /// - Parameters:
    ///   - function: below zero at one end, zero or above at the other.
    ///   - below: the lower end and the value there.
    ///   - above: the upper end and the value there.
    ///   - tolerance: distance of the ends at the end.
    /// - Returns: where the function is at or above zero, and a tolerance before it is not.
    static func root(
        of function: (Double) -> Double,
        below: (x: Double, y: Double),
        above: (x: Double, y: Double),
        tolerance: Double
    ) -> Double {
        var bracket = RootBracket(below: below, above: above, tolerance: tolerance)
        while bracket.isOpen {
            let next = bracket.next
            bracket.narrow(to: next, function(next))
        }
        return bracket.above
    }

    /// The end at or above zero.
    var above: Double { newest.y >= 0 ? newest.x : across.x }

    /// Whether the ends are further apart than the tolerance, and a number lies between them.
    var isOpen: Bool {
        abs(across.x - newest.x) > tolerance && next != newest.x && next != across.x
    }

    /// Where to evaluate next.
    var next: Double { newest.x + share * (across.x - newest.x) }

    /// Takes the value at `next`.
    mutating func narrow(to x: Double, _ y: Double) {
        if (y >= 0) == (newest.y >= 0) {
            left = newest
        } else {
            left = across
            across = newest
        }
        newest = (x, y)
        share = 0.5
        let xi = (newest.x - across.x) / (left.x - across.x)
        let phi = (newest.y - across.y) / (left.y - across.y)
        if phi * phi < xi && (1 - phi) * (1 - phi) < 1 - xi {
            share =
                newest.y / (across.y - newest.y) * left.y / (across.y - left.y)
                + (left.x - newest.x) / (across.x - newest.x)
                * newest.y / (left.y - newest.y) * across.y / (left.y - across.y)
        }
        // Half a tolerance from either end at least, so that both of them come close.
        let least = min(0.5, 0.5 * tolerance / abs(across.x - newest.x))
        share = min(max(share, least), 1 - least)
    }
}
