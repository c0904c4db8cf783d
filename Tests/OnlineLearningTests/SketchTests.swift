import OnlineLearning
import Testing

@Suite struct SketchTests {
    /// Values over many sizes, some zero, some negative.
    private func values(_ count: Int, seed: UInt64) -> [Double] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in
            let kind = generator.next(below: 10)
            guard kind > 1 else { return 0 }
            let size = Double(sign: .plus, exponent: generator.next(below: 40) - 20, significand: 1)
            return (kind == 2 ? -1 : 1) * size * (1 + generator.nextDouble())
        }
    }

    @Test(arguments: [1, 2, 3, 10, 999, 1000])
    func quantilesAreWithinATenthOfAPercent(count: Int) throws {
        let values = values(count, seed: UInt64(count))
        var sketch = LogBucketSketch()
        for value in values { sketch.add(value) }
        let sorted = values.sorted()
        for step in 0...100 {
            let q = Double(step) / 100
            let exact = sorted[Int((q * Double(count - 1)).rounded(.down))]
            let answer = try #require(sketch.quantile(q))
            #expect(abs(answer - exact) <= 0.000991 * abs(exact))
        }
    }

    @Test func medianOfAnEvenCountIsBetweenTheMiddleValues() throws {
        var sketch = LogBucketSketch()
        for value in [10.0, 20, 30, 1e9] { sketch.add(value) }
        #expect(abs(try #require(sketch.median()) - 25) <= 0.025)
        sketch.add(40)
        #expect(abs(try #require(sketch.median()) - 30) <= 0.03)
        #expect(LogBucketSketch().median() == nil)
        var zeros = LogBucketSketch()
        for value in [-5, 0, 0.0, -0.0, 7] { zeros.add(value) }
        #expect(zeros.median() == 0)
    }

    @Test func valuesComeOutAgain() {
        let kept = values(200, seed: 1)
        let gone =
            values(500, seed: 2) + [1e300, .leastNonzeroMagnitude, -3 * .leastNonzeroMagnitude]
        var sketch = LogBucketSketch()
        var expected = LogBucketSketch()
        for value in kept { expected.add(value) }
        for value in kept + gone { sketch.add(value) }
        #expect(sketch != expected)
        for value in gone.reversed() { sketch.remove(value) }
        #expect(sketch == expected && sketch.count == 200)
        for value in kept { sketch.remove(value) }
        #expect(sketch == LogBucketSketch() && sketch.quantile(0.5) == nil)
    }

    @Test func octaveIsAShiftByWholeBuckets() {
        let values = values(2000, seed: 3)
        var sketch = LogBucketSketch()
        var scaled = LogBucketSketch()
        for value in values {
            sketch.add(value)
            scaled.add(value * 0x1p-8)
        }
        #expect(sketch != scaled)
        sketch.shift(buckets: -8 * LogBucketSketch.bucketsPerOctave)
        #expect(sketch == scaled)
        #expect(sketch.median() == scaled.median())
    }

    @Test func boundsOfBucketsAreHit() throws {
        // Next to every power of two, where exponent and significand change together.
        for exponent in [-300, -1, 0, 1, 52, 1000] {
            let power = Double(sign: .plus, exponent: exponent, significand: 1)
            for value in [power.nextDown, power, power.nextUp] {
                var sketch = LogBucketSketch()
                sketch.add(value)
                #expect(abs(try #require(sketch.median()) - value) <= 0.000991 * value)
            }
        }
    }

    @Test func mergedSketchIsThatOfAllValues() {
        var all = LogBucketSketch()
        var parts = [LogBucketSketch(), LogBucketSketch()]
        var days = FixedWidthSketch(width: 1)
        var dayParts = [FixedWidthSketch(width: 1), FixedWidthSketch(width: 1)]
        for (index, value) in values(700, seed: 4).enumerated() {
            all.add(value)
            parts[index % 2].add(value)
            days.add(value)
            dayParts[index % 2].add(value)
        }
        parts[0].merge(parts[1])
        dayParts[0].merge(dayParts[1])
        #expect(parts[0] == all && dayParts[0] == days)
    }

    @Test(arguments: [1.0, 0.01, 7])
    func fixedWidthAnswersWithinHalfAWidth(width: Double) throws {
        var generator = SeededGenerator(seed: 5)
        let values = (0..<501).map { _ in -16_000 + 700 * generator.nextDouble() }
        var sketch = FixedWidthSketch(width: width)
        for value in values { sketch.add(value) }
        let sorted = values.sorted()
        #expect(abs(try #require(sketch.median()) - sorted[250]) <= width / 2 + 1e-9)
        for (q, rank) in [(0.0, 0), (0.1, 50), (1.0, 500)] {
            #expect(abs(try #require(sketch.quantile(q)) - sorted[rank]) <= width / 2 + 1e-9)
        }
        for value in values.dropFirst() { sketch.remove(value) }
        #expect(sketch.count == 1)
        #expect(abs(try #require(sketch.median()) - values[0]) <= width / 2 + 1e-9)
    }

    @Test func wholeWidthsAreExact() {
        var years = FixedWidthSketch(width: 0.01)
        for year in [-1957.0, -1954, -1965] { years.add(year) }
        #expect(years.median() == -1957)
        years.add(-1958)
        #expect(years.median() == -1957.5)
    }

    @Test func absurdValueTakesBoundedRoomAndComesOutAgain() {
        var sketch = FixedWidthSketch(width: 1)
        sketch.add(3)
        sketch.add(1e300)
        #expect(sketch.quantile(1) == Double(1 << 21))
        sketch.remove(1e300)
        #expect(sketch.quantile(1) == 3)
    }
}
