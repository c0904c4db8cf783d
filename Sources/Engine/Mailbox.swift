import Segmentation
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
    /// A command cannot be done, in words; nothing has changed.
    case refused(String)
    /// The transaction of a command was aborted; nothing has changed, so it may be tried again.
    case aborted
    /// The engine ended within a command: whether it took effect, the versions tell.
    case unknownOutcome
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
        /// The bundle of a kept version, answered with JSON.
        case bundle(version: Int)
        /// The bundle of the version in force, answered with JSON.
        case activeBundle
        /// The bundle of the version that waits, answered with JSON.
        case shadowBundle
        /// The versions kept, answered with JSON.
        case versions
        /// The segments of the version in force with their sizes, answered with JSON.
        case segments
        /// What the version in force says of other numbers of segments, answered with JSON.
        case sweep
        /// Put the version that waits in force; nil for whichever it is.
        ///
        /// A command as the next two are: answered in words once it is committed.
        case accept(version: Int?)
        /// Drop the version that waits; nil for whichever it is.
        case reject(version: Int?)
        /// Put a kept version in force again.
        case rollback(version: Int)

        /// What an operator wants done, nil for a question.
        var command: OperatorCommand? {
            switch self {
            case .accept(let version): .accept(version: version)
            case .reject(let version): .reject(version: version)
            case .rollback(let version): .rollback(version: version)
            case .explain, .export, .bundle, .activeBundle, .shadowBundle, .versions, .segments,
                .sweep:
                nil
            }
        }
    }

    /// Takes the answer of one question, once, on any thread.
    package typealias Reply = @Sendable (Result<[UInt8]?, MailboxError>) -> Void

    /// A command that was taken out of the mailbox and has to be answered.
    struct Command {
        let command: OperatorCommand
        fileprivate let reply: Reply

        /// Says what came of it.
        func answer(_ result: Result<String, MailboxError>) {
            reply(result.map { Array($0.utf8) })
        }
    }

    private struct Letter {
        let ticket: UInt64
        let request: Request
        let reply: Reply

        var isCommand: Bool { request.command != nil }
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
    private let settings = Mutex<EngineSettings?>(nil)
    private let haveSettings = Atomic<Bool>(false)

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
        let ticket = nextTicket()
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
                            reply: { continuation.resume(returning: $0) }
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

    /// Leaves a question without waiting, so that a simulation needs no second thread.
    package func leave(_ request: Request, reply: @escaping Reply) {
        post(Letter(ticket: nextTicket(), request: request, reply: reply))
    }

    /// Leaves settings for the engine to take over between two transactions; later ones take the
    /// place of those that still wait.
    public func leave(_ newer: EngineSettings) {
        settings.withLock { $0 = newer }
        haveSettings.store(true, ordering: .releasing)
    }

    /// Whether settings wait to be taken over.
    public var areSettingsWaiting: Bool { haveSettings.load(ordering: .acquiring) }

    /// Takes the settings out that wait.
    ///
    /// Costs one atomic load when none wait.
    func takeSettings() -> EngineSettings? {
        guard haveSettings.load(ordering: .acquiring) else { return nil }
        return settings.withLock { waiting in
            haveSettings.store(false, ordering: .releasing)
            defer { waiting = nil }
            return waiting
        }
    }

    private func nextTicket() -> UInt64 {
        state.withLock { state in
            defer { state.nextTicket += 1 }
            return state.nextTicket
        }
    }

    /// Answers what waits; called by the engine's thread once a turn.
    ///
    /// Costs one atomic load when nothing waits.
    ///
    /// - Parameter answer: gives the answer in UTF-8, or nil for an unknown customer.
    public func drain(_ answer: (Request) -> [UInt8]?) {
        guard waiting.load(ordering: .acquiring) > 0 else { return }
        let letters = state.withLock { state in
            let letters = state.letters.filter { !$0.isCommand }
            state.letters.removeAll { !$0.isCommand }
            waiting.store(state.letters.count, ordering: .releasing)
            return letters
        }
        for letter in letters {
            letter.reply(.success(answer(letter.request)))
        }
    }

    /// Takes the commands out that wait; each has to be answered once.
    ///
    /// Costs one atomic load when nothing waits. From here on a command is not withdrawn any more:
    /// its asker waits until it is committed or aborted.
    func takeCommands() -> [Command] {
        guard waiting.load(ordering: .acquiring) > 0 else { return [] }
        return state.withLock { state in
            let letters = state.letters
            state.letters.removeAll { $0.isCommand }
            waiting.store(state.letters.count, ordering: .releasing)
            return letters.compactMap { letter in
                letter.request.command.map {
                    Command(command: $0, reply: letter.reply)
                }
            }
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
        for letter in letters { letter.reply(.failure(.stopped)) }
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
        if let refusal { letter.reply(.failure(refusal)) }
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
        letter?.reply(.failure(reason))
    }
}
