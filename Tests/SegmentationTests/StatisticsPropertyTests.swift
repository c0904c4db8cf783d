import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, sections 3 to 5, as properties: whatever happens, the statistics are those of a batch
/// job over the customers who are there now.
///
/// Every case follows from its seed, which a failure names.
@Suite struct StatisticsPropertyTests {
    /// Seeds of one lane; lanes run beside each other.
    func seeds(_ lane: Int, _ count: Int) -> Range<UInt64> {
        UInt64(lane * 100_000 + 1)..<UInt64(lane * 100_000 + 1 + count)
    }

    @Test(arguments: 0..<4)
    func anySequenceOfEventsGivesTheStatisticsOfTwoPasses(lane: Int) throws {
        var counts = (all: 0, loosened: 0)
        for seed in seeds(lane, 150) {
            let model = seed % 5 == 0 ? try TestModel.shared.get() : nil
            let shop = PropertyShop(seed: seed, model: model)
            let rounds = 1 + shop.random.next(below: 4)
            let erasing = shop.random.next(below: 2 * rounds)
            for round in 0..<rounds {
                shop.transaction(shop.draw(1 + shop.random.next(below: 30)))
                if round == erasing { shop.eraseNewestHalf() }
                if seed % 25 == 1 && shop.customers.count > 8 { try shop.refit() }
            }
            let difference = shop.difference(at: shop.someMoment(), &counts)
            #expect(difference == nil, "seed \(seed)")
        }
        print("lane \(lane): \(counts.loosened) of \(counts.all) bounds are those of rounding")
        #expect(counts.all > 5_000 && counts.loosened < counts.all / 20, "\(counts)")
    }

    @Test(arguments: 0..<2) func timeMovesBothWaysWithoutTouchingARow(lane: Int) throws {
        var counts = (all: 0, loosened: 0)
        for seed in seeds(10 + lane, 40) {
            let shop = PropertyShop(seed: seed)
            shop.transaction(shop.draw(40))
            _ = shop.comparison(at: shop.time)
            let rows = shop.rows()
            let moments = shop.shop.core.statistics.moments
            for _ in 0..<4 {
                let difference = shop.difference(at: shop.someMoment(), &counts)
                #expect(difference == nil, "seed \(seed)")
            }
            #expect(shop.rows() == rows, "seed \(seed)")
            #expect(shop.shop.core.statistics.moments == moments, "seed \(seed)")
        }
        #expect(counts.loosened < counts.all / 20, "\(counts)")
    }

    /// Two workers with a partition each, the same version and centres, and one with both.
    @Test(arguments: 0..<2) func mergedHalvesAreTheWhole(lane: Int) throws {
        let model = try TestModel.shared.get()
        for seed in seeds(20 + lane, 75) {
            let whole = PropertyShop(seed: seed, model: model)
            let halves = [0, 1].map { _ in PropertyShop(seed: seed, model: model) }
            for round in 0..<(1 + whole.random.next(below: 3)) {
                var events = whole.draw(1 + whole.random.next(below: 40))
                if round == 1 {
                    let all = whole.customers
                    events += whole.erasures(of: all.suffix(all.count / 2))
                }
                whole.transaction(events)
                for (partition, half) in halves.enumerated() {
                    half.transaction(events.filter { $0.partition == Int32(partition) })
                }
            }
            let time = whole.someMoment()
            let merged = try merge(halves[0].shop, halves[1].shop)
            let landmarks = zip(
                halves[0].shop.core.landmarks,
                halves[1].shop.core.landmarks
            ).map { max($0, $1) }
            let (factors, shifts) = whole.shop.core.evaluator.factors(
                at: time,
                landmarks: landmarks
            )
            let comparison = StatisticsComparison(
                merged.moments,
                TwoPass(whole.shop, at: time),
                factors: factors,
                shifts: shifts,
                changes: whole.changes,
                rows: whole.shop.core.table.rowEnd,
                schema: whole.shop.core.schema
            )
            #expect(comparison.difference == nil, "seed \(seed)")
            #expect(merged.sketches == whole.shop.core.statistics.sketches, "seed \(seed)")
        }
    }

    /// Moments and medians of two workers, brought to the later landmarks.
    private func merge(
        _ first: TestShop,
        _ second: TestShop
    ) throws -> (moments: FeatureMoments, sketches: [PopulationStatistics.MedianSketch]) {
        var parts: [FeatureMoments] = []
        for (own, other) in [(first, second), (second, first)] {
            own.core.begin()
            own.core.commit()
            if own.core.statistics.centres != first.core.statistics.centres {
                // A rebuild has moved the centres of one of them.
                let (table, landmarks) = (own.core.table, own.core.landmarks)
                let (model, centres) = (own.core.inForce, first.core.statistics.centres)
                own.core.statistics.make(
                    from: table,
                    centres: centres,
                    model: model,
                    landmarks: landmarks
                )
            }
            var moments = own.core.statistics.moments
            for (feature, form) in own.core.schema.features.enumerated() {
                guard case .decayed(let decay) = form else { continue }
                let later = other.core.landmarks[decay] - own.core.landmarks[decay]
                guard later > 0 else { continue }
                let exponent = max(-1022, Int(-8 * later))
                moments.rescale(
                    feature: feature,
                    factor: Double(sign: .plus, exponent: exponent, significand: 1)
                )
            }
            parts.append(moments)
        }
        var sketches = first.core.statistics.sketches
        for index in sketches.indices {
            sketches[index].logarithmic.merge(second.core.statistics.sketches[index].logarithmic)
            sketches[index].fixedWidth.merge(second.core.statistics.sketches[index].fixedWidth)
        }
        parts[0].merge(parts[1])
        return (parts[0], sketches)
    }

