/// Finds where a falling curve flattens.
public enum Kneedle {
    /// The elbow of a decreasing convex curve, by Kneedle with sensitivity 1 (Satopaa et al., 2011,
    /// doi:10.1109/ICDCSW.2011.20), as the Python package `kneed` finds it offline.
    ///
    /// The curve is scaled to the unit square and turned over; the elbow is the first local maximum
    /// of its height above the diagonal after which that height falls by more than one mean step.
    ///
    /// - Parameters:
    ///   - x: strictly ascending.
    ///   - y: as many values.
    /// - Returns: the x of the elbow, nil when the curve has none or fewer than three points.
    /// - Complexity: O(points).
    public static func elbow(x: [Double], y: [Double]) -> Double? {
        precondition(x.count == y.count, "a value per x is expected")
        precondition(zip(x, x.dropFirst()).allSatisfy { $0 < $1 }, "x must ascend")
        guard x.count > 2, let highest = y.max(), let lowest = y.min(), highest > lowest else {
            return nil
        }
        let last = x.count - 1
        let width = x[last] - x[0]
        // Heights and step are computed in the package's order of operations, so that a fall by
        // exactly one step, common with few round numbers, is rounded to the same side.
        let positions = x.map { ($0 - x[0]) / width }
        let heights = x.indices.map { index in
            (1 - (y[index] - lowest) / (highest - lowest)) - positions[index]
        }
        let steps = zip(positions, positions.dropFirst()).reduce(0.0) { $0 + ($1.1 - $1.0) }
        let step = steps / Double(last)
        var elbow: Int?
        var threshold = 0.0
        for index in 0..<last {
            let left = heights[max(0, index - 1)]
            let right = heights[index + 1]
            if heights[index] >= left && heights[index] >= right {
                elbow = index
                threshold = heights[index] - step
            }
            if let elbow, right < threshold { return x[elbow] }
        }
        return nil
    }

    /// The elbow of whole numbers, for example of inertia over numbers of clusters.
    ///
    /// - Parameters:
    ///   - x: strictly ascending.
    ///   - y: as many values.
    /// - Returns: the x of the elbow, nil when the curve has none or fewer than three points.
    public static func elbow(x: [Int], y: [Double]) -> Int? {
        elbow(x: x.map(Double.init), y: y).map { Int($0) }
    }
}
