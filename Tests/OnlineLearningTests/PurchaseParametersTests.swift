import OnlineLearning
import Testing

/// Parameters and a history: model, r, alpha, a, b, x, t_x, T.
private struct Case: Sendable, CustomTestStringConvertible {
    var model: PurchaseModel
    var parameters: [Double]
    var x: Int
    var recency: Double
    var age: Double
    var horizon: Double
    var expected: Double

    init(
        _ model: PurchaseModel,
        _ r: Double,
        _ alpha: Double,
        _ a: Double,
        _ b: Double,
        _ x: Int,
        _ recency: Double,
        _ age: Double,
        _ horizon: Double,
        _ expected: Double
    ) {
        self.model = model
        parameters = [r, alpha, a, b]
        self.x = x
        self.recency = recency
        self.age = age
        self.horizon = horizon
        self.expected = expected
    }

    var fit: PurchaseParameters {
        PurchaseParameters(
            model: model,
            r: parameters[0],
            alpha: parameters[1],
            a: parameters[2],
            b: parameters[3]
        )
    }

    var testDescription: String { "\(model.rawValue) \(parameters) \(x) \(recency) \(age)" }
}

@Suite struct PurchaseParametersTests {
    private static let mbg = PurchaseParameters(
        model: .mbgNBD,
        r: 0.525,
        alpha: 6.183,
        a: 0.891,
        b: 1.614
    )
    private static let bg = PurchaseParameters(
        model: .bgNBD,
        r: 0.243,
        alpha: 4.414,
        a: 0.793,
        b: 2.426
    )
    private static let nbd = PurchaseParameters(model: .nbd, r: 0.7, alpha: 9, a: nil, b: nil)

    @Test func theRateIsWhatIsExpectedOfAShortTime() {
        for fit in [Self.mbg, Self.bg, Self.nbd] {
            for (x, recency, age) in [(0, 0.0, 0.0), (0, 0, 30), (3, 12, 14), (9, 30, 80)] {
                let rate = fit.ratePerWeek(x: x, recency: recency, age: age)
                let soon =
                    fit.expectedPurchases(x: x, recency: recency, age: age, horizon: 1e-5) / 1e-5
                #expect(abs(rate / soon - 1) < 1e-4, "\(fit.model) \(x) \(age)")
            }
        }
    }

    /// The published formulas with the hypergeometric function, to 40 digits.
    @Test(arguments: [
        Case(.bgNBD, 0.243, 4.414, 0.793, 2.426, 2, 30.43, 38.86, 39, 1.2260281747671444),
        Case(.mbgNBD, 0.525, 6.183, 0.891, 1.614, 2, 30.43, 38.86, 39, 1.2629606232673657),
        Case(.mbgNBD, 0.525, 6.183, 0.891, 1.614, 0, 0, 0, 13, 0.53535686423543458),
        Case(.mbgNBD, 0.525, 6.183, 1, 1.614, 7, 29.43, 38.86, 13, 1.1630018785108467),
        Case(.bgNBD, 0.525, 6.183, 1.0000001, 1.614, 7, 29.43, 38.86, 13, 1.0931674452430304),
        Case(.bgNBD, 0.7, 5, 0.3, 0.4, 0, 0, 20, 52, 0.97088238332521692),
        Case(.mbgNBD, 0.7, 5, 0.01, 3.7, 4, 15, 20, 52, 9.6927313048958077),
        Case(.mbgNBD, 2.5, 9, 3.5, 120, 1000, 500, 501, 52, 85.990568268868547),
        Case(.bgNBD, 2.5, 9, 40, 4000, 30, 50, 51, 52, 24.108226498502493),
        Case(.mbgNBD, 0.5, 1, 0.5, 0.02, 1, 0.1, 200, 1000, 0.0035859695440437995),
        Case(.bgNBD, 0.72, 9.4, 5, 0.3, 3, 12, 12, 0.001, 5.4765277324980112e-5),
        Case(.mbgNBD, 1.2, 0.5, 0.8, 1e9, 25, 10, 11, 13, 29.617390683181785),
    ])
    private func expectedPurchasesEqualThePublishedFormula(_ test: Case) {
        let value = test.fit.expectedPurchases(
            x: test.x,
            recency: test.recency,
            age: test.age,
            horizon: test.horizon
        )
        #expect(abs(value / test.expected - 1) < 1e-11, "\(value) for \(test.expected)")
    }

