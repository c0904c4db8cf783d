import OnlineLearning
import Testing

@Suite struct KMeansTests {
    private func blobs(_ centres: [[Double]], each: Int, seed: UInt64) -> [Double] {
        var generator = SeededGenerator(seed: seed)
        return (0..<each).flatMap { _ in
            centres.flatMap { $0.map { $0 + 0.3 * generator.nextNormal() } }
        }
    }

    private func inertia(_ points: [Double], _ result: KMeansResult, _ dimension: Int) -> Double {
        var total = 0.0
        for row in result.labels.indices {
            for j in 0..<dimension {
                let centroid = result.centroids[Int(result.labels[row]) * dimension + j]
                total +=
                    (points[row * dimension + j] - centroid)
                    * (points[row * dimension + j] - centroid)
            }
        }
        return total
    }

    @Test(arguments: [1, 2, 3, 5])
    func separateGroupsAreFound(dimension: Int) {
        let centres = (0..<4).map { group in
            (0..<dimension).map { Double(($0 + group) % 4) * 9 + Double(group) }
        }
        let points = blobs(centres, each: 100, seed: UInt64(dimension))
        var generator = SeededGenerator(seed: 1)
        let result = KMeans.best(
            points: points,
            dimension: dimension,
            count: 4,
            starts: 3,
            generator: &generator
        )
        for group in 0..<4 {
            let labels = Set((0..<100).map { result.labels[$0 * 4 + group] })
            #expect(labels.count == 1)
        }
        #expect(Set(result.labels).count == 4)
        #expect(abs(result.inertia - inertia(points, result, dimension)) < 1e-9 * result.inertia)
    }

    @Test func everyPassLowersInertiaUntilLabelsRest() {
        var generator = SeededGenerator(seed: 2)
        let points = (0..<3 * 900).map { _ in generator.nextNormal() }
        let seeds = Array(points.prefix(3 * 6))
        var last = Double.infinity
        var passes = 0
        for limit in 1...200 {
            let result = KMeans.lloyd(
                points: points,
                dimension: 3,
                centroids: seeds,
                iterationMax: limit
            )
            #expect(result.inertia <= last * (1 + 1e-12))
            #expect(abs(result.inertia - inertia(points, result, 3)) < 1e-9 * result.inertia)
            last = result.inertia
            passes = result.iterations
            if passes < limit { break }
        }
        #expect(passes > 5 && passes < 200)
        let rested = KMeans.lloyd(points: points, dimension: 3, centroids: seeds)
        // At rest the centroids are the means of their points.
        for cluster in 0..<6 {
            let rows = rested.labels.indices.filter { rested.labels[$0] == Int32(cluster) }
            for j in 0..<3 {
                let mean = rows.reduce(0.0) { $0 + points[$1 * 3 + j] } / Double(rows.count)
                #expect(abs(mean - rested.centroids[cluster * 3 + j]) < 1e-12)
            }
        }
    }

    @Test func emptyClusterIsSeededAnew() {
        let points = blobs([[0, 0], [20, 0], [0, 20]], each: 50, seed: 3)
        // Two of three centroids so far away that nobody is nearest to them.
        let result = KMeans.lloyd(
            points: points,
            dimension: 2,
            centroids: [1, 1, 1e6, 1e6, -1e6, -1e6]
        )
        #expect(Set(result.labels).count == 3)
        #expect(result.inertia < 60)
    }

    @Test func pointThatSeedsAnewLeavesItsOldCluster() {
        let result = KMeans.lloyd(
            points: [0, 1, 10],
            dimension: 1,
            centroids: [0, 1e6],
            iterationMax: 2
        )
        #expect(result.centroids == [0.5, 10] && result.labels == [0, 0, 1])
    }

    @Test func greedySeedsHitEveryGroup() {
        let points = blobs([[0, 0], [9, 0], [0, 9], [9, 9], [4, 20]], each: 40, seed: 9)
        var hits = 0
        for seed in 0..<200 {
            var generator = SeededGenerator(seed: UInt64(seed))
            let seeds = KMeans.greedyPlusPlus(
                points: points,
                dimension: 2,
                count: 5,
                generator: &generator
            )
            let groups = (0..<5).map { index in
                Int((seeds[2 * index] / 3).rounded()) * 100
                    + Int((seeds[2 * index + 1] / 3).rounded())
            }
            hits += Set(groups).count == 5 ? 1 : 0
        }
        // One candidate a seed hits all five in four runs of five.
        #expect(hits >= 198)
    }

    @Test(arguments: [1, 2, 3, 6])
    func repeatedPointsAreNoTrap(k: Int) {
        var generator = SeededGenerator(seed: 4)
        let points = (0..<40).flatMap { row -> [Double] in row % 3 == 0 ? [1, 1] : [2, 5] }
        let result = KMeans.best(
            points: points,
            dimension: 2,
            count: k,
            starts: 3,
            generator: &generator
        )
        #expect(result.centroids.count == 2 * k && result.centroids.allSatisfy(\.isFinite))
        #expect(k == 1 ? result.inertia > 100 : result.inertia == 0)
        #expect(Set(result.labels).count == min(k, 2))
    }

    @Test func seedIsAllTheRandomnessThereIs() {
        let points = blobs([[0, 0, 0], [3, 1, 0]], each: 200, seed: 5)
        func run(_ seed: UInt64) -> [Double] {
            var generator = SeededGenerator(seed: seed)
            return KMeans.greedyPlusPlus(
                points: points,
                dimension: 3,
                count: 5,
                generator: &generator
            )
        }
        #expect(run(6) == run(6))
        #expect(run(6) != run(7))
    }

    @Test func sweepFallsAndKnowsItsSilhouettes() throws {
        let points = blobs([[0, 0], [9, 0], [0, 9], [9, 9]], each: 60, seed: 6)
        var generator = SeededGenerator(seed: 8)
        let sweep = ClusterSweep.run(
            points: points,
            dimension: 2,
            counts: 1...8,
            starts: 4,
            generator: &generator,
            silhouetteSampleMax: 1000
        )
        #expect(sweep.map(\.k) == Array(1...8))
        #expect(zip(sweep, sweep.dropFirst()).allSatisfy { $0.inertia >= $1.inertia })
        #expect(sweep[0].silhouette == nil)
        let best = sweep.max { ($0.silhouette ?? -1) < ($1.silhouette ?? -1) }
        #expect(best?.k == 4)
        #expect(Kneedle.elbow(x: sweep.map(\.k), y: sweep.map(\.inertia)) == 4)
        var other = SeededGenerator(seed: 8)
        let sampled = ClusterSweep.run(
            points: points,
            dimension: 2,
            counts: 3...5,
            starts: 4,
            generator: &other,
            silhouetteSampleMax: 100
        )
        let gap = try #require(sampled[1].silhouette) - (try #require(sweep[3].silhouette))
        #expect(gap != 0 && abs(gap) < 0.05)
        var few = SeededGenerator(seed: 8)
        let tiny = ClusterSweep.run(
            points: [1, 2, 3, 4],
            dimension: 2,
            starts: 1,
            generator: &few
        )
        #expect(tiny.map(\.k) == [1, 2])
    }
}
