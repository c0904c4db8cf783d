import OnlineLearning
import Testing

@testable import Segmentation

/// Refits beside the hot path (DESIGN, sections 6 and 9): a job is held back while life goes on.
@Suite struct RefitBesideTests {
    /// A shop whose refits are due as soon as half of the customers have changed.
    private func shop(seed: UInt64, halfLifeDays: Int64? = nil) -> VersionShop {
        VersionShop(seed: seed, limit: 1) { configuration in
            configuration.model.refitMinimumIntervalMilliseconds = 0
            configuration.model.refitIntervalMilliseconds = 365 * TestConfiguration.day
            configuration.model.miniBatch = 16
            configuration.model.forgettingHalfLifeMilliseconds =
                halfLifeDays.map { $0 * TestConfiguration.day }
        }
    }

    /// A shop with a version that every row has, and with so many changes that the next is due.
    private func learnt(seed: UInt64) throws -> VersionShop {
        let shop = shop(seed: seed)
        shop.populate()
        try shop.refit()
        shop.rescore()
        shop.turnAround(1)
        try #require(shop.version == 1 && shop.core.refitReason == .changedShare)
        return shop
    }

    /// Copies all rows in slices.
    private func prepare(_ shop: VersionShop, limit: Int = 7) throws -> RefitJob {
        for _ in 0..<1_000 {
            if let job = shop.core.prepareRefit(limit: limit) { return job }
            try #require(shop.isPreparingRefit)
        }
        Issue.record("the rows never end")
        return try #require(nil as RefitJob?)
    }

    private func finish(_ shop: VersionShop) throws -> Bool {
        var isTaken = false
        try shop.transaction { isTaken = try shop.core.finishRefit(into: &shop.shop.output) }
        return isTaken
    }

