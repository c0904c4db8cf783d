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
        let coverage = await withTaskGroup(of: Coverage.self) { group in
            let lanes: UInt64 = 2
            for lane in 0..<lanes {
                group.addTask {
                    var coverage = Coverage()
                    for seed in seeds where seed % lanes == lane {
                        coverage.add(Self.check(seed, shops))
                    }
                    return coverage
                }
            }
            return await group.reduce(into: Coverage()) { $0.add($1) }
        }
        print(coverage.faults.table)
        print("commands: \(coverage.commands)")
        if only == nil && count >= 200 {
            let missing = coverage.faults.missing
            #expect(missing.isEmpty, "no run came to \(missing)")
            #expect(coverage.commands[.done, default: 0] > 50, "\(coverage.commands)")
        }
    }

    /// What happened in some runs.
    private struct Coverage: Sendable {
        var faults = FaultCoverage()
        var commands: [SimulatedOperator.Outcome: Int] = [:]

        mutating func add(_ other: Coverage) {
            faults.add(other.faults.hits)
            commands.merge(other.commands, uniquingKeysWith: +)
        }
    }

    /// Makes one run and audits it.
    ///
    /// - Returns: the faults and commands that happened.
    private static func check(_ seed: UInt64, _ shops: [SeededPlan.Shop]) -> Coverage {
        let seeded = SeededPlan(seed: seed, shops: shops)
        var run = SimulationRun(seeded.plan)
        run.run()
        let problems = Audit(run, expected: seeded.expected).problems
        #expect(
            problems.isEmpty,
            "SIM_SEED=\(seed) repeats it: \(problems.prefix(5).joined(separator: "; "))"
        )
        var coverage = Coverage(commands: run.asker.counts)
        coverage.faults.add(seeded.plan.faults.hits)
        return coverage
    }
}
