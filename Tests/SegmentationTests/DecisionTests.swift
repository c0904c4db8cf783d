import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// One output record as a reader sees it.
struct PublishedDecision {
    var key: String
    var headers: [String]
    var object: [String: Any]

    init(_ record: ProducedRecord) throws {
        key = record.keyText
        headers = record.headers
        let data = Data(record.value ?? [])
        object = try JSONSerialization.jsonObject(with: data) as? [String: Any] ?? [:]
    }

    func text(_ name: String) -> String? { object[name] as? String }
    func number(_ name: String) -> Double? { (object[name] as? NSNumber)?.doubleValue }
    func isNull(_ name: String) -> Bool { object[name] is NSNull }
}

extension TestShop {
    /// Output records since the last call, tombstones left out.
    func published() throws -> [PublishedDecision] {
        try take().filter { $0.destination == .segments && $0.value != nil }
            .map(PublishedDecision.init)
    }
}

/// CONTRACT, section 2, and the rules of DESIGN, sections 6 to 8.
struct DecisionTests {
    static let day = TestConfiguration.day
    static let start = TestConfiguration.start

    static let keys: Set<String> = [
        "type", "customer_id", "life", "revision", "cause", "effective_at", "decided_at",
        "backfill", "model_version", "model_step", "segment_id", "segment_key", "segment_name",
        "previous_segment_id", "segment_transition", "segment_since", "provisional", "distance",
        "margin", "runner_up_segment_id", "churn_band", "previous_churn_band", "churn_transition",
        "risk", "p_alive", "p_no_purchase", "horizon_days", "orders", "spent", "last_order_at",
        "expected_next_order_at", "next_review_at", "expected_orders", "expected_value", "strategy",
        "interests", "reasons", "imputed",
    ]

    /// A model of one feature that matters, visits, with centroids at 0 and at 10: distances by
    /// eye.
    static func twoSegments(churn: Bool = true) throws -> SegmentModel {
        var model = try TestModel.shared.get()
        let d = model.featureCount
        let visits = model.featureNames.firstIndex(of: "visits") ?? 0
        model.mean = Array(repeating: 0, count: d)
        model.scale = Array(repeating: 1, count: d)
        model.components = (0..<d).map { $0 == visits ? 1 : 0 }
        model.explainedVariance = [1]
        model.explainedVarianceRatio = [1]
        model.segments = [7, 9].map {
            SegmentModel.Segment(
                id: $0,
                key: "key-\($0)",
                name: "Name \($0)",
                strategy: "Strategy \($0)",
                customers: 1,
                trainingCustomers: 1
            )
        }
        model.centroids = Array(repeating: 0, count: 2 * d)
        model.centroids[d + visits] = 10
        if !churn { model.churn = nil }
        model.prepare()
        return model
    }

    private func shop(
        churn: Bool = true,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        change(&configuration)
        return TestShop(configuration, model: try Self.twoSegments(churn: churn))
    }

    private func visits(
        _ count: Int,
        _ shop: TestShop,
        from time: Int64 = start,
        key: String = "c"
    ) {
        for index in 0..<count {
            shop.send(
                "{\"type\":\"engagement.visit\",\"time\":\(time + Int64(index))}",
                key: key
            )
        }
    }

    @Test func everyRecordIsCompleteAndSane() throws {
        var configuration = TestConfiguration.smartCart()
        configuration.emit = .all
        let model = try TestModel.shared.get()
        let shop = TestShop(configuration, model: model)
        shop.wall = Self.start + 1000 * Self.day
        var stream = EventStream(seed: 31, customers: 30)
        var revisions: [String: Double] = [:]
        var bands: [String: String] = [:]
        var segments: [String: Double] = [:]
        for event in stream.events(1500) {
            shop.send(event)
            for record in shop.take() where record.destination == .segments {
                guard record.value != nil else {
                    #expect(record.headers.isEmpty)
                    revisions[record.keyText] = nil
                    bands[record.keyText] = nil
                    segments[record.keyText] = nil
                    continue
                }
                let decision = try PublishedDecision(record)
                #expect(Set(decision.object.keys) == Self.keys)
                let customer = record.keyText
                #expect(decision.text("customer_id") == customer)
                #expect(decision.number("revision") == (revisions[customer] ?? 0) + 1)
                revisions[customer] = decision.number("revision")
                check(decision, model)
                if let band = bands[customer] {
                    #expect(decision.text("previous_churn_band") == band)
                } else {
                    #expect(decision.isNull("previous_churn_band"))
                }
                #expect(decision.number("previous_segment_id") == segments[customer])
                bands[customer] = decision.text("churn_band")
                segments[customer] = decision.number("segment_id")
                checkHeaders(decision)
            }
        }
        #expect(revisions.count > 20)
    }

