import Kernels
import Testing

@Suite struct ClusterKernelTests {
    @Test func sumsEqualTheMembers() {
        let points = [1.0, 2, 3, 4, 5, 6, 7, 8]
        var sums = [Double](repeating: 9, count: 6)
        var counts = [9, 9, 9]
        CentroidSums.accumulate(
            points: points,
            labels: [2, 0, 2, 0],
            dimension: 2,
            sums: &sums,
            counts: &counts
        )
        #expect(sums == [10, 12, 0, 0, 6, 8])
        #expect(counts == [2, 0, 2])
    }

    @Test func loweredDistancesAreThoseToTheNearestSeed() {
        var generator = TestGenerator(seed: 5)
        let points = generator.array(60)
        var distances = [Double](repeating: .infinity, count: 20)
        _ = SeedingPotential.lower(&distances, points: points, dimension: 3, seed: 4)
        let foreseen = SeedingPotential.total(distances, points: points, dimension: 3, seed: 11)
        let total = SeedingPotential.lower(&distances, points: points, dimension: 3, seed: 11)
        #expect(foreseen == total)
        for row in 0..<20 {
            let both = [4, 11].map { seed in
                (0..<3).reduce(0.0) {
                    let difference = points[row * 3 + $1] - points[seed * 3 + $1]
                    return $0 + difference * difference
                }
            }
            #expect(distances[row] == min(both[0], both[1]))
        }
        #expect(distances[4] == 0 && distances[11] == 0)
    }

    @Test func rowOfATargetFollowsTheRunningSum() {
        let weights = [0.0, 1, 0, 2, 0]
        #expect(SeedingPotential.row(at: 0, weights: weights) == 1)
        #expect(SeedingPotential.row(at: 0.99, weights: weights) == 1)
        #expect(SeedingPotential.row(at: 1, weights: weights) == 3)
        #expect(SeedingPotential.row(at: 3, weights: weights) == 3)
        #expect(SeedingPotential.row(at: 0, weights: [0, 0]) == 0)
    }

    @Test(arguments: [1, 2, 3, 5])
    func silhouettesEqualTheDefinition(dimension: Int) {
        var generator = TestGenerator(seed: UInt64(dimension))
        let rowCount = 61
        var points = generator.array(rowCount * dimension)
        for j in 0..<dimension { points[7 * dimension + j] = points[j] }
        let clusterCounts = [2, 5, 7, 1, 3]
        var labelings: [Int32] = []
        for (index, count) in clusterCounts.enumerated() {
            for row in 0..<rowCount {
                // The last labelling has one cluster of a single point and one that is empty.
                labelings.append(index == 4 ? (row == 0 ? 2 : 0) : Int32(generator.below(count)))
            }
        }
        let means = Silhouettes.means(
            points: points,
            rowCount: rowCount,
            dimension: dimension,
            labelings: labelings,
            clusterCounts: clusterCounts
        )
        for (index, count) in clusterCounts.enumerated() {
            let labels = Array(labelings[index * rowCount..<(index + 1) * rowCount])
            let expected = plainSilhouette(points, dimension, labels, count)
            if let expected, let mean = means[index] {
                #expect(abs(mean - expected) < 1e-12)
            } else {
                #expect(expected == nil && means[index] == nil)
            }
        }
    }

    @Test func weightedSilhouettesEqualTheDefinition() {
        var generator = TestGenerator(seed: 9)
        let rowCount = 61
        let points = generator.array(rowCount * 2)
        let weights = (0..<rowCount).map { _ in Double(1 + generator.below(9)) / 4 }
        for count in [2, 5] {
            let labels = (0..<rowCount).map { _ in Int32(generator.below(count)) }
            let mean = Silhouettes.means(
                points: points,
                rowCount: rowCount,
                dimension: 2,
                labelings: labels,
                clusterCounts: [count],
                weights: weights
            )[0]
            let expected = plainSilhouette(points, 2, labels, count, weights)
            #expect(abs((mean ?? 9) - (expected ?? -9)) < 1e-12)
        }
        // Beside a point that outweighs all the rest of its cluster, it is alone: 0.
        let alone = Silhouettes.means(
            points: [0, 1, 5, 6],
            rowCount: 4,
            dimension: 1,
            labelings: [0, 0, 1, 1],
            clusterCounts: [2],
            weights: [1, 1e-12, 1, 1]
        )[0]
        // 5: inside 1, outside 5; 6: inside 1, outside 6.
        #expect(abs((alone ?? 9) - (4.0 / 5 + 5.0 / 6) / 3) < 1e-9)
    }

    private func plainSilhouette(
        _ points: [Double],
        _ dimension: Int,
        _ labels: [Int32],
        _ clusterCount: Int,
        _ weights: [Double]? = nil
    ) -> Double? {
        let weights = weights ?? labels.map { _ in 1 }
        guard Set(labels).count > 1 else { return nil }
        var total = 0.0
        for i in labels.indices {
            var sums = [Double](repeating: 0, count: clusterCount)
            var counts = [Double](repeating: 0, count: clusterCount)
            for j in labels.indices where j != i {
                var square = 0.0
                for d in 0..<dimension {
                    let difference = points[i * dimension + d] - points[j * dimension + d]
                    square += difference * difference
                }
                sums[Int(labels[j])] += weights[j] * square.squareRoot()
                counts[Int(labels[j])] += weights[j]
            }
            let own = Int(labels[i])
            guard counts[own] > 0 else { continue }
            let inside = sums[own] / counts[own]
            let outside = (0..<clusterCount).filter { $0 != own && counts[$0] > 0 }
                .map { sums[$0] / counts[$0] }
                .min()
            guard let outside else { continue }
            total += weights[i] * (outside - inside) / max(inside, outside)
        }
        return total / weights.reduce(0, +)
    }
}
