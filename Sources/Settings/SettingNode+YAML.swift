import Yams

extension SettingNode {
    /// Parses a YAML document.
    ///
    /// - Parameters:
    ///   - yaml: the text; an empty document is an empty mapping.
    ///   - override: position of the `--set` that the text belongs to, nil for a file.
    /// - Throws: one finding with the line where YAML itself is wrong; nothing can be said of the
    ///   rest then.
    init(yaml: String, override: Int? = nil) throws(ConfigurationFinding) {
        let start = override.map(SettingOrigin.override) ?? .line(1)
        let root: Node?
        do {
            root = try compose(yaml: yaml)
        } catch let error as YamlError {
            throw Self.finding(error, override: override)
        } catch {
            throw ConfigurationFinding(origin: start, key: "", rule: "is not YAML: \(error)")
        }
        guard let root else {
            self.init(origin: start, content: override == nil ? .map([]) : .empty)
            return
        }
        self = try Self.convert(root, override: override)
    }

    private static func convert(
        _ node: Node,
        override: Int?
    ) throws(ConfigurationFinding) -> SettingNode {
        let place = origin(node.mark, override)
        switch node {
        case .scalar(let scalar):
            let isQuoted = [.singleQuoted, .doubleQuoted, .literal, .folded].contains(scalar.style)
            let isEmpty = !isQuoted && ["", "~", "null", "Null", "NULL"].contains(scalar.string)
            return SettingNode(
                origin: place,
                content: isEmpty ? .empty : .scalar(scalar.string, isQuoted: isQuoted)
            )
        case .sequence(let sequence):
            var items: [SettingNode] = []
            for item in sequence { items.append(try convert(item, override: override)) }
            return SettingNode(origin: place, content: .list(items))
        case .mapping(let mapping):
            var entries: [Entry] = []
            for (key, value) in mapping {
                let keyPlace = origin(key.mark, override)
                guard case .scalar(let name) = key else {
                    throw ConfigurationFinding(
                        origin: keyPlace,
                        key: "",
                        rule: "a key must be a plain word"
                    )
                }
                var node = try convert(value, override: override)
                // A list or a mapping begins where its key stands, not where its first part does.
                if case .scalar = node.content {} else { node.origin = keyPlace }
                entries.append(Entry(key: name.string, origin: keyPlace, node: node))
            }
            return SettingNode(origin: place, content: .map(entries))
        case .alias:
            throw ConfigurationFinding(
                origin: place,
                key: "",
                rule: "YAML aliases are not supported"
            )
        }
    }

    private static func origin(_ mark: Mark?, _ override: Int?) -> SettingOrigin {
        override.map(SettingOrigin.override) ?? .line(mark?.line ?? 1)
    }

    /// What the parser says, in words that help where its own do not.
    private static func rule(_ problem: String) -> String {
        if problem == "but found another document" { return "must be a single YAML document" }
        let hint =
            problem.contains("cannot start any token")
            ? "; indent with spaces, not with tabs, and quote what begins with @ or `" : ""
        return "is not YAML: \(problem)\(hint)"
    }

    private static func finding(_ error: YamlError, override: Int?) -> ConfigurationFinding {
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
            .composer(_, let problem, let mark, _):
            ConfigurationFinding(
                origin: origin(mark, override),
                key: "",
                rule: rule(problem)
            )
        case .duplicatedKeysInMapping(let names, let context):
            ConfigurationFinding(
                origin: origin(context.mark, override),
                key: names.first ?? "",
                rule: "is given twice in one mapping"
            )
        case .reader(let problem, _, _, _):
            ConfigurationFinding(
                origin: origin(nil, override),
                key: "",
                rule: "is not YAML: \(problem)"
            )
        default:
            ConfigurationFinding(
                origin: origin(nil, override),
                key: "",
                rule: "is not YAML: \(error)"
            )
        }
    }
}
