import Glibc

/// A fitted purchase model: what it says about one customer.
///
/// Times are weeks since the first purchase. An age below the recency counts as the recency. All of
/// it is computed from logarithms, so that a thousand purchases overflow nothing, and nothing
/// allocates.
public struct PurchaseParameters: Sendable, Equatable {
    /// The model; `nbd` after a fall-back.
    public var model: PurchaseModel
    /// Shape of the distribution of purchase rates, positive.
    public var r: Double
    /// Rate of that distribution, weeks, positive.
    public var alpha: Double
    /// First parameter of the distribution of leaving, positive; nil for `nbd`.
    public var a: Double?
    /// Second parameter of the distribution of leaving, positive; nil for `nbd`.
    public var b: Double?
    /// Logarithm of the likelihood of the histories fitted.
    public var logLikelihood: Double
    /// False when the search ended at its limit.
    public var converged: Bool
    /// Customers fitted.
    public var customers: Int
    /// True when a model with leaving was asked for and the data show none.
    public var fellBackToNBD: Bool
    /// How sure the parameters are; nil where the fit does not tell.
    public var standardErrors: PurchaseStandardErrors?

    /// Creates parameters from their parts.
    ///
    /// - Precondition: `a` and `b` are there unless the model is `nbd`.
    public init(
        model: PurchaseModel,
        r: Double,
        alpha: Double,
        a: Double?,
        b: Double?,
        logLikelihood: Double = 0,
        converged: Bool = true,
        customers: Int = 0,
        fellBackToNBD: Bool = false,
        standardErrors: PurchaseStandardErrors? = nil
    ) {
        precondition(r > 0 && alpha > 0, "parameters are positive")
        precondition(model == .nbd ? a == nil && b == nil : (a ?? 0) > 0 && (b ?? 0) > 0)
        self.model = model
        self.r = r
        self.alpha = alpha
        self.a = a
        self.b = b
        self.logLikelihood = logLikelihood
        self.converged = converged
        self.customers = customers
        self.fellBackToNBD = fellBackToNBD
        self.standardErrors = standardErrors
    }

    /// The chance that a customer has not left.
    ///
    /// `1 / (1 + c ((alpha + T) / (alpha + t_x))^(r + x))` with c = a / (b + x) for MBG/NBD and
    /// a / (b + x - 1) for BG/NBD, where one-time buyers never leave.
    ///
    /// - Parameters:
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    ///   - age: T, weeks.
    /// - Returns: 0 to 1, falling with age.
    public func probabilityAlive(x: Int, recency: Double, age: Double) -> Double {
        guard let odds = logOddsOfHavingLeft(x: x, recency: recency, age: age) else { return 1 }
        return Self.share(ofLogOdds: -odds)
    }

    /// The chance of no purchase in the coming `horizon`.
    ///
    /// Left already, or alive and silent: `1 - P(alive) + P(alive) ((alpha + T) / (alpha + T +
    /// h))^(r + x)`, all of it positive terms, so that small chances keep their digits.
    ///
    /// - Parameters:
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    ///   - age: T, weeks.
    ///   - horizon: h, weeks.
    /// - Returns: 0 to 1, rising with age.
    public func probabilityNoPurchase(
        x: Int,
        recency: Double,
        age: Double,
        horizon: Double
    ) -> Double {
        let silent = exp(-shape(x) * log1p(horizon / (alpha + max(age, recency))))
        guard let odds = logOddsOfHavingLeft(x: x, recency: recency, age: age) else {
            return silent
        }
        return Self.share(ofLogOdds: odds) + Self.share(ofLogOdds: -odds) * silent
    }

    /// Purchases a week to be expected now: the chance of being alive, times the mean rate
    /// `(r + x) / (alpha + T)` of the living.
    ///
    /// - Parameters:
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    ///   - age: T, weeks.
    /// - Returns: the limit of `expectedPurchases` over short horizons, by their length.
    public func ratePerWeek(x: Int, recency: Double, age: Double) -> Double {
        probabilityAlive(x: x, recency: recency, age: age) * shape(x)
            / (alpha + max(age, recency))
    }

    /// Time after the last purchase within which the next one falls with chance `q`, if alive.
    ///
    /// `(alpha + t_x) ((1 - q)^(-1 / (r + x)) - 1)`.
    ///
    /// - Parameters:
    ///   - q: 0 to below 1.
    ///   - x: repeat purchases.
    ///   - recency: t_x, weeks.
    /// - Returns: weeks; infinite where the number is too large for a double.
    public func gapQuantile(_ q: Double, x: Int, recency: Double) -> Double {
        precondition(0 <= q && q < 1, "a quantile is from 0 to below 1")
        return (alpha + recency) * expm1(-log1p(-q) / shape(x))
    }

    /// Shape of the distribution of a customer's rate after x repeat purchases.
    func shape(_ x: Int) -> Double { r + Double(x) }

    /// Logarithm of c, the odds of having left right after the last purchase; nil where nobody
    /// leaves.
    func logOddsAtPurchase(_ x: Int) -> Double? {
        guard let a, let b else { return nil }
        switch model {
        case .mbgNBD: return log(a / (b + Double(x)))
        case .bgNBD: return x > 0 ? log(a / (b + Double(x - 1))) : nil
        case .nbd: return nil
        }
    }

    private func logOddsOfHavingLeft(x: Int, recency: Double, age: Double) -> Double? {
        assert(x >= 0 && recency >= 0)
        guard let atPurchase = logOddsAtPurchase(x) else { return nil }
        return atPurchase + shape(x) * log1p(max(0, age - recency) / (alpha + recency))
    }

    /// `exp(l) / (1 + exp(l))`, without overflow and with all digits where it is small.
    private static func share(ofLogOdds odds: Double) -> Double {
        guard odds > 0 else {
            let ratio = exp(odds)
            return ratio / (1 + ratio)
        }
        return 1 / (1 + exp(-odds))
    }
}
