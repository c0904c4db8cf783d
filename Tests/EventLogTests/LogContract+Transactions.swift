import EventLog
import TestSupport
import Testing

extension LogHarness where Log: ~Copyable {
    func checkCommit() throws {
        try feed(["a", "b", "c"])
        var log = try makeReadyLog("w")
        let before = try log.committedOffsets(of: [0, 1])
        #expect(before.map(\.topicIndex) == [0, 0, 1, 1])
        #expect(before.map(\.partition) == [0, 1, 0, 1])
        #expect(before.allSatisfy { $0.offset == nil && $0.metadata.isEmpty })
        try log.consume([0, 1])
        let records = try awaitRecords(3, &log)
        #expect(records.map(\.valueText) == ["a", "b", "c"])
        #expect(records.map(\.offset) == [0, 1, 2])
        try log.beginTransaction()
        try produce(.segments, "one", &log)
        try produce(.changelog, "row", partition: 1, &log)
        let sent = PartitionOffset(topicIndex: 0, partition: 0, offset: 3, metadata: "note=7")
        try log.sendOffsets([sent])
        let early = try readCommitted(.segments)
        #expect(early.isEmpty, "an open transaction is visible")
        try retrying { () throws(LogError) in try log.commitTransaction() }
        let segments = try awaitCommitted(1, in: .segments)
        let rows = try awaitCommitted(1, in: .changelog)
        #expect(segments.map(\.valueText) == ["one"])
        #expect(rows.map(\.valueText) == ["row"])
        let after = try log.committedOffsets(of: [0, 1])
        #expect(after.first == sent)
        #expect(after.dropFirst().allSatisfy { $0.offset == nil })
        let end = try log.endOffset(topicIndex: 0, partition: 0)
        #expect(end == 3)
        log.close()
    }

    func checkAbort() throws {
        try feed(["a", "b"])
        var log = try makeReadyLog("w")
        try log.beginTransaction()
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
        try retrying { () throws(LogError) in try log.commitTransaction() }
        try log.beginTransaction()
        try produce(.segments, "gone", &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 2)])
        try retrying { () throws(LogError) in try log.abortTransaction() }
        let offset = try committed(&log)
        #expect(offset?.offset == 1)
        try log.beginTransaction()
        try produce(.segments, "kept", &log)
        try retrying { () throws(LogError) in try log.commitTransaction() }
        let found = try awaitCommitted(1, in: .segments)
        #expect(found.map(\.valueText) == ["kept"])
        // The aborted record and the marker behind it keep their offsets, as far as the client ever
        // sent them.
        #expect(found.allSatisfy { (0...2).contains($0.offset) })
        log.close()
    }

    func checkFencing() throws {
        var old = try makeReadyLog("w")
        try old.beginTransaction()
        try produce(.segments, "old", &old)
        try old.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 5)])
        var new = try makeLog("w")
        try retrying { () throws(LogError) in try new.initTransactions() }
        var error: LogError?
        // A client may only hear of it with the second call.
        for _ in 0..<pollCountMax where error == nil || error?.remedy == .retry {
            error = fault { () throws(LogError) in
                try produce(.segments, "older still", &old)
                try old.commitTransaction()
            }
            if error == nil { break }
        }
        #expect(error?.remedy == .restartProcess)
        #expect(error?.isFenced == true)
        try new.beginTransaction()
        try produce(.segments, "new", &new)
        try retrying { () throws(LogError) in try new.commitTransaction() }
        let found = try awaitCommitted(1, in: .segments)
        #expect(found.map(\.valueText) == ["new"])
        let offset = try committed(&new)
        #expect(offset?.offset == nil)
        kill(old)
        new.close()
    }

    func checkPendingOffsets() throws {
        var dead = try makeReadyLog("dead")
        try dead.beginTransaction()
        try dead.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
        try retrying { () throws(LogError) in try dead.commitTransaction() }
        try dead.beginTransaction()
        try dead.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 9)])
        kill(dead)
        var other = try makeLog("other")
        try retrying { () throws(LogError) in try other.initTransactions() }
        let offset = try committed(&other)
        #expect(offset?.offset == 1)
        // Once they are told, nothing may change them any more.
        let again = try committed(&other)
        #expect(again?.offset == 1)
        other.close()
    }

    func checkRewind() throws {
        try feed(["a", "b", "c"])
        var log = try makeReadyLog("w")
        let start = try log.committedOffsets(of: [0, 1])
        try log.consume([0, 1])
        let first = try awaitRecords(3, &log)
        try log.beginTransaction()
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 3)])
        try retrying { () throws(LogError) in try log.abortTransaction() }
        let back = try log.committedOffsets(of: [0, 1])
        #expect(back == start)
        try log.consume([0, 1])
        let second = try awaitRecords(3, &log)
        #expect(second == first)
        log.close()
    }

    /// Every start is an offset that can be committed, also where nothing is read from it yet.
    func checkStarts() throws {
        let now = wallMilliseconds()
        for index in Int64(0)..<4 {
            try feed(["\(index)"], timestamp: now - 4_000 + 1_000 * index)
        }
        try deleteRecords(0, 0, 1)
        let starts: [(LogStart, Int64)] = [
            (.earliest, 1), (.latest, 4), (.timestamp(now - 10_000), 1),
            (.timestamp(now - 2_500), 2), (.timestamp(now - 2_000), 2),
            (.timestamp(now + 60_000), 4),
        ]
        for (start, expected) in starts {
            var log = try makeLog("\(start)", start: start)
            var found: [Int64] = []
            for partition in Int32(0)...1 {
                try retrying { () throws(LogError) in
                    found.append(try log.startOffset(topicIndex: 0, partition: partition))
                }
            }
            #expect(found == [expected, 0], "\(start)")
            log.close()
        }
        var log = try makeReadyLog("w", start: .latest)
        let offsets = try log.consume([0, 1])
        #expect(offsets.map(\.offset) == [4, 0, 0, 0])
        try log.beginTransaction()
        try log.sendOffsets(offsets)
        try retrying { () throws(LogError) in try log.commitTransaction() }
        try feed(["4"])
        let after = try log.consume([0, 1])
        #expect(after == offsets)
        let records = try awaitRecords(1, &log)
        #expect(records.map(\.valueText) == ["4"])
        log.close()
    }

    func checkEmptyTransactions() throws {
        var log = try makeReadyLog("w")
        try log.beginTransaction()
        try retrying { () throws(LogError) in try log.commitTransaction() }
        try log.beginTransaction()
        try retrying { () throws(LogError) in try log.abortTransaction() }
        try log.beginTransaction()
        try produce(.model, "m", &log)
        try retrying { () throws(LogError) in try log.commitTransaction() }
        let found = try awaitCommitted(1, in: .model)
        #expect(found.map(\.valueText) == ["m"])
        log.close()
    }
}
