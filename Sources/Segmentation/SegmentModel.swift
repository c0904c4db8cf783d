import Kernels
public import OnlineLearning

/// One immutable version of the model, with the centroids of its latest step.
///
/// Medians, scaler, basis, names and churn parameters change together, under one version; between
/// refits only `centroids` and `step` move.
public struct SegmentModel: Sendable, Equatable {
    /// What one segment is called, and how many are in it.
    public struct Segment: Sendable, Equatable {
        /// Stable id from 1, never used again for other people.
        public var id: Int
        /// Machine key of the persona.
        public var key: String
        /// Name for people.
        public var name: String
        /// What marketing does with it.
        public var strategy: String
        /// Customers nearest to it, outliers included.
        public var customers: Int
        /// Of these, those learnt from.
        public var trainingCustomers: Int
    }

    /// What became of a segment at a refit.
    public struct Lineage: Sendable, Equatable, Codable {
        /// Version in which it happened.
        public var version: Int
        /// new, kept, split, merged or retired.
        public var kind: String
        /// The segment.
        public var segment_id: Int
        /// Segments that its members came from, or went to where retired.
        public var from: [Int]
        /// Members that both have.
        public var overlap: Int
    }

    /// Version number, from 1.
    public var version = 0
    /// Steps of the centroids since the group began.
    public var step = 0
    /// Moment of the refit, in milliseconds since 1970.
    public var trainedAt: Int64 = 0
    /// Customers known then.
    public var customers = 0
    /// Of these, those learnt from.
    public var trainingCustomers = 0
    /// Names of features; `[d]`.
    public var featureNames: [String] = []
    /// Rows without the feature, in training; `[d]`.
    public var missing: [Int] = []
    /// Value that stands in; `[d]`, feature units.
    public var imputation: [Double] = []
    /// Means; `[d]`, feature units.
    public var mean: [Double] = []
    /// Population standard deviations, 1 for a constant feature; `[d]`, feature units.
    public var scale: [Double] = []
    /// Features that nobody has yet; `[d]`.
    public var isWithoutData: [Bool] = []
    /// Values of the customers it was fit on; `[d]`, empty in bundles of earlier programs.
    public var histograms: [FeatureHistogram] = []
    /// Fences beyond which customers are not learnt from.
    public var fences: [OutlierFence] = []
    /// Centres of the moments; `[d]`, stored units.
    public var centres: [Double] = []
    /// Basis rows; `[p x d]`, row-major.
    public var components: [Double] = []
    /// Eigenvalues of the correlation matrix; `[p]`.
    public var explainedVariance: [Double] = []
    /// Eigenvalue / trace; `[p]`.
    public var explainedVarianceRatio: [Double] = []
    /// Segments, index = centroid index.
    public var segments: [Segment] = []
    /// Centroids; `[K x d]`, feature units.
    public var centroids: [Double] = []
    /// Sum of squared distances in PCA space, over training customers, by their weight where the
    /// model forgets; weights are 1 on average.
    public var inertia = 0.0
    /// Inertia and silhouette by number of segments.
    public var sweep: [SweepEntry] = []
    /// Elbow of the sweep, nil for none.
    public var elbow: Int?
    /// When the sweep was made, and of how many customers.
    public var sweepAt: Int64 = 0
    /// Customers at the sweep.
    public var sweepCustomers = 0
    /// Purchase model, nil when there are too few repeat buyers.
    public var churn: PurchaseParameters?
    /// What keeps bands back; nil when they are published.
    public var churnPending: String?
    /// How the risk was learnt from outcomes; nil where it is the purchase model's chance.
    public var calibration: RiskCalibration?
    /// What keeps the calibration back; nil when there is one, or no purchase model.
    public var calibrationPending: String?
    /// Changes of segments, the latest versions last.
    public var lineage: [Lineage] = []
    /// Next unused segment id.
    public var nextSegmentID = 1
    /// Share of each spending category in everyone's spending; `[C]`, `other` last.
    public var categoryShares: [Double] = []
    /// Weighted orders: mean spending of an order, for expected value where a customer has none.
    public var meanOrderValue = 0.0
    /// Fewer than `model.minimum_customers` were known.
    public var provisional = false
    /// What the guard found before the version was published; nil where it had nothing to compare.
    public var verdict: GuardVerdict?

