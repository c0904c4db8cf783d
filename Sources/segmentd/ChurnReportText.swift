import Foundation
import Segmentation

/// A churn report as people read it.
enum ChurnReportText {
    static func lines(_ report: ChurnReport) -> [String] {
        let days = number(report.horizon_days, 0)
        var lines = [
            "churn foretold at the end of \(report.cut), against the \(days) days behind it:",
            "  \(Terminal.grouped(report.all.customers)) customers, "
                + "\(percent(report.all.no_purchase_share)) without a purchase; "
                + "\(Terminal.grouped(report.repeat_buyers.customers)) repeat buyers, "
                + percent(report.repeat_buyers.no_purchase_share),
        ]
        var rows = [["  score", "AUC", "Brier score", "AUC of repeat buyers"]]
        for name in ["risk", "p_no_purchase", "one_minus_p_alive", "days_since_last_purchase"] {
            let score = report.all.scores[name]
            rows.append([
                "  " + name, number(score?.auc, 4), number(score?.brier, 4),
                number(report.repeat_buyers.scores[name]?.auc, 4),
            ])
        }
        lines += Terminal.table(rows).split(separator: "\n").map(String.init)
        var bins = [["  risk, by tenths", "customers", "foretold", "happened"]]
        for (place, bin) in (report.all.scores["risk"]?.deciles ?? []).enumerated() {
            bins.append([
                "  \(place + 1)", Terminal.grouped(bin.customers), number(bin.predicted, 3),
                number(bin.observed, 3),
            ])
        }
        lines += Terminal.table(bins).split(separator: "\n").map(String.init)
        return lines
    }

    private static func number(_ value: Double?, _ digits: Int) -> String {
        value.map { String(format: "%.\(digits)f", $0) } ?? "-"
    }

    private static func percent(_ share: Double?) -> String {
        share.map { String(format: "%.1f %%", $0 * 100) } ?? "-"
    }
}
