import Foundation
import OnlineLearning

/// How well the churn model of a cut foretold what happened after it.
public struct ChurnReport: Encodable, Sendable {
    /// A score's standing against what happened.
    public struct Score: Encodable, Sendable {
        /// Area under the receiver operating characteristic, 0 to 1; nil where all or none bought.
        @Nullable public var auc: Double?
        /// Mean squared error, 0 to 1; nil for a score that is no probability.
        @Nullable public var brier: Double?
        /// Ten bins of as many customers, from the lowest score; empty for a score that is no
        /// probability.
        public var deciles: [Decile]
    }

    /// A tenth of the customers.
    public struct Decile: Encodable, Sendable {
        /// Customers in it.
        public var customers: Int
        /// Mean of the score.
        public var predicted: Double
        /// Share without a purchase in the holdout.
        public var observed: Double
    }

    /// Customers of one kind.
    public struct Group: Encodable, Sendable {
        /// How many there are.
        public var customers: Int
        /// Share without a purchase in the holdout; nil without customers.
        @Nullable public var no_purchase_share: Double?
        /// `risk`, `p_no_purchase`, `one_minus_p_alive` and `days_since_last_purchase`.
        public var scores: [String: Score]
    }

    /// The last day that the fit has seen, `yyyy-mm-dd`.
    public var cut: String
    /// Length of the holdout behind it, in days.
    public var horizon_days: Double
    /// Moment of the newest event after the cut; before the end of the holdout, "no purchase" may
    /// only mean that the file has ended.
    @Nullable public var newest_event: String?
    /// The fit, as in a bundle.
    public var fit: ModelBundle.Churn
    /// Everybody who had bought by the cut.
    public var all: Group
    /// Those who had bought on two days or more.
    public var repeat_buyers: Group

    /// As JSON.
    public func json() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        return Array(try encoder.encode(self))
    }
}

/// Why there is no churn report.
public struct ChurnReportFailure: Error, Sendable, CustomStringConvertible {
    /// What is missing.
    public var description: String
}

extension SegmentationCore {
    /// Holds what the model in force says of every customer against their purchases after the cut.
    ///
    /// As in a fit, times are whole days: T is the cut less the first purchase day.
    ///
    /// - Precondition: `holdout` was there before the first event.
    /// - Throws: `ChurnReportFailure` without a purchase model, or without anybody who has bought.
    /// - Returns: the report.
    public func churnReport() throws(ChurnReportFailure) -> ChurnReport {
        guard let holdout else { preconditionFailure("nothing was held out") }
        let cut = holdout.cut
        guard let inForce, let fit = ModelBundle.Churn(inForce.model) else {
            let reason = model?.churnPending ?? "no model version"
            throw ChurnReportFailure(description: "no purchase model: \(reason)")
        }
        var all = ScoredCustomers()
        var repeatBuyers = ScoredCustomers()
        let buyers = holdout.rows
        let moment = configuration.calendar.start(ofDay: cut)
        for row in 0..<table.rowEnd where table.isInUse(row) && table.purchaseDays(row) > 0 {
            // As in a fit, at the end of the cut, in whole days.
            let state = churnRisk.evaluate(standing(of: row), at: moment, by: inForce)
            let stayedAway = !buyers.contains(row)
            all.append(state, stayedAway: stayedAway)
            if state.repeats > 0 { repeatBuyers.append(state, stayedAway: stayedAway) }
        }
        guard !all.outcomes.isEmpty else {
            throw ChurnReportFailure(description: "nobody has bought by the cut")
        }
        var date: [UInt8] = []
        JSONText.appendDate(day: Int64(cut), to: &date)
        return ChurnReport(
            cut: String(decoding: date, as: UTF8.self),
            horizon_days: configuration.churn.horizonDays,
            newest_event: holdout.latest.map {
                var text: [UInt8] = []
                JSONText.appendTime($0, to: &text)
                return String(decoding: text, as: UTF8.self)
            },
            fit: fit,
            all: all.group,
            repeat_buyers: repeatBuyers.group
        )
    }
}

/// Scores of customers and what became of them.
private struct ScoredCustomers {
    private(set) var outcomes: [Bool] = []
    private var risks: [Double] = []
    private var silent: [Double] = []
    private var gone: [Double] = []
    private var silences: [Double] = []

    mutating func append(_ state: ChurnState, stayedAway: Bool) {
        outcomes.append(stayedAway)
        // With a purchase model and a purchase, all of them are known.
        risks.append(state.risk ?? .nan)
        silent.append(state.probabilityNoPurchase ?? .nan)
        gone.append(1 - (state.probabilityAlive ?? .nan))
        silences.append(state.silenceDays)
    }

    var group: ChurnReport.Group {
        let count = outcomes.count
        return ChurnReport.Group(
            customers: count,
            no_purchase_share: count == 0
                ? nil : Double(outcomes.count { $0 }) / Double(count),
            scores: [
                "risk": probability(risks),
                "p_no_purchase": probability(silent),
                "one_minus_p_alive": probability(gone),
                "days_since_last_purchase": ChurnReport.Score(
                    auc: OutcomeQuality.areaUnderCurve(silences, outcomes),
                    brier: nil,
                    deciles: []
                ),
            ]
        )
    }

    private func probability(_ scores: [Double]) -> ChurnReport.Score {
        ChurnReport.Score(
            auc: OutcomeQuality.areaUnderCurve(scores, outcomes),
            brier: OutcomeQuality.brierScore(scores, outcomes),
            deciles: OutcomeQuality.calibration(scores, outcomes).map {
                ChurnReport.Decile(
                    customers: $0.count,
                    predicted: $0.predicted,
                    observed: $0.observed
                )
            }
        )
    }
}
