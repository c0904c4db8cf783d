extension SegmentationConfiguration {
    /// What cannot work in slots, features, outliers and personas, and between them.
    func validateDeclarations() -> [ConfigurationProblem] {
        slotProblems() + featureProblems() + outlierProblems() + personaProblems()
    }

    private func slotProblems() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func report(_ key: String, _ rule: String) {
            problems.append(ConfigurationProblem(key: key, rule: rule))
        }
        var names: Set<String> = []
        var lastPurchase: String?
        for slot in slots {
            let key = "slots.\(slot.name)"
            if !names.insert(slot.name).inserted { report(key, "is declared twice") }
            if case .category(let groups, let defaultGroup) = slot.kind {
                if groups.isEmpty || groups.count > 64 {
                    report(key + ".groups", "must be 1 to 64 groups")
                } else if !groups.contains(where: { $0.name == defaultGroup }) {
                    report(key + ".default", "must be one of the declared groups")
                }
            }
            if slot.source == .lastPurchase {
                // Events feed one slot with it; a second one would stay empty without a word.
                if let other = lastPurchase {
                    report(key, "the last purchase is kept already, in \(other)")
                }
                lastPurchase = lastPurchase ?? slot.name
            }
            guard let halfLife = slot.halfLifeDays else { continue }
            if !(halfLife >= 15.0 / 1440 && halfLife <= 36_500) {
                report(key + ".half_life", "must be 15m to 36500d")
            }
            switch slot.source {
            case .profile, .lastPurchase, .snapshotOnly:
                report(key + ".half_life", "only sums and counts can decay")
            default:
                if slot.snapshotField != nil {
                    report(key + ".snapshot", "a snapshot cannot set a decayed slot")
                }
            }
        }
        if CompiledSchema.categoryNames(of: self).count > 15 {
            report("slots", "at most 15 spending categories are possible")
        }
        return problems
    }

    private func featureProblems() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func report(_ key: String, _ rule: String) {
            problems.append(ConfigurationProblem(key: key, rule: rule))
        }
        let slotsByName = Dictionary(slots.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        var names: Set<String> = []
        var expanded: Set<String> = []
        for feature in features {
            let key = "features.\(feature.name)"
            if names.insert(feature.name).inserted {
                for name in CompiledSchema.featureNames(of: self, feature)
                where !expanded.insert(name).inserted {
                    report(key, "gives a feature that there is already: \(name)")
                }
            } else {
                report(key, "is declared twice")
            }
            for name in feature.form.slotNames {
                guard let slot = slotsByName[name] else {
                    report(key, "names a slot that is not declared: \(name)")
                    continue
                }
                if let rule = feature.form.mismatch(with: slot) { report(key, rule) }
                // One that comes to no feature at all would leave nothing to compute with.
                if case .oneHot = feature.form, case .category(let groups, _) = slot.kind,
                    groups.count == 1, model.oneHot == .first
                {
                    report(key, "comes to nothing: one group, which model.one_hot leaves out")
                }
            }
        }
        if features.isEmpty { report("features", "at least one is needed") }
        if expanded.count > 128 { report("features", "at most 128 are possible") }
        return problems
    }

    private func outlierProblems() -> [ConfigurationProblem] {
        let expanded = Set(CompiledSchema.featureNames(of: self))
        let unknown = outliers.filter { !expanded.contains($0.feature) }.map {
            ConfigurationProblem(
                key: "outliers.\($0.feature)",
                rule: "names a feature that is not declared"
            )
        }
        return unknown + fenceProblems()
    }

    private func personaProblems() -> [ConfigurationProblem] {
        var problems: [ConfigurationProblem] = []
        func report(_ key: String, _ rule: String) {
            problems.append(ConfigurationProblem(key: key, rule: rule))
        }
        let expanded = Set(CompiledSchema.featureNames(of: self))
        var keys: Set<String> = []
        for persona in personas {
            let key = "personas.\(persona.key)"
            if !keys.insert(persona.key).inserted { report(key, "is declared twice") }
            for (name, weight) in persona.weights.sorted(by: { $0.key < $1.key }) {
                if !expanded.contains(name) {
                    report("\(key).weights.\(name)", "names a feature that is not declared")
                }
                // Weights count against each other: sums of huge ones overflow.
                if !(-100...100).contains(weight) {
                    report("\(key).weights.\(name)", "must be -100 to 100")
                }
            }
        }
        return problems
    }
}

extension FeatureDeclaration.Form {
    /// Slots that the feature is made of.
    var slotNames: [String] {
        switch self {
        case .slot(let name), .log1p(let name), .yearsSince(let name), .daysSince(let name),
            .oneHot(let name):
            [name]
        case .sum(let names): names
        }
    }

    /// The rule that a slot breaks as part of this feature, nil when it fits.
    func mismatch(with slot: SlotDeclaration) -> String? {
        let isMoment = slot.kind == .moment
        var isCategory = false
        if case .category = slot.kind { isCategory = true }
        switch self {
        case .slot:
            return isMoment || isCategory ? "needs a number slot, \(slot.name) is none" : nil
        case .log1p, .sum, .yearsSince:
            if isMoment || isCategory { return "needs a number slot, \(slot.name) is none" }
            return slot.halfLifeDays == nil
                ? nil : "cannot be made of \(slot.name), which moves with time"
        case .daysSince: return isMoment ? nil : "needs a moment slot, \(slot.name) is none"
        case .oneHot: return isCategory ? nil : "needs a category slot, \(slot.name) is none"
        }
    }
}
