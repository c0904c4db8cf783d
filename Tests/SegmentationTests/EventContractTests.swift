import Testing

@testable import Segmentation

@Suite struct EventContractTests {
    private func rejection(
        _ line: String,
        key: String? = "c-42",
        headers: [(String, String)] = [],
        wall: Int64? = nil
    ) -> RejectionReason? {
        var configuration = SmallShop.configuration
        configuration.limits.recordBytes = 4096
        var feeder = Feeder(configuration)
        feeder.wall = wall
        feeder.core.begin()
        feeder.apply(Array(line.utf8), key: key, headers: headers)
        let reason = feeder.lastRejection
        // A record is applied or rejected, never both and never neither.
        #expect(feeder.core.counters.applied == (reason == nil ? 1 : 0))
        #expect(feeder.core.counters.rejected == (reason == nil ? 0 : 1))
        return reason
    }

    private let order =
        #"{"id":"e-1","source":"shop","type":"order.placed","time":"2026-03-01T10:15:00Z","customer_id":"c-42","order_id":"o-7","amount":61.5,"currency":"EUR","categories":{"wines":41.5,"meat":20},"channel":"web","discount":true}"#

    @Test func everyExampleOfTheContractIsAccepted() {
        for line in [
            order,
            #"{"id":"e-2","type":"order.reversed","time":1772442900000,"customer_id":"c-42","order_id":"o-7","amount":20,"categories":{"meat":20}}"#,
            #"{"id":"e-3","type":"order.reversed","time":"2026-03-02T09:15:00Z","customer_id":"c-42","order_id":"o-7","full":true}"#,
            #"{"id":"e-4","type":"customer.profile","time":"2026-03-02","customer_id":"c-42","birth_year":1970,"education":"Master","marital_status":"Married","income":52000,"kids_home":1,"teens_home":0,"enrolled_at":"2025-06-01"}"#,
            #"{"id":"e-6","type":"engagement.visit","time":"2026-03-02T20:01:00Z","customer_id":"c-42"}"#,
            #"{"id":"e-7","type":"engagement.campaign","time":"2026-03-03T08:00:00Z","customer_id":"c-42","campaign_id":"spring","accepted":true}"#,
            #"{"id":"e-8","type":"engagement.complaint","time":"2026-03-04T08:00:00Z","customer_id":"c-42"}"#,
            #"{"id":"e-9","type":"privacy.erased","time":"2026-03-05T08:00:00Z","customer_id":"c-42"}"#,
        ] {
            #expect(rejection(line) == nil, "\(line)")
        }
    }

