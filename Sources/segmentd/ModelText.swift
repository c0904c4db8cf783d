import Foundation
import OnlineLearning
import Segmentation

/// A model as people read it.
enum ModelText {
    /// A few lines: version, segments with names and sizes, churn parameters.
    static func summary(_ model: SegmentModel) -> [String] {
        var lines = [
            "model \(model.version), step \(model.step): "
                + "\(Terminal.grouped(model.trainingCustomers)) "
                + "of \(Terminal.grouped(model.customers)) customers in training, "
                + "inertia \(number(model.inertia)), explained variance "
                + model.explainedVarianceRatio.map { String(format: "%.1f %%", 100 * $0) }
                .joined(separator: " + ")
        ]
        var rows = [["  segment", "id", "customers", "share"]]
        for segment in model.segments.sorted(by: { $0.customers > $1.customers }) {
            let share = 100 * Double(segment.customers) / Double(max(1, model.customers))
            rows.append([
                "  " + segment.name, "\(segment.id)", Terminal.grouped(segment.customers),
                String(format: "%.1f %%", share),
            ])
        }
        lines += Terminal.table(rows).split(separator: "\n").map(String.init)
        lines.append(churn(model))
        let unused = zip(model.featureNames, model.isWithoutData).filter(\.1).map(\.0)
        if !unused.isEmpty {
            lines.append(
                "features that nobody has yet, which weigh nothing: "
                    + unused.joined(separator: ", ")
            )
        }
        return lines
    }

    private static func churn(_ model: SegmentModel) -> String {
        guard let churn = model.churn else {
            return "churn: no model yet, \(model.churnPending ?? "nothing to fit")"
        }
        var text =
            "churn: \(churn.model.rawValue), r \(number(churn.r)), alpha \(number(churn.alpha))"
        if let a = churn.a, let b = churn.b { text += ", a \(number(a)), b \(number(b))" }
        text += " (weeks), log-likelihood \(String(format: "%.2f", churn.logLikelihood))"
        if churn.fellBackToNBD { text += "; the fit found no dropout" }
        if let pending = model.churnPending { text += "; no bands yet: \(pending)" }
        return text
    }

    /// Features by segment: values of centroids beside everyone's mean.
    static func centroids(_ model: SegmentModel) -> String {
        let d = model.featureCount
        var rows = [["feature", "mean", "deviation"] + model.segments.map { "\($0.id)" }]
        for j in 0..<d {
            rows.append(
                [model.featureNames[j], number(model.mean[j]), number(model.scale[j])]
                    + model.segments.indices.map { number(model.centroids[$0 * d + j]) }
            )
        }
        return Terminal.table(rows)
    }

    /// Five significant digits.
    static func number(_ value: Double) -> String { String(format: "%.5g", value) }
}
