import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, section 5: at any moment the statistics are those of a batch job over the table.
struct PopulationStatisticsTests {
    private func run(
        seed: UInt64,
        model: SegmentModel?,
        stepMax: Int64,
        aborts: Bool,
        refits: Bool = false
    ) throws {
        var configuration = TestConfiguration.smartCart()
        configuration.model.sweepIntervalMilliseconds = Int64.max / 2
        let shop = TestShop(configuration, model: model)
        var stream = EventStream(seed: seed, customers: 50, stepMax: stepMax)
        var random = SeededGenerator(seed: seed &+ 100)
        for round in 0..<60 {
            shop.core.begin()
            for event in stream.events(1 + random.next(below: 40)) { shop.send(event) }
            if refits && round % 9 == 8 {
                try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
            }
            if refits && shop.core.isRescoring && random.next(below: 2) == 0 {
                shop.core.rescore(
                    limit: 20,
                    context: StepContext(wallMilliseconds: nil, backfill: false),
                    into: &shop.output
                )
            }
            if aborts && random.next(below: 3) == 0 {
                shop.core.abort()
            } else {
                shop.core.commit()
            }
            shop.output.removeAll()
            let time = max(TestConfiguration.start, shop.core.greatestEventTime)
            let difference = shop.statisticsDifference(
                at: time + Int64(random.next(below: 90)) * TestConfiguration.day
            )
            #expect(difference == nil, "seed \(seed), round \(round)")
            if difference != nil { return }
        }
    }

    @Test(arguments: 1...4) func statisticsEqualTwoPassesOverTheTable(seed: UInt64) throws {
        try run(seed: seed, model: nil, stepMax: 6 * 3_600_000, aborts: seed % 2 == 0)
    }

    @Test(arguments: 11...12) func clusterSumsEqualTwoPassesOverTheTable(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        try run(seed: seed, model: model, stepMax: 3_600_000, aborts: seed % 2 == 0)
    }

    @Test(arguments: 21...22) func refitsKeepThePromise(seed: UInt64) throws {
        let model = try TestModel.shared.get()
        try run(seed: seed, model: model, stepMax: 3_600_000, aborts: seed % 2 == 0, refits: true)
    }

    /// Several landmarks (8 half-lives of 2 and of 30 days) at one step.
    @Test(arguments: 31...32) func landmarksMayBeSkipped(seed: UInt64) throws {
        try run(seed: seed, model: nil, stepMax: 30 * TestConfiguration.day, aborts: seed == 32)
    }

    @Test func aLongSilenceOfTheShopDoesNotOverflowWhatDecays() throws {
        let shop = TestShop()
        for (index, year) in [2001, 2002, 2020, 2021, 2022].enumerated() {
            for type in ["engagement.visit", "engagement.complaint"] {
                shop.send(
                    "{\"type\":\"\(type)\",\"time\":\"\(year)-01-01\"}",
                    key: "c\(index % 2)"
                )
            }
            let difference = shop.statisticsDifference(at: shop.core.greatestEventTime)
            #expect(difference == nil, "\(year)")
        }
    }

    /// Beside something huge, small squares have no digits, so a sum of squares ends at exactly 0.
    ///
    /// The sum itself has crossed a power of two, and does not.
    @Test func whatIsLeftOfTheHugeGoesWhenNobodyHasAnything() {
        let shop = TestShop()
        func order(_ customer: String, _ amount: Double) {
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\(TestConfiguration.start),"
                    + "\"order_id\":\"o\",\"amount\":\(amount)}",
                key: customer
            )
        }
        for (customer, amount) in [("huge", 8_388_607.98), ("small", 0.03), ("tiny", 0.01)] {
            shop.core.begin()
            order(customer, amount)
            shop.core.commit()
        }
        for customer in ["small", "tiny", "huge"] {
            shop.core.begin()
            shop.send(
                "{\"type\":\"privacy.erased\",\"time\":\(TestConfiguration.start + 1)}",
                key: customer
            )
            if customer == "small" {
                shop.send(
                    "{\"type\":\"engagement.visit\",\"time\":\(TestConfiguration.start)}",
                    key: "other"
                )
            }
            shop.core.commit()
        }
        let difference = shop.statisticsDifference(at: TestConfiguration.start)
        #expect(difference == nil)
    }

    @Test func constantFeaturesHaveNoVarianceAtAll() throws {
        let shop = TestShop()
        for index in 0..<50 {
            shop.send(
                "{\"type\":\"customer.profile\",\"time\":\(index),\"birth_year\":1970,\"income\":123.45}",
                key: "c\(index)"
            )
        }
        shop.core.begin()
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        shop.core.commit()
        let moments = shop.core.statistics.moments
        let d = shop.core.schema.featureCount
        let view = moments.view(
            factors: Array(repeating: 1, count: d),
            shifts: Array(repeating: 0, count: d),
            imputation: Array(repeating: 0, count: d)
        )
        #expect(view.covariance[1 * d + 1] == 0 && view.covariance[7 * d + 7] == 0)
        #expect(shop.core.model?.scale[0] == 1 && shop.core.model?.scale[7] == 1)
    }
}
