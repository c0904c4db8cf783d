import OnlineLearning
import Testing

/// The detector of rises.
@Suite struct PageHinkleyTests {
    /// Feeds normal numbers; returns how many it took to see a rise, nil for none.
    private func steps(
        _ detector: inout PageHinkley,
        mean: Double,
        deviation: Double,
        count: Int,
        _ generator: inout SeededGenerator
    ) -> Int? {
        for step in 1...count {
            detector.add(mean + deviation * generator.nextNormal())
            if detector.isRisen { return step }
        }
        return nil
    }

    @Test(arguments: 1...4 as ClosedRange<UInt64>) func steadyNoiseIsNoRise(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for deviation in [0.01, 0.3] {
            var detector = PageHinkley()
            let rise = steps(&detector, mean: 1, deviation: deviation, count: 20_000, &generator)
            #expect(rise == nil, "after \(rise ?? 0) at deviation \(deviation)")
        }
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>) func aRiseIsFoundSoon(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var detector = PageHinkley()
        #expect(steps(&detector, mean: 1, deviation: 0.05, count: 300, &generator) == nil)
        // Two deviations: 25 numbers at most.
        let rise = steps(&detector, mean: 1.1, deviation: 0.05, count: 25, &generator)
        #expect(rise != nil)
        #expect(rise.map { $0 >= 3 } ?? true)
    }

    @Test(arguments: 1...20 as ClosedRange<UInt64>) func aFallIsNoRise(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var detector = PageHinkley()
        #expect(steps(&detector, mean: 1, deviation: 0.05, count: 300, &generator) == nil)
        #expect(steps(&detector, mean: 0.7, deviation: 0.05, count: 300, &generator) == nil)
    }

    @Test func trifleOfRegularNumbersIsNoRise() {
        var detector = PageHinkley()
        for _ in 0..<100 { detector.add(1) }
        // Half of the least deviation above: the allowance takes all of it.
        for _ in 0..<10_000 { detector.add(1.009) }
        #expect(!detector.isRisen)
        for _ in 0..<40 { detector.add(1.1) }
        #expect(detector.isRisen)
    }

    @Test func aRiseStaysUntilReset() {
        var detector = PageHinkley()
        for _ in 0..<100 { detector.add(1) }
        for _ in 0..<20 { detector.add(3) }
        #expect(detector.isRisen)
        for _ in 0..<1000 { detector.add(0) }
        #expect(detector.isRisen && detector.level == 1)
        detector.reset()
        #expect(detector == PageHinkley())
    }

    @Test func aCopyGoesOnEqually() {
        var generator = SeededGenerator(seed: 3)
        var detector = PageHinkley()
        for _ in 0..<100 { detector.add(generator.nextNormal()) }
        let saved = detector
        for _ in 0..<50 { detector.add(5 + generator.nextNormal()) }
        #expect(detector != saved && detector.isRisen)
        detector = saved
        #expect(!detector.isRisen && detector.count == 100)
    }

    @Test func whatIsNoNumberIsLeftOut() {
        var detector = PageHinkley()
        for _ in 0..<40 { detector.add(1) }
        let before = detector
        detector.add(.nan)
        detector.add(.infinity)
        #expect(detector == before)
    }

    @Test func meanAndDeviationAreThoseOfTheNumbers() {
        var detector = PageHinkley(leastDeviation: 1e-9)
        for number in [2.0, 4, 4, 4, 5, 5, 7, 9] { detector.add(number) }
        #expect(detector.mean == 5)
        #expect(abs(detector.deviation - (32.0 / 7).squareRoot()) < 1e-12)
    }

    /// By hand: deviations are at least 1, half of one is allowed, and 19 of them make a rise.
    @Test func theSumFollowsPage() {
        var detector = PageHinkley(
            allowance: 0.5,
            threshold: 19,
            leastDeviation: 1,
            warmUpCount: 2
        )
        for number in [0.0, 0] { detector.add(number) }
        #expect(detector.level == 0)
        // 10 deviations above a mean that it is not part of.
        detector.add(10)
        #expect(detector.level == 9.5 / 19)
        // At the mean: the allowance alone.
        detector.add(detector.mean)
        #expect(abs(detector.level - 9.0 / 19) < 1e-12)
        // Far below: back to 0, and no lower.
        detector.add(-1000)
        #expect(detector.level == 0)
        let (mean, deviation) = (detector.mean, detector.deviation)
        detector.add(mean + 2.5 * deviation)
        #expect(abs(detector.level - 2.0 / 19) < 1e-12)
    }

    @Test func theThresholdItselfIsNoRise() {
        for (threshold, isRisen) in [(9.5, false), (9.4, true)] {
            var detector = PageHinkley(
                allowance: 0.5,
                threshold: threshold,
                leastDeviation: 1,
                warmUpCount: 2
            )
            for number in [0.0, 0, 10] { detector.add(number) }
            #expect(detector.isRisen == isRisen)
        }
    }

    @Test func theFirstNumbersDoNotCount() {
        var detector = PageHinkley(
            allowance: 0.5,
            threshold: 1,
            leastDeviation: 1,
            warmUpCount: 3
        )
        for number in [0.0, 0, 10] { detector.add(number) }
        #expect(detector.level == 0 && !detector.isRisen)
        detector.add(100)
        #expect(detector.isRisen)
    }
}
