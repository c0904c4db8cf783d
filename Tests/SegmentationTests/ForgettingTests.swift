import OnlineLearning
import Testing

@testable import Segmentation

/// Who has long been silent weighs less in what the model learns (DESIGN, section 5).
struct ForgettingTests {
    private func configuration(
        _ halfLifeDays: Int64?,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) -> SegmentationConfiguration {
        var configuration = TestConfiguration.smartCart()
        configuration.model.forgettingHalfLifeMilliseconds =
            halfLifeDays.map { $0 * TestConfiguration.day }
        change(&configuration)
        return configuration
    }

    private func profile(_ time: Int64, _ income: Double) -> String {
        "{\"type\":\"customer.profile\",\"time\":\(time),\"income\":\(income)}"
    }

    private func transaction(_ shop: TestShop, _ body: () throws -> Void) rethrows {
        shop.core.begin()
        try body()
        shop.core.commit()
        shop.output.removeAll()
    }

    // MARK: weights

    @Test func aWeightIsThatOfTheClockAtAnyLandmark() {
        let forgetting = Forgetting(halfLifeMilliseconds: 86_400_000)
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<1_000 {
            let clock = Int64(generator.next(below: 4_000_000_000_000)) - 1_000_000_000_000
            let weight = forgetting.weight(at: clock)
            #expect((1..<2).contains(weight.significand))
            #expect((1..<256).contains(weight.value(from: weight.landmark)))
            let later = weight.landmark + 3
            let factor = RecencyWeight.factor(from: weight.landmark, to: later)
            #expect(factor == 0x1p-24)
            #expect(weight.value(from: weight.landmark) * factor == weight.value(from: later))
            // Twice as much after a half-life.
            let next = forgetting.weight(at: clock + 86_400_000)
            #expect(next.significand == weight.significand)
            #expect(next.exponent == weight.exponent + 1)
        }
        let old = forgetting.weight(at: 0)
        #expect(old.value(from: 10_000) > 0 && old.value(from: 10_000) < 1e-270)
    }

    @Test func sharesAreOneOnAverageAndNeverZero() {
        let shop = TestShop(configuration(1))
        for (index, time) in [0, 10, 5_000, 5_001].enumerated() {
            shop.send(profile(Int64(time) * TestConfiguration.day, 1_000), key: "c\(index)")
        }
        let forgetting = Forgetting(halfLifeMilliseconds: TestConfiguration.day)
        let shares = forgetting.shares(of: [0, 1, 2, 3], in: shop.core.table)
        #expect(abs(shares.reduce(0, +) - 4) < 1e-12 && shares.allSatisfy { $0 > 0 })
        #expect(abs(shares[3] - 8.0 / 3) < 1e-12 && shares[0] < 1e-200)
        #expect(forgetting.shares(of: [1, 3], in: shop.core.table)[0] == 0)
    }

