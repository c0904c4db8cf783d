import Kernels

/// What a run of k-means found.
public struct KMeansResult: Sendable, Equatable {
    /// `[clusterCount x dimension]`, row-major.
    public var centroids: [Double]
    /// Sum of squared distances to the nearest centroid, each by the weight of its point.
    public var inertia: Double
    /// `[rowCount]`: nearest centroid of each point.
    public var labels: [Int32]
    /// Passes over the points.
    public var iterations: Int
}

/// Clusters of a fixed set of points in few dimensions.
public enum KMeans {
    /// Limit of passes when none is given.
    public static let iterationMax = 300

    /// Moves centroids to the means of their points until no label changes (Lloyd, 1982,
    /// doi:10.1109/TIT.1982.1056489).
    ///
    /// Inertia never rises from pass to pass. A cluster without points is seeded anew at the point
    /// furthest from its centroid; only with fewer different points than clusters some stay empty.
    ///
    /// - Parameters:
    ///   - points: `[rowCount x dimension]`, row-major, finite, one point or more.
    ///   - dimension: components of a point, 1 or more.
    ///   - centroids: `[clusterCount x dimension]`, row-major: where to start.
    ///   - weights: `[rowCount]`, positive: a point of weight 2 counts as two; empty where each
    ///     counts once.
    ///   - iterationMax: limit of passes.
    ///   - tolerance: also stops when inertia falls by no more than this share; 0 waits for labels.
    /// - Returns: centroids, and the labels and inertia that belong to exactly these centroids.
    /// - Complexity: O(rowCount x clusterCount x dimension) time a pass, no allocation in it.
    public static func lloyd(
        points: [Double],
        dimension: Int,
        centroids: [Double],
        weights: [Double] = [],
        iterationMax: Int = KMeans.iterationMax,
        tolerance: Double = 0
    ) -> KMeansResult {
        precondition(dimension > 0 && points.count % dimension == 0, "points of another shape")
        precondition(!points.isEmpty && !centroids.isEmpty, "points and centroids are expected")
        precondition(centroids.count % dimension == 0, "centroids of another shape")
        precondition(iterationMax > 0 && tolerance >= 0, "limit and tolerance must be positive")
        var run = LloydRun(
            points: points,
            dimension: dimension,
            centroids: centroids,
            weights: weights
        )
        var inertia = Double.infinity
        var iterations = 0
        while true {
            let pass = run.assign()
            iterations += 1
            let isSmallFall =
                tolerance > 0 && inertia.isFinite && inertia - pass.inertia <= tolerance * inertia
            inertia = pass.inertia
            if pass.changedCount == 0 || isSmallFall || iterations == iterationMax { break }
            run.moveCentroids()
        }
        return KMeansResult(
            centroids: run.centroids,
            inertia: inertia,
            labels: run.labels,
            iterations: iterations
        )
    }

    /// The best of several runs, each from seeds of its own.
    ///
    /// Most passes of Lloyd's iterations gain next to nothing, so every run first stops where a
    /// pass lowers inertia by no more than 1e-4 of it, and the best quarter of the runs goes on to
    /// convergence.
    ///
    /// - Parameters:
    ///   - points: `[rowCount x dimension]`, row-major, finite, one point or more.
    ///   - dimension: components of a point, 1 or more.
    ///   - k: clusters, 1 or more.
    ///   - starts: runs, 1 or more.
    ///   - weights: `[rowCount]` as in `lloyd`, or empty.
    ///   - generator: INOUT, the only source of randomness.
    ///   - iterationMax: limit of passes of each run.
    /// - Returns: the run with the least inertia; of equals the first.
    public static func best(
        points: [Double],
        dimension: Int,
        count k: Int,
        starts: Int,
        weights: [Double] = [],
        generator: inout SeededGenerator,
        iterationMax: Int = KMeans.iterationMax
    ) -> KMeansResult {
        precondition(starts > 0, "one start or more is expected")
        var runs: [(inertia: Double, centroids: [Double])] = []
        for _ in 0..<(k == 1 ? 1 : starts) {
            let seeds = greedyPlusPlus(
                points: points,
                dimension: dimension,
                count: k,
                weights: weights,
                generator: &generator
            )
            let result = lloyd(
                points: points,
                dimension: dimension,
                centroids: seeds,
                weights: weights,
                iterationMax: iterationMax,
                tolerance: firstTolerance
            )
            runs.append((result.inertia, result.centroids))
        }
        // Stable: of equals the first comes first.
        let order = runs.indices.sorted { (runs[$0].inertia, $0) < (runs[$1].inertia, $1) }
        var best: KMeansResult?
        for index in order.prefix((runs.count + 3) / 4) {
            let result = lloyd(
                points: points,
                dimension: dimension,
                centroids: runs[index].centroids,
                weights: weights,
                iterationMax: iterationMax
            )
            if let current = best, current.inertia <= result.inertia { continue }
            best = result
        }
        guard let best else { preconditionFailure("one start or more was made") }
        return best
    }

