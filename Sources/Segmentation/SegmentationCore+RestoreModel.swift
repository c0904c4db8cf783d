import Foundation

extension SegmentationCore {
    /// Takes the model topic's records over: the active version with its latest step, the versions
    /// kept, and the one in the shadow.
    ///
    /// - Parameters:
    ///   - records: value by key; later records of a key have replaced earlier ones.
    ///   - onlyNewer: leave a given model in force unless it has been learnt on from since.
    /// - Throws: `RestoreFailure` for an active version that is missing, broken, or of other
    ///   features.
    public mutating func restoreModel(
        _ records: [String: [UInt8]],
        onlyNewer: Bool = false
    ) throws(RestoreFailure) {
        guard let value = records["active"] else { return }
        let active: ActiveRecord = try Self.read(value, key: "active")
        var restored = try restoredVersions(records, active)
        guard var version = restored.kept[active.version] else {
            let reason =
                restored.unusable[active.version].map { ", version \(active.version): \($0)" }
                ?? ": version \(active.version) is active, but not there"
            throw RestoreFailure(description: "model topic" + reason)
        }
        if let value = records["step"] {
            let step: StepRecord = try Self.read(value, key: "step")
            // A step of an earlier version ended with it.
            if step.version == version.version && step.centroids.count == version.centroids.count {
                version.step = step.step
                version.centroids = step.centroids
            }
        }
        if onlyNewer, let model, restored.highest < model.version {
            // What waited there was compared with another model.
            restored.shadow = nil
            restored.isGuardArmed = true
            restored.raise(version: model.version, nextSegmentID: model.nextSegmentID)
            versions = restored
            return
        }
        if version.version == model?.version {
            follow(centroidsOf: version)
        } else {
            adopt(version)
        }
        versions = restored
        lastRefitAt = max(lastRefitAt, versions.decidedAt)
        if versions.customers > 0 { lastRefitCustomers = versions.customers }
    }

    private func restoredVersions(
        _ records: [String: [UInt8]],
        _ active: ActiveRecord
    ) throws(RestoreFailure) -> ModelVersions {
        var restored = ModelVersions()
        for (key, value) in records where key.hasPrefix(Self.versionPrefix) {
            guard let number = Int(key.dropFirst(Self.versionPrefix.count)) else { continue }
            // A version never changes, so what is known need not be read again.
            if let known = versions.kept[number] {
                restored.keep(known)
                continue
            }
            do throws(RestoreFailure) {
                restored.keep(try readVersion(value))
            } catch {
                // An older one is missed only by a rollback to it.
                restored.unusable[number] = error.description
                restored.raise(version: number, nextSegmentID: 0)
            }
        }
        restored.raise(
            version: max(active.version, active.highest_version ?? 0),
            nextSegmentID: active.next_segment_id ?? 0
        )
        restored.decidedAt = active.decided_at ?? Int64.min
        restored.customers = active.customers ?? 0
        restored.isGuardArmed = active.guard_armed ?? false
        if let value = records["shadow"] {
            let shadow: ShadowRecord = try Self.read(value, key: "shadow")
            restored.recordedShadow = shadow.version
            if restored.kept[shadow.version] != nil { restored.shadow = shadow.version }
        }
        return restored
    }

    private func readVersion(_ value: [UInt8]) throws(RestoreFailure) -> SegmentModel {
        do {
            return try ModelBundle(json: Data(value)).model(for: schema)
        } catch let error as ModelMismatch {
            throw RestoreFailure(
                description: "\(error)"
                    + "; declare the features as they were, or use another kafka.group"
            )
        } catch {
            throw RestoreFailure(description: "not readable (\(error))")
        }
    }

    private static func read<Value: Decodable>(
        _ value: [UInt8],
        key: String
    ) throws(RestoreFailure) -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(value))
        } catch {
            throw RestoreFailure(description: "model topic, key \(key): not readable")
        }
    }

    /// Begin of the keys of versions on the model topic.
    static var versionPrefix: String { "version/" }

    private struct StepRecord: Decodable {
        var version: Int
        var step: Int
        var centroids: [Double]
    }
}
