import Foundation
import Segmentation

/// The stages of one event's path, each on top of those before; a stage's own time is the
/// difference.
struct StageBenchmark {
    let stream: OrderStream
    let rounds: Int

    func run() {
        var before = 0.0
        for stage in PathStage.allCases {
            let seconds = Measure.median(rounds) { once(through: stage) }
            Measure.report(
                "  \(stage.rawValue)",
                seconds: max(0, seconds - before),
                events: stream.lines.count,
                note: "(with those before: \(milliseconds(seconds)) ms)"
            )
            before = seconds
        }
    }

    private func milliseconds(_ seconds: Double) -> Int { Int((seconds * 1000).rounded()) }

    private func once(through stage: PathStage) -> Double {
        var path = EventPath(
            configuration: BenchmarkConfiguration.shop,
            through: stage,
            trainingBytes: stream.bytes,
            trainingLines: stream.lines
        )
        var sum = 0
        let seconds = Measure.seconds {
            for line in stream.lines { sum &+= path.run(line, bytes: stream.bytes) }
        }
        precondition(sum != 1, "the work must not be optimised away")
        return seconds
    }
}
