import Testing

@testable import Segmentation

/// Every reason of CONTRACT, section 1, with the cases that it lists.
struct RejectionTests {
    static let time = "\"time\":\"2026-03-01T10:15:00Z\""

    /// Reason of one record of an empty shop, nil when it was used.
    private func reason(
        _ json: String?,
        key: String? = "c",
        headers: [(String, String)] = []
    ) -> RejectionReason? {
        let shop = TestShop()
        shop.send(json, key: key, headers: headers)
        let rejected = shop.rejections.first?.reason
        // A rejected record changes nothing.
        #expect(shop.core.customerCount == (rejected == nil ? 1 : 0))
        #expect(shop.core.counters.rejected == (rejected == nil ? 0 : 1))
        return rejected
    }

    private func order(_ rest: String, type: String = "order.placed") -> RejectionReason? {
        reason("{\"type\":\"\(type)\",\(Self.time),\"order_id\":\"o\",\(rest)}")
    }

    private func profile(_ rest: String) -> RejectionReason? {
        reason("{\"type\":\"customer.profile\",\(Self.time),\(rest)}")
    }

    @Test func malformedJSON() {
        let visit = "\"type\":\"engagement.visit\",\(Self.time)"
        for text in [
            "", " ", "{", "[]", "1", "null", "\"text\"", "{\(visit)", "{\(visit),}",
            "{\(visit)}}", "{\(visit)} x", "{\(visit)}{}", "{\(visit)}\u{0}",
            "{\(visit),\"unknown\":{\"a\":[1,2}}", "{\(visit),\"unknown\":nul}",
            "{\(visit),\"unknown\":NaN}", "{\(visit),\"unknown\":01}",
            "{\(visit),\"unknown\":\"\\x\"}", "{\(visit),\"unknown\":[1,]}",
            "{\(visit),\"unknown\":\"a\nb\"}", "{\(visit),\"unknown\":tru}",
            "{\(visit) \"a\":1}", "{\(visit),\"a\" 1}", "{\(visit),a:1}",
            "{'type':'engagement.visit'}", "{\(visit),\"unknown\":-}",
            "{\(visit),\"unknown\":1.}", "{\(visit),\"unknown\":.5}",
            "{\(visit),\"unknown\":\"\\ud800\"}", "{\(visit),\"unknown\":nullx}",
            "{\(visit),\"id\":nullx}", "{\(visit),\"unknown\":{\"a\":[null1]}}",
            "{\(visit),\"data\":{\"a\":null\"}}",
        ] {
            #expect(reason(text) == .malformedJSON, "\(text)")
        }
        #expect(order("\"amount\":NaN") == .malformedJSON)
        #expect(order("\"amount\":Infinity") == .malformedJSON)
        #expect(order("\"amount\":+1") == .malformedJSON)
    }