    /// Beside a shop to which they never came; only the hash of an erasure may tell.
    @Test(arguments: 0..<2) func anErasedCustomerLeavesNoTrace(lane: Int) throws {
        for seed in seeds(30 + lane, 75) {
            let shop = PropertyShop(seed: seed)
            let other = PropertyShop(seed: seed)
            let events = shop.draw(10 + shop.random.next(below: 70))
            let everybody = Set(events.map(\.customer)).sorted()
            let gone = Set(everybody.filter { _ in shop.random.next(below: 2) == 0 })
            let (before, after) = (
                events.prefix(events.count / 2), events.suffix(events.count - events.count / 2)
            )
            shop.transaction(Array(before), aborts: false)
            shop.transaction(
                Array(after) + shop.erasures(of: gone.sorted(), later: TestConfiguration.day),
                aborts: false
            )
            // What is late brings nobody back.
            shop.transaction(events.filter { gone.contains($0.customer) }, aborts: false)
            other.transaction(events.filter { !gone.contains($0.customer) }, aborts: false)
            // Both come to the same landmarks.
            let end = max(shop.time, shop.shop.core.greatestEventTime)
            let last = TestEvent(
                customer: "last",
                json: "{\"type\":\"engagement.visit\",\"time\":\(end)}"
            )
            for shop in [shop, other] { shop.transaction([last], aborts: false) }
            #expect(shop.rows() == other.rows(), "seed \(seed)")
            let (left, never) = (shop.shop.core.statistics, other.shop.core.statistics)
            #expect(left.sketches == never.sketches, "seed \(seed)")
            #expect(shop.shop.core.due.count == other.shop.core.due.count, "seed \(seed)")
            #expect(left.moments.count == never.moments.count, "seed \(seed)")
            let time = shop.someMoment()
            let comparison = shop.comparison(at: time)
            #expect(comparison.difference == nil, "seed \(seed)")
            var lines: [UInt8] = []
            var row: Int? = 0
            while let start = row {
                row = shop.shop.core.appendExport(from: start, limit: 100, into: &lines)
            }
            let ids = String(decoding: lines, as: UTF8.self).split(separator: "\n").dropFirst()
                .map { String($0.prefix { $0 != "," }) }
            #expect(gone.isDisjoint(with: ids), "seed \(seed)")
            #expect(ids.count == other.shop.core.customerCount, "seed \(seed)")
        }
    }

    @Test(arguments: 0..<2) func theObjectiveNeverRisesOverAStep(lane: Int) throws {
        let model = try TestModel.shared.get()
        var falls = 0
        for seed in seeds(40 + lane, 75) {
            let shop = PropertyShop(seed: seed, model: model) { configuration in
                configuration.model.learning = true
                configuration.model.miniBatch = 1_000_000
            }
            shop.transaction(shop.draw(60))
            shop.rescore()
            for round in 0..<2 {
                shop.transaction(shop.draw(1 + shop.random.next(below: 40)))
                if round == 1 && seed % 3 == 0 { shop.eraseNewestHalf() }
                let before = try objective(of: shop.shop).now
                let step = shop.shop.model?.step ?? 0
                shop.shop.core.begin()
                shop.shop.core.completeMiniBatch(into: &shop.shop.output)
                shop.shop.core.commit()
                #expect(shop.shop.model?.step == step + 1)
                let after = try objective(of: shop.shop)
                #expect(after.now <= before * (1 + 1e-12), "seed \(seed): \(before) to \(after)")
                // No centroids are better while nobody moves; 1e-12 of a deviation is rounding.
                #expect(
                    abs(after.now - after.least) <= 1e-9 * after.now + 1e-24,
                    "seed \(seed): \(after)"
                )
                if after.now < 0.999 * before { falls += 1 }
            }
        }
        #expect(falls > 50, "only \(falls) steps lower it")
    }

    /// Sum of squared distances by weight, in PCA space, of everybody learnt from to the centroid
    /// of their segment, and to the mean of its members.
    func objective(of shop: TestShop) throws -> (now: Double, least: Double) {
        let model = try #require(shop.model)
        let table = shop.core.table
        let d = model.mean.count
        var differences = Array(repeating: [[Double]](), count: model.segments.count)
        var weights = Array(repeating: [Double](), count: model.segments.count)
        let unit = shop.core.statistics.sums.landmark ?? 0
        for row in 0..<table.rowEnd where table.isInUse(row) && !table.isOutlier(row) {
            let features = TwoPass.features(row, shop, at: shop.core.greatestEventTime)
            let found = model.segments.firstIndex { $0.id == table.membership(row) }
            let segment = try #require(found)
            weights[segment].append(TwoPass.weight(row, shop, landmark: unit))
            differences[segment].append(
                (0..<model.componentCount).map { component in
                    (0..<d).reduce(0) { sum, j in
                        let value = features[j].isNaN ? model.imputation[j] : features[j]
                        let distance = value - model.centroids[segment * d + j]
                        return sum + model.components[component * d + j] * distance / model.scale[j]
                    }
                }
            )
        }
        var (now, least) = (0.0, 0.0)
        for (members, weights) in zip(differences, weights) where !members.isEmpty {
            let weight = weights.reduce(0, +)
            for component in 0..<model.componentCount {
                let values = zip(members.map { $0[component] }, weights)
                let mean = values.reduce(0) { $0 + $1.1 * $1.0 } / weight
                now += values.reduce(0) { $0 + $1.1 * $1.0 * $1.0 }
                least += values.reduce(0) { $0 + $1.1 * ($1.0 - mean) * ($1.0 - mean) }
            }
        }
        return (now, least)
    }
}
