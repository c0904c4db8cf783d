import AdminServer
import EventLog
import Foundation
import Segmentation
import Testing

@testable import Settings

/// Folder of this file, from which fixtures and shipped files are found.
private let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
private let fixtures = here.appendingPathComponent("Fixtures")
private let shipped = here.appendingPathComponent("../../config").standardizedFileURL

private func fixtureNames(_ ending: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: fixtures.path)
        .filter { $0.hasSuffix(ending) }.sorted()
}

private func load(
    _ name: String,
    _ overrides: [String] = []
) throws(ConfigurationProblemsReport) -> ServiceConfiguration {
    let text: String
    do {
        text = try String(contentsOf: fixtures.appendingPathComponent(name), encoding: .utf8)
    } catch {
        Issue.record("no fixture \(name)")
        text = ""
    }
    return try ServiceConfiguration.load(
        text: text,
        file: name,
        folder: fixtures.path,
        overrides: overrides,
        examine: { KafkaPropertyRules.problems(of: $0).map { ($0.property, $0.rule) } }
    )
}

/// The report that a text gives, empty when it is good.
private func report(_ yaml: String, _ overrides: [String] = []) -> String {
    do {
        _ = try ServiceConfiguration.load(text: yaml, file: "c.yaml", overrides: overrides)
        return ""
    } catch {
        return error.description
    }
}

private let minimal = """
    kafka: {properties: {bootstrap.servers: "localhost:9092"}}
    slots: {spent: {sum: orders}}
    features: [{name: spent, slot: spent}]
    """

@Suite struct ConfigurationTests {
    @Test func goodFixturesLoad() throws {
        for name in try fixtureNames(".good.yaml") { _ = try load(name) }
    }

    @Test func badFixturesGiveExactlyTheExpectedProblems() throws {
        let names = try fixtureNames(".bad.yaml")
        #expect(names.count >= 20)
        for name in names {
            let expected = fixtures.appendingPathComponent(
                name.replacingOccurrences(of: ".yaml", with: ".expected")
            )
            do throws(ConfigurationProblemsReport) {
                _ = try load(name)
                Issue.record("\(name) loaded")
            } catch {
                if ProcessInfo.processInfo.environment["RECORD_FIXTURES"] != nil {
                    try Data((error.description + "\n").utf8).write(to: expected)
                }
                let text = try String(contentsOf: expected, encoding: .utf8)
                #expect(error.description + "\n" == text)
            }
        }
    }

    @Test func shippedFileStatesTheDefaults() throws {
        let text = try String(
            contentsOf: shipped.appendingPathComponent("segmentd.yaml"),
            encoding: .utf8
        )
        #expect(text == BuiltInConfiguration.text)
        let loaded = try ServiceConfiguration.load(text: text, file: "segmentd.yaml")
        var expected = ServiceConfiguration()
        expected.kafka.properties["bootstrap.servers"] = .plain("localhost:9092")
        expected.segmentation.slots = loaded.segmentation.slots
        expected.segmentation.features = loaded.segmentation.features
        expected.segmentation.outliers = loaded.segmentation.outliers
        expected.segmentation.personas = loaded.segmentation.personas
        #expect(loaded == expected)
        for setting in ServiceConfiguration.settings(ValueFiles(folder: "")) {
            let name = setting.key.split(separator: ".").last ?? ""
            #expect(text.contains("\(name):"), "\(setting.key) is not documented")
        }
    }

    /// Ranges, defaults and the reverse are held by `Tests/Scripts/check_config_schema.py`.
    @Test func everyKeyIsInTheSchemaAndInABadFixture() throws {
        let data = try Data(contentsOf: shipped.appendingPathComponent("segmentd.schema.json"))
        let schema = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let expected = try fixtureNames(".bad.expected").map {
            try String(contentsOf: fixtures.appendingPathComponent($0), encoding: .utf8)
        }.joined()
        for setting in ServiceConfiguration.settings(ValueFiles(folder: "")) {
            var node: [String: Any]? = schema
            for name in setting.key.split(separator: ".") {
                let properties = node?["properties"] as? [String: Any]
                node = properties?[String(name)] as? [String: Any]
            }
            #expect(node != nil, "\(setting.key) is not in the schema")
            #expect(expected.contains(": \(setting.key): "), "\(setting.key) has no bad fixture")
        }
    }

