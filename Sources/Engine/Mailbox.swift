import Synchronization

/// Why a question got no answer.
public enum MailboxError: Error, Sendable, Equatable {
    /// As many questions as fit are waiting already; ask again later.
    case full
    /// The engine did not empty the mailbox in time; ask again later.
    case timedOut
    /// Whoever asked went away.
    case cancelled
    /// The engine does not run, or no longer.
    case stopped
}

/// A bounded mailbox between the admin server and the engine's thread.
///
/// Askers wait without a thread; the engine empties the mailbox once a turn. A question is resolved
/// exactly once, by whichever comes first: the engine's answer, its time limit, the asker's
/// cancellation, or `close`.
public final class Mailbox: Sendable {
    /// A question that the engine answers.
    public enum Request: Sendable, Equatable {
        /// One customer, by the id of the record key; answered with JSON.
        case explain(customer: String)
        /// The customer table from a row on; answered with a slice of it as CSV.
        ///
        /// The first line of the answer is the row to go on from, empty at the end.
        case export(from: Int)
    }

    private struct Letter {
        let ticket: UInt64
        let request: Request
        let continuation: CheckedContinuation<Result<[UInt8]?, MailboxError>, Never>
    }

    private struct State {
        var letters: [Letter] = []
        var nextTicket: UInt64 = 0
        /// Tickets whose time ended or whose asker left before the letter was posted.
        var revoked: [UInt64: MailboxError] = [:]
        var isClosed = false
    }

    /// Questions that may wait at once.
    public let capacity: Int
    private let state = Mutex(State())
    private let waiting = Atomic<Int>(0)

    /// Creates an empty mailbox.
    ///
    /// - Parameter capacity: questions that may wait at once, 1 or more.
    public init(capacity: Int = 64) {
        precondition(capacity > 0)
        self.capacity = capacity
    }

    /// Asks and waits for the engine's answer.
    ///
    /// - Parameters:
    ///   - request: what is asked.
    ///   - limit: longest wait.
    /// - Returns: the answer in UTF-8, nil for a customer that this worker does not know.
    /// - Throws: `MailboxError`; all but `stopped` may be tried again.
    public func ask(
        _ request: Request,
        limit: Duration = .seconds(2)
    ) async throws(MailboxError) -> [UInt8]? {
        let ticket = state.withLock { state in
            defer { state.nextTicket += 1 }
            return state.nextTicket
        }
        let answer = await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do {
                        try await Task.sleep(for: limit)
                    } catch {
                        // Answered before the limit: the sleep was cancelled, nothing is left to
                        // do.
                        return
                    }
                    self.revoke(ticket, .timedOut)
                }
                let answer = await withCheckedContinuation { continuation in
                    self.post(
                        Letter(
                            ticket: ticket,
                            request: request,
                            continuation: continuation
                        )
                    )
                }
                group.cancelAll()
                return answer
            }
        } onCancel: {
            revoke(ticket, .cancelled)
        }
        state.withLock { _ = $0.revoked.removeValue(forKey: ticket) }
        return try answer.get()
    }

    /// Answers what waits; called by the engine's thread once a turn.
    ///
    /// Costs one atomic load when nothing waits.
    ///
    /// - Parameter reply: gives the answer in UTF-8, or nil for an unknown customer.
    public func drain(_ reply: (Request) -> [UInt8]?) {
        guard waiting.load(ordering: .acquiring) > 0 else { return }
        let letters = state.withLock { state in
            defer { state.letters.removeAll(keepingCapacity: true) }
            waiting.store(0, ordering: .releasing)
            return state.letters
        }
        for letter in letters {
            letter.continuation.resume(returning: .success(reply(letter.request)))
        }
    }

    /// Refuses all questions from now on, those that wait included; called when the loop ends.
    public func close() {
        let letters = state.withLock { state in
            state.isClosed = true
            defer { state.letters.removeAll() }
            waiting.store(0, ordering: .releasing)
            return state.letters
        }
        for letter in letters { letter.continuation.resume(returning: .failure(.stopped)) }
    }

    private func post(_ letter: Letter) {
        let refusal: MailboxError? = state.withLock { state in
            if state.isClosed { return .stopped }
            if let reason = state.revoked[letter.ticket] { return reason }
            if state.letters.count == capacity { return .full }
            state.letters.append(letter)
            waiting.store(state.letters.count, ordering: .releasing)
            return nil
        }
        if let refusal { letter.continuation.resume(returning: .failure(refusal)) }
    }

    /// Takes a question back.
    ///
    /// When it is not posted yet, its posting is refused instead.
    private func revoke(_ ticket: UInt64, _ reason: MailboxError) {
        let letter: Letter? = state.withLock { state in
            guard let index = state.letters.firstIndex(where: { $0.ticket == ticket }) else {
                state.revoked[ticket] = reason
                return nil
            }
            waiting.store(state.letters.count - 1, ordering: .releasing)
            return state.letters.remove(at: index)
        }
        letter?.continuation.resume(returning: .failure(reason))
    }
}
