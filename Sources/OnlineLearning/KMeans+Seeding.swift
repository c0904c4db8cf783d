import Glibc
import Kernels

extension KMeans {
    /// Seeds by k-means++ (Arthur and Vassilvitskii, 2007, doi:10.5555/1283383.1283494), greedily.
    ///
    /// Each further seed is the best of 2 + floor(ln k) candidates drawn with probability in
    /// proportion to their squared distance from the seeds so far: the one that leaves the least
    /// sum of distances. When all different points are seeds, further ones repeat points.
    ///
    /// - Parameters:
    ///   - points: `[rowCount x dimension]`, row-major, finite, one point or more.
    ///   - dimension: components of a point, 1 or more.
    ///   - k: seeds, 1 or more.
    ///   - weights: `[rowCount]`, positive: a point of weight 2 counts as two; empty where each
    ///     counts once.
    ///   - generator: INOUT, the only source of randomness.
    /// - Returns: `[k x dimension]`, row-major.
    /// - Complexity: O(rowCount x k x log k x dimension) time, O(rowCount) memory.
    public static func greedyPlusPlus(
        points: [Double],
        dimension: Int,
        count k: Int,
        weights: [Double] = [],
        generator: inout SeededGenerator
    ) -> [Double] {
        precondition(dimension > 0 && points.count % dimension == 0, "points of another shape")
        precondition(!points.isEmpty && k > 0, "a point and a seed are expected")
        guard weights.isEmpty else {
            return weightedGreedyPlusPlus(
                points: points,
                dimension: dimension,
                count: k,
                weights: weights,
                generator: &generator
            )
        }
        let rowCount = points.count / dimension
        let candidateCount = 2 + Int(log(Double(k)))
        var distances = [Double](repeating: .infinity, count: rowCount)
        var seeds: [Double] = []
        seeds.reserveCapacity(k * dimension)
        var total = Double.infinity
        for index in 0..<k {
            var seed = generator.next(below: rowCount)
            if index > 0 && total > 0 {
                var least = Double.infinity
                for _ in 0..<candidateCount {
                    let candidate = SeedingPotential.row(
                        at: generator.nextDouble() * total,
                        weights: distances
                    )
                    let rest = SeedingPotential.total(
                        distances,
                        points: points,
                        dimension: dimension,
                        seed: candidate
                    )
                    if rest < least {
                        least = rest
                        seed = candidate
                    }
                }
            }
            seeds += points[seed * dimension..<(seed + 1) * dimension]
            total = SeedingPotential.lower(
                &distances,
                points: points,
                dimension: dimension,
                seed: seed
            )
        }
        return seeds
    }

    /// The same with a weight for every point.
    private static func weightedGreedyPlusPlus(
        points: [Double],
        dimension: Int,
        count k: Int,
        weights: [Double],
        generator: inout SeededGenerator
    ) -> [Double] {
        let rowCount = points.count / dimension
        precondition(weights.count == rowCount, "a weight per point")
        let candidateCount = 2 + Int(log(Double(k)))
        var distances = [Double](repeating: .infinity, count: rowCount)
        // What a seed is drawn in proportion to.
        var potentials = weights
        var total = weights.reduce(0, +)
        var seeds: [Double] = []
        seeds.reserveCapacity(k * dimension)
        for index in 0..<k {
            var seed = SeedingPotential.row(at: generator.nextDouble() * total, weights: potentials)
            if index > 0 && total > 0 {
                var least = Double.infinity
                for _ in 0..<candidateCount {
                    let candidate = SeedingPotential.row(
                        at: generator.nextDouble() * total,
                        weights: potentials
                    )
                    let rest = SeedingPotential.total(
                        distances,
                        weights: weights,
                        points: points,
                        dimension: dimension,
                        seed: candidate
                    )
                    if rest < least {
                        least = rest
                        seed = candidate
                    }
                }
            }
            seeds += points[seed * dimension..<(seed + 1) * dimension]
            _ = SeedingPotential.lower(&distances, points: points, dimension: dimension, seed: seed)
            total = 0
            for row in 0..<rowCount {
                potentials[row] = weights[row] * distances[row]
                total += potentials[row]
            }
        }
        return seeds
    }
}
