import Foundation
import Glibc
import Testing

extension DaemonTests {
    /// Signals that come before the daemon has begun to serve.
    @Suite struct SignalTests {
        private static let arguments = [
            "run", "--config", "minimal.good.yaml",
            "--set", "kafka.properties.bootstrap.servers=127.0.0.1:1",
            "--set", "admin.listen=127.0.0.1:0",
        ]

        private static func isKept(_ signal: Int32, by program: Program) throws -> Bool {
            try program.caughtSignals >> UInt64(signal - 1) & 1 == 1
        }

        /// At whatever moment it comes, from the first line of the program on.
        @Test(arguments: Array(stride(from: 0, through: 60, by: 20)))
        func aSignalSoonAfterTheFirstLineDrains(_ milliseconds: Int) async throws {
            let program = try Program(Self.arguments, in: Place.fixtures)
            _ = try await eventually("the first line") {
                try Self.isKept(SIGTERM, by: program) ? true : nil
            }
            try await Task.sleep(for: .milliseconds(milliseconds))
            program.signal(SIGTERM)
            #expect(try await program.outcome(within: .seconds(20)).status == 0)
        }

        /// Before its first line no program can keep a signal; from there on none ends it.
        @Test(arguments: Array(stride(from: 0, through: 60, by: 10)))
        func aSignalSoonAfterTheStartDrains(_ milliseconds: Int) async throws {
            let program = try Program(Self.arguments, in: Place.fixtures)
            try await Task.sleep(for: .milliseconds(milliseconds))
            let isKept = try Self.isKept(SIGTERM, by: program)
            program.signal(SIGTERM)
            let status = try await program.outcome(within: .seconds(20)).status
            #expect(status == 0 || (status == nil && !isKept))
        }
    }
}
