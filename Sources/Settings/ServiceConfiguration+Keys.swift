import AdminServer
import Foundation
import Logging
import Segmentation

extension ServiceConfiguration {
    /// The names of all keys.
    package static var keys: [String] { settings(ValueFiles(folder: "")).map(\.key) }

    /// Every key there is, in the order of the shipped file.
    static func settings(_ files: ValueFiles) -> [Setting] {
        kafkaSettings(files) + modelSettings + decisionSettings + serviceSettings
            + adminSettings(files) + shopSettings
    }

    private static func kafkaSettings(_ files: ValueFiles) -> [Setting] {
        [
            .custom("kafka.properties") { reader, node, configuration in
                KafkaPropertyReader(files: files).read(&reader, node, &configuration.kafka)
            },
            .text("kafka.group", \.kafka.group),
            .text("kafka.instance", \.kafka.instance),
            .custom("kafka.start") { reader, node, configuration in
                if let start = reader.start("kafka.start", node) {
                    configuration.kafka.start = start
                }
            },
            .custom("topics.events") { reader, node, configuration in
                guard let topics = reader.texts("topics.events", node) else { return }
                configuration.kafka.eventTopics = topics
            },
            .text("topics.segments", \.kafka.segmentsTopic),
            .custom("topics.rejected") { reader, node, configuration in
                configuration.kafka.rejectedTopic = reader.text("topics.rejected", node)
            },
            .choice(
                "emit",
                \.segmentation.emit,
                ["transitions": .transitions, "all": .all]
            ),
        ]
    }

    /// Largest whole number that every reader of JSON keeps exactly: the seed stands in bundles.
    private static let seedMaximum = 9_007_199_254_740_991

    private static var modelSettings: [Setting] {
        [
            .custom("model.segments") { reader, node, configuration in
                if case .scalar("auto", _) = node.content {
                    configuration.segmentation.model.segments = nil
                } else if case .scalar(let text, false) = node.content,
                    let count = SettingReader.wholeNumber(text)
                {
                    configuration.segmentation.model.segments = count
                } else {
                    reader.report("model.segments", node, "must be a whole number or auto")
                }
            },
            .integer("model.components", \.segmentation.model.components),
            .choice(
                "model.one_hot",
                \.segmentation.model.oneHot,
                ["none": .none, "first": .first]
            ),
            .custom("model.seed") { reader, node, configuration in
                if let seed = reader.integer("model.seed", node, in: 0...seedMaximum) {
                    configuration.segmentation.model.seed = UInt64(seed)
                }
            },
            .custom("model.learning") { reader, node, configuration in
                let words: KeyValuePairs<String, Bool> = ["on": true, "off": false]
                if let isOn = reader.choice("model.learning", node, words) {
                    configuration.segmentation.model.learning = isOn
                    configuration.isLearningExplicit = true
                }
            },
            .integer("model.mini_batch", \.segmentation.model.miniBatch),
            .duration(
                "model.forgetting.half_life",
                \.segmentation.model.forgettingHalfLifeMilliseconds,
                or: "off",
                maximum: DurationText.limitMilliseconds
            ),
            .duration(
                "model.refit.interval",
                \.segmentation.model.refitIntervalMilliseconds,
                maximum: DurationText.limitMilliseconds
            ),
            .number("model.refit.changed_share", \.segmentation.model.refitChangedShare),
            .duration(
                "model.refit.minimum_interval",
                \.segmentation.model.refitMinimumIntervalMilliseconds
            ),
            .number("model.guard.segment_share", \.segmentation.model.guardLimits.segmentShare),
            .number("model.guard.band_share", \.segmentation.model.guardLimits.bandShare),
            .integer("model.minimum_customers", \.segmentation.model.minimumCustomers),
            .choice(
                "model.cold_start",
                \.segmentation.model.coldStart,
                ["hold": .hold, "provisional": .provisional]
            ),
            .integer("model.challengers", \.segmentation.model.challengers),
            .number("model.margin", \.segmentation.model.margin),
            .integer("model.sample", \.segmentation.model.sample),
            .duration(
                "model.sweep_interval",
                \.segmentation.model.sweepIntervalMilliseconds,
                minimum: 60_000
            ),
            .integer(
                "model.silhouette_sample",
                \.segmentation.model.silhouetteSample,
                in: 100...20_000
            ),
        ]
    }

