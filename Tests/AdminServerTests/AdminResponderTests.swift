import Engine
import Foundation
import Testing

@testable import AdminServer

private func responder(_ board: StatusBoard, _ mailbox: Mailbox = Mailbox()) -> AdminResponder {
    AdminResponder(
        board: board,
        mailbox: mailbox,
        loopLimit: .seconds(10),
        answerLimit: .seconds(60),
        process: { ProcessFacts(version: "1.2.3", residentBytes: 4096) }
    )
}

@Suite(.timeLimit(.minutes(1))) struct AdminResponderTests {
    private let now = ContinuousClock.now

    @Test func healthGoesByTurnsOfTheLoop() {
        let board = StatusBoard(sinceMilliseconds: 0, now: now)
        let responder = responder(board)
        #expect(responder.health(now: now + .seconds(10)) == .line(200, "ok"))
        #expect(
            responder.health(now: now + .seconds(11))
                == .line(503, "the loop has not turned for 11 s")
        )
        board.turned(at: now + .seconds(5))
        #expect(responder.health(now: now + .seconds(11)).status == 200)
        board.move(to: .draining, atMilliseconds: 1)
        #expect(responder.health(now: now).status == 200)
        board.move(to: .stopped, atMilliseconds: 2)
        #expect(responder.health(now: now) == .line(503, "stopped"))
    }

    @Test func readinessNamesTheReason() {
        let board = StatusBoard(sinceMilliseconds: 0, now: now)
        #expect(responder(board).readiness() == .line(503, "starting"))
        #expect(responder(runningBoard(now: now)).readiness() == .line(200, "ready"))
    }

    @Test func metricsHoldWhatWasPublished() {
        let reply = responder(runningBoard(now: now)).metrics(wallMilliseconds: 0, now: now)
        #expect(reply.contentType == "text/plain; version=0.0.4; charset=utf-8")
        let lines = Set(reply.body.split(separator: "\n").map(String.init))
        for line in [
            "segmentd_state{state=\"running\"} 1",
            "segmentd_state{state=\"starting\"} 0",
            "segmentd_ready 1",
            "segmentd_build_info{version=\"1.2.3\"} 1",
            "segmentd_resident_memory_bytes 4096",
            "segmentd_reloads_total{result=\"applied\"} 2",
            "segmentd_reloads_total{result=\"refused\"} 0",
            "segmentd_commit_duration_seconds_bucket{le=\"0.025\"} 1",
            "segmentd_publication_latency_seconds_bucket{le=\"0.1\"} 0",
            "segmentd_publication_latency_seconds_bucket{le=\"0.25\"} 1",
            "segmentd_relabelled_customers_total 9",
            "segmentd_churn_band_customers{band=\"high\"} 21",
            "segmentd_churn_transitions_total{band=\"high\"} 30",
            "segmentd_due_customers 600",
            "segmentd_timer_decisions_total 77",
            "segmentd_checkpoint_age_seconds 2.5",
            "segmentd_checkpoint_bytes 4711",
            "segmentd_checkpoint_failures_total 1",
            "segmentd_restored_partitions_total{source=\"checkpoint\"} 5",
            "segmentd_restored_partitions_total{source=\"changelog\"} 0",
            "segmentd_customers 2240",
            "segmentd_events_total{type=\"order.placed\"} 9000",
            "segmentd_rejections_total{reason=\"malformed_json\"} 7",
            "segmentd_rejections_total{reason=\"too_large\"} 0",
            "segmentd_outputs_total{type=\"segment.changed\"} 12",
            "segmentd_transaction_duration_seconds_bucket{le=\"0.005\"} 1",
            "segmentd_transaction_duration_seconds_bucket{le=\"0.05\"} 2",
            "segmentd_transaction_duration_seconds_bucket{le=\"30\"} 2",
            "segmentd_transaction_duration_seconds_bucket{le=\"60\"} 3",
            "segmentd_transaction_duration_seconds_bucket{le=\"+Inf\"} 3",
            "segmentd_transaction_duration_seconds_count 3",
            "segmentd_lag_records{topic=\"customer \\\"events\\\"\",partition=\"3\"} 42",
            "segmentd_model_version 12",
            "segmentd_model_trained_timestamp_seconds 1.5",
            "segmentd_model_explained_variance_ratio{component=\"2\"} 0.125",
            "segmentd_segment_customers{segment=\"1\",key=\"new-customers\"} 821",
            "segmentd_refits_total{reason=\"drift\"} 2",
            "segmentd_refits_total{reason=\"first\"} 0",
            "segmentd_model_quantisation_error_ratio 1.25",
            "segmentd_model_quantisation_drift_ratio 0.5",
            "segmentd_feature_stability_index{feature=\"income\"} 0.25",
            "segmentd_statistics_drift_ratio 0.0625",
            "segmentd_churn_ready 0",
            "segmentd_model_shadow_version 13",
            "segmentd_model_shadow_segment_share_ratio 0.375",
            "segmentd_model_shadow_band_share_ratio 0.0625",
        ] { #expect(lines.contains(line), "\(line)") }
    }

    @Test func everyMetricIsDescribedOnce() {
        let body = responder(runningBoard(now: now)).metrics(wallMilliseconds: 0, now: now).body
        for metric in MetricNames.all {
            let type = "# TYPE \(metric.name) \(metric.kind.rawValue)\n"
            #expect(body.components(separatedBy: type).count == 2, "\(metric.name)")
        }
    }

    /// Prometheus' own checker, where it is installed.
    @Test(.enabled(if: FileManager.default.isExecutableFile(atPath: "/usr/bin/promtool")))
    func metricsPassPromtool() throws {
        let boards = [StatusBoard(sinceMilliseconds: 0, now: now), runningBoard(now: now)]
        for board in boards {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/promtool")
            process.arguments = ["check", "metrics"]
            let (input, output) = (Pipe(), Pipe())
            process.standardInput = input
            process.standardError = output
            process.standardOutput = output
            try process.run()
            let body = responder(board).metrics(wallMilliseconds: 0, now: now).body
            input.fileHandleForWriting.write(Data(body.utf8))
            try input.fileHandleForWriting.close()
            let words = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            #expect(String(decoding: words, as: UTF8.self) == "")
        }
    }

    @Test func statusIsJSONForPeople() throws {
        let reply = responder(runningBoard(now: now)).status(now: now)
        let parsed = try JSONSerialization.jsonObject(with: Data(reply.body.utf8))
        let object = try #require(parsed as? [String: Any])
        #expect(object["state"] as? String == "running")
        #expect(object["ready"] as? Bool == true)
        #expect(object["customers"] as? Int == 2240)
        #expect(object["not_ready_because"] is NSNull)
        let model = try #require(object["model"] as? [String: Any])
        let segments = try #require(model["segments"] as? [[String: Any]])
        #expect(segments.first?["name"] as? String == "New \"customers\"")
        let shadow = try #require(object["shadow"] as? [String: Any])
        #expect(shadow["version"] as? Int == 13 && shadow["segment_share"] as? Double == 0.375)
        #expect(shadow["held_because"] as? String == "37.5 % of customers would change segment")
        let drift = try #require(object["drift"] as? [String: Any])
        #expect(drift["feature_stability"] as? [String: Double] == ["age": 0.125, "income": 0.25])
        #expect(drift["statistics"] as? Double == 0.0625)
        let churn = try #require(object["churn"] as? [String: Any])
        #expect(churn["missing"] as? String == "12 of 100 repeat buyers")
    }

    @Test func modelIsTheBundleItself() {
        #expect(responder(runningBoard(now: now)).model() == .json("{\"version\":12}"))
        let none = responder(StatusBoard(sinceMilliseconds: 0)).model()
        #expect(none.status == 404)
        #expect(none.body == "{\"error\":\"no model yet\"}")
    }

    @Test func onlyReadingIsPossible() async {
        let responder = responder(runningBoard(now: now))
        for (method, status) in [("GET", 200), ("HEAD", 200), ("POST", 405), ("DELETE", 405)] {
            let reply = await responder.reply(
                method: method,
                path: "/readyz",
                of: .probes,
                wallMilliseconds: 0
            )
            #expect(reply.status == status)
        }
    }

    @Test func brokenEscapesAreRefused() async {
        let responder = responder(runningBoard(now: now))
        for id in ["%", "%4", "%zz", "%+1", "a%ff", ""] {
            #expect(await responder.customer(id).status == 400, "\(id)")
        }
        #expect(AdminResponder.percentDecoded("a%2Fb%C3%BC+%20c") == "a/bü+ c")
    }

    @Test func aStoppedEngineIsAnErrorOfTheService() async {
        let mailbox = Mailbox()
        mailbox.close()
        let reply = await responder(runningBoard(now: now), mailbox).customer("c-1")
        #expect(reply.status == 503)
        #expect(reply.body == "{\"error\":\"the engine does not run\"}")
    }

    @Test func controlCharactersAreEscaped() {
        #expect(JSONText.text("a\u{1}\"\\\n").encoded == "\"a\\u0001\\\"\\\\\\n\"")
        #expect(JSONText.list([.number(.nan), .number(0.1)]).encoded == "[null,0.1]")
    }
}
