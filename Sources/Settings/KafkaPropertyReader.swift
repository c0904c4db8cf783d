import Foundation

/// Reads `kafka.properties`: librdkafka's own names, flat, and values that may be kept in files.
struct KafkaPropertyReader {
    /// Folder that relative paths of `{file: PATH}` start from: that of the configuration.
    let folder: String

    /// Reads all properties, and reports what is wrong with any of them.
    func read(_ reader: inout SettingReader, _ node: SettingNode, _ kafka: inout KafkaSettings) {
        for entry in reader.entries("kafka.properties", node) ?? [] {
            let key = "kafka.properties.\(entry.key)"
            let isSecret = Secret.isSecret(property: entry.key)
            reader.note(key, entry.node, isSecret: isSecret)
            if let other = KafkaSettings.ownProperties[entry.key] {
                reader.report(
                    key,
                    at: entry.origin,
                    other.isEmpty
                        ? "is set by segmentd itself, exactly-once rests on it"
                        : "is set by segmentd itself; write \(other) instead"
                )
                continue
            }
            guard let text = value(&reader, key, entry, isSecret: isSecret) else { continue }
            kafka.properties[entry.key] = isSecret ? .secret(Secret(text)) : .plain(text)
        }
    }

    private func value(
        _ reader: inout SettingReader,
        _ key: String,
        _ entry: SettingNode.Entry,
        isSecret: Bool
    ) -> String? {
        switch entry.node.content {
        case .scalar(let text, _): return text
        case .map(let parts):
            guard parts.count == 1, let part = parts.first, part.key == "file",
                case .scalar(let path, _) = part.node.content
            else {
                reader.report(
                    key,
                    at: entry.origin,
                    "librdkafka's names are flat (bootstrap.servers: HOST:PORT);"
                        + " a value is text or {file: PATH}"
                )
                return nil
            }
            return content(&reader, key, of: path, at: entry.origin)
        case .empty, .list:
            reader.report(key, entry.node, "must be text or {file: PATH}", isSecret: isSecret)
            return nil
        }
    }

    private func content(
        _ reader: inout SettingReader,
        _ key: String,
        of path: String,
        at origin: SettingOrigin
    ) -> String? {
        let full = path.hasPrefix("/") ? path : "\(folder)/\(path)"
        do {
            let text = try String(contentsOfFile: full, encoding: .utf8)
            // Editors end files with a newline; no password of ours does.
            return text.hasSuffix("\n") ? String(text.dropLast()) : text
        } catch {
            reader.report(key, at: origin, "cannot read the file \(path)")
            return nil
        }
    }
}
