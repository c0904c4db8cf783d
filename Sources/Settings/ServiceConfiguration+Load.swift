import AdminServer
import Foundation
import Segmentation

extension ServiceConfiguration {
    /// What a configuration is loaded for.
    package enum Purpose {
        /// To reach Kafka: the brokers must be named.
        case kafka
        /// To be looked at: as to reach Kafka, but credentials may be missing.
        case inspection
        /// To run without Kafka, or with one that the caller provides.
        case standalone
    }

    /// Says what is wrong with properties of the Kafka client, by name.
    package typealias Examination =
        @Sendable ([String: String]) -> [(property: String, rule: String)]

    /// Loads a configuration file.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - overrides: texts `key=value` of `--set`, later ones win.
    ///   - purpose: what it is loaded for.
    ///   - examine: what is wrong with properties of the Kafka client, by name, since this target
    ///     does not know the client; asked where nothing was wrong with reading them.
    /// - Returns: the configuration, valid as a whole.
    /// - Throws: a report of every problem at once; exit status 2.
    package static func load(
        path: String,
        overrides: [String] = [],
        purpose: Purpose = .kafka,
        examine: Examination = { _ in [] }
    ) throws(ConfigurationProblemsReport) -> ServiceConfiguration {
        let tree = try tree(path: path, overrides: overrides)
        return try load(tree, file: path, purpose: purpose, examine: examine)
    }

    private static func whyUnreadable(_ path: String) -> String {
        guard FileManager.default.fileExists(atPath: path) else {
            let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
            let isClosed =
                FileManager.default.fileExists(atPath: folder)
                && !FileManager.default.isExecutableFile(atPath: folder)
            return isClosed ? "is in a folder that this user may not enter" : "does not exist"
        }
        if FileManager.default.fileExists(atPath: path + "/.") { return "is a folder" }
        return FileManager.default.isReadableFile(atPath: path)
            ? "cannot be read as UTF-8 text" : "may not be read by this user"
    }

    /// Loads a configuration from its text.
    ///
    /// - Parameters:
    ///   - text: YAML.
    ///   - file: name of the file in messages.
    ///   - folder: where relative paths start.
    ///   - overrides: texts `key=value` of `--set`, later ones win.
    ///   - purpose: what it is loaded for.
    ///   - examine: what is wrong with properties of the Kafka client, by name, since this target
    ///     does not know the client; asked where nothing was wrong with reading them.
    /// - Returns: the configuration, valid as a whole.
    /// - Throws: a report of every problem at once; exit status 2.
    package static func load(
        text: String,
        file: String,
        folder: String = ".",
        overrides: [String] = [],
        purpose: Purpose = .kafka,
        examine: Examination = { _ in [] }
    ) throws(ConfigurationProblemsReport) -> ServiceConfiguration {
        let tree = try tree(text: text, file: file, overrides: overrides)
        return try load(
            tree,
            file: file,
            ValueFiles(folder: folder),
            purpose: purpose,
            examine: examine
        )
    }

