import EventLog
import TestSupport
import Testing

/// Faults on demand: what they throw, what they leave behind, and that they are counted.
struct ModelBrokerFaultTests {
    private static let kinds: [Fault.Kind] = [
        .retriable, .abortable, .fatal, .fenced, .crash, .rebalance, .expulsion,
        .unavailable(calls: 1), .stall(milliseconds: 5),
    ]

    /// Every call once, in order, with one record consumed and one produced.
    private func session(
        _ shop: ModelShop,
        _ log: inout ModelLog,
        endsWithAbort: Bool = false
    ) throws(LogError) {
        var batch = RecordBatch()
        try log.initTransactions()
        _ = try shop.poll(&log)
        _ = try log.partitionCount(of: .changelog)
        _ = try log.committedOffsets(of: [0, 1])
        _ = try log.tombstoneRetentionMilliseconds()
        _ = try log.bounds(of: .changelog, partition: 0)
        try log.beginRestore(of: .changelog, partition: 0)
        _ = try log.restore(into: &batch, timeoutMilliseconds: 0)
        _ = try log.endOffset(topicIndex: 0, partition: 0)
        let start = try log.startOffset(topicIndex: 0, partition: 0)
        try log.startConsuming(from: [
            PartitionOffset(topicIndex: 0, partition: 0, offset: start)
        ])
        try log.beginTransaction()
        try shop.produce("row", &log)
        try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
        if endsWithAbort { try log.abortTransaction() } else { try log.commitTransaction() }
        try log.releaseAssignment()
    }

    @Test(arguments: kinds, LogMethod.allCases)
    func everyFaultAtEveryCallIsThrownAndCounted(kind: Fault.Kind, method: LogMethod) throws {
        for moment in Fault.Moment.allCases {
            let plan = FaultPlan([.init(Fault(kind, moment), at: method, call: 1)])
            let shop = ModelShop()
            var log = shop.makeLog(plan: plan)
            let isAbort = method == .abortTransaction
            let error = shop.fault { () throws(LogError) in
                try session(shop, &log, endsWithAbort: isAbort)
            }
            #expect(plan.remaining.isEmpty)
            switch kind {
            case .retriable: #expect(error?.remedy == .retry)
            case .abortable:
                let isMeaningful = [.produce, .sendOffsets, .commitTransaction].contains(method)
                #expect(error?.remedy == (isMeaningful ? .abortTransaction : nil))
                #expect(plan.hitCount("abortable", at: method) == (isMeaningful ? 1 : 0))
                continue
            case .fatal: #expect(error?.remedy == .restartProcess && error?.isFenced == false)
            case .fenced: #expect(error?.remedy == .restartProcess && error?.isFenced == true)
            case .crash:
                #expect(error?.code == ModelLog.crashCode && error?.remedy == .restartProcess)
                let isCrashed = log.isCrashed
                #expect(isCrashed)
            case .expulsion, .rebalance, .unavailable, .stall: break
            }
            #expect(plan.hitCount(kind.name, at: method) == 1)
            if error?.remedy == .restartProcess {
                let again = shop.fault { () throws(LogError) in _ = try shop.poll(&log) }
                #expect(again?.code == error?.code, "the end is final")
            }
        }
    }

    @Test(arguments: [LogMethod.commitTransaction, .abortTransaction, .sendOffsets])
    func retryAfterTheEffectDoesNothingTwice(method: LogMethod) throws {
        let plan = FaultPlan([.init(Fault(.retriable, .after), at: method, call: 1)])
        let shop = ModelShop()
        var log = shop.makeLog(plan: plan)
        let isAbort = method == .abortTransaction
        let error = shop.fault { () throws(LogError) in
            try session(shop, &log, endsWithAbort: isAbort)
        }
        #expect(error?.remedy == .retry)
        switch method {
        case .sendOffsets:
            try log.sendOffsets([PartitionOffset(topicIndex: 0, partition: 0, offset: 1)])
            try log.commitTransaction()
        case .commitTransaction:
            let wrong = shop.fault { () throws(LogError) in try log.abortTransaction() }
            #expect(wrong?.remedy == .restartProcess, "the outcome is not known")
            try log.commitTransaction()
        default: try log.abortTransaction()
        }
        let expected: [String?] = isAbort ? [] : ["row"]
        #expect(shop.broker.readCommitted("changelog").map(\.valueText) == expected)
        #expect(shop.broker.highWatermark("changelog", partition: 0) == 2, "one marker")
        try log.beginTransaction()
    }

    @Test(arguments: Fault.Moment.allCases)
    func crashAtTheCommitLeavesAllOrNothing(moment: Fault.Moment) throws {
        let plan = FaultPlan([.init(Fault(.crash, moment), at: .commitTransaction, call: 1)])
        let shop = ModelShop()
        var log = shop.makeLog(plan: plan)
        let error = shop.fault { () throws(LogError) in try session(shop, &log) }
        #expect(error?.code == ModelLog.crashCode)
        #expect(shop.broker.openTransactionCount == (moment == .before ? 1 : 0))
        var next = shop.makeLog()
        try next.initTransactions()
        #expect(shop.broker.openTransactionCount == 0)
        let offset = try next.committedOffsets(of: [0]).first?.offset
        #expect(offset == (moment == .before ? nil : 1))
        let found = shop.broker.readCommitted("changelog").map(\.valueText)
        #expect(found == (moment == .before ? [] : ["row"]))
    }

    @Test func unavailableBrokerAnswersNothingForSoManyCalls() throws {
        let plan = FaultPlan([.init(Fault(.unavailable(calls: 3), .before), call: 2)])
        let shop = ModelShop()
        var log = shop.makeLog(plan: plan)
        try log.initTransactions()
        #expect(try shop.poll(&log) == .records, "a poll brings nothing instead")
        let first = shop.fault { () throws(LogError) in _ = try log.committedOffsets(of: [0]) }
        let second = shop.fault { () throws(LogError) in _ = try log.committedOffsets(of: [0]) }
        #expect(first?.remedy == .retry && second?.remedy == .retry)
        #expect(try shop.poll(&log) == .assigned([0, 1]))
    }

    @Test func sameSeedThrowsTheSameFaults() throws {
        func run(seed: UInt64) -> [FaultPlan.Cell: Int] {
            let dice = FaultPlan.Dice(perMille: 200, kinds: Self.kinds, limit: 40)
            let plan = FaultPlan(seed: seed, dice: dice)
            let shop = ModelShop()
            for _ in 0..<100 {
                var log = shop.makeLog(plan: plan)
                _ = shop.fault { () throws(LogError) in try session(shop, &log) }
            }
            return plan.hits
        }
        let hits = run(seed: 7)
        #expect(hits.values.reduce(0, +) == 40)
        #expect(hits == run(seed: 7))
        #expect(hits != run(seed: 8))
    }

    @Test func stallOutlivesTheTransaction() throws {
        let stall = Fault(.stall(milliseconds: 10_001), .before)
        let plan = FaultPlan([.init(stall, at: .commitTransaction, call: 1)])
        let shop = ModelShop()
        var log = shop.makeLog(plan: plan)
        let error = shop.fault { () throws(LogError) in try session(shop, &log) }
        #expect(error?.isFenced == true)
        #expect(shop.broker.readCommitted("changelog").isEmpty)
    }
}
