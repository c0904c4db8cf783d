import Foundation
import OnlineLearning
import Segmentation

extension ModelText {
    /// Features shown, at most, and the shift below which one counts as unmoved, in deviations.
    private static let featuresMovedShown = 8
    private static let leastShift = 0.005
    private static let movesShown = 3

    /// All of `model diff`: what would change if `new` took the place of `old`.
    ///
    /// - Throws: `CommandFailure` when a basis cannot be compared.
    static func diff(_ old: SegmentModel, _ new: SegmentModel) throws(CommandFailure) -> String {
        let comparison: ModelComparison
        do {
            comparison = try ModelComparison(from: old, to: new)
        } catch {
            throw CommandFailure("cannot compare the models: \(error)")
        }
        var lines = whole(old, new, comparison)
        lines += ["", "segments"] + segments(old, new, comparison)
        let moved = comparison.segments.filter { $0.distance != nil }
        for segment in moved { lines += centroid(segment) }
        lines += [""] + features(comparison)
        lines += [""] + churn(old, new)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func whole(
        _ old: SegmentModel,
        _ new: SegmentModel,
        _ comparison: ModelComparison
    ) -> [String] {
        func each(_ model: SegmentModel) -> Double {
            model.inertia / Double(max(1, model.trainingCustomers))
        }
        var rows = [["", "old", "new"]]
        rows.append(["model, step", "\(old.version), \(old.step)", "\(new.version), \(new.step)"])
        rows.append(["trained at", moment(old.trainedAt), moment(new.trainedAt)])
        let sizes = [
            ("customers", \SegmentModel.customers), ("in training", \.trainingCustomers),
        ]
        for (name, path) in sizes {
            rows.append([
                name, Terminal.grouped(old[keyPath: path]), Terminal.grouped(new[keyPath: path]),
            ])
        }
        rows.append(["inertia", number(old.inertia), number(new.inertia)])
        rows.append(["inertia a customer", number(each(old)), number(each(new))])
        for p in 0..<max(old.componentCount, new.componentCount) {
            rows.append(
                ["explained variance \(p + 1)"]
                    + [old, new].map {
                        p < $0.componentCount ? percent($0.explainedVarianceRatio[p]) : ""
                    }
            )
        }
        rows.append(["elbow"] + [old, new].map { $0.elbow.map { "\($0)" } ?? "none" })
        let angle = comparison.angle.map { String(format: "%.2f degrees", $0) }
        return Terminal.table(rows).split(separator: "\n").map(String.init) + [
            "angle between the bases: \(angle ?? "none, one of them is empty")"
        ]
    }

    private static func segments(
        _ old: SegmentModel,
        _ new: SegmentModel,
        _ comparison: ModelComparison
    ) -> [String] {
        var rows = [["id", "name", "", "old", "share", "new", "share", "moved"]]
        for segment in comparison.segments {
            func size(_ one: SegmentModel.Segment?, _ model: SegmentModel) -> [String] {
                guard let one else { return ["", ""] }
                return [Terminal.grouped(one.customers), percent(share(one, of: model))]
            }
            let name = segment.new?.name ?? segment.old?.name ?? ""
            rows.append(
                ["\(segment.id)", name, fate(segment)]
                    + size(segment.old, old) + size(segment.new, new)
                    + [segment.distance.map { String(format: "%.2f", $0) } ?? ""]
            )
        }
        var lines = Terminal.table(rows, left: [1, 2]).split(separator: "\n").map(String.init)
        for segment in comparison.segments {
            guard let before = segment.old?.name, let after = segment.new?.name, before != after
            else { continue }
            lines.append("\(segment.id) is now called \(after), not \(before)")
        }
        return lines
    }

    private static func fate(_ segment: ModelComparison.Segment) -> String {
        let others = segment.from.map { "\($0)" }.joined(separator: ", ")
        switch segment.kind {
        case "split": return "split from " + others
        case "merged": return "merged of " + others
        case "retired" where !others.isEmpty: return "retired, to " + others
        default: return segment.kind
        }
    }

    private static func centroid(_ segment: ModelComparison.Segment) -> [String] {
        let shown = segment.moves.prefix(movesShown).filter { abs($0.deviations) >= leastShift }
        guard !shown.isEmpty else { return [] }
        var rows = [["mean of \(segment.id) moves in", "old", "new", "deviations"]]
        for move in shown {
            // The unit is what the deviation is of; a difference in it is told apart.
            let scale = abs((move.new - move.old) / move.deviations)
            rows.append([
                "   " + move.name, amount(move.old, scale: scale), amount(move.new, scale: scale),
                signed(move.deviations),
            ])
        }
        return [""] + Terminal.table(rows).split(separator: "\n").map(String.init)
    }

    private static func features(_ comparison: ModelComparison) -> [String] {
        var lines: [String] = []
        if !comparison.removedFeatures.isEmpty {
            lines += wrapped(
                "features that go: " + comparison.removedFeatures.joined(separator: ", "),
                columns: 80
            )
        }
        if !comparison.addedFeatures.isEmpty {
            lines += wrapped(
                "features that come: " + comparison.addedFeatures.joined(separator: ", "),
                columns: 80
            )
        }
        let moved = comparison.features.filter { $0.shift >= leastShift }
        guard !moved.isEmpty else {
            return lines + ["no feature moves by \(leastShift) deviations or more"]
        }
        var rows = [["features that move most", "mean", "", "deviation", "", "median", ""]]
        for feature in moved.prefix(featuresMovedShown) {
            let scale = feature.scale.old
            func pair(_ values: (old: Double, new: Double)) -> [String] {
                let before = amount(values.old, scale: scale)
                let after = amount(values.new, scale: scale)
                return before == after ? ["", "="] : [before, "→ " + after]
            }
            rows.append(
                ["   " + feature.name] + pair(feature.mean) + pair(feature.scale)
                    + pair(feature.imputation)
            )
        }
        lines += Terminal.table(rows).split(separator: "\n").map(String.init)
        let rest = moved.count - featuresMovedShown
        if rest > 0 { lines.append("and \(rest) more") }
        return lines
    }

    private static func churn(_ old: SegmentModel, _ new: SegmentModel) -> [String] {
        guard churn(old) != churn(new) else {
            return wrapped(churn(old) + " (no change)", columns: 80)
        }
        return wrapped("old " + churn(old), columns: 80) + wrapped("new " + churn(new), columns: 80)
    }
}
