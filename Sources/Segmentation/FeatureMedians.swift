import OnlineLearning

/// Medians of the features that cannot be missing, taken at a refit for the bundle alone.
///
/// Nothing is ever imputed with them, so they cost nothing between refits. All customers count,
/// outliers included, as for the medians that stand in (DESIGN, section 5). They are within 0.1 %,
/// and exact where every value is a whole number and the median is below 250: counts and one-hot
/// features.
///
/// - Complexity: O(1) for each value added.
struct FeatureMedians {
    /// Up to here 0.1 % is less than a quarter, so the nearest half is the median itself.
    private static let exactMax = 250.0

    private let features: [Int]
    private var sketches: [LogBucketSketch]
    private var areWhole: [Bool]

    init(schema: CompiledSchema) {
        features = schema.missableIndex.indices.filter { schema.missableIndex[$0] < 0 }
        sketches = Array(repeating: LogBucketSketch(), count: features.count)
        areWhole = Array(repeating: true, count: features.count)
    }

    /// Adds the values of a row; `values [d]`, feature units.
    mutating func add(_ values: [Double]) {
        for (place, feature) in features.enumerated() {
            let value = values[feature]
            sketches[place].add(value)
            if value != value.rounded(.down) { areWhole[place] = false }
        }
    }

    /// Writes the medians over `imputation [d]`, INOUT; features that can be missing keep theirs.
    func write(to imputation: inout [Double]) {
        for (place, feature) in features.enumerated() {
            let median = sketches[place].median() ?? 0
            let isExact = areWhole[place] && abs(median) < Self.exactMax
            imputation[feature] = isExact ? (2 * median).rounded() / 2 : median
        }
    }
}
