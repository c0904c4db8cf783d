import Engine
import TestSupport

/// Everything that one seed decides about a run.
struct SeededPlan {
    /// An input with what has to come out of it.
    struct Shop: Sendable {
        var input: SimulationInput
        var expected: Recomputation
    }

    var plan: SimulationRun.Plan
    /// What has to come out; nil for a run that learns.
    let expected: Recomputation?

    /// Inputs that the seeds share: a recomputation costs as much as a run.
    static func shops() throws -> [Shop] {
        try (UInt64(1)...4).map { seed in
            let input = SimulationInput(seed: seed)
            let expected = try Recomputation(
                input,
                wallMilliseconds: SimulationRun.wallMilliseconds
            )
            return Shop(input: input, expected: expected)
        }
    }

    init(seed: UInt64, shops: [Shop]) {
        var random = SplitMix64(seed: seed)
        let shop = shops[random.below(shops.count)]
        let isLearning = random.below(5) == 0
        let keepsCheckpoints = random.below(2) == 0
        let entries = FaultDraw.entries(&random, keepsCheckpoints: keepsCheckpoints)
        // Some of the entries stand at calls that the run never comes to; these come anyway.
        let dice = FaultPlan.Dice(
            perMille: 12,
            kinds: FaultDraw.kinds,
            limit: FaultCoverage.faultsPerRun
        )
        var plan = SimulationRun.Plan(
            input: shop.input,
            model: isLearning ? nil : shop.expected.model,
            faults: FaultPlan(seed: random.next(), dice: dice, and: entries),
            seed: random.next()
        )
        if random.below(3) == 0 {
            plan.instances = ["a", "b"]
            plan.stopsPerMille = [0, 5, 20][random.below(3)]
        }
        plan.loop.transactionRecords = [1, 4, 16, 64, 1_000][random.below(5)]
        plan.loop.transactionBytes = [2_000, 1 << 20][random.below(2)]
        plan.loop.rescoreRows = [5, 1_000][random.below(2)]
        plan.loop.dueRows = [2, 1_000][random.below(2)]
        plan.loop.intervalMinimumMilliseconds = [1, 10][random.below(2)]
        plan.broker.markerDelayMilliseconds = [0, 0, 3, 250][random.below(4)]
        plan.broker.sessionTimeoutMilliseconds = [1_000, 10_000][random.below(2)]
        plan.recordsBefore = random.below(shop.input.records.count)
        // A given model has no other version, so most commands are refused there.
        plan.commandsPerMille = [20, 100][random.below(2)]
        if keepsCheckpoints {
            for instance in plan.instances {
                plan.checkpoints[instance] = MemoryCheckpoints(
                    damagePerCent: [0, 10][random.below(2)],
                    intervalMilliseconds: [1, 20, 200][random.below(3)],
                    rows: [3, 1_000][random.below(2)]
                )
            }
        }
        self.plan = plan
        expected = isLearning ? nil : shop.expected
    }
}
