internal import CNLopt

/// Where a search for a minimum ended.
public struct Minimum: Sendable, Equatable {
    /// Best point seen.
    public var point: [Double]
    /// Objective there.
    public var value: Double
    /// How often the objective was called.
    public var evaluations: Int
    /// False when the limit of evaluations ended the search.
    public var converged: Bool
}

/// Minimises a function of a few variables within bounds, by NLopt.
public enum Minimizer {
    /// How to search without derivatives.
    public enum Algorithm: Sendable, Equatable {
        /// Subplex (Rowan, 1990): Nelder-Mead on subspaces, robust where variables are correlated.
        case subplex
        /// The simplex of Nelder and Mead (1965, doi:10.1093/comjnl/7.4.308).
        case nelderMead
    }

    /// Minimises an objective.
    ///
    /// The search is deterministic: the same objective gives the same bytes.
    ///
    /// - Parameters:
    ///   - algorithm: how to search.
    ///   - start: first point, one coordinate or more, within the bounds.
    ///   - lower: lower bound of each coordinate.
    ///   - upper: upper bound of each coordinate.
    ///   - initialStep: size of the first simplex, in units of the coordinates.
    ///   - pointTolerance: ends the search when coordinates move less than this, absolutely.
    ///   - valueTolerance: ends the search when the objective changes less than this, absolutely.
    ///   - evaluationMax: limit of evaluations.
    ///   - objective: the function; a value that is not finite counts as very bad.
    /// - Returns: the best point seen.
    /// - Throws: `NumericError` of kind `libraryFailure` when the library refuses.
    public static func minimize(
        algorithm: Algorithm,
        start: [Double],
        lower: [Double],
        upper: [Double],
        initialStep: Double = 0.5,
        pointTolerance: Double = 1e-8,
        valueTolerance: Double = 1e-10,
        evaluationMax: Int = 10_000,
        objective: ([Double]) -> Double
    ) throws(NumericError) -> Minimum {
        let count = start.count
        precondition(count > 0 && lower.count == count && upper.count == count, "other shape")
        precondition(initialStep > 0 && evaluationMax > 0, "step and limit must be positive")
        for index in 0..<count {
            precondition(
                lower[index] <= start[index] && start[index] <= upper[index],
                "the start must lie within the bounds"
            )
        }
        return try withoutActuallyEscaping(objective) {
            objective throws(NumericError) in
            try search(
                algorithm == .subplex ? NLOPT_LN_SBPLX : NLOPT_LN_NELDERMEAD,
                Evaluation(best: start) { point, _ in objective(point) },
                lower: lower,
                upper: upper,
                settings: (
                    initialStep, pointTolerance, valueTolerance, Int32(clamping: evaluationMax)
                )
            )
        }
    }

    /// Minimises a smooth objective by its gradient: limited-memory BFGS (Liu and Nocedal, 1989,
    /// doi:10.1007/BF01589116), in the variant of Luksan for bounds.
    ///
    /// The search is deterministic: the same objective gives the same bytes.
    ///
    /// - Parameters:
    ///   - start: first point, one coordinate or more, within the bounds.
    ///   - lower: lower bound of each coordinate.
    ///   - upper: upper bound of each coordinate.
    ///   - pointTolerance: ends the search when coordinates move less than this, absolutely.
    ///   - valueTolerance: ends the search when the objective changes less than this, absolutely.
    ///   - evaluationMax: limit of evaluations.
    ///   - objective: the function of a point; writes the gradient there. A value that is not
    ///     finite counts as very bad.
    /// - Returns: the best point seen.
    /// - Throws: `NumericError` of kind `libraryFailure` when the library refuses.
    public static func minimizeSmooth(
        start: [Double],
        lower: [Double],
        upper: [Double],
        pointTolerance: Double = 1e-10,
        valueTolerance: Double = 1e-14,
        evaluationMax: Int = 1_000,
        objective: ([Double], inout [Double]) -> Double
    ) throws(NumericError) -> Minimum {
        let count = start.count
        precondition(count > 0 && lower.count == count && upper.count == count, "other shape")
        precondition(evaluationMax > 0, "the limit must be positive")
        return try withoutActuallyEscaping(objective) { objective throws(NumericError) in
            try search(
                NLOPT_LD_LBFGS,
                Evaluation(best: start, objective: objective),
                lower: lower,
                upper: upper,
                settings: (1, pointTolerance, valueTolerance, Int32(clamping: evaluationMax))
            )
        }
    }

