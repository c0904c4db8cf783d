import Engine
import Foundation
import Synchronization
import TestSupport
import Testing

/// The real commit loop on the model broker, with faults before and after every call of the log.
@Suite struct SimulationTests {
    /// Whatever goes wrong, what readers see is what a core alone makes of the committed input.
    ///
    /// `SIM_RUNS` sets the number of runs, `SIM_FIRST` the first seed, `SIM_SEED` repeats one of
    /// them. From 20,000 runs on, every fault has to have happened 50 times before and 50 times
    /// after every call.
    @Test func everyRunKeepsEveryPromise() async throws {
        let environment = ProcessInfo.processInfo.environment
        func number(_ name: String) -> UInt64? { environment[name].flatMap { UInt64($0) } }
        let only = number("SIM_SEED")
        let first = number("SIM_FIRST") ?? 1
        let count = max(1, number("SIM_RUNS") ?? 200)
        let seeds = only.map { $0...$0 } ?? first...(first + count - 1)
        let shops = try SeededPlan.shops()
        let tally = Tally()
        await withTaskGroup { group in
            let lanes: UInt64 = 2
            for lane in 0..<lanes {
                group.addTask {
                    for seed in seeds where seed % lanes == lane {
                        Self.check(seed, shops, tally)
                    }
                }
            }
        }
        let (all, commands) = tally.result.withLock { ($0.faults, $0.commands) }
        print("seeds \(seeds.lowerBound) to \(seeds.upperBound): \(all.summary)\n\(all.table)")
        print("commands: \(commands)")
        guard only == nil else { return }
        #expect(all.easyRuns <= all.runs / 100)
        if count >= 200 {
            let limit = count >= 20_000 ? 50 : 1
            let missing = all.missing(below: limit)
            #expect(missing.isEmpty, "fewer than \(limit) times: \(missing)")
            #expect(commands[.done, default: 0] > 50, "\(commands)")
        }
    }

    /// What all runs came to.
    private final class Tally: Sendable {
        struct Result: Sendable {
            var faults = FaultCoverage()
            var commands: [SimulatedOperator.Outcome: Int] = [:]
        }

        let result = Mutex(Result())
    }

    /// Makes one run and audits it.
    private static func check(
        _ seed: UInt64,
        _ shops: [SeededPlan.Shop],
        _ tally: Tally
    ) {
        let seeded = SeededPlan(seed: seed, shops: shops)
        var run = SimulationRun(seeded.plan)
        run.run()
        let problems = Audit(run, expected: seeded.expected).problems
        #expect(
            problems.isEmpty,
            "SIM_SEED=\(seed) repeats it: \(problems.prefix(5).joined(separator: "; "))"
        )
        tally.result.withLock { result in
            result.faults.add(seeded.plan.faults.hits, isViolation: !problems.isEmpty)
            result.commands.merge(run.asker.counts, uniquingKeysWith: +)
            // Many runs take long: what there is so far, at once.
            guard result.faults.runs % 1_000 == 0 else { return }
            let words = "\(result.faults.summary)\n\(result.faults.table)\n"
            FileHandle.standardError.write(Data(words.utf8))
        }
    }
}
