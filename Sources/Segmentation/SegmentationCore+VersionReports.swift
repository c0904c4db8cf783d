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
