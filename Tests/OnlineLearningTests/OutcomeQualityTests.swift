import Testing

@testable import OnlineLearning

/// Rankings and probabilities against outcomes, by hand and by counting pairs.
struct OutcomeQualityTests {
    @Test func aPerfectRankingHasAllOfTheArea() {
        #expect(OutcomeQuality.areaUnderCurve([0.1, 0.2, 0.8], [false, false, true]) == 1)
        #expect(OutcomeQuality.areaUnderCurve([0.1, 0.2, 0.8], [true, true, false]) == 0)
        #expect(OutcomeQuality.areaUnderCurve([5, 5, 5], [true, false, true]) == 0.5)
        #expect(OutcomeQuality.areaUnderCurve([1, 2], [true, true]) == nil)
        #expect(OutcomeQuality.areaUnderCurve([], []) == nil)
    }

    /// Every pair of one to whom it happened and one to whom it did not, a tie counting half.
    @Test func theAreaIsTheShareOfPairsInOrder() {
        var random = SeededGenerator(seed: 91)
        for _ in 0..<200 {
            let count = 2 + random.next(below: 40)
            let scores = (0..<count).map { _ in Double(random.next(below: 12)) }
            let outcomes = (0..<count).map { _ in random.next(below: 3) == 0 }
            var wins = 0.0
            var pairs = 0.0
            for i in 0..<count where outcomes[i] {
                for j in 0..<count where !outcomes[j] {
                    pairs += 1
                    wins += scores[i] > scores[j] ? 1 : scores[i] == scores[j] ? 0.5 : 0
                }
            }
            let area = OutcomeQuality.areaUnderCurve(scores, outcomes)
            #expect(area.map { abs($0 - wins / pairs) < 1e-12 } ?? (pairs == 0))
        }
    }

    @Test func theBrierScoreIsTheMeanSquare() {
        #expect(OutcomeQuality.brierScore([1, 0], [true, false]) == 0)
        #expect(OutcomeQuality.brierScore([0.5, 0.25], [true, true]) == (0.25 + 0.5625) / 2)
        #expect(OutcomeQuality.brierScore([], []) == nil)
    }

    @Test func binsAreOfOneSizeAndInOrder() {
        let bins = OutcomeQuality.calibration(
            [0.9, 0.1, 0.5, 0.3, 0.7],
            [true, false, true, false, true],
            bins: 2
        )
        #expect(bins.map(\.count) == [3, 2])
        #expect(abs(bins[0].predicted - 0.3) < 1e-12 && abs(bins[1].predicted - 0.8) < 1e-12)
        #expect(bins.map(\.observed) == [1.0 / 3, 1])
        #expect(OutcomeQuality.calibration([0.5], [true]).map(\.count) == [1])
    }
}
