import AdminServer
import ArgumentParser
import Foundation

/// How a command reaches the running daemon.
struct AdminOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Admin address of the daemon, with https:// where it has a certificate.",
            valueName: "host:port"
        )
    )
    var admin = "127.0.0.1:9464"

    @Option(help: ArgumentHelp("File with the daemon's admin.token.", valueName: "file"))
    var adminToken: String?

    @Option(
        help: ArgumentHelp(
            "File with the authority that signed the daemon's certificate, PEM.",
            valueName: "file"
        )
    )
    var adminCa: String?

    /// Asks the daemon.
    ///
    /// - Throws: `CommandFailure`: nobody answers, or the answer is an error, in its words.
    func get(_ path: String) async throws(CommandFailure) -> Data {
        try await request("GET", path)
    }

    /// Asks the daemon, or has it do something.
    ///
    /// - Throws: `CommandFailure`: nobody answers, or the answer is an error, in its words.
    func request(_ method: String, _ path: String) async throws(CommandFailure) -> Data {
        let plain = admin.hasPrefix("https://") ? String(admin.dropFirst(8)) : admin
        guard ListenAddress(plain) != nil else {
            throw CommandFailure(
                "--admin \(admin) is no HOST:PORT, nor https://HOST:PORT",
                status: .usage
            )
        }
        let client = AdminClient(address: admin, token: try token(), authority: adminCa)
        let answer: (status: Int, body: Data)
        do {
            answer = try await client.request(method, path)
        } catch {
            throw CommandFailure(
                "no daemon answers at \(admin); is it running, and is --admin its admin.listen? "
                    + "(\(Self.words(error)))",
                status: .noDaemon
            )
        }
        guard answer.status == 200 else {
            let words = String(decoding: answer.body, as: UTF8.self)
            let hint = answer.status == 401 ? "; --admin-token names the file that has it" : ""
            throw CommandFailure("the daemon at \(admin) answers: \(words)\(hint)")
        }
        return answer.body
    }

    private func token() throws(CommandFailure) -> String? {
        guard let adminToken else { return nil }
        do {
            let text = try String(contentsOfFile: adminToken, encoding: .utf8)
            return text.trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            throw CommandFailure("cannot read --admin-token \(adminToken)", status: .usage)
        }
    }

    /// The first line: what follows is for whoever works on the client.
    private static func words(_ error: any Error) -> String {
        let text = "\(error)".split(separator: "\n").first.map(String.init) ?? ""
        return text.count <= 200 ? text : text.prefix(200) + "..."
    }
}

/// The state of the running daemon.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the state of the running daemon as JSON.",
        discussion: "Example:\n  segmentd status --admin 127.0.0.1:9464"
    )

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        Terminal.output(Array(try await admin.get("/api/status")) + Array("\n".utf8))
    }
}

/// One customer of the running daemon.
struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Explain one customer: features, imputed ones, segment, distances, churn.",
        discussion: "Example:\n  segmentd explain c-000042 --admin 127.0.0.1:9464"
    )

    @Argument(help: "Customer id.")
    var customer: String

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        var allowed = CharacterSet.urlPathAllowed
        allowed.remove("/")
        let id = customer.addingPercentEncoding(withAllowedCharacters: allowed) ?? customer
        Terminal.output(Array(try await admin.get("/api/customers/\(id)")) + Array("\n".utf8))
    }
}

/// The customer table of the running daemon.
struct ExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write the customer table as the batch job would see it, CSV.",
        discussion: """
            One row per customer, one column per feature, missing values left empty.

            Example:
              segmentd export --output customers.csv --admin 127.0.0.1:9464
            """
    )

    @Option(help: "File to write, or - for standard output.")
    var output = "-"

    @OptionGroup var admin: AdminOptions

    func run() async throws {
        let file = try OutputFile(path: output, option: "--output")
        var cursor: String? = "0"
        while let from = cursor {
            let answer = Array(try await admin.get("/api/export?from=\(from)"))
            // The first line of each part names the row to go on from, empty at the end.
            let end = answer.firstIndex(of: UInt8(ascii: "\n")) ?? answer.endIndex
            let next = String(decoding: answer[..<end], as: UTF8.self)
            try file.write(Array(answer[min(end + 1, answer.count)...]))
            cursor = next.isEmpty ? nil : next
        }
    }
}
