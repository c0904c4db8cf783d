import Engine
import EventLog
import Foundation
import Segmentation
import Synchronization
import TestSupport
import Testing

/// Operators' commands go through the real loop: in a transaction, answered after its commit.
@Suite(.timeLimit(.minutes(2))) struct OperatorTests {
    private struct Active: Decodable { var version: Int }

    private let broker: ModelBroker
    private let input = SimulationInput(seed: 1)

    init() {
        broker = ModelBroker(
            clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds),
            settings: ModelBroker.Settings()
        )
        broker.createSimulationTopics()
        broker.append(input.records)
    }

    private func worker(_ plan: FaultPlan = FaultPlan([])) -> SimulatedWorker {
        SimulatedWorker(
            broker: broker,
            instance: "a",
            plan: plan,
            model: nil,
            configuration: {
                var configuration = CommitLoopConfiguration()
                configuration.transactionRecords = 16
                return configuration
            }()
        )
    }

    private var activeVersion: Int? {
        get throws {
            let key = Array("active".utf8)
            let record = broker.readCommitted("model").last { $0.key == key }
            return try record?.value.map {
                try JSONDecoder().decode(Active.self, from: Data($0)).version
            }
        }
    }

    /// A worker that has learnt some versions and has nothing to do.
    private func idleWorker(_ plan: FaultPlan) throws -> SimulatedWorker {
        let worker = worker(plan)
        for _ in 0..<400 { try #require(worker.turn() == nil) }
        try #require(try (activeVersion ?? 0) > 2, "versions replace each other")
        return worker
    }

    /// Turns the loop until the question is answered; a loop that does not answer is stopped.
    private func ask(
        _ request: Mailbox.Request,
        _ worker: SimulatedWorker
    ) async -> Result<String, MailboxError> {
        let mailbox = worker.mailbox
        let box = AnswerBox()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                do throws(MailboxError) {
                    let bytes = try await mailbox.ask(request, limit: .seconds(60))
                    box.answer.withLock {
                        $0 = .success(String(decoding: bytes ?? [], as: UTF8.self))
                    }
                } catch {
                    box.answer.withLock { $0 = .failure(error) }
                }
            }
            var turns = 0
            var hasEnded = false
            while box.answer.withLock({ $0 == nil }) {
                if !hasEnded { hasEnded = worker.turn() != nil }
                await Task.yield()
                turns += 1
                if turns == 20_000 && !hasEnded {
                    Issue.record("never answered: \(request)")
                    _ = worker.stop()
                    hasEnded = true
                }
            }
        }
        return box.answer.withLock { $0 } ?? .failure(.cancelled)
    }

    @Test func aRollbackIsCommittedBeforeItIsAnswered() async throws {
        let worker = worker()
        var turns = 0
        while try (activeVersion ?? 0) < 4 && turns < 300 {
            _ = worker.turn()
            turns += 1
        }
        try #require(try activeVersion == 4, "versions replace each other")
        guard case .success(let text) = await ask(.rollback(version: 3), worker) else {
            Issue.record("version 3 is kept")
            return
        }
        #expect(try activeVersion == 3)
        #expect(text.hasPrefix("version 3 is in force; "))
        // An operator has chosen: with so few customers a refit moves many, so it waits.
        for _ in 0..<300 { _ = worker.turn() }
        #expect(try activeVersion == 3)
        guard case .success(let accepted) = await ask(.accept(version: nil), worker) else {
            Issue.record("a version waits")
            return
        }
        #expect(try (activeVersion ?? 0) > 3)
        #expect(accepted.hasSuffix("customers will be looked at again"))
        _ = await ask(.rollback(version: 1), worker)
        #expect(
            await ask(.rollback(version: 1), worker)
                == .failure(.refused("version 1 is in force already"))
        )
        #expect(
            await ask(.accept(version: nil), worker)
                == .failure(.refused(CommandRefusal.noShadow.description))
        )
        // It is durable: a worker that starts finds the version, and counts on.
        #expect(worker.stop() == .drained)
        let next = self.worker()
        for _ in 0..<50 { _ = next.turn() }
        #expect(try activeVersion == 1)
        #expect(next.stop() == .drained)
    }

    // MARK: faults

    @Test func aCommandWhoseTransactionCannotBeginIsAnswered() async throws {
        let plan = FaultPlan([])
        let worker = try idleWorker(plan)
        let before = try #require(try activeVersion)
        plan.add(Fault(.retriable, .before), atNext: .beginTransaction)
        #expect(await ask(.rollback(version: before - 1), worker) == .failure(.aborted))
        #expect(plan.remaining.isEmpty)
        #expect(try activeVersion == before)
        guard case .success = await ask(.rollback(version: before - 1), worker) else {
            Issue.record("nothing has changed, so it may be tried again")
            return
        }
        #expect(try activeVersion == before - 1)
        #expect(worker.stop() == .drained)
    }

    @Test func aCommandOfAnAbortedTransactionHasChangedNothing() async throws {
        for call in [LogMethod.produce, .sendOffsets, .commitTransaction] {
            let plan = FaultPlan([])
            let worker = try idleWorker(plan)
            let before = try #require(try activeVersion)
            plan.add(Fault(.abortable, .before), atNext: call)
            let answer = await ask(.rollback(version: before - 1), worker)
            #expect(answer == .failure(.aborted), "\(call)")
            #expect(try activeVersion == before, "\(call)")
            #expect(worker.stop() == .drained)
        }
    }

    @Test func whileTheAbortIsNotKnownNothingIsPromised() async throws {
        let plan = FaultPlan([])
        let worker = try idleWorker(plan)
        let before = try #require(try activeVersion)
        plan.add(Fault(.abortable, .before), atNext: .sendOffsets)
        plan.add(Fault(.fatal, .before), atNext: .abortTransaction)
        let answer = await ask(.rollback(version: before - 1), worker)
        #expect(answer == .failure(.unknownOutcome))
        #expect(plan.remaining.isEmpty)
    }

    /// The broker commits, and is away before it can say so, for longer than the loop waits.
    @Test func aCommandWhoseCommitGotNoAnswerMayHaveTakenEffect() async throws {
        let plan = FaultPlan([])
        let worker = try idleWorker(plan)
        let before = try #require(try activeVersion)
        plan.add(Fault(.retriable, .after), atNext: .commitTransaction)
        plan.add(Fault(.unavailable(calls: 60), .before), atNext: .commitTransaction, after: 1)
        let answer = await ask(.rollback(version: before - 1), worker)
        #expect(answer == .failure(.unknownOutcome))
        #expect(plan.remaining.isEmpty)
        #expect(try activeVersion == before - 1)
    }
}

/// An answer that arrives while the loop turns.
private final class AnswerBox: Sendable {
    let answer = Mutex<Result<String, MailboxError>?>(nil)
}
