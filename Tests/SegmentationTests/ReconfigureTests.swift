import Testing

@testable import Segmentation

/// Settings that change while the core runs.
struct ReconfigureTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start

    private func configuration(
        high: Double,
        rate: Double? = nil
    ) -> SegmentationConfiguration {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        configuration.churn.raiseHigh = high
        configuration.churn.raiseMedium = min(0.5, high)
        // What queued moments follow from: with a lower one they come sooner.
        configuration.churn.quantileMedium = high / 2
        configuration.churn.quantileHigh = high
        if let rate { configuration.currencyRates = ["USD": rate] }
        return configuration
    }

    /// Customers with two to nine orders, five days apart.
    private func shop(_ configuration: SegmentationConfiguration) throws -> TestShop {
        let shop = TestShop(configuration, model: try DecisionTests.twoSegments())
        for day in 0..<9 {
            for customer in 0..<8 where day <= customer + 1 {
                let time = Self.start + Int64(day * 5) * Self.day
                order(shop, "c\(customer)", at: time, "\"currency\":\"EUR\"")
            }
        }
        _ = shop.take()
        return shop
    }

    private func order(_ shop: TestShop, _ customer: String, at time: Int64, _ more: String) {
        shop.core.begin()
        shop.send(
            "{\"type\":\"order.placed\",\"time\":\(time),\"order_id\":\"o\(time)\",\"amount\":10,\(more)}",
            key: customer
        )
        shop.core.commit()
    }

    /// Everything that time alone brings within two years, as records.
    private func foretold(_ shop: TestShop) -> [ProducedRecord] {
        shop.core.advanceClock(of: 0, to: Self.start + 730 * Self.day)
        shop.decideDue()
        return shop.take().filter { $0.destination == .segments }
    }

    private func maintain(_ shop: TestShop, limit: Int) {
        while shop.core.isMaintenanceDue { shop.core.maintain(limit: limit) }
    }

    /// A core that begins with the rows of another one, as after a restart.
    private func restarted(
        _ shop: TestShop,
        _ configuration: SegmentationConfiguration
    ) throws -> TestShop {
        let other = TestShop(configuration, model: try DecisionTests.twoSegments())
        other.core.table = shop.core.table
        other.core.finishRestore()
        return other
    }

    @Test(arguments: [0.3, 0.5, 0.9]) func alertsLeaveAsAfterARestart(_ high: Double) throws {
        let changed = try shop(configuration(high: 0.7))
        let fresh = try restarted(changed, configuration(high: high))
        let unchanged = try restarted(changed, configuration(high: 0.7))
        changed.core.reconfigure(configuration(high: high))
        let isDue = changed.core.isMaintenanceDue
        #expect(isDue)
        maintain(changed, limit: 3)
        #expect(changed.dueProblem == nil)
        let records = foretold(changed)
        let isSame = records == foretold(fresh)
        #expect(isSame)
        #expect(records.count >= 8)
        let isOther = records != foretold(unchanged)
        #expect(isOther)
    }

    @Test func ratesChangeForWhatComesNext() throws {
        let shop = try shop(configuration(high: 0.7, rate: 0.5))
        let before = shop.number("other", of: "c0")
        let later = Self.start + 100 * Self.day
        order(shop, "c0", at: later, "\"currency\":\"USD\"")
        shop.core.reconfigure(configuration(high: 0.7, rate: 0.25))
        order(shop, "c0", at: later + 1, "\"currency\":\"USD\"")
        #expect(shop.number("other", of: "c0") == before + 5 + 2.5)
    }

    @Test func whatMeansOtherRowsStays() throws {
        let shop = try shop(configuration(high: 0.7))
        var other = configuration(high: 0.8)
        other.ledgerOrders = 3
        other.churn.horizonDays = 30
        other.model.segments = 7
        other.personas = [PersonaDeclaration(key: "k", name: "N", strategy: "S", weights: [:])]
        shop.core.reconfigure(other)
        let now = shop.core.configuration
        #expect(now.ledgerOrders == 8 && now.churn.horizonDays == 90 && now.model.segments == 4)
        #expect(now.churn.raiseHigh == 0.8 && now.personas == other.personas)
    }

    @Test(arguments: [1, 3, 1000]) func aCensusCountsEveryCustomerOnce(_ limit: Int) throws {
        let shop = try shop(configuration(high: 0.7))
        shop.core.begin()
        shop.send("{\"type\":\"privacy.erased\",\"time\":\(Self.start + 50 * Self.day)}", key: "c3")
        shop.core.commit()
        for _ in 0..<(2 * 10 / limit + 2) { shop.core.takeCensus(limit: limit) }
        let census = shop.core.census
        var segments: [Int: Int] = [:]
        var bands = [0, 0, 0, 0]
        var due = 0
        let table = shop.core.table
        for row in 0..<table.rowEnd where table.isInUse(row) {
            segments[table.publishedSegment(row), default: 0] += 1
            bands[Int(table.band(row).rawValue)] += 1
            if table.due(row) < DueMoment.never { due += 1 }
        }
        #expect(census.segments == segments && census.bands == bands && census.due == due)
        #expect(census.segments.values.reduce(0, +) == 7 && due > 0)
    }
}
