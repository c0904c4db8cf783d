import EventLog
import Testing

/// What is known to be wrong with properties of the client before any broker is asked.
@Suite struct KafkaPropertyRulesTests {
    private static let secure = [
        "bootstrap.servers": "localhost:9093", "security.protocol": "SASL_SSL",
        "sasl.mechanism": "PLAIN", "sasl.username": "segmentd", "sasl.password": "quiet-river",
    ]

    /// Names with problems after some properties were changed, nil to leave one out.
    private func names(
        _ changes: [String: String?],
        libraryVersion: Int32 = 0x0200_02ff
    ) -> [String] {
        var properties = Self.secure
        for (name, value) in changes { properties[name] = value }
        return KafkaPropertyRules.problems(of: properties, libraryVersion: libraryVersion)
            .map(\.property)
    }

    @Test func plainOverTLSIsFine() {
        #expect(names([:]) == [])
        #expect(KafkaPropertyRules.problems(of: ["bootstrap.servers": "localhost:9092"]).isEmpty)
    }

    @Test func scramNeedsANewerLibrary() throws {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            #expect(names(["sasl.mechanism": mechanism]) == ["sasl.mechanism"])
            #expect(names(["sasl.mechanism": mechanism], libraryVersion: 0x0206_01ff) == [])
        }
        var properties = Self.secure
        properties["sasl.mechanism"] = "SCRAM-SHA-512"
        let found = KafkaPropertyRules.problems(of: properties, libraryVersion: 0x0206_00ff)
        let problem = try #require(found.first)
        #expect(problem.rule.hasPrefix("SCRAM needs librdkafka 2.6.1 or newer"))
    }

    @Test func whatIsMissingIsNamed() {
        #expect(names(["sasl.mechanism": nil]) == ["sasl.mechanism"])
        #expect(names(["sasl.password": nil]) == ["sasl.password"])
        #expect(names(["sasl.username": ""]) == ["sasl.username"])
        #expect(names(["sasl.mechanism": "OAUTHBEARER"]) == ["sasl.mechanism"])
    }

    @Test func whatHasNoEffectIsNamed() {
        let all = ["sasl.mechanism", "sasl.password", "sasl.username"]
        #expect(names(["security.protocol": nil]) == all)
        #expect(names(["security.protocol": "SSL"]) == all)
        let changes = ["security.protocol": "SASL_PLAINTEXT", "ssl.ca.location": "/dev/null"]
        #expect(names(changes) == ["ssl.ca.location"])
    }

    @Test func filesMustBeReadable() {
        #expect(names(["ssl.ca.location": "/does/not/exist.pem"]) == ["ssl.ca.location"])
        #expect(names(["ssl.key.location": "/tmp"]) == ["ssl.key.location"])
        #expect(names(["ssl.ca.location": "/tmp"]) == [])
        #expect(names(["ssl.ca.location": "probe"]) == [])
    }

    @Test func noProblemShowsASecret() {
        let properties = ["ssl.key.password": "quiet-river", "sasl.password": "quiet-river"]
        for problem in KafkaPropertyRules.problems(of: properties) {
            #expect(!problem.rule.contains("quiet-river"))
        }
    }
}
