import OnlineLearning
import Testing

@testable import Segmentation

/// A batch is decoded a few records ahead; nothing but time may depend on that.
@Suite struct BatchTests {
    /// Sends all events of a transaction as one batch.
    private func send(_ events: [TestEvent], withKeys: Bool, to shop: TestShop) {
        var bytes: [UInt8] = []
        var records: [InputRecord] = []
        func store(_ text: String) -> Range<Int> {
            let start = bytes.count
            bytes += Array(text.utf8)
            return start..<bytes.count
        }
        for (index, event) in events.enumerated() {
            let key = withKeys ? store(event.customer) : nil
            records.append(
                InputRecord(
                    key: key,
                    value: store(event.json),
                    headers: 0..<0,
                    partition: event.partition,
                    timestampMilliseconds: nil,
                    isBackfill: index.isMultiple(of: 3)
                )
            )
        }
        bytes += Array(repeating: 0, count: 64)
        shop.core.apply(
            records,
            bytes: bytes,
            headers: [],
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
    }

    /// Sends the same one by one.
    private func sendEach(_ events: [TestEvent], withKeys: Bool, to shop: TestShop) {
        for (index, event) in events.enumerated() {
            let batch = TestBatch(
                value: Array(event.json.utf8),
                key: withKeys ? Array(event.customer.utf8) : nil,
                partition: event.partition
            )
            shop.core.apply(
                batch.record,
                recordIndex: index,
                bytes: batch.bytes,
                headers: [],
                context: StepContext(wallMilliseconds: nil, backfill: index.isMultiple(of: 3)),
                into: &shop.output
            )
        }
    }

    @Test(arguments: [true, false], 1...4)
    func aBatchIsItsRecordsOneByOne(withKeys: Bool, seed: UInt64) throws {
        var configuration = TestConfiguration.smartCart()
        configuration.emit = .all
        let model = try TestModel.shared.get()
        let together = TestShop(configuration, model: model, customerFromBody: !withKeys)
        let apart = TestShop(configuration, model: model, customerFromBody: !withKeys)
        // Few customers, so that most groups meet one of them twice.
        var stream = EventStream(seed: seed, customers: 7)
        stream.erasures = 0.05
        var random = SeededGenerator(seed: seed)
        for round in 0..<20 {
            var events = stream.events(random.next(below: 40))
            for index in events.indices where random.next(below: 10) == 0 {
                events[index].json.removeLast()
            }
            for shop in [together, apart] { shop.core.begin() }
            send(events, withKeys: withKeys, to: together)
            sendEach(events, withKeys: withKeys, to: apart)
            #expect(together.output.rejections == apart.output.rejections, "round \(round)")
            let batch = together.take()
            #expect(batch == apart.take(), "round \(round)")
            #expect(
                TransactionTests.State(together).difference(from: TransactionTests.State(apart))
                    == nil,
                "round \(round)"
            )
            for shop in [together, apart] { shop.core.commit() }
        }
        #expect(apart.core.counters.rejected > 0 && apart.core.counters.erased > 0)
        #expect(apart.core.counters.segmentChanged > 0)
    }
}