    private static var firstTolerance: Double { 1e-4 }
}

/// The buffers of one run, allocated once.
private struct LloydRun {
    let points: [Double]
    let dimension: Int
    /// `[rowCount]`, or empty.
    let weights: [Double]
    var centroids: [Double]
    var labels: [Int32]
    var distances: [Double]
    var sums: [Double]
    /// `[clusterCount]`; without weights not used.
    var sumsOfWeights: [Double]
    var counts: [Int]

    init(points: [Double], dimension: Int, centroids: [Double], weights: [Double]) {
        precondition(weights.isEmpty || weights.count == points.count / dimension, "other weights")
        self.points = points
        self.weights = weights
        self.dimension = dimension
        self.centroids = centroids
        labels = [Int32](repeating: -1, count: points.count / dimension)
        distances = [Double](repeating: 0, count: labels.count)
        sums = [Double](repeating: 0, count: centroids.count)
        counts = [Int](repeating: 0, count: centroids.count / dimension)
        sumsOfWeights = [Double](repeating: 0, count: counts.count)
    }

    mutating func assign() -> AssignmentPass {
        var pass = NearestCentroid.assign(
            points: points,
            rowCount: labels.count,
            dimension: dimension,
            centroids: centroids,
            count: counts.count,
            labels: &labels,
            squaredDistances: &distances
        )
        if !weights.isEmpty {
            pass.inertia = 0
            for row in weights.indices { pass.inertia += weights[row] * distances[row] }
        }
        return pass
    }

    mutating func moveCentroids() {
        accumulate()
        for cluster in counts.indices where counts[cluster] == 0 { reseed(cluster) }
        for cluster in counts.indices where counts[cluster] > 0 {
            let weight = weights.isEmpty ? Double(counts[cluster]) : sumsOfWeights[cluster]
            for j in 0..<dimension {
                let index = cluster * dimension + j
                centroids[index] = sums[index] / weight
            }
        }
    }

    private mutating func accumulate() {
        if weights.isEmpty {
            CentroidSums.accumulate(
                points: points,
                labels: labels,
                dimension: dimension,
                sums: &sums,
                counts: &counts
            )
        } else {
            CentroidSums.accumulate(
                points: points,
                weights: weights,
                labels: labels,
                dimension: dimension,
                sums: &sums,
                sumsOfWeights: &sumsOfWeights,
                counts: &counts
            )
        }
    }

    /// What a point adds to the inertia.
    private func potential(_ row: Int) -> Double {
        weights.isEmpty ? distances[row] : weights[row] * distances[row]
    }

    /// Gives an empty cluster the point furthest from its centroid, or with weights the one that
    /// adds most to the inertia.
    private mutating func reseed(_ cluster: Int) {
        var furthest: Int?
        for row in distances.indices where distances[row] > 0 && counts[Int(labels[row])] > 1 {
            if furthest.map({ potential(row) > potential($0) }) ?? true { furthest = row }
        }
        guard let row = furthest else { return }
        guard weights.isEmpty else {
            labels[row] = Int32(truncatingIfNeeded: cluster)
            // The rest of the donor may weigh next to nothing beside the point, so nothing is taken
            // out of a sum.
            accumulate()
            _ = SeedingPotential.lower(&distances, points: points, dimension: dimension, seed: row)
            return
        }
        let donor = Int(labels[row])
        for j in 0..<dimension {
            let value = points[row * dimension + j]
            sums[donor * dimension + j] -= value
            sums[cluster * dimension + j] = value
        }
        counts[donor] -= 1
        counts[cluster] = 1
        labels[row] = Int32(truncatingIfNeeded: cluster)
        // The next empty cluster must not take a neighbour of this point.
        _ = SeedingPotential.lower(&distances, points: points, dimension: dimension, seed: row)
    }
}
