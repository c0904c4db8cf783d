import Engine
import Foundation
import TestSupport
import Testing

/// The real commit loop on the model broker, with faults before and after every call of the log.
@Suite struct SimulationTests {
    /// Whatever goes wrong, what readers see is what a core alone makes of the committed input.
    ///
    /// `SIM_RUNS` sets the number of runs, `SIM_SEED` repeats one of them.
    @Test func everyRunKeepsEveryPromise() async throws {
        let environment = ProcessInfo.processInfo.environment
        let only = environment["SIM_SEED"].flatMap { UInt64($0) }
        let count = environment["SIM_RUNS"].flatMap { UInt64($0) } ?? 200
        let seeds = only.map { $0...$0 } ?? 1...max(1, count)
        let shops = try SeededPlan.shops()
        let coverage = await withTaskGroup(of: FaultCoverage.self) { group in
            let lanes: UInt64 = 2
            for lane in 0..<lanes {
                group.addTask {
                    var coverage = FaultCoverage()
                    for seed in seeds where seed % lanes == lane {
                        coverage.add(Self.check(seed, shops))
                    }
                    return coverage
                }
            }
            return await group.reduce(into: FaultCoverage()) { $0.add($1.hits) }
        }
        print(coverage.table)
        if only == nil && count >= 200 {
            #expect(coverage.missing.isEmpty, "no run came to \(coverage.missing)")
        }
    }

    /// Makes one run and audits it.
    ///
    /// - Returns: the faults that happened.
    private static func check(_ seed: UInt64, _ shops: [SeededPlan.Shop]) -> [FaultPlan.Cell: Int] {
        let seeded = SeededPlan(seed: seed, shops: shops)
        var run = SimulationRun(seeded.plan)
        run.run()
        let problems = Audit(run, expected: seeded.expected).problems
        #expect(
            problems.isEmpty,
            "SIM_SEED=\(seed) repeats it: \(problems.prefix(5).joined(separator: "; "))"
        )
        return seeded.plan.faults.hits
    }
}
