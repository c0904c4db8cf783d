import OnlineLearning
import Testing

@testable import Segmentation

/// The same properties where the model forgets: whatever happens, the statistics are those of a
/// weighted batch job over the customers who are there now.
extension StatisticsPropertyTests {
    /// Half-lives from one that all others are forgotten by to one that hardly matters.
    private static let halfLives: [Int64] = [1, 10, 90, 3_000]

    private func shop(_ seed: UInt64, model: SegmentModel? = nil) -> PropertyShop {
        PropertyShop(seed: seed, model: model) { configuration in
            configuration.model.forgettingHalfLifeMilliseconds =
                Self.halfLives[Int(seed / 3 % 4)] * TestConfiguration.day
        }
    }

    @Test(arguments: 0..<4)
    func anySequenceOfEventsGivesTheWeightedStatisticsOfTwoPasses(lane: Int) throws {
        var counts = (all: 0, loosened: 0)
        var moves = 0
        for seed in seeds(50 + lane, 100) {
            let model = seed % 5 == 0 ? try TestModel.shared.get() : nil
            let shop = shop(seed, model: model)
            let rounds = 1 + shop.random.next(below: 4)
            let erasing = shop.random.next(below: 2 * rounds)
            for round in 0..<rounds {
                let landmark = shop.shop.core.statistics.sums.landmark
                shop.transaction(shop.draw(1 + shop.random.next(below: 30)))
                if landmark != shop.shop.core.statistics.sums.landmark { moves += 1 }
                if round == erasing { shop.eraseNewestHalf() }
                if seed % 25 == 1 && shop.customers.count > 8 { try shop.refit() }
            }
            let difference = shop.difference(at: shop.someMoment(), &counts)
            #expect(difference == nil, "seed \(seed)")
        }
        print("lane \(lane), weighted: \(counts.loosened) of \(counts.all) bounds loosened")
        #expect(counts.all > 3_000 && counts.loosened < counts.all / 20, "\(counts)")
        #expect(moves > 100, "\(moves) moves of the landmark")
    }

    /// Two workers with a partition each, brought to one landmark, and one with both.
    @Test func weightedHalvesMergeToTheWhole() throws {
        let model = try TestModel.shared.get()
        for seed in seeds(54, 60) {
            let whole = shop(seed, model: model)
            let halves = [0, 1].map { _ in shop(seed, model: model) }
            for _ in 0..<(1 + whole.random.next(below: 3)) {
                let events = whole.draw(1 + whole.random.next(below: 40))
                whole.transaction(events)
                for (partition, half) in halves.enumerated() {
                    half.transaction(events.filter { $0.partition == Int32(partition) })
                }
            }
            guard let landmark = halves.compactMap({ landmark(of: $0) }).max() else { continue }
            var parts: [(moments: FeatureMoments, largest: (weight: Double, terms: [Double]))] = []
            for half in halves {
                var copy = half.shop.core.statistics
                // About the same centres.
                copy.make(
                    from: half.shop.core.table,
                    centres: whole.shop.core.statistics.centres,
                    model: nil,
                    landmarks: whole.shop.core.landmarks
                )
                copy.sums.rescaleWeights(to: landmark)
                half.shop.core.statistics = copy
                let largest = try #require(half.shop.largestAdded)
                parts.append((copy.moments, largest))
            }
            parts[0].moments.merge(parts[1].moments)
            let time = whole.someMoment()
            let (factors, shifts) = whole.shop.core.evaluator.factors(
                at: time,
                landmarks: whole.shop.core.landmarks
            )
            let (first, second) = (parts[0].largest, parts[1].largest)
            let comparison = StatisticsComparison(
                parts[0].moments,
                TwoPass(whole.shop, at: time, landmark: landmark),
                factors: factors,
                shifts: shifts,
                changes: whole.changes,
                rows: whole.shop.core.table.rowEnd,
                schema: whole.shop.core.schema,
                largest: (
                    max(first.weight, second.weight),
                    zip(first.terms, second.terms).map { max($0, $1) }
                )
            )
            #expect(comparison.difference == nil, "seed \(seed)")
        }
    }

    private func landmark(of shop: PropertyShop) -> Int? {
        shop.shop.core.begin()
        shop.shop.core.commit()
        return shop.shop.core.statistics.sums.landmark
    }

    @Test func nothingIsLeftOfAnybodyWhenAllAreErased() throws {
        for seed in seeds(55, 60) {
            let shop = shop(seed)
            let events = shop.draw(10 + shop.random.next(below: 50))
            shop.transaction(events)
            let gone = Set(events.map(\.customer)).sorted()
            let split = shop.random.next(below: gone.count)
            // Some at first: what is left is that of the others.
            shop.transaction(
                shop.erasures(of: gone.prefix(split), later: TestConfiguration.day),
                aborts: false
            )
            let comparison = shop.comparison(at: shop.someMoment())
            #expect(comparison.difference == nil, "seed \(seed)")
            shop.transaction(
                shop.erasures(of: gone.suffix(from: split), later: TestConfiguration.day),
                aborts: false
            )
            shop.shop.core.begin()
            shop.shop.core.commit()
            let sums = shop.shop.core.statistics.sums
            #expect(shop.customers.isEmpty && sums.rowCount == 0 && sums.landmark == nil)
            #expect(sums.moments.upper.allSatisfy { $0 == 0 }, "seed \(seed)")
            #expect(sums.moments.largestSquares.allSatisfy { $0 == 0 }, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<2) func theWeightedObjectiveNeverRisesOverAStep(lane: Int) throws {
        let model = try TestModel.shared.get()
        var (falls, kept) = (0, 0)
        for seed in seeds(56 + lane, 60) {
            let shop = PropertyShop(seed: seed, model: model) { configuration in
                configuration.model.learning = true
                configuration.model.miniBatch = 1_000_000
                configuration.model.forgettingHalfLifeMilliseconds =
                    Self.halfLives[Int(seed / 3 % 4)] * TestConfiguration.day
            }
            shop.transaction(shop.draw(60))
            shop.rescore()
            for round in 0..<2 {
                shop.transaction(shop.draw(1 + shop.random.next(below: 40)))
                if round == 1 && seed % 3 == 0 { shop.eraseNewestHalf() }
                let before = try objective(of: shop.shop).now
                shop.shop.core.begin()
                shop.shop.core.completeMiniBatch(into: &shop.shop.output)
                shop.shop.core.commit()
                let after = try objective(of: shop.shop)
                #expect(after.now <= before * (1 + 1e-12), "seed \(seed): \(before) to \(after)")
                let clusters = shop.shop.core.statistics.clusters
                if (0..<clusters.clusterCount).contains(where: { clusters.hasLostDigits(of: $0) }) {
                    kept += 1
                } else {
                    #expect(
                        abs(after.now - after.least) <= 1e-9 * after.now + 1e-21,
                        "seed \(seed): \(after)"
                    )
                }
                if after.now < 0.999 * before { falls += 1 }
            }
        }
        #expect(
            falls > 30 && kept < 40,
            "\(falls) steps lower it, \(kept) times one kept its place"
        )
    }
}
