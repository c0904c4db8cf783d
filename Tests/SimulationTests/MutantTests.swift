import Engine
import TestSupport
import Testing

/// Bugs put in on purpose are found: a simulation that finds nothing would prove nothing.
@Suite struct MutantTests {
    /// Seeds that a bug may take to show itself.
    private static let seeds: ClosedRange<UInt64> = 1...80

    @Test(arguments: [
        EngineMutation.commitBeforeProduce, .rewindForgotten, .pendingLayerKept,
    ])
    func seededRunsFindTheMutant(_ mutation: EngineMutation) throws {
        let shops = try SeededPlan.shops()
        let seed = Self.seeds.first { seed in
            var seeded = SeededPlan(seed: seed, shops: shops)
            seeded.plan.loop.mutation = mutation
            var run = SimulationRun(seeded.plan)
            run.run()
            return !Audit(run, expected: seeded.expected).problems.isEmpty
        }
        #expect(seed != nil, "no seed finds \(mutation.rawValue)")
    }

    /// A dead worker's open transaction hides rows of the one after it from the third.
    @Test(arguments: [nil, EngineMutation.restoreEndsAtStable])
    func restoreReadsBehindOpenTransactions(_ mutation: EngineMutation?) throws {
        let shop = try SeededPlan.shops()[0]
        var plan = SimulationRun.Plan(
            input: shop.input,
            model: shop.expected.model,
            faults: FaultPlan([
                // Rows are produced, offsets are not sent: nothing is pending for the next worker.
                FaultPlan.Entry(Fault(.crash, .before), at: .sendOffsets, call: 3),
                FaultPlan.Entry(Fault(.crash, .before), at: .sendOffsets, call: 7),
            ]),
            seed: 1
        )
        plan.instances = ["a", "b", "c"]
        plan.isRelay = true
        plan.loop.mutation = mutation
        plan.loop.transactionRecords = 16
        plan.broker.sessionTimeoutMilliseconds = 1_000
        plan.broker.transactionTimeoutMilliseconds = 60_000
        plan.recordsBefore = shop.input.records.count
        var run = SimulationRun(plan)
        run.run()
        let problems = Audit(run, expected: shop.expected).problems
        #expect(run.ends.count == 3, "two crashes and an end: \(run.ends)")
        #expect(problems.isEmpty == (mutation == nil), "\(problems.prefix(5))")
    }
}
