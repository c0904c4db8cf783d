import Engine
import EventLog
import Foundation
import Segmentation
import TestSupport
import Testing

/// Due moments in `replay`: decided by the final clock, in an order of their own, to the byte.
@Suite struct ReplayTimerTests {
    /// Lines of output, and how many of them have cause `time`.
    private func replay(
        _ input: SimulationInput,
        model: SegmentModel?,
        asOf: Int64? = nil
    ) throws -> (lines: String, timed: [Int64]) {
        var runner = ReplayRunner(
            configuration: SimulationInput.configuration(learning: model == nil),
            model: model,
            asOf: asOf,
            encodes: true
        )
        for record in input.records {
            guard let value = record.value else { continue }
            try runner.append(value.span)
        }
        try runner.finish()
        let lines = String(decoding: runner.lines, as: UTF8.self)
        var timed: [Int64] = []
        for line in lines.split(separator: "\n") where line.contains("\"cause\":\"time\"") {
            let start = try #require(line.range(of: "\"effective_at\":\"")).upperBound
            let moment = EventTime.parse(String(line[start...].prefix(24)))
            timed.append(try #require(moment))
        }
        return (lines, timed)
    }

    @Test func twiceGivesTheSameBytesAndLaterClocksMoreMoments() throws {
        let shop = try #require(try SeededPlan.shops().dropFirst(2).first)
        for model in [shop.expected.model, nil] {
            let first = try replay(shop.input, model: model)
            #expect(try replay(shop.input, model: model).lines == first.lines)
            #expect(first.timed.isEmpty == (model == nil), "one batch: its model comes at the end")
        }
        // Everything that is due by the final clock, the lateness included, and nothing behind it.
        let year: Int64 = 365 * 86_400_000
        let last = SimulationRun.wallMilliseconds
        let early = try replay(shop.input, model: shop.expected.model, asOf: last)
        let late = try replay(shop.input, model: shop.expected.model, asOf: last + year)
        #expect(late.timed.count > early.timed.count && late.timed.starts(with: early.timed))
        let extra = late.timed.dropFirst(early.timed.count)
        #expect(extra.allSatisfy { $0 > last && $0 <= last + year })
        #expect(extra.elementsEqual(extra.sorted()))
        let exact = try #require(extra.last)
        let then = try replay(shop.input, model: shop.expected.model, asOf: exact)
        #expect(then.timed.last == exact)
        let before = try replay(shop.input, model: shop.expected.model, asOf: exact - 1)
        #expect(!before.timed.contains(exact))
    }
}
