import Engine
import EventLog
import TestSupport
import Testing

@testable import Segmentation

/// Rows follow their customers' events into other partitions, all of them or none.
@Suite struct RepartitionTests {
    private static let old = 4
    private static let new = 6
    private static let changelog = "changelog"
    private let broker: ModelBroker

    init() {
        broker = ModelBroker()
        broker.createTopic(SimulationInput.eventTopic, partitions: Self.old)
        broker.createTopic(Self.changelog, partitions: Self.old)
        broker.createTopic("model", partitions: 1)
        broker.createTopic("rejected", partitions: 1)
        broker.createTopic("segments", partitions: Self.old)
    }

    private static func place(_ key: String, _ count: Int) -> Int32 {
        KeyPartitioner.murmur2.partition(of: Array(key.utf8)[...], count: count)
    }

    private func log(_ plan: FaultPlan? = nil) throws(RepartitionFailure) -> ModelLog {
        var log = ModelLog(
            broker: broker,
            configuration: ModelLogConfiguration(
                group: SimulationInput.group,
                instance: "repartition",
                eventTopics: [SimulationInput.eventTopic]
            ),
            plan: plan
        )
        do throws(LogError) { try log.initTransactions() } catch { throw .log(error) }
        return log
    }

    /// What the command does.
    private func repartition(
        _ faults: FaultPlan? = nil,
        partitioner: KeyPartitioner? = nil,
        onlyMarks: Bool = false
    ) throws(RepartitionFailure) -> RepartitionPlan? {
        let work = Repartition(partitioner: partitioner, wallMilliseconds: 99)
        var first = try log(faults)
        var reader = ModelEventReader(broker, plan: faults)
        let inputCount = broker.partitionCount(of: SimulationInput.eventTopic)
        let found = try work.plan(
            log: &first,
            reader: &reader,
            topicCount: 1,
            inputCount: inputCount,
            changelogCount: broker.partitionCount(of: Self.changelog)
        )
        guard let plan = found, plan.obstacles.isEmpty else { return found }
        try work.mark(plan, on: &first)
        first.close()
        if onlyMarks { return plan }
        broker.grow(Self.changelog, to: inputCount)
        var second = try log(faults)
        try work.move(plan, on: &second)
        second.close()
        return plan
    }

    // MARK: a changelog made by hand

    private static let keys = (0..<40).map { "c-\($0)" }

    private static func stub(_ number: UInt64, time: Int64) -> (key: [UInt8], value: [UInt8]) {
        var bytes: [UInt8] = []
        let ranges = RowCodec.encode(
            SuppressionKey(high: number, low: number, partition: 0),
            Suppression(time: time, life: 5, partition: 0),
            into: &bytes
        )
        return (Array(bytes[ranges.key]), Array(bytes[ranges.value]))
    }

    /// Rows, some of them superseded, some gone; two erased customers; events that were read.
    private func fill() throws {
        for key in Self.keys {
            let place = Self.place(key, Self.old)
            broker.append(Self.changelog, partition: place, key: key, value: "before")
            broker.append(Self.changelog, partition: place, key: key, value: "row of \(key)")
            broker.append(SimulationInput.eventTopic, partition: place, key: key, value: "event")
        }
        // Gone, from somewhere else: says nothing of where keys belong.
        for partition in 0..<Int32(Self.old) {
            broker.append(Self.changelog, partition: partition, key: "gone", value: "x")
            broker.append(Self.changelog, partition: partition, key: "gone", value: nil)
        }
        for (number, time, partition) in [(UInt64(1), Int64(10), Int32(0)), (1, 20, 2), (2, 5, 3)] {
            let stub = Self.stub(number, time: time)
            broker.append(
                Self.changelog,
                partition: partition,
                key: stub.key,
                value: stub.value
            )
        }
        try commit(metadata: "backfill=3 claim=a@1")
        broker.grow(SimulationInput.eventTopic, to: Self.new, readBy: SimulationInput.group)
    }

