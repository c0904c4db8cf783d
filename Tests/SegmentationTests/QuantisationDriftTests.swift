import OnlineLearning
import Testing

@testable import Segmentation

/// The quantisation error of decisions, and the refit that its rise asks for.
@Suite struct QuantisationDriftTests {
    private static let customers = 400
    private let start = TestConfiguration.start

    /// Customers in training, a version of them, and everybody scored by it.
    private func shop(_ generator: inout SeededGenerator) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        configuration.model.minimumCustomers = 100
        configuration.model.miniBatch = 64
        configuration.model.refitChangedShare = 1
        configuration.model.refitIntervalMilliseconds = 365 * TestConfiguration.day
        let shop = TestShop(configuration)
        for index in 0..<Self.customers {
            profile(index, at: start + Int64(index), 0, shop, &generator)
        }
        shop.core.begin()
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        shop.core.rescore(limit: 10_000, context: context, into: &shop.output)
        shop.core.commit()
        #expect(shop.core.counters.refitsByReason["first"] == 1)
        return shop
    }

    /// A customer says who they are; a shift of incomes is something that no version knows.
    private func profile(
        _ index: Int,
        at time: Int64,
        _ shift: Double,
        _ shop: TestShop,
        _ generator: inout SeededGenerator
    ) {
        let income = max(0, 50_000 * (1 + shift) + 15_000 * generator.nextNormal())
        let year = 1950 + generator.next(below: 50)
        shop.send(
            "{\"type\":\"customer.profile\",\"time\":\(time),\"income\":\(income),"
                + "\"birth_year\":\(year),\"kids_home\":\(generator.next(below: 3))}",
            key: "c\(index)"
        )
    }

    /// Every step moves other people, so that no share of changed customers is reached.
    private func steps(
        _ count: Int,
        from time: Int64,
        shift: Double,
        _ shop: TestShop,
        _ generator: inout SeededGenerator
    ) -> Int? {
        for step in 0..<count {
            for event in 0..<64 {
                let moment = time + Int64(step * 64 + event)
                let customer = generator.next(below: Self.customers / 2)
                profile(customer, at: moment, shift, shop, &generator)
            }
            if shop.core.refitReason != nil { return step + 1 }
        }
        return nil
    }

    @Test(arguments: 1...3 as ClosedRange<UInt64>) func aRiseAsksForARefit(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let shop = try shop(&generator)
        let later = start + TestConfiguration.day
        shop.core.begin()
        #expect(steps(100, from: later, shift: 0, shop, &generator) == nil)
        let error = shop.core.quantisationError ?? .infinity
        #expect(abs(error - 1) < 0.5)
        let rise = try #require(steps(20, from: later + 10_000, shift: 4, shop, &generator))
        #expect(rise <= 15)
        #expect(shop.core.refitReason == .drift && shop.core.quantisationDrift >= 1)
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        #expect(shop.core.counters.refitsByReason["drift"] == 1)
        #expect(shop.core.quantisationDrift == 0 && shop.core.quantisationError == nil)
        shop.core.commit()
    }

    @Test func theMinimumIntervalHolds() throws {
        var generator = SeededGenerator(seed: 4)
        let shop = try shop(&generator)
        // An hour after the refit, and not six.
        let soon = start + 3_600_000
        #expect(steps(60, from: soon, shift: 0, shop, &generator) == nil)
        #expect(steps(20, from: soon + 10_000, shift: 4, shop, &generator) == nil)
        #expect(shop.core.drift.detector.isRisen)
        profile(0, at: start + 7 * 3_600_000, 0, shop, &generator)
        #expect(shop.core.refitReason == .drift)
    }

    @Test func anAbortPutsItBack() throws {
        var generator = SeededGenerator(seed: 5)
        let shop = try shop(&generator)
        let later = start + TestConfiguration.day
        shop.core.begin()
        #expect(steps(40, from: later, shift: 0, shop, &generator) == nil)
        shop.core.commit()
        let before = shop.core.drift
        let counters = shop.core.counters
        shop.core.begin()
        profile(1, at: later + 9_000, 4, shop, &generator)
        #expect(shop.core.drift != before)
        _ = steps(20, from: later + 10_000, shift: 4, shop, &generator)
        #expect(shop.core.refitReason == .drift)
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        shop.core.abort()
        #expect(shop.core.drift == before)
        #expect(shop.core.counters == counters)
        #expect(shop.core.refitReason == nil)
    }

    @Test func scoringEveryoneAgainIsNotCounted() throws {
        var generator = SeededGenerator(seed: 6)
        let shop = try shop(&generator)
        #expect(shop.core.drift == QuantisationDrift())
    }

    @Test func aStepIsTheMeanOfItsOwnDecisions() {
        var drift = QuantisationDrift()
        func step(_ distances: [Double], inertia: Double = 2) -> Double? {
            for distance in distances { drift.add(distance) }
            drift.completeStep(inertiaPerCustomer: inertia)
            return drift.last
        }
        #expect(step([]) == nil && drift.detector.count == 0)
        #expect(step([2, 6]) == 2 && drift.detector.count == 1)
        #expect(step([1]) == 0.5 && drift.detector.mean == 1.25)
        // Of a version without inertia it says nothing, and keeps nothing for the next.
        #expect(step([100], inertia: 0) == 0.5 && drift.detector.count == 2)
        #expect(step([4]) == 2)
        drift.add(100)
        drift.discardStep()
        #expect(step([]) == 2 && drift.detector.count == 3)
        #expect(step([8]) == 4)
    }

    @Test func whoIsNotLearntFromIsNotCounted() throws {
        var generator = SeededGenerator(seed: 7)
        let shop = try shop(&generator)
        let profile = "{\"type\":\"customer.profile\",\"time\":\(start + 86_400_000),\"income\":"
        shop.send(profile + "700000}", key: "c1")
        #expect(shop.core.drift == QuantisationDrift())
        shop.send(profile + "50000}", key: "c2")
        #expect(shop.core.drift != QuantisationDrift())
    }

    /// A step that does not come, because rows are still being scored, leaves nothing for the next.
    @Test func aStepThatIsLeftOutIsNotCounted() throws {
        var generator = SeededGenerator(seed: 8)
        let shop = try shop(&generator)
        shop.core.begin()
        let active = shop.core.model
        var next = try #require(active)
        next.version += 1
        shop.core.adopt(next)
        let isRescoring = shop.core.isRescoring
        #expect(isRescoring)
        profile(0, at: start + 86_400_000, 0, shop, &generator)
        #expect(shop.core.drift != QuantisationDrift())
        shop.core.completeMiniBatch(into: &shop.output)
        #expect(shop.core.drift == QuantisationDrift())
        shop.core.commit()
    }

    /// What waits for an operator has answered the rise: the next one counts from there.
    @Test func aVersionThatWaitsStartsItAnew() throws {
        let shop = VersionShop(seed: 9, limit: 0) { $0.model.miniBatch = 16 }
        shop.populate()
        try shop.refit()
        shop.rescore()
        shop.turnAround(1)
        #expect(shop.core.drift.last != nil)
        try shop.refit()
        #expect(shop.shadow == 2 && shop.core.drift == QuantisationDrift())
    }
}
