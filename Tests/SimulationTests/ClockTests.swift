import Engine
import EventLog
import Foundation
import Segmentation
import TestSupport
import Testing

/// Which clock due moments wait for, in the real commit loop on the model broker.
@Suite struct ClockTests {
    private static let day: Int64 = 86_400_000

    /// One worker over an input that is all in the topic.
    private struct Shop {
        let broker: ModelBroker
        let input: SimulationInput
        let model: SegmentModel
        var loop = CommitLoopConfiguration()

        init(seed: UInt64) throws {
            let shop = try #require(try SeededPlan.shops().dropFirst(Int(seed)).first)
            input = shop.input
            model = shop.expected.model
            broker = ModelBroker(
                clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds),
                settings: ModelBroker.Settings()
            )
            broker.createSimulationTopics()
        }

        func append(_ records: some Sequence<SimulationInput.Record>) {
            broker.append(records)
        }

        func worker(_ plan: FaultPlan = FaultPlan([])) -> SimulatedWorker {
            SimulatedWorker(
                broker: broker,
                instance: "a",
                plan: plan,
                model: model,
                configuration: loop,
                // The clock alone, in months without an order.
                hasSilenceGuard: false
            )
        }

        /// Lets a worker take turns.
        func turn(_ worker: SimulatedWorker, _ count: Int) {
            for _ in 0..<count { #expect(worker.turn() == nil) }
        }

        /// Records of cause `time`, in order.
        func timed() throws -> [Timed] {
            try broker.readCommitted("segments").compactMap { record in
                guard let value = record.value else { return nil }
                let timed = try JSONDecoder().decode(Timed.self, from: Data(value))
                return timed.cause == "time" ? timed : nil
            }
        }
    }

    /// The part of a record that these tests read.
    private struct Timed: Decodable, Equatable {
        var customer_id: String
        var revision: Int
        var cause: String
        var effective_at: String
        var backfill: Bool
        var churn_band: String

        var effective: Int64 { EventTime.parse(effective_at) ?? 0 }
    }

    @Test func theWallClockMovesTimersOnceTheEndIsReached() throws {
        for clock in [ClockAtEnd.hold, .wall] {
            var shop = try Shop(seed: 0)
            shop.loop.clockAtEnd = clock
            shop.append(shop.input.records)
            let worker = shop.worker()
            shop.turn(worker, 60)
            let before = try shop.timed()
            shop.broker.clock.sleep(milliseconds: Int(1_000 * Self.day))
            shop.turn(worker, 120)
            _ = worker.stop()
            let after = try shop.timed().filter { !before.contains($0) }
            #expect(after.isEmpty == (clock == .hold))
            let wall = shop.broker.clock.wallMilliseconds()
            for record in after {
                #expect(record.effective + 3_600_000 <= wall && !record.backfill)
            }
            if clock == .wall { #expect(after.contains { $0.churn_band == "high" }) }
        }
    }

    @Test func nothingIsSaidOfCustomersWhoseOrdersMayBeWaiting() throws {
        var shop = try Shop(seed: 1)
        shop.loop.clockAtEnd = .wall
        shop.loop.transactionRecords = 4
        shop.append(shop.input.records)
        shop.broker.clock.sleep(milliseconds: Int(400 * Self.day))
        let worker = shop.worker()
        var clock: Int64 = 0
        var isBehind = true
        var read = 0
        while isBehind {
            shop.turn(worker, 1)
            // While records are waiting, no moment is decided that lies behind those read.
            let committed = (0..<Int32(SimulationInput.partitionCount)).map { partition in
                shop.broker.committedOffset(
                    group: SimulationInput.group,
                    topic: SimulationInput.eventTopic,
                    partition: partition
                ) ?? 0
            }
            isBehind = committed.reduce(0, +) < Int64(shop.input.records.count)
            let timed = try shop.timed()
            if isBehind {
                clock = shop.input.records.map(\.timestamp).max() ?? 0
                #expect(timed.allSatisfy { $0.effective < clock && $0.backfill })
                read += 1
            }
        }
        #expect(read > 10)
        shop.turn(worker, 60)
        _ = worker.stop()
        #expect(try shop.timed().contains { $0.effective > clock })
    }

    /// Many at once leave a few a turn, and a process that dies in between leaves none out and says
    /// none twice.
    @Test func manyAtOnceLeaveAFewATurnWhateverDies() throws {
        var expected: [Timed] = []
        for limit in [1_000, 1] {
            var shop = try Shop(seed: 2)
            shop.loop.clockAtEnd = .wall
            shop.loop.dueRows = limit
            shop.append(shop.input.records)
            var worker = shop.worker()
            shop.turn(worker, 80)
            shop.broker.clock.sleep(milliseconds: Int(300 * Self.day))
            var seen = try shop.timed().count
            for round in 0..<300 {
                if limit == 1, round % 7 == 6 {
                    let fault = Fault(.crash, round % 2 == 0 ? .before : .after)
                    worker = shop.worker(
                        FaultPlan([FaultPlan.Entry(fault, at: .commitTransaction, call: 2)])
                    )
                }
                if worker.turn() != nil { worker = shop.worker() }
                let count = try shop.timed().count
                if limit == 1 { #expect(count - seen <= 40) }
                seen = count
            }
            // Nothing dies any more.
            for _ in 0..<300 where worker.turn() != nil { worker = shop.worker() }
            _ = worker.stop()
            let timed = try shop.timed().sorted {
                ($0.customer_id, $0.revision) < ($1.customer_id, $1.revision)
            }
            if limit == 1_000 {
                expected = timed
            } else {
                #expect(timed == expected)
            }
        }
        #expect(expected.count > 10)
    }
}