    /// The group has read everything.
    private func commit(metadata: String) throws {
        var tool = try log()
        try tool.beginTransaction()
        let offsets = (0..<Int32(Self.old)).map { partition in
            PartitionOffset(
                topicIndex: 0,
                partition: partition,
                offset: broker.highWatermark(SimulationInput.eventTopic, partition: partition),
                metadata: metadata
            )
        }
        try tool.sendOffsets(offsets)
        try tool.commitTransaction()
        tool.close()
    }

    /// What stands in the changelog: value and partition of every key.
    private func state() -> [[UInt8]: [Int32: [UInt8]]] {
        var state: [[UInt8]: [Int32: [UInt8]]] = [:]
        for record in broker.readCommitted(Self.changelog) {
            state[record.key ?? [], default: [:]][record.partition] = record.value
        }
        return state.filter { !$0.value.isEmpty }
    }

    private static func expected() -> [[UInt8]: [Int32: [UInt8]]] {
        var state: [[UInt8]: [Int32: [UInt8]]] = [:]
        for key in keys {
            state[Array(key.utf8)] = [place(key, new): Array("row of \(key)".utf8)]
        }
        for stub in [stub(1, time: 20), stub(2, time: 5)] {
            for partition in 0..<Int32(new) {
                state[stub.key, default: [:]][partition] = stub.value
            }
        }
        return state
    }

    private func offsets() throws -> [PartitionOffset] {
        var tool = try log()
        let count = Int32(broker.partitionCount(of: SimulationInput.eventTopic))
        let found = try tool.committedOffsets(of: (0..<count).map { $0 })
        tool.close()
        return found
    }

    @Test func everyRowMovesAsItIsAndEveryStubGoesEverywhere() throws {
        try fill()
        let before = try offsets()
        let found = try repartition()
        let plan = try #require(found)
        #expect(plan.partitioner == .murmur2)
        #expect(plan.customers == 40)
        #expect(plan.erased == 2)
        let moving = Self.keys.filter { Self.place($0, Self.old) != Self.place($0, Self.new) }
        #expect(plan.moving == moving.count)
        #expect(moving.count > 10)
        #expect(state() == Self.expected())
        let after = try offsets()
        #expect(after.prefix(4).map(\.offset) == before.prefix(4).map(\.offset))
        #expect(after.suffix(2).map(\.offset) == [0, 0])
        let texts = after.map(\.metadata)
        #expect(texts.prefix(4).allSatisfy { $0 == "backfill=3 claim=repartition@99" })
        #expect(texts.suffix(2).allSatisfy { $0 == "backfill=0 claim=repartition@99" })
        let again = try repartition()
        #expect(again == nil)
        #expect(state() == Self.expected())
    }

    /// The process dies before and after every call: all is moved or nothing is, and then no worker
    /// can take what is there for the whole; running again ends right.
    @Test(arguments: [Fault.Kind.crash, .fenced, .abortable, .retriable])
    func aRunThatEndsAnywhereIsFinishedByTheNext(_ kind: Fault.Kind) throws {
        let calls = try countCalls()
        #expect(calls > 80)
        var marked = 0
        var failed = 0
        for call in 1...calls {
            for moment in [Fault.Moment.before, .after] {
                let test = RepartitionTests()
                try test.fill()
                let unmoved = test.state()
                let plan = FaultPlan([.init(Fault(kind, moment), call: call)])
                do throws(RepartitionFailure) {
                    _ = try test.repartition(plan)
                } catch {
                    failed += 1
                }
                let between = test.state()
                #expect(between == unmoved || between == Self.expected(), "call \(call)")
                let count = test.broker.partitionCount(of: Self.changelog)
                let isMarked = try test.offsets().allSatisfy { $0.metadata.contains(" moving=4 ") }
                #expect(between != unmoved || count == Self.old || isMarked, "call \(call)")
                if isMarked { marked += 1 }
                _ = try test.repartition()
                #expect(test.state() == Self.expected(), "call \(call), \(moment)")
                #expect(try test.offsets().allSatisfy { !$0.metadata.contains("moving") })
            }
        }
        if kind != .retriable {
            #expect(failed > 50)
            #expect(marked > 50)
        }
    }

