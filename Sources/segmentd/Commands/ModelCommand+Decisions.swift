import ArgumentParser
import Foundation

extension ModelCommand {
    /// Puts the version that waits in force.
    struct Accept: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put the version that waits in the shadow in force.",
            discussion: "Example:\n  segmentd model accept 8 --admin 127.0.0.1:9464"
        )

        @Argument(help: "The version; an error if another one waits by now.")
        var version: Int?

        @OptionGroup var admin: AdminOptions

        func run() async throws { try await admin.decide("accept", version) }
    }

    /// Drops the version that waits.
    struct Reject: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Drop the version that waits in the shadow.",
            discussion: "Example:\n  segmentd model reject 8 --admin 127.0.0.1:9464"
        )

        @Argument(help: "The version; an error if another one waits by now.")
        var version: Int?

        @OptionGroup var admin: AdminOptions

        func run() async throws { try await admin.decide("reject", version) }
    }

    /// Goes back to a kept version.
    struct Rollback: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put one of the last 20 versions in force again.",
            discussion: "Example:\n  segmentd model rollback 7 --admin 127.0.0.1:9464"
        )

        @Argument(help: "The version.")
        var version: Int

        @OptionGroup var admin: AdminOptions

        func run() async throws { try await admin.decide("rollback", version) }
    }
}

extension AdminOptions {
    private struct Answer: Decodable { var message: String }

    /// Sends a decision about versions and prints what happened.
    fileprivate func decide(_ action: String, _ version: Int?) async throws {
        let query = version.map { "?version=\($0)" } ?? ""
        let answer = try await request("POST", "/api/model/\(action)\(query)")
        let message = try JSONDecoder().decode(Answer.self, from: answer).message
        Terminal.output(message + "\n")
    }
}