    @Test func notebookFileHasTheNotebooksFeatures() throws {
        let path = shipped.appendingPathComponent("smartcart-notebook.yaml").path
        let loaded = try ServiceConfiguration.load(path: path).segmentation
        #expect(
            CompiledSchema.featureNames(of: loaded) == [
                "Income", "Recency", "NumDealsPurchases", "NumWebPurchases",
                "NumCatalogPurchases", "NumStorePurchases", "NumWebVisitsMonth", "Complain",
                "Response", "Age", "Customer_Tenure_Days", "Total_Spending", "Total_Children",
                "Education_Graduate", "Education_Postgraduate", "Education_Undergraduate",
                "Living_With_Alone", "Living_With_Partner",
            ]
        )
        #expect(loaded.assignment.hysteresis == 0)
        #expect(loaded.personas.count >= 4)
    }

    @Test func everyFormIsRead() throws {
        let loaded = try load("everything.good.yaml")
        #expect(loaded.kafka.properties["sasl.password"]?.value == "not-a-real-password")
        #expect(loaded.kafka.properties["socket.keepalive.enable"] == .plain("true"))
        #expect(loaded.kafka.start == .time(1_772_323_200_000))
        #expect(loaded.kafka.eventTopics == ["orders", "visits"])
        #expect(loaded.segmentation.group == "shop-7")
        #expect(loaded.segmentation.model.segments == nil)
        #expect(!loaded.segmentation.model.learning)
        #expect(loaded.segmentation.model.refitIntervalMilliseconds == 5_400_000)
        #expect(loaded.segmentation.model.forgettingHalfLifeMilliseconds == 15_724_800_000)
        #expect(loaded.segmentation.churn.calibrationHorizonMilliseconds == 7_862_400_000)
        #expect(loaded.segmentation.futureToleranceMilliseconds == nil)
        #expect(loaded.admin.metricsListen?.host == "::1")
        #expect(loaded.admin.token == AdminToken("not-a-real-token"))
        #expect(loaded.admin.certificate?.hasSuffix("/Fixtures/admin-certificate.pem") == true)
        #expect(loaded.logFormat == .json)
        let slots = Dictionary(
            uniqueKeysWithValues: loaded.segmentation.slots.map { ($0.name, $0) }
        )
        #expect(slots["lately"]?.halfLifeDays == 90)
        #expect(slots["bargains"]?.source == .orderCount(channel: "web", discount: true))
        #expect(slots["refused"]?.source == .campaigns(accepted: false))
        #expect(slots["last"]?.kind == .moment)
        #expect(slots["last"]?.snapshotIsDaysAgo == true)
        #expect(slots["rating"]?.source == .snapshotOnly)
        #expect(
            slots["kind"]?.kind
                == .category(
                    groups: [
                        .init(name: "Private", members: []),
                        .init(name: "Trade", members: ["Hotel", "Restaurant"]),
                    ],
                    defaultGroup: "Private"
                )
        )
    }

    @Test func overridesWinAndAreNamed() throws {
        let loaded = try ServiceConfiguration.load(
            text: minimal,
            file: "c.yaml",
            overrides: [
                "model.segments=5", "model.segments=auto", "topics.events=[a, b]",
                "kafka.properties.bootstrap.servers=x:1", "slots.spent.half_life=30d",
                "clock.at_end=hold",
            ]
        )
        #expect(loaded.segmentation.model.segments == nil)
        #expect(loaded.kafka.eventTopics == ["a", "b"])
        #expect(loaded.kafka.properties["bootstrap.servers"] == .plain("x:1"))
        #expect(loaded.segmentation.slots.first?.halfLifeDays == 30)
        #expect(loaded.clockAtEnd == .hold)
        #expect(
            report(minimal, ["churn.raise.high=2", "nonsense", "=1"]) == """
                --set: nonsense: must be key=value
                --set: =1: must be key=value
                c.yaml: 2 problems
                """
        )
        #expect(
            report(minimal, ["churn.raise.high=2", "churn.rise.high=2"]) == """
                --set: churn.raise.high: must be 0 to 1, is 2
                --set: churn.rise: is not a key; did you mean churn.raise?
                c.yaml: 2 problems
                """
        )
    }

    @Test func brokersAreNeededForKafkaAlone() throws {
        let text = minimal.split(separator: "\n").dropFirst().joined(separator: "\n")
        #expect(
            report(text) == """
                c.yaml: kafka.properties.bootstrap.servers: \
                is needed: the brokers, as HOST:PORT,HOST:PORT
                c.yaml: 1 problem
                """
        )
        _ = try ServiceConfiguration.load(text: text, file: "c.yaml", purpose: .standalone)
    }

    @Test func missingFileIsOneProblem() {
        #expect {
            try ServiceConfiguration.load(path: "/no/such.yaml")
        } throws: { error in
            "\(error)" == "/no/such.yaml: does not exist\n/no/such.yaml: 1 problem"
        }
        #expect {
            try ServiceConfiguration.load(path: "/")
        } throws: { error in
            "\(error)" == "/: is a folder\n/: 1 problem"
        }
    }

    @Test func secretsNeverPrint() throws {
        let loaded = try load("everything.good.yaml")
        var dumped = ""
        dump(loaded, to: &dumped)
        for text in [dumped, "\(loaded)", String(reflecting: loaded)] {
            #expect(!text.contains("not-a-real"))
        }
        #expect("\(loaded.kafka)".contains(Secret.mask))
        let wrong = report(minimal, ["kafka.properties.sasl.password=[hunter2]"])
        #expect(wrong.contains("a list") && !wrong.contains("hunter2"))
    }

    @Test func durationsTakeAUnit() {
        let good: [String: Int64] = [
            "0": 0, "10ms": 10, "1.5s": 1500, "2m": 120_000, "1h": 3_600_000, "14d": 1_209_600_000,
            "2w": 1_209_600_000,
        ]
        for (text, milliseconds) in good {
            #expect(DurationText.milliseconds(text) == milliseconds)
        }
        for text in ["", "10", "d", "-1d", "1 d", "1D", "1e3d", "nan d", "1..5d"] {
            #expect(DurationText.milliseconds(text) == nil, "\(text)")
        }
        #expect(DurationText.milliseconds("999999999w") == DurationText.limitMilliseconds)
        #expect(DurationText.text(1_209_600_000) == "2w")
        #expect(DurationText.text(5_400_000) == "90m")
    }

    @Test func timeZonesBecomeTables() throws {
        let berlin = try #require(DayCalendar(timeZone: "Europe/Berlin"))
        let hour: Int64 = 3_600_000
        // 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z, when summer time begins and ends.
        #expect(berlin.offset(at: 1_774_746_000_000 - 1) == hour)
        #expect(berlin.offset(at: 1_774_746_000_000) == 2 * hour)
        #expect(berlin.offset(at: 1_792_890_000_000 - 1) == 2 * hour)
        #expect(berlin.offset(at: 1_792_890_000_000) == hour)
        // Moscow changed its standard offset on 2014-10-25T22:00:00Z without any summer time.
        let moscow = try #require(DayCalendar(timeZone: "Europe/Moscow"))
        #expect(moscow.offset(at: 1_414_274_400_000 - 1) == 4 * hour)
        #expect(moscow.offset(at: 1_414_274_400_000) == 3 * hour)
        #expect(DayCalendar(timeZone: "UTC") == .utc)
        #expect(DayCalendar(timeZone: "Europe/Atlantis") == nil)
        #expect(DayCalendar(timeZone: "CET") == nil)
    }

    @Test func nearestNamesAreMeant() {
        let known = ServiceConfiguration.settings(ValueFiles(folder: "")).map(\.key)
        #expect(NearestName.of("model.segmnets", among: known) == "model.segments")
        #expect(NearestName.of("hysteresis", among: known) == "assignment.hysteresis")
        #expect(NearestName.of("churn.raise.hihg", among: known) == "churn.raise.high")
        #expect(NearestName.of("colour", among: known) == nil)
        #expect(NearestName.distance(Array("abcd".utf8), Array("abdc".utf8)) == 1)
        #expect(NearestName.distance([], Array("abc".utf8)) == 3)
    }
}
