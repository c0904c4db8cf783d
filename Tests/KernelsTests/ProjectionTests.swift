import Kernels
import Testing

@Suite struct ProjectionTests {
    @Test(arguments: [1, 3, 8, 18, 65])
    func projectionEqualsThePlainSum(dimension: Int) {
        var generator = TestGenerator(seed: UInt64(dimension))
        let matrix = generator.array(3 * dimension)
        let offset = generator.array(3)
        let rows = generator.array(5 * dimension)
        var batch = [Double](repeating: .nan, count: 15)
        Projection.apply(
            matrix: matrix,
            offset: offset,
            rows: rows,
            rowCount: 5,
            dimension: dimension,
            scores: &batch
        )
        for row in 0..<5 {
            let one = Array(rows[row * dimension..<(row + 1) * dimension])
            var scores = [Double](repeating: .nan, count: 3)
            Projection.apply(matrix: matrix, offset: offset, row: one, scores: &scores)
            for component in 0..<3 {
                var expected = offset[component]
                for j in 0..<dimension { expected += matrix[component * dimension + j] * one[j] }
                #expect(abs(scores[component] - expected) < 1e-13)
                #expect(scores[component] == batch[row * 3 + component])
            }
        }
    }
}

@Suite struct NearestCentroidTests {
    @Test(arguments: [1, 2, 3, 6], [1, 2, 4, 11])
    func nearestTwoEqualASortedList(dimension: Int, count: Int) {
        var generator = TestGenerator(seed: UInt64(dimension * 31 + count))
        let centroids = generator.array(count * dimension)
        let points = generator.array(40 * dimension)
        var labels = [Int32](repeating: -1, count: 40)
        var distances = [Double](repeating: .nan, count: 40)
        let pass = NearestCentroid.assign(
            points: points,
            rowCount: 40,
            dimension: dimension,
            centroids: centroids,
            count: count,
            labels: &labels,
            squaredDistances: &distances
        )
        #expect(pass.changedCount == 40)
        #expect(abs(pass.inertia - distances.reduce(0, +)) < 1e-12)
        for row in 0..<40 {
            let sorted = (0..<count)
                .map { candidate -> (Double, Int) in
                    var distance = 0.0
                    for j in 0..<dimension {
                        let difference =
                            points[row * dimension + j] - centroids[candidate * dimension + j]
                        distance += difference * difference
                    }
                    return (distance, candidate)
                }
                .sorted { $0 < $1 }
            let nearest = NearestCentroid.find(
                point: Array(points[row * dimension..<(row + 1) * dimension]),
                centroids: centroids,
                count: count,
                dimension: dimension
            )
            #expect(nearest.index == sorted[0].1 && nearest.squaredDistance == sorted[0].0)
            #expect(Int(labels[row]) == nearest.index && distances[row] == nearest.squaredDistance)
            #expect(nearest.secondIndex == (count > 1 ? sorted[1].1 : -1))
            #expect(nearest.secondSquaredDistance == (count > 1 ? sorted[1].0 : .infinity))
        }
    }

    @Test func equalDistancesGoToTheLowestIndex() {
        let nearest = NearestCentroid.find(
            point: [0],
            centroids: [1, -1, 1],
            count: 3,
            dimension: 1
        )
        #expect(nearest.index == 0 && nearest.secondIndex == 1)
    }
}
