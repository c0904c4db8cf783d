/// Adds up the points of every cluster.
public enum CentroidSums {
    /// Sums and counts of the points by label, in row order.
    ///
    /// - Parameters:
    ///   - points: IN, `[rowCount x dimension]`, row-major.
    ///   - labels: IN, `[rowCount]`, each in `0..<counts.count`.
    ///   - dimension: components of a point, 1 or more.
    ///   - sums: OUT, `[clusterCount x dimension]`, row-major; emptied first.
    ///   - counts: OUT, `[clusterCount]`; emptied first.
    /// - Complexity: O(rowCount x dimension) time, no allocation.
    public static func accumulate(
        points: [Double],
        labels: [Int32],
        dimension: Int,
        sums: inout [Double],
        counts: inout [Int]
    ) {
        let clusterCount = counts.count
        precondition(dimension > 0 && points.count == labels.count * dimension, "other shape")
        precondition(sums.count == clusterCount * dimension, "sums of another shape")
        for index in sums.indices { sums[index] = 0 }
        for index in counts.indices { counts[index] = 0 }
        unsafe points.withUnsafeBufferPointer { points in
            unsafe sums.withUnsafeMutableBufferPointer { sums in
                for row in labels.indices {
                    let label = Int(labels[row])
                    counts[label] += 1
                    let start = row &* dimension
                    let target = label &* dimension
                    for j in 0..<dimension {
                        unsafe sums[target &+ j] += points[start &+ j]
                    }
                }
            }
        }
    }

    /// Weighted sums and weights of the points by label, in row order.
    ///
    /// - Parameters:
    ///   - points: IN, `[rowCount x dimension]`, row-major.
    ///   - weights: IN, `[rowCount]`, none negative.
    ///   - labels: IN, `[rowCount]`, each in `0..<counts.count`.
    ///   - dimension: components of a point, 1 or more.
    ///   - sums: OUT, `[clusterCount x dimension]`, row-major; emptied first.
    ///   - sumsOfWeights: OUT, `[clusterCount]`; emptied first.
    ///   - counts: OUT, `[clusterCount]`: points; emptied first.
    /// - Complexity: O(rowCount x dimension) time, no allocation.
    public static func accumulate(
        points: [Double],
        weights: [Double],
        labels: [Int32],
        dimension: Int,
        sums: inout [Double],
        sumsOfWeights: inout [Double],
        counts: inout [Int]
    ) {
        let clusterCount = counts.count
        precondition(dimension > 0 && points.count == labels.count * dimension, "other shape")
        precondition(weights.count == labels.count, "a weight per point")
        precondition(sums.count == clusterCount * dimension, "sums of another shape")
        precondition(sumsOfWeights.count == clusterCount, "weights of another shape")
        for index in sums.indices { sums[index] = 0 }
        for index in counts.indices { (counts[index], sumsOfWeights[index]) = (0, 0) }
        for row in labels.indices {
            let label = Int(labels[row])
            let weight = weights[row]
            counts[label] += 1
            sumsOfWeights[label] += weight
            for j in 0..<dimension {
                sums[label &* dimension &+ j] += weight * points[row &* dimension &+ j]
            }
        }
    }
}
