import OnlineLearning
import Testing

@Suite struct SeededGeneratorTests {
    @Test func wordsEqualTheReferenceProgram() {
        var generator = SeededGenerator(state: (1, 2, 3, 4))
        let words = (0..<5).map { _ in generator.next() }
        #expect(
            words == [
                11520, 0, 1_509_978_240, 1_215_971_899_390_074_240, 1_216_172_134_540_287_360,
            ]
        )
        var seeded = SeededGenerator(seed: 0)
        #expect(seeded.next() == 11_091_344_671_253_066_420)
        #expect(seeded.next() == 13_793_997_310_169_335_082)
    }

    @Test func numbersStayInRangeAndAreEven() {
        var generator = SeededGenerator(seed: 9)
        var counts = [Int](repeating: 0, count: 7)
        var sum = 0.0
        var squares = 0.0
        for _ in 0..<70_000 {
            counts[generator.next(below: 7)] += 1
            let uniform = generator.nextDouble()
            #expect(0 <= uniform && uniform < 1)
            let normal = generator.nextNormal()
            sum += normal
            squares += normal * normal
        }
        // Five deviations of a count of 10,000, of a mean and of a variance.
        #expect(counts.allSatisfy { abs($0 - 10_000) < 470 })
        #expect(abs(sum / 70_000) < 0.019)
        #expect(abs(squares / 70_000 - 1) < 0.027)
    }

    @Test func sampleIsOfItsSizeAndEven() {
        var generator = SeededGenerator(seed: 10)
        var counts = [Int](repeating: 0, count: 20)
        for _ in 0..<20_000 {
            let sample = generator.sample(5, of: 20)
            #expect(sample.count == 5 && zip(sample, sample.dropFirst()).allSatisfy { $0 < $1 })
            for number in sample { counts[number] += 1 }
        }
        // Five deviations of a count of 5,000.
        #expect(counts.allSatisfy { abs($0 - 5_000) < 310 })
        #expect(
            generator.sample(4, of: 4) == [0, 1, 2, 3] && generator.sample(9, of: 2) == [0, 1]
        )
        #expect(generator.sample(0, of: 7) == [])
    }
}
