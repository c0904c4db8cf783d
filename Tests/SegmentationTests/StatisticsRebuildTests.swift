import OnlineLearning
import Testing

@testable import Segmentation

/// Sums made anew behind a cursor (DESIGN, section 5) are right at every moment, and so are those
/// that they will replace.
struct StatisticsRebuildTests {
    /// A shop whose maintenance is done in slices alone.
    private func shop(_ model: SegmentModel?, halfLifeDays: Int64? = nil) -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.forgettingHalfLifeMilliseconds =
            halfLifeDays.map { $0 * TestConfiguration.day }
        configuration.model.sweepIntervalMilliseconds = Int64.max / 2
        configuration.model.guardLimits.segmentShare = 1
        configuration.model.guardLimits.bandShare = 1
        let shop = TestShop(configuration, model: model)
        shop.core.rowsMaintainedAtOnce = 0
        return shop
    }

    private func rescoreSlice(_ shop: TestShop) {
        shop.core.rescore(
            limit: 20,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
    }

    /// How often a run met what it is about.
    private struct Met {
        var underWay = 0
        var aborts = 0
        var erasures = 0
        var insertsBelow = 0
        var landmarkMoves = 0
        var versions = 0
        var finished = 0
    }

    private func run(
        seed: UInt64,
        model: SegmentModel?,
        stepMax: Int64,
        refits: Bool = false,
        halfLifeDays: Int64? = nil
    ) throws -> Met {
        let shop = shop(model, halfLifeDays: halfLifeDays)
        var stream = EventStream(seed: seed, customers: 60, stepMax: stepMax)
        stream.hasHugeAmounts = false
        stream.erasures = 0.05
        var random = SeededGenerator(seed: seed &+ 500)
        var met = Met()
        for round in 0..<150 {
            let cursor = shop.core.statistics.rebuild.cursor
            let landmarks = shop.core.landmarks
            let erased = shop.core.counters.erased
            shop.core.begin()
            let before = usedRows(shop)
            for event in stream.events(1 + random.next(below: 15)) { shop.send(event) }
            if refits && round % 20 == 19 {
                try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
                met.versions += 1
            }
            let present = shop.core.model?.version
            let others = shop.core.versions.kept.keys.filter { $0 != present }
            // Right after a version, while most rows still have the one before: their members are
            // counted again in both sums.
            if refits && round % 20 == 0, let target = others.max() {
                _ = try shop.core.perform(.rollback(version: target), into: &shop.output)
                met.versions += 1
            }
            if shop.core.isRescoring && random.next(below: 3) > 0 { rescoreSlice(shop) }
            if random.next(below: 4) == 0 {
                shop.core.abort()
                if cursor > 0 { met.aborts += 1 }
            } else {
                shop.core.commit()
                if cursor > 0 {
                    if shop.core.counters.erased > erased { met.erasures += 1 }
                    if landmarks != shop.core.landmarks { met.landmarkMoves += 1 }
                    let after = usedRows(shop)
                    if (0..<cursor).contains(where: { !before.contains($0) && after.contains($0) })
                    {
                        met.insertsBelow += 1
                    }
                }
            }
            shop.output.removeAll()
            if !shop.core.isRebuilding {
                shop.core.statistics.beginRebuild(
                    centres: shop.core.statistics.nearbyCentres()
                )
            }
            let isBelowEnd = shop.core.statistics.rebuild.isUnderWay
            for _ in 0..<random.next(below: 3) where shop.core.isMaintenanceDue {
                // What else waits is done at once: it has tests of its own.
                while !shop.core.isRebuilding && shop.core.isMaintenanceDue {
                    shop.core.maintain(limit: .max)
                }
                guard shop.core.isRebuilding else { continue }
                shop.core.maintain(limit: 1 + random.next(below: 9))
            }
            if isBelowEnd && !shop.core.statistics.rebuild.isUnderWay { met.finished += 1 }
            if shop.core.statistics.rebuild.cursor > 0 { met.underWay += 1 }
            let time = max(TestConfiguration.start, shop.core.greatestEventTime)
            let moment = time + Int64(random.next(below: 90)) * TestConfiguration.day
            let difference =
                shop.statisticsDifference(at: moment) ?? shop.rebuildDifference(at: moment)
            #expect(difference == nil, "seed \(seed), round \(round)")
            if difference != nil { return met }
        }
        return met
    }

    private func usedRows(_ shop: TestShop) -> Set<Int> {
        Set((0..<shop.core.table.rowEnd).filter { shop.core.table.isInUse($0) })
    }

    @Test(arguments: 1...8) func bothSumsEqualTwoPassesAtAnyMoment(seed: UInt64) throws {
        let met = try run(seed: seed, model: nil, stepMax: 6 * 3_600_000)
        #expect(met.underWay > 20 && met.aborts > 5 && met.finished > 2)
        #expect(met.erasures > 0 && met.landmarkMoves > 0)
    }

    @Test(arguments: 11...14) func membersOfBothEqualTwoPassesAtAnyMoment(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        let met = try run(seed: seed, model: model, stepMax: 6 * 3_600_000)
        #expect(met.underWay > 20 && met.aborts > 5 && met.finished > 2 && met.erasures > 0)
    }

    @Test(arguments: 21...24) func versionsComeAndGoMeanwhile(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        let met = try run(seed: seed, model: model, stepMax: 3_600_000, refits: true)
        #expect(met.versions > 10 && met.underWay > 20 && met.finished > 2)
    }

    /// The same where the model forgets: rows leave both sums with the weight that they came with.
    @Test(arguments: 71...76) func weightedSumsEqualTwoPassesAtAnyMoment(seed: UInt64) throws {
        let met = try run(
            seed: seed,
            model: try TestModel.shared.get(),
            stepMax: 6 * 3_600_000,
            refits: seed % 2 == 0,
            halfLifeDays: seed % 3 == 0 ? 1 : 7
        )
        #expect(met.underWay > 20 && met.aborts > 2 && met.finished > 2 && met.erasures > 0)
    }

    /// Rows of erased customers are given to new ones.
    @Test func rowsBelowTheCursorAreUsedAgain() throws {
        var met = 0
        for seed in 31...36 as ClosedRange<UInt64> {
            met += try run(seed: seed, model: nil, stepMax: 3_600_000).insertsBelow
        }
        #expect(met > 10)
    }

    @Test func slicesGiveWhatOneStepGives() throws {
        let model = try TestModel.shared.get()
        let shops = [shop(model), shop(model)]
        for (shop, limit) in zip(shops, [7, Int.max]) {
            var stream = EventStream(seed: 41, customers: 50)
            shop.core.begin()
            for event in stream.population(5) { shop.send(event) }
            shop.core.commit()
            if !shop.core.statistics.rebuild.isUnderWay {
                shop.core.statistics.beginRebuild(centres: shop.core.statistics.nearbyCentres())
            }
            var slices = 0
            while shop.core.isMaintenanceDue {
                shop.core.maintain(limit: limit)
                slices += 1
            }
            #expect(slices == (limit == 7 ? 8 : 1))
        }
        #expect(shops[0].core.statistics.moments == shops[1].core.statistics.moments)
        #expect(shops[0].core.statistics.clusters == shops[1].core.statistics.clusters)
        #expect(shops[0].core.statistics.drift == shops[1].core.statistics.drift)
        #expect(shops[0].core.statistics.drift != nil)
    }

    @Test func anAbortPutsTheRebuildBack() throws {
        let shop = shop(try TestModel.shared.get())
        var stream = EventStream(seed: 42, customers: 50)
        shop.core.begin()
        for event in stream.population(5) { shop.send(event) }
        shop.core.commit()
        shop.core.statistics.beginRebuild(centres: shop.core.statistics.nearbyCentres())
        shop.core.maintain(limit: 30)
        let before = shop.core.statistics
        shop.core.begin()
        for event in stream.events(100) { shop.send(event) }
        shop.core.abort()
        let after = shop.core.statistics
        #expect(after.rebuild.cursor == 30 && after.rebuild.isUnderWay)
        #expect(after.rebuild.sums.moments == before.rebuild.sums.moments)
        #expect(after.rebuild.sums.clusters == before.rebuild.sums.clusters)
        #expect(after.sums.moments == before.sums.moments && after.drift == before.drift)
        // A refit in place makes the sums anew itself, and an abort takes that back too.
        shop.core.begin()
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        #expect(!shop.core.statistics.rebuild.isUnderWay)
        shop.core.abort()
        #expect(shop.core.statistics.rebuild.cursor == 30)
        #expect(shop.core.statistics.rebuild.sums.moments == before.rebuild.sums.moments)
        shop.core.begin()
        for event in stream.events(100) { shop.send(event) }
        shop.core.commit()
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 6) }
        #expect(shop.statisticsDifference(at: shop.core.greatestEventTime) == nil)
    }

    /// Amounts of 9 million come and go while slices are made; the check asks for a rebuild, and
    /// when it has come to its end everything is right again.
    @Test(arguments: 51...54) func lostDigitsComeBack(seed: UInt64) throws {
        let shop = shop(try TestModel.shared.get())
        var stream = EventStream(seed: seed, customers: 50)
        var random = SeededGenerator(seed: seed)
        var worst = 0.0
        for round in 0..<80 {
            shop.core.begin()
            for event in stream.events(1 + random.next(below: 40)) { shop.send(event) }
            shop.core.commit()
            while shop.core.isMaintenanceDue { shop.core.maintain(limit: 11) }
            worst = max(worst, shop.core.statisticsDrift ?? 0)
            let difference = shop.statisticsDifference(at: shop.core.greatestEventTime)
            #expect(difference == nil, "round \(round)")
        }
        #expect(worst > 1e-12 && worst < 1)
    }

    @Test func aMeanFarFromItsCentreIsNoticed() throws {
        let shop = shop(nil)
        shop.core.begin()
        for index in 0..<200 {
            // Deviation 0.577, a mean of 577,000 deviations.
            let income = 333_333 + Double((index * 73) % 200) / 100
            shop.send(
                "{\"type\":\"customer.profile\",\"time\":\(index),\"income\":\(income)}",
                key: "c\(index)"
            )
        }
        shop.core.commit()
        #expect(shop.statisticsDifference(at: 200) != nil)
        #expect(shop.isMaintenanceDue)
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 64) }
        #expect(shop.core.statistics.centres[0] == 333_334)
        #expect(shop.statisticsDifference(at: 200) == nil)
        let drift = try #require(shop.drift)
        #expect(drift > 1e-9 && drift < 1e-2)
        shop.core.begin()
        shop.core.commit()
        #expect(!shop.isMaintenanceDue, "and asked for once")
    }

    @Test func aRefitBesideBeginsARebuildAboutTheCentresOfItsVersion() throws {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        let shop = TestShop(configuration)
        shop.core.rowsMaintainedAtOnce = 0
        var stream = EventStream(seed: 61, customers: 60)
        stream.hasHugeAmounts = false
        shop.core.begin()
        for event in stream.population(6) { shop.send(event) }
        shop.core.commit()
        var job: RefitJob?
        for _ in 0..<100 where job == nil { job = shop.core.prepareRefit(limit: 7) }
        let found = try #require(job)
        #expect(shop.core.statistics.rebuild.isUnderWay)
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 7) }
        #expect(shop.core.statistics.centres == found.plan.centres)
        #expect(shop.core.statistics.centres.contains { $0 > 1_000 })
        let drift = try #require(shop.drift)
        #expect(drift < 1e-9)
    }
}

extension TestShop {
    fileprivate var isMaintenanceDue: Bool { core.isMaintenanceDue }
    fileprivate var drift: Double? { core.statisticsDrift }
}
