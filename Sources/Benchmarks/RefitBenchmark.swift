import Foundation
import Segmentation
import Synchronization

/// Time of a refit, and the longest pause it causes in the hot path.
///
/// A core with so many customers takes batches of events at a steady rate while the refit is
/// prepared, runs on another thread, is taken over, and all rows are scored again, as in the
/// daemon. Every step on the hot path is timed.
struct RefitBenchmark: ~Copyable {
    /// Events of a turn, and turns in a second.
    private static let turnEvents = 256
    private static let turnsPerSecond = 40
    /// As the commit loop does it.
    private static let copiedRows = 16_384
    private static let rescoredRows = 500
    private static let maintainedRows = 4_096

    private let customers: Int
    private var core: SegmentationCore
    private var output = StepOutput()
    private var stream: OrderStream
    private var next = 0
    /// Longest time of each step in milliseconds, by the clock and on the processor, and how often
    /// it was taken.
    private var longest: [String: (wall: Double, processor: Double, count: Int)] = [:]

    init(customers: Int) {
        self.customers = customers
        core = SegmentationCore(
            configuration: BenchmarkConfiguration.shop,
            customerFromBody: true
        )
        stream = OrderStream(
            count: 2 * customers,
            customers: customers,
            milliseconds: 100 * 86_400_000,
            seed: 1
        )
    }

    mutating func run() {
        while next < stream.lines.count { turn(1_024) }
        let first = Measure.seconds {
            core.begin()
            do {
                try core.refit(at: core.greatestEventTime, into: &output)
            } catch {
                preconditionFailure("the first refit failed: \(error)")
            }
            core.commit()
        }
        output.removeAll()
        while core.isRescoring { rescore(65_536) }
        // Two months later: the next refit is due, with incumbent, sweep and guard.
        stream = OrderStream(
            count: 1_000_000,
            customers: customers,
            milliseconds: 3_600_000,
            seed: 2,
            from: 2 * customers,
            after: 160 * 86_400_000
        )
        next = 0
        longest = [:]
        for _ in 0..<Self.turnsPerSecond { pacedTurn("turn before the refit") }
        let finder = RefitFinder()
        var hasBegun = false
        while !hasBegun || core.isRefitUnderWay {
            pacedTurn("turn during the refit")
            if !hasBegun || core.isPreparingRefit {
                let prepared = time("slice of copied rows") { bench in
                    bench.core.prepareRefit(limit: Self.copiedRows)
                }
                hasBegun = hasBegun || core.isRefitUnderWay
                precondition(hasBegun, "no refit is due")
                if let prepared { finder.start(prepared) }
            } else {
                maintain()
            }
            guard let result = finder.take() else { continue }
            core.receive(result)
            finish()
        }
        while core.isRescoring {
            pacedTurn("turn while rows are scored again")
            time("slice of rows scored again") { bench in bench.rescore(Self.rescoredRows) }
            maintain()
        }
        while core.isMaintenanceDue {
            pacedTurn("turn while sums are made anew and blocks moved")
            maintain()
        }
        rollBack()
        report(first: first, finder)
    }

    private mutating func maintain() {
        guard core.isMaintenanceDue else { return }
        time(core.isRebuilding ? "slice of sums made anew" : "slice of moved blocks") { bench in
            bench.core.maintain(limit: Self.maintainedRows)
        }
    }

    private mutating func rollBack() {
        core.begin()
        time("an operator's rollback") { bench in
            do {
                _ = try bench.core.perform(.rollback(version: 1), into: &bench.output)
            } catch {
                preconditionFailure("the rollback was refused: \(error)")
            }
        }
        core.commit()
        output.removeAll()
    }

    private mutating func finish() {
        core.begin()
        let isTaken = time("taking the result over") { bench in
            do {
                return try bench.core.finishRefit(into: &bench.output)
            } catch {
                preconditionFailure("the refit failed: \(error)")
            }
        }
        precondition(isTaken, "nobody has decided anything meanwhile")
        core.commit()
        output.removeAll()
    }

    private mutating func rescore(_ limit: Int) {
        core.begin()
        core.rescore(
            limit: limit,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &output
        )
        core.commit()
        output.removeAll()
    }

