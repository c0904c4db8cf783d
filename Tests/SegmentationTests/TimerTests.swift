import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

extension TestShop {
    /// Decides everything that is due by the clock.
    func decideDue(of partition: Int32 = 0, limit: Int = 1000) {
        let context = StepContext(wallMilliseconds: wall, backfill: false)
        while core.isDue(partition) {
            _ = core.decideDue(of: partition, limit: limit, context: context, into: &output)
        }
    }

    /// A row whose due moment is not what follows from it, or that is not queued for it; nil when
    /// all is well.
    var dueProblem: String? {
        let table = core.table
        var core = SegmentationCore(configuration: core.configuration, model: core.model)
        core.table = table
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let moment = table.due(row)
            let queued = self.core.due.moment(of: row, table.partition(row))
            if moment < DueMoment.never && queued ?? .max > moment { return "row \(row): queue" }
            if let model = core.model, table.modelVersion(row) != model.version { continue }
            core.evaluator.read(row, of: table, landmarks: self.core.landmarks)
            let exact = core.nextDue(of: row, after: table.clock(row))
            if moment > exact { return "row \(row): \(moment) after \(exact)" }
        }
        return nil
    }
}

/// DESIGN, section 7: due moments, and which clock they wait for.
struct TimerTests {
    static let day = TestConfiguration.day
    static let start = TestConfiguration.start
    static let hour: Int64 = 3_600_000

