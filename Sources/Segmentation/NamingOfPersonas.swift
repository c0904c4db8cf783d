import OnlineLearning

/// Names segments by declared rules over their centroids.
///
/// A persona fits a segment by the weighted sum of the centroid's deviations from everyone's mean;
/// the assignment of names to segments that fits best in all wins, so names are unique. The name
/// that a segment had counts a quarter of a standard deviation, so that names do not flap.
enum NamingOfPersonas {
    private static let loyalty = 0.25

    static func name(
        _ model: inout SegmentModel,
        previous: SegmentModel?,
        personas: [PersonaDeclaration]
    ) {
        let d = model.featureCount
        var cost: [Double] = []
        for k in model.segments.indices {
            let before = previous.flatMap { old -> String? in
                let index = old.index(ofSegment: model.segments[k].id)
                return index < 0 ? nil : old.segments[index].key
            }
            for persona in personas {
                var fit = 0.0
                var weight = 0.0
                for (j, name) in model.featureNames.enumerated() {
                    guard let w = persona.weights[name] else { continue }
                    fit += w * (model.centroids[k * d + j] - model.mean[j]) / model.scale[j]
                    weight += abs(w)
                }
                let bonus = before == persona.key ? loyalty : 0
                cost.append(-(weight > 0 ? fit / weight : 0) - bonus)
            }
        }
        let match =
            personas.isEmpty
            ? Array(repeating: -1, count: model.segments.count)
            : Assignment.solve(
                cost: cost,
                rows: model.segments.count,
                columns: personas.count
            )
        for k in model.segments.indices {
            if match[k] >= 0 {
                let persona = personas[match[k]]
                model.segments[k].key = persona.key
                model.segments[k].name = persona.name
                model.segments[k].strategy = persona.strategy
            } else {
                model.segments[k].key = "segment-\(model.segments[k].id)"
                model.segments[k].name = "Segment \(model.segments[k].id)"
                model.segments[k].strategy = ""
            }
        }
    }
}