    /// A turn at its time.
    private mutating func pacedTurn(_ name: String) {
        let start = ContinuousClock.now
        time(name) { bench in bench.turn(Self.turnEvents) }
        let left = Duration.seconds(1) / Self.turnsPerSecond - (ContinuousClock.now - start)
        if left > .zero { Thread.sleep(forTimeInterval: left / .seconds(1)) }
    }

    private mutating func turn(_ count: Int) {
        core.begin()
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        for _ in 0..<count where next < stream.lines.count {
            core.apply(
                InputRecord(
                    key: nil,
                    value: stream.lines[next],
                    headers: 0..<0,
                    partition: 0,
                    timestampMilliseconds: nil
                ),
                recordIndex: 0,
                bytes: stream.bytes,
                headers: [],
                context: context,
                into: &output
            )
            next += 1
        }
        core.appendChangelog(into: &output)
        core.commit()
        output.removeAll()
    }

    private mutating func time<Value>(_ name: String, _ body: (inout Self) -> Value) -> Value {
        let before = Self.processorMilliseconds
        let start = ContinuousClock.now
        let value = body(&self)
        let wall = (ContinuousClock.now - start) / .milliseconds(1)
        let processor = Self.processorMilliseconds - before
        let known = longest[name] ?? (0, 0, 0)
        longest[name] = (
            max(known.wall, wall), max(known.processor, processor), known.count + 1
        )
        return value
    }

    /// Time that this thread has had a processor: others on the machine do not lengthen it.
    private static var processorMilliseconds: Double {
        let text = FileManager.default.contents(atPath: "/proc/thread-self/schedstat")
        let field = text.map { String(decoding: $0, as: UTF8.self) }?.split(separator: " ").first
        return (field.flatMap { Double($0) } ?? 0) / 1e6
    }

    private func report(first: Double, _ finder: RefitFinder) {
        print("refit with \(core.customerCount) customers")
        print(String(format: "  the first one, in place: %.2f s", first))
        let stages = finder.stages
        for (stage, seconds) in stages {
            print(String(format: "  %@: %.2f s", "\(stage)", seconds))
        }
        print(
            String(
                format: "  whole job: %.2f s, %.0f MB of copies",
                stages.reduce(0) { $0 + $1.seconds },
                Double(finder.memoryBytes) / 1e6
            )
        )
        let rate = Self.turnEvents * Self.turnsPerSecond
        print("  longest pause of the hot path at \(rate) events/s, and time on the processor:")
        for (name, longest) in longest.sorted(by: { $0.key < $1.key }) {
            print(
                String(
                    format: "    %@: %.1f ms, %.1f ms (%d times)",
                    name,
                    longest.wall,
                    longest.processor,
                    longest.count
                )
            )
        }
        if let drift = core.statisticsDrift {
            print(String(format: "  drift of the running sums: %.1e", drift))
        }
    }
}

/// Runs a job on a thread of its own and notes when its stages begin.
private final class RefitFinder: Sendable {
    private struct State {
        var marks: [(stage: RefitStage, at: ContinuousClock.Instant)] = []
        var end: ContinuousClock.Instant?
        var result: RefitResult?
        var memoryBytes = 0
    }

    private let state = Mutex(State())

    func start(_ job: RefitJob) {
        state.withLock { $0.memoryBytes = job.memoryBytes }
        let thread = Thread { [self] in
            let result = job.run { stage in
                self.state.withLock { $0.marks.append((stage, ContinuousClock.now)) }
                return true
            }
            state.withLock {
                $0.end = ContinuousClock.now
                $0.result = result
            }
        }
        thread.stackSize = 8 << 20
        thread.start()
    }

    func take() -> RefitResult? {
        state.withLock { state in
            defer { state.result = nil }
            return state.result
        }
    }

    var memoryBytes: Int { state.withLock { $0.memoryBytes } }

    /// Seconds of every stage.
    var stages: [(stage: RefitStage, seconds: Double)] {
        state.withLock { state in
            state.marks.indices.map { index in
                let after = index + 1 < state.marks.count ? state.marks[index + 1].at : state.end
                let seconds = after.map { ($0 - state.marks[index].at) / .seconds(1) } ?? 0
                return (state.marks[index].stage, seconds)
            }
        }
    }
}
