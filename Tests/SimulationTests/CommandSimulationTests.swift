import Engine
import TestSupport
import Testing

/// Workers that learn, an operator who decides at random moments, and faults at every call.
@Suite struct CommandSimulationTests {
    private static func plan(_ seed: UInt64, _ shops: [SeededPlan.Shop]) -> SimulationRun.Plan {
        var plan = SeededPlan(seed: seed, shops: shops).plan
        plan.model = nil
        plan.commandsPerMille = 400
        plan.broker.markerDelayMilliseconds = 0
        plan.faults = FaultPlan(
            seed: seed,
            dice: FaultPlan.Dice(
                perMille: 8,
                kinds: [
                    .abortable, .abortable, .abortable, .retriable, .crash, .fatal,
                    .unavailable(calls: 3), .rebalance,
                ],
                limit: 12
            )
        )
        return plan
    }

    /// Every command is answered once, the answer is true, and nothing else has suffered.
    @Test func everyAnswerIsTrue() throws {
        let shops = try SeededPlan.shops()
        var counts: [SimulatedOperator.Outcome: Int] = [:]
        for seed in UInt64(1)...30 {
            var run = SimulationRun(Self.plan(seed, shops))
            run.run()
            let problems = Audit(run, expected: nil).problems
            #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5).joined(separator: "; "))")
            counts.merge(run.asker.counts, uniquingKeysWith: +)
        }
        print("commands: \(counts)")
        for outcome in SimulatedOperator.Outcome.allCases {
            #expect(counts[outcome, default: 0] > 0, "no command was \(outcome)")
        }
    }
}
