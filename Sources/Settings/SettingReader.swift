/// Turns written values into typed ones and collects everything that is wrong.
///
/// Each operation returns nil after it has noted a problem, and the caller leaves the default in
/// place, so that one run finds all problems.
struct SettingReader {
    /// What a text may hold that a message shows.
    private struct Written {
        var origin: SettingOrigin
        var shown: String?
    }

    /// Problems so far.
    private(set) var findings: [ConfigurationFinding] = []
    /// Slots and whether a feature could not be read: rules about what names them say nothing new.
    var brokenSlots: Set<String> = []
    var hasBrokenFeature = false
    /// Values in credentials that nobody has handed over.
    var missingCredentials: [(key: String, name: String, origin: SettingOrigin)] = []
    private var written: [String: Written] = [:]

    /// Notes where a key was written, so that a rule checked later can name the place.
    mutating func note(_ key: String, _ node: SettingNode, isSecret: Bool = false) {
        var shown: String?
        if case .scalar = node.content { shown = isSecret ? Secret.mask : node.shown }
        written[key] = Written(origin: node.origin, shown: shown)
    }

    /// True when the key was written.
    func isWritten(_ key: String) -> Bool { written[key] != nil }

    /// True when one of these keys has a problem: what would stand below says nothing new.
    func isBroken(_ keys: [String]) -> Bool { findings.contains { keys.contains($0.key) } }

    /// Notes a problem at the place of a value.
    mutating func report(_ key: String, _ node: SettingNode, _ rule: String, isSecret: Bool = false)
    {
        findings.append(
            ConfigurationFinding(
                origin: node.origin,
                key: key,
                rule: rule,
                value: isSecret ? node.maskedIfText : node.shown
            )
        )
    }

    /// Notes a problem that the rule itself describes.
    mutating func report(_ key: String, at origin: SettingOrigin?, _ rule: String) {
        findings.append(ConfigurationFinding(origin: origin, key: key, rule: rule))
    }

    /// Notes a rule that a whole configuration breaks, at the place of its key.
    ///
    /// Where the key has its default, the place is that of another key which the rule names.
    mutating func report(rule: String, of key: String, default shown: String?) {
        if let place = written[key] {
            let value = place.shown.flatMap { rule.hasPrefix("must") ? $0 : nil }
            findings.append(
                ConfigurationFinding(origin: place.origin, key: key, rule: rule, value: value)
            )
            return
        }
        let other = rule.split(separator: " ").compactMap { written[String($0)] }.first
        findings.append(
            ConfigurationFinding(
                origin: other?.origin,
                key: key,
                rule: rule,
                value: shown.map { "\($0) by default" }
            )
        )
    }

    /// Reports a key that does not exist, with the one that was probably meant.
    mutating func reportUnknown(_ key: String, at origin: SettingOrigin, among known: [String]) {
        var rule = "is not a key"
        if known.contains(key) {
            rule = "keys are nested, not dotted: write one mapping within the other"
        } else if let near = NearestName.of(key, among: known) {
            rule += "; did you mean \(near)?"
        }
        findings.append(ConfigurationFinding(origin: origin, key: key, rule: rule))
    }
}

// Scalars.
extension SettingReader {
    /// Plain or quoted text.
    mutating func text(_ key: String, _ node: SettingNode) -> String? {
        guard case .scalar(let text, _) = node.content, !text.isEmpty else {
            report(key, node, "must be text")
            return nil
        }
        return text
    }

    /// A whole number within a range.
    mutating func integer(_ key: String, _ node: SettingNode, in range: ClosedRange<Int>) -> Int? {
        guard case .scalar(let text, false) = node.content, let value = Self.wholeNumber(text)
        else {
            report(key, node, "must be a whole number")
            return nil
        }
        guard range.contains(value) else {
            report(key, node, "must be \(range.lowerBound) to \(range.upperBound)")
            return nil
        }
        return value
    }

    /// A whole number; the nearest one there is where it is too large, so that a range refuses it.
    static func wholeNumber(_ text: String) -> Int? {
        if let value = Int(text) { return value }
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }) else { return nil }
        return text.hasPrefix("-") ? .min : .max
    }

    /// A finite number.
    mutating func number(_ key: String, _ node: SettingNode) -> Double? {
        guard case .scalar(let text, false) = node.content, let value = Double(text),
            value.isFinite
        else {
            report(key, node, "must be a number")
            return nil
        }
        return value
    }

    /// `true` or `false`.
    mutating func flag(_ key: String, _ node: SettingNode) -> Bool? {
        switch node.content {
        case .scalar("true", false): return true
        case .scalar("false", false): return false
        default:
            report(key, node, "must be true or false")
            return nil
        }
    }

    /// A duration of `minimum` to `maximum` milliseconds; `otherwise` is a word in its place.
    mutating func duration(
        _ key: String,
        _ node: SettingNode,
        minimum: Int64 = 0,
        maximum: Int64 = DurationText.usualMaximumMilliseconds,
        otherwise word: String? = nil
    ) -> Int64? {
        let end = word.map { ", or \($0)" } ?? ""
        guard case .scalar(let text, _) = node.content,
            let value = DurationText.milliseconds(text)
        else {
            report(key, node, "must be a duration such as 100ms, 5s, 30m, 24h, 14d or 2w\(end)")
            return nil
        }
        guard (minimum...maximum).contains(value) else {
            let longest = DurationText.text(maximum)
            let range =
                minimum == 0 ? "at most \(longest)" : "\(DurationText.text(minimum)) to \(longest)"
            report(key, node, "must be \(range)\(end)")
            return nil
        }
        return value
    }

    /// One of a few words.
    mutating func choice<T>(
        _ key: String,
        _ node: SettingNode,
        _ choices: KeyValuePairs<String, T>
    ) -> T? {
        if case .scalar(let text, _) = node.content,
            let match = choices.first(where: { $0.key == text })
        {
            return match.value
        }
        let names = choices.map(\.key)
        let last = names.last ?? ""
        report(
            key,
            node,
            names.count < 2
                ? "must be \(last)"
                : "must be \(names.dropLast().joined(separator: ", ")) or \(last)"
        )
        return nil
    }
}

// Collections.
extension SettingReader {
    /// Keys and values of a mapping; a key without value counts as an empty one.
    mutating func entries(_ key: String, _ node: SettingNode) -> [SettingNode.Entry]? {
        switch node.content {
        case .map(let entries): return entries
        case .empty: return []
        default:
            report(key, node, "must be a mapping")
            return nil
        }
    }

    /// Items of a list.
    mutating func items(_ key: String, _ node: SettingNode) -> [SettingNode]? {
        switch node.content {
        case .list(let items): return items
        case .empty: return []
        default:
            report(key, node, "must be a list")
            return nil
        }
    }

    /// A list of texts, or one text that stands for a list of one.
    mutating func texts(_ key: String, _ node: SettingNode) -> [String]? {
        let items: [SettingNode]
        switch node.content {
        case .scalar: return text(key, node).map { [$0] }
        case .list(let list): items = list
        case .empty: items = []
        case .map:
            report(key, node, "must be a name or a list of names")
            return nil
        }
        var texts: [String] = []
        for item in items {
            guard let text = text(key, item) else { return nil }
            texts.append(text)
        }
        return texts
    }
}
