import Engine
import Foundation
import Synchronization
import TestSupport

/// Asks workers for changes of the version in force, at random moments, and holds what they answer
/// against what readers of the model topic see.
final class SimulatedOperator {
    /// What came of a command, without its words.
    enum Outcome: String, CaseIterable {
        case done, refused, aborted, unknown, stopped
    }

    /// The answer to one command, which comes once.
    private final class Answer: Sendable {
        private let all = Mutex<[Result<[UInt8]?, MailboxError>]>([])

        var results: [Result<[UInt8]?, MailboxError>] { all.withLock { $0 } }

        func take(_ result: Result<[UInt8]?, MailboxError>) { all.withLock { $0.append(result) } }
    }

    private struct Question {
        var request: Mailbox.Request
        var answer: Answer
        /// Version in force before the turn, as readers see it.
        var versionBefore: Int?
        /// They saw everything then.
        var isStable = false
    }

    private struct Active: Decodable { var version: Int }

    /// Answers so far.
    private(set) var counts: [Outcome: Int] = [:]
    /// Sentences about answers that are not true.
    private(set) var problems: [String] = []
    private let broker: ModelBroker
    private let perMille: Int
    private var random: SplitMix64
    /// What waits, by worker.
    private var waiting: [Int: Question] = [:]

    /// Creates an operator.
    ///
    /// - Parameters:
    ///   - broker: where versions are read.
    ///   - perMille: chance of a command at a turn, in thousandths.
    ///   - seed: of the commands.
    init(broker: ModelBroker, perMille: Int, seed: UInt64) {
        self.broker = broker
        self.perMille = perMille
        random = SplitMix64(seed: seed)
    }

    /// May leave a command with a worker that is about to turn.
    func prepareTurn(of index: Int, _ worker: SimulatedWorker) {
        guard perMille > 0 else { return }
        let isAsking = random.below(1000) < perMille
        if isAsking, waiting[index] == nil {
            let answer = Answer()
            let request = request()
            waiting[index] = Question(request: request, answer: answer)
            worker.mailbox.leave(request) { answer.take($0) }
        }
        guard waiting[index] != nil else { return }
        waiting[index]?.versionBefore = activeVersion
        waiting[index]?.isStable = isStable
    }

    private func request() -> Mailbox.Request {
        let active = activeVersion ?? 0
        return switch random.below(5) {
        case 0: .accept(version: random.below(3) == 0 ? active + random.below(3) : nil)
        case 1: .reject(version: nil)
        default: .rollback(version: max(1, active + 1 - random.below(4)))
        }
    }

    /// Looks at what a worker has answered in a turn.
    ///
    /// - Parameters:
    ///   - index: the worker.
    ///   - hasEnded: its process has ended.
    func finishTurn(of index: Int, hasEnded: Bool) {
        guard let question = waiting[index] else { return }
        let results = question.answer.results
        guard let result = results.first else {
            if hasEnded { fail(question, "never answered") }
            if hasEnded { waiting[index] = nil }
            return
        }
        waiting[index] = nil
        if results.count > 1 { fail(question, "answered \(results.count) times") }
        // Readers see nothing behind a transaction without markers, be it another worker's.
        let isVisible = question.isStable && isStable
        switch result {
        case .success(let words):
            count(.done)
            let text = String(decoding: words ?? [], as: UTF8.self)
            if isVisible, Self.version(in: text) != activeVersion {
                fail(question, "\(text); \(activeVersion ?? 0) is in force")
            }
        case .failure(.refused): count(.refused)
        case .failure(.aborted):
            count(.aborted)
            if isVisible, activeVersion != question.versionBefore {
                fail(question, "aborted; \(activeVersion ?? 0) is in force")
            }
        case .failure(.unknownOutcome):
            count(.unknown)
            if !hasEnded { fail(question, "the worker lives and does not know what it did") }
        case .failure(.stopped):
            count(.stopped)
            if !hasEnded { fail(question, "the worker lives and answers no more") }
        case .failure(let error): fail(question, "\(error)")
        }
    }

    private func count(_ outcome: Outcome) { counts[outcome, default: 0] += 1 }

    private func fail(_ question: Question, _ words: String) {
        problems.append("\(question.request), \(question.versionBefore ?? 0) in force: \(words)")
    }

    /// The version that an answer says is in force, or stays so.
    private static func version(in text: String) -> Int? {
        let clause = text.components(separatedBy: "; ").first {
            $0.contains("is in force") || $0.contains("stays in force")
        }
        return clause?.split(separator: " ").dropFirst().first.flatMap { Int($0) }
    }

    private var isStable: Bool {
        broker.lastStableOffset("model", partition: 0)
            == broker.highWatermark("model", partition: 0)
    }

    private var activeVersion: Int? {
        let key = Array("active".utf8)
        guard let value = broker.readCommitted("model").last(where: { $0.key == key })?.value
        else { return nil }
        do {
            return try JSONDecoder().decode(Active.self, from: Data(value)).version
        } catch {
            problems.append("the active version is not readable: \(error)")
            return nil
        }
    }
}