    @Test func nbdExpectsTheMeanRate() {
        let value = Self.nbd.expectedPurchases(x: 3, recency: 10, age: 21, horizon: 6)
        #expect(abs(value - 3.7 / 30 * 6) < 1e-14)
        #expect(Self.nbd.probabilityAlive(x: 3, recency: 10, age: 500) == 1)
        #expect(Self.nbd.ageWhenAliveFalls(to: 0.5, x: 3, recency: 10) == nil)
    }

    @Test func chancesEqualTheFormulas() {
        // Alive: 1 / (1 + .891 / 1.614 (45.043 / 6.183)^.525) for a one-time buyer.
        let first = Self.mbg.probabilityAlive(x: 0, recency: 0, age: 38.86)
        #expect(abs(first / 0.389735080919 - 1) < 1e-11)
        #expect(Self.bg.probabilityAlive(x: 0, recency: 0, age: 38.86) == 1)
        let low = Self.bg.probabilityAlive(x: 50, recency: 2, age: 100)
        #expect(abs(low / 8.62967872228191e-60 - 1) < 1e-11)
        // Sixty digits below 1 would not show in 1 - P(alive) (1 - silent).
        let busy = Self.nbd.probabilityNoPurchase(x: 900, recency: 9, age: 9, horizon: 18)
        #expect(busy > 0 && busy < 1e-250)
    }

    @Test(arguments: [PurchaseModel.mbgNBD, .bgNBD])
    func thousandPurchasesOverflowNothing(model: PurchaseModel) {
        var fit = Self.mbg
        fit.model = model
        for age in [999.0, 1000, 1100, 1e5, 1e12] {
            let alive = fit.probabilityAlive(x: 1000, recency: 999, age: age)
            let silent = fit.probabilityNoPurchase(x: 1000, recency: 999, age: age, horizon: 13)
            let orders = fit.expectedPurchases(x: 1000, recency: 999, age: age, horizon: 13)
            #expect(0 <= alive && alive <= 1 && 0 <= silent && silent <= 1)
            #expect(orders.isFinite && 0 <= orders && orders < 14)
        }
        #expect(fit.probabilityAlive(x: 1000, recency: 999, age: 999) > 0.999)
        #expect(fit.probabilityAlive(x: 1000, recency: 999, age: 1100) < 1e-30)
    }

    @Test(arguments: [PurchaseModel.mbgNBD, .bgNBD, .nbd], [0, 1, 2, 9, 300])
    func riskRisesWithSilenceAndMomentsAreCrossings(model: PurchaseModel, x: Int) {
        let fit = model == .nbd ? Self.nbd : model == .bgNBD ? Self.bg : Self.mbg
        let recency = x == 0 ? 0 : 3.5 * Double(x).squareRoot()
        var last = -1.0
        for step in 0..<400 {
            let age = recency + 0.25 * Double(step)
            let risk = fit.probabilityNoPurchase(x: x, recency: recency, age: age, horizon: 13)
            #expect(risk >= last)
            last = risk
        }
        for level in [0.05, 0.5, 0.7, 0.99] {
            func risk(_ age: Double) -> Double {
                fit.probabilityNoPurchase(x: x, recency: recency, age: age, horizon: 13)
            }
            let moment = fit.ageWhenNoPurchaseRises(
                to: level,
                x: x,
                recency: recency,
                horizon: 13
            )
            if let moment {
                #expect(moment >= recency && risk(moment) >= level)
                let before = moment - 1e-8 * (1 + moment)
                #expect(moment == recency || before < recency || risk(before) < level)
            }
            let falls = fit.ageWhenAliveFalls(to: level, x: x, recency: recency)
            #expect((falls == nil) == (model == .nbd || model == .bgNBD && x == 0))
            if let falls, falls > recency {
                let alive = fit.probabilityAlive(x: x, recency: recency, age: falls)
                #expect(abs(alive - level) < 1e-11)
            } else if let falls {
                #expect(falls == recency)
                #expect(fit.probabilityAlive(x: x, recency: recency, age: recency) <= level)
            }
        }
    }

    @Test func gapQuantileIsWhereSilenceOfTheLivingHasThatChance() {
        for x in [0, 1, 8, 400] {
            for q in [0, 0.5, 0.95] {
                let gap = Self.mbg.gapQuantile(q, x: x, recency: 20)
                let silent = Self.nbdLike.probabilityNoPurchase(
                    x: x,
                    recency: 20,
                    age: 20,
                    horizon: gap
                )
                #expect(abs(silent - (1 - q)) < 1e-12)
            }
        }
    }

    /// The purchase rates of `mbg` without leaving.
    private static let nbdLike = PurchaseParameters(
        model: .nbd,
        r: 0.525,
        alpha: 6.183,
        a: nil,
        b: nil
    )
}
