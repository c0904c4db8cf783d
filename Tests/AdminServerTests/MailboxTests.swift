import Engine
import Testing

/// Empties the mailbox until `count` questions were answered, as the engine's turns would.
private func serve(
    _ mailbox: Mailbox,
    count: Int,
    _ reply: (Mailbox.Request) -> [UInt8]?
) async {
    var answered = 0
    while answered < count && !Task.isCancelled {
        mailbox.drain { request in
            answered += 1
            return reply(request)
        }
        await Task.yield()
    }
}

/// What a question led to.
private func outcome(
    _ mailbox: Mailbox,
    _ customer: String,
    limit: Duration = .seconds(20)
) async -> Result<[UInt8]?, MailboxError> {
    do {
        return .success(try await mailbox.ask(.explain(customer: customer), limit: limit))
    } catch {
        return .failure(error)
    }
}

@Suite(.timeLimit(.minutes(1))) struct MailboxTests {
    @Test func answersReachTheirAskers() async {
        let mailbox = Mailbox(capacity: 64)
        let answers = await withTaskGroup(of: (Int, Result<[UInt8]?, MailboxError>).self) { group in
            for number in 0..<50 {
                group.addTask { (number, await outcome(mailbox, "c-\(number)")) }
            }
            await serve(mailbox, count: 50) { request in
                guard case .explain(let customer) = request else { return nil }
                return customer.hasSuffix("7") ? nil : Array(customer.utf8)
            }
            var answers: [Int: Result<[UInt8]?, MailboxError>] = [:]
            for await (number, answer) in group { answers[number] = answer }
            return answers
        }
        for number in 0..<50 {
            let expected: [UInt8]? = number % 10 == 7 ? nil : Array("c-\(number)".utf8)
            #expect(answers[number] == .success(expected))
        }
    }

    @Test func aStalledEngineTimesOut() async {
        let mailbox = Mailbox()
        #expect(await outcome(mailbox, "c", limit: .milliseconds(5)) == .failure(.timedOut))
        var drained = 0
        mailbox.drain { _ in
            drained += 1
            return nil
        }
        #expect(drained == 0)
    }

    @Test func moreThanFitAreRefusedAtOnce() async {
        let mailbox = Mailbox(capacity: 2)
        let outcomes = await withTaskGroup(of: Result<[UInt8]?, MailboxError>.self) { group in
            for _ in 0..<5 { group.addTask { await outcome(mailbox, "c") } }
            var outcomes: [Result<[UInt8]?, MailboxError>] = []
            // Nobody drains: only refusals come back, until two are left waiting.
            for _ in 0..<3 { if let next = await group.next() { outcomes.append(next) } }
            #expect(outcomes.allSatisfy { $0 == .failure(.full) })
            await serve(mailbox, count: 2) { _ in [1] }
            for await next in group { outcomes.append(next) }
            return outcomes
        }
        #expect(outcomes.filter { $0 == .success([1]) }.count == 2)
    }

    @Test func closingRefusesWhatWaitsAndWhatComes() async {
        let mailbox = Mailbox()
        async let waiting = outcome(mailbox, "c")
        // Whether the question was posted before or after, the answer is the same.
        await Task.yield()
        mailbox.close()
        #expect(await waiting == .failure(.stopped))
        #expect(await outcome(mailbox, "d") == .failure(.stopped))
    }

    @Test func cancellationEndsTheWait() async {
        let mailbox = Mailbox()
        let result = await withTaskGroup(of: Result<[UInt8]?, MailboxError>.self) { group in
            group.addTask { await outcome(mailbox, "c") }
            group.cancelAll()
            return await group.next()
        }
        // A question of a cancelled task is refused; its sleep ends at once too, and says nothing.
        #expect(result == .failure(.cancelled))
    }
}
