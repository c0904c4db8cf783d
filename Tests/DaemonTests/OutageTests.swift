import Foundation
import Glibc
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

/// Asks an admin address; nil while nobody listens.
func ask(_ address: String, _ path: String) async throws -> (status: Int, body: String) {
    let url = try #require(URL(string: "http://\(address)\(path)"))
    let (data, response) = try await URLSession.shared.data(from: url)
    let status = try #require(response as? HTTPURLResponse).statusCode
    return (status, String(decoding: data, as: UTF8.self))
}

extension DaemonTests {
    /// `run` while nobody listens where the broker should be.
    @Suite struct OutageTests {
        private static func start() throws -> Program {
            try Program(
                [
                    "run", "--config", "minimal.good.yaml",
                    "--set", "kafka.properties.bootstrap.servers=127.0.0.1:1",
                    "--set", "admin.listen=127.0.0.1:0",
                ],
                in: Place.fixtures
            )
        }

        @Test func anAbsentBrokerIsSaidOnceAndWaitedFor() async throws {
            let program = try Self.start()
            let address = try await program.word(after: "listening address=")
            #expect(try await ask(address, "/healthz") == (200, "ok\n"))
            #expect(try await ask(address, "/readyz").status == 503)
            // Long enough that a second attempt has failed too.
            _ = try await eventually("an outage of 6 s in the metrics") {
                let name = "segmentd_broker_down_seconds "
                let line = try await ask(address, "/metrics").body
                    .split(separator: "\n").first { $0.hasPrefix(name) }
                return line.flatMap { Double($0.dropFirst(name.count)) }.flatMap {
                    $0 > 6 ? $0 : nil
                }
            }
            #expect(try await ask(address, "/healthz").status == 200)
            #expect(try await ask(address, "/readyz") == (503, "no broker answers\n"))
            #expect(program.isRunning)
            program.signal(SIGTERM)
            let outcome = try await program.outcome(within: .seconds(20))
            #expect(outcome.status == 0)
            #expect(outcome.text == "")
            let complaints = outcome.errors.split(separator: "\n").filter { $0.contains("WARNING") }
            #expect(complaints.count == 1)
            #expect(complaints.first?.contains("trying again until it works") == true)
        }

        @Test func interruptingEndsTheWait() async throws {
            let program = try Self.start()
            _ = try await program.word(after: "listening address=")
            program.signal(SIGINT)
            #expect(try await program.outcome(within: .seconds(20)).status == 0)
        }

        @Test func aTakenAdminAddressIsAFailure() async throws {
            let first = try Self.start()
            let address = try await first.word(after: "listening address=")
            let second = try Program(
                ["run", "--config", "minimal.good.yaml", "--set", "admin.listen=\(address)"],
                in: Place.fixtures
            )
            let outcome = try await second.outcome(within: .seconds(30))
            #expect(outcome.status == 1)
            #expect(outcome.errors.contains("segmentd: cannot serve: "))
        }
    }
}
