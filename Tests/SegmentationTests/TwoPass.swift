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
    /// What each training row weighs, and all of them together, and those without a feature.
    var weights: [Double] = []
    var weight = 0.0
    var missingWeight: [Double] = []
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

    /// What a row weighs, in units of a landmark of weights.
    static func weight(_ row: Int, _ shop: TestShop, landmark: Int) -> Double {
        guard let halfLife = shop.core.configuration.model.forgettingHalfLifeMilliseconds else {
            return 1
        }
        let halfLives = Double(shop.core.table.clock(row)) / Double(halfLife)
        return pow(2, halfLives - 8 * Double(landmark))
    }

    /// Over the rows below `limit`; weights are in units of `landmark`, or of that of the running
    /// sums.
    init(_ shop: TestShop, at time: Int64, below limit: Int = .max, landmark: Int? = nil) {
        let unit = landmark ?? shop.core.statistics.sums.landmark ?? 0
        let table = shop.core.table
        let rows = (0..<min(limit, table.rowEnd)).filter { table.isInUse($0) }
        let all = rows.map { Self.features($0, shop, at: time) }
        let training = zip(rows, all).filter { !table.isOutlier($0.0) }.map(\.1)
        self.training = training
        trainingCount = training.count
        let weights = rows.filter { !table.isOutlier($0) }
            .map { Self.weight($0, shop, landmark: unit) }
        self.weights = weights
        weight = weights.reduce(0, +)
        let count = training.isEmpty ? 1 : weight
        var distances: [[Double]] = []
        for j in 0..<shop.core.schema.featureCount {
            let known = all.map { $0[j] }.filter { !$0.isNaN }.sorted()
            missing.append(training.filter { $0[j].isNaN }.count)
            missingWeight.append(
                zip(training, weights).reduce(0) { $0 + ($1.0[j].isNaN ? $1.1 : 0) }
            )
            if known.isEmpty {
                middle.append(nil)
                imputation.append(0)
            } else {
                middle.append((known[(known.count - 1) / 2], known[known.count / 2]))
                imputation.append(known[known.count / 2])
            }
            let values = training.map { $0[j].isNaN ? imputation[j] : $0[j] }
            let mean = zip(values, weights).reduce(0) { $0 + $1.1 * $1.0 } / count
            let squares = zip(values, weights).reduce(0) {
                $0 + $1.1 * ($1.0 - mean) * ($1.0 - mean)
            }
            self.mean.append(mean)
            deviation.append((squares / count).squareRoot())
            distances.append(values.map { $0 - mean })
        }
        for first in distances {
            for second in distances {
                let products = zip(zip(first, second), weights).map { $1 * $0.0 * $0.1 }
                covariance.append(products.reduce(0, +) / count)
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
        let sums = core.statistics.rebuild.sums
        let expected = TwoPass(self, at: time, below: cursor, landmark: sums.landmark)
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
        if sums.rowCount != expected.trainingCount {
            return "count \(sums.rowCount) for \(expected.trainingCount)"
        }
        // Numbers of rows are exact.
        let slack = core.schema.forgetting == nil ? 0 : 1e-9 * expected.weight
        if abs(sums.moments.count - expected.weight) > slack {
            return "weight \(sums.moments.count) for \(expected.weight)"
        }
        if expected.trainingCount == 0 { return nil }
        let d = core.schema.featureCount
        for j in 0..<d {
            let name = core.schema.featureNames[j]
            let sigma = expected.deviation[j]
            let mean = expected.mean[j]
            let largest = view.largestSquaredDeviation[j].squareRoot()
            // Weights round what all are alike in, too.
            let noise =
                core.schema.forgetting == nil
                ? 0
                : 0x1p-48 * (abs(shifts[j]) + abs(factors[j] * sums.centres[j]) + largest)
            if !(abs(view.mean[j] - mean) <= 1e-9 * max(abs(mean), sigma) + noise) {
                return "mean of \(name): \(view.mean[j]) for \(mean)"
            }
            let deviation = view.covariance[j * d + j].squareRoot()
            // Where all are alike, what is left may be 1e-12 of the largest square seen.
            let rounding = (sigma < 1e-9 ? 1e-6 * largest : 0) + noise
            // Some of the rows, or those who weigh most, may lie close together far from the centre
            // of all of them.
            let isPart = limit < .max || core.schema.forgetting != nil
            let isNear =
                isPart
                && abs(deviation * deviation - sigma * sigma)
                    <= 1e-12 * view.largestSquaredDeviation[j]
            if !isNear && !(abs(deviation - sigma) <= 1e-9 * sigma + rounding) {
                return "deviation of \(name): \(deviation) for \(sigma)"
            }
            let missing = sums.moments.missingCount(of: j)
            if abs(missing - expected.missingWeight[j]) > slack {
                return "missing \(name): \(missing) for \(expected.missingWeight[j])"
            }
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
        var weights = Array(repeating: 0.0, count: model.segments.count)
        for row in 0..<min(limit, core.table.rowEnd)
        where core.table.isInUse(row) && !core.table.isOutlier(row)
            && core.table.modelVersion(row) == model.version
        {
            let k = model.index(ofSegment: core.table.membership(row))
            counts[k] += 1
            let weight = TwoPass.weight(row, self, landmark: running.landmark ?? 0)
            weights[k] += weight
            var values = Array(repeating: 0.0, count: core.schema.featureCount)
            evaluator.read(row, of: core.table, landmarks: core.landmarks)
            for j in values.indices {
                values[j] = evaluator.isMissing[j] ? .nan : evaluator.stored[j]
            }
            var u = Array(repeating: 0.0, count: width)
            running.moments.writeRow(values, into: &u, at: 0)
            for j in 0..<width {
                sums[k * width + j] += weight * u[j]
                sizes[k * width + j] += abs(weight * u[j])
            }
        }
        if running.clusters.counts != counts {
            return "members \(running.clusters.counts) for \(counts)"
        }
        for index in sums.indices {
            let difference = abs(running.clusters.sums[index] - sums[index])
            // What has gone again left a rounding of its own size: at most 9e6 here, and 2^8 times
            // that where it was weighted.
            let rounding = core.schema.forgetting == nil ? 1.0 : 256
            if !(difference <= 1e-9 * max(rounding, sizes[index])) {
                return "cluster sum \(index): \(running.clusters.sums[index])"
                    + " for \(sums[index])"
            }
        }
        guard core.schema.forgetting != nil else { return nil }
        return meanDifference(of: running, sums, weights)
    }

    /// Holds the mean of every segment that a step would go to.
    private func meanDifference(
        of running: RunningSums,
        _ sums: [Double],
        _ weights: [Double]
    ) -> String? {
        let width = core.statistics.dimension
        for (k, weight) in weights.enumerated() where weight > 0 {
            if running.clusters.hasLostDigits(of: k) { continue }
            let mean = running.clusters.mean(of: k)
            for j in 0..<width {
                let feature = j - 1
                let largest =
                    core.schema.features.indices.contains(feature)
                    ? running.moments.largestSquares[feature].squareRoot() : 1
                if !(abs(mean[j] - sums[k * width + j] / weight) <= 1e-9 * (1 + largest)) {
                    return "mean \(j) of segment \(k): \(mean[j])"
                        + " for \(sums[k * width + j] / weight)"
                }
            }
        }
        return nil
    }
}
