import Kernels

/// How well one number of clusters fits.
public struct SweepEntry: Sendable, Equatable {
    /// Number of clusters.
    public var k: Int
    /// Least sum of squared distances found, each by the weight of its point.
    public var inertia: Double
    /// Mean silhouette, -1 to 1; nil for one cluster.
    public var silhouette: Double?

    /// Creates an entry from its parts.
    public init(k: Int, inertia: Double, silhouette: Double?) {
        self.k = k
        self.inertia = inertia
        self.silhouette = silhouette
    }
}

/// Inertia and silhouette over numbers of clusters, for people to choose by.
public enum ClusterSweep {
    /// Clusters the points once for each count.
    ///
    /// Silhouettes are exact up to `silhouetteSampleMax` points; beyond, they are those of a
    /// uniform sample of that size, drawn without replacement, within itself.
    ///
    /// - Parameters:
    ///   - points: `[rowCount x dimension]`, row-major, finite, one point or more.
    ///   - dimension: components of a point, 1 or more.
    ///   - counts: numbers of clusters; those above the number of points are left out.
    ///   - starts: runs of k-means for each count.
    ///   - weights: `[rowCount]`, positive: a point of weight 2 counts as two; empty where each
    ///     counts once.
    ///   - generator: INOUT, the only source of randomness.
    ///   - silhouetteSampleMax: points that silhouettes are computed on at most.
    /// - Returns: an entry per count, ascending.
    /// - Complexity: the runs of k-means, and O(sample^2 x dimension) time for all silhouettes
    ///   together.
    public static func run(
        points: [Double],
        dimension: Int,
        counts: ClosedRange<Int> = 1...10,
        starts: Int,
        weights: [Double] = [],
        generator: inout SeededGenerator,
        silhouetteSampleMax: Int = 20_000
    ) -> [SweepEntry] {
        precondition(dimension > 0 && points.count % dimension == 0, "points of another shape")
        precondition(!points.isEmpty && counts.lowerBound > 0, "points and clusters are expected")
        precondition(silhouetteSampleMax > 0, "a sample is expected")
        let rowCount = points.count / dimension
        var entries: [SweepEntry] = []
        let sample = generator.sample(silhouetteSampleMax, of: rowCount)
        var labelings: [Int32] = []
        var clusterCounts: [Int] = []
        for k in counts where k <= rowCount {
            let result = KMeans.best(
                points: points,
                dimension: dimension,
                count: k,
                starts: starts,
                weights: weights,
                generator: &generator
            )
            entries.append(SweepEntry(k: k, inertia: result.inertia, silhouette: nil))
            labelings += sample.map { result.labels[$0] }
            clusterCounts.append(k)
        }
        let silhouettes = Silhouettes.means(
            points: sample.flatMap { points[$0 * dimension..<($0 + 1) * dimension] },
            rowCount: sample.count,
            dimension: dimension,
            labelings: labelings,
            clusterCounts: clusterCounts,
            weights: weights.isEmpty ? [] : sample.map { weights[$0] }
        )
        for index in entries.indices { entries[index].silhouette = silhouettes[index] }
        return entries
    }
}
