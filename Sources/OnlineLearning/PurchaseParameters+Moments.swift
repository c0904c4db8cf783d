import Glibc

extension PurchaseParameters {
    /// The age at which the chance of being alive has fallen to `theta`, if no purchase comes.
    ///
    /// `(alpha + t_x) (((1 - theta) / theta) / c)^(1 / (r + x)) - alpha`.
    ///
    /// - Parameters:
    ///   - theta: above 0 and below 1.
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    /// - Returns: weeks, not before `recency` (then the chance is as low right after the purchase);
    ///   nil where the model knows no leaving or the age is too large for a double.
    public func ageWhenAliveFalls(to theta: Double, x: Int, recency: Double) -> Double? {
        precondition(0 < theta && theta < 1, "a chance between 0 and 1")
        guard let atPurchase = logOddsAtPurchase(x) else { return nil }
        let growth = (log1p(-theta) - log(theta) - atPurchase) / shape(x)
        let age = recency + (alpha + recency) * expm1(max(0, growth))
        return age.isFinite ? age : nil
    }

    /// Purchases to be expected in the coming `horizon`.
    ///
    /// Published for both models with the hypergeometric function (Fader, Hardie and Lee, 2005,
    /// equation 10; Batislam et al., 2007), whose factor 1 / (a - 1) fails near a = 1 and whose
    /// series is slow for frequent buyers. The same expectation is an integral over the chance p of
    /// leaving, of `P(alive) (1 - (1 + p h / (alpha + T))^-(r + x)) / p` with p beta distributed,
    /// which is smooth for all parameters; it is summed here after a double exponential
    /// substitution (Takahasi and Mori, 1974, doi:10.2977/prims/1195192451).
    ///
    /// - Parameters:
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    ///   - age: T, weeks.
    ///   - horizon: h, weeks.
    /// - Returns: a number of purchases, to 1e-9 relative; 1e-12 for parameters of ordinary shops.
    /// - Complexity: 100 to 200 evaluations of the integrand, no allocation.
    public func expectedPurchases(
        x: Int,
        recency: Double,
        age: Double,
        horizon: Double
    ) -> Double {
        precondition(horizon >= 0, "a horizon is not negative")
        let reach = horizon / (alpha + max(age, recency))
        guard let a, let b, horizon > 0 else { return shape(x) * reach }
        // A living customer has survived the purchases so far.
        let survived = b + Double(model == .mbgNBD ? x + 1 : x)
        let mean = PurchaseExpectation(a: a, b: survived, shape: shape(x), reach: reach).value
        return probabilityAlive(x: x, recency: recency, age: age) * mean
    }
}

/// Mean of `(1 - (1 + p reach)^-shape) / p` over p with a beta distribution (a, b).
private struct PurchaseExpectation {
    let a: Double
    let b: Double
    let shape: Double
    let reach: Double

    /// Step of the sum; the error falls exponentially in 1 / step.
    private static let step = 1.0 / 14

    var value: Double {
        // With p = 1 / (1 + exp(-y)) the weight has its steepest parts near here, about as wide as
        // sqrt(1/a + 1/b) or 1, and falls exponentially; y = peak + width sinh(u) makes that fall
        // doubly exponential, so that few terms count.
        let peak = log(max(a, 1) / max(b, 1))
        let width = min(1, (1 / a + 1 / b).squareRoot())
        let highest = logWeight(peak)
        var weights = 0.0
        var sum = 0.0
        var index = 0
        while true {
            let before = weights
            for side in 0..<(index == 0 ? 1 : 2) {
                let u = Double(side == 0 ? index : -index) * Self.step
                let y = peak + width * sinh(u)
                let weight = exp(logWeight(y) - highest) * cosh(u)
                weights += weight
                sum += weight * purchases(y)
            }
            index += 1
            if weights - before <= 1e-15 * weights { return sum / weights }
        }
    }

    /// Logarithm of p^a (1 - p)^b.
    private func logWeight(_ y: Double) -> Double {
        let bend = log1p(exp(-abs(y)))
        return -a * (max(0, -y) + bend) - b * (max(0, y) + bend)
    }

    /// Expected purchases of a living customer whose chance of leaving is p.
    private func purchases(_ y: Double) -> Double {
        let p = 1 / (1 + exp(-y))
        // The limit for p to 0, before p itself underflows.
        guard p > 1e-200 else { return shape * reach }
        return -expm1(-shape * log1p(p * reach)) / p
    }
}
