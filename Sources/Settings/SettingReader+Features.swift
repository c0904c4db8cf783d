import Segmentation

extension SettingReader {
    private static let featureForms = [
        "slot", "log1p", "sum", "years_since", "days_since", "one_hot",
    ]

    /// How the model sees the slots, in the order of the file.
    mutating func features(_ node: SettingNode) -> [FeatureDeclaration] {
        var features: [FeatureDeclaration] = []
        guard let items = items("features", node) else {
            hasBrokenFeature = true
            return []
        }
        for (index, item) in items.enumerated() {
            if let feature = feature(item, at: index) {
                features.append(feature)
            } else {
                hasBrokenFeature = true
            }
        }
        return features
    }

    private mutating func feature(_ item: SettingNode, at index: Int) -> FeatureDeclaration? {
        guard let (name, parts) = named(item, "features", at: index, by: "name") else { return nil }
        let key = "features.\(name)"
        note(key, item)
        var form: FeatureDeclaration.Form?
        var formCount = 0
        var hasUnknown = false
        for part in parts where part.key != "name" {
            let partKey = "\(key).\(part.key)"
            note(partKey, part.node)
            switch part.key {
            case "sum":
                form = texts(partKey, part.node).map { .sum($0) }
                if case .sum([]) = form {
                    report(partKey, at: part.origin, "needs at least one slot")
                    return nil
                }
            case "slot": form = text(partKey, part.node).map { .slot($0) }
            case "log1p": form = text(partKey, part.node).map { .log1p($0) }
            case "years_since": form = text(partKey, part.node).map { .yearsSince($0) }
            case "days_since": form = text(partKey, part.node).map { .daysSince($0) }
            case "one_hot": form = text(partKey, part.node).map { .oneHot($0) }
            default:
                let known = (Self.featureForms + ["name"]).map { "\(key).\($0)" }
                reportUnknown(partKey, at: part.origin, among: known)
                hasUnknown = true
                continue
            }
            formCount += 1
        }
        guard formCount == 1 else {
            // A form whose name is misspelt is said to be no key; that it is missing only follows.
            if formCount > 1 || !hasUnknown {
                let forms = Self.featureForms.joined(separator: ", ")
                report(key, at: item.origin, "must have exactly one of \(forms)")
            }
            return nil
        }
        return form.map { FeatureDeclaration(name: name, form: $0) }
    }

    /// Bounds beyond which customers are not learnt from.
    mutating func outliers(_ node: SettingNode) -> [OutlierBound] {
        var bounds: [OutlierBound] = []
        for entry in entries("outliers", node) ?? [] {
            let key = "outliers.\(entry.key)"
            note(key, entry.node)
            var bound = OutlierBound(feature: entry.key)
            guard let parts = entries(key, entry.node) else { continue }
            if parts.isEmpty {
                report(key, at: entry.origin, "must have at_least, at_most or fence")
            }
            for part in parts {
                let partKey = "\(key).\(part.key)"
                switch part.key {
                case "at_least": bound.atLeast = number(partKey, part.node)
                case "at_most": bound.atMost = number(partKey, part.node)
                case "fence":
                    note(partKey, part.node)
                    bound.fence = number(partKey, part.node)
                default:
                    let known = ["\(key).at_least", "\(key).at_most", "\(key).fence"]
                    reportUnknown(partKey, at: part.origin, among: known)
                }
            }
            if let least = bound.atLeast, let most = bound.atMost, most >= least {
                report(key, at: entry.origin, "at_most must be below at_least")
            }
            bounds.append(bound)
        }
        return bounds
    }

    /// Names of segments.
    mutating func personas(_ node: SettingNode) -> [PersonaDeclaration] {
        var personas: [PersonaDeclaration] = []
        for (index, item) in (items("personas", node) ?? []).enumerated() {
            guard let (name, parts) = named(item, "personas", at: index, by: "key") else {
                continue
            }
            let key = "personas.\(name)"
            note(key, item)
            if !Self.isSlug(name) {
                report(key, at: item.origin, "key must be of a-z, 0-9 and -")
            }
            var persona = PersonaDeclaration(key: name, name: name, strategy: "", weights: [:])
            for part in parts where part.key != "key" {
                let partKey = "\(key).\(part.key)"
                switch part.key {
                case "name": persona.name = text(partKey, part.node) ?? name
                case "strategy": persona.strategy = text(partKey, part.node) ?? ""
                case "weights":
                    for weight in entries(partKey, part.node) ?? [] {
                        let weightKey = "\(partKey).\(weight.key)"
                        note(weightKey, weight.node)
                        persona.weights[weight.key] = number(weightKey, weight.node)
                    }
                default:
                    let known = ["key", "name", "strategy", "weights"].map { "\(key).\($0)" }
                    reportUnknown(partKey, at: part.origin, among: known)
                }
            }
            for needed in ["name", "strategy", "weights"]
            where !parts.contains(where: { $0.key == needed }) {
                report(key, at: item.origin, "needs \(needed)")
            }
            personas.append(persona)
        }
        return personas
    }

    /// The name and the parts of an item of a list.
    private mutating func named(
        _ item: SettingNode,
        _ list: String,
        at index: Int,
        by nameKey: String
    ) -> (name: String, parts: [SettingNode.Entry])? {
        let position = "\(list)[\(index)]"
        guard let parts = entries(position, item) else { return nil }
        guard let entry = parts.first(where: { $0.key == nameKey }) else {
            report(position, at: item.origin, "needs a \(nameKey)")
            return nil
        }
        return text("\(position).\(nameKey)", entry.node).map { ($0, parts) }
    }

    private static func isSlug(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                || byte == UInt8(ascii: "-")
        }
    }
}
