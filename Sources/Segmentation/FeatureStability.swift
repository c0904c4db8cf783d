import OnlineLearning

/// How far the customers of now lie from those that the version in force was fit on, feature by
/// feature.
///
/// It is measured over a uniform, seeded sample when a new version has been brought to every row,
/// and again whenever four rows have changed for each one in the sample, so the path of an event
/// does nothing for it. It is not part of the durable state: after a restart it begins anew.
struct FeatureStability: Sendable, Equatable {
    /// Rows in the sample that is compared, at most: about a millisecond.
    static let watchedMax = 2_048
    /// Rows in the sample that a version's histograms are of, at most.
    static let fittedMax = 10_000
    /// Changed rows for each row of the sample between two measurements.
    private static let changesPerRow = 4

    /// Population stability index of each feature; `[d]`, empty before the first measurement.
    private(set) var indices: [Double] = []
    private var rowChanges = 0
    private var measurements: UInt64 = 0

    /// Whether enough has changed since the last measurement.
    mutating func isDue(afterChanges count: Int, of customers: Int) -> Bool {
        rowChanges += count
        return rowChanges >= Self.changesPerRow * min(customers, Self.watchedMax)
    }

    mutating func measure(
        _ model: SegmentModel,
        table: CustomerTable,
        at time: Int64,
        landmarks: [Double],
        evaluator: inout FeatureEvaluator
    ) {
        rowChanges = 0
        measurements += 1
        guard model.histograms.count == model.featureCount else { return }
        let columns = Self.columns(
            of: table,
            limit: Self.watchedMax,
            seed: UInt64(model.version) << 32 &+ measurements,
            at: time,
            landmarks: landmarks,
            evaluator: &evaluator
        )
        indices = zip(model.histograms, columns).map { $0.stabilityIndex(of: $1) }
    }

    /// Values of every feature over a uniform sample of the customers who are learnt from, with
    /// replacement where there are more of them than the limit.
    ///
    /// - Returns: `[d][n]`, feature units, NaN where missing.
    static func columns(
        of table: CustomerTable,
        limit: Int,
        seed: UInt64,
        at time: Int64,
        landmarks: [Double],
        evaluator: inout FeatureEvaluator
    ) -> [[Double]] {
        var columns = Array(repeating: [Double](), count: evaluator.values.count)
        func append(_ row: Int) {
            evaluator.read(row, of: table, landmarks: landmarks)
            evaluator.evaluate(at: time, imputation: evaluator.stored)
            for j in columns.indices {
                columns[j].append(evaluator.isMissing[j] ? .nan : evaluator.values[j])
            }
        }
        func teaches(_ row: Int) -> Bool { table.isInUse(row) && !table.isOutlier(row) }
        guard table.count > limit else {
            for row in 0..<table.rowEnd where teaches(row) { append(row) }
            return columns
        }
        var generator = SeededGenerator(seed: seed)
        // Rows that are free or not learnt from are drawn in vain; a bound keeps this finite.
        for _ in 0..<(4 * limit) where columns.first.map({ $0.count < limit }) ?? false {
            let row = generator.next(below: table.rowEnd)
            if teaches(row) { append(row) }
        }
        return columns
    }
}

extension SegmentationCore {
    /// Population stability index of each feature against the version in force, by name in the
    /// order of the features; empty before the first measurement of a version.
    public var featureStability: [(feature: String, index: Double)] {
        zip(model?.featureNames ?? [], stability.indices).map { (feature: $0, index: $1) }
    }

    /// Measures again when enough rows have changed; to be called with each step.
    mutating func measureStability(afterChanges count: Int) {
        if stability.isDue(afterChanges: count, of: table.count) { measureStability() }
    }

    /// Measures the customers of now against the version in force.
    mutating func measureStability() {
        guard let inForce, greatestEventTime > Int64.min else { return }
        stability.measure(
            inForce.model,
            table: table,
            at: greatestEventTime,
            landmarks: landmarks,
            evaluator: &evaluator
        )
    }
}

extension ModelTrainer {
    /// Takes the histograms of the version; a generator of its own leaves all others alone.
    mutating func fitHistograms(_ table: CustomerTable) {
        model.histograms = FeatureStability.columns(
            of: table,
            limit: FeatureStability.fittedMax,
            seed: configuration.model.seed &+ UInt64(version) << 32,
            at: time,
            landmarks: landmarks,
            evaluator: &evaluator
        ).map(FeatureHistogram.init)
    }
}
