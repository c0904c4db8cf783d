/// Reads `kafka.properties`: librdkafka's own names, flat, and values that may be kept in files.
struct KafkaPropertyReader {
    /// Reads values that are kept in files.
    let files: ValueFiles

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
            let missing = reader.missingCredentials.count
            let text = files.text(
                &reader,
                key,
                entry.node,
                at: entry.origin,
                isSecret: isSecret,
                hint: "librdkafka's names are flat (bootstrap.servers: HOST:PORT); a value "
            )
            guard let text else { continue }
            if text.isEmpty && (isSecret || entry.key == "bootstrap.servers")
                && missing == reader.missingCredentials.count
            {
                // Only ever a variable or a file that nobody has filled.
                reader.report(key, at: entry.origin, "must not be empty")
                continue
            }
            kafka.properties[entry.key] = isSecret ? .secret(Secret(text)) : .plain(text)
        }
    }
}
