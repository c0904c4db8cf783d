/// A curve over whole numbers, drawn in characters.
///
/// Points are `o`-like marks joined by dots; one of them may be marked, with a line down to the
/// axis. Pure text, the same on every terminal; colour is up to who prints it.
struct CurvePlot {
    /// Columns of the values beside the axis.
    private static let labelColumns = 9
    /// Rows of the plane.
    private static let rowCount = 10

    /// What the curve is of.
    var title: String
    /// Whole numbers along the axis, ascending.
    var x: [Int]
    /// A value for each, nil for none.
    var y: [Double?]
    /// The number to mark, and what to call it.
    var mark: (x: Int, name: String)?
    /// Writes a value beside the axis.
    var label: (Double) -> String

    /// The lines, none of them longer than `columns`, without spaces at the end.
    func lines(columns: Int = 80) -> [String] {
        let known = y.compactMap { $0 }
        guard let least = known.min(), let most = known.max(), x.count == y.count else { return [] }
        let step = max(2, min(8, (columns - Self.labelColumns - 4) / x.count))
        let last = Self.rowCount - 1
        func row(_ value: Double) -> Double {
            most > least ? Double(last) * (most - value) / (most - least) : Double(last) / 2
        }
        var plane = Array(
            repeating: Array(repeating: Character(" "), count: step * x.count),
            count: Self.rowCount
        )
        let points = y.map { $0.map(row) }
        let marked = mark.flatMap { x.firstIndex(of: $0.x) }
        if let marked, let point = points[marked] {
            for row in Int(point.rounded())...last { plane[row][marked * step] = "╎" }
        }
        for index in points.indices.dropLast() {
            guard let from = points[index], let to = points[index + 1] else { continue }
            for column in 1..<step {
                let height = from + (to - from) * Double(column) / Double(step)
                plane[Int(height.rounded())][index * step + column] = "·"
            }
        }
        for (index, point) in points.enumerated() {
            guard let point else { continue }
            plane[Int(point.rounded())][index * step] = index == marked ? "◆" : "●"
        }
        var lines = [title]
        for (row, cells) in plane.enumerated() {
            // The extremes and the middle have their value beside them.
            var text = ""
            if row == 0 || row == last || row == last / 2 {
                let value = most - (most - least) * Double(row) / Double(last)
                text = label(most > least ? value : most)
            }
            lines.append(Self.right(text) + " ┤ " + String(cells))
        }
        lines.append(Self.right("") + " └" + String(repeating: "─", count: step * x.count))
        var numbers = ""
        for (index, number) in x.enumerated() {
            numbers += String(repeating: " ", count: max(0, index * step - numbers.count))
            numbers += "\(number)"
        }
        lines.append(Self.right("") + "   " + numbers)
        if let marked, let mark {
            // Where the name would not fit to the right of its line, it ends there.
            let start = min(
                marked * step,
                max(0, columns - Self.labelColumns - 5 - mark.name.count)
            )
            lines.append(
                Self.right("") + "   " + String(repeating: " ", count: start) + "↑ " + mark.name
            )
        }
        return lines.map(Self.trimmed)
    }

    private static func right(_ text: String) -> String {
        String(repeating: " ", count: max(0, labelColumns - text.count)) + text
    }

    private static func trimmed(_ line: String) -> String {
        var line = line
        while line.last == " " { line.removeLast() }
        return line
    }
}
