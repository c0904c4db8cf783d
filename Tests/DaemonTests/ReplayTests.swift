import Foundation
import Testing

extension DaemonTests {
    /// `simulate`, `replay` and `model show`.
    @Suite struct ReplayTests {
        private static let live = Place.package.appending(path: "config/segmentd.yaml").path

        /// Events of a small shop.
        private static func shop(_ scratch: Scratch, seed: Int = 1) async throws -> Outcome {
            let outcome = try await segmentd(
                "simulate",
                "--customers",
                "600",
                "--events",
                "12000",
                "--seed",
                "\(seed)",
                "--truth",
                scratch.path("truth.csv")
            )
            #expect(outcome.status == 0)
            return outcome
        }

        private static func replay(_ scratch: Scratch, _ name: String) async throws -> Outcome {
            try await segmentd(
                "replay",
                "--config",
                live,
                "--input",
                scratch.path("events"),
                "--output",
                scratch.path("\(name).out"),
                "--model-out",
                scratch.path("\(name).json"),
                "--assignments-out",
                scratch.path("\(name).csv")
            )
        }

        @Test func theSameSeedGivesTheSameBytes() async throws {
            let scratch = try Scratch()
            let first = try await Self.shop(scratch)
            let truth = try scratch.data("truth.csv")
            let second = try await Self.shop(scratch)
            #expect(first.output == second.output)
            #expect(try scratch.data("truth.csv") == truth)
            #expect(first.lines.count == 12_000)
            #expect(try await Self.shop(scratch, seed: 2).output != first.output)
        }

        private static func report(_ scratch: Scratch, _ arguments: String...) async throws
            -> Outcome
        {
            try await Program(
                [
                    "replay", "--config", live, "--input", scratch.path("events"),
                    "--churn-report", scratch.path("churn.json"),
                ] + arguments
            )
            .outcome()
        }

        @Test func aChurnReportHoldsTheModelAgainstWhatCameAfterTheCut() async throws {
            let scratch = try Scratch()
            try await Self.shop(scratch).output.write(to: scratch.file("events"))
            // The simulated year ends in June.
            let cut = "2026-03-31"
            let outcome = try await Self.report(
                scratch,
                "--cut",
                cut,
                "--set",
                "churn.horizon_days=45"
            )
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains("churn foretold at the end of \(cut)"))
            let object = try JSONSerialization.jsonObject(with: scratch.data("churn.json"))
            let report = try #require(object as? [String: Any])
            #expect(report["cut"] as? String == cut && report["horizon_days"] as? Double == 45)
            let all = try #require(report["all"] as? [String: Any])
            let customers = try #require(all["customers"] as? Int)
            let scores = try #require(all["scores"] as? [String: [String: Any]])
            let risk = try #require(scores["risk"])
            #expect(try #require(risk["auc"] as? Double) > 0.6, "it ranks better than chance")
            let deciles = try #require(risk["deciles"] as? [[String: Any]])
            #expect(deciles.compactMap { $0["customers"] as? Int }.reduce(0, +) == customers)
            #expect(customers > 100 && deciles.count == 10)
        }

        @Test func aChurnReportSaysWhatItLacks() async throws {
            let scratch = try Scratch()
            try Data().write(to: scratch.file("events"))
            let none = try await Self.report(scratch, "--cut", "2026-01-31")
            #expect(none.status == 1)
            #expect(none.errors.contains("cannot write --churn-report: no purchase model"))
            let alone = try await Self.report(scratch)
            #expect(alone.status == 2)
            #expect(alone.errors.contains("--churn-report and --cut need each other"))
            let noDate = try await Self.report(scratch, "--cut", "2026-02-30")
            #expect(noDate.status == 2 && noDate.errors.contains("expected yyyy-mm-dd"))
        }

        @Test func aReplayIsWellFormedAndRepeatable() async throws {
            let scratch = try Scratch()
            try await Self.shop(scratch).output.write(to: scratch.file("events"))
            let outcome = try await Self.replay(scratch, "a")
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.text == "")
            let records = try scratch.text("a.out").split(separator: "\n")
                .map { try OutputRecord($0) }
            expectNoGaps(records)