    private static func search(
        _ algorithm: nlopt_algorithm,
        _ evaluation: Evaluation,
        lower: [Double],
        upper: [Double],
        settings: (step: Double, point: Double, value: Double, evaluations: Int32)
    ) throws(NumericError) -> Minimum {
        let result = run(algorithm, evaluation, lower: lower, upper: upper, settings: settings)
        // A search by gradient that can go no further says "failure"; what it has found counts.
        let isStuck =
            result == NLOPT_ROUNDOFF_LIMITED.rawValue
            || (algorithm == NLOPT_LD_LBFGS && result == NLOPT_FAILURE.rawValue
                && evaluation.count > 1)
        guard result > 0 || isStuck else {
            throw NumericError(
                kind: .libraryFailure,
                operation: "minimise an objective",
                reason: "NLopt returned \(result)"
            )
        }
        return Minimum(
            point: evaluation.best,
            value: evaluation.bestValue,
            evaluations: evaluation.count,
            converged: isStuck || result != NLOPT_MAXEVAL_REACHED.rawValue
        )
    }

    /// What the C callback needs: it lives exactly as long as one search.
    private final class Evaluation {
        let objective: ([Double], inout [Double]) -> Double
        var point: [Double]
        var gradient: [Double]
        var best: [Double]
        var bestValue = Double.infinity
        var count = 0

        init(best: [Double], objective: @escaping ([Double], inout [Double]) -> Double) {
            self.objective = objective
            self.best = best
            point = best
            gradient = best
        }

        func value(
            at coordinates: UnsafePointer<Double>,
            gradient target: UnsafeMutablePointer<Double>?
        ) -> Double {
            for index in point.indices { unsafe point[index] = coordinates[index] }
            count += 1
            let value = objective(point, &gradient)
            if let target = unsafe target {
                for index in point.indices { unsafe target[index] = gradient[index] }
            }
            // Infinities would make the search compute NaN.
            let safe = value.isFinite ? value : 1e300
            if safe < bestValue {
                bestValue = safe
                best = point
            }
            return safe
        }
    }

    private static func run(
        _ algorithm: nlopt_algorithm,
        _ evaluation: Evaluation,
        lower: [Double],
        upper: [Double],
        settings: (step: Double, point: Double, value: Double, evaluations: Int32)
    ) -> Int32 {
        let count = evaluation.point.count
        guard let search = unsafe nlopt_create(algorithm, UInt32(count)) else {
            return NLOPT_OUT_OF_MEMORY.rawValue
        }
        defer { unsafe nlopt_destroy(search) }
        let context = unsafe Unmanaged.passUnretained(evaluation).toOpaque()
        unsafe nlopt_set_min_objective(
            search,
            { _, coordinates, gradient, context in
                guard let coordinates = unsafe coordinates, let context = unsafe context else {
                    return 1e300
                }
                return unsafe Unmanaged<Evaluation>.fromOpaque(context).takeUnretainedValue()
                    .value(at: coordinates, gradient: gradient)
            },
            context
        )
        unsafe nlopt_set_lower_bounds(search, lower)
        unsafe nlopt_set_upper_bounds(search, upper)
        unsafe nlopt_set_initial_step1(search, settings.step)
        unsafe nlopt_set_xtol_rel(search, 0)
        unsafe nlopt_set_xtol_abs1(search, settings.point)
        unsafe nlopt_set_ftol_abs(search, settings.value)
        unsafe nlopt_set_maxeval(search, settings.evaluations)
        var point = evaluation.point
        var value = 0.0
        return withExtendedLifetime(evaluation) {
            unsafe nlopt_optimize(search, &point, &value).rawValue
        }
    }
}
