public import Foundation
import OnlineLearning

/// The bundle of CONTRACT, section 5: a model version as one JSON document.
///
/// Its keys are the contract's; what a restart needs beyond them stands beside. Numbers are in
/// shortest round-trip form, so a model read back equals the one written.
public struct ModelBundle: Codable, Sendable, Equatable {
    /// A feature with its scaler.
    public struct Feature: Codable, Sendable, Equatable {
        var name: String
        var missing: Int
        var imputation: Double
        var mean: Double
        var scale: Double
        var without_data: Bool
        var centre: Double
        /// Left out in documents of earlier programs.
        var histogram: FeatureHistogram?
        /// Left out where the version has no fence.
        var fence: OutlierFenceDocument?
    }

    /// The basis.
    public struct Basis: Codable, Sendable, Equatable {
        var components: [[Double]]
        var explained_variance: [Double]
        var explained_variance_ratio: [Double]
    }

    /// A segment.
    public struct Segment: Codable, Sendable, Equatable {
        var id: Int
        var key: String
        var name: String
        var strategy: String
        var customers: Int
        var training_customers: Int
        var centroid: [String: Double]
        var centroid_pca: [Double]
    }

    /// One number of segments tried.
    public struct SweepRow: Codable, Sendable, Equatable {
        var k: Int
        var inertia: Double
        @Nullable var silhouette: Double?
    }

    var version: Int
    var step: Int
    var trained_at: String
    var customers: Int
    var training_customers: Int
    var provisional: Bool
    var features: [Feature]
    var pca: Basis
    var segments: [Segment]
    var inertia: Double
    var sweep: [SweepRow]
    @Nullable var elbow_k: Int?
    var sweep_at: Int64
    var sweep_customers: Int
    @Nullable var churn: Churn?
    @Nullable var churn_pending: String?
    /// What keeps the calibration of the risk back; left out where nothing does.
    var calibration_pending: String?
    var lineage: [SegmentModel.Lineage]
    var next_segment_id: Int
    var categories: [String: Double]
    var mean_order_value: Double
    var trained_at_ms: Int64
    /// Left out where the guard had nothing to compare.
    var guard_verdict: GuardVerdict?

    /// Makes the document of a model.
    public init(_ model: SegmentModel, categories names: [String]) {
        let d = model.featureCount
        let p = model.componentCount
        version = model.version
        step = model.step
        trained_at_ms = model.trainedAt
        var time: [UInt8] = []
        JSONText.appendTime(model.trainedAt, to: &time)
        trained_at = String(decoding: time, as: UTF8.self)
        customers = model.customers
        training_customers = model.trainingCustomers
        provisional = model.provisional
        features = (0..<d).map { j in
            Feature(
                name: model.featureNames[j],
                missing: model.missing[j],
                imputation: model.imputation[j],
                mean: model.mean[j],
                scale: model.scale[j],
                without_data: model.isWithoutData[j],
                centre: model.centres[j],
                histogram: model.histograms.isEmpty ? nil : model.histograms[j],
                fence: model.fences.first { $0.feature == j }.map {
                    OutlierFenceDocument(lower: $0.lower, upper: $0.upper)
                }
            )
        }
        pca = Basis(
            components: (0..<p).map { Array(model.components[($0 * d)..<(($0 + 1) * d)]) },
            explained_variance: model.explainedVariance,
            explained_variance_ratio: model.explainedVarianceRatio
        )
        segments = model.segments.enumerated().map { k, segment in
            Segment(
                id: segment.id,
                key: segment.key,
                name: segment.name,
                strategy: segment.strategy,
                customers: segment.customers,
                training_customers: segment.trainingCustomers,
                centroid: Dictionary(
                    uniqueKeysWithValues: (0..<d).map {
                        (model.featureNames[$0], model.centroids[k * d + $0])
                    }
                ),
                centroid_pca: Array(model.scoresOfCentroids[(k * p)..<((k + 1) * p)])
            )
        }
        inertia = model.inertia
        sweep = model.sweep.map {
            SweepRow(k: $0.k, inertia: $0.inertia, silhouette: $0.silhouette)
        }
        elbow_k = model.elbow
        sweep_at = model.sweepAt
        sweep_customers = model.sweepCustomers
        churn = Churn(model)
        churn_pending = model.churnPending
        calibration_pending = model.calibrationPending
        lineage = model.lineage
        next_segment_id = model.nextSegmentID
        categories = Dictionary(
            uniqueKeysWithValues: zip(names + ["other"], model.categoryShares)
        )
        mean_order_value = model.meanOrderValue
        guard_verdict = model.verdict
    }

    /// Reads a document.
    ///
    /// - Throws: `DecodingError` when a key is missing or of another type.
    public init(json: Data) throws {
        self = try JSONDecoder().decode(ModelBundle.self, from: json)
    }

