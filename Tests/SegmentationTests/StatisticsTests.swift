import OnlineLearning
import Testing

@testable import Segmentation

/// The promise of DESIGN, section 5: statistics equal an independent two-pass computation over the
/// table.
@Suite struct StatisticsTests {
    @Test(arguments: [11, 12, 13] as [UInt64])
    func statisticsEqualTheBatchJob(seed: UInt64) throws {
        var events = RandomEvents(seed: seed, customers: 80)
        var feeder = Feeder(SmallShop.configuration)
        for round in 0..<8 {
            feeder.core.begin()
            for _ in 0..<150 { feeder.apply(events.next()) }
            if round % 3 == 2 { feeder.core.abort() } else { feeder.core.commit() }
            if round == 3 {
                feeder.core.begin()
                try feeder.refit()
                feeder.core.commit()
            }
        }
        try check(&feeder.core)
    }

    private func check(_ core: inout SegmentationCore) throws {
        let time = core.greatestEventTime
        let (factors, shifts) = core.evaluator.factors(at: time, landmarks: core.landmarks)
        let medians = core.statistics.medians(factors: factors, shifts: shifts)
        let imputation = medians.map { $0.isNaN ? 0 : $0 }
        let view = core.statistics.moments.view(
            factors: factors,
            shifts: shifts,
            imputation: imputation
        )
        var rows: [[Double]] = []
        var observed = Array(repeating: [Double](), count: core.schema.featureCount)
        for row in 0..<core.table.rowEnd where core.table.isInUse(row) {
            core.evaluator.read(row, of: core.table, landmarks: core.landmarks)
            core.evaluator.evaluate(at: time, imputation: imputation)
            for j in 0..<core.schema.featureCount where !core.evaluator.isMissing[j] {
                observed[j].append(core.evaluator.values[j])
            }
            if !core.table.isOutlier(row) { rows.append(core.evaluator.values) }
        }
        #expect(rows.count > 20)
        #expect(Int(view.count.rounded()) == rows.count)
        for j in 0..<core.schema.featureCount {
            let values = rows.map { $0[j] }
            let mean = values.reduce(0, +) / Double(values.count)
            let variance =
                values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(values.count)
            let deviation = variance.squareRoot()
            let name = core.schema.featureNames[j]
            #expect(abs(view.mean[j] - mean) <= 1e-9 * max(abs(mean), deviation), "\(name)")
            let own = max(0, view.covariance[j * core.schema.featureCount + j]).squareRoot()
            #expect(abs(own - deviation) <= 1e-9 * deviation + 1e-12, "\(name)")
            guard core.schema.missableIndex[j] >= 0, !observed[j].isEmpty else { continue }
            let sorted = observed[j].sorted()
            let median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
            let tolerance = name == "income" ? 0.001 * abs(median) : name == "age" ? 0.011 : 1.01
            #expect(abs(medians[j] - median) <= tolerance, "median of \(name)")
        }
    }

    @Test func theObjectiveNeverRisesOverAStep() throws {
        var events = RandomEvents(seed: 21, customers: 80)
        var feeder = Feeder(SmallShop.configuration)
        feeder.core.begin()
        for _ in 0..<500 { feeder.apply(events.next()) }
        try feeder.refit()
        for _ in 0..<40 { feeder.apply(events.next()) }
        let before = try inertia(&feeder.core)
        let step = feeder.core.model?.step ?? 0
        feeder.core.completeMiniBatch(into: &feeder.output)
        #expect(feeder.core.model?.step == step + 1)
        #expect(try inertia(&feeder.core) <= before * (1 + 1e-12))
    }

    /// Sum of squared distances of training rows to the centroid that they are members of.
    private func inertia(_ core: inout SegmentationCore) throws -> Double {
        let current = core.model
        let model = try #require(current)
        var sum = 0.0
        for row in 0..<core.table.rowEnd where core.table.isInUse(row) && !core.table.isOutlier(row)
        {
            core.evaluator.read(row, of: core.table, landmarks: core.landmarks)
            core.evaluator.evaluate(at: core.greatestEventTime, imputation: model.imputation)
            var scores = core.scores
            model.project(core.evaluator.values, into: &scores)
            sum += model.squaredDistance(
                scores,
                to: model.index(ofSegment: core.table.membership(row))
            )
        }
        return sum
    }
}