    @Test(arguments: [
        (
            #"{"type":"engagement.visit","time":"2026-03-02","customer_id":"c-42""#,
            RejectionReason.malformedJSON
        ),
        (#"[1]"#, .malformedJSON),
        (#"{"type":"engagement.visit","time":"2026-03-02"} trailing"#, .malformedJSON),
        (#"{"type":"engagement.visit","time":"2026-03-02","x":{"y":[1,nope]}}"#, .malformedJSON),
        (#"{"type":"engagement.visit","time":NaN}"#, .malformedJSON),
        (#"{"time":"2026-03-02"}"#, .missingField),
        (#"{"type":"engagement.visit"}"#, .missingField),
        (#"{"type":"engagement.visit","time":"yesterday"}"#, .wrongType),
        (#"{"type":"engagement.visit","time":"2026-02-30"}"#, .wrongType),
        (#"{"type":"shop.closed","time":"2026-03-02"}"#, .unknownType),
        (#"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":"5"}"#, .wrongType),
        (#"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":-5}"#, .outOfRange),
        (
            #"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":1e999}"#,
            .outOfRange
        ),
        (#"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":1e8}"#, .outOfRange),
        (#"{"type":"order.placed","time":"2026-03-02","amount":5}"#, .missingField),
        (
            #"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":5,"categories":{"wines":5.01}}"#,
            .outOfRange
        ),
        (
            #"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":5,"categories":{"wines":"5"}}"#,
            .wrongType
        ),
        (
            #"{"type":"order.placed","time":"2026-03-02","order_id":"o","amount":5,"currency":"USD"}"#,
            .unknownCurrency
        ),
        (#"{"type":"order.reversed","time":"2026-03-02","order_id":"o"}"#, .missingField),
        (#"{"type":"engagement.visit","time":"2026-03-02","customer_id":"c-43"}"#, .keyMismatch),
        (#"{"type":"engagement.visit","time":"2026-03-02","subject":"c-43"}"#, .keyMismatch),
        (#"{"type":"customer.profile","time":"2026-03-02","income":"many"}"#, .wrongType),
    ])
    func aRecordThatCannotBeUsedSaysWhy(line: String, reason: RejectionReason) {
        #expect(rejection(line) == reason)
    }

    @Test func aRecordNeedsAKeyOutsideOfReplay() {
        var decoder = EventDecoder(
            configuration: SmallShop.configuration,
            schema: CompiledSchema(SmallShop.configuration),
            customerFromBody: false
        )
        var event = CustomerEvent()
        let bytes = Array(order.utf8) + Array(repeating: 0, count: 64)
        let record = InputRecord(
            key: nil,
            value: 0..<order.utf8.count,
            headers: 0..<0,
            partition: 0,
            timestampMilliseconds: 1
        )
        #expect(throws: Rejection(.missingCustomer, "the record has no key")) {
            try decoder.decode(record, bytes: bytes, headers: [], into: &event)
        }
    }

    @Test func threeEnvelopesAreToldApart() {
        let body = #"{"order_id":"o-7","amount":5,"channel":"store"}"#
        let binary = [
            ("ce_specversion", "1.0"), ("ce_type", "order.placed"), ("ce_id", "e-1"),
            ("ce_source", "shop"), ("ce_time", "2026-03-01T10:15:00Z"),
        ]
        #expect(rejection(body, headers: binary) == nil)
        #expect(rejection(body, headers: binary + [("ce_subject", "c-43")]) == .keyMismatch)
        #expect(rejection(body) == .missingField)
        let structured =
            #"{"specversion":"1.0","type":"order.placed","id":"e-1","source":"shop","time":"2026-03-01T10:15:00Z","data":"#
            + body + "}"
        #expect(rejection(structured) == nil)
    }

    @Test func aSchemaRegistryFrameAroundJSONIsAccepted() {
        var feeder = Feeder(SmallShop.configuration)
        feeder.core.begin()
        feeder.apply([0, 0, 0, 0, 7] + Array(order.utf8), key: "c-42")
        #expect(feeder.lastRejection == nil)
        feeder.apply([0, 0, 0, 0, 7, 2, 4, 6], key: "c-42")
        #expect(feeder.lastRejection == .unsupportedEncoding)
        feeder.apply([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d], key: "c-42")
        #expect(feeder.lastRejection == .malformedJSON)
        feeder.apply(nil, key: "c-42")
        #expect(feeder.lastRejection == .nullValue)
    }

    @Test func timesFarInTheFutureAreRejected() {
        let tooEarly: Int64 = 1_772_359_200_000
        #expect(rejection(order, wall: tooEarly) == nil)
        #expect(rejection(order, wall: tooEarly - 3 * 3_600_000) == .futureTime)
    }

    @Test func aRecordAboveTheLimitIsTooLarge() {
        let padding = String(repeating: "x", count: 5000)
        #expect(rejection(#"{"type":"engagement.visit","note":"\#(padding)"}"#) == .tooLarge)
    }

    @Test(arguments: [
        ("2026-03-01T10:15:00Z", 1_772_360_100_000), ("2026-03-01", 1_772_323_200_000),
        ("2026-03-01T10:15:00.25+02:00", 1_772_352_900_250),
        ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59Z", -1000),
    ])
    func timesAreReadAsRFC3339(text: String, milliseconds: Int64) {
        #expect(EventTime.parse(text) == milliseconds)
    }
}
