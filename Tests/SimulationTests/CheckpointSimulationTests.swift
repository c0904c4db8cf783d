import Engine
import Segmentation
import TestSupport
import Testing

/// Checkpoints make restores shorter and never wrong, whatever happens to the workers and to their
/// disks.
@Suite struct CheckpointSimulationTests {
    /// A seeded run whose workers keep checkpoints, die often, and find their files changed.
    private static func plan(_ seed: UInt64, _ shops: [SeededPlan.Shop]) -> SeededPlan {
        var seeded = SeededPlan(seed: seed, shops: shops)
        var random = SplitMix64(seed: seed &* 77)
        let kinds: [Fault.Kind] = [.crash, .retriable, .fatal, .unavailable(calls: 3)]
        var entries = FaultDraw.entries(&random)
        for (method, calls) in [
            (LogMethod.bounds, 12), (.tombstoneRetention, 2), (.beginRestore, 6), (.restore, 6),
            (.commitTransaction, 20), (.produce, 200), (.poll, 60),
        ] {
            let fault = Fault(
                method == .poll ? .crash : kinds[random.below(kinds.count)],
                Fault.Moment.allCases[random.below(2)]
            )
            entries.append(FaultPlan.Entry(fault, at: method, call: 1 + random.below(calls)))
        }
        seeded.plan.faults = FaultPlan(entries)
        seeded.plan.stopsPerMille = [0, 5, 20][random.below(3)]
        for instance in seeded.plan.instances {
            seeded.plan.checkpoints[instance] = MemoryCheckpoints(
                damagePerCent: 30,
                intervalMilliseconds: [1, 20, 200][random.below(3)],
                rows: [1, 3, 1_000][random.below(3)]
            )
        }
        return seeded
    }

    @Test func everyRunKeepsEveryPromise() throws {
        let shops = try SeededPlan.shops()
        var counts: [String: Int] = [:]
        for seed in UInt64(1)...40 {
            let seeded = Self.plan(seed, shops)
            var run = SimulationRun(seeded.plan)
            run.run()
            let problems = Audit(run, expected: seeded.expected).problems
            #expect(problems.isEmpty, "seed \(seed): \(problems.prefix(5).joined(separator: "; "))")
            for disk in seeded.plan.checkpoints.values {
                for report in ["wrote", "restored", "ignored"] {
                    counts[report, default: 0] += disk.count(report)
                }
                counts["damaged", default: 0] += disk.damagedCount
            }
        }
        print("checkpoints: \(counts)")
        for report in ["wrote", "restored", "ignored", "damaged"] {
            #expect(counts[report, default: 0] > 50, "\(report) too seldom to prove anything")
        }
    }

    /// An offset that runs ahead of the rows is found: the runs above would find a wrong order.
    @Test func seededRunsFindTheMutant() throws {
        let shops = try SeededPlan.shops()
        let seed = (UInt64(1)...40).first { seed in
            var seeded = Self.plan(seed, shops)
            seeded.plan.loop.mutation = .checkpointOffsetAhead
            var run = SimulationRun(seeded.plan)
            run.run()
            return !Audit(run, expected: seeded.expected).problems.isEmpty
        }
        #expect(seed != nil, "no seed finds it")
    }
}