    private func shop(
        churn: Bool = true,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) throws -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.components = 1
        change(&configuration)
        return TestShop(configuration, model: try DecisionTests.twoSegments(churn: churn))
    }

    private func send(
        _ shop: TestShop,
        _ type: String,
        at time: Int64,
        key: String = "c",
        _ more: String = ""
    ) {
        shop.send("{\"type\":\"\(type)\",\"time\":\(time)\(more)}", key: key)
    }

    private func order(_ shop: TestShop, at time: Int64, key: String = "c") {
        send(
            shop,
            "order.placed",
            at: time,
            key: key,
            ",\"order_id\":\"o\(time)\",\"amount\":10"
        )
    }

    /// Six weekly orders, the last on day 35.
    private func weekly(_ shop: TestShop, key: String = "c") {
        for week in 0..<6 {
            order(shop, at: Self.start + Int64(week) * 7 * Self.day + 5 * Self.hour, key: key)
        }
    }

    /// A customer who only moves the partition's clock.
    private func tick(_ shop: TestShop, to time: Int64) {
        send(shop, "engagement.visit", at: time, key: "ticker")
        shop.decideDue()
    }

    private func moment(_ text: String?) throws -> Int64 {
        let words = try #require(text)
        return try #require(EventTime.parse(words))
    }

    /// The first millisecond at which a full scan would see the band change, by asking the rule.
    private func scan(_ shop: TestShop, after time: Int64 = 0) throws -> (Int64, ChurnBand) {
        let key = "c"
        let row = shop.row(key)
        let table = shop.core.table
        let calendar = shop.core.configuration.calendar
        func band(_ time: Int64) -> ChurnBand {
            shop.core.churnRisk.evaluate(
                table.standing(of: row, calendar: calendar),
                at: time,
                by: shop.core.inForce
            ).band
        }
        let before = table.band(row)
        // Not on the day of an order, which ends every band.
        var low = max(
            time,
            table.clock(row),
            calendar.start(ofDay: table.lastPurchaseDay(row)) + 2 * Self.day
        )
        var high = low + 5000 * Self.day
        try #require(band(low) == before && band(high) != before)
        while high - low > 1 {
            let middle = low + (high - low) / 2
            if band(middle) == before { low = middle } else { high = middle }
        }
        return (high, band(high))
    }

    @Test func silenceAloneRaisesAndEscalatesAtTheExactMoment() throws {
        let shop = try shop()
        weekly(shop)
        let entered = try #require(try shop.published().first)
        #expect(entered.text("segment_transition") == "entered")
        var bands: [String] = []
        var last: Int64 = 0
        for step in 0..<(200 * 24) {
            let (expected, band) =
                bands.count < 2 ? try scan(shop, after: last) : (Int64.max, ChurnBand.high)
            tick(shop, to: Self.start + 36 * Self.day + Int64(step) * Self.hour)
            let records = try shop.published().filter { $0.key == "c" }
            for record in records {
                #expect(record.text("cause") == "time" && record.text("type") == "churn.changed")
                #expect(try moment(record.text("effective_at")) == expected)
                #expect(record.text("churn_band") == band.name)
                bands.append(band.name)
                last = expected
                // The lateness has passed, and no more than the step of the ticker.
                let clock = shop.core.partitionClock(0)
                #expect(expected + Self.hour <= clock && expected + 2 * Self.hour > clock)
                if bands.count == 1 {
                    #expect(
                        try moment(record.text("next_review_at")) == scan(shop, after: last).0
                    )
                } else {
                    #expect(record.isNull("next_review_at"))
                }
            }
        }
        #expect(bands == ["medium", "high"])
        #expect(shop.dueProblem == nil)
    }

    @Test func anEventOfTheCustomerFiresWhatIsDueByThenAndNoSooner() throws {
        let shop = try shop()
        weekly(shop)
        _ = shop.take()
        let (raised, _) = try scan(shop)
        send(shop, "engagement.visit", at: raised - 1)
        #expect(try shop.published().isEmpty)
        send(shop, "engagement.visit", at: raised)
        let record = try #require(try shop.published().first)
        #expect(record.text("cause") == "time" && record.text("churn_transition") == "raised")
        #expect(try moment(record.text("effective_at")) == raised)
        let (escalated, _) = try scan(shop, after: raised)
        order(shop, at: escalated + 3 * Self.day)
        let both = try shop.published()
        #expect(both.map { $0.text("cause") } == ["time", "event"])
        #expect(both.map { $0.text("churn_transition") } == ["escalated", "cleared"])
        #expect(both.map { $0.number("revision") } == [3, 4])
    }

    @Test func latenessLetsALateOrderComeFirst() throws {
        for late in [true, false] {
            let shop = try shop()
            weekly(shop)
            _ = shop.take()
            let (raised, _) = try scan(shop)
            tick(shop, to: raised + Self.hour - 1)
            #expect(try shop.published().filter { $0.key == "c" }.isEmpty)
            if late { order(shop, at: raised - 60_000) }
            tick(shop, to: raised + Self.hour)
            let records = try shop.published().filter { $0.key == "c" }
            #expect(records.count == (late ? 0 : 1))
        }
    }

    @Test func aRaiseWaitsForTheEndOfTheCooldown() throws {
        let shop = try shop { $0.churn.cooldownMilliseconds = 300 * Self.day }
        weekly(shop)
        let (raised, _) = try scan(shop)
        tick(shop, to: raised + Self.hour)
        let (escalated, _) = try scan(shop, after: raised)
        tick(shop, to: escalated + Self.hour)
        order(shop, at: escalated + 2 * Self.hour)
        let until = escalated + 300 * Self.day
        #expect(shop.core.table.cooldownUntil(shop.row("c")) == until)
        _ = shop.take()
        tick(shop, to: until + Self.hour - 1)
        #expect(try shop.published().filter { $0.key == "c" }.isEmpty)
        tick(shop, to: until + Self.hour)
        let again = try #require(try shop.published().first { $0.key == "c" })
        #expect(again.text("churn_transition") == "raised")
        #expect(try moment(again.text("effective_at")) == until)
    }

    @Test func aMoveThatWaitsForADwellIsDueAtItsEnd() throws {
        let shop = try shop(churn: false) {
            $0.assignment.minimumDwellMilliseconds = 10 * Self.day
            $0.emit = .transitions
        }
        send(shop, "engagement.visit", at: Self.start)
        for index in 1...9 {
            send(shop, "engagement.visit", at: Self.start + Int64(index) * Self.hour)
        }
        #expect(try shop.published().map { $0.number("segment_id") } == [7])
        #expect(shop.core.table.moveWaits(shop.row("c")))
        tick(shop, to: Self.start + 10 * Self.day + Self.hour - 1)
        #expect(try shop.published().filter { $0.key == "c" }.isEmpty)
        tick(shop, to: Self.start + 10 * Self.day + Self.hour)
        let record = try #require(try shop.published().first { $0.key == "c" })
        #expect(record.text("segment_transition") == "moved" && record.text("cause") == "time")
        #expect(try moment(record.text("effective_at")) == Self.start + 10 * Self.day)
        #expect(record.isNull("next_review_at"))
        #expect(!shop.core.table.moveWaits(shop.row("c")))
    }

    @Test func anOutlierLeavesTrainingAtItsBirthdayWithNoEvent() throws {
        let shop = try shop(churn: false)
        // Born 1936.5: 90 in the middle of 2026, a year of 365 days.
        send(shop, "customer.profile", at: Self.start, ",\"birth_year\":1936.5")
        send(shop, "engagement.visit", at: Self.start, key: "ticker")
        let birthday = Self.start + 365 * Self.day / 2
        #expect(!shop.core.table.isOutlier(shop.row("c")))
        shop.core.begin()
        shop.core.commit()
        #expect(shop.core.statistics.moments.count == 2)
        tick(shop, to: birthday + Self.hour - 1)
        #expect(!shop.core.table.isOutlier(shop.row("c")))
        tick(shop, to: birthday + Self.hour)
        #expect(shop.core.table.isOutlier(shop.row("c")))
        shop.core.begin()
        shop.core.commit()
        #expect(shop.core.statistics.moments.count == 1)
        // Nothing of it is news.
        #expect(try shop.published().filter { $0.key == "c" }.count == 1)
    }

    @Test func aDecayedFeatureLeavesAndEntersAtItsCrossings() throws {
        let shop = try shop(churn: false) {
            $0.outliers = [
                OutlierBound(feature: "recent_spent", atLeast: 80, atMost: 10),
                OutlierBound(feature: "recency", atLeast: 400),
            ]
        }
        send(
            shop,
            "order.placed",
            at: Self.start,
            ",\"order_id\":\"o\",\"amount\":160"
        )
        let row = shop.row("c")
        var flips: [Int64] = []
        var flag = shop.core.table.isOutlier(row)
        #expect(flag)
        while let moment = shop.core.nextReview(of: row) {
            tick(shop, to: moment + Self.hour - 1)
            #expect(shop.core.table.isOutlier(row) == flag)
            tick(shop, to: moment + Self.hour)
            #expect(shop.core.table.isOutlier(row) != flag)
            flag.toggle()
            flips.append(moment)
        }
        // 160 is below 80 just after one half-life of 30 days, and at 10 after four; what is beyond
        // two bounds is no less beyond one.
        #expect(flips == [Self.start + 30 * Self.day + 1, Self.start + 120 * Self.day])
    }

    private static let calibration = RiskCalibration(
        horizon: 60.0 / 7,
        intercept: -1,
        weights: RiskCalibration.Weights(
            logOdds: 0.6,
            silenceOverGap: 0.2,
            silence: 0.3,
            repeats: -0.4,
            spent: -0.1
        ),
        shift: -0.5,
        outcomes: 1000,
        withoutPurchase: 400
    )

    @Test(arguments: [false, true])
    func earliestMomentsAreNeverLateAndExactOnesAreWhereTheRuleTurns(isCalibrated: Bool) throws {
        var random = SeededGenerator(seed: 9)
        var counts = [0, 0]
        for _ in 0..<400 {
            let model = PurchaseParameters(
                model: [.mbgNBD, .bgNBD][random.next(below: 2)],
                r: 0.2 + 3 * random.nextDouble(),
                alpha: 0.5 + 20 * random.nextDouble(),
                a: 0.1 + 2 * random.nextDouble(),
                b: 0.5 + 5 * random.nextDouble()
            )
            let days = 1 + random.next(below: 8)
            let last = Self.start + Int64(random.next(below: 300)) * Self.day
            let standing = ChurnRisk.Standing(
                purchaseDays: days,
                firstPurchase: days == 1 ? last : Self.start - 9 * Self.day,
                lastPurchase: last,
                spent: 100,
                band: [.low, .medium][random.next(below: 2)],
                cooldownUntil: random.next(below: 3) == 0 ? last + 200 * Self.day : 0
            )
            let churn = ChurnRisk(configuration: SegmentationConfiguration.Churn())
            let time = last + Int64(random.next(below: 100)) * Self.day / 3
            let teller = ChurnRisk.Teller(
                parameters: model,
                calibration: isCalibrated ? Self.calibration : nil,
                horizon: 90.0 / 7
            )
            let exact = churn.nextRise(of: standing, after: time, teller)
            let earliest = churn.earliestRise(of: standing, after: time, teller)
            #expect(earliest <= exact && earliest > time)
            guard exact < DueMoment.never else {
                counts[0] += 1
                #expect(standing.band == .medium && days == 1)
                continue
            }
            counts[1] += 1
            func rises(_ moment: Int64) -> Bool {
                let recency = standing.recency
                let age = max(recency, Double(moment - standing.firstPurchase) / 604_800_000)
                let silence = Double(moment - last) / 86_400_000
                let isMedium = standing.band == .medium
                let gap =
                    7 * (model.alpha + recency)
                    * (pow(1 - (isMedium ? 0.95 : 0.5), -1 / (model.r + Double(days - 1))) - 1)
                func silent(_ horizon: Double) -> Double {
                    model.probabilityNoPurchase(
                        x: days - 1,
                        recency: recency,
                        age: age,
                        horizon: horizon
                    )
                }
                var risk = silent(90.0 / 7)
                if isCalibrated {
                    let chance = min(max(silent(60.0 / 7), 1e-4), 1 - 1e-4)
                    let gaps = days > 1 ? silence / 7 / recency * Double(days - 1) : 0
                    let odds =
                        -1.5 + 0.6 * log(chance / (1 - chance)) + 0.2 * log(1 + gaps)
                        + 0.3 * silence / 30 - 0.4 * log(Double(days)) - 0.1 * log(101)
                    risk = 1 / (1 + exp(-odds))
                }
                return risk >= (isMedium ? 0.7 : 0.5) && silence > gap
                    && (isMedium || moment >= standing.cooldownUntil)
            }
            #expect(rises(exact + 1))
            #expect(exact == time + 1 || !rises(exact - 2))
        }
        #expect(counts[0] > 5 && counts[1] > 300)
    }

    @Test func erasureTakesTheTimerAlong() throws {
        let shop = try shop()
        weekly(shop)
        let (raised, _) = try scan(shop)
        send(shop, "privacy.erased", at: raised - 1)
        _ = shop.take()
        #expect(shop.core.due.count == 0)
        tick(shop, to: raised + 100 * Self.day)
        #expect(try shop.published().allSatisfy { $0.key == "ticker" })
        #expect(shop.dueProblem == nil)
    }

    @Test func explainNamesTheNextReview() throws {
        let shop = try shop()
        weekly(shop)
        let explained = shop.core.explain(customer: Array("c".utf8))
        let bytes = try #require(explained)
        let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        let raised = try scan(shop).0
        #expect(try moment(object?["next_review_at"] as? String) == raised)
    }

    @Test func explainTellsTheBandThatTimeHasBrought() throws {
        let shop = try shop()
        weekly(shop)
        let raised = try scan(shop).0
        tick(shop, to: raised + Self.day)
        let explained = shop.core.explain(customer: Array("c".utf8))
        let bytes = try #require(explained)
        let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        let band = try #require(object?["churn_band"] as? String)
        #expect(["medium", "high"].contains(band))
        #expect(try #require(object?["silence_days"] as? Double) > 1)
    }

    @Test func explainGivesTheReasonsOfTheDecisionInForce() throws {
        let shop = try shop()
        for visit in 0..<4 {
            send(shop, "engagement.visit", at: Self.start - Int64(visit) * Self.hour)
        }
        weekly(shop)
        _ = shop.take()
        let raised = try scan(shop).0
        tick(shop, to: raised + 2 * Self.hour)
        let published = try #require(try shop.published().last { $0.key == "c" })
        let explained = shop.core.explain(customer: Array("c".utf8))
        let bytes = try #require(explained)
        let object = try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any]
        func features(_ value: Any?) -> [String] {
            (value as? [[String: Any]] ?? []).compactMap { $0["feature"] as? String }
        }
        let reasons = features(object?["reasons"])
        #expect(reasons.first == "silence_days")
        #expect(reasons == features(published.object["reasons"]))
        let margin = try #require((object?["margin"] as? NSNumber)?.doubleValue)
        #expect(margin > 0 && abs(margin - (published.number("margin") ?? .nan)) < 1e-9)
    }
}