    private func check(_ decision: PublishedDecision, _ model: SegmentModel) {
        let isMove = ["entered", "moved"].contains(decision.text("segment_transition"))
        let isChurn = decision.text("churn_transition") != "none"
        let type = isMove ? "segment.changed" : isChurn ? "churn.changed" : "decision.refreshed"
        #expect(decision.text("type") == type)
        #expect(model.segments.contains { Double($0.id) == decision.number("segment_id") })
        for name in ["risk", "p_alive", "p_no_purchase"] where !decision.isNull(name) {
            #expect((0...1).contains(decision.number(name) ?? -1), "\(name)")
        }
        let hasBought = !decision.isNull("last_order_at")
        for name in ["risk", "p_alive", "p_no_purchase", "expected_orders", "expected_value"] {
            #expect(decision.isNull(name) == !hasBought, "\(name)")
        }
        #expect(hasBought == (decision.text("churn_band") != "insufficient_data"))
        #expect((decision.number("distance") ?? -1) >= 0)
        #expect(decision.number("runner_up_segment_id") != decision.number("segment_id"))
        #expect((decision.number("model_version") ?? 0) == Double(model.version))
        #expect(decision.number("horizon_days") == 90)
        #expect((decision.number("expected_value") ?? 0) >= 0)
        let interests = decision.object["interests"] as? [[String: Any]] ?? []
        let shares = interests.compactMap { ($0["share"] as? NSNumber)?.doubleValue }
        #expect(shares.count == interests.count && shares.reduce(0, +) <= 1 + 1e-9)
        #expect(shares == shares.sorted(by: >))
        for reason in decision.object["reasons"] as? [[String: Any]] ?? [] {
            #expect(Set(reason.keys) == ["feature", "value", "typical", "direction"])
        }
    }

