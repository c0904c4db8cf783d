import Foundation
import OnlineLearning
import Segmentation

/// A model as people read it.
enum ModelText {
    /// Columns of a bar for everyone.
    private static let barColumns = 40
    /// Features that tell a segment apart, at most, and the deviations they must at least be off.
    private static let featuresShown = 4
    private static let deviationsShown = 0.25

    /// A few lines: version, segments with names and sizes, churn parameters.
    static func summary(_ model: SegmentModel) -> [String] {
        var lines = heading(model)
        var rows = [["  segment", "id", "customers", "share"]]
        for segment in bySize(model) {
            rows.append([
                "  " + segment.name, "\(segment.id)", Terminal.grouped(segment.customers),
                percent(share(segment, of: model)),
            ])
        }
        lines += Terminal.table(rows).split(separator: "\n").map(String.init)
        lines += foot(model)
        return lines
    }

    /// All of `model show`: version, personas, features, churn, what became of segments.
    static func page(_ model: SegmentModel) -> String {
        var lines = heading(model)
        lines[0] += model.provisional ? ", provisional: too few customers" : ""
        for segment in bySize(model) {
            lines.append("")
            lines += persona(segment, of: model)
        }
        lines += ["", "means of segments, by id", centroids(model), ""]
        lines += foot(model)
        if let elbow = model.elbow {
            lines.append("elbow at \(elbow) segments, see segmentd model sweep")
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func heading(_ model: SegmentModel) -> [String] {
        let ratios = model.explainedVarianceRatio
        let each = Double(max(1, model.trainingCustomers))
        return [
            "model \(model.version), step \(model.step), of \(moment(model.trainedAt)): "
                + "\(Terminal.grouped(model.trainingCustomers)) of "
                + "\(Terminal.grouped(model.customers)) customers in training",
            "inertia \(number(model.inertia)) (\(number(model.inertia / each)) a customer), "
                + "explained variance "
                + ratios.map(percent).joined(separator: " + ")
                + (ratios.count > 1 ? " = " + percent(ratios.reduce(0, +)) : ""),
        ]
    }

    private static func foot(_ model: SegmentModel) -> [String] {
        var lines = wrapped(churn(model), columns: 80)
        let unused = zip(model.featureNames, model.isWithoutData).filter(\.1).map(\.0)
        if !unused.isEmpty {
            lines += wrapped(
                "features that nobody has yet, which weigh nothing: "
                    + unused.joined(separator: ", "),
                columns: 80
            )
        }
        return lines
    }

    private static func bySize(_ model: SegmentModel) -> [SegmentModel.Segment] {
        model.segments.sorted { ($1.customers, $0.id) < ($0.customers, $1.id) }
    }

    /// One segment: size, strategy, and the features that set it apart.
    private static func persona(
        _ segment: SegmentModel.Segment,
        of model: SegmentModel
    ) -> [String] {
        let part = share(segment, of: model)
        var lines = [
            "\(segment.id)  \(segment.name)",
            "   \(Terminal.grouped(segment.customers)) customers, \(percent(part))  "
                + bar(part, columns: barColumns),
        ]
        lines += wrapped(segment.strategy, columns: 77).map { "   " + $0 }
        let features = distinctions(of: segment, in: model)
        if features.isEmpty {
            lines.append("   like everyone: no mean is \(deviationsShown) deviations away")
            return lines
        }
        var rows = [["   set apart by", "here", "everyone", "deviations"]]
        for (j, deviations) in features {
            let value = model.mean[j] + deviations * model.scale[j]
            rows.append([
                "   " + model.featureNames[j], amount(value, scale: model.scale[j]),
                amount(model.mean[j], scale: model.scale[j]),
                signed(deviations) + (deviations > 0 ? " above" : " below"),
            ])
        }
        lines += Terminal.table(rows).split(separator: "\n").map(String.init)
        return lines
    }

    /// The features whose mean in a segment is farthest from everyone's, in deviations.
    static func distinctions(
        of segment: SegmentModel.Segment,
        in model: SegmentModel
    ) -> [(feature: Int, deviations: Double)] {
        guard let k = model.segments.firstIndex(of: segment) else { return [] }
        let d = model.featureCount
        let all = (0..<d).map { j in
            (feature: j, deviations: (model.centroids[k * d + j] - model.mean[j]) / model.scale[j])
        }
        return Array(
            all.filter { abs($0.deviations) >= deviationsShown }
                .sorted { (abs($1.deviations), $0.feature) < (abs($0.deviations), $1.feature) }
                .prefix(featuresShown)
        )
    }

    static func churn(_ model: SegmentModel) -> String {
        guard let churn = model.churn else {
            return "churn: no model yet, \(model.churnPending ?? "nothing to fit")"
        }
        func parameter(_ name: String, _ value: Double, _ error: Double?) -> String {
            ", \(name) \(number(value))" + (error.map { " ± \(number($0))" } ?? "")
        }
        let errors = churn.standardErrors
        var text = "churn: \(churn.model.rawValue)" + parameter("r", churn.r, errors?.r)
        text += parameter("alpha", churn.alpha, errors?.alpha)
        if let a = churn.a, let b = churn.b {
            text += parameter("a", a, errors?.a) + parameter("b", b, errors?.b)
        }
        text += " (weeks), log-likelihood \(String(format: "%.2f", churn.logLikelihood))"
        if churn.fellBackToNBD { text += "; the fit found no dropout" }
        if let calibration = model.calibration {
            let days = Int((calibration.horizon * 7).rounded())
            let outcomes = Terminal.grouped(calibration.outcomes)
            text += "; risk learnt from \(outcomes) outcomes of \(days) days"
        } else if let pending = model.calibrationPending {
            text += "; risk not learnt from outcomes yet: \(pending)"
        }
        if let pending = model.churnPending { text += "; no bands yet: \(pending)" }
        return text
    }

    /// Features by segment: values of centroids beside everyone's mean.
    static func centroids(_ model: SegmentModel) -> String {
        let d = model.featureCount
        var rows = [["feature", "everyone", "deviation"] + model.segments.map { "\($0.id)" }]
        for j in 0..<d {
            let scale = model.scale[j]
            rows.append(
                [
                    model.featureNames[j], amount(model.mean[j], scale: scale),
                    amount(scale, scale: scale),
                ]
                    + model.segments.indices.map {
                        amount(model.centroids[$0 * d + j], scale: scale)
                    }
            )
        }
        return Terminal.table(rows)
    }
}

extension ModelText {
    /// Five significant digits.
    static func number(_ value: Double) -> String { String(format: "%.5g", value) }

    /// A value in its feature's unit, to a hundredth of a standard deviation or better; what is
    /// only the rounding of sums is 0.
    static func amount(_ value: Double, scale: Double) -> String {
        let digits = min(6, max(0, 2 - Int(log10(scale).rounded(.down))))
        let unit = pow(10, Double(digits))
        let rounded = (value * unit).rounded() / unit
        // Beyond, a number is not what people read anyway.
        guard abs(rounded) < 1e15 else { return number(value) }
        let whole = Int(rounded.rounded(.towardZero))
        var text = String(format: "%.\(digits)f", abs(rounded))
        let fraction = text.firstIndex(of: ".").map { String(text[$0...]) } ?? ""
        text = Terminal.grouped(abs(whole)) + fraction
        return rounded < 0 ? "-" + text : text
    }

    /// A share, 0 to 1, with one decimal; a share of 0 is 0, and not what sums left of it.
    static func percent(_ share: Double) -> String {
        String(format: "%.1f %%", 100 * share + 0)
    }

    /// Two decimals with a sign.
    static func signed(_ value: Double) -> String {
        let text = String(format: "%+.2f", value)
        return text == "-0.00" ? "+0.00" : text
    }

    static func share(_ segment: SegmentModel.Segment, of model: SegmentModel) -> Double {
        Double(segment.customers) / Double(max(1, model.customers))
    }

    /// A minute, UTC.
    static func moment(_ milliseconds: Int64) -> String {
        var style = Date.ISO8601FormatStyle(dateTimeSeparator: .space, timeZone: .gmt)
        style = style.year().month().day().time(includingFractionalSeconds: false)
        let text = Date(timeIntervalSince1970: Double(milliseconds) / 1000).formatted(style)
        return text.prefix(16) + " UTC"
    }

    /// A bar in eighths of a column; everyone fills all columns.
    static func bar(_ share: Double, columns: Int) -> String {
        let eighths = Int((min(1, max(0, share)) * Double(8 * columns)).rounded())
        let parts = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]
        return String(repeating: "█", count: eighths / 8) + parts[eighths % 8]
    }

    /// Lines of at most so many columns, broken between words.
    static func wrapped(_ text: String, columns: Int) -> [String] {
        var lines: [String] = []
        var line = ""
        for word in text.split(separator: " ") {
            if !line.isEmpty && line.count + 1 + word.count > columns {
                lines.append(line)
                line = ""
            }
            line += (line.isEmpty ? "" : " ") + word
        }
        return line.isEmpty ? lines : lines + [line]
    }
}
