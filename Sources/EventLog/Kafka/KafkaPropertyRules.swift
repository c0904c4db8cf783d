internal import CLibrdkafka
import Glibc

/// Properties of the Kafka client that cannot work, found without any broker.
public enum KafkaPropertyRules {
    /// One property and the rule that it breaks.
    public struct Problem: Sendable, Equatable {
        /// Name of the property.
        public var property: String
        /// The rule, to be read behind the name; it never holds a secret.
        public var rule: String
    }

    /// Properties that name a file, and whether it may be a folder too.
    private static let files = [
        "ssl.ca.location": true, "ssl.certificate.location": false, "ssl.key.location": false,
        "ssl.keystore.location": false, "ssl.crl.location": false, "sasl.kerberos.keytab": false,
    ]

    /// Every problem of a set of properties, sorted by name.
    ///
    /// - Parameters:
    ///   - properties: librdkafka's own names, secrets with their text.
    ///   - libraryVersion: version of librdkafka as `0xMMmmrrpp`, nil for the one that is loaded.
    /// - Returns: the problems, empty where nothing is known to be wrong.
    public static func problems(
        of properties: [String: String],
        libraryVersion: Int32? = nil
    ) -> [Problem] {
        var problems: [Problem] = []
        for (property, value) in properties {
            if let rule = clientRule(property, value) ?? fileRule(property, value) {
                problems.append(Problem(property: property, rule: rule))
            }
        }
        let version = libraryVersion ?? rd_kafka_version()
        problems += securityProblems(properties, version)
        return problems.sorted { ($0.property, $0.rule) < ($1.property, $1.rule) }
    }

    /// What the client says of one property alone.
    private static func clientRule(_ property: String, _ value: String) -> String? {
        guard let conf = unsafe rd_kafka_conf_new() else { return nil }
        defer { unsafe rd_kafka_conf_destroy(conf) }
        var words = [CChar](repeating: 0, count: 512)
        switch unsafe rd_kafka_conf_set(conf, property, value, &words, words.count) {
        case RD_KAFKA_CONF_OK: return nil
        case RD_KAFKA_CONF_UNKNOWN:
            return "is no property of librdkafka"
        default:
            // The client's words may repeat the value.
            let isSecret = ["password", "secret", "jaas", "key", "oauthbearer"]
                .contains { property.contains($0) }
            let rule = "is not accepted by librdkafka"
            return isSecret ? rule : "\(rule): \(KafkaError.text(words))"
        }
    }

    private static func fileRule(_ property: String, _ path: String) -> String? {
        guard let mayBeFolder = files[property], path != "probe" else { return nil }
        guard unsafe access(path, R_OK) == 0 else {
            return "cannot be read: \(unsafe String(cString: strerror(errno)))"
        }
        var status = stat()
        guard !mayBeFolder, unsafe stat(path, &status) == 0 else { return nil }
        return status.st_mode & S_IFMT == S_IFDIR ? "is a folder, not a file" : nil
    }

    private static func securityProblems(
        _ properties: [String: String],
        _ version: Int32
    ) -> [Problem] {
        let mechanismName =
            properties["sasl.mechanism"] == nil ? "sasl.mechanisms" : "sasl.mechanism"
        let mechanism = properties[mechanismName]
        let security = properties["security.protocol", default: "plaintext"].lowercased()
        // Another value is refused by the client itself.
        guard ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(security) else {
            return []
        }
        var problems: [Problem] = []
        func rule(_ holds: Bool, _ property: String, _ rule: String) {
            if !holds { problems.append(Problem(property: property, rule: rule)) }
        }
        // Left at its default, security.protocol makes the client ignore all of these.
        let useless = "has no effect while security.protocol is \(security); it has to be "
        if !security.hasPrefix("sasl_") {
            for name in ["sasl.username", "sasl.password", mechanismName]
            where properties[name] != nil {
                rule(false, name, useless + "sasl_ssl (or sasl_plaintext, without encryption)")
            }
        }
        if !security.hasSuffix("ssl") {
            for name in files.keys.sorted()
            where name.hasPrefix("ssl.") && properties[name] != nil {
                rule(false, name, useless + "sasl_ssl (or ssl, without a password)")
            }
        }
        guard security.hasPrefix("sasl_") else { return problems }
        switch mechanism?.uppercased() {
        case nil:
            rule(
                false,
                "sasl.mechanism",
                "is needed with security.protocol \(security): PLAIN, for example; without it "
                    + "librdkafka takes GSSAPI, which is Kerberos"
            )
        case "PLAIN"?, "SCRAM-SHA-256"?, "SCRAM-SHA-512"?:
            for name in ["sasl.username", "sasl.password"] {
                rule(
                    !properties[name, default: ""].isEmpty,
                    name,
                    "is needed with \(mechanismName) \(mechanism ?? "")"
                )
            }
            // Older ones break the last step of SCRAM, and brokers since Kafka 4 check it.
            rule(
                mechanism == "PLAIN" || version >= 0x0206_0100,
                mechanismName,
                "SCRAM needs librdkafka 2.6.1 or newer, this is \(libraryName): use PLAIN over "
                    + "TLS, or install a newer librdkafka"
            )
        case "OAUTHBEARER"?:
            let hasTokens =
                properties["sasl.oauthbearer.method"] == "oidc"
                || properties["enable.sasl.oauthbearer.unsecure.jwt"] == "true"
            rule(
                hasTokens,
                mechanismName,
                "OAUTHBEARER needs sasl.oauthbearer.method: oidc, from which tokens come"
            )
        default: break
        }
        return problems
    }

    private static var libraryName: String {
        unsafe rd_kafka_version_str().map { unsafe String(cString: $0) } ?? "unknown"
    }
}