    /// Reads a file with its overrides, whatever it says.
    static func tree(
        path: String,
        overrides: [String]
    ) throws(ConfigurationProblemsReport) -> SettingNode {
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw ConfigurationProblemsReport(
                file: path,
                findings: [ConfigurationFinding(origin: nil, key: "", rule: whyUnreadable(path))]
            )
        }
        return try tree(text: text, file: path, overrides: overrides)
    }

    private static func tree(
        text: String,
        file: String,
        overrides: [String]
    ) throws(ConfigurationProblemsReport) -> SettingNode {
        var broken: [ConfigurationFinding] = []
        var root = SettingNode(origin: .line(1), content: .map([]))
        do {
            root = try SettingNode(yaml: text)
        } catch {
            broken.append(error)
        }
        for (position, override) in overrides.enumerated() {
            do {
                try root.apply(override, at: position)
            } catch {
                broken.append(error)
            }
        }
        if !broken.isEmpty {
            // Without the tree, or with an override left out, other messages would mislead.
            throw ConfigurationProblemsReport(file: file, findings: broken)
        }
        return root
    }

    /// Loads a configuration from what a file in its folder says.
    static func load(
        _ tree: SettingNode,
        file: String,
        purpose: Purpose,
        examine: Examination
    ) throws(ConfigurationProblemsReport) -> ServiceConfiguration {
        let folder = URL(fileURLWithPath: file).deletingLastPathComponent().path
        return try load(
            tree,
            file: file,
            ValueFiles(folder: folder),
            purpose: purpose,
            examine: examine
        )
    }

    static func load(
        _ tree: SettingNode,
        file: String,
        _ files: ValueFiles,
        purpose: Purpose,
        examine: Examination
    ) throws(ConfigurationProblemsReport) -> ServiceConfiguration {
        var reader = SettingReader()
        var configuration = ServiceConfiguration()
        let settings = settings(files)
        let byKey = Dictionary(uniqueKeysWithValues: settings.map { ($0.key, $0) })
        reader.read(tree, under: "", byKey, &configuration)
        configuration.segmentation.group = configuration.kafka.group
        configuration.check(&reader, purpose: purpose, byKey)
        let prefix = "kafka.properties."
        // A password that is not there yet is no wrong one.
        if purpose != .standalone, reader.missingCredentials.isEmpty,
            !reader.findings.contains(where: { $0.key.hasPrefix(prefix) })
        {
            let properties = configuration.kafka.properties.mapValues(\.value)
            for problem in examine(properties) {
                reader.report(rule: problem.rule, of: prefix + problem.property, default: nil)
            }
        }
        if !reader.findings.isEmpty {
            throw ConfigurationProblemsReport(file: file, findings: reader.findings)
        }
        return configuration
    }

    /// Rules that take more than one key, and those of the parts.
    private mutating func check(
        _ reader: inout SettingReader,
        purpose: Purpose,
        _ settings: [String: Setting]
    ) {
        func rule(_ holds: Bool, _ key: String, _ rule: String) {
            if !holds { reader.report(rule: rule, of: key, default: settings[key]?.show(self)) }
        }
        for problem in segmentation.validate() where !isFollowOn(problem, of: reader) {
            rule(false, problem.key, problem.rule)
        }
        for problem in admin.validate() { rule(false, problem.key, problem.rule) }
        rule(
            commit.intervalMinimumMilliseconds <= commit.intervalMaximumMilliseconds,
            "commit.interval_minimum",
            "must not be above commit.interval"
        )
        // One that is older than half of the changelog's delete.retention.ms, a day, is not used.
        rule(
            (10_000...21_600_000).contains(checkpoint.intervalMilliseconds ?? 600_000),
            "checkpoint.interval",
            "must be 10s to 6h, or off"
        )
        rule(stateDirectory.hasPrefix("/"), "state.directory", "must be an absolute path")
        let names =
            "must be 1 to 150 letters, digits, dots, underscores and dashes, not . or .."
        rule(Self.isTopicName(kafka.group, limit: 150), "kafka.group", names)
        rule(Self.isTopicName(kafka.instance, limit: 150), "kafka.instance", names)
        checkTopics(rule)
        if purpose == .inspection {
            missingCredentials = reader.missingCredentials.map(\.name)
        } else {
            for (key, name, origin) in reader.missingCredentials {
                reader.report(
                    key,
                    at: origin,
                    "needs the credential \(name), which only the service is given"
                        + " (CREDENTIALS_DIRECTORY is not set)"
                )
            }
        }
        if purpose != .standalone {
            let key = "kafka.properties.bootstrap.servers"
            rule(
                kafka.properties["bootstrap.servers"] != nil || reader.isWritten(key)
                    || reader.isBroken(["", "kafka", "kafka.properties"]),
                key,
                "is needed: the brokers, as HOST:PORT,HOST:PORT"
            )
        }
    }

    private func checkTopics(_ rule: (Bool, String, String) -> Void) {
        let topicRule =
            "must be 1 to 249 letters, digits, dots, underscores and dashes, not . or .."
        rule(!kafka.eventTopics.isEmpty, "topics.events", "must name at least one topic")
        for (index, topic) in kafka.eventTopics.enumerated() {
            rule(
                Self.isTopicName(topic, limit: 249),
                "topics.events",
                "names \"\(topic)\", which \(topicRule)"
            )
            rule(
                !kafka.eventTopics[..<index].contains(topic),
                "topics.events",
                "names \(topic) twice"
            )
        }
        rule(Self.isTopicName(kafka.segmentsTopic, limit: 249), "topics.segments", topicRule)
        if let topic = kafka.rejectedTopic {
            rule(Self.isTopicName(topic, limit: 249), "topics.rejected", topicRule)
        }
        // Reading what we write would feed decisions back as events, without end.
        var own = [kafka.changelogTopicName, kafka.modelTopicName]
        var named = [("topics.segments", kafka.segmentsTopic)]
        if let topic = kafka.rejectedTopic {
            named.append(("topics.rejected", topic))
            rule(
                topic != kafka.segmentsTopic,
                "topics.rejected",
                "must differ from topics.segments"
            )
        } else {
            own.append(kafka.rejectedTopicName)
        }
        for topic in own where kafka.eventTopics.contains(topic) {
            rule(false, "topics.events", "names \(topic), a topic of segmentd's own")
        }
        for (key, topic) in named {
            rule(!kafka.eventTopics.contains(topic), key, "must differ from every input topic")
            rule(!own.contains(topic), key, "must differ from segmentd's own topics")
        }
    }

    /// True for a problem that only exists because something it refers to was unreadable.
    private func isFollowOn(_ problem: ConfigurationProblem, of reader: SettingReader) -> Bool {
        let parts = problem.key.split(separator: ".")
        switch parts.first {
        case "features":
            if parts.count == 1 { return reader.hasBrokenFeature || reader.isBroken([""]) }
            return reader.brokenSlots.contains { problem.rule.hasSuffix(": \($0)") }
        case "outliers", "personas":
            return problem.rule.hasPrefix("names a feature")
                && (reader.hasBrokenFeature || !reader.brokenSlots.isEmpty)
        default: return false
        }
    }

    private static func isTopicName(_ text: String, limit: Int) -> Bool {
        (1...limit).contains(text.utf8.count) && text != "." && text != ".."
            && text.allSatisfy {
                $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0))
            }
    }
}