    // Derived by `prepare`.
    private(set) var projection: [Double] = []
    private(set) var offset: [Double] = []
    private(set) var centroidScores: [Double] = []
    private var indexOfSegment: [Int: Int] = [:]

    /// Number of components.
    public var componentCount: Int { explainedVariance.count }
    /// Number of features.
    public var featureCount: Int { mean.count }

    /// Creates an empty model, version 0.
    public init() {}

    /// Derives the linear map from values to scores, and the centroids in PCA space.
    public mutating func prepare() {
        let d = featureCount
        projection = components
        offset = Array(repeating: 0, count: componentCount)
        for p in 0..<componentCount {
            for j in 0..<d {
                projection[p * d + j] = components[p * d + j] / scale[j]
                offset[p] -= projection[p * d + j] * mean[j]
            }
        }
        indexOfSegment = Dictionary(
            segments.enumerated().map { ($1.id, $0) },
            uniquingKeysWith: { $1 }
        )
        projectCentroids()
    }

    mutating func projectCentroids() {
        let d = featureCount
        centroidScores = Array(repeating: 0, count: segments.count * componentCount)
        for k in segments.indices {
            for p in 0..<componentCount {
                var score = offset[p]
                for j in 0..<d { score += projection[p * d + j] * centroids[k * d + j] }
                centroidScores[k * componentCount + p] = score
            }
        }
    }

    /// Centroids in PCA space; `[K x p]`, row-major.
    public var scoresOfCentroids: [Double] { centroidScores }

    /// First score of a centroid: large for customers who buy and earn much, by the sign rule.
    func firstScore(_ k: Int) -> Double {
        componentCount == 0 ? 0 : centroidScores[k * componentCount]
    }

    /// Sets centroids known in PCA space only, while a version is being fit.
    mutating func setCentroidScores(_ scores: [Double]) { centroidScores = scores }

    /// Centroid index of a segment id, or -1.
    func index(ofSegment id: Int) -> Int { indexOfSegment[id] ?? -1 }

    /// Projects values to scores; `values [d]`, `scores [p]` OUT.
    @inline(__always)
    func project(_ values: [Double], into scores: inout [Double]) {
        let d = featureCount
        for p in 0..<componentCount {
            let base = p &* d
            var sum = SIMD4<Double>.zero
            var j = 0
            while j &+ 4 <= d {
                sum +=
                    SIMD4(
                        projection[base &+ j],
                        projection[base &+ j &+ 1],
                        projection[base &+ j &+ 2],
                        projection[base &+ j &+ 3]
                    )
                    * SIMD4(values[j], values[j &+ 1], values[j &+ 2], values[j &+ 3])
                j &+= 4
            }
            var score = offset[p] + sum.sum()
            while j < d {
                score += projection[base &+ j] * values[j]
                j &+= 1
            }
            scores[p] = score
        }
    }

    /// Squared distance of scores to a centroid.
    @inline(__always)
    func squaredDistance(_ scores: [Double], to index: Int) -> Double {
        var sum = 0.0
        for p in 0..<componentCount {
            let difference = scores[p] - centroidScores[index &* componentCount &+ p]
            sum += difference * difference
        }
        return sum
    }

    /// The two nearest centroids; the lower index wins a tie.
    func nearest(_ scores: [Double]) -> NearestCentroids {
        NearestCentroid.find(
            point: scores,
            centroids: centroidScores,
            count: segments.count,
            dimension: componentCount
        )
    }
}

/// The model in force, handed around as one reference; never changed, only replaced.
final class ModelInForce: Sendable {
    let model: SegmentModel
    /// Key, name and strategy of each segment as JSON strings.
    let texts: [SegmentTexts]

    /// What every record about a segment says in the same words.
    struct SegmentTexts: Sendable {
        let key: [UInt8]
        let name: [UInt8]
        let strategy: [UInt8]
    }

    init(_ model: SegmentModel) {
        self.model = model
        texts = model.segments.map {
            SegmentTexts(
                key: JSONText.quoted($0.key),
                name: JSONText.quoted($0.name),
                strategy: JSONText.quoted($0.strategy)
            )
        }
    }
}
