import OnlineLearning
import Testing

@testable import Segmentation

/// CONTRACT, section 1: the example events to the letter, and three envelopes.
struct EventDecoderTests {
    static let examples = [
        #"{"id":"e-1","source":"shop","type":"order.placed","time":"2026-03-01T10:15:00Z","customer_id":"c-42","order_id":"o-7","amount":61.5,"currency":"EUR","categories":{"wines":41.5,"meat":20},"channel":"web","discount":true}"#,
        #"{"id":"e-2","type":"order.reversed","time":1772442900000,"customer_id":"c-42","order_id":"o-7","amount":20,"categories":{"meat":20}}"#,
        #"{"id":"e-3","type":"order.reversed","time":"2026-03-02T09:15:00Z","customer_id":"c-42","order_id":"o-7","full":true}"#,
        #"{"id":"e-4","type":"customer.profile","time":"2026-03-02","customer_id":"c-42","birth_year":1970,"education":"Master","marital_status":"Married","income":52000,"kids_home":1,"teens_home":0,"enrolled_at":"2025-06-01"}"#,
        #"{"id":"e-5","type":"customer.snapshot","time":"2014-06-29","customer_id":"5524","ID":5524,"Year_Birth":1957,"Education":"Graduation","Marital_Status":"Single","Income":58138,"Kidhome":0,"Teenhome":0,"Dt_Customer":"04-09-2012","Recency":58,"MntWines":635,"MntFruits":88,"MntMeatProducts":546,"MntFishProducts":172,"MntSweetProducts":88,"MntGoldProds":88,"NumDealsPurchases":3,"NumWebPurchases":8,"NumCatalogPurchases":10,"NumStorePurchases":4,"NumWebVisitsMonth":7,"Complain":0,"Response":1}"#,
        #"{"id":"e-6","type":"engagement.visit","time":"2026-03-02T20:01:00Z","customer_id":"c-42"}"#,
        #"{"id":"e-7","type":"engagement.campaign","time":"2026-03-03T08:00:00Z","customer_id":"c-42","campaign_id":"spring","accepted":true}"#,
        #"{"id":"e-8","type":"engagement.complaint","time":"2026-03-04T08:00:00Z","customer_id":"c-42"}"#,
        #"{"id":"e-9","type":"privacy.erased","time":"2026-03-05T08:00:00Z","customer_id":"c-42"}"#,
    ]

    @Test func examplesMoveTheirSlots() {
        let shop = TestShop()
        func send(_ number: Int, key: String = "c-42") {
            shop.send(Self.examples[number - 1], key: key)
        }
        func slot(_ name: String) -> Double { shop.number(name, of: "c-42") }
        send(1)
        #expect(slot("wines") == 41.5 && slot("meat") == 20 && slot("other") == 0)
        #expect(slot("web") == 1 && slot("deals") == 1 && slot("store") == 0)
        #expect(slot("last_purchase") == 20_513)
        send(2)
        #expect(slot("wines") == 41.5 && slot("meat") == 0 && slot("web") == 1)
        #expect(shop.core.table.clock(shop.row("c-42")) == 1_772_442_900_000)
        send(3)
        #expect(slot("wines") == 0 && slot("web") == 0 && slot("deals") == 0)
        #expect(slot("last_purchase").isNaN)
        send(4)
        #expect(slot("birth_year") == 1970 && slot("income") == 52_000)
        #expect(slot("education") == 2 && slot("living") == 1 && slot("kids") == 1)
        #expect(slot("teens") == 0 && slot("enrolled") == 20_240)
        send(5, key: "5524")
        #expect(shop.number("wines", of: "5524") == 635)
        #expect(shop.number("enrolled", of: "5524") == 15_587)
        #expect(shop.number("last_purchase", of: "5524") == 16_250 - 58)
        #expect(shop.number("education", of: "5524") == 1)
        #expect(shop.number("accepted", of: "5524") == 1)
        send(6)
        send(7)
        send(8)
        #expect(slot("visits") == 1 && slot("accepted") == 1 && slot("complaints") == 1)
        send(9)
        #expect(shop.row("c-42") < 0 && shop.row("5524") >= 0)
        #expect(shop.rejections.isEmpty)
        #expect(shop.core.counters.applied == 9)
    }

