import Foundation
import Glibc
import Testing

extension DaemonTests {
    /// `demo`: the whole path with the embedded broker.
    @Suite struct DemoTests {
        @Test func aDemoWithALimitEndsWithASummary() async throws {
            let outcome = try await segmentd(
                "demo",
                "--seconds",
                "5",
                "--customers",
                "300",
                "--rate",
                "2000",
                "--set",
                "model.minimum_customers=100"
            )
            #expect(outcome.status == 0)
            #expect(outcome.text == "")
            for part in ["broker   ", " events sent, ", " customers, ", "published: ", "model "] {
                #expect(outcome.errors.contains(part), "\(part)")
            }
            let sent = number(before: " events sent, ", in: outcome.errors)
            let read = number(before: " records read, ", in: outcome.errors)
            #expect(try #require(sent) > 1_000)
            #expect(sent == read)
        }

        @Test(arguments: [SIGTERM, SIGINT]) func signalsDrain(signal: Int32) async throws {
            let program = try Program(["demo", "--customers", "300", "--rate", "1000"])
            let address = try await program.word(after: "admin    http://")
            let host = try #require(address.split(separator: "/").first)
            _ = try await eventually("customers in the status") {
                try await ask(String(host), "/metrics").body.contains("segmentd_customers 0\n")
                    ? nil : true
            }
            program.signal(signal)
            let outcome = try await program.outcome(within: .seconds(30))
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.errors.contains(" events sent, "))
            #expect(!outcome.errors.contains("segmentd: "))
            #expect(outcome.text == "")
        }

        @Test func aRunningDemoAnswersTheCommands() async throws {
            let program = try Program([
                "demo", "--customers", "400", "--rate", "1500",
                "--set", "model.minimum_customers=100",
            ])
            let address = try await program.word(after: "admin    http://")
            let host = String(try #require(address.split(separator: "/").first))
            _ = try await eventually("a first model") {
                try await ask(host, "/api/model").status == 200 ? true : nil
            }
            let status = try await segmentd("status", "--admin", host)
            #expect(status.status == 0)
            let object = try JSONSerialization.jsonObject(with: status.output) as? [String: Any]
            #expect(object?["state"] as? String == "running")

            let model = try await segmentd("model", "show", "--admin", host)
            #expect(model.status == 0)
            #expect(model.text.hasPrefix("model "))

            let export = try await eventually("an export") {
                let outcome = try await segmentd("export", "--admin", host)
                return outcome.errors.contains("ask again") ? nil : outcome
            }
            #expect(export.status == 0)
            #expect(export.errors == "")
            let header = try #require(export.lines.first)
            #expect(header.hasPrefix("customer_id,"))
            let width = header.split(separator: ",").count
            let rows = export.lines.dropFirst().map {
                $0.split(separator: ",", omittingEmptySubsequences: false)
            }
            #expect(rows.count >= 100)
            #expect(rows.allSatisfy { $0.count == width })
            #expect(Set(rows.map { $0[0] }).count == rows.count)

            let customer = String(try #require(rows.first?.first))
            let explained = try await eventually("an answer about \(customer)") {
                let outcome = try await segmentd("explain", customer, "--admin", host)
                return outcome.errors.contains("ask again") ? nil : outcome
            }
            #expect(explained.status == 0)
            #expect(explained.text.contains("\"\(customer)\""))
            // A refit may be under way: then the question is to be asked again.
            let unknown = try await eventually("an answer about nobody") {
                let outcome = try await segmentd("explain", "nobody/at all", "--admin", host)
                return outcome.errors.contains("ask again") ? nil : outcome
            }
            #expect(unknown.status == 1)
            #expect(unknown.errors.contains("unknown customer"))

            program.signal(SIGTERM)
            let outcome = try await program.outcome(within: .seconds(30))
            #expect(outcome.status == 0, "\(outcome.errors)")
        }
    }
}

/// The number, with or without commas, that ends where `text` begins.
func number(before text: String, in words: String) -> Int? {
    guard let end = words.range(of: text)?.lowerBound else { return nil }
    let digits = words[..<end].reversed().prefix { $0.isNumber || $0 == "," }
    return Int(String(digits.reversed()).replacing(",", with: ""))
}
