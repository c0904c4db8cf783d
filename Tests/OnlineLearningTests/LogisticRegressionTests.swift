import Glibc
import Kernels
import OnlineLearning
import Testing

@Suite struct LogisticRegressionTests {
    /// Outcomes by known weights of three features of different sizes.
    private func sample(
        _ count: Int,
        weights: [Double],
        seed: UInt64
    ) -> (features: [Double], outcomes: [Bool]) {
        var generator = SeededGenerator(seed: seed)
        var features: [Double] = []
        var outcomes: [Bool] = []
        for _ in 0..<count {
            let row = [
                generator.nextNormal(), 50 + 10 * generator.nextNormal(),
                generator.nextDouble() < 0.3 ? 1 : 0,
            ]
            var odds = -1.0
            for j in 0..<3 { odds += weights[j] * (row[j] - [0, 50, 0][j]) }
            features += row
            outcomes.append(generator.nextDouble() < 1 / (1 + exp(-odds)))
        }
        return (features, outcomes)
    }

    @Test func weightsAreFoundAgain() throws {
        let truth = [0.8, -0.05, 1.5]
        let (features, outcomes) = sample(40_000, weights: truth, seed: 1)
        let fit = try LogisticRegression.fit(
            features: features,
            outcomes: outcomes,
            isMonotone: [true, false, false],
            ridge: 1e-9
        )
        // Four standard errors or so.
        #expect(abs(fit.weights[0] - 0.8) < 0.06)
        #expect(abs(fit.weights[1] + 0.05) < 0.006)
        #expect(abs(fit.weights[2] - 1.5) < 0.12)
        #expect(abs(fit.intercept - (-1 + 50 * 0.05)) < 0.3)
    }

    /// At the maximum of the likelihood, chances and outcomes agree in the mean, also weighted by
    /// any feature whose weight is free.
    @Test func theScoreEquationsHold() throws {
        let (features, outcomes) = sample(2_000, weights: [0.8, -0.05, 1.5], seed: 2)
        let fit = try LogisticRegression.fit(
            features: features,
            outcomes: outcomes,
            isMonotone: [false, false, false],
            ridge: 1e-12
        )
        var sums = [0.0, 0, 0, 0]
        for row in 0..<2_000 {
            var odds = fit.intercept
            for j in 0..<3 { odds += fit.weights[j] * features[row * 3 + j] }
            let off = 1 / (1 + exp(-odds)) - (outcomes[row] ? 1 : 0)
            sums[0] += off
            for j in 0..<3 { sums[1 + j] += off * features[row * 3 + j] }
        }
        for sum in sums { #expect(abs(sum) < 1e-2) }
    }

    @Test func aWeightThatMustNotBeNegativeStopsAtZero() throws {
        let (features, outcomes) = sample(5_000, weights: [0.8, -0.05, 1.5], seed: 3)
        let fit = try LogisticRegression.fit(
            features: features,
            outcomes: outcomes,
            isMonotone: [true, true, true],
            ridge: 1e-6
        )
        #expect(fit.weights[1] == 0)
        #expect(fit.weights[0] > 0.6 && fit.weights[2] > 1)
    }

    @Test func aRidgeKeepsWeightsOfSeparableOutcomesFinite() throws {
        let fit = try LogisticRegression.fit(
            features: [-2, 7, -1, 7, 1, 7, 2, 7],
            outcomes: [false, false, true, true],
            isMonotone: [true, false],
            ridge: 0.01
        )
        #expect(fit.weights[0] > 0.5 && fit.weights[0] < 50)
        #expect(fit.weights[1] == 0, "a feature that never changes tells nothing")
    }

    @Test func oneKindOfOutcomeIsAnError() {
        #expect(throws: NumericError.self) {
            try LogisticRegression.fit(
                features: [1, 2],
                outcomes: [true, true],
                isMonotone: [false],
                ridge: 0.1
            )
        }
    }
}
