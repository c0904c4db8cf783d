import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// Statistics computed the plain way, over the raw numbers of the table, to hold the core against.
struct TwoPass {
    var mean: [Double] = []
    var deviation: [Double] = []
    var missing: [Int] = []
    /// Lower and upper middle value of the known ones, nil where nobody has the feature.
    var middle: [(low: Double, high: Double)?] = []
    var imputation: [Double] = []
    var trainingCount = 0
    /// `[d x d]`, of the training rows with everything missing imputed.
    var covariance: [Double] = []
    /// Features of every training row, NaN where missing.
    var training: [[Double]] = []

    /// Features of a row of `TestConfiguration.smartCart` at a moment, from slots by name.
    static func features(_ row: Int, _ shop: TestShop, at time: Int64) -> [Double] {
        let schema = shop.core.schema
        let table = shop.core.table
        func slot(_ name: String) -> Double {
            schema.slotNames.firstIndex(of: name).map { table.numbers[row, $0] } ?? .nan
        }
        func decayed(_ index: Int) -> Double {
            let decay = schema.decays[index]
            let landmark = table.numbers[row, decay.landmark] * 8 * decay.halfLifeMilliseconds
            let halfLives = (Double(time) - landmark) / decay.halfLifeMilliseconds
            return table.numbers[row, decay.value] * pow(0.5, halfLives)
        }
        func level(_ name: String, _ wanted: Double) -> Double {
            (slot(name).isNaN ? 0 : slot(name)) == wanted ? 1 : 0
        }
        let days = Double(time) / 86_400_000
        return [
            slot("income"), DayCalendar.decimalYear(of: time) - slot("birth_year"),
            days - slot("last_purchase"), days - slot("enrolled"), slot("kids") + slot("teens"),
            slot("wines") + slot("meat") + slot("fish") + slot("other"),
            log(1 + max(-0.999_999, slot("wines"))), slot("web"), slot("visits"), decayed(0),
            decayed(1), level("education", 1), level("education", 2), level("living", 1),
        ]
    }

    /// Over the rows below `limit`.
    init(_ shop: TestShop, at time: Int64, below limit: Int = .max) {
        let table = shop.core.table
        let rows = (0..<min(limit, table.rowEnd)).filter { table.isInUse($0) }
        let all = rows.map { Self.features($0, shop, at: time) }
        let training = zip(rows, all).filter { !table.isOutlier($0.0) }.map(\.1)
        self.training = training
        trainingCount = training.count
        let count = Double(max(1, training.count))
        var distances: [[Double]] = []
        for j in 0..<shop.core.schema.featureCount {
            let known = all.map { $0[j] }.filter { !$0.isNaN }.sorted()
            missing.append(training.filter { $0[j].isNaN }.count)
            if known.isEmpty {
                middle.append(nil)
                imputation.append(0)
            } else {
                middle.append((known[(known.count - 1) / 2], known[known.count / 2]))
                imputation.append(known[known.count / 2])
            }
            let values = training.map { $0[j].isNaN ? imputation[j] : $0[j] }
            let mean = values.reduce(0, +) / count
            let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
            self.mean.append(mean)
            deviation.append((squares / count).squareRoot())
            distances.append(values.map { $0 - mean })
        }
        for first in distances {
            for second in distances {
                covariance.append(zip(first, second).reduce(0) { $0 + $1.0 * $1.1 } / count)
            }
        }
    }
}

extension TestShop {
    /// Holds moments, medians and cluster sums against a two-pass computation over the table.
    ///
    /// - Returns: what differs, nil when nothing does.
    func statisticsDifference(at time: Int64) -> String? {
        // Both ends of a transaction bring the statistics up to the table.
        core.begin()
        core.commit()
        let expected = TwoPass(self, at: time)
        let (factors, shifts) = core.evaluator.factors(at: time, landmarks: core.landmarks)
        let medians = core.statistics.medians(factors: factors, shifts: shifts)
        return medianDifference(expected, medians)
            ?? difference(of: core.statistics.sums, from: expected, at: time, below: .max)
    }

    /// Holds medians, in feature units, against those of the table.
    func medianDifference(_ expected: TwoPass, _ medians: [Double]) -> String? {
        for j in core.schema.missable {
            let name = core.schema.featureNames[j]
            guard let middle = expected.middle[j] else {
                if !medians[j].isNaN { return "median of \(name) that nobody has" }
                continue
            }
            let isTime = ["age", "recency", "tenure"].contains(name)
            let slack =
                isTime
                ? (name == "age" ? 0.011 : 1.001)
                : 0.001 * max(abs(middle.low), abs(middle.high)) + 1e-12
            if medians[j] < middle.low - slack || medians[j] > middle.high + slack {
                return "median of \(name): \(medians[j]) for \(middle)"
            }
        }
        return nil
    }