    private static var decisionSettings: [Setting] {
        [
            .number("assignment.hysteresis", \.segmentation.assignment.hysteresis),
            .duration(
                "assignment.minimum_dwell",
                \.segmentation.assignment.minimumDwellMilliseconds
            ),
            .choice(
                "churn.model",
                \.segmentation.churn.model,
                ["mbg-nbd": "mbg-nbd", "bg-nbd": "bg-nbd", "nbd": "nbd"]
            ),
            .number("churn.horizon_days", \.segmentation.churn.horizonDays),
            .duration(
                "churn.calibration_horizon",
                \.segmentation.churn.calibrationHorizonMilliseconds,
                or: "horizon",
                maximum: DurationText.limitMilliseconds
            ),
            .number("churn.raise.medium", \.segmentation.churn.raiseMedium),
            .number("churn.raise.high", \.segmentation.churn.raiseHigh),
            .number("churn.quantile.medium", \.segmentation.churn.quantileMedium),
            .number("churn.quantile.high", \.segmentation.churn.quantileHigh),
            .number("churn.clear_by", \.segmentation.churn.clearBy),
            .duration("churn.cooldown", \.segmentation.churn.cooldownMilliseconds),
            .duration("churn.lateness", \.segmentation.churn.latenessMilliseconds),
            .flag("churn.silence_guard", \.segmentation.churn.silenceGuard),
            .number("churn.minimum_spent", \.segmentation.churn.minimumSpent),
            .integer(
                "churn.minimum_repeat_buyers",
                \.segmentation.churn.minimumRepeatBuyers,
                in: 100...10_000_000
            ),
            .days("churn.minimum_history", \.segmentation.churn.minimumHistoryDays),
            .choice("clock.at_end", \.clockAtEnd, ["wall": .wall, "hold": .hold]),
            .duration(
                "clock.future_tolerance",
                \.segmentation.futureToleranceMilliseconds,
                or: "off"
            ),
            .integer("ledger.orders", \.segmentation.ledgerOrders),
            .integer("ledger.events", \.segmentation.ledgerEvents),
            .number("limits.amount", \.segmentation.limits.amount),
            .integer("limits.record_bytes", \.segmentation.limits.recordBytes),
            .choice(
                "privacy.on_null",
                \.segmentation.privacy.onNull,
                ["reject": .reject, "ignore": .ignore, "erase": .erase]
            ),
            .duration("privacy.suppression", \.segmentation.privacy.suppressionMilliseconds),
        ]
    }

    private static var serviceSettings: [Setting] {
        [
            // A transaction must end well within its timeout of 10 s.
            .duration(
                "commit.interval",
                \.commit.intervalMaximumMilliseconds,
                minimum: 1,
                maximum: 5000
            ),
            .duration(
                "commit.interval_minimum",
                \.commit.intervalMinimumMilliseconds,
                minimum: 1,
                maximum: 5000
            ),
            .integer("commit.records", \.commit.records, in: 1...1_000_000),
            .integer("commit.due_rows", \.commit.dueRows, in: 1...1_000_000),
            .integer("commit.bytes", \.commit.bytes, in: 65_536...268_435_456),
            .choice("log.format", \.logFormat, ["text": .text, "json": .json]),
            .custom("metrics.listen") { reader, node, configuration in
                if case .scalar("off", _) = node.content {
                    configuration.admin.metricsListen = nil
                } else if let address = reader.address("metrics.listen", node, or: "off") {
                    configuration.admin.metricsListen = address
                }
            },
            .custom("health.loop_limit") { reader, node, configuration in
                let key = "health.loop_limit"
                let limit = reader.duration(key, node, minimum: 1000, maximum: 3_600_000)
                if let limit { configuration.admin.loopLimit = .milliseconds(limit) }
            },
            .text("state.directory", \.stateDirectory),
            .duration(
                "checkpoint.interval",
                \.checkpoint.intervalMilliseconds,
                or: "off",
                maximum: DurationText.limitMilliseconds
            ),
            .integer("checkpoint.rows", \.checkpoint.rows, in: 1...1_000_000),
            .choice(
                "log.level",
                \.logLevel,
                [
                    "trace": .trace, "debug": .debug, "info": .info, "notice": .notice,
                    "warning": .warning, "error": .error, "critical": .critical,
                ]
            ),
            .custom("calendar.timezone") { reader, node, configuration in
                let key = "calendar.timezone"
                guard let name = reader.text(key, node) else { return }
                guard let calendar = DayCalendar(timeZone: name) else {
                    reader.report(key, node, "must be a time zone such as Europe/Berlin, or UTC")
                    return
                }
                configuration.segmentation.calendar = calendar
                configuration.timeZone = name
            },
        ]
    }

