import Kernels
import OnlineLearning
import Testing

/// Points with weights: one of weight 2 counts as two.
@Suite struct WeightedKMeansTests {
    /// Points in three loose groups, each with a whole weight of 1 to 4.
    private func sample(_ seed: UInt64) -> (points: [Double], weights: [Double]) {
        var generator = SeededGenerator(seed: seed)
        var points: [Double] = []
        var weights: [Double] = []
        for row in 0..<90 {
            points += [Double(row % 3) * 6 + generator.nextNormal(), generator.nextNormal()]
            weights.append(Double(1 + generator.next(below: 4)))
        }
        return (points, weights)
    }

    /// Every point as often as it weighs.
    private func repeated(_ points: [Double], _ weights: [Double]) -> [Double] {
        weights.indices.flatMap { row in
            (0..<Int(weights[row])).flatMap { _ in points[2 * row..<2 * row + 2] }
        }
    }

    @Test(arguments: 1...5) func lloydOfWeightsIsThatOfRepeatedPoints(seed: UInt64) {
        let (points, weights) = sample(seed)
        let seeds = Array(points.prefix(2 * 3))
        let weighted = KMeans.lloyd(
            points: points,
            dimension: 2,
            centroids: seeds,
            weights: weights
        )
        let plain = KMeans.lloyd(
            points: repeated(points, weights),
            dimension: 2,
            centroids: seeds
        )
        #expect(weighted.iterations == plain.iterations && weighted.iterations > 1)
        #expect(abs(weighted.inertia - plain.inertia) < 1e-10 * plain.inertia)
        for (one, other) in zip(weighted.centroids, plain.centroids) {
            #expect(abs(one - other) < 1e-12 * max(1, abs(other)))
        }
        // Only ratios of weights mean anything.
        let scaled = KMeans.lloyd(
            points: points,
            dimension: 2,
            centroids: seeds,
            weights: weights.map { $0 * 0x1p-700 }
        )
        #expect(scaled.centroids == weighted.centroids && scaled.labels == weighted.labels)
        #expect(scaled.inertia == weighted.inertia * 0x1p-700)
    }

    @Test func theBestRunIsThatOfRepeatedPoints() {
        let (points, weights) = sample(6)
        var generator = SeededGenerator(seed: 1)
        let weighted = KMeans.best(
            points: points,
            dimension: 2,
            count: 3,
            starts: 8,
            weights: weights,
            generator: &generator
        )
        let plain = KMeans.best(
            points: repeated(points, weights),
            dimension: 2,
            count: 3,
            starts: 8,
            generator: &generator
        )
        #expect(abs(weighted.inertia - plain.inertia) < 1e-9 * plain.inertia)
    }

    /// The first seed is drawn by weight alone, the next by weight and distance.
    @Test func seedsAreDrawnByWeight() {
        let points: [Double] = [0, 1, 2, 3]
        let weights: [Double] = [1, 1e-30, 6, 1]
        var counts = [0, 0, 0, 0]
        var farther = 0
        for seed in 0..<800 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let seeds = KMeans.greedyPlusPlus(
                points: points,
                dimension: 1,
                count: 2,
                weights: weights,
                generator: &generator
            )
            counts[Int(seeds[0])] += 1
            if seeds[0] == 0 && seeds[1] == 2 { farther += 1 }
            #expect(seeds[1] != 1 && seeds[1] != seeds[0])
        }
        #expect(counts[1] == 0 && (540...660).contains(counts[2]), "\(counts)")
        // Weight 6 at distance 2 leaves less than weight 1 at distance 3.
        #expect(farther > counts[0] * 3 / 4)
    }

    @Test func anEmptyClusterTakesThePointThatAddsMost() {
        // The far point weighs nothing, so the one at 4 is the worst.
        let points: [Double] = [0, 0.5, 4, 100]
        let result = KMeans.lloyd(
            points: points,
            dimension: 1,
            centroids: [0, -1e6],
            weights: [10, 10, 10, 1e-9],
            iterationMax: 2
        )
        #expect(result.centroids[1] == 4 || result.centroids[0] == 4, "\(result.centroids)")
        #expect(result.centroids.allSatisfy { $0 < 5 })
    }

    @Test func theSweepWeighsPoints() {
        let (points, weights) = sample(7)
        var generator = SeededGenerator(seed: 3)
        let weighted = ClusterSweep.run(
            points: points,
            dimension: 2,
            counts: 1...4,
            starts: 4,
            weights: weights,
            generator: &generator
        )
        let plain = ClusterSweep.run(
            points: repeated(points, weights),
            dimension: 2,
            counts: 1...4,
            starts: 4,
            generator: &generator
        )
        for (one, other) in zip(weighted, plain) {
            #expect(abs(one.inertia - other.inertia) < 1e-9 * other.inertia)
            guard let mine = one.silhouette, let theirs = other.silhouette else { continue }
            // Repeated points are their own neighbours, at distance 0.
            #expect(abs(mine - theirs) < 0.02)
        }
        #expect(weighted.map(\.k) == [1, 2, 3, 4])
    }

    @Test func aClusterThatKeepsOnlyTheLightHasLostDigits() {
        var sums = MiniBatchKMeans(clusterCount: 2, dimension: 2)
        for value in [0.1, 0.2, 0.3] { sums.add(row: [1, value], cluster: 0, weight: 0x1p-40) }
        #expect(!sums.hasLostDigits(of: 0) && !sums.hasLostDigits(of: 1))
        sums.add(row: [1, 0.7], cluster: 0)
        #expect(!sums.hasLostDigits(of: 0))
        sums.remove(row: [1, 0.7], cluster: 0)
        #expect(sums.hasLostDigits(of: 0) && sums.counts[0] == 3)
        sums.scaleWeights(by: 0x1p-16)
        #expect(sums.hasLostDigits(of: 0) && !sums.hasLostDigits(of: 1))
        for value in [0.1, 0.2, 0.3] { sums.remove(row: [1, value], cluster: 0, weight: 0x1p-56) }
        #expect(sums == MiniBatchKMeans(clusterCount: 2, dimension: 2))
    }

    @Test func weightsOfMomentsAreScaledWithoutRounding() {
        var generator = SeededGenerator(seed: 8)
        var moments = FeatureMoments(featureCount: 2, missableFeatures: [1], centres: [3, 0])
        var u = [0.0, 0, 0, 0]
        var rows: [(u: [Double], weight: Double)] = []
        for _ in 0..<50 {
            let second = generator.next(below: 3) == 0 ? .nan : generator.nextNormal()
            moments.writeRow([generator.nextNormal(), second], into: &u, at: 0)
            rows.append((u, generator.nextDouble() + 0.1))
            moments.update(rows: u, signs: [rows[rows.count - 1].weight], rowCount: 1)
        }
        let view = { (moments: FeatureMoments) in
            moments.view(factors: [1, 2], shifts: [0, 1], imputation: [0, 5])
        }
        let before = view(moments)
        moments.scaleWeights(by: 0x1p-48)
        let after = view(moments)
        #expect(after.mean == before.mean && after.covariance == before.covariance)
        #expect(after.count == before.count * 0x1p-48)
        #expect(after.largestSquaredDeviation == before.largestSquaredDeviation)
        for row in rows { moments.update(rows: row.u, signs: [-row.weight * 0x1p-48], rowCount: 1) }
        #expect(moments.upper.allSatisfy { abs($0) < 1e-14 * 0x1p-48 * 1_000 })
    }
}
