/// The two centroids nearest to a point.
public struct NearestCentroids: Sendable, Equatable {
    /// Index of the nearest centroid; among equals the lowest.
    public var index: Int
    /// Squared distance to it.
    public var squaredDistance: Double
    /// Index of the runner-up, -1 when there is only one centroid.
    public var secondIndex: Int
    /// Squared distance to the runner-up, infinite when there is none.
    public var secondSquaredDistance: Double
}

/// What a pass over all points found.
public struct AssignmentPass: Sendable, Equatable {
    /// Sum of squared distances of all points to their nearest centroid.
    public var inertia: Double
    /// Points whose label differs from the one they had before.
    public var changedCount: Int
}

/// Finds nearest centroids by exhaustive search, which for tens of centroids beats every index.
///
/// Both forms add the squares of a distance in component order, so a point has the same label alone
/// and in a batch.
public enum NearestCentroid {
    /// Finds the two nearest centroids of one point.
    ///
    /// - Parameters:
    ///   - point: IN, `[dimension]`.
    ///   - centroids: IN, `[count x dimension]`, row-major.
    ///   - count: centroids, 1 or more.
    ///   - dimension: components of a point, 1 or more.
    /// - Returns: nearest centroid and runner-up; equal distances go to the lower index.
    /// - Complexity: O(count x dimension) time, no allocation.
    public static func find(
        point: [Double],
        centroids: [Double],
        count: Int,
        dimension: Int
    ) -> NearestCentroids {
        find(
            points: point,
            pointIndex: 0,
            centroids: centroids,
            count: count,
            dimension: dimension
        )
    }

    /// Finds the two nearest centroids of the point in row `pointIndex` of `points`.
    ///
    /// - Parameters:
    ///   - points: IN, at least `[(pointIndex + 1) x dimension]`, row-major.
    ///   - pointIndex: row of the point.
    ///   - centroids: IN, `[count x dimension]`, row-major.
    ///   - count: centroids, 1 or more.
    ///   - dimension: components of a point, 1 or more.
    /// - Returns: nearest centroid and runner-up; equal distances go to the lower index.
    /// - Complexity: O(count x dimension) time, no allocation.
    public static func find(
        points: [Double],
        pointIndex: Int,
        centroids: [Double],
        count: Int,
        dimension: Int
    ) -> NearestCentroids {
        precondition(count > 0 && dimension > 0 && pointIndex >= 0, "sizes must be positive")
        precondition(points.count >= (pointIndex + 1) * dimension, "point of another width")
        precondition(centroids.count == count * dimension, "centroids of another shape")
        var nearest = NearestCentroids(
            index: 0,
            squaredDistance: .infinity,
            secondIndex: -1,
            secondSquaredDistance: .infinity
        )
        let start = pointIndex * dimension
        for candidate in 0..<count {
            var distance = 0.0
            for j in 0..<dimension {
                let difference = points[start + j] - centroids[candidate * dimension + j]
                distance += difference * difference
            }
            if candidate == 0 {
                nearest.squaredDistance = distance
            } else if distance < nearest.squaredDistance {
                nearest.secondIndex = nearest.index
                nearest.secondSquaredDistance = nearest.squaredDistance
                nearest.index = candidate
                nearest.squaredDistance = distance
            } else if nearest.secondIndex < 0 || distance < nearest.secondSquaredDistance {
                nearest.secondIndex = candidate
                nearest.secondSquaredDistance = distance
            }
        }
        return nearest
    }

