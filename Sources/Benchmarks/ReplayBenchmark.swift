import Engine
import Foundation
import Segmentation

/// The whole replay path on one thread: learning on, outputs encoded and hashed.
struct ReplayBenchmark {
    let stream: OrderStream
    let rounds: Int

    func run() {
        var hash: UInt64 = 0
        var outputs = 0
        var refits = 0
        var bytesPerCustomer = 0.0
        var ledgerPerOrder = 0.0
        let seconds = Measure.median(rounds) {
            var runner = ReplayRunner(
                configuration: BenchmarkConfiguration.shop,
                model: nil,
                asOf: nil,
                encodes: true
            )
            let time = Measure.seconds {
                do {
                    for line in stream.lines {
                        try runner.append(stream.bytes.span.extracting(line))
                        if runner.lines.count > 1 << 20 { runner.removeLines() }
                    }
                    try runner.finish()
                } catch {
                    preconditionFailure("the replay failed: \(error)")
                }
            }
            hash = runner.outputHash
            outputs = runner.outputCount
            refits = runner.refitCount
            let customers = Double(max(1, runner.core.customerCount))
            let ledger = Double(runner.core.ledgerBytes)
            ledgerPerOrder = ledger / Double(max(1, runner.core.ledgerOrderCount))
            bytesPerCustomer = (Double(runner.core.memoryBytes) - ledger) / customers
            return time
        }
        Measure.report(
            "whole replay path",
            seconds: seconds,
            events: stream.lines.count,
            note: "\(refits) refits, \(outputs) records, hash \(String(hash, radix: 16))"
        )
        print(
            String(
                format:
                    "per customer: %.0f bytes besides the ledger, %.1f bytes per order in it",
                bytesPerCustomer,
                ledgerPerOrder
            )
        )
    }
}