    /// What newer customers do to the unit of the sums changes nothing for those who are there.
    @Test func aMoveOfTheLandmarkChangesNothing() {
        let shop = TestShop(configuration(1))
        var stream = EventStream(seed: 3, customers: 30)
        stream.hasHugeAmounts = false
        transaction(shop) { for event in stream.population(4) { shop.send(event) } }
        var sums = shop.core.statistics.sums
        let before = sums
        let d = shop.core.schema.featureCount
        let view = { (sums: RunningSums) in
            sums.moments.view(
                factors: Array(repeating: 1, count: d),
                shifts: Array(repeating: 0, count: d),
                imputation: Array(repeating: 1, count: d)
            )
        }
        guard let landmark = sums.landmark else {
            Issue.record("no landmark")
            return
        }
        sums.rescaleWeights(to: landmark + 5)
        #expect(sums.moments != before.moments && sums.landmark == landmark + 5)
        #expect(view(sums).mean == view(before).mean)
        #expect(view(sums).covariance == view(before).covariance)
        sums.rescaleWeights(to: landmark)
        #expect(sums.moments == before.moments && sums.clusters == before.clusters)
        // Somebody of 20 landmarks later comes, and goes again.
        let stranger = Array(repeating: 7.0, count: d)
        let weight = RecencyWeight(significand: 1.5, exponent: 8 * (landmark + 20))
        sums.stage(stranger, 0, sign: 1, cluster: -1, weight: weight)
        sums.applyStaged()
        #expect(sums.landmark == landmark + 20 && sums.rowCount == before.rowCount + 1)
        #expect(
            view(sums).mean.enumerated().allSatisfy { abs($1 - 7) < 1e-9 * (7 + before.size($0)) }
        )
        sums.stage(stranger, 0, sign: -1, cluster: -1, weight: weight)
        sums.applyStaged()
        #expect(sums.hasLostWeight && !before.hasLostWeight)
    }

    // MARK: what is learnt

    /// Two halves of customers who differ; one has been silent for 60 half-lives.
    private func halves(_ halfLifeDays: Int64?, withSilent: Bool = true) throws -> TestShop {
        let shop = TestShop(
            configuration(halfLifeDays) {
                $0.model.minimumCustomers = 20
                $0.model.segments = 3
            }
        )
        var generator = SeededGenerator(seed: 4)
        let (old, new) = (
            TestConfiguration.start, TestConfiguration.start + 600 * TestConfiguration.day
        )
        transaction(shop) {
            for index in 0..<400 {
                let isSilent = index < 200
                let (wines, income) = (generator.next(below: 300), generator.next(below: 9_000))
                if isSilent && !withSilent { continue }
                let time = isSilent ? old : new
                let id = "c\(index)"
                shop.send(
                    profile(time, Double(income + (isSilent ? 90_000 : 20_000))),
                    key: id
                )
                shop.send(
                    "{\"type\":\"order.placed\",\"time\":\(time + Int64(index)),\"order_id\":\"o\","
                        + "\"amount\":\(wines + (isSilent ? 5_000 : 10)),"
                        + "\"categories\":{\"wines\":\(wines)}}",
                    key: id
                )
            }
        }
        try transaction(shop) { try shop.core.refit(at: new, into: &shop.output) }
        return shop
    }

    @Test func theModelIsThatOfTheActiveWhenHalfAreSilent() throws {
        let model = try #require(try halves(10).model)
        let active = try #require(try halves(10, withSilent: false).model)
        let all = try #require(try halves(nil).model)
        #expect(model.customers == 400 && active.customers == 200)
        #expect(model.trainingCustomers == 400)
        #expect(model.segments.map(\.customers).reduce(0, +) == 400)
        #expect(model.segments.map(\.trainingCustomers).reduce(0, +) == 400)
        for j in model.mean.indices where !active.isConstant(j) {
            // Medians are of everybody, so only what cannot be missing is the same.
            let bound = 1e-6 * active.scale[j]
            #expect(abs(model.mean[j] - active.mean[j]) <= bound, "\(model.featureNames[j])")
            #expect(abs(model.scale[j] - active.scale[j]) <= bound, "\(model.featureNames[j])")
        }
        #expect(abs(all.mean[0] - active.mean[0]) > active.scale[0])
        // Every centroid is where the active are, and inertia is as of everybody.
        for k in 0..<3 {
            let income = model.centroids[k * model.mean.count]
            #expect((20_000...29_000).contains(income), "\(income)")
        }
        let each = model.inertia / Double(model.trainingCustomers)
        #expect(abs(each / (active.inertia / Double(active.trainingCustomers)) - 1) < 0.05)
        #expect(model.missing == all.missing && model.imputation == all.imputation)
        #expect(model.sweep.count == active.sweep.count)
        for (one, other) in zip(model.sweep, active.sweep) {
            // Weights are 2 and 0 where they were 1.
            #expect(abs(one.inertia / 2 / other.inertia - 1) < 0.02, "\(one.k)")
            if let mine = one.silhouette, let theirs = other.silhouette {
                #expect(abs(mine - theirs) < 0.03, "\(one.k)")
            }
        }
    }

    /// A version by a computation of its own over the table.
    @Test(arguments: 5...8) func aVersionIsTheWeightedBatchAnswer(seed: UInt64) throws {
        let shop = TestShop(configuration(20) { $0.model.segments = 3 })
        var stream = EventStream(seed: seed, customers: 80, stepMax: 4 * 3_600_000)
        stream.hasHugeAmounts = false
        transaction(shop) { for event in stream.population(6) { shop.send(event) } }
        let time = shop.core.greatestEventTime
        try transaction(shop) { try shop.core.refit(at: time, into: &shop.output) }
        let model = try #require(shop.model)
        let plain = TwoPass(shop, at: time)
        // Given the same medians.
        let (factors, shifts) = shop.core.evaluator.factors(
            at: time,
            landmarks: shop.core.landmarks
        )
        let medians = shop.core.statistics.medians(factors: factors, shifts: shifts)
        let table = shop.core.table
        let d = model.mean.count
        #expect(model.missing == plain.missing && model.trainingCustomers == plain.trainingCount)
        let unit = shop.core.statistics.sums.landmark ?? 0
        var (sums, weights, inertia) = (Array(repeating: 0.0, count: 3 * d), [0.0, 0, 0], 0.0)
        var variances = Array(repeating: 0.0, count: model.componentCount)
        let rows = (0..<table.rowEnd).filter { table.isInUse($0) && !table.isOutlier($0) }
        let shares = rows.map { TwoPass.weight($0, shop, landmark: unit) / plain.weight }
        let imputed = rows.map { row in
            zip(TwoPass.features(row, shop, at: time), medians).map { $0.isNaN ? $1 : $0 }
        }
        for j in 0..<d {
            let mean = zip(imputed, shares).reduce(0) { $0 + $1.1 * $1.0[j] }
            let variance = zip(imputed, shares).reduce(0) {
                $0 + $1.1 * ($1.0[j] - mean) * ($1.0[j] - mean)
            }
            #expect(abs(model.mean[j] - mean) <= 1e-9 * max(abs(mean), model.scale[j]))
            if model.isConstant(j) { continue }
            #expect(abs(model.scale[j] - variance.squareRoot()) <= 1e-9 * model.scale[j])
        }
        for (index, row) in rows.enumerated() {
            let weight = shares[index]
            let values = imputed[index]
            let scores = (0..<model.componentCount).map { component in
                (0..<d).reduce(0.0) {
                    $0 + model.components[component * d + $1]
                        * (values[$1] - model.mean[$1]) / model.scale[$1]
                }
            }
            for component in variances.indices {
                variances[component] += weight * scores[component] * scores[component]
            }
            let distances = (0..<3).map { k in
                (0..<scores.count).reduce(0.0) {
                    let distance = scores[$1] - model.scoresOfCentroids[k * scores.count + $1]
                    return $0 + distance * distance
                }
            }
            let nearest = try #require((0..<3).min { distances[$0] < distances[$1] })
            inertia += weight * distances[nearest]
            weights[nearest] += weight
            let exact = TwoPass.features(row, shop, at: time)
            for j in 0..<d {
                let value = exact[j].isNaN ? model.imputation[j] : exact[j]
                sums[nearest * d + j] += weight * value
            }
        }
        for (found, expected) in zip(model.explainedVariance, variances) {
            #expect(abs(found - expected) < 1e-8 * expected)
        }
        let each = model.inertia / Double(model.trainingCustomers)
        #expect(abs(each - inertia) < 1e-8 * inertia)
        for k in 0..<3 {
            for j in 0..<d {
                let centroid = sums[k * d + j] / weights[k]
                #expect(abs(model.centroids[k * d + j] - centroid) < 1e-8 * model.scale[j])
            }
        }
    }

    // MARK: rows

    /// Weights follow from the clock that every row has, so a row is written as ever, and rows of
    /// before may be forgotten by.
    @Test func rowsOfBeforeTheKeyWasSwitchedOnAreWeighed() throws {
        let (off, on) = (TestShop(configuration(nil)), TestShop(configuration(5)))
        var stream = EventStream(seed: 9, customers: 40)
        let events = stream.population(8)
        for shop in [off, on] {
            shop.wall = 4_000_000_000_000
            shop.core.begin()
            for event in events { shop.send(event) }
            shop.output.removeAll()
            shop.core.appendChangelog(into: &shop.output)
            shop.core.commit()
        }
        #expect(off.output.bytes == on.output.bytes && !off.output.bytes.isEmpty)
        let restored = TestShop(configuration(5))
        for record in off.output.records where record.destination == .changelog {
            try restored.core.restoreRow(
                key: record.key,
                value: record.value,
                bytes: off.output.bytes,
                partition: record.partition
            )
        }
        restored.core.finishRestore()
        let time = restored.core.greatestEventTime
        #expect(restored.core.customerCount == on.core.customerCount)
        #expect(restored.statisticsDifference(at: time) == nil)
        #expect(on.statisticsDifference(at: time) == nil)
        #expect(restored.core.statistics.sums.landmark == on.core.statistics.sums.landmark)
        // Rows go on from there.
        transaction(restored) { for event in stream.events(60) { restored.send(event) } }
        let later = restored.core.greatestEventTime
        #expect(restored.statisticsDifference(at: later) == nil)
    }

    @Test func whenTheActiveAreErasedTheSilentAreWeighedAgain() throws {
        let shop = TestShop(configuration(1))
        shop.core.rowsMaintainedAtOnce = 0
        let later = TestConfiguration.start + 1_500 * TestConfiguration.day
        transaction(shop) {
            for index in 0..<20 {
                let time = TestConfiguration.start + Int64(index) * 3_600_000
                shop.send(profile(time, 30_000 + Double(index)), key: "old\(index)")
            }
            for index in 0..<5 { shop.send(profile(later, 90_000.25), key: "new\(index)") }
        }
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 7) }
        #expect(shop.statisticsDifference(at: later) == nil)
        transaction(shop) {
            for index in 0..<5 {
                shop.send("{\"type\":\"privacy.erased\",\"time\":\(later + 1)}", key: "new\(index)")
            }
        }
        #expect(shop.statisticsDifference(at: later) != nil, "only rounding is left")
        #expect(shop.isRebuilding)
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 7) }
        // Where the centres should stand is known only now.
        transaction(shop) {}
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: 7) }
        #expect(shop.statisticsDifference(at: later) == nil)
        transaction(shop) {}
        #expect(!shop.isRebuilding, "and asked for twice at most")
    }

    /// A segment whose members are all forgotten keeps its place when an active one has come and
    /// gone: what its sums are then is rounding.
    @Test func aSegmentThatTheActiveHaveLeftKeepsItsPlace() throws {
        let given = try TestModel.shared.get()
        let shop = TestShop(configuration(1) { $0.model.learning = true }, model: given)
        shop.core.rowsMaintainedAtOnce = 0
        shop.core.learns = true
        shop.wall = 4_000_000_000_000
        var stream = EventStream(seed: 11, customers: 30)
        stream.hasHugeAmounts = false
        stream.erasures = 0
        transaction(shop) { for event in stream.population(6) { shop.send(event) } }
        shop.core.begin()
        shop.core.rescore(
            limit: .max / 2,
            context: StepContext(wallMilliseconds: shop.wall, backfill: false),
            into: &shop.output
        )
        shop.core.completeMiniBatch(into: &shop.output)
        shop.core.commit()
        let before = try #require(shop.model)
        let later = shop.core.greatestEventTime + 400 * TestConfiguration.day
        transaction(shop) { shop.send(profile(later, 20_000), key: "other") }
        let row = shop.row("other")
        let segment = before.index(ofSegment: shop.core.table.membership(row))
        transaction(shop) {
            shop.send("{\"type\":\"privacy.erased\",\"time\":\(later + 1)}", key: "other")
        }
        let clusters = shop.core.statistics.clusters
        try #require(clusters.counts[segment] > 0)
        #expect(clusters.hasLostDigits(of: segment))
        transaction(shop) { shop.core.completeMiniBatch(into: &shop.output) }
        let after = try #require(shop.model)
        let d = after.mean.count
        let place = segment * d..<(segment + 1) * d
        #expect(after.step == before.step + 1)
        #expect(after.centroids[place] == before.centroids[place])
    }

    @Test func theHalfLifeIsADayOrMore() {
        for (milliseconds, isValid) in [
            (nil, true), (86_400_000, true), (36_500 * 86_400_000, true), (86_399_999, false),
            (-1, false), (36_501 * 86_400_000, false),
        ] as [(Int64?, Bool)] {
            var configuration = TestConfiguration.smartCart()
            configuration.model.forgettingHalfLifeMilliseconds = milliseconds
            let keys = configuration.validate().map(\.key)
            #expect(keys == (isValid ? [] : ["model.forgetting.half_life"]))
        }
    }
}

extension TestShop {
    fileprivate var isRebuilding: Bool { core.isRebuilding }
}

extension RunningSums {
    /// Largest distance of a value from its centre.
    fileprivate func size(_ feature: Int) -> Double {
        moments.largestSquares[feature].squareRoot() + abs(centres[feature])
    }
}

extension SegmentModel {
    fileprivate func isConstant(_ feature: Int) -> Bool {
        (0..<componentCount).allSatisfy { components[$0 * mean.count + feature] == 0 }
    }
}
