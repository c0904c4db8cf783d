import OnlineLearning

extension ModelBundle {
    /// The purchase model.
    public struct Churn: Codable, Sendable, Equatable {
        var model: String
        var time_unit: String
        var r: Double
        var alpha: Double
        @Nullable var a: Double?
        @Nullable var b: Double?
        var log_likelihood: Double
        var converged: Bool
        var customers: Int
        /// Left out where the likelihood is flat, and in documents of earlier programs.
        var standard_errors: StandardErrors?
        /// The fit found no dropout and is NBD instead of what was asked for.
        var fell_back: Bool
        @Nullable var calibration: Calibration?
        /// What keeps bands back, null when they are published.
        @Nullable var pending: String?

        /// The purchase model of a version, nil where it has none.
        init?(_ version: SegmentModel) {
            guard let parameters = version.churn else { return nil }
            model = parameters.model.rawValue
            time_unit = "weeks"
            r = parameters.r
            alpha = parameters.alpha
            a = parameters.a
            b = parameters.b
            log_likelihood = parameters.logLikelihood
            converged = parameters.converged
            customers = parameters.customers
            standard_errors = parameters.standardErrors.map(StandardErrors.init)
            fell_back = parameters.fellBackToNBD
            calibration = version.calibration.map(Calibration.init)
            pending = version.churnPending
        }

        /// The parameters; call it where `differences` is empty.
        var parameters: PurchaseParameters {
            PurchaseParameters(
                model: PurchaseModel(rawValue: model) ?? .mbgNBD,
                r: r,
                alpha: alpha,
                a: a,
                b: b,
                logLikelihood: log_likelihood,
                converged: converged,
                customers: customers,
                fellBackToNBD: fell_back,
                standardErrors: standard_errors?.errors
            )
        }

        /// What makes it no purchase model.
        var differences: [String] {
            guard let model = PurchaseModel(rawValue: model) else {
                return ["churn.model: unknown, \(model)"]
            }
            var differences: [String] = []
            if !(r > 0 && alpha > 0) {
                differences.append("churn: r and alpha must be above 0")
            }
            let hasDropout = (a ?? 0) > 0 && (b ?? 0) > 0
            if model == .nbd ? a != nil || b != nil : !hasDropout {
                differences.append("churn: a and b must be above 0, and null for nbd")
            }
            return differences + (calibration?.differences ?? [])
        }
    }

    /// Standard errors of the purchase model's parameters.
    public struct StandardErrors: Codable, Sendable, Equatable {
        var r: Double
        var alpha: Double
        @Nullable var a: Double?
        @Nullable var b: Double?

        fileprivate init(_ errors: PurchaseStandardErrors) {
            r = errors.r
            alpha = errors.alpha
            a = errors.a
            b = errors.b
        }

        fileprivate var errors: PurchaseStandardErrors {
            PurchaseStandardErrors(r: r, alpha: alpha, a: a, b: b)
        }
    }

    /// How the risk was learnt from outcomes: log odds of no purchase, a sum over parts.
    public struct Calibration: Codable, Sendable, Equatable {
        /// Horizon of the outcomes.
        var horizon_days: Double
        var outcomes: Int
        /// How many of them were "no purchase".
        var without_purchase: Int
        var intercept: Double
        /// Of the log odds of no purchase within the horizon, by the purchase model.
        var log_odds: Double
        /// Of log(1 + silence / own mean gap).
        var log_silence_over_gap: Double
        /// Of 30 days of silence.
        var silence_30_days: Double
        /// Of log(1 + repeat purchases).
        var log_repeats: Double
        /// Of log(1 + money spent).
        var log_spent: Double
        /// Added for the horizon of the risk.
        var shift: Double
        /// Larger ones are no log odds, and their sums no numbers.
        private static let numberMax = 1e6

        fileprivate init(_ calibration: RiskCalibration) {
            horizon_days = (calibration.horizon * 7).rounded()
            outcomes = calibration.outcomes
            without_purchase = calibration.withoutPurchase
            intercept = calibration.intercept
            log_odds = calibration.weights.logOdds
            log_silence_over_gap = calibration.weights.silenceOverGap
            silence_30_days = calibration.weights.silence
            log_repeats = calibration.weights.repeats
            log_spent = calibration.weights.spent
            shift = calibration.shift
        }

        /// The calibration; call it where `differences` is empty.
        var calibration: RiskCalibration {
            RiskCalibration(
                horizon: horizon_days / 7,
                intercept: intercept,
                weights: RiskCalibration.Weights(
                    logOdds: log_odds,
                    silenceOverGap: log_silence_over_gap,
                    silence: silence_30_days,
                    repeats: log_repeats,
                    spent: log_spent
                ),
                shift: shift,
                outcomes: outcomes,
                withoutPurchase: without_purchase
            )
        }

        fileprivate var differences: [String] {
            var differences: [String] = []
            if !(horizon_days > 0) {
                differences.append("churn.calibration: horizon_days must be above 0")
            }
            let numbers = [
                intercept, log_odds, log_silence_over_gap, silence_30_days, log_repeats,
                log_spent, shift,
            ]
            if !numbers.allSatisfy({ abs($0) <= Self.numberMax }) {
                differences.append(
                    "churn.calibration: no number may be beyond \(Int(Self.numberMax))"
                )
            }
            if !(log_odds >= 0 && log_silence_over_gap >= 0 && silence_30_days >= 0) {
                differences.append("churn.calibration: silence must never lower the risk")
            }
            return differences
        }
    }
}
