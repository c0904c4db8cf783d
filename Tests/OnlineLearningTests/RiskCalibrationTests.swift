import Glibc
import OnlineLearning
import Testing

@Suite struct RiskCalibrationTests {
    private static let parameters = PurchaseParameters(
        model: .mbgNBD,
        r: 0.8,
        alpha: 6,
        a: 0.7,
        b: 3
    )

    private func customers(_ count: Int, seed: UInt64) -> [PurchaseSummary] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let repeats = generator.next(below: 3) == 0 ? 0 : generator.next(below: 12)
            let recency = repeats == 0 ? 0 : Double(1 + generator.next(below: 200)) / 7
            return PurchaseSummary(
                repeatPurchases: repeats,
                recency: recency,
                age: recency + Double(generator.next(below: 200)) / 7,
                spent: 500 * generator.nextDouble()
            )
        }
    }

    /// Outcomes in which silence and money count for more than the purchase model knows.
    private func outcomes(_ count: Int, seed: UInt64) -> [PurchaseOutcome] {
        var generator = SeededGenerator(seed: seed &+ 1000)
        return customers(count, seed: seed).map { customer in
            let silence = (customer.age - customer.recency) * 7 / 30
            let odds = -1 + 0.9 * silence - 0.004 * customer.spent
            return PurchaseOutcome(
                summary: customer,
                withoutPurchase: generator.nextDouble() < 1 / (1 + exp(-odds))
            )
        }
    }

    private func fit(
        _ outcomes: [PurchaseOutcome],
        riskHorizon: Double = 10,
        present: [PurchaseSummary] = []
    ) throws -> RiskCalibration? {
        try RiskCalibration.fit(
            outcomes,
            horizon: 10,
            parameters: Self.parameters,
            present: present,
            riskHorizon: riskHorizon
        )
    }

    @Test func itRanksBetterThanThePurchaseModelOnOthers() throws {
        let calibration = try #require(try fit(outcomes(3_000, seed: 1)))
        let others = outcomes(3_000, seed: 2)
        let truth = others.map(\.withoutPurchase)
        let risks = others.map { calibration.risk($0.summary, Self.parameters) }
        let plain = others.map {
            Self.parameters.probabilityNoPurchase(
                x: $0.summary.repeatPurchases,
                recency: $0.summary.recency,
                age: $0.summary.age,
                horizon: 10
            )
        }
        let learnt = try #require(OutcomeQuality.areaUnderCurve(risks, truth))
        let before = try #require(OutcomeQuality.areaUnderCurve(plain, truth))
        #expect(learnt > before + 0.05)
        let score = try #require(OutcomeQuality.brierScore(risks, truth))
        #expect(score < (try #require(OutcomeQuality.brierScore(plain, truth))))
        #expect(calibration.shift == 0 && calibration.outcomes == 3_000)
        let share = Double(truth.count { $0 }) / 3_000
        #expect(abs(risks.reduce(0, +) / 3_000 - share) < 0.03)
    }

    @Test func riskNeverFallsInSilenceAndTheRootIsWhereItRises() throws {
        let calibration = try #require(try fit(outcomes(3_000, seed: 3)))
        var found = 0
        for customer in customers(300, seed: 4) {
            var aging = customer
            var last = 0.0
            for week in stride(from: 0.0, to: 120, by: 0.5) {
                aging.age = customer.recency + week
                let risk = calibration.risk(aging, Self.parameters)
                #expect(risk >= last - 1e-15)
                last = risk
            }
            for level in [0.3, 0.7, 0.95] {
                guard
                    let age = calibration.ageWhenRiskRises(to: level, customer, Self.parameters)
                else { continue }
                aging.age = age
                #expect(calibration.risk(aging, Self.parameters) >= level - 1e-12)
                guard age > customer.recency else { continue }
                found += 1
                aging.age = age - 1e-6
                #expect(calibration.risk(aging, Self.parameters) < level)
            }
        }
        #expect(found > 500)
    }

    @Test func aRiskThatSilenceDoesNotRaiseHasNoMoment() {
        let flat = RiskCalibration(
            horizon: 10,
            intercept: -1,
            weights: RiskCalibration.Weights(
                logOdds: 0,
                silenceOverGap: 0,
                silence: 0,
                repeats: 0.5,
                spent: 0
            ),
            shift: 0,
            outcomes: 100,
            withoutPurchase: 50
        )
        for customer in customers(20, seed: 5) where customer.repeatPurchases < 3 {
            #expect(flat.ageWhenRiskRises(to: 0.9, customer, Self.parameters) == nil)
        }
    }

    @Test func aLongerHorizonMovesTheMeanAndNotTheOrder() throws {
        let known = outcomes(2_000, seed: 6)
        let present = customers(1_000, seed: 7)
        let short = try #require(try fit(known))
        let long = try #require(try fit(known, riskHorizon: 25, present: present))
        #expect(long.weights == short.weights && long.intercept == short.intercept)
        #expect(long.shift < 0)
        func silent(_ customer: PurchaseSummary, _ horizon: Double) -> Double {
            Self.parameters.probabilityNoPurchase(
                x: customer.repeatPurchases,
                recency: customer.recency,
                age: customer.age,
                horizon: horizon
            )
        }
        let goal = present.reduce(0.0) {
            $0 + short.risk($1, Self.parameters) * silent($1, 25) / silent($1, 10)
        }
        let mean = present.reduce(0.0) { $0 + long.risk($1, Self.parameters) }
        #expect(abs(mean - goal) < 1e-6)
    }

    @Test func fewOutcomesOfAKindGiveNone() throws {
        var known = outcomes(400, seed: 8)
        #expect(try fit(known) != nil)
        var left = 49
        known.removeAll { outcome in
            guard outcome.withoutPurchase else { return false }
            left -= 1
            return left < 0
        }
        #expect(try fit(known) == nil)
    }
}