    /// Labels many points with their nearest centroid.
    ///
    /// - Parameters:
    ///   - points: IN, at least `[rowCount x dimension]`, row-major.
    ///   - rowCount: points to label; the arrays may be longer.
    ///   - dimension: components of a point, 1 or more.
    ///   - centroids: IN, `[count x dimension]`, row-major.
    ///   - count: centroids, 1 or more.
    ///   - labels: INOUT, at least `[rowCount]`: former label in, nearest centroid out.
    ///   - squaredDistances: OUT, at least `[rowCount]`.
    /// - Returns: inertia, added up in row order, and how many labels changed.
    /// - Complexity: O(rowCount x count x dimension) time, no allocation.
    public static func assign(
        points: [Double],
        rowCount: Int,
        dimension: Int,
        centroids: [Double],
        count: Int,
        labels: inout [Int32],
        squaredDistances: inout [Double]
    ) -> AssignmentPass {
        precondition(rowCount >= 0 && dimension > 0 && count > 0, "sizes must be positive")
        precondition(points.count >= rowCount * dimension, "too few points")
        precondition(centroids.count == count * dimension, "centroids of another shape")
        precondition(labels.count >= rowCount && squaredDistances.count >= rowCount, "no room")
        var pass = AssignmentPass(inertia: 0, changedCount: 0)
        guard rowCount > 0 else { return pass }
        unsafe points.withUnsafeBufferPointer { points in
            unsafe centroids.withUnsafeBufferPointer { centroids in
                unsafe labels.withUnsafeMutableBufferPointer { labels in
                    unsafe squaredDistances.withUnsafeMutableBufferPointer { distances in
                        guard
                            let points = points.baseAddress,
                            let centroids = centroids.baseAddress,
                            let labels = labels.baseAddress,
                            let distances = distances.baseAddress
                        else { return }
                        var row = 0
                        while dimension == 3 && row &+ 4 <= rowCount {
                            let (block, nearest) = unsafe nearestOfFour(
                                points + row &* 3,
                                centroids: centroids,
                                count: count
                            )
                            for lane in 0..<4 {
                                let label = Int32(truncatingIfNeeded: block[lane])
                                if unsafe labels[row &+ lane] != label {
                                    unsafe labels[row &+ lane] = label
                                    pass.changedCount &+= 1
                                }
                                unsafe distances[row &+ lane] = nearest[lane]
                                pass.inertia += nearest[lane]
                            }
                            row &+= 4
                        }
                        while row < rowCount {
                            defer { row &+= 1 }
                            let point = unsafe points + row &* dimension
                            let (label, distance) = unsafe nearest(
                                to: point,
                                centroids: centroids,
                                count: count,
                                dimension: dimension
                            )
                            if unsafe labels[row] != label {
                                unsafe labels[row] = label
                                pass.changedCount &+= 1
                            }
                            unsafe distances[row] = distance
                            pass.inertia += distance
                        }
                    }
                }
            }
        }
        return pass
    }

    /// Labels and squared distances of four points of three components, our usual case, without a
    /// branch that depends on the data.
    @inline(__always)
    private static func nearestOfFour(
        _ points: UnsafePointer<Double>,
        centroids: UnsafePointer<Double>,
        count: Int
    ) -> (SIMD4<Int64>, SIMD4<Double>) {
        let p = unsafe points
        let x = unsafe SIMD4(p[0], p[3], p[6], p[9])
        let y = unsafe SIMD4(p[1], p[4], p[7], p[10])
        let z = unsafe SIMD4(p[2], p[5], p[8], p[11])
        var best = SIMD4<Int64>.zero
        var bestDistance = SIMD4<Double>(repeating: .infinity)
        var centroid = unsafe centroids
        for candidate in 0..<count {
            let dx = unsafe x - SIMD4(repeating: centroid[0])
            let dy = unsafe y - SIMD4(repeating: centroid[1])
            let dz = unsafe z - SIMD4(repeating: centroid[2])
            let distance = dx * dx + dy * dy + dz * dz
            let isNearer = distance .< bestDistance
            bestDistance.replace(with: distance, where: isNearer)
            best.replace(with: SIMD4(repeating: Int64(candidate)), where: isNearer)
            unsafe centroid += 3
        }
        return (best, bestDistance)
    }

    /// The nearest centroid only; three components without an inner loop.
    @inline(__always)
    private static func nearest(
        to point: UnsafePointer<Double>,
        centroids: UnsafePointer<Double>,
        count: Int,
        dimension: Int
    ) -> (Int32, Double) {
        var best: Int32 = 0
        var bestDistance = Double.infinity
        if dimension == 3 {
            let (x, y, z) = unsafe (point[0], point[1], point[2])
            var centroid = unsafe centroids
            for candidate in 0..<count {
                let dx = unsafe x - centroid[0]
                let dy = unsafe y - centroid[1]
                let dz = unsafe z - centroid[2]
                let distance = dx * dx + dy * dy + dz * dz
                if distance < bestDistance {
                    bestDistance = distance
                    best = Int32(truncatingIfNeeded: candidate)
                }
                unsafe centroid += 3
            }
            return (best, bestDistance)
        }
        for candidate in 0..<count {
            let centroid = unsafe centroids + candidate &* dimension
            var distance = 0.0
            for j in 0..<dimension {
                let difference = unsafe point[j] - centroid[j]
                distance += difference * difference
            }
            if distance < bestDistance {
                bestDistance = distance
                best = Int32(truncatingIfNeeded: candidate)
            }
        }
        return (best, bestDistance)
    }
}
