import Foundation
import Testing

@testable import OnlineLearning

/// DESIGN, section 7: the moments at which chances cross a level.
struct CrossingTests {
    private static func parameters(_ generator: inout SeededGenerator) -> PurchaseParameters {
        let model = [PurchaseModel.mbgNBD, .bgNBD, .nbd][generator.next(below: 3)]
        func draw(_ low: Double, _ high: Double) -> Double {
            exp(log(low) + (log(high) - log(low)) * generator.nextDouble())
        }
        return PurchaseParameters(
            model: model,
            r: draw(0.05, 20),
            alpha: draw(0.2, 200),
            a: model == .nbd ? nil : draw(0.02, 5),
            b: model == .nbd ? nil : draw(0.1, 50)
        )
    }

    /// Plain halving on the published formula, written down once more.
    private static func halving(
        _ p: PurchaseParameters,
        level: Double,
        x: Int,
        recency: Double,
        horizon: Double
    ) -> Double {
        func chance(_ age: Double) -> Double {
            let shape = p.r + Double(x)
            var alive = 1.0
            if let a = p.a, let b = p.b, p.model == .mbgNBD || x > 0 {
                let survived = b + Double(p.model == .mbgNBD ? x : x - 1)
                alive = 1 / (1 + a / survived * pow((p.alpha + age) / (p.alpha + recency), shape))
            }
            return 1 - alive + alive * pow((p.alpha + age) / (p.alpha + age + horizon), shape)
        }
        if chance(recency) >= level { return recency }
        var lower = recency
        var upper = recency + 1
        while chance(upper) < level { upper = recency + (upper - recency) * 2 }
        for _ in 0..<200 {
            let middle = lower + (upper - lower) / 2
            if chance(middle) >= level { upper = middle } else { lower = middle }
        }
        return upper
    }

    @Test func noPurchaseCrossesWhereHalvingSays() throws {
        var generator = SeededGenerator(seed: 71)
        var crossed = 0
        for _ in 0..<4000 {
            let fit = Self.parameters(&generator)
            let x = [0, 1, 2, 5, 20, 80][generator.next(below: 6)]
            let recency = x == 0 ? 0 : 60 * generator.nextDouble()
            let level = 0.2 + 0.75 * generator.nextDouble()
            let horizon = [4.0, 13, 52][generator.next(below: 3)]
            let age = try #require(
                fit.ageWhenNoPurchaseRises(to: level, x: x, recency: recency, horizon: horizon)
            )
            let expected = Self.halving(
                fit,
                level: level,
                x: x,
                recency: recency,
                horizon: horizon
            )
            #expect(abs(age / expected - 1) < 1e-10 || age == expected, "\(fit), \(x), \(recency)")
            if age > recency { crossed += 1 }
        }
        #expect(crossed > 1000)
    }

    @Test func aliveCrossesWhereHalvingSays() throws {
        var generator = SeededGenerator(seed: 72)
        for _ in 0..<2000 {
            let fit = Self.parameters(&generator)
            let x = 1 + generator.next(below: 30)
            let recency = 60 * generator.nextDouble()
            let theta = 0.05 + 0.9 * generator.nextDouble()
            guard let age = fit.ageWhenAliveFalls(to: theta, x: x, recency: recency) else {
                #expect(fit.model == .nbd)
                continue
            }
            var lower = recency
            var upper = 2 * age + 1
            for _ in 0..<200 {
                let middle = lower + (upper - lower) / 2
                let alive = fit.probabilityAlive(x: x, recency: recency, age: middle)
                if alive <= theta { upper = middle } else { lower = middle }
            }
            #expect(abs(age / max(upper, .leastNormalMagnitude) - 1) < 1e-10 || age == upper)
        }
    }

    /// A bracketed root is meant for the moment when a timer fires, still ten times cheaper than
    /// halving.
    @Test func theRootTakesFewSteps() {
        for power in [1.0, 2, 5] {
            var steps = 0
            func value(_ x: Double) -> Double { pow(x, power) - 2 }
            var bracket = RootBracket(
                below: (0, value(0)),
                above: (100, value(100)),
                tolerance: 1e-12
            )
            while bracket.isOpen {
                let next = bracket.next
                bracket.narrow(to: next, value(next))
                steps += 1
            }
            #expect(abs(bracket.above - pow(2, 1 / power)) < 1e-12)
            #expect(steps < 25, "\(steps) steps")
        }
    }
}
