import EventLog
import TestSupport
import Testing

/// What the model broker promises beyond the contract: time, death, and cleaning.
struct ModelBrokerTests {
    @Test func abandonedTransactionIsAbortedAndItsProducerFenced() throws {
        let shop = ModelShop()
        var log = shop.makeLog()
        try log.initTransactions()
        try log.beginTransaction()
        try shop.produce("late", &log)
        shop.broker.append("changelog", partition: 0, key: "k", value: "behind")
        shop.broker.clock.sleep(milliseconds: 9_999)
        #expect(shop.broker.lastStableOffset("changelog", partition: 0) == 0)
        shop.broker.clock.sleep(milliseconds: 2)
        #expect(shop.broker.readCommitted("changelog").map(\.valueText) == ["behind"])
        let error = shop.fault { () throws(LogError) in try log.commitTransaction() }
        #expect(error?.isFenced == true)
        #expect(shop.broker.readUncommitted("changelog").count == 2)
    }

    /// Its markers have come too when somebody looks after a long time, for the first time.
    @Test func abandonedTransactionEndsThoughNobodyAsks() throws {
        var settings = ModelBroker.Settings()
        settings.markerDelayMilliseconds = 500
        let shop = ModelShop(settings: settings)
        var log = shop.makeLog()
        try log.initTransactions()
        try log.beginTransaction()
        try shop.produce("late", &log)
        shop.broker.clock.sleep(milliseconds: 10_400)
        #expect(shop.broker.openTransactionCount == 1, "decided, but without markers yet")
        shop.broker.clock.sleep(milliseconds: 200)
        #expect(shop.broker.openTransactionCount == 0)
    }

    @Test func groupWaitsForADeadMemberUntilItsSessionEnds() throws {
        let shop = ModelShop()
        var dead = shop.makeLog("dead")
        #expect(try shop.poll(&dead) == .assigned([0, 1]))
        dead.crash()
        var heir = shop.makeLog("heir")
        #expect(try shop.poll(&heir) == .records)
        #expect(shop.broker.assignments(of: "group") == [[0, 1], []])
        shop.broker.clock.sleep(milliseconds: 10_000)
        #expect(try shop.poll(&heir) == .assigned([0, 1]))
    }

    @Test func logThatGoesOutOfScopeDiesLikeAProcess() throws {
        let shop = ModelShop()
        do {
            var log = shop.makeLog()
            try log.initTransactions()
            _ = try shop.poll(&log)
            try log.beginTransaction()
            try shop.produce("open", &log)
        }
        #expect(shop.broker.openTransactionCount == 1)
        #expect(shop.broker.assignments(of: "group") == [[0, 1]])
        shop.broker.clock.sleep(milliseconds: 10_001)
        #expect(shop.broker.openTransactionCount == 0)
        #expect(shop.broker.assignments(of: "group").isEmpty)
    }

    @Test func partitionsAreSharedOutByRange() throws {
        let shop = ModelShop(partitions: 5)
        var first = shop.makeLog("first")
        _ = try shop.poll(&first)
        try first.releaseAssignment()
        var second = shop.makeLog("second")
        #expect(try shop.poll(&second) == .records)
        // What it let go before anyone asked for it still counts as its own.
        #expect(try shop.poll(&first) == .revoked([0, 1, 2, 3, 4], lost: false))
        try first.releaseAssignment()
        #expect(try shop.poll(&first) == .assigned([0, 1, 2]))
        #expect(try shop.poll(&second) == .assigned([3, 4]))
    }

    @Test func markersOfALaterMomentHoldReadersAndOffsetsBack() throws {
        var settings = ModelBroker.Settings()
        settings.markerDelayMilliseconds = 500
        let shop = ModelShop(settings: settings)
        var log = shop.makeLog()
        try log.initTransactions()
        _ = try shop.poll(&log)
        try log.beginTransaction()
        try shop.produce("row", &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 4)])
        try log.commitTransaction()
        #expect(shop.broker.readCommitted("changelog").isEmpty)
        #expect(shop.broker.committedOffset(group: "group", topic: "events", partition: 0) == nil)
        let offsets = try log.committedOffsets(of: [0])
        #expect(offsets.map(\.offset) == [4], "waited for")
        #expect(shop.broker.readCommitted("changelog").map(\.valueText) == ["row"])
    }

    @Test func pendingOffsetsAreNotAwaitedForEver() throws {
        var settings = ModelBroker.Settings()
        settings.transactionTimeoutMilliseconds = 60_000
        let shop = ModelShop(settings: settings)
        var log = shop.makeLog()
        try log.initTransactions()
        _ = try shop.poll(&log)
        try log.beginTransaction()
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 4)])
        var other = shop.makeLog("other")
        let error = shop.fault { () throws(LogError) in _ = try other.committedOffsets(of: [0]) }
        #expect(error?.remedy == .retry)
        let elsewhere = try other.committedOffsets(of: [1])
        #expect(elsewhere.map(\.offset) == [nil])
    }

    @Test func cleaningKeepsTheNewestOfEachKeyAndAllOffsets() throws {
        let shop = ModelShop()
        var log = shop.makeLog()
        try log.initTransactions()
        for (key, value) in [("a", "1"), ("b", "1"), ("a", "2"), ("b", nil)] {
            shop.broker.append("changelog", partition: 0, key: key, value: value)
        }
        try log.beginTransaction()
        try shop.produce("open", key: "a", &log)
        shop.broker.compact("changelog")
        #expect(shop.broker.readCommitted("changelog").map(\.offset) == [2, 3])
        shop.broker.compact("changelog", dropsTombstones: true)
        try log.commitTransaction()
        #expect(shop.broker.readCommitted("changelog").map(\.offset) == [2, 4])
        shop.broker.compact("changelog")
        #expect(shop.broker.readCommitted("changelog").map(\.offset) == [4])
        var batch = RecordBatch()
        try log.beginRestore(of: .changelog, partition: 0)
        let progress = try log.restore(into: &batch, timeoutMilliseconds: 0)
        #expect(progress == RestoreProgress(position: 6, target: 6, isComplete: true))
        #expect(batch.storedRecords.map(\.valueText) == ["open"])
    }

    @Test func clockMovesOnlyWhenToldTo() {
        let clock = VirtualClock(wallMilliseconds: 5_000)
        #expect(clock.wallMilliseconds() == 5_000 && clock.monotonicMicroseconds() == 0)
        clock.sleep(milliseconds: 3)
        clock.advance(microseconds: 999)
        #expect(clock.wallMilliseconds() == 5_003 && clock.monotonicMicroseconds() == 3_999)
        clock.setWall(milliseconds: 100)
        #expect(clock.wallMilliseconds() == 100 && clock.monotonicMicroseconds() == 3_999)
    }
}
