import Glibc
import Kernels
import OnlineLearning
import Testing

@Suite struct PurchaseModelFitTests {
    /// Shoppers who buy at rates of their own and, perhaps, leave after a purchase.
    private func simulate(
        customers: Int,
        dropout: (a: Double, b: Double)?,
        alsoAfterFirst: Bool,
        seed: UInt64
    ) -> PurchaseHistogram {
        var generator = SeededGenerator(seed: seed)
        var histogram = PurchaseHistogram()
        for _ in 0..<customers {
            let age = 180 + generator.next(below: 180)
            let rate = gamma(0.9, &generator) / 60
            let chance = dropout.map { beta in
                let left = gamma(beta.a, &generator)
                return left / (left + gamma(beta.b, &generator))
            }
            var days = Set([0])
            var time = 0.0
            var isAlive = !(alsoAfterFirst && generator.nextDouble() < (chance ?? 0))
            while isAlive {
                time -= log(1 - generator.nextDouble()) / rate
                guard time < Double(age) else { break }
                days.insert(Int(time))
                isAlive = generator.nextDouble() >= (chance ?? 0)
            }
            histogram.add(
                repeatPurchases: days.count - 1,
                recencyDays: days.max() ?? 0,
                ageDays: age
            )
        }
        return histogram
    }

    /// Marsaglia and Tsang, 2000, doi:10.1145/358407.358414; shapes below 1 by a power.
    private func gamma(_ shape: Double, _ generator: inout SeededGenerator) -> Double {
        if shape < 1 {
            return gamma(shape + 1, &generator) * pow(1 - generator.nextDouble(), 1 / shape)
        }
        let d = shape - 1.0 / 3
        while true {
            let x = generator.nextNormal()
            let root = 1 + x / (9 * d).squareRoot()
            let v = root * root * root
            if v > 0 && log(1 - generator.nextDouble()) < x * x / 2 + d - d * v + d * log(v) {
                return d * v
            }
        }
    }

    /// The likelihoods as published, by gamma functions.
    private func plainLikelihood(_ groups: [PurchaseGroup], _ fit: PurchaseParameters) -> Double {
        func lg(_ value: Double) -> Double { Glibc.lgamma(value).0 }
        func lbeta(_ a: Double, _ b: Double) -> Double { lg(a) + lg(b) - lg(a + b) }
        return groups.reduce(0) { sum, group in
            let x = Double(group.history.repeatPurchases)
            let shape = fit.r + x
            let gammas = lg(shape) - lg(fit.r) + fit.r * log(fit.alpha)
            let silent = gammas - shape * log(fit.alpha + group.history.age)
            let gone = gammas - shape * log(fit.alpha + group.history.recency)
            guard let a = fit.a, let b = fit.b else { return sum + Double(group.count) * silent }
            let flips = fit.model == .mbgNBD ? x + 1 : x
            var likelihood = exp(silent + lbeta(a, b + flips) - lbeta(a, b))
            if flips > 0 {
                likelihood += exp(gone + lbeta(a + 1, b + flips - 1) - lbeta(a, b))
            }
            return sum + Double(group.count) * log(likelihood)
        }
    }