    /// Holds the sums of a rebuild against a two-pass computation over the rows that it has come
    /// past.
    ///
    /// - Returns: what differs, nil when nothing does.
    func rebuildDifference(at time: Int64) -> String? {
        let cursor = core.statistics.rebuild.cursor
        let expected = TwoPass(self, at: time, below: cursor)
        let sums = core.statistics.rebuild.sums
        return difference(of: sums, from: expected, at: time, below: cursor)
            .map { "below \(cursor): " + $0 }
    }

    private func difference(
        of sums: RunningSums,
        from expected: TwoPass,
        at time: Int64,
        below limit: Int
    ) -> String? {
        let (factors, shifts) = core.evaluator.factors(at: time, landmarks: core.landmarks)
        let view = sums.moments.view(
            factors: factors,
            shifts: shifts,
            imputation: expected.imputation
        )
        if Int(sums.moments.count) != expected.trainingCount {
            return "count \(sums.moments.count) for \(expected.trainingCount)"
        }
        if expected.trainingCount == 0 { return nil }
        let d = core.schema.featureCount
        for j in 0..<d {
            let name = core.schema.featureNames[j]
            let sigma = expected.deviation[j]
            let mean = expected.mean[j]
            if !(abs(view.mean[j] - mean) <= 1e-9 * max(abs(mean), sigma)) {
                return "mean of \(name): \(view.mean[j]) for \(mean)"
            }
            let deviation = view.covariance[j * d + j].squareRoot()
            // Where all are alike, what is left may be 1e-12 of the largest square seen.
            let rounding = sigma < 1e-9 ? 1e-6 * view.largestSquaredDeviation[j].squareRoot() : 0
            // Some of the rows may lie close together far from the centre of all of them.
            let isPart = limit < .max
            let isNear =
                isPart
                && abs(deviation * deviation - sigma * sigma)
                    <= 1e-12 * view.largestSquaredDeviation[j]
            if !isNear && !(abs(deviation - sigma) <= 1e-9 * sigma + rounding) {
                return "deviation of \(name): \(deviation) for \(sigma)"
            }
            let missing = sums.moments.missingCount(of: j)
            if missing != Double(expected.missing[j]) { return "missing \(name): \(missing)" }
        }
        return clusterDifference(of: sums, below: limit)
    }

    /// Holds members and sums of every segment against the rows that are in it.
    func clusterDifference() -> String? {
        clusterDifference(of: core.statistics.sums, below: .max)
    }

    private func clusterDifference(of running: RunningSums, below limit: Int) -> String? {
        guard let model = core.model else { return nil }
        let width = core.statistics.dimension
        var evaluator = FeatureEvaluator(schema: core.schema)
        var sums = Array(repeating: 0.0, count: model.segments.count * width)
        var sizes = Array(repeating: 0.0, count: model.segments.count * width)
        var counts = Array(repeating: 0, count: model.segments.count)
        for row in 0..<min(limit, core.table.rowEnd)
        where core.table.isInUse(row) && !core.table.isOutlier(row)
            && core.table.modelVersion(row) == model.version
        {
            let k = model.index(ofSegment: core.table.membership(row))
            counts[k] += 1
            var values = Array(repeating: 0.0, count: core.schema.featureCount)
            evaluator.read(row, of: core.table, landmarks: core.landmarks)
            for j in values.indices {
                values[j] = evaluator.isMissing[j] ? .nan : evaluator.stored[j]
            }
            var u = Array(repeating: 0.0, count: width)
            running.moments.writeRow(values, into: &u, at: 0)
            for j in 0..<width {
                sums[k * width + j] += u[j]
                sizes[k * width + j] += abs(u[j])
            }
        }
        if running.clusters.counts != counts {
            return "members \(running.clusters.counts) for \(counts)"
        }
        for index in sums.indices {
            let difference = abs(running.clusters.sums[index] - sums[index])
            // What has gone again left a rounding of its own size: at most 9e6 here.
            if !(difference <= 1e-9 * max(1, sizes[index])) {
                return "cluster sum \(index): \(running.clusters.sums[index])"
                    + " for \(sums[index])"
            }
        }
        return nil
    }
}