    @Test(arguments: [81, 82, 83] as [UInt64], [nil, 20] as [Int64?])
    func aJobFindsWhatARefitInPlaceFinds(seed: UInt64, halfLifeDays: Int64?) throws {
        let inPlace = shop(seed: seed, halfLifeDays: halfLifeDays)
        let beside = shop(seed: seed, halfLifeDays: halfLifeDays)
        for shop in [inPlace, beside] { shop.populate() }
        for round in 1...3 {
            try inPlace.refit()
            beside.core.receive(try #require(try prepare(beside).run()))
            #expect(try finish(beside))
            #expect(inPlace.version == round && beside.core.model == inPlace.core.model)
            #expect(beside.core.lastRefitCustomers == inPlace.core.lastRefitCustomers)
            #expect(beside.topic.keys.sorted() == inPlace.topic.keys.sorted())
            for shop in [inPlace, beside] {
                shop.rescore()
                // Steps count from sums about different centres, so each begins anew.
                shop.core.rowChanges = -10_000
                shop.turnAround(round)
            }
        }
    }

    @Test func lifeGoesOnWhileAJobRuns() throws {
        let shop = try learnt(seed: 84)
        let before = try #require(shop.shop.model)
        let job = try prepare(shop)
        #expect(shop.core.statistics.changedCustomers == 0)
        shop.events(200)
        shop.turnAround(2)
        #expect(shop.core.refitReason == nil && shop.isRefitUnderWay)
        let step = try #require(shop.shop.model?.step)
        #expect(shop.version == 1 && step > before.step)
        let customers = job.rows.count
        // Somebody new comes, too late for this version.
        shop.transaction {
            for index in 0..<5 {
                shop.shop.send(
                    "{\"type\":\"engagement.visit\",\"time\":\(shop.core.greatestEventTime)}",
                    key: "new\(index)"
                )
            }
        }
        shop.core.receive(try #require(job.run()))
        #expect(try finish(shop))
        #expect(shop.version == 2 && !shop.isRefitUnderWay)
        #expect(shop.core.model?.step == step && shop.core.model?.customers == customers)
        #expect(shop.core.lastRefitCustomers == customers)
        #expect(shop.core.counters.refitsByReason["changed_share"] == 1)
        // Whoever has changed meanwhile counts for the next one.
        shop.rescore()
        #expect(shop.core.statistics.changedCustomers >= 60)
        #expect(shop.core.refitReason == .changedShare)
        shop.expectMembersCounted()
        let other = try shop.restarted()
        #expect(other.model?.version == 2 && other.model?.step == step)
        #expect(other.core.lastRefitCustomers == customers)
    }

    /// A batch may have changed rows before the result is taken over in the same transaction.
    @Test func rowsOfTheSameTransactionLeaveTheSegmentsThatTheyWereIn() throws {
        let shop = try learnt(seed: 86)
        shop.core.receive(try #require(try prepare(shop).run()))
        // Fewer changes than a step takes, which would tell the sums of them.
        shop.core.rowChanges = -10_000
        try shop.transaction {
            for index in 0..<30 {
                shop.shop.send(
                    "{\"type\":\"engagement.visit\",\"time\":\(shop.core.greatestEventTime)}",
                    key: "c\(index)",
                    partition: Int32(index % 2)
                )
            }
            let isTaken = try shop.core.finishRefit(into: &shop.shop.output)
            #expect(isTaken)
        }
        #expect(shop.version == 2)
        shop.rescore()
        shop.expectMembersCounted()
    }

    enum Decision: CaseIterable, Sendable {
        case rollback, partitionsLost, modelRestored, noLonger
    }

    @Test(arguments: Decision.allCases)
    func aDecisionMeanwhileDropsTheResult(decision: Decision) throws {
        let shop = try learnt(seed: 85)
        shop.core.receive(try #require(try prepare(shop).run()))
        #expect(try finish(shop))
        shop.rescore()
        shop.turnAround(2)
        let changed = shop.core.statistics.changedCustomers
        let job = try prepare(shop)
        switch decision {
        case .rollback: try shop.perform(.rollback(version: 1))
        case .partitionsLost: shop.core.dropPartitions([1])
        case .modelRestored: shop.core.adopt(try #require(shop.core.versions.kept[1]))
        case .noLonger: shop.core.learns = false
        }
        let version = shop.version
        shop.core.receive(try #require(job.run()))
        #expect(shop.isRefitFinished)
        #expect(try !finish(shop))
        #expect(shop.version == version && !shop.isRefitUnderWay)
        #expect(shop.core.versions.highest == 2 && shop.topic["version/3"] == nil)
        let customers = shop.core.table.count
        #expect(shop.core.statistics.changedCustomers == min(changed, customers))
    }

    @Test func aDecisionEndsACopyThatHasBegun() throws {
        let shop = try learnt(seed: 86)
        let changed = shop.core.statistics.changedCustomers
        #expect(shop.core.prepareRefit(limit: 20) == nil)
        #expect(shop.core.statistics.changedCustomers == changed - 20)
        shop.core.dropPartitions([])
        shop.turnAround(2)
        #expect(shop.core.prepareRefit(limit: 20) == nil && !shop.isRefitUnderWay)
        #expect(shop.core.statistics.changedCustomers == changed)
        shop.rescore()
        // The next one begins with the first row.
        let job = try prepare(shop, limit: 1_000)
        #expect(job.rows.count == shop.core.table.count)
    }

    @Test func anAbortPutsTheResultBack() throws {
        let shop = try learnt(seed: 87)
        shop.core.receive(try #require(try prepare(shop).run()))
        shop.core.begin()
        #expect(try shop.core.finishRefit(into: &shop.shop.output))
        let found = shop.core.model
        shop.core.abort()
        _ = shop.shop.take()
        #expect(shop.version == 1 && shop.isRefitFinished)
        #expect(shop.core.counters.refitsByReason["changed_share"] == 0)
        #expect(try finish(shop))
        #expect(shop.version == 2 && shop.core.model == found)
        #expect(shop.topic["version/2"] != nil)
    }

    @Test func anAbortedDecisionDropsNothing() throws {
        let shop = try learnt(seed: 88)
        try shop.refit()
        shop.rescore()
        shop.turnAround(2)
        let job = try prepare(shop)
        shop.core.begin()
        _ = try shop.core.perform(.rollback(version: 1), into: &shop.shop.output)
        shop.core.receive(try #require(job.run()))
        #expect(try !shop.core.finishRefit(into: &shop.shop.output))
        shop.core.abort()
        _ = shop.shop.take()
        #expect(shop.version == 2 && shop.isRefitFinished)
        #expect(try finish(shop))
        #expect(shop.version == 3)
    }

    @Test(arguments: RefitStage.allCases)
    func aJobEndsAtTheStageWhereItIsTold(stage: RefitStage) throws {
        let shop = try learnt(seed: 89)
        var stages: [RefitStage] = []
        let result = try prepare(shop).run { begun in
            stages.append(begun)
            return begun != stage
        }
        #expect(result == nil && stages.last == stage)
    }
}

extension VersionShop {
    fileprivate var isRefitUnderWay: Bool { core.isRefitUnderWay }
    fileprivate var isPreparingRefit: Bool { core.isPreparingRefit }
    fileprivate var isRefitFinished: Bool { core.isRefitFinished }
}
