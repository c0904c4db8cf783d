import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, section 7: the band from risk and from silence against the customer's own rhythm.
struct ChurnBandTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start

    private func shop(
        pending: String? = nil,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        configuration.emit = .all
        change(&configuration)
        var model = try DecisionTests.twoSegments()
        model.churnPending = pending
        return TestShop(configuration, model: model)
    }

    private func order(_ shop: TestShop, _ id: String, day: Double, key: String = "c") {
        shop.send(
            "{\"type\":\"order.placed\",\"time\":\(Self.start + Int64(day * Double(Self.day))),\"order_id\":\"\(id)\",\"amount\":10}",
            key: key
        )
    }

    private func visit(_ shop: TestShop, day: Double, key: String = "c") {
        shop.send(
            "{\"type\":\"engagement.visit\",\"time\":\(Self.start + Int64(day * Double(Self.day)))}",
            key: key
        )
    }

    /// The rule, written down once more.
    private struct Rule {
        var band = "insufficient_data"
        var cooldownUntil = -1.0

        mutating func next(
            risk: Double,
            silence: Double,
            gaps: (medium: Double, high: Double),
            x: Int,
            now: Double
        ) -> String {
            let mayBeHigh = x > 0
            var level = 0
            if risk >= 0.5 && silence > gaps.medium { level = 1 }
            if mayBeHigh && risk >= 0.7 && silence > gaps.high { level = 2 }
            let before = ["insufficient_data": 0, "low": 0, "medium": 1, "high": 2][band] ?? 0
            if silence >= 1 {
                if before == 2 && mayBeHigh && risk > 0.6 { level = 2 }
                if before >= 1 && risk > 0.4 { level = max(level, 1) }
            }
            // Days to a tenth of a millisecond.
            if before == 0 && level > 0 && now < cooldownUntil - 1e-9 { level = 0 }
            let transition: String
            switch (before, level) {
            case (0, 1), (0, 2): transition = "raised"
            case (1, 2): transition = "escalated"
            case (2, 1): transition = "eased"
            case (1, 0), (2, 0): transition = "cleared"
            default: transition = "none"
            }
            if ["raised", "escalated"].contains(transition) { cooldownUntil = now + 14 }
            band = ["low", "medium", "high"][level]
            return transition
        }
    }

    /// Days of first and last purchase, and x, of a customer.
    private struct Standing {
        var first = 0.0
        var last = 0.0
        var x = -1

        init(_ shop: TestShop, _ key: String) {
            let row = shop.row(key)
            guard row >= 0 else { return }
            first = Double(shop.core.table.firstPurchaseDay(row)) - 20_454
            last = Double(shop.core.table.lastPurchaseDay(row)) - 20_454
            x = shop.core.table.purchaseDays(row) - 1
        }
    }

    private func check(
        _ decision: PublishedDecision,
        _ standing: Standing,
        _ parameters: PurchaseParameters,
        at time: Double,
        _ rule: inout Rule,
        _ seen: inout [String: Int]
    ) throws {
        let x = standing.x
        let recency = (standing.last - standing.first) / 7
        func gap(_ q: Double) -> Double {
            7 * (parameters.alpha + recency)
                * (pow(1 - q, -1 / (parameters.r + Double(x))) - 1)
        }
        let risk = try #require(decision.number("risk"))
        let alive = try #require(decision.number("p_alive"))
        let age = parameters.alpha + (time - standing.first) / 7
        let none = pow(age / (age + 90.0 / 7), parameters.r + Double(x))
        #expect(abs(risk - (1 - alive * (1 - none))) < 1e-9)
        let before = rule.band
        let transition = rule.next(
            risk: risk,
            silence: time - standing.last,
            gaps: (gap(0.5), gap(0.95)),
            x: x,
            now: time
        )
        #expect(decision.text("churn_transition") == transition)
        #expect(decision.text("churn_band") == rule.band)
        if !decision.isNull("previous_churn_band") {
            #expect(decision.text("previous_churn_band") == before)
        }
        if x == 0 { #expect(rule.band != "high") }
        seen[transition, default: 0] += 1
        if decision.text("cause") == "time" { seen["timer", default: 0] += 1 }
    }

    @Test func bandsFollowTheRule() throws {
        let shop = try shop()
        let parameters = try #require(shop.core.model?.churn)
        var random = SeededGenerator(seed: 51)
        var seen: [String: Int] = [:]
        for customer in 0..<150 {
            let key = "c\(customer)"
            var rule = Rule()
            var now = Double(random.next(below: 100)) / 7
            let rhythm = 1 + random.next(below: 30)
            var isQuiet = false
            for number in 0..<60 {
                now += 0.3 + random.nextDouble() * Double(isQuiet ? 12 : rhythm)
                if random.next(below: 8) == 0 { isQuiet.toggle() }
                let before = Standing(shop, key)
                if number == 0 || (!isQuiet && random.next(below: 3) > 0) {
                    order(shop, "o\(number)", day: now, key: key)
                } else if random.next(below: 8) == 0 {
                    order(shop, "l\(number)", day: max(0, now - 60 * random.nextDouble()), key: key)
                } else {
                    visit(shop, day: now, key: key)
                }
                for decision in try shop.published() where decision.key == key {
                    let isTimer = decision.text("cause") == "time"
                    let standing = isTimer ? before : Standing(shop, key)
                    let moment = try #require(EventTime.parse(decision.text("effective_at") ?? ""))
                    let time = Double(moment - Self.start) / Double(Self.day)
                    try check(decision, standing, parameters, at: time, &rule, &seen)
                }
            }
        }
        for name in ["raised", "escalated", "eased", "cleared", "none", "timer"] {
            #expect((seen[name] ?? 0) > 5, "\(name) \(seen)")
        }
    }

    /// Six orders of 10: 60 is enough for an alert where 60 is asked for, and not where 61 is.
    @Test(arguments: [0, 60, 61])
    func whoHasSpentLittleIsNoAlert(minimum: Double) throws {
        let shop = try shop {
            $0.emit = .transitions
            $0.churn.minimumSpent = minimum
        }
        for number in 0..<6 { order(shop, "\(number)", day: Double(number) * 7) }
        let row = 0
        #expect((shop.core.nextReview(of: row) != nil) == (minimum <= 60))
        for day in 36..<200 { visit(shop, day: Double(day)) }
        let raised = try shop.published().count { $0.text("churn_transition") == "raised" }
        #expect(raised == (minimum <= 60 ? 1 : 0))
        #expect(shop.core.table.band(row) == (minimum <= 60 ? .high : .low))
    }

    @Test func silenceRaisesAndAnOrderClears() throws {
        let shop = try shop { $0.emit = .transitions }
        for number in 0..<6 { order(shop, "\(number)", day: Double(number) * 7) }
        _ = shop.take()
        for day in 36..<200 { visit(shop, day: Double(day)) }
        order(shop, "back", day: 200)
        let records = try shop.published().filter { $0.text("churn_transition") != "none" }
        #expect(records.map { $0.text("churn_transition") } == ["raised", "escalated", "cleared"])
        #expect(records.map { $0.text("churn_band") } == ["medium", "high", "low"])
        #expect(records[0].text("type") == "churn.changed")
        #expect(records[0].text("last_order_at") == "2026-02-05")
        let reasons = records[1].object["reasons"] as? [[String: Any]] ?? []
        #expect(reasons.first?["feature"] as? String == "silence_days")
        #expect(reasons.first?["direction"] as? String == "above")
    }

    @Test func aNewRaiseWaitsForTheEndOfTheCooldown() throws {
        let shop = try shop {
            $0.emit = .transitions
            $0.churn.cooldownMilliseconds = 300 * Self.day
        }
        for number in 0..<6 { order(shop, "\(number)", day: Double(number) * 7) }
        for day in 36..<90 { visit(shop, day: Double(day)) }
        // An escalation starts the time anew.
        let raised = try #require(
            try shop.published().last { $0.text("churn_transition") != "none" }
        )
        let until = try #require(raised.text("effective_at"))
        order(shop, "back", day: 90)
        _ = shop.take()
        for day in 91..<500 { visit(shop, day: Double(day)) }
        let again = try shop.published().filter { $0.text("churn_transition") != "none" }
        #expect(again.map { $0.text("churn_transition") } == ["raised"])
        #expect(again.first?.text("churn_band") == "high")
        let bytes = Array(until.utf8)
        let end = try #require(TimeText.parse(bytes, 0..<bytes.count)) + 300 * Self.day
        let effective = Array((again.first?.text("effective_at") ?? "").utf8)
        #expect(TimeText.parse(effective, 0..<effective.count) == end)
    }

    @Test func withoutHistoryThereIsNoBand() throws {
        let shop = try shop(pending: "10 of 90 days of history")
        for number in 0..<6 { order(shop, "\(number)", day: Double(number) * 7) }
        visit(shop, day: 300)
        let record = try #require(try shop.published().last)
        #expect(record.text("churn_band") == "insufficient_data")
        #expect(record.text("churn_transition") == "none")
        #expect((record.number("risk") ?? 0) > 0.9)
    }

    @Test func insufficientDataMakesNoRecordOfItsOwn() throws {
        let shop = try shop { $0.emit = .transitions }
        visit(shop, day: 0)
        _ = shop.take()
        order(shop, "1", day: 1)
        #expect(try shop.published().isEmpty)
        #expect(shop.core.table.band(shop.row("c")) == .low)
        shop.send(
            "{\"type\":\"order.reversed\",\"time\":\(Self.start + 2 * Self.day),\"order_id\":\"1\",\"full\":true}",
            key: "c"
        )
        #expect(try shop.published().isEmpty)
        #expect(shop.core.table.band(shop.row("c")) == .insufficientData)
    }

    @Test func transitionsHaveTheirNames() {
        let names: [[ChurnTransition]] = [
            [.none, .none, .raised, .raised], [.none, .none, .raised, .raised],
            [.none, .cleared, .none, .escalated], [.none, .cleared, .eased, .none],
        ]
        for (i, before) in ChurnBand.allCases.enumerated() {
            for (k, after) in ChurnBand.allCases.enumerated() {
                #expect(before.transition(to: after) == names[i][k])
            }
        }
    }
}
