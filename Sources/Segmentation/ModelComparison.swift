public import Kernels
import OnlineLearning

/// What would change if one model took the place of another.
///
/// It compares what the two say, without the customers: how many of them would move is up to the
/// guard, which has the table. Segments are the same where their ids are.
public struct ModelComparison: Sendable {
    /// What of a feature differs; deviations are those of the model in place.
    public struct Feature: Sendable, Equatable {
        /// Its name.
        public var name: String
        /// Means of the old and the new model, feature units.
        public var mean: (old: Double, new: Double)
        /// Standard deviations, feature units.
        public var scale: (old: Double, new: Double)
        /// Values that stand in for missing ones, feature units.
        public var imputation: (old: Double, new: Double)
        /// Largest of the shifts of mean and imputation in old deviations and of the deviation's
        /// relative change: how far the feature moved.
        public var shift: Double

        /// Features are equal when all of their numbers are.
        public static func == (left: Feature, right: Feature) -> Bool {
            left.name == right.name && left.mean == right.mean && left.scale == right.scale
                && left.imputation == right.imputation && left.shift == right.shift
        }
    }

    /// A part of a centroid's move.
    public struct Move: Sendable, Equatable {
        /// The feature.
        public var name: String
        /// Where the old and the new centroid stand, feature units.
        public var old: Double
        /// Where the new centroid stands, feature units.
        public var new: Double
        /// The difference, in deviations of the model in place.
        public var deviations: Double
    }

    /// What becomes of a segment.
    public struct Segment: Sendable, Equatable {
        /// Its id.
        public var id: Int
        /// As it is, nil for one that is not there yet.
        public var old: SegmentModel.Segment?
        /// As it would be, nil for one that would go.
        public var new: SegmentModel.Segment?
        /// kept, new, split, merged or retired: by lineage where the new model descends from the
        /// old one, by ids elsewhere.
        public var kind: String
        /// Segments that its members come from, or go to where retired.
        public var from: [Int]
        /// Distance from the old to the new centroid in PCA space, in the basis of the model in
        /// place and by the features of both; nil where there is nothing to compare.
        public var distance: Double?
        /// Features by how far the centroid moves along them, the farthest first.
        public var moves: [Move]
    }

    /// Features of both, by how far they moved, the farthest first.
    public let features: [Feature]
    /// Features that only the old model has.
    public let removedFeatures: [String]
    /// Features that only the new model has.
    public let addedFeatures: [String]
    /// Largest principal angle between the bases, in degrees; nil where one of them spans nothing.
    public let angle: Double?
    /// Segments by id.
    public let segments: [Segment]

    /// Compares two models.
    ///
    /// - Parameters:
    ///   - old: the model in place.
    ///   - new: the one that would take its place.
    /// - Throws: `NumericError` for bases whose entries are not finite.
    public init(from old: SegmentModel, to new: SegmentModel) throws(NumericError) {
        let oldIndex = Self.index(old.featureNames)
        let newIndex = Self.index(new.featureNames)
        removedFeatures = old.featureNames.filter { newIndex[$0] == nil }
        addedFeatures = new.featureNames.filter { oldIndex[$0] == nil }
        let shared = old.featureNames.compactMap { name -> (old: Int, new: Int)? in
            guard let before = oldIndex[name], let after = newIndex[name] else { return nil }
            return (before, after)
        }
        features = shared.map { Self.feature($0, old, new) }.sorted {
            ($1.shift, $0.name) < ($0.shift, $1.name)
        }
        angle = try Self.angle(old, new, names: old.featureNames + addedFeatures)
        let ids = Set(old.segments.map(\.id) + new.segments.map(\.id)).sorted()
        segments = ids.map { Self.segment($0, old, new, shared) }
    }

    private static func index(_ names: [String]) -> [String: Int] {
        Dictionary(zip(names, names.indices), uniquingKeysWith: { first, _ in first })
    }

    private static func feature(
        _ place: (old: Int, new: Int),
        _ old: SegmentModel,
        _ new: SegmentModel
    ) -> Feature {
        let scale = (old: old.scale[place.old], new: new.scale[place.new])
        let mean = (old: old.mean[place.old], new: new.mean[place.new])
        let imputation = (old: old.imputation[place.old], new: new.imputation[place.new])
        return Feature(
            name: old.featureNames[place.old],
            mean: mean,
            scale: scale,
            imputation: imputation,
            shift: max(
                abs(mean.new - mean.old) / scale.old,
                abs(imputation.new - imputation.old) / scale.old,
                abs(scale.new / scale.old - 1)
            )
        )
    }

    /// A feature that one of them lacks has no loading there, so that both stand in one space.
    private static func angle(
        _ old: SegmentModel,
        _ new: SegmentModel,
        names: [String]
    ) throws(NumericError) -> Double? {
        guard !names.isEmpty else { return nil }
        let places = index(names)
        func spread(_ model: SegmentModel) -> [Double] {
            let d = model.featureCount
            var basis = Array(repeating: 0.0, count: model.componentCount * names.count)
            for p in 0..<model.componentCount {
                for j in 0..<d {
                    guard let place = places[model.featureNames[j]] else { continue }
                    basis[p * names.count + place] = model.components[p * d + j]
                }
            }
            return basis
        }
        return try PrincipalAngles.largest(
            between: spread(old),
            and: spread(new),
            featureCount: names.count
        )
    }

    private static func segment(
        _ id: Int,
        _ old: SegmentModel,
        _ new: SegmentModel,
        _ shared: [(old: Int, new: Int)]
    ) -> Segment {
        let before = old.index(ofSegment: id)
        let after = new.index(ofSegment: id)
        var result = Segment(
            id: id,
            old: before < 0 ? nil : old.segments[before],
            new: after < 0 ? nil : new.segments[after],
            kind: before < 0 ? "new" : after < 0 ? "retired" : "kept",
            from: [],
            moves: []
        )
        // Several versions may lie between the two: what happened last says what it is now, but
        // a segment that is kept lately may have come in between.
        let events = new.lineage.filter { $0.segment_id == id && $0.version > old.version }
        if let event = events.last(where: { $0.kind != "kept" }) ?? events.last {
            let isCome = event.kind == "new" || event.kind == "split"
            if event.kind == "retired" ? after < 0 : after >= 0 && (!isCome || before < 0) {
                result.kind = event.kind
                result.from = event.from
            }
        }
        guard before >= 0 && after >= 0 && !shared.isEmpty else { return result }
        var difference = Array(repeating: 0.0, count: old.featureCount)
        for place in shared {
            let start = old.centroids[before * old.featureCount + place.old]
            let end = new.centroids[after * new.featureCount + place.new]
            let deviations = (end - start) / old.scale[place.old]
            difference[place.old] = deviations
            result.moves.append(
                Move(
                    name: old.featureNames[place.old],
                    old: start,
                    new: end,
                    deviations: deviations
                )
            )
        }
        result.moves.sort {
            (abs($1.deviations), $0.name) < (abs($0.deviations), $1.name)
        }
        var square = 0.0
        for p in 0..<old.componentCount {
            var score = 0.0
            for j in 0..<old.featureCount {
                score += old.components[p * old.featureCount + j] * difference[j]
            }
            square += score * score
        }
        result.distance = square.squareRoot()
        return result
    }
}
