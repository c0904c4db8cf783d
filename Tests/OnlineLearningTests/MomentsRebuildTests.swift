import OnlineLearning
import Testing

/// Where centres should stand, and how much rounding a rebuild finds.
@Suite struct MomentsRebuildTests {
    private func moments(_ values: [Double], centre: Double = 0) -> FeatureMoments {
        var moments = FeatureMoments(
            featureCount: 1,
            missableFeatures: [0],
            centres: [centre]
        )
        change(&moments, values, sign: 1)
        return moments
    }

    private func change(_ moments: inout FeatureMoments, _ values: [Double], sign: Double) {
        var u = [0.0, 0, 0]
        for value in values {
            moments.writeRow([value], into: &u, at: 0)
            moments.update(rows: u, signs: [sign], rowCount: 1)
        }
    }

    private func deviation(_ moments: FeatureMoments) -> Double {
        moments.view(factors: [1], shifts: [0], imputation: [moments.centres[0]])
            .variance(of: 0).squareRoot()
    }

    /// Deviation in two passes, which is right whatever the mean.
    private func plainDeviation(_ values: [Double]) -> Double {
        let origin = values[0]
        let mean = values.reduce(0) { $0 + ($1 - origin) } / Double(values.count)
        let squares = values.reduce(0) { sum, value in
            let difference = value - origin - mean
            return sum + difference * difference
        }
        return (squares / Double(values.count)).squareRoot()
    }

    private func normal(_ count: Int, mean: Double, deviation: Double, seed: UInt64) -> [Double] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in mean + deviation * generator.nextNormal() }
    }

    @Test(arguments: [1e6, 1e3, 1, 0x1p-10, 1e-4, 1e-7])
    func aMillionDeviationsAwayIsFarAndANewCentreRegainsTheDigits(deviation: Double) {
        let values = normal(500, mean: 1e6 * deviation, deviation: deviation, seed: 71)
        let expected = plainDeviation(values)
        let old = moments(values)
        #expect(abs(self.deviation(old) - expected) > 1e-9 * expected, "or there is no point")
        #expect(old.isCentreFar(of: 0))
        let centre = old.nearbyCentre(of: 0)
        let new = moments(values, centre: centre)
        #expect(abs(self.deviation(new) - expected) <= 1e-9 * expected)
        #expect(!new.isCentreFar(of: 0))
        #expect(deviation < 0x1p-10 || centre == centre.rounded())
        let drift = old.drift(from: new)
        #expect(drift > 1e-9 && drift < 1e-2)
    }

    @Test func centresOfIntegersAreIntegers() {
        #expect(moments([1, 0, 1, 1, 1]).nearbyCentre(of: 0) == 1)
        #expect(moments([.nan, 7, 7, 7]).nearbyCentre(of: 0) == 7)
        #expect(moments([.nan, 7, 9, 9]).nearbyCentre(of: 0) == 8)
        let alike = moments(Array(repeating: 1_970, count: 100), centre: 1_900)
        #expect(alike.isCentreFar(of: 0) && alike.nearbyCentre(of: 0) == 1_970)
    }

    @Test func whatIsConstantAsksForNothingThatDoesNotHelp() {
        let alike = moments(Array(repeating: 123.45, count: 100), centre: 123)
        #expect(alike.nearbyCentre(of: 0) == 123 && !alike.isCentreFar(of: 0))
        // The rounding of many may look like a deviation: then the centre comes to the value.
        let many = Array(repeating: 123.45, count: 10_000)
        var centres = [0.0]
        while centres.count < 10, moments(many, centre: centres[0]).isCentreFar(of: 0) {
            centres.insert(moments(many, centre: centres[0]).nearbyCentre(of: 0), at: 0)
        }
        #expect(centres.count <= 5 && abs(centres[0] - 123.45) <= 0.45)
        let nobody = moments([.nan, .nan], centre: 17)
        #expect(nobody.nearbyCentre(of: 0) == 17 && !nobody.isCentreFar(of: 0))
        let empty = moments([], centre: 17)
        #expect(empty.nearbyCentre(of: 0) == 17 && !empty.isCentreFar(of: 0))
        let usual = moments(normal(100, mean: 900, deviation: 1, seed: 72))
        #expect(!usual.isCentreFar(of: 0))
    }

    @Test func driftIsTheErrorThatSomethingHugeLeaves() {
        let values = normal(400, mean: 50, deviation: 3, seed: 73)
        let new = moments(values, centre: 50)
        #expect(moments(values, centre: 17).drift(from: new) < 1e-12)
        #expect(new.drift(from: new) == 0)
        var old = moments(values, centre: 17)
        change(&old, [9.7e8], sign: 1)
        change(&old, [9.7e8], sign: -1)
        let error = abs(deviation(old) * deviation(old) / (deviation(new) * deviation(new)) - 1)
        #expect(error > 1e-9)
        let drift = old.drift(from: new)
        #expect(abs(drift - error) <= 1e-6 * error)
        // A mean alone, in deviations.
        var moved = moments(values, centre: 50)
        change(&moved, [values[0]], sign: -1)
        change(&moved, [values[0] + 400 * 1e-3 * 3], sign: 1)
        #expect(moved.drift(from: new) >= 0.9e-3)
        // Somebody lost is drift too.
        change(&old, [50], sign: 1)
        #expect(old.drift(from: new) >= 1.0 / 400)
    }

    @Test func driftOfWhatIsConstantOrNoNumberIsSeen() {
        let new = moments(Array(repeating: 123.45, count: 100), centre: 123)
        var old = new
        change(&old, [9.7e8], sign: 1)
        change(&old, [9.7e8], sign: -1)
        #expect(old.drift(from: new) > 1)
        change(&old, [1e200], sign: 1)
        change(&old, [1e200], sign: -1)
        #expect(old.drift(from: new) == .infinity)
        #expect(moments([]).drift(from: moments([])) == 0)
    }
}
