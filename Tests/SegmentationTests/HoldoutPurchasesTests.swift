import Testing

@testable import Segmentation

/// What counts as a purchase after a cut.
struct HoldoutPurchasesTests {
    private static let day = TestConfiguration.day
    private static let cut = TestConfiguration.start + 10 * day

    private static func order(_ id: String, day: Int64, of type: String = "order.placed") -> String
    {
        let time = TestConfiguration.start + day * Self.day
        return "{\"id\":\"\(id)-\(type)-\(day)\",\"type\":\"\(type)\",\"time\":\(time),"
            + "\"order_id\":\"\(id)\""
    }

    /// Five customers who bought before the cut, and their row by name.
    private static func shop() throws -> TestShop {
        let shop = TestShop()
        shop.asOf = cut
        shop.core.holdout = HoldoutPurchases(cut: 10, until: cut + 20 * day)
        shop.core.begin()
        for name in ["a", "b", "c", "d", "e"] {
            shop.send(order("first-\(name)", day: 1) + ",\"amount\":10}", key: name)
        }
        return shop
    }

    private static func names(_ shop: TestShop) -> [String] {
        (shop.core.holdout?.rows ?? []).map {
            String(decoding: shop.core.table.id(of: $0), as: UTF8.self)
        }.sorted()
    }

    @Test func aPurchaseWithinTheHoldoutCounts() throws {
        let shop = try Self.shop()
        shop.send(Self.order("n1", day: 11) + ",\"amount\":5}", key: "a")
        shop.send(Self.order("n2", day: 29) + ",\"amount\":5}", key: "b")
        // Behind its end, before its beginning, and of somebody who was not there.
        shop.send(Self.order("n3", day: 31) + ",\"amount\":5}", key: "c")
        shop.send(Self.order("n4", day: 9) + ",\"amount\":5}", key: "d")
        shop.send(Self.order("n5", day: 12) + ",\"amount\":5}", key: "stranger")
        #expect(Self.names(shop) == ["a", "b"])
        #expect(shop.core.holdout?.latest == TestConfiguration.start + 31 * Self.day)
        #expect(shop.core.counters.skipped == 4 && shop.core.customerCount == 5)
    }

    @Test func aReversalInFullTakesItBackAndOneInPartDoesNot() throws {
        let shop = try Self.shop()
        for name in ["a", "b", "c"] {
            shop.send(Self.order("n-\(name)", day: 12) + ",\"amount\":5}", key: name)
        }
        shop.send(Self.order("n-a", day: 13, of: "order.reversed") + ",\"full\":true}", key: "a")
        shop.send(Self.order("n-b", day: 13, of: "order.reversed") + ",\"amount\":2}", key: "b")
        // Out of order, and behind the end, which nobody knew at it.
        shop.send(Self.order("n-d", day: 13, of: "order.reversed") + ",\"full\":true}", key: "d")
        shop.send(Self.order("n-d", day: 12) + ",\"amount\":5}", key: "d")
        shop.send(Self.order("n-c", day: 40, of: "order.reversed") + ",\"full\":true}", key: "c")
        #expect(Self.names(shop) == ["b", "c"])
    }
}