    @Test(arguments: [PurchaseModel.mbgNBD, .bgNBD])
    func fitIsTheMaximumOfThePublishedLikelihood(model: PurchaseModel) throws {
        let histogram = simulate(
            customers: 3000,
            dropout: (0.8, 2.4),
            alsoAfterFirst: model == .mbgNBD,
            seed: 1
        )
        let fit = try PurchaseModelFit.fit(histogram, model: model)
        #expect(fit.converged && !fit.fellBackToNBD && fit.model == model)
        #expect(fit.customers == 3000 && histogram.customers == 3000)
        let groups = histogram.groups
        let value = plainLikelihood(groups, fit)
        #expect(abs(value - fit.logLikelihood) < 1e-7)
        for factor in [0.99, 1.01] {
            for parameter in 0..<4 {
                var other = fit
                if parameter == 0 { other.r *= factor }
                if parameter == 1 { other.alpha *= factor }
                if parameter == 2 { other.a = other.a.map { $0 * factor } }
                if parameter == 3 { other.b = other.b.map { $0 * factor } }
                #expect(plainLikelihood(groups, other) < value)
            }
        }
        // Three standard errors or so at this size.
        let (a, b) = (try #require(fit.a), try #require(fit.b))
        #expect(abs(fit.r - 0.9) < 0.2)
        #expect(abs(fit.alpha - 60.0 / 7) < 2.5)
        #expect(abs(a / (a + b) - 0.25) < 0.06)
    }

    @Test(arguments: [PurchaseModel.mbgNBD, .bgNBD])
    func dataWithoutLeavingFallBackAndSaySo(model: PurchaseModel) throws {
        // In about half of all samples chance favours a little leaving; not in this one.
        let histogram = simulate(customers: 2000, dropout: nil, alsoAfterFirst: false, seed: 5)
        let fit = try PurchaseModelFit.fit(histogram, model: model)
        let nbd = try PurchaseModelFit.fit(histogram, model: .nbd)
        #expect(fit.fellBackToNBD && fit.model == .nbd && fit.a == nil && fit.b == nil)
        #expect(!nbd.fellBackToNBD && nbd.r == fit.r && nbd.alpha == fit.alpha)
        #expect(abs(plainLikelihood(histogram.groups, nbd) - nbd.logLikelihood) < 1e-7)
        #expect(abs(nbd.r - 0.9) < 0.15)
    }

    @Test(arguments: [PurchaseModel.mbgNBD, .bgNBD, .nbd])
    func errorsFallWithTheRootOfTheCustomers(model: PurchaseModel) throws {
        let histogram = simulate(
            customers: 2000,
            dropout: (0.8, 2.4),
            alsoAfterFirst: model == .mbgNBD,
            seed: 2
        )
        let fit = try PurchaseModelFit.fit(histogram, model: model)
        let fourfold = try PurchaseModelFit.fit(
            groups: histogram.groups.map {
                PurchaseGroup(history: $0.history, count: 4 * $0.count)
            },
            model: model
        )
        let one = try #require(fit.standardErrors)
        let four = try #require(fourfold.standardErrors)
        #expect((one.a == nil) == (model == .nbd) && (one.b == nil) == (model == .nbd))
        #expect(abs(one.r / four.r - 2) < 1e-3)
        #expect(abs(one.alpha / four.alpha - 2) < 1e-3)
        if let a = one.a, let b = one.b {
            #expect(abs(a / (try #require(four.a)) - 2) < 1e-3)
            #expect(abs(b / (try #require(four.b)) - 2) < 1e-3)
        }
        // A parameter that is moved by its error alone costs half a unit of log-likelihood or
        // more: the others could give way.
        var moved = fit
        moved.r += one.r
        let loss = fit.logLikelihood - plainLikelihood(histogram.groups, moved)
        #expect(loss > 0.45 && loss < 50)
    }

    @Test func aFlatLikelihoodIsToldByItsErrors() throws {
        // One and the same history for all: r and alpha may grow together for ever.
        var histogram = PurchaseHistogram()
        histogram.add(repeatPurchases: 4, recencyDays: 80, ageDays: 100, count: 500)
        let fit = try PurchaseModelFit.fit(histogram, model: .nbd)
        #expect(fit.standardErrors.map { $0.r > fit.r && $0.alpha > fit.alpha } ?? true)
    }

    @Test func orderOfCountingDoesNotMatter() throws {
        let one = simulate(customers: 300, dropout: (1, 3), alsoAfterFirst: true, seed: 3)
        let two = simulate(customers: 300, dropout: (1, 3), alsoAfterFirst: true, seed: 4)
        var first = one
        first.merge(two)
        var second = two
        second.merge(one)
        #expect(first == second && first.groups == second.groups)
        #expect(first.customers == 600)
        #expect(first.repeatBuyers == one.repeatBuyers + two.repeatBuyers)
        let fit = try PurchaseModelFit.fit(first, model: .mbgNBD)
        #expect(try PurchaseModelFit.fit(second, model: .mbgNBD) == fit)
    }

    @Test func nothingToFitIsAnError() {
        var histogram = PurchaseHistogram()
        #expect(throws: NumericError.self) { try PurchaseModelFit.fit(histogram, model: .nbd) }
        histogram.add(repeatPurchases: 0, recencyDays: 0, ageDays: 30, count: 50)
        let error = #expect(throws: NumericError.self) {
            try PurchaseModelFit.fit(histogram, model: .mbgNBD)
        }
        #expect(error?.kind == .badInput)
    }

    @Test func oneRegularBuyerIsNoTrap() throws {
        var histogram = PurchaseHistogram()
        histogram.add(repeatPurchases: 400, recencyDays: 3000, ageDays: 3001)
        for model in PurchaseModel.allCases {
            let fit = try PurchaseModelFit.fit(histogram, model: model)
            #expect(fit.logLikelihood.isFinite)
            let alive = fit.probabilityAlive(x: 400, recency: 428, age: 429)
            #expect(0 <= alive && alive <= 1)
        }
    }
}