    @Test func structuredModeTakesTheBodyFromData() {
        let shop = TestShop()
        shop.send(
            #"{"specversion":"1.0","id":"1","source":"shop","type":"order.placed","time":"2026-03-01T10:15:00Z","subject":"c-1","data":{"order_id":"o","amount":7,"channel":"store"}}"#,
            key: "c-1"
        )
        #expect(shop.rejections.isEmpty)
        #expect(shop.number("other", of: "c-1") == 7 && shop.number("store", of: "c-1") == 1)
        shop.send(
            #"{"specversion":"1.0","id":"2","source":"shop","type":"engagement.visit","time":"2026-03-01T10:15:00Z","subject":"c-1"}"#,
            key: "c-1"
        )
        #expect(shop.number("visits", of: "c-1") == 1)
    }

    @Test func binaryModeTakesTheEnvelopeFromHeaders() {
        let shop = TestShop()
        let headers = [
            ("ce_specversion", "1.0"), ("ce_type", "order.placed"), ("ce_id", "1"),
            ("ce_source", "shop"), ("ce_time", "2026-03-01T10:15:00+01:00"),
            ("ce_subject", "c-1"),
        ]
        shop.send(#"{"order_id":"o","amount":7}"#, key: "c-1", headers: headers)
        #expect(shop.rejections.isEmpty)
        #expect(shop.number("other", of: "c-1") == 7)
        #expect(shop.core.table.clock(shop.row("c-1")) == 1_772_356_500_000)
    }

    @Test func replayTakesTheCustomerFromTheBodyAlone() {
        let shop = TestShop(customerFromBody: true)
        shop.send(Self.examples[5], key: nil)
        #expect(shop.number("visits", of: "c-42") == 1)
        shop.send(
            #"{"type":"engagement.visit","time":1,"subject":"c-7"}"#,
            key: nil
        )
        #expect(shop.number("visits", of: "c-7") == 1)
        shop.send(#"{"type":"engagement.visit","time":1}"#, key: nil)
        shop.send(#"{"type":"engagement.visit","time":1,"customer_id":""}"#, key: nil)
        shop.send(
            #"{"type":"engagement.visit","time":1,"customer_id":"a","subject":"b"}"#,
            key: nil
        )
        #expect(
            shop.rejections.map(\.reason) == [.missingCustomer, .missingCustomer, .keyMismatch]
        )
    }

    @Test func fieldsAreFoundByAnyEscape() {
        let shop = TestShop()
        shop.send(
            #"{"typ\u0065":"engagement.vis\u0069t","time":1,"customer_id":"c-\u0031"}"#,
            key: "c-1"
        )
        #expect(shop.rejections.isEmpty && shop.number("visits", of: "c-1") == 1)
    }

    @Test func timesComeInEveryAllowedForm() {
        let moment = 1_772_358_300_123
        let forms: [(String, Int)] = [
            ("\"2026-03-01T09:45:00.123Z\"", moment), ("\(moment)", moment),
            ("\"2026-03-01T10:45:00.123+01:00\"", moment),
            ("\"2026-03-01t04:15:00.1239-05:30\"", moment),
            ("1772358300123.0", moment), ("1.772358300123e12", moment),
            ("\"2026-03-01\"", 1_772_323_200_000), ("\"1969-12-31T23:59:59Z\"", -1000), ("0", 0),
        ]
        for (index, (text, expected)) in forms.enumerated() {
            let shop = TestShop()
            shop.send("{\"type\":\"engagement.visit\",\"time\":\(text)}", key: "c")
            #expect(shop.rejections.isEmpty, "form \(index): \(text)")
            #expect(Int(shop.core.table.clock(shop.row("c"))) == expected, "\(text)")
        }
    }
}
