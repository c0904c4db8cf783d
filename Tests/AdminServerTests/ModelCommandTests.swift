import Engine
import Testing

@testable import AdminServer

/// Addresses of versions and of the operator's decisions.
@Suite(.timeLimit(.minutes(1))) struct ModelCommandTests {
    private let mailbox = Mailbox()

    private func reply(
        _ method: String,
        _ path: String,
        _ query: String = "",
        of service: AdminResponder.Service = .everything
    ) async -> AdminReply {
        let responder = AdminResponder(
            board: runningBoard(now: .now),
            mailbox: mailbox,
            loopLimit: .seconds(10),
            answerLimit: .seconds(20),
            process: { ProcessFacts(version: "1.2.3", residentBytes: nil) }
        )
        return await responder.reply(
            method: method,
            path: path,
            query: query,
            of: service,
            wallMilliseconds: 0
        )
    }

    /// A reply to a question that the engine answers; what it was asked besides.
    private func answered(
        _ path: String,
        _ query: String,
        with answer: String?
    ) async -> (AdminReply, Mailbox.Request?) {
        async let reply = reply("GET", path, query)
        var asked: Mailbox.Request?
        // Longer than the mailbox waits: then the reply says what went wrong.
        let end = ContinuousClock.now + .seconds(60)
        while asked == nil && ContinuousClock.now < end {
            mailbox.drain { request in
                asked = request
                return answer.map { Array($0.utf8) }
            }
            await Task.yield()
        }
        return (await reply, asked)
    }

    @Test func bundlesAreSelectedByVersion() async {
        #expect(await reply("GET", "/api/model") == .json("{\"version\":12}"))
        let cases: [(String, Mailbox.Request)] = [
            ("version=7", .bundle(version: 7)), ("version=active", .activeBundle),
            ("version=shadow", .shadowBundle),
        ]
        for (query, request) in cases {
            let (found, asked) = await answered("/api/model", query, with: "{}")
            #expect(found == .json("{}") && asked == request, "\(query)")
        }
        let (missing, _) = await answered("/api/model", "version=9", with: nil)
        #expect(missing.status == 404)
        let (list, asked) = await answered("/api/models", "", with: "[]")
        #expect(list == .json("[]") && asked == .versions)
        for query in ["version=", "version=x", "v=1"] {
            #expect(await reply("GET", "/api/model", query).status == 400, "\(query)")
        }
    }

    @Test func decisionsWantAVersionAndPOST() async {
        #expect(await reply("POST", "/api/model/rollback").status == 400)
        #expect(await reply("POST", "/api/model/accept", "version=x").status == 400)
        #expect(await reply("POST", "/api/model/publish").status == 405)
        #expect(await reply("GET", "/api/model/accept").status == 404)
        #expect(await reply("POST", "/api/model/accept", of: .probes).status == 405)
    }

    /// A command is no question: it waits for the turn that does it, and none is lost.
    @Test func commandsAreNotAnsweredAsQuestions() async {
        async let pending = reply("POST", "/api/model/accept", "version=13")
        for _ in 0..<100 {
            mailbox.drain { _ in
                Issue.record("a command was answered as a question")
                return nil
            }
            await Task.yield()
        }
        mailbox.close()
        #expect(await pending == .error(503, "the engine does not run"))
    }
}
