/// Exact sums of the members of every cluster, for incremental k-means.
///
/// A row u is whatever the caller adds up, by convention `[1, a - c, m]` as in `FeatureMoments`;
/// this type only keeps sums and counts, and the caller maps their means to centroids. A changed
/// customer leaves the old sums and enters the new ones, so that stepping the centroids to the
/// means never raises the objective (MacQueen, 1967; Neal and Hinton, 1998,
/// doi:10.1007/978-94-011-5014-9_12).
public struct MiniBatchKMeans: Sendable, Equatable {
    /// Number of clusters.
    public let clusterCount: Int
    /// Width of a row u.
    public let dimension: Int
    /// `[clusterCount x dimension]`, row-major: weighted sums of the members.
    public private(set) var sums: [Double]
    /// `[clusterCount]`: sum of the weights of the members.
    public private(set) var clusterWeights: [Double]
    /// `[clusterCount]`: number of members.
    public private(set) var counts: [Int]
    /// `[clusterCount]`: largest weight added since the cluster was last empty.
    private var largestWeights: [Double]

    /// Creates sums without members.
    public init(clusterCount: Int, dimension: Int) {
        precondition(clusterCount >= 0 && dimension > 0, "sizes must be positive")
        self.clusterCount = clusterCount
        self.dimension = dimension
        sums = [Double](repeating: 0, count: clusterCount * dimension)
        clusterWeights = [Double](repeating: 0, count: clusterCount)
        counts = [Int](repeating: 0, count: clusterCount)
        largestWeights = clusterWeights
    }

    /// Adds a member.
    ///
    /// - Parameters:
    ///   - row: `[dimension]`.
    ///   - cluster: where it enters.
    ///   - weight: positive.
    /// - Complexity: O(dimension) time, no allocation.
    public mutating func add(row: [Double], cluster: Int, weight: Double = 1) {
        add(rows: row, rowIndex: 0, cluster: cluster, weight: weight)
    }

    /// Takes out a member that was added with the same row and weight.
    ///
    /// - Parameters:
    ///   - row: `[dimension]`.
    ///   - cluster: where it leaves.
    ///   - weight: positive.
    /// - Complexity: O(dimension) time, no allocation.
    public mutating func remove(row: [Double], cluster: Int, weight: Double = 1) {
        remove(rows: row, rowIndex: 0, cluster: cluster, weight: weight)
    }

    /// Moves a member from one cluster to another.
    ///
    /// - Parameters:
    ///   - row: `[dimension]`.
    ///   - source: where it leaves.
    ///   - target: where it enters.
    ///   - weight: positive.
    /// - Complexity: O(dimension) time, no allocation.
    public mutating func move(
        row: [Double],
        from source: Int,
        to target: Int,
        weight: Double = 1
    ) {
        remove(row: row, cluster: source, weight: weight)
        add(row: row, cluster: target, weight: weight)
    }

    /// Adds the member in row `rowIndex` of `rows`, `[... x dimension]`, row-major.
    public mutating func add(rows: [Double], rowIndex: Int, cluster: Int, weight: Double = 1) {
        precondition(weight > 0, "a weight must be positive")
        change(rows, rowIndex, cluster, weight)
        counts[cluster] += 1
        if weight > largestWeights[cluster] { largestWeights[cluster] = weight }
    }

    /// Takes out the member in row `rowIndex` of `rows`, `[... x dimension]`, row-major.
    public mutating func remove(rows: [Double], rowIndex: Int, cluster: Int, weight: Double = 1) {
        precondition(weight > 0, "a weight must be positive")
        precondition(counts[cluster] > 0, "the cluster has no member")
        change(rows, rowIndex, cluster, -weight)
        counts[cluster] -= 1
        guard counts[cluster] == 0 else { return }
        // Nothing is left, so what the sums still hold is rounding.
        clusterWeights[cluster] = 0
        largestWeights[cluster] = 0
        for j in 0..<dimension { sums[cluster * dimension + j] = 0 }
    }

    /// Multiplies one column of all sums, as a change of landmark does; a power of two loses
    /// nothing.
    public mutating func rescale(column: Int, factor: Double) {
        precondition((0..<dimension).contains(column), "no such column")
        for cluster in 0..<clusterCount { sums[cluster * dimension + column] *= factor }
    }

    /// Multiplies all weights, as a change of their unit does; a power of two loses nothing.
    public mutating func scaleWeights(by factor: Double) {
        precondition(factor.significand == 1 && factor > 0, "the factor must be a power of two")
        for index in sums.indices { sums[index] *= factor }
        for cluster in 0..<clusterCount {
            clusterWeights[cluster] *= factor
            largestWeights[cluster] *= factor
        }
    }

    /// Whether a cluster's sums have lost digits.
    ///
    /// So it is where a member has left beside whom all that are there weigh next to nothing, and
    /// has left its rounding; never where all weigh the same.
    public func hasLostDigits(of cluster: Int) -> Bool {
        largestWeights[cluster] > 1e4 * clusterWeights[cluster]
    }

    /// Adds the members of another set of sums with the same shape.
    public mutating func merge(_ other: MiniBatchKMeans) {
        precondition(clusterCount == other.clusterCount && dimension == other.dimension)
        for index in sums.indices { sums[index] += other.sums[index] }
        for cluster in 0..<clusterCount {
            clusterWeights[cluster] += other.clusterWeights[cluster]
            counts[cluster] += other.counts[cluster]
            largestWeights[cluster] = max(largestWeights[cluster], other.largestWeights[cluster])
        }
    }

    /// Mean row of a cluster, `[dimension]`; zeros without members.
    public func mean(of cluster: Int) -> [Double] {
        precondition((0..<clusterCount).contains(cluster), "no such cluster")
        let weight = clusterWeights[cluster]
        guard weight > 0 else { return [Double](repeating: 0, count: dimension) }
        return (0..<dimension).map { sums[cluster * dimension + $0] / weight }
    }

    private mutating func change(
        _ rows: [Double],
        _ rowIndex: Int,
        _ cluster: Int,
        _ weight: Double
    ) {
        precondition((0..<clusterCount).contains(cluster), "no such cluster")
        precondition(rowIndex >= 0 && rows.count >= (rowIndex + 1) * dimension, "no such row")
        clusterWeights[cluster] += weight
        for j in 0..<dimension {
            sums[cluster * dimension + j] += weight * rows[rowIndex * dimension + j]
        }
    }
}