    @Test func invalidUTF8IsMalformed() {
        for bad: [UInt8] in [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80]] {
            for front in ["\"unknown\":\"", "\"customer_id\":\"c\",\"id\":\""] {
                let shop = TestShop()
                let text = "{\"type\":\"engagement.visit\",\(Self.time),\(front)"
                shop.send(Array(text.utf8) + bad + Array("\"}".utf8), keyBytes: Array("c".utf8))
                #expect(shop.rejections.map(\.reason) == [.malformedJSON])
            }
        }
    }

    @Test func aKeyThatIsNoUTF8IsMalformed() {
        let shop = TestShop()
        shop.send(
            Array("{\"type\":\"engagement.visit\",\(Self.time)}".utf8),
            keyBytes: [0x63, 0xff]
        )
        #expect(shop.rejections.map(\.reason) == [.malformedJSON])
        #expect(shop.core.customerCount == 0)
    }

    @Test func missingField() {
        #expect(reason("{}") == .missingField)
        #expect(reason("{\(Self.time)}") == .missingField)
        #expect(reason("{\"type\":null,\(Self.time)}") == .missingField)
        #expect(reason("{\"type\":\"engagement.visit\"}") == .missingField)
        #expect(reason("{\"type\":\"engagement.visit\",\"time\":null}") == .missingField)
        #expect(
            reason("{\"type\":\"order.placed\",\(Self.time),\"amount\":1}") == .missingField
        )
        #expect(order("\"currency\":\"EUR\"") == .missingField)
        #expect(order("\"amount\":null") == .missingField)
        #expect(order("\"channel\":\"web\"", type: "order.reversed") == .missingField)
        #expect(order("\"full\":false", type: "order.reversed") == .missingField)
        #expect(order("\"full\":null,\"amount\":null", type: "order.reversed") == .missingField)
        #expect(
            reason("{\"order_id\":\"o\",\"amount\":1}", headers: [("ce_specversion", "1.0")])
                == .missingField
        )
    }

    @Test func wrongType() {
        #expect(reason("{\"type\":1,\(Self.time)}") == .wrongType)
        for time in [
            "\"yesterday\"", "\"\"", "\"2026-02-30\"", "\"2026-13-01\"", "\"2026-03-01T25:00:00Z\"",
            "\"2026-03-01T10:15:00\"", "\"2026-03-01T10:15Z\"", "\"20260301\"", "1.5", "true",
            "{}", "[]", "\"1772358300123\"", "\"2026-03-01T10:15:00.Z\"",
            "\"2026-03-01T10:15:00+0100\"", "\"2026-03-01T10:15:00Zjunk\"", "\"2026-03-01 \"",
        ] {
            #expect(
                reason("{\"type\":\"engagement.visit\",\"time\":\(time)}") == .wrongType,
                "\(time)"
            )
        }
        #expect(order("\"amount\":\"61.5\"") == .wrongType)
        #expect(order("\"amount\":true") == .wrongType)
        #expect(order("\"amount\":{}") == .wrongType)
        #expect(order("\"amount\":1,\"categories\":[]") == .wrongType)
        #expect(order("\"amount\":1,\"categories\":{\"wines\":\"1\"}") == .wrongType)
        #expect(order("\"amount\":1,\"categories\":{\"unknown\":\"1\"}") == .wrongType)
        #expect(order("\"amount\":1,\"categories\":{\"wines\":null}") == .wrongType)
        #expect(order("\"amount\":1,\"channel\":2") == .wrongType)
        #expect(order("\"amount\":1,\"discount\":\"true\"") == .wrongType)
        #expect(order("\"amount\":1,\"currency\":5") == .wrongType)
        #expect(order("\"full\":1", type: "order.reversed") == .wrongType)
        #expect(
            reason("{\"type\":\"order.placed\",\(Self.time),\"order_id\":7,\"amount\":1}")
                == .wrongType
        )
        #expect(profile("\"income\":\"52000\"") == .wrongType)
        #expect(profile("\"education\":3") == .wrongType)
        #expect(profile("\"enrolled_at\":\"soon\"") == .wrongType)
        #expect(profile("\"customer_id\":42") == .wrongType)
        #expect(profile("\"id\":42") == .wrongType)
        #expect(
            reason("{}", headers: [("ce_type", "engagement.visit"), ("ce_time", "soon")])
                == .wrongType
        )
    }

    @Test func outOfRange() {
        #expect(order("\"amount\":-0.01") == .outOfRange)
        #expect(order("\"amount\":10000000.01") == .outOfRange)
        #expect(order("\"amount\":1e999") == .outOfRange)
        #expect(order("\"amount\":-1e999") == .outOfRange)
        #expect(order("\"amount\":-5", type: "order.reversed") == .outOfRange)
        #expect(order("\"amount\":10,\"categories\":{\"wines\":10.0051}") == .outOfRange)
        #expect(order("\"amount\":10,\"categories\":{\"wines\":6,\"toys\":4.1}") == .outOfRange)
        #expect(order("\"amount\":10,\"categories\":{\"wines\":-1}") == .outOfRange)
        #expect(order("\"amount\":10,\"categories\":{\"toys\":-1}") == .outOfRange)
        #expect(order("\"amount\":10,\"categories\":{\"wines\":1e999}") == .outOfRange)
        #expect(profile("\"income\":1e999") == .outOfRange)
        #expect(profile("\"income\":-1") == .outOfRange)
        #expect(profile("\"kids_home\":-1") == .outOfRange)
        #expect(
            reason("{\"type\":\"customer.snapshot\",\(Self.time),\"MntWines\":-1}") == .outOfRange
        )
        #expect(
            reason("{\"type\":\"customer.snapshot\",\(Self.time),\"MntWines\":1e8}") == .outOfRange
        )
        #expect(reason("{\"type\":\"engagement.visit\",\"time\":1e999}") == .outOfRange)
        #expect(reason("{\"type\":\"engagement.visit\",\"time\":8e15}") == .outOfRange)
        #expect(
            reason("{\"type\":\"engagement.visit\",\"time\":\"9999-12-31\"}") == .outOfRange
        )
        #expect(
            reason(
                "{}",
                headers: [("ce_type", "engagement.visit"), ("ce_time", "9999-12-31T00:00:00Z")]
            ) == .outOfRange
        )
    }

    @Test func limitsThemselvesAreAllowed() {
        #expect(order("\"amount\":0") == nil)
        #expect(order("\"amount\":1e7") == nil)
        #expect(order("\"amount\":10,\"categories\":{\"wines\":10.005}") == nil)
        #expect(order("\"amount\":10,\"categories\":{}") == nil)
        #expect(order("\"amount\":10,\"categories\":null,\"channel\":null") == nil)
        #expect(order("\"full\":true", type: "order.reversed") == nil)
        #expect(order("\"amount\":0", type: "order.reversed") == nil)
        #expect(order("\"amount\":1,\"channel\":\"telepathy\"") == nil)
        #expect(profile("\"income\":null,\"hobby\":{\"a\":[1,null]},\"education\":\"X\"") == nil)
        #expect(reason("{\"type\":\"customer.profile\",\(Self.time)}") == nil)
    }

    @Test func unknownType() {
        #expect(reason("{\"type\":\"order.lost\",\(Self.time)}") == .unknownType)
        #expect(reason("{\"type\":\"\",\(Self.time)}") == .unknownType)
        #expect(reason("{\"type\":\"web\",\(Self.time)}") == .unknownType)
        #expect(reason("{}", headers: [("ce_type", "order.lost")]) == .unknownType)
    }

    @Test func keyMismatch() {
        let visit = "{\"type\":\"engagement.visit\",\(Self.time)"
        #expect(reason("\(visit),\"customer_id\":\"d\"}") == .keyMismatch)
        #expect(reason("\(visit),\"customer_id\":\"\"}") == .keyMismatch)
        #expect(reason("\(visit),\"subject\":\"cc\"}") == .keyMismatch)
        #expect(reason("\(visit),\"subject\":\"c\",\"customer_id\":\"d\"}") == .keyMismatch)
        #expect(
            reason(
                "{\"specversion\":\"1.0\",\"type\":\"engagement.visit\",\(Self.time),\"data\":{\"customer_id\":\"d\"}}"
            ) == .keyMismatch
        )
        let headers = [("ce_type", "engagement.visit"), ("ce_time", "2026-03-01")]
        #expect(reason("{\"customer_id\":\"d\"}", headers: headers) == .keyMismatch)
        #expect(reason("{}", headers: headers + [("ce_subject", "d")]) == .keyMismatch)
        #expect(reason("{}", headers: headers + [("ce_subject", "c")]) == nil)
    }

    @Test func aCustomerLivesInOnePartition() {
        let shop = TestShop()
        shop.send("{\"type\":\"engagement.visit\",\(Self.time)}", key: "c", partition: 1)
        shop.send("{\"type\":\"engagement.visit\",\(Self.time)}", key: "c", partition: 2)
        #expect(shop.rejections.map(\.reason) == [.keyMismatch])
    }

    @Test func missingCustomer() {
        let visit = "{\"type\":\"engagement.visit\",\(Self.time),\"customer_id\":\"c\"}"
        #expect(reason(visit, key: nil) == .missingCustomer)
        #expect(reason(visit, key: "") == .missingCustomer)
        #expect(reason(nil, key: nil) == .missingCustomer)
    }

    @Test func futureTime() {
        let shop = TestShop()
        shop.wall = 1_000_000
        for offset in [3_600_000, 3_600_001] {
            shop.send(
                "{\"type\":\"engagement.visit\",\"time\":\(1_000_000 + offset)}",
                key: "c\(offset)"
            )
        }
        #expect(shop.rejections.map(\.reason) == [.futureTime])
        #expect(shop.row("c3600000") >= 0 && shop.row("c3600001") < 0)
        #expect(shop.core.greatestEventTime == 4_600_000)
    }

    @Test func tooLarge() {
        let front = "{\"type\":\"engagement.visit\",\(Self.time),\"note\":\""
        let room = 65_536 - front.utf8.count - 2
        #expect(reason(front + String(repeating: "n", count: room) + "\"}") == nil)
        #expect(reason(front + String(repeating: "n", count: room + 1) + "\"}") == .tooLarge)
    }

    @Test func nullValuesFollowThePolicy() {
        #expect(reason(nil) == .nullValue)
        for policy in SegmentationConfiguration.NullPolicy.allCases {
            var configuration = TestConfiguration.smartCart()
            configuration.privacy.onNull = policy
            let shop = TestShop(configuration)
            shop.send("{\"type\":\"engagement.visit\",\(Self.time)}", key: "c")
            shop.send(nil, key: "c", timestamp: 1_800_000_000_000)
            #expect(shop.rejections.count == (policy == .reject ? 1 : 0))
            #expect((shop.row("c") < 0) == (policy == .erase))
            #expect(shop.core.counters.ignoredNulls == (policy == .ignore ? 1 : 0))
        }
    }

    @Test func aNullValueErasesOnlyWhereItsCustomerLives() {
        var configuration = TestConfiguration.smartCart()
        configuration.privacy.onNull = .erase
        let shop = TestShop(configuration)
        shop.send("{\"type\":\"engagement.visit\",\(Self.time)}", key: "c", partition: 1)
        shop.send(nil, key: "c", partition: 2, timestamp: 1_800_000_000_000)
        #expect(shop.rejections.map(\.reason) == [.keyMismatch])
        #expect(shop.row("c") >= 0)
        // A key that looks like the stub of an erased customer is no customer's.
        shop.output.removeAll()
        shop.send(nil, keyBytes: [0] + Array(repeating: 0x30, count: 32))
        #expect(shop.rejections.map(\.reason) == [.outOfRange])
        #expect(shop.take().isEmpty)
    }

    @Test func schemaRegistryFrames() {
        let json = Array("{\"type\":\"engagement.visit\",\(Self.time)}".utf8)
        let cases: [([UInt8], RejectionReason?)] = [
            ([0, 0, 0, 0, 7] + json, nil), ([0, 1, 2, 3, 4, 32, 10] + json, nil),
            ([0, 0, 0, 0, 7, 2, 65, 66], .unsupportedEncoding),
            ([0, 0, 0, 0, 7], .unsupportedEncoding),
            ([0, 0, 0, 0, 7] + json + [1], .malformedJSON),
        ]
        for (bytes, expected) in cases {
            let shop = TestShop()
            shop.send(bytes, keyBytes: Array("c".utf8))
            #expect(shop.rejections.first?.reason == expected)
        }
    }

    @Test func currencies() {
        #expect(order("\"amount\":1,\"currency\":\"USD\"") == .unknownCurrency)
        #expect(order("\"amount\":1,\"currency\":\"eur\"") == .unknownCurrency)
        var configuration = TestConfiguration.smartCart()
        configuration.currencyRates = ["USD": 0.5]
        let shop = TestShop(configuration)
        shop.send(
            "{\"type\":\"order.placed\",\(Self.time),\"order_id\":\"o\",\"amount\":10,\"currency\":\"USD\",\"categories\":{\"wines\":4}}",
            key: "c"
        )
        #expect(shop.rejections.isEmpty)
        #expect(shop.number("wines", of: "c") == 2 && shop.number("other", of: "c") == 3)
    }

    @Test func categoriesLeaveTheRestToOther() {
        let shop = TestShop()
        shop.send(
            "{\"type\":\"order.placed\",\(Self.time),\"order_id\":\"o\",\"amount\":10,\"categories\":{\"wines\":2,\"toys\":3}}",
            key: "c"
        )
        #expect(shop.number("wines", of: "c") == 2 && shop.number("other", of: "c") == 8)
    }

    @Test func oversizedAndReservedKeysAreOutOfRange() {
        let visit = "{\"type\":\"engagement.visit\",\(Self.time)}"
        #expect(reason(visit, key: String(repeating: "k", count: 1024)) == nil)
        #expect(reason(visit, key: String(repeating: "k", count: 1025)) == .outOfRange)
        #expect(reason(visit, key: "\u{0}k") == .outOfRange)
    }
}
