/// What a configuration that was read again has changed.
package struct ConfigurationChanges: Sendable, Equatable {
    /// Keys whose new value is in force at once.
    package var atOnce: [String] = []
    /// Keys whose new value the next version of the model takes.
    package var withNextModel: [String] = []
    /// Keys whose new value takes a restart.
    package var afterRestart: [String] = []

    /// Whether nothing has changed.
    package var isEmpty: Bool { atOnce.isEmpty && withNextModel.isEmpty && afterRestart.isEmpty }
}

/// A configuration file that is read again while the daemon runs.
///
/// What may change is taken over; the rest keeps the value that the daemon began with, and is
/// named. A file with a problem changes nothing.
package struct ReloadableConfiguration: Sendable, CustomReflectable {
    private let path: String
    private let overrides: [String]
    private let purpose: ServiceConfiguration.Purpose
    private let examine: ServiceConfiguration.Examination
    /// What was written, as far as it is in force; it may hold secrets.
    private var tree: SettingNode
    /// The configuration in force.
    package private(set) var current: ServiceConfiguration

    /// When a changed key takes effect, for those that need no restart.
    private enum Effect { case atOnce, withNextModel }

    private static let effects: [String: Effect] = [
        "shop.rates": .atOnce,
        "model.refit.interval": .atOnce,
        "model.refit.changed_share": .atOnce,
        "model.refit.minimum_interval": .atOnce,
        "model.guard.segment_share": .atOnce,
        "model.guard.band_share": .atOnce,
        "model.challengers": .withNextModel,
        "model.margin": .withNextModel,
        "assignment.hysteresis": .atOnce,
        "assignment.minimum_dwell": .atOnce,
        "churn.raise.medium": .atOnce,
        "churn.raise.high": .atOnce,
        "churn.quantile.medium": .atOnce,
        "churn.quantile.high": .atOnce,
        "churn.clear_by": .atOnce,
        "churn.cooldown": .atOnce,
        "churn.silence_guard": .atOnce,
        "churn.minimum_spent": .atOnce,
        "personas": .withNextModel,
        "commit.interval": .atOnce,
        "commit.interval_minimum": .atOnce,
        "commit.records": .atOnce,
        "commit.due_rows": .atOnce,
        "commit.bytes": .atOnce,
        "log.level": .atOnce,
    ]

    /// Keys that need no restart, sorted.
    package static var changeableKeys: [String] { effects.keys.sorted() }

    /// Reads a configuration file for the first time.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - overrides: texts `key=value` of `--set`, later ones win.
    ///   - purpose: what it is loaded for.
    ///   - examine: as in `ServiceConfiguration.load`.
    /// - Throws: a report of every problem at once; exit status 2.
    package init(
        path: String,
        overrides: [String],
        purpose: ServiceConfiguration.Purpose,
        examine: @escaping ServiceConfiguration.Examination = { _ in [] }
    ) throws(ConfigurationProblemsReport) {
        self.path = path
        self.overrides = overrides
        self.purpose = purpose
        self.examine = examine
        tree = try ServiceConfiguration.tree(path: path, overrides: overrides)
        current = try ServiceConfiguration.load(
            tree,
            file: path,
            purpose: purpose,
            examine: examine
        )
    }

    /// Reads the file again and takes over what may change.
    ///
    /// - Returns: the keys that have changed.
    /// - Throws: a report of every problem; nothing has changed then.
    package mutating func reload() throws(ConfigurationProblemsReport) -> ConfigurationChanges {
        let newTree = try ServiceConfiguration.tree(path: path, overrides: overrides)
        let newer = try ServiceConfiguration.load(
            newTree,
            file: path,
            purpose: purpose,
            examine: examine
        )
        var changes = ConfigurationChanges()
        var merged = tree
        for setting in ServiceConfiguration.settings(ValueFiles(folder: "")) {
            let written = newTree.node(at: setting.key)
            guard !isSame(setting, written, newer) else { continue }
            switch Self.effects[setting.key] {
            case .atOnce: changes.atOnce.append(setting.key)
            case .withNextModel: changes.withNextModel.append(setting.key)
            case nil:
                changes.afterRestart.append(setting.key)
                continue
            }
            merged.replace(setting.key, by: written)
        }
        let result = try ServiceConfiguration.load(
            merged,
            file: path,
            purpose: purpose,
            examine: examine
        )
        tree = merged
        current = result
        return changes
    }

    private func isSame(
        _ setting: Setting,
        _ written: SettingNode?,
        _ newer: ServiceConfiguration
    ) -> Bool {
        if let before = setting.show(current), let after = setting.show(newer) {
            return before == after
        }
        let before = tree.node(at: setting.key)
        guard let before, let written else { return before == nil && written == nil }
        return before.isSame(as: written)
    }

    /// Nothing: what was written may be secret.
    package var customMirror: Mirror { Mirror(self, children: []) }
}

extension SettingNode {
    /// The value of a key, nil where it was not written.
    func node(at key: String) -> SettingNode? {
        var node = self
        for part in key.split(separator: ".") {
            guard case .map(let entries) = node.content,
                let entry = entries.first(where: { $0.key == part })
            else { return nil }
            node = entry.node
        }
        return node
    }

    /// Puts another value in the place of a key's, or takes the key out.
    mutating func replace(_ key: String, by node: SettingNode?) {
        let path = key.split(separator: ".").map(String.init)
        if let node { set(path[...], to: node) } else { remove(path[...]) }
    }

    private mutating func remove(_ path: ArraySlice<String>) {
        guard let key = path.first, case .map(var entries) = content,
            let index = entries.firstIndex(where: { $0.key == key })
        else { return }
        if path.count == 1 {
            entries.remove(at: index)
        } else {
            entries[index].node.remove(path.dropFirst())
        }
        content = .map(entries)
    }

    /// Whether another value says the same, wherever either was written.
    func isSame(as other: SettingNode) -> Bool {
        switch (content, other.content) {
        case (.empty, .empty): true
        case (.scalar(let a, let isQuoted), .scalar(let b, let isOtherQuoted)):
            a == b && isQuoted == isOtherQuoted
        case (.list(let a), .list(let b)):
            a.count == b.count && zip(a, b).allSatisfy { $0.isSame(as: $1) }
        case (.map(let a), .map(let b)):
            a.count == b.count
                && a.allSatisfy { entry in
                    b.contains { $0.key == entry.key && $0.node.isSame(as: entry.node) }
                }
        default: false
        }
    }
}