    /// The document's bytes; keys sorted, so that equal models give equal bytes.
    ///
    /// - Throws: `EncodingError` for a number that JSON does not have.
    public func json(pretty: Bool = false) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = pretty ? [.sortedKeys, .prettyPrinted] : [.sortedKeys]
        return try encoder.encode(self)
    }

    /// The model of the features that the document itself names, for looking at it.
    ///
    /// - Throws: `ModelMismatch` for shapes that do not fit together.
    public func modelAsWritten() throws(ModelMismatch) -> SegmentModel {
        try model(features: features.map(\.name), categories: categories.keys.sorted())
    }

    /// The model, checked against what is declared.
    ///
    /// - Throws: `ModelMismatch` with every difference, for a model of other features or of shapes
    ///   that do not fit together.
    public func model(for schema: CompiledSchema) throws(ModelMismatch) -> SegmentModel {
        let model = try model(
            features: schema.featureNames,
            categories: schema.categories + ["other"]
        )
        let moving = model.fences.filter { schema.movesWithTime($0.feature) }
        if !moving.isEmpty {
            throw ModelMismatch(
                differences: moving.map {
                    "features: \(schema.featureNames[$0.feature]) moves with time, "
                        + "but the model has a fence on it"
                }
            )
        }
        return model
    }

    private func model(
        features declared: [String],
        categories names: [String]
    ) throws(ModelMismatch) -> SegmentModel {
        try check(declared)
        var model = SegmentModel()
        model.version = version
        model.step = step
        model.trainedAt = trained_at_ms
        model.customers = customers
        model.trainingCustomers = training_customers
        model.provisional = provisional
        model.featureNames = features.map(\.name)
        model.missing = features.map(\.missing)
        model.imputation = features.map(\.imputation)
        model.mean = features.map(\.mean)
        model.scale = features.map(\.scale)
        model.isWithoutData = features.map(\.without_data)
        model.centres = features.map(\.centre)
        let histograms = features.compactMap(\.histogram)
        model.histograms = histograms.count == features.count ? histograms : []
        model.fences = features.indices.compactMap { j in
            features[j].fence.map { OutlierFence(feature: j, $0) }
        }
        model.components = pca.components.flatMap { $0 }
        model.explainedVariance = pca.explained_variance
        model.explainedVarianceRatio = pca.explained_variance_ratio
        model.segments = segments.map {
            SegmentModel.Segment(
                id: $0.id,
                key: $0.key,
                name: $0.name,
                strategy: $0.strategy,
                customers: $0.customers,
                trainingCustomers: $0.training_customers
            )
        }
        model.centroids = segments.flatMap { segment in
            features.map { segment.centroid[$0.name] ?? 0 }
        }
        model.inertia = inertia
        model.sweep = sweep.map {
            SweepEntry(k: $0.k, inertia: $0.inertia, silhouette: $0.silhouette)
        }
        model.elbow = elbow_k
        model.sweepAt = sweep_at
        model.sweepCustomers = sweep_customers
        model.churn = churn?.parameters
        model.calibration = churn?.calibration?.calibration
        model.calibrationPending = calibration_pending
        model.churnPending = churn_pending
        model.lineage = lineage
        model.nextSegmentID = next_segment_id
        model.categoryShares = names.map { categories[$0] ?? 0 }
        model.meanOrderValue = mean_order_value
        model.verdict = guard_verdict
        model.prepare()
        return model
    }

    private func check(_ declared: [String]) throws(ModelMismatch) {
        var differences: [String] = []
        let own = features.map(\.name)
        for name in declared where !own.contains(name) {
            differences.append("feature \(name) is declared, but not in the model")
        }
        for name in own where !declared.contains(name) {
            differences.append("feature \(name) is in the model, but not declared")
        }
        if differences.isEmpty && own != declared {
            differences.append("features stand in another order")
        }
        let p = pca.components.count
        if pca.explained_variance.count != p || pca.explained_variance_ratio.count != p
            || pca.components.contains(where: { $0.count != own.count })
        {
            differences.append("pca: shapes do not fit together")
        }
        if segments.isEmpty || Set(segments.map(\.id)).count != segments.count {
            differences.append("segments: none, or an id twice")
        }
        for segment in segments where own.contains(where: { segment.centroid[$0] == nil }) {
            differences.append("segments: centroid of \(segment.id) lacks a feature")
        }
        if features.contains(where: { !($0.scale > 0) }) {
            differences.append("features: scale must be above 0")
        }
        for feature in features {
            if let mismatch = feature.histogram?.mismatch {
                differences.append("features: \(feature.name), \(mismatch)")
            }
            if let fence = feature.fence, !(fence.lower < fence.upper) {
                differences.append("features: \(feature.name), fence: lower must be below upper")
            }
        }
        if Set(own).count != own.count { differences.append("features: a name twice") }
        if p > max(1, own.count) { differences.append("pca: more components than features") }
        if version < 0 || step < 0 { differences.append("version, step: must not be negative") }
        // A row keeps the id in 16 bits.
        let highest = segments.map(\.id).max() ?? 0
        if segments.contains(where: { $0.id < 1 }) || highest > 65_535 {
            differences.append("segments: ids must be 1 to 65535")
        }
        if next_segment_id <= highest {
            differences.append("next_segment_id: must be above every segment's id")
        }
        differences += churn?.differences ?? []
        if !differences.isEmpty { throw ModelMismatch(differences: differences) }
    }
}

/// A model that does not fit what is declared; says every difference.
public struct ModelMismatch: Error, Sendable, Equatable, CustomStringConvertible {
    /// One line each.
    public var differences: [String]

    /// The differences, for people.
    public var description: String {
        "the model does not fit the configuration: " + differences.joined(separator: "; ")
    }
}

/// An optional that is written as null instead of being left out.
@propertyWrapper
public struct Nullable<Value: Codable & Sendable & Equatable>: Codable, Sendable, Equatable {
    /// The value.
    public var wrappedValue: Value?

    /// Wraps a value.
    public init(wrappedValue: Value?) { self.wrappedValue = wrappedValue }

    /// Reads a value or null.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        wrappedValue = container.decodeNil() ? nil : try container.decode(Value.self)
    }

    /// Writes the value or null.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        if let wrappedValue {
            try container.encode(wrappedValue)
        } else {
            try container.encodeNil()
        }
    }
}