            let said = outcome.errors
            #expect(number(before: " records in ", in: said) == 12_000)
            #expect(number(before: " output records", in: said) == records.count)
            for type in ["segment.changed", "churn.changed"] {
                let count = records.count { $0.text("type") == type }
                #expect(number(before: " \(type)", in: said) == count)
                #expect(count > 0, "no \(type) at all")
            }
            let rows = try scratch.text("a.csv").split(separator: "\n")
            let header =
                "customer_id,segment_id,segment_name,pc1,pc2,pc3,p_alive,p_no_purchase,risk,"
                + "churn_band,outlier"
            #expect(try #require(rows.first) == header)
            #expect(number(before: " customers, ", in: said) == rows.count - 1)
            let ids = rows.dropFirst().map { String($0.prefix { $0 != "," }) }
            #expect(ids == ids.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
            let erased = Set(records.filter { $0.value == nil }.map(\.key))
            #expect(Set(ids).isSuperset(of: Set(records.map(\.key)).subtracting(erased)))

            #expect(try await Self.replay(scratch, "b").status == 0)
            for ending in ["out", "json", "csv"] {
                #expect(try scratch.data("a.\(ending)") == scratch.data("b.\(ending)"))
            }
            let shown = try await segmentd("model", "show", scratch.path("a.json"))
            #expect(shown.status == 0)
            #expect(shown.text.hasPrefix("model "))
            #expect(shown.text.contains("income"))
        }

        @Test func standardInputAndOutputCarryTheSame() async throws {
            let scratch = try Scratch()
            try await Self.shop(scratch).output.write(to: scratch.file("events"))
            #expect(try await Self.replay(scratch, "a").status == 0)
            let piped = try await segmentd(
                "replay",
                "--config",
                Self.live,
                "--input",
                "-",
                "--output",
                "-",
                input: scratch.file("events")
            )
            #expect(piped.status == 0)
            #expect(try piped.output == scratch.data("a.out"))
        }

        @Test func everyVersionIsWrittenWithWhatItWasFitTo() async throws {
            let scratch = try Scratch()
            try await Self.shop(scratch).output.write(to: scratch.file("events"))
            let folder = scratch.path("versions")
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: false
            )
            let outcome = try await segmentd(
                "replay",
                "--config",
                Self.live,
                "--input",
                scratch.path("events"),
                "--model-out",
                scratch.path("m.json"),
                "--assignments-out",
                scratch.path("a.csv"),
                "--table-out",
                scratch.path("t.csv"),
                "--versions-out",
                folder
            )
            #expect(outcome.status == 0, "\(outcome.errors)")
            let refits = try #require(number(before: " refits", in: outcome.errors))
            #expect(refits > 2)
            let files = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(files.count == 3 * refits)
            // The last refit of a replay is its end, so its files are those of the end.
            let last = String(format: "%04d", refits)
            for (version, end) in [
                ("model-\(last).json", "m.json"), ("assignments-\(last).csv", "a.csv"),
                ("table-\(last).csv", "t.csv"),
            ] {
                #expect(try scratch.data("versions/\(version)") == scratch.data(end))
            }
            let table = try scratch.text("t.csv").split(separator: "\n")
            let customers = number(before: " customers, ", in: outcome.errors)
            #expect(table.count - 1 == customers)
            #expect(try #require(table.first).hasPrefix("customer_id,income,"))
            #expect(
                try scratch.data("versions/table-0001.csv") != scratch.data("t.csv"),
                "an earlier version was fit to an earlier table"
            )
        }

        @Test func aFileThatIsNoModelIsRefused() async throws {
            let scratch = try Scratch()
            try Data("{}".utf8).write(to: scratch.file("m.json"))
            for arguments in [
                ["model", "show", scratch.path("m.json")],
                ["model", "show", scratch.path("absent.json")],
                [
                    "replay", "--config", Self.live, "--input", "-", "--model",
                    scratch.path("m.json"),
                ],
            ] {
                let outcome = try await Program(arguments).outcome()
                #expect(outcome.status == 2)
                #expect(outcome.errors.contains(".json"))
            }
            let input = try await segmentd("replay", "--config", Self.live, "--input", "/nowhere")
            #expect(input.status != 0)
            #expect(input.errors.contains("/nowhere"))
        }
    }
}
