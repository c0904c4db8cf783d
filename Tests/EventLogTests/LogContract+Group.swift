import EventLog
import TestSupport
import Testing

extension LogHarness where Log: ~Copyable {
    func checkRebalance() throws {
        try feed(["a"], partition: 0)
        try feed(["b"], partition: 1)
        var first = try makeReadyLog("first")
        try first.consume([0, 1])
        _ = try awaitRecords(2, &first)
        try first.beginTransaction()
        try produce(.segments, "in time", &first)
        var second = try makeLog("second")
        try retrying { () throws(LogError) in try second.initTransactions() }
        var firsts: [Int32] = [0, 1]
        var seconds: [Int32] = []
        for _ in 0..<pollCountMax where firsts.count != 1 || seconds.isEmpty {
            let event = try nextEvent(&first)
            switch event {
            case .revoked(let partitions, let lost):
                #expect(partitions.sorted() == firsts)
                #expect(!lost)
                // Nobody else may have them before they are given back.
                for _ in 0..<3 {
                    let early = try nextEvent(&second)
                    #expect(early == .records)
                }
                try first.sendOffsets([
                    PartitionOffset(topicIndex: 0, partition: 0, offset: 1)
                ])
                try retrying { () throws(LogError) in try first.commitTransaction() }
                try first.releaseAssignment()
                firsts = []
            case .assigned(let partitions):
                firsts = partitions.sorted()
                try first.consume(firsts)
            case .records: break
            }
            if case .assigned(let partitions) = try nextEvent(&second) {
                seconds = partitions.sorted()
            }
        }
        #expect((firsts + seconds).sorted() == [0, 1])
        #expect(firsts.count == 1)
        let found = try awaitCommitted(1, in: .segments)
        #expect(found.map(\.valueText) == ["in time"], "a commit before giving back")
        let offset = try committed(&second)
        #expect(offset?.offset == 1)
        second.close()
        // The one that stays gets everything.
        for _ in 0..<pollCountMax where firsts.count != 2 {
            switch try nextEvent(&first) {
            case .revoked: try first.releaseAssignment()
            case .assigned(let partitions): firsts = partitions.sorted()
            case .records: break
            }
        }
        #expect(firsts == [0, 1])
        first.close()
    }

    /// Tools move a group's offsets while nobody is in it.
    func checkOffsetsWithoutMembership() throws {
        try feed(["a", "b"])
        var tool = try makeLog("tool")
        try retrying { () throws(LogError) in try tool.initTransactions() }
        try tool.beginTransaction()
        let offset = PartitionOffset(topicIndex: 0, partition: 0, offset: 1, metadata: "moved")
        try tool.sendOffsets([offset])
        try retrying { () throws(LogError) in try tool.commitTransaction() }
        tool.close()
        var log = try makeReadyLog("member")
        let found = try committed(&log)
        #expect(found?.offset == 1)
        #expect(found?.metadata == "moved")
        log.close()
    }

    func checkStaleMember() throws {
        try feed(["a"])
        var stale = try makeReadyLog("stale")
        try stale.consume([0, 1])
        _ = try awaitRecords(1, &stale)
        try stale.beginTransaction()
        try produce(.segments, "twice", &stale)
        var heir = try makeLog("heir")
        try retrying { () throws(LogError) in try heir.initTransactions() }
        var heirs: [Int32] = []
        try expel(&stale) { try followGroup(&heir, &heirs) }
        for _ in 0..<pollCountMax where heirs.count != 2 { try followGroup(&heir, &heirs) }
        #expect(heirs.sorted() == [0, 1])
        let error = fault { () throws(LogError) in
            try stale.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
        }
        #expect(error?.remedy == .abortTransaction)
        let next = fault { () throws(LogError) in try stale.commitTransaction() }
        #expect(next?.remedy == .abortTransaction, "a failed transaction stays failed")
        try retrying { () throws(LogError) in try stale.abortTransaction() }
        let found = try readCommitted(.segments)
        #expect(found.isEmpty)
        let offset = try committed(&heir)
        #expect(offset?.offset == nil)
        // Whether it is told that they are lost is up to the client: the refusal is what counts.
        var wasRevoked = false
        var regained: [Int32]?
        for _ in 0..<pollCountMax where regained == nil {
            switch try nextEvent(&stale) {
            case .revoked(let partitions, _):
                #expect(partitions.sorted() == [0, 1])
                wasRevoked = true
                try stale.releaseAssignment()
            case .assigned(let partitions): regained = partitions
            case .records: break
            }
            try followGroup(&heir, &heirs)
        }
        #expect(wasRevoked)
        #expect(regained?.count == 1)
        heir.close()
        stale.close()
    }

    /// One poll of a member that does as the group tells it.
    private func followGroup(_ log: inout Log, _ partitions: inout [Int32]) throws {
        switch try nextEvent(&log) {
        case .assigned(let given):
            partitions = given
            try log.consume(given)
        case .revoked:
            partitions = []
            try log.releaseAssignment()
        case .records: break
        }
    }

    /// What one poll brings; records are read and let go.
    private func nextEvent(_ log: inout Log) throws -> PollResult {
        var batch = RecordBatch()
        return try log.poll(
            into: &batch,
            limits: Self.limits,
            timeoutMilliseconds: pollMilliseconds
        )
    }
}
