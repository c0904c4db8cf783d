import Foundation

/// Which bundle is asked for.
public enum BundleSelection: Sendable, Equatable {
    /// A kept version, as it was fit.
    case version(Int)
    /// The version in force, with the centroids of its latest step.
    case active
    /// The version that waits for an operator.
    case shadow
}

extension SegmentationCore {
    /// A bundle as JSON, nil for a version that is not kept.
    public func bundleJSON(of selection: BundleSelection) -> [UInt8]? {
        let chosen: SegmentModel? =
            switch selection {
            case .active: model
            case .shadow: shadow
            case .version(let number):
                number == model?.version ? model : versions.kept[number]
            }
        return chosen.map { Self.json(ModelBundle($0, categories: schema.categories)) }
    }

    /// The versions kept, newest first, as a JSON list.
    public func versionsJSON() -> [UInt8] {
        var listed = versions.kept
        if let model { listed[model.version] = model }
        let rows = listed.values.sorted { $0.version > $1.version }.map { version in
            VersionRow(
                version: version.version,
                state: version.version == model?.version
                    ? "active" : version.version == versions.shadow ? "shadow" : "kept",
                trained_at: Self.timeText(version.trainedAt),
                customers: version.customers,
                segments: version.segments.count,
                inertia: version.inertia,
                verdict: version.verdict
            )
        }
        return Self.json(rows)
    }

    /// The segments of the version in force with the sizes that the last census found, as JSON; nil
    /// before the first version.
    public func segmentsJSON() -> [UInt8]? {
        guard let model else { return nil }
        let bundle = ModelBundle(model, categories: schema.categories)
        let known = max(1, customerCount)
        return Self.json(
            SegmentsReport(
                model_version: model.version,
                model_step: model.step,
                customers: customerCount,
                segments: bundle.segments.sorted { $0.id < $1.id }.map { segment in
                    let size = census.segments[segment.id] ?? 0
                    return SegmentsReport.Segment(
                        id: segment.id,
                        key: segment.key,
                        name: segment.name,
                        strategy: segment.strategy,
                        customers: size,
                        share: min(1, Double(size) / Double(known)),
                        training_customers: segment.training_customers,
                        centroid: segment.centroid
                    )
                }
            )
        )
    }

    /// What the version in force says of other numbers of segments, as JSON; nil before the first
    /// version.
    public func sweepJSON() -> [UInt8]? {
        guard let model else { return nil }
        let bundle = ModelBundle(model, categories: schema.categories)
        return Self.json(
            SweepReport(
                model_version: model.version,
                customers: bundle.sweep_customers,
                elbow_k: bundle.elbow_k,
                sweep: bundle.sweep
            )
        )
    }

    private static func timeText(_ time: Int64) -> String {
        var bytes: [UInt8] = []
        JSONText.appendTime(time, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// JSON of a value of ours, keys sorted.
    static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        do {
            return Array(try encoder.encode(value))
        } catch {
            // Numbers are finite, so this is a bug and no operating fault.
            preconditionFailure("a model that is no JSON: \(error)")
        }
    }
}

private struct SegmentsReport: Encodable {
    struct Segment: Encodable {
        var id: Int
        var key: String
        var name: String
        var strategy: String
        var customers: Int
        var share: Double
        var training_customers: Int
        var centroid: [String: Double]
    }

    var model_version: Int
    var model_step: Int
    var customers: Int
    var segments: [Segment]
}

private struct SweepReport: Encodable {
    var model_version: Int
    var customers: Int
    @Nullable var elbow_k: Int?
    var sweep: [ModelBundle.SweepRow]
}

private struct VersionRow: Encodable {
    var version: Int
    var state: String
    var trained_at: String
    var customers: Int
    var segments: Int
    var inertia: Double
    var verdict: GuardVerdict?

    private enum CodingKeys: String, CodingKey {
        case version, state, trained_at, customers, segments, inertia
        case verdict = "guard"
    }
}
