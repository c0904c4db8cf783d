import OnlineLearning
import Testing

@testable import Segmentation

/// What the guard waives, and what a restart takes from the model topic (DESIGN, sections 6.5 and
/// 9).
@Suite struct VersionRuleTests {
    // MARK: the guard

    @Test func aRefitOfAProvisionalVersionArmsNothing() throws {
        for isProvisional in [true, false] {
            let shop = VersionShop(seed: 91, limit: 0.9) { configuration in
                configuration.model.minimumCustomers = isProvisional ? 100 : 4
                configuration.model.coldStart = .provisional
            }
            shop.core.versions.isGuardArmed = false
            shop.populate()
            try shop.refit()
            shop.rescore()
            #expect(shop.core.model?.provisional == isProvisional)
            // Nothing has happened, so it is within the limit.
            try shop.refit()
            let share = try #require(shop.core.model?.verdict?.segment_share)
            #expect(shop.version == 2 && share < 0.9)
            #expect(shop.core.versions.isGuardArmed == !isProvisional)
        }
    }

    @Test func aVersionFitToHalfOfTodaysCustomersIsNotProtected() throws {
        for newcomers in [59, 60] {
            let shop = VersionShop(seed: 92, limit: 0)
            shop.populate()
            try shop.refit()
            shop.rescore()
            shop.turnAround(1)
            join(newcomers, shop)
            try shop.refit()
            let highest = shop.core.versions.highest
            let fitted = shop.core.versions.kept[highest]
            let candidate = try #require(fitted)
            #expect(candidate.customers == 60 + newcomers)
            #expect((candidate.verdict?.segment_share ?? 0) > 0.2)
            #expect((shop.shadow == 2) == (newcomers == 59))
            #expect((candidate.verdict?.held_because == nil) == (newcomers == 60))
        }
    }

    private func join(_ count: Int, _ shop: VersionShop) {
        let time = shop.core.greatestEventTime
        shop.transaction {
            for index in 0..<count {
                shop.shop.send(
                    "{\"type\":\"customer.profile\",\"time\":\(time),"
                        + "\"income\":\(20_000 + 500 * index),\"kids_home\":1}",
                    key: "new\(index)"
                )
            }
        }
    }

    /// Both versions decide about a customer at the moment of the refit, or at the customer's own
    /// clock where that is later.
    @Test func theGuardLooksAtTheMomentOfTheRefit() throws {
        let shop = VersionShop(seed: 93)
        shop.populate()
        try shop.refit()
        shop.rescore()
        let fitted = shop.core.model
        let present = try #require(fitted)
        // Another scale of recency: how many it moves depends on how long everybody has been away.
        var candidate = present
        let recency = try #require(present.featureNames.firstIndex(of: "recency"))
        candidate.scale[recency] /= 4
        candidate.prepare()
        let clocks = (0..<shop.core.table.rowEnd).map { shop.core.table.clock($0) }
        func share(_ moment: (Int) -> Int64) -> Double {
            var moved = 0.0
            for row in clocks.indices {
                let features = TwoPass.features(row, shop.shop, at: moment(row))
                let segments = [present, candidate].map { model in
                    let values = features.indices.map {
                        features[$0].isNaN ? model.imputation[$0] : features[$0]
                    }
                    var scores = Array(repeating: 0.0, count: model.componentCount)
                    model.project(values, into: &scores)
                    let distances = model.segments.indices.map {
                        model.squaredDistance(scores, to: $0)
                    }
                    return distances.firstIndex(of: distances.min() ?? 0)
                }
                if segments[0] != segments[1] { moved += 1 }
            }
            return moved / Double(clocks.count)
        }
        func judged(at time: Int64) -> Double? {
            ModelGuard.judge(
                candidate,
                against: present,
                table: shop.core.table,
                landmarks: shop.core.landmarks,
                time: time,
                configuration: shop.configuration,
                schema: shop.core.schema,
                isArmed: true
            )?.nearest_share
        }
        let own = share { clocks[$0] }
        let later = shop.core.greatestEventTime + 60 * TestConfiguration.day
        try #require(share { _ in later } != own, "the moment makes a difference")
        #expect(judged(at: later) == share { _ in later })
        let early = TestConfiguration.start - 400 * TestConfiguration.day
        try #require(share { _ in early } != own, "the moment makes a difference")
        #expect(judged(at: early) == own)
    }

    // MARK: restarts

    @Test func aStepOfTheVersionBeforeIsNoStepOfThisOne() throws {
        let shop = VersionShop(seed: 94, limit: 1) { $0.model.miniBatch = 64 }
        shop.populate()
        try shop.refit()
        shop.rescore()
        shop.events(200)
        shop.turnAround(1)
        let step = try #require(shop.topic["step"])
        try shop.refit()
        try #require(shop.version == 2 && shop.topic["step"] == step)
        let other = try shop.restarted()
        #expect(other.model?.centroids == shop.core.model?.centroids)
        #expect(other.model?.version == 2)
    }

    /// The file of the version in force, given again: what has been learnt since stays.
    @Test func aGivenModelOfTheSameNumberIsLearntOnFrom() throws {
        let shop = VersionShop(seed: 95) { $0.model.miniBatch = 64 }
        shop.populate()
        try shop.refit()
        shop.rescore()
        let fitted = shop.core.model
        let given = try #require(fitted)
        shop.events(200)
        #expect((shop.core.model?.step ?? 0) > given.step)
        let other = try shop.restarted(model: given, onlyNewer: true)
        #expect(other.model?.version == 1 && other.model == shop.core.model)
    }

    @Test func theNumberOfCustomersAtADecisionIsRestored() throws {
        let shop = VersionShop(seed: 96, limit: 0)
        try shop.holdBack()
        join(15, shop)
        try shop.perform(.reject(version: 2))
        #expect(shop.core.lastRefitCustomers == 75)
        // Not that of the version in force, which was fit to 60: a refit is due at 150.
        #expect(try shop.restarted().core.lastRefitCustomers == 75)
    }

    @Test func numbersGivenOnceAreRestored() throws {
        let shop = VersionShop(seed: 97, limit: 0)
        try shop.holdBack()
        // Of versions whose documents are gone.
        shop.core.versions.raise(version: 7, nextSegmentID: 42)
        try shop.perform(.reject(version: 2))
        let other = try shop.restarted()
        #expect(other.core.versions.highest == 7 && other.core.versions.nextSegmentID == 42)
    }

    @Test func nothingWaitsBesideANewerGivenModel() throws {
        let shop = VersionShop(seed: 98, limit: 0)
        try shop.holdBack()
        #expect(try shop.restarted().core.shadow?.version == 2)
        let fitted = shop.core.model
        var newer = try #require(fitted)
        newer.version = 40
        let other = try shop.restarted(model: newer, onlyNewer: true)
        #expect(other.model?.version == 40 && other.core.shadow == nil)
        #expect(other.core.refusal(of: .accept(version: nil)) == .noShadow)
    }

    @Test func whoGivesAModelHasChosenIt() throws {
        let shop = VersionShop(seed: 99)
        shop.core.versions.isGuardArmed = false
        shop.populate()
        try shop.refit()
        #expect(try !shop.restarted().core.versions.isGuardArmed)
        let fitted = shop.core.model
        var newer = try #require(fitted)
        newer.version = 40
        let other = try shop.restarted(model: newer, onlyNewer: true)
        #expect(other.core.versions.isGuardArmed)
    }
}