    private func countCalls() throws -> Int {
        let test = RepartitionTests()
        try test.fill()
        let plan = FaultPlan()
        _ = try test.repartition(plan)
        return plan.calls.values.reduce(0, +)
    }

    @Test func theInputMayGrowAgainBetweenTwoRuns() throws {
        try fill()
        _ = try repartition(onlyMarks: true)
        broker.grow(Self.changelog, to: Self.new)
        broker.grow(SimulationInput.eventTopic, to: 7, readBy: SimulationInput.group)
        let found = try repartition()
        #expect(found?.isResumed == true)
        #expect(found?.oldCount == Self.old)
        let rows = state().filter { $0.key.first != 0 }
        #expect(rows.count == 40)
        for (key, places) in rows {
            let place = KeyPartitioner.murmur2.partition(of: key[...], count: 7)
            #expect(Array(places.keys) == [place])
        }
    }

    // MARK: what is refused

    @Test func unreadEventsOfThoseWhoLeaveAreAnObstacle() throws {
        try fill()
        func append(_ key: String?, to partition: Int32) {
            let topic = SimulationInput.eventTopic
            broker.append(topic, partition: partition, key: key, value: "unread")
        }
        // Somebody who stays, somebody who has come, somebody without a key: all may wait.
        let stays = try #require(
            Self.keys.first { Self.place($0, Self.old) == Self.place($0, Self.new) }
        )
        append(stays, to: Self.place(stays, Self.new))
        for key in Self.keys where key != stays { append(key, to: Self.place(key, Self.new)) }
        append(nil, to: 0)
        let leaver = try #require(
            Self.keys.first { Self.place($0, Self.old) != Self.place($0, Self.new) }
        )
        let place = Self.place(leaver, Self.old)
        let offset = broker.highWatermark(SimulationInput.eventTopic, partition: place)
        let before = broker.readUncommitted(Self.changelog)
        append(leaver, to: place)
        let found = try repartition()
        let obstacles = try #require(found).obstacles
        #expect(obstacles.map(\.partition) == [place])
        #expect(obstacles.map(\.leaving) == [1])
        #expect(obstacles.map(\.lastLeaving) == [offset])
        #expect(broker.readUncommitted(Self.changelog) == before)
        // Once it has been read, nothing is in the way.
        try commit(metadata: "backfill=3")
        _ = try repartition()
        #expect(state() == Self.expected())
    }

    private func refusal(_ partitioner: KeyPartitioner? = nil) -> String? {
        do throws(RepartitionFailure) {
            _ = try repartition(partitioner: partitioner)
            return nil
        } catch {
            guard case .refused(let reason) = error else { return "no refusal: \(error)" }
            return reason
        }
    }

    @Test func keysThatNobodyPlacesStayWhereTheyAre() throws {
        try fill()
        #expect(refusal(.crc32)?.contains("(crc32 does)") == true)
        broker.append(Self.changelog, partition: 1, key: "c-0", value: "twice")
        broker.append(Self.changelog, partition: 2, key: "c-0", value: "twice")
        let before = broker.readUncommitted(Self.changelog)
        #expect(refusal()?.contains("(none known does)") == true)
        #expect(broker.readUncommitted(Self.changelog) == before)
    }

    @Test func eventsInNewPartitionsHaveTheirSay() throws {
        try fill()
        let topic = SimulationInput.eventTopic
        let key = try #require(Self.keys.first { Self.place($0, Self.new) != 5 })
        broker.append(topic, partition: 5, key: key, value: "unread")
        #expect(
            refusal()?.contains("of unread events in new partitions murmur2 explains 0 of 1")
                == true
        )
    }

    @Test func onePartitionBeforeTellsNothing() throws {
        let broker = ModelBroker()
        let test = RepartitionTests(broker: broker, partitions: 1)
        for key in Self.keys {
            broker.append(Self.changelog, partition: 0, key: key, value: "row")
            broker.append(SimulationInput.eventTopic, partition: 0, key: key, value: "event")
        }
        var tool = try test.log()
        try tool.beginTransaction()
        try tool.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 40)])
        try tool.commitTransaction()
        tool.close()
        broker.grow(SimulationInput.eventTopic, to: 3, readBy: SimulationInput.group)
        #expect(test.refusal()?.contains("--partitioner") == true)
        // One event in a new partition, or two, and it is known.
        for key in Self.keys
        where KeyPartitioner.crc32.partition(of: Array(key.utf8)[...], count: 3) > 0 {
            let place = KeyPartitioner.crc32.partition(of: Array(key.utf8)[...], count: 3)
            broker.append(SimulationInput.eventTopic, partition: place, key: key, value: "unread")
        }
        let found = try test.repartition()
        #expect(found?.partitioner == .crc32)
    }

    private init(broker: ModelBroker, partitions: Int) {
        self.broker = broker
        broker.createTopic(SimulationInput.eventTopic, partitions: partitions)
        broker.createTopic(Self.changelog, partitions: partitions)
    }

    @Test func rowsWithoutOffsetsAreNotMoved() throws {
        broker.append(Self.changelog, partition: 0, key: "c-0", value: "row")
        broker.grow(SimulationInput.eventTopic, to: Self.new, readBy: SimulationInput.group)
        #expect(refusal()?.contains("no committed offsets") == true)
    }

    @Test func aGroupThatNeverBeganOnlyGetsItsPartitions() throws {
        broker.grow(SimulationInput.eventTopic, to: Self.new, readBy: SimulationInput.group)
        let found = try repartition()
        #expect(found?.moving == 0)
        #expect(broker.partitionCount(of: Self.changelog) == Self.new)
        #expect(try offsets().allSatisfy { $0.offset == nil })
    }

    // MARK: with a worker

    /// A shop whose input grows in the middle: lives and revisions go on, nobody is lost, and a
    /// worker that starts between the mark and the end does not begin.
    @Test func livesAndRevisionsGoOn() throws {
        let shop = try SeededPlan.shops()[0]
        let records = shop.input.records
        let broker = ModelBroker(
            clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds)
        )
        let whole = ModelBroker(
            clock: VirtualClock(wallMilliseconds: SimulationRun.wallMilliseconds)
        )
        let test = RepartitionTests(broker: broker, partitions: Self.old)
        _ = RepartitionTests(broker: whole, partitions: Self.new)
        for each in [broker, whole] {
            each.createTopic("segments", partitions: 3)
            each.createTopic("model", partitions: 1)
            each.createTopic("rejected", partitions: 1)
        }
        let half = records.count / 2
        Self.append(records[..<half], to: broker, partitions: Self.old)
        let checkpoints = MemoryCheckpoints(intervalMilliseconds: 1, rows: 1_000)
        Self.drain(Self.worker(broker, shop, checkpoints), broker)
        broker.grow(SimulationInput.eventTopic, to: Self.new, readBy: SimulationInput.group)
        Self.append(records[half...], to: broker, partitions: Self.new)
        _ = try test.repartition(onlyMarks: true)
        broker.grow(Self.changelog, to: Self.new)
        let early = Self.worker(broker, shop, checkpoints)
        var end: CommitLoopEnd?
        for _ in 0..<100 where end == nil { end = early.turn() }
        guard case .failed(let error) = end else {
            Issue.record("a worker began between mark and end: \(String(describing: end))")
            return
        }
        #expect(error.code == "PARTITION_COUNT")
        let found = try test.repartition()
        #expect(found?.isResumed == true)
        #expect((found?.moving ?? 0) > 3)
        #expect(checkpoints.files.count == Self.old)
        Self.drain(Self.worker(broker, shop, checkpoints), broker)
        #expect(checkpoints.count("restored") == 0)
        #expect(checkpoints.reasons.contains { $0.contains("repartition@99 has owned it") })
        Self.append(records[...], to: whole, partitions: Self.new)
        Self.drain(Self.worker(whole, shop, nil), whole)
        // Nobody is lost or has two rows, and all rows say the same; how many of the decisions that
        // time brings came between two events depends on who else is in the partition.
        let rows = Self.rows(broker)
        #expect(rows.count > 10)
        #expect(rows.allSatisfy { $0.value.count == 1 })
        let table = try Self.table(broker, shop)
        #expect(try table == Self.table(whole, shop))
        let outputs = Self.outputs(broker)
        #expect(Set(outputs.keys) == Set(Self.outputs(whole).keys))
        for (key, ids) in outputs {
            var next: [Substring: Int] = [:]
            for id in ids where id != "erased" {
                let parts = id.split(separator: "/")
                next[parts[1], default: 0] += 1
                #expect(parts[2] == "\(next[parts[1], default: 0])", "\(key): \(ids)")
            }
        }
    }

    /// The features of all customers as they are restored from the changelog.
    private static func table(_ broker: ModelBroker, _ shop: SeededPlan.Shop) throws -> [String] {
        var core = SegmentationCore(
            configuration: SimulationInput.configuration(learning: false),
            model: shop.expected.model
        )
        for record in broker.readCommitted(changelog) {
            let key = record.key ?? []
            try core.restoreRow(
                key: key.indices,
                value: record.value.map { key.count..<key.count + $0.count },
                bytes: key + (record.value ?? []) + Array(repeating: 0, count: RecordBatch.padding),
                partition: record.partition
            )
        }
        core.finishRestore()
        var lines: [UInt8] = []
        _ = core.appendExport(from: 0, limit: 10_000, into: &lines)
        return String(decoding: lines, as: UTF8.self).split(separator: "\n").map(String.init)
            .sorted()
    }

    private static func append(
        _ records: ArraySlice<SimulationInput.Record>,
        to broker: ModelBroker,
        partitions: Int
    ) {
        for var record in records {
            record.partition =
                record.key.map {
                    KeyPartitioner.murmur2.partition(of: $0[...], count: partitions)
                } ?? 0
            broker.append([record])
        }
    }

    private static func worker(
        _ broker: ModelBroker,
        _ shop: SeededPlan.Shop,
        _ checkpoints: MemoryCheckpoints?
    ) -> SimulatedWorker {
        SimulatedWorker(
            broker: broker,
            instance: "a",
            plan: FaultPlan(),
            model: shop.expected.model,
            checkpoints: checkpoints
        )
    }

    private static func drain(_ worker: SimulatedWorker, _ broker: ModelBroker) {
        let topic = SimulationInput.eventTopic
        for _ in 0..<600 {
            #expect(worker.turn() == nil)
            let isDone = (0..<Int32(broker.partitionCount(of: topic))).allSatisfy { partition in
                broker.committedOffset(
                    group: SimulationInput.group,
                    topic: topic,
                    partition: partition
                ) == broker.highWatermark(topic, partition: partition)
            }
            if isDone { break }
        }
        #expect(worker.stop() == .drained)
    }

    /// Rows as they stand, by customer and partition.
    private static func rows(_ broker: ModelBroker) -> [[UInt8]: [Int32: [UInt8]]] {
        var rows: [[UInt8]: [Int32: [UInt8]]] = [:]
        for record in broker.readCommitted(changelog) where record.key?.first != 0 {
            rows[record.key ?? [], default: [:]][record.partition] = record.value
        }
        return rows.filter { !$0.value.isEmpty }
    }

    /// Ids of the decisions of each customer, in order: customer, life and revision.
    private static func outputs(_ broker: ModelBroker) -> [[UInt8]: [String]] {
        var outputs: [[UInt8]: [String]] = [:]
        for record in broker.readCommitted("segments") {
            let id = record.headers.first { $0.name == Array("ce_id".utf8) }?.value
            outputs[record.key ?? [], default: []].append(
                id.map { String(decoding: $0, as: UTF8.self) } ?? "erased"
            )
        }
        return outputs
    }
}
