import Glibc
public import Kernels

/// Fits purchase models by maximum likelihood.
///
/// The search runs over logarithms of r, alpha, a + b and the log odds of a / (a + b), without
/// derivatives, from several starts, and is deterministic.
public enum PurchaseModelFit {
    /// Mean chance of leaving below which a fit has no leaving.
    public static let dropoutMin = 1e-6

    /// Fits a model to customers counted in whole days.
    ///
    /// - Parameters:
    ///   - histogram: the customers; 100 with a repeat purchase make a fit worth having.
    ///   - model: what to fit.
    /// - Returns: parameters in weeks. Where a / (a + b) goes below `dropoutMin`, the data show no
    ///   leaving: they are those of `nbd` and `fellBackToNBD` is set.
    /// - Throws: `NumericError` of kind `badInput` when nobody has bought again, `libraryFailure`
    ///   when the search failed: keep the previous parameters.
    public static func fit(
        _ histogram: PurchaseHistogram,
        model: PurchaseModel
    ) throws(NumericError) -> PurchaseParameters {
        try fit(groups: histogram.groups, model: model)
    }

    /// Fits a model to customers grouped by history in weeks.
    ///
    /// - Parameters:
    ///   - groups: the customers.
    ///   - model: what to fit.
    /// - Returns: parameters, as the fit of a histogram does.
    /// - Throws: `NumericError` of kind `badInput` when nobody has bought again, `libraryFailure`
    ///   when the search failed: keep the previous parameters.
    /// - Complexity: some hundreds of evaluations, each O(groups).
    public static func fit(
        groups: [PurchaseGroup],
        model: PurchaseModel
    ) throws(NumericError) -> PurchaseParameters {
        var purchases = 0.0
        var exposure = 0.0
        var customers = 0
        for group in groups {
            purchases += Double(group.count) * Double(group.history.repeatPurchases)
            exposure += Double(group.count) * group.history.age
            customers += group.count
        }
        guard purchases > 0 && exposure > 0 else {
            throw NumericError(
                kind: .badInput,
                operation: "fit a purchase model",
                reason: "no customer has bought again"
            )
        }
        let search = Search(groups: groups, customers: customers)
        var base = try search.fitNBD(rate: purchases / exposure)
        if model != .nbd {
            let fit = try search.fitDropout(model, base: base)
            let (a, b) = (fit.a ?? 0, fit.b ?? 0)
            guard a / (a + b) < dropoutMin else { return try search.withErrors(fit) }
            base.fellBackToNBD = true
        }
        return try search.withErrors(base)
    }
}

/// The searches of one fit.
private struct Search {
    /// Groups of the first, rough searches at most; each evaluation of the last ones sees all.
    private static let roughGroupMax = 4_000

    private let likelihood: PurchaseLikelihood
    private let rough: PurchaseLikelihood
    private let customers: Int

    init(groups: [PurchaseGroup], customers: Int) {
        likelihood = PurchaseLikelihood(groups)
        let step = max(1, groups.count / Self.roughGroupMax)
        rough = PurchaseLikelihood(
            step == 1 ? groups : stride(from: 0, to: groups.count, by: step).map { groups[$0] }
        )
        self.customers = customers
    }

    func withErrors(_ fit: PurchaseParameters) throws(NumericError) -> PurchaseParameters {
        var fit = fit
        fit.standardErrors = try PurchaseStandardErrors.at(fit, of: likelihood)
        return fit
    }

    func fitNBD(rate: Double) throws(NumericError) -> PurchaseParameters {
        let start = [log(0.5), log(0.5 / rate)]
        let (best, converged) = try polish(.nbd, from: start)
        return parameters(.nbd, at: best, converged: converged)
    }

    func fitDropout(
        _ model: PurchaseModel,
        base: PurchaseParameters
    ) throws(NumericError) -> PurchaseParameters {
        var best: Minimum?
        for dropout in [0.3, 0.03] {
            for total in [1.0, 6.0] {
                let start = [
                    log(base.r) + 0.3,
                    log(base.alpha) - 0.3,
                    log(dropout / (1 - dropout)),
                    log(total),
                ]
                let end = try Self.minimize(
                    rough,
                    model,
                    from: start,
                    step: 0.4,
                    tolerances: (1e-3, 1e-3),
                    evaluationMax: 400
                )
                if let current = best, current.value <= end.value { continue }
                best = end
            }
        }
        let start = best?.point ?? [log(base.r), log(base.alpha), -2, 0]
        let (end, converged) = try polish(model, from: start)
        return parameters(model, at: end, converged: converged)
    }

    /// Searches from where the last search ended until that no longer helps.
    private func polish(
        _ model: PurchaseModel,
        from start: [Double]
    ) throws(NumericError) -> (Minimum, converged: Bool) {
        var best: Minimum?
        var point = start
        for round in 0..<6 {
            let end = try Self.minimize(
                likelihood,
                model,
                from: point,
                step: round == 0 ? 0.3 : 0.05,
                tolerances: (1e-8, 1e-9),
                evaluationMax: 3_000
            )
            guard let last = best else {
                best = end
                point = end.point
                continue
            }
            if end.value < last.value {
                best = end
                point = end.point
            }
            if last.value - end.value < 1e-7 {
                return (best ?? end, end.converged || last.converged)
            }
        }
        guard let best else { preconditionFailure("at least one search was made") }
        return (best, false)
    }

    private static func minimize(
        _ likelihood: PurchaseLikelihood,
        _ model: PurchaseModel,
        from start: [Double],
        step: Double,
        tolerances: (point: Double, value: Double),
        evaluationMax: Int
    ) throws(NumericError) -> Minimum {
        // r, alpha; log odds of the mean chance of leaving; a + b. Wide enough for any shop; the
        // odds reach well below `dropoutMin`.
        let lower = [log(1e-4), log(1e-5), -25, log(1e-3)]
        let upper = [log(1e4), log(1e8), 12, log(1e6)]
        let count = start.count
        var evaluated = likelihood
        // Not subplex: it creeps along the ridge on which r and alpha, a and b go together.
        return try Minimizer.minimize(
            algorithm: .nelderMead,
            start: (0..<count).map { min(upper[$0], max(lower[$0], start[$0])) },
            lower: Array(lower.prefix(count)),
            upper: Array(upper.prefix(count)),
            initialStep: step,
            pointTolerance: tolerances.point,
            valueTolerance: tolerances.value,
            evaluationMax: evaluationMax
        ) { point in
            let (a, b) = Self.dropout(at: point)
            return -evaluated.logValue(model, r: exp(point[0]), alpha: exp(point[1]), a: a, b: b)
        }
    }

    /// a and b at a point of the search.
    private static func dropout(at point: [Double]) -> (a: Double, b: Double) {
        guard point.count == 4 else { return (1, 1) }
        let total = exp(point[3])
        return (total / (1 + exp(-point[2])), total / (1 + exp(point[2])))
    }

    private func parameters(
        _ model: PurchaseModel,
        at minimum: Minimum,
        converged: Bool
    ) -> PurchaseParameters {
        let (a, b) = Self.dropout(at: minimum.point)
        return PurchaseParameters(
            model: model,
            r: exp(minimum.point[0]),
            alpha: exp(minimum.point[1]),
            a: model == .nbd ? nil : a,
            b: model == .nbd ? nil : b,
            logLikelihood: -minimum.value,
            converged: converged,
            customers: customers
        )
    }
}
