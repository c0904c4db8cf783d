import OnlineLearning
import Testing

@testable import Segmentation

/// Customers as they stood at earlier days.
@Suite struct PurchaseTrailsTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start

    private struct Order {
        var customer: Int
        var day: Int
        var amount: Double
    }

    /// Customers of all rhythms, order by order, over 300 days.
    private func orders(seed: UInt64, customers: Int = 40) -> [Order] {
        var random = SeededGenerator(seed: seed)
        var result: [Order] = []
        for customer in 0..<customers {
            let gap = [2, 9, 30, 80][customer % 4]
            var day = random.next(below: 150)
            while day < 300 {
                let amount = Double(1 + random.next(below: 20_000)) / 100
                result.append(Order(customer: customer, day: day, amount: amount))
                // Now and then two orders of a day, and people who leave.
                day += random.next(below: 2 * gap + 1)
                if random.next(below: 12) == 0 { break }
            }
        }
        return result.sorted { ($0.day, $0.customer) < ($1.day, $1.customer) }
    }

    private func shop(_ orders: [Order], ledger: Int) -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.ledgerOrders = ledger
        let shop = TestShop(configuration)
        for (number, order) in orders.enumerated() {
            let time = Self.start + Int64(order.day) * Self.day + Int64(number % 1000) * 1000
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\(time),\"order_id\":\"o\(number)\","
                    + "\"amount\":\(order.amount),\"categories\":{\"wines\":\(order.amount)}}",
                key: "c\(order.customer)"
            )
        }
        return shop
    }

    private func trails(_ shop: TestShop) -> PurchaseTrails {
        var trails = PurchaseTrails()
        var block = RowBlock(schema: shop.core.schema)
        trails.append(
            0..<shop.core.table.rowEnd,
            of: shop.core.table,
            block: &block,
            calendar: shop.core.configuration.calendar
        )
        return trails
    }

    private func key(_ summary: PurchaseSummary) -> [Double] {
        [
            Double(summary.repeatPurchases), (summary.recency * 7).rounded(),
            (summary.age * 7).rounded(), (summary.spent * 100).rounded(),
        ]
    }

    @Test(arguments: [3, 8, 64])
    func aCustomerIsSeenAsAShopOfThatDayWouldHave(ledger: Int) {
        let calendar = TestConfiguration.smartCart().calendar
        var seen = 0
        var leftOut = 0
        for seed in 1...4 as ClosedRange<UInt64> {
            let all = orders(seed: seed)
            let whole = trails(shop(all, ledger: ledger))
            for day in [120, 180, 240, 299] {
                let horizon = 40
                let byThen = all.filter { $0.day <= day }
                let cut = calendar.day(of: Self.start + Int64(day) * Self.day)
                let then = trails(shop(byThen, ledger: ledger)).present(on: cut)
                var later: [Int: Int] = [:]
                for order in all where order.day > day { later[order.customer, default: 0] += 1 }
                let customers = Set(byThen.map(\.customer)).sorted()
                #expect(then.count == customers.count)
                // An order that has left the ledger is later than the cut.
                let known = customers.filter { later[$0, default: 0] <= ledger }
                let bought = Set(
                    all.filter { $0.day > day && $0.day <= day + horizon }.map(\.customer)
                )
                // Rows stand in the order in which customers came.
                let order = order(of: all).filter(customers.contains)
                let expected = zip(order, then).filter { known.contains($0.0) }
                    .map { key($0.1) + [bought.contains($0.0) ? 0 : 1] }
                let found = whole.outcomes(cut: cut, horizon: Int32(horizon))
                    .map { key($0.summary) + [$0.withoutPurchase ? 1 : 0] }
                #expect(found == expected)
                seen += found.count
                leftOut += customers.count - known.count
            }
        }
        #expect(seen > 300 && (ledger == 64) == (leftOut == 0))
    }

    private func order(of orders: [Order]) -> [Int] {
        var seen = Set<Int>()
        return orders.map(\.customer).filter { seen.insert($0).inserted }
    }

    @Test func theSampleIsOfTheSizeItShouldBe() {
        let hashes = (0..<100_000).map { StableHash.hash(of: "c\($0)") }
        #expect(hashes.allSatisfy { PurchaseTrails.samples($0, of: 25_000) })
        let chosen = hashes.count { PurchaseTrails.samples($0, of: 100_000) }
        #expect(abs(chosen - 25_000) < 600)
    }
}
