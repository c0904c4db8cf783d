/// The loops of k-means++ seeding: squared distance of every point to the nearest seed so far.
public enum SeedingPotential {
    /// Lowers each distance to that from one more seed, which is itself a point.
    ///
    /// - Parameters:
    ///   - squaredDistances: INOUT, `[rowCount]`; infinite before the first seed.
    ///   - points: IN, `[rowCount x dimension]`, row-major.
    ///   - dimension: components of a point, 1 or more.
    ///   - seed: row of the new seed.
    /// - Returns: the sum of the distances afterwards, in row order.
    /// - Complexity: O(rowCount x dimension) time, no allocation.
    public static func lower(
        _ squaredDistances: inout [Double],
        points: [Double],
        dimension: Int,
        seed: Int
    ) -> Double {
        precondition(dimension > 0 && points.count == squaredDistances.count * dimension)
        precondition(squaredDistances.indices.contains(seed), "the seed must be a point")
        var total = 0.0
        let rowCount = squaredDistances.count
        unsafe points.withUnsafeBufferPointer { points in
            unsafe squaredDistances.withUnsafeMutableBufferPointer { distances in
                guard let points = points.baseAddress else { return }
                let seed = unsafe points + seed &* dimension
                for row in 0..<rowCount {
                    let distance = unsafe squaredDistance(
                        points + row &* dimension,
                        seed,
                        dimension
                    )
                    if unsafe distance < distances[row] { unsafe distances[row] = distance }
                    unsafe total += distances[row]
                }
            }
        }
        return total
    }

    /// The sum that `lower` would give with this seed, leaving the distances as they are.
    ///
    /// - Parameters:
    ///   - squaredDistances: IN, `[rowCount]`.
    ///   - points: IN, `[rowCount x dimension]`, row-major.
    ///   - dimension: components of a point, 1 or more.
    ///   - seed: row of the candidate.
    /// - Returns: the sum of the lowered distances, in row order.
    /// - Complexity: O(rowCount x dimension) time, no allocation.
    public static func total(
        _ squaredDistances: [Double],
        points: [Double],
        dimension: Int,
        seed: Int
    ) -> Double {
        precondition(dimension > 0 && points.count == squaredDistances.count * dimension)
        precondition(squaredDistances.indices.contains(seed), "the seed must be a point")
        var total = 0.0
        let rowCount = squaredDistances.count
        unsafe points.withUnsafeBufferPointer { points in
            unsafe squaredDistances.withUnsafeBufferPointer { distances in
                guard let points = points.baseAddress else { return }
                let seed = unsafe points + seed &* dimension
                for row in 0..<rowCount {
                    let distance = unsafe squaredDistance(
                        points + row &* dimension,
                        seed,
                        dimension
                    )
                    unsafe total += min(distance, distances[row])
                }
            }
        }
        return total
    }

    /// The sum that `lower` would give with this seed, each distance by the weight of its point.
    ///
    /// - Parameters:
    ///   - squaredDistances: IN, `[rowCount]`.
    ///   - weights: IN, `[rowCount]`, none negative.
    ///   - points: IN, `[rowCount x dimension]`, row-major.
    ///   - dimension: components of a point, 1 or more.
    ///   - seed: row of the candidate.
    /// - Returns: the weighted sum of the lowered distances, in row order.
    /// - Complexity: O(rowCount x dimension) time, no allocation.
    public static func total(
        _ squaredDistances: [Double],
        weights: [Double],
        points: [Double],
        dimension: Int,
        seed: Int
    ) -> Double {
        precondition(dimension > 0 && points.count == squaredDistances.count * dimension)
        precondition(weights.count == squaredDistances.count, "a weight per point")
        precondition(squaredDistances.indices.contains(seed), "the seed must be a point")
        var total = 0.0
        unsafe points.withUnsafeBufferPointer { points in
            guard let points = points.baseAddress else { return }
            let seed = unsafe points + seed &* dimension
            for row in squaredDistances.indices {
                let distance = unsafe squaredDistance(points + row &* dimension, seed, dimension)
                total += weights[row] * min(distance, squaredDistances[row])
            }
        }
        return total
    }

    /// Row at which the running sum of `weights` first exceeds `target`.
    ///
    /// - Parameters:
    ///   - target: 0 up to the sum of the weights.
    ///   - weights: IN, `[rowCount]`, none negative, one row or more.
    /// - Returns: the row; the last one with weight where rounding leaves the target at or beyond
    ///   the whole sum, and row 0 without any weight.
    /// - Complexity: O(rowCount) time, no allocation.
    public static func row(at target: Double, weights: [Double]) -> Int {
        precondition(!weights.isEmpty, "one row or more is expected")
        var sum = 0.0
        var last = 0
        for row in weights.indices where weights[row] > 0 {
            sum += weights[row]
            last = row
            if sum > target { return row }
        }
        return last
    }

    @inline(__always)
    private static func squaredDistance(
        _ a: UnsafePointer<Double>,
        _ b: UnsafePointer<Double>,
        _ dimension: Int
    ) -> Double {
        var distance = 0.0
        for j in 0..<dimension {
            let difference = unsafe a[j] - b[j]
            distance += difference * difference
        }
        return distance
    }
}