extension SettingNode {
    /// Applies one `--set key=value`.
    ///
    /// The value is read as YAML, so that lists and mappings can be given; what follows
    /// `kafka.properties.` is one name, dots included.
    mutating func apply(_ override: String, at position: Int) throws(ConfigurationFinding) {
        guard let equals = override.firstIndex(of: "="), equals != override.startIndex else {
            throw ConfigurationFinding(
                origin: .override(position),
                key: override,
                rule: "must be key=value"
            )
        }
        let key = String(override[..<equals])
        let value = try SettingNode(
            yaml: String(override[override.index(after: equals)...]),
            override: position
        )
        let flat = "kafka.properties."
        let path =
            key.hasPrefix(flat)
            ? ["kafka", "properties", String(key.dropFirst(flat.count))]
            : key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        set(path[...], to: value)
    }
}

extension SettingReader {
    /// Walks a mapping: known keys are read, parents of known keys are walked, all others are
    /// reported.
    mutating func read(
        _ node: SettingNode,
        under parent: String,
        _ settings: [String: Setting],
        _ configuration: inout ServiceConfiguration
    ) {
        for entry in entries(parent, node) ?? [] {
            let key = parent.isEmpty ? entry.key : "\(parent).\(entry.key)"
            if let setting = settings[key], !entry.key.contains(".") {
                note(key, entry.node)
                setting.read(&self, entry.node, &configuration)
            } else if settings.keys.contains(where: { $0.hasPrefix(key + ".") }) {
                read(entry.node, under: key, settings, &configuration)
            } else {
                reportUnknown(key, at: entry.origin, among: Self.withParents(settings.keys))
            }
        }
    }
    /// Keys and the mappings that they stand in, sorted.
    private static func withParents(_ keys: some Sequence<String>) -> [String] {
        var names: Set<String> = []
        for key in keys {
            let parts = key.split(separator: ".")
            for count in 1...parts.count {
                names.insert(parts.prefix(count).joined(separator: "."))
            }
        }
        return names.sorted()
    }
}
