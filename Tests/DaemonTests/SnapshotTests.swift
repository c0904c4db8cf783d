import Foundation
import Testing

extension DaemonTests {
    /// `replay --format csv` with the notebook's configuration.
    @Suite struct SnapshotTests {
        private static let notebook =
            Place.package.appending(path: "config/smartcart-notebook.yaml").path

        /// Rows of the form of the SmartCart data; every seventh income is missing.
        private static func rows(_ count: Int, seed: UInt64) -> String {
            var state = seed
            func next(_ bound: Int) -> Int {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(state >> 33) % bound
            }
            var text =
                "ID,Year_Birth,Education,Marital_Status,Income,Kidhome,Teenhome,Dt_Customer,"
                + "Recency,MntWines,MntFruits,MntMeatProducts,MntFishProducts,MntSweetProducts,"
                + "MntGoldProds,"
                + "NumDealsPurchases,NumWebPurchases,NumCatalogPurchases,NumStorePurchases,"
                + "NumWebVisitsMonth,Complain,Response\n"
            for id in 1...count {
                let education = ["Graduation", "PhD", "Master", "Basic", "2n Cycle"][next(5)]
                let status = ["Married", "Together", "Single", "Divorced", "Widow"][next(5)]
                // Two kinds of people, so that segments exist.
                let isRich = next(2) == 1
                let income = next(7) == 0 ? "" : "\((isRich ? 70_000 : 25_000) + next(15_000))"
                var cells = ["\(id)", "\(1_945 + next(50))", education, status, income]
                cells += ["\(next(3))", "\(next(3))"]
                cells.append(String(format: "%02d-%02d-2013", 1 + next(28), 1 + next(12)))
                cells.append("\(next(100))")
                for _ in 0..<6 { cells.append("\(next(isRich ? 600 : 60))") }
                for _ in 0..<5 { cells.append("\(next(isRich ? 12 : 5))") }
                cells += ["\(next(20) == 0 ? 1 : 0)", "\(next(6) == 0 ? 1 : 0)"]
                text += cells.joined(separator: ",") + "\n"
            }
            return text
        }

        private static func replay(
            _ input: String,
            _ further: [String] = []
        ) async throws -> Outcome {
            try await Program(
                [
                    "replay", "--config", notebook, "--format", "csv", "--as-of", "2014-06-29",
                    "--input", input,
                ] + further
            ).outcome()
        }

        @Test func aGivenModelDecidesOncePerCustomer() async throws {
            let scratch = try Scratch()
            try Data(Self.rows(300, seed: 7).utf8).write(to: scratch.file("rows.csv"))
            let learnt = try await Self.replay(
                scratch.path("rows.csv"),
                ["--model-out", scratch.path("m.json")]
            )
            #expect(learnt.status == 0, "\(learnt.errors)")
            let outcome = try await Self.replay(
                scratch.path("rows.csv"),
                ["--model", scratch.path("m.json"), "--output", "-"]
            )
            #expect(outcome.status == 0, "\(outcome.errors)")
            let records = try outcome.lines.map { try OutputRecord($0, group: "smartcart") }
            #expect(records.count == 300)
            #expect(Set(records.map(\.key)).count == 300)
            #expect(records.allSatisfy { $0.integer("revision") == 1 })
            for (name, text) in [
                ("segment_transition", "entered"), ("cause", "event"),
                ("decided_at", "2014-06-29T00:00:00.000Z"),
            ] { #expect(records.allSatisfy { $0.text(name) == text }, "\(name)") }
            #expect(records.allSatisfy { $0.value?["provisional"] as? Bool == false })
            #expect(Set(records.map { $0.integer("segment_id") }).count > 1)
        }

        @Test func smartCartEqualsTheBatchJob() async throws {
            let input = Place.reference.appending(path: "smartcart_customers.csv").path
            let python = Place.package.appending(path: ".build/venv/bin/python").path
            let files = FileManager.default
            guard files.fileExists(atPath: input) else {
                print("SmartCart figures are skipped: there is no \(Place.reference.path)")
                return
            }
            let scratch = try Scratch()
            let outcome = try await Self.replay(
                input,
                [
                    "--model-out", scratch.path("m.json"),
                    "--assignments-out", scratch.path("a.csv"),
                ]
            )
            #expect(outcome.status == 0)
            #expect(number(before: " customers, ", in: outcome.errors) == 2_240)
            let bundle = try #require(
                try JSONSerialization.jsonObject(with: scratch.data("m.json")) as? [String: Any]
            )
            #expect(bundle["customers"] as? Int == 2_240)
            #expect(bundle["training_customers"] as? Int == 2_236)
            #expect((bundle["segments"] as? [Any])?.count == 4)
            let inertia = try #require(bundle["inertia"] as? Double)
            #expect(abs(inertia - 6_315.2) < 0.01 * 6_315.2)
            guard files.isExecutableFile(atPath: python) else {
                print(
                    "check_smartcart.py is skipped: there is no .build/venv, see make check-scripts"
                )
                return
            }
            let check = Process()
            check.executableURL = URL(fileURLWithPath: python)
            check.arguments = [
                Place.package.appending(path: "Tests/Scripts/check_smartcart.py").path,
                "--model", scratch.path("m.json"), "--assignments", scratch.path("a.csv"),
                "--reference", Place.reference.path,
            ]
            let report = scratch.file("report")
            try Data().write(to: report)
            check.standardOutput = try FileHandle(forWritingTo: report)
            check.standardError = check.standardOutput
            try check.run()
            defer { if check.isRunning { check.terminate() } }
            _ = try await eventually("the end of check_smartcart.py") {
                check.isRunning ? nil : true
            }
            let said = try scratch.text("report")
            #expect(check.terminationStatus == 0, "\(said)")
        }
    }
}