    private static func adminSettings(_ files: ValueFiles) -> [Setting] {
        [
            .custom("admin.listen") { reader, node, configuration in
                if let address = reader.address("admin.listen", node) {
                    configuration.admin.listen = address
                }
            },
            .flag("admin.allow_remote", \.admin.allowRemote),
            .custom("admin.token") { reader, node, configuration in
                let key = "admin.token"
                reader.note(key, node, isSecret: true)
                let before = reader.missingCredentials.count
                let text = files.text(&reader, key, node, at: node.origin, isSecret: true)
                guard let text, reader.missingCredentials.count == before else { return }
                guard let token = AdminToken(text) else {
                    let rule = "must be \(AdminToken.bytesMin) or more letters, digits and signs"
                    reader.report(key, at: node.origin, rule)
                    return
                }
                configuration.admin.token = token
            },
            .custom("admin.tls.certificate") { reader, node, configuration in
                configuration.admin.certificate = reader.readableFile(
                    "admin.tls.certificate",
                    node,
                    files
                )
            },
            .custom("admin.tls.key") { reader, node, configuration in
                configuration.admin.key = reader.readableFile("admin.tls.key", node, files)
            },
        ]
    }

    private static var shopSettings: [Setting] {
        [
            .text("shop.currency", \.segmentation.currency),
            .custom("shop.rates") { reader, node, configuration in
                for entry in reader.entries("shop.rates", node) ?? [] {
                    let key = "shop.rates.\(entry.key)"
                    reader.note(key, entry.node)
                    if let rate = reader.number(key, entry.node) {
                        configuration.segmentation.currencyRates[entry.key] = rate
                    }
                }
            },
            .custom("slots") { reader, node, configuration in
                configuration.segmentation.slots = reader.slots(node)
            },
            .custom("features") { reader, node, configuration in
                configuration.segmentation.features = reader.features(node)
            },
            .custom("outliers") { reader, node, configuration in
                configuration.segmentation.outliers = reader.outliers(node)
            },
            .custom("personas") { reader, node, configuration in
                configuration.segmentation.personas = reader.personas(node)
            },
        ]
    }
}

extension SettingReader {
    /// A host and a port; messages name the word that may stand in their place.
    mutating func address(
        _ key: String,
        _ node: SettingNode,
        or word: String? = nil
    ) -> ListenAddress? {
        if case .scalar(let text, _) = node.content, let address = ListenAddress(text) {
            return address
        }
        let end = word.map { ", or \($0)" } ?? ""
        report(key, node, "must be HOST:PORT, such as 127.0.0.1:9464 or [::1]:9464\(end)")
        return nil
    }

    /// The path of a file that is there; the path itself, with a problem, where it is not.
    mutating func readableFile(
        _ key: String,
        _ node: SettingNode,
        _ files: ValueFiles
    ) -> String? {
        guard let path = text(key, node) else { return nil }
        let full = files.full(path)
        if !FileManager.default.isReadableFile(atPath: full) {
            report(key, at: node.origin, "cannot read the file \(path)")
        }
        return full
    }

    /// Where a new group begins.
    mutating func start(_ key: String, _ node: SettingNode) -> KafkaSettings.Start? {
        if case .scalar(let text, _) = node.content {
            switch text {
            case "earliest": return .earliest
            case "latest": return .latest
            default: if let time = Self.moment(text) { return .time(time) }
            }
        }
        report(key, node, "must be earliest, latest, or a time such as 2026-03-01T00:00:00Z")
        return nil
    }

    /// Milliseconds since 1970 of an RFC 3339 time, a date, or a number of milliseconds.
    static func moment(_ text: String) -> Int64? {
        if let milliseconds = Int64(text) { return milliseconds >= 0 ? milliseconds : nil }
        let full = text.utf8.count == 10 ? text + "T00:00:00Z" : text
        for hasFraction in [false, true] {
            let style = Date.ISO8601FormatStyle(includingFractionalSeconds: hasFraction)
            do {
                let date = try style.parse(full)
                return Int64((date.timeIntervalSince1970 * 1000).rounded())
            } catch {
                // Not this style; the other one, or no time at all, which the caller reports.
                continue
            }
        }
        return nil
    }
}