    private func checkHeaders(_ decision: PublishedDecision) {
        let life = Int(decision.number("life") ?? 0)
        let revision = Int(decision.number("revision") ?? 0)
        #expect(
            decision.headers == [
                "ce_specversion: 1.0", "ce_type: \(decision.text("type") ?? "")",
                "ce_id: \(decision.key)/\(life)/\(revision)", "ce_source: segmentd/segmentd",
                "ce_time: \(decision.text("effective_at") ?? "")",
                "content-type: application/json",
            ]
        )
    }

    @Test func namesAreEscaped() throws {
        let shop = try shop()
        let key = "a\"b\\c\u{1}\n\u{7f}é\u{2028}😀/"
        visits(1, shop, key: key)
        let decision = try #require(try shop.published().first)
        #expect(decision.text("customer_id") == key)
    }

    /// Money of long ago says less about taste than money of today.
    @Test(arguments: [1, 8])
    func interestsFade(ledger: Int) throws {
        let shop = try shop {
            $0.ledgerOrders = ledger
            $0.emit = .all
        }
        func order(_ id: String, _ category: String, _ amount: Int, day: Int64) {
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\(Self.start + day * Self.day),"
                    + "\"order_id\":\"\(id)\",\"amount\":\(amount),"
                    + "\"categories\":{\"\(category)\":\(amount)}}",
                key: "c"
            )
        }
        order("a", "meat", 200, day: 0)
        order("b", "wines", 60, day: 180)
        let last = try #require(try shop.published().last)
        let interests = last.object["interests"] as? [[String: Any]] ?? []
        let shares = interests.map { ($0["share"] as? NSNumber)?.doubleValue ?? -1 }
        let names = interests.map { $0["category"] as? String ?? "" }
        // Two half-lives make 50 of 200; what the ledger has forgotten is as old as its oldest.
        let meat = ledger == 1 ? 200.0 : 50.0
        #expect(names == (ledger == 1 ? ["meat", "wines"] : ["wines", "meat"]))
        let expected = [meat, 60].sorted(by: >).map { $0 / (meat + 60) }
        #expect(zip(shares, expected).allSatisfy { abs($0 - $1) < 1e-9 } && shares.count == 2)
    }

    @Test func nothingIsPublishedBeforeTheFirstVersion() throws {
        let shop = TestShop()
        visits(3, shop)
        #expect(shop.take().isEmpty)
    }

    @Test func enteredThenMovedThenNone() throws {
        let shop = try shop { $0.assignment.hysteresis = 0 }
        visits(12, shop)
        let records = try shop.published()
        #expect(records.map { $0.text("segment_transition") } == ["entered", "moved"])
        #expect(records.map { $0.number("segment_id") } == [7, 9])
        #expect(records[0].isNull("previous_segment_id"))
        #expect(records[1].number("previous_segment_id") == 7)
        // The sixth visit is nearer to 10 than to 0; a tie at five stays.
        #expect(records[1].text("effective_at") == "2026-01-01T00:00:00.005Z")
        #expect(records[1].number("distance") == 4 && records[1].number("margin") == 2)
        #expect(records[1].number("runner_up_segment_id") == 7)
        #expect(records[1].text("strategy") == "Strategy 9")
        #expect(records[1].text("segment_since") == records[1].text("effective_at"))
    }

    @Test func hysteresisHoldsUntilTheOtherIsClearlyNearer() throws {
        // 10 - v <= (1 - 0.5) v from v = 6.67 on.
        let shop = try shop { $0.assignment.hysteresis = 0.5 }
        visits(6, shop)
        #expect(try shop.published().count == 1)
        visits(1, shop, from: Self.start + 10)
        let moved = try shop.published()
        #expect(moved.map { $0.number("segment_id") } == [9])
    }

    @Test func dwellHoldsOnTheCustomerClock() throws {
        let shop = try shop {
            $0.assignment.hysteresis = 0
            $0.assignment.minimumDwellMilliseconds = Self.day
        }
        visits(9, shop)
        #expect(try shop.published().count == 1)
        visits(1, shop, from: Self.start + Self.day - 1)
        #expect(try shop.published().isEmpty)
        visits(1, shop, from: Self.start + Self.day)
        #expect(try shop.published().map { $0.number("segment_id") } == [9])
    }

    @Test func transitionsAreAllThatIsPublishedByDefault() throws {
        let quiet = try shop()
        let loud = try shop { $0.emit = .all }
        visits(4, quiet)
        visits(4, loud)
        #expect(try quiet.published().count == 1)
        let records = try loud.published()
        #expect(
            records.map { $0.text("type") }
                == ["segment.changed"] + Array(repeating: "decision.refreshed", count: 3)
        )
        #expect(records[3].number("previous_segment_id") == 7)
        #expect(records[3].text("previous_churn_band") == "insufficient_data")
    }

    @Test func aLateEventIsDecidedAtTheCustomerClock() throws {
        let shop = try shop { $0.emit = .all }
        visits(1, shop, from: Self.start + 5 * Self.day)
        visits(1, shop, from: Self.start)
        let records = try shop.published()
        #expect(
            records.map { $0.text("effective_at") }
                == Array(repeating: "2026-01-06T00:00:00.000Z", count: 2)
        )
    }

    @Test func erasureWritesATombstoneAndKeepsLateEventsOut() throws {
        let shop = try shop()
        shop.send("{\"type\":\"engagement.visit\",\"time\":1000}", key: "c", timestamp: 50_000)
        #expect(try shop.published().map { $0.number("life") } == [50_000])
        shop.send("{\"type\":\"privacy.erased\",\"time\":2000}", key: "c", timestamp: 51_000)
        let erased = shop.take()
        #expect(erased.filter { $0.value == nil }.map(\.keyText) == ["c", "c"])
        #expect(
            Set(erased.map { $0.destination == .segments ? "segments" : "changelog" }).count == 2
        )
        #expect(erased.filter { $0.destination == .segments }.count == 1)
        // Late, and at the very time of the erasure: kept out.
        visits(1, shop, from: 2000)
        #expect(shop.take().isEmpty && shop.row("c") < 0 && shop.core.counters.suppressed == 1)
        // Back afterwards, but the record's timestamp is not later: a greater life all the same.
        shop.send("{\"type\":\"engagement.visit\",\"time\":2001}", key: "c", timestamp: 50_000)
        let back = try shop.published()
        #expect(back.map { $0.number("life") } == [50_001])
        #expect(back.map { $0.number("revision") } == [1])
        // What is from before the erasure stays out of the new life as well.
        visits(1, shop, from: 1500)
        #expect(shop.number("visits", of: "c") == 1 && shop.core.counters.suppressed == 2)
        // The erasure delivered again does not end the new life; a newer one does.
        shop.send("{\"type\":\"privacy.erased\",\"time\":2000}", key: "c")
        #expect(shop.row("c") >= 0)
        shop.send("{\"type\":\"privacy.erased\",\"time\":3000}", key: "c")
        #expect(shop.row("c") < 0)
    }

    @Test func suppressionEnds() throws {
        let shop = try shop()
        shop.send("{\"type\":\"privacy.erased\",\"time\":\(Self.start)}", key: "c")
        #expect(shop.core.table.suppressed.count == 1)
        shop.output.removeAll()
        visits(1, shop, from: Self.start + 7 * Self.day, key: "d")
        shop.output.removeAll()
        shop.core.expireSuppressions(into: &shop.output)
        #expect(shop.take().isEmpty)
        visits(1, shop, from: Self.start + 7 * Self.day + 1, key: "d")
        shop.output.removeAll()
        shop.core.expireSuppressions(into: &shop.output)
        let records = shop.take()
        #expect(records.count == 1 && records[0].value == nil)
        #expect(shop.core.table.suppressed.isEmpty)
        visits(1, shop, from: Self.start - 1)
        #expect(shop.row("c") >= 0)
    }

    /// With a given model and learning off, what happens to others is nothing to a customer.
    @Test func outputsDependOnACustomersOwnEventsAlone() throws {
        let model = try TestModel.shared.get()
        var configuration = TestConfiguration.smartCart()
        configuration.emit = .all
        // Nobody is more than that behind the others, however they are mixed.
        configuration.churn.latenessMilliseconds = 5000 * Self.day
        var stream = EventStream(seed: 41, customers: 3, stepMax: 20 * 3_600_000)
        stream.erasures = 0.005
        let events = stream.events(500)
        var random = SeededGenerator(seed: 42)
        func outputs(_ events: [TestEvent]) -> [String: [String]] {
            let shop = TestShop(configuration, model: model)
            shop.wall = Self.start + 5000 * Self.day
            for event in events { shop.send(event) }
            var result: [String: [String]] = [:]
            for record in shop.take() where record.destination == .segments {
                result[record.keyText, default: []].append(record.text)
            }
            return result
        }
        let together = outputs(events)
        for _ in 0..<5 {
            var queues = Dictionary(grouping: events, by: \.customer)
            var shuffled: [TestEvent] = []
            while let customer = queues.keys.sorted().randomElement(using: &random) {
                let count = 1 + random.next(below: 30)
                let queue = queues[customer] ?? []
                shuffled += queue.prefix(count)
                queues[customer] = queue.count > count ? Array(queue.dropFirst(count)) : nil
            }
            #expect(outputs(shuffled) == together)
        }
        for customer in ["c0", "c1", "c2"] {
            #expect(
                outputs(events.filter { $0.customer == customer })[customer]
                    == together[customer]
            )
        }
    }
}
