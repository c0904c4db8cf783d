/// Two values beyond which a customer is not learnt from, frozen in a version.
///
/// Tukey's fences (Tukey, 1977, Exploratory Data Analysis, chapter 2): a declared multiple of the
/// interquartile range below the lower and above the upper quartile. Frozen, because a fence that
/// followed the data would change who is learnt from without an event of theirs.
public struct OutlierFence: Sendable, Equatable {
    /// Index of the feature, which time does not move.
    var feature: Int
    /// Outlier when the value is less, in feature units.
    var lower: Double
    /// Outlier when the value is more, in feature units.
    var upper: Double

    /// The fence of a column, nil where there is none.
    ///
    /// Quartiles are at (n - 1) / 4 and 3 (n - 1) / 4 of the sorted values, between two of them by
    /// their distance, as NumPy has them. Where the quartiles are the same value, as in a constant
    /// feature or where half of the customers and more share a value, there is no spread to
    /// measure by and so no fence.
    ///
    /// - Parameters:
    ///   - feature: index of the feature.
    ///   - multiple: interquartile ranges between quartile and fence, above 0.
    ///   - values: of all customers who have the feature, outliers included.
    init?(feature: Int, multiple: Double, values: [Double]) {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        func quartile(_ number: Int) -> Double {
            let place = number * (sorted.count - 1)
            let (rank, rest) = (place / 4, Double(place % 4) / 4)
            guard rest > 0 else { return sorted[rank] }
            return sorted[rank] + (sorted[rank + 1] - sorted[rank]) * rest
        }
        let (first, third) = (quartile(1), quartile(3))
        guard third > first else { return nil }
        self.feature = feature
        lower = first - multiple * (third - first)
        upper = third + multiple * (third - first)
    }

    init(feature: Int, _ document: OutlierFenceDocument) {
        self.feature = feature
        lower = document.lower
        upper = document.upper
    }
}

/// A fence in the bundle, beside its feature.
struct OutlierFenceDocument: Codable, Sendable, Equatable {
    var lower: Double
    var upper: Double
}

extension SegmentModel {
    /// Whether a value of the row last read is beyond a fence; an imputed one never is.
    @inline(__always)
    func isBeyondFence(_ evaluator: FeatureEvaluator) -> Bool {
        for fence in fences where !evaluator.isMissing[fence.feature] {
            // What time does not move is stored as it is seen.
            let value = evaluator.stored[fence.feature]
            if value < fence.lower || value > fence.upper { return true }
        }
        return false
    }
}

extension CompiledSchema {
    /// Whether the value of a feature changes while nothing happens.
    func movesWithTime(_ feature: Int) -> Bool {
        switch features[feature] {
        case .yearsSince, .daysSince, .decayed: true
        case .number, .log1p, .sum, .level: false
        }
    }
}

extension SegmentationConfiguration {
    /// What is wrong with the declared fences.
    func fenceProblems() -> [ConfigurationProblem] {
        outliers.compactMap { bound in
            guard let multiple = bound.fence else { return nil }
            let key = "outliers.\(bound.feature).fence"
            if !(multiple > 0 && multiple <= 100) {
                return ConfigurationProblem(key: key, rule: "must be above 0 and at most 100")
            }
            guard movesWithTime(bound.feature) else { return nil }
            return ConfigurationProblem(
                key: key,
                rule: "cannot be on a feature that moves with time; use at_least or at_most"
            )
        }
    }

    private func movesWithTime(_ name: String) -> Bool {
        switch features.first(where: { $0.name == name })?.form {
        case .yearsSince, .daysSince: true
        case .slot(let slot): slots.first { $0.name == slot }?.halfLifeDays != nil
        default: false
        }
    }
}

extension OutlierFence {
    /// The declared fences by the customers of a table, for the next version.
    ///
    /// - Complexity: O(n log n) for each, once a refit.
    static func fitted(
        to table: CustomerTable,
        schema: CompiledSchema,
        landmarks: [Double]
    ) -> [OutlierFence] {
        guard !schema.fences.isEmpty else { return [] }
        var evaluator = FeatureEvaluator(schema: schema)
        return schema.fences.compactMap { declared in
            var values: [Double] = []
            for row in 0..<table.rowEnd where table.isInUse(row) {
                evaluator.read(row, of: table, landmarks: landmarks)
                if !evaluator.isMissing[declared.feature] {
                    values.append(evaluator.stored[declared.feature])
                }
            }
            return OutlierFence(
                feature: declared.feature,
                multiple: declared.multiple,
                values: values
            )
        }
    }
}

extension SegmentationCore {
    /// Decides about every row by the fences of another version, and brings the sums after it.
    ///
    /// After a refit whose version does not come into force, rows and sums would otherwise follow
    /// one that waits or was never made; and after a rollback, rows that the newer version had not
    /// scored yet would keep its fences.
    mutating func exchangeFences(
        _ present: [OutlierFence],
        for fences: [OutlierFence],
        at time: Int64
    ) {
        guard present != fences else { return }
        refreshOutliers(at: time, fences: fences)
        // Those beyond a fence are large, and their going leaves its rounding.
        statistics.beginRebuild(centres: statistics.nearbyCentres())
        statistics.rebuildSlice(of: table, limit: .max, model: inForce, landmarks: landmarks)
    }

    /// Takes the outlier decision of every row at the moment of a refit, so that a bound on a
    /// feature that moves with time holds for idle customers too, and that the version is fit
    /// within its own fences.
    mutating func refreshOutliers(at time: Int64, fences: [OutlierFence]) {
        var bounds = SegmentModel()
        bounds.fences = fences
        for row in 0..<table.rowEnd where table.isInUse(row) {
            evaluator.read(row, of: table, landmarks: landmarks)
            evaluator.evaluate(at: time, imputation: noImputation)
            let isOutlier = evaluator.isOutlier || bounds.isBeyondFence(evaluator)
            if isOutlier != table.isOutlier(row) {
                statistics.markChanging(row, of: &table, learner: inForce, isChange: false)
                table.touch(row)
                table.setOutlier(row, isOutlier)
            }
        }
        statistics.flush(&table, model: inForce, landmarks: landmarks)
    }
}
