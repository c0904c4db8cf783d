import Foundation
import OnlineLearning
import Segmentation

extension ModelText {
    /// All of `model sweep`: the table, and elbow and silhouette as curves; for a terminal with the
    /// elbow's row in bold.
    static func sweep(_ model: SegmentModel, highlights: Bool) -> String {
        guard !model.sweep.isEmpty else {
            return "model \(model.version) has no sweep: too few customers when it was made\n"
        }
        var rows = [["segments", "inertia", "of one", "silhouette", ""]]
        let whole = model.sweep.first { $0.k == 1 }?.inertia ?? 0
        for entry in model.sweep {
            var note: [String] = []
            if entry.k == model.elbow { note.append("elbow") }
            if entry.k == model.segments.count { note.append("in use") }
            rows.append([
                "\(entry.k)", number(entry.inertia),
                whole > 0 ? percent(entry.inertia / whole) : "",
                entry.silhouette.map { String(format: "%.3f", $0) } ?? "",
                note.joined(separator: ", "),
            ])
        }
        var table = Terminal.table(rows, left: [4]).split(separator: "\n").map(String.init)
        if highlights, let index = model.sweep.firstIndex(where: { $0.k == model.elbow }) {
            table[index + 1] = "\u{1b}[1m" + table[index + 1] + "\u{1b}[0m"
        }
        var lines = [
            "model \(model.version), sweep of \(moment(model.sweepAt)), "
                + "\(Terminal.grouped(model.sweepCustomers)) customers"
        ]
        lines += table
        let counts = model.sweep.map(\.k)
        let mark = model.elbow.map { (x: $0, name: "elbow") }
        lines.append("")
        lines += CurvePlot(
            title: "inertia by number of segments",
            x: counts,
            y: model.sweep.map(\.inertia),
            mark: mark,
            label: number
        ).lines()
        let silhouettes = CurvePlot(
            title: "silhouette by number of segments",
            x: counts,
            y: model.sweep.map(\.silhouette),
            mark: mark,
            label: { String(format: "%.3f", $0) }
        ).lines()
        if !silhouettes.isEmpty { lines += [""] + silhouettes }
        return lines.joined(separator: "\n") + "\n"
    }
}
