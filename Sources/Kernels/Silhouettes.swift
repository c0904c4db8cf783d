/// Mean silhouettes of several labellings of the same points, exact.
///
/// The silhouette of a point compares its mean distance a to the rest of its cluster with the least
/// mean distance b to another cluster: (b - a) / max(a, b), and 0 for a cluster of one (Rousseeuw,
/// 1987, doi:10.1016/0377-0427(87)90125-7).
///
/// Points that share all their labels form a cell. The distances of a point are added up once per
/// cell, over contiguous memory, and the sums per cell serve every labelling.
public enum Silhouettes {
    /// Mean silhouette of each labelling.
    ///
    /// - Parameters:
    ///   - points: `[rowCount x dimension]`, row-major, finite.
    ///   - rowCount: points.
    ///   - dimension: components of a point, 1 or more.
    ///   - labelings: `[clusterCounts.count x rowCount]`, row-major, label in
    ///     `0..<clusterCounts[i]`.
    ///   - clusterCounts: clusters of each labelling.
    ///   - weights: `[rowCount]`, positive: in all means a point of weight 2 counts as two; empty
    ///     where each counts once. A point beside whom the rest of its cluster weighs less than
    ///     1e-9 is alone.
    /// - Returns: per labelling the mean over all points, -1 to 1; nil with fewer than two clusters
    ///   that have points.
    /// - Complexity: O(rowCount^2 x dimension + rowCount x cells x labellings) time, O(rowCount)
    ///   memory.
    public static func means(
        points: [Double],
        rowCount: Int,
        dimension: Int,
        labelings: [Int32],
        clusterCounts: [Int],
        weights: [Double] = []
    ) -> [Double?] {
        precondition(rowCount >= 0 && dimension > 0, "sizes must be positive")
        precondition(points.count == rowCount * dimension, "points of another shape")
        precondition(labelings.count == clusterCounts.count * rowCount, "labels of another shape")
        precondition(weights.isEmpty || weights.count == rowCount, "weights of another shape")
        guard rowCount > 0 else { return clusterCounts.map { _ in nil } }
        let cells = Cells(labelings, rowCount: rowCount, clusterCounts: clusterCounts)
        let columns = Columns(points, order: cells.order, dimension: dimension)
        var distances = [Double](repeating: 0, count: columns.stride)
        var cellSums = [Double](repeating: 0, count: cells.count)
        // In the order of the cells.
        let ordered = weights.isEmpty ? [] : cells.order.map { weights[$0] }
        var accounts = clusterCounts.indices.map { index in
            Account(
                cells: cells,
                labeling: index,
                clusterCount: clusterCounts[index],
                weights: ordered
            )
        }
        for cell in 0..<cells.count {
            for position in cells.starts[cell]..<cells.starts[cell + 1] {
                columns.writeDistances(from: position, into: &distances)
                for other in ordered.indices { distances[other] *= ordered[other] }
                cells.add(distances, into: &cellSums)
                let weight = ordered.isEmpty ? 1 : ordered[position]
                for index in accounts.indices {
                    accounts[index].add(cellSums, cell: cell, weight: weight)
                }
            }
        }
        let whole = weights.isEmpty ? Double(rowCount) : ordered.reduce(0, +)
        return accounts.map { $0.mean(of: whole) }
    }

    /// Points grouped by all of their labels together.
    private struct Cells {
        var count = 0
        /// Rows, cell after cell.
        var order: [Int] = []
        /// `[count + 1]`: where each cell begins in `order`.
        var starts: [Int] = []
        /// `[count x labelingCount]`, row-major: label of the cell in each labelling.
        var labels: [Int32] = []
        let labelingCount: Int

        init(_ labelings: [Int32], rowCount: Int, clusterCounts: [Int]) {
            labelingCount = clusterCounts.count
            var cellOfRow = [Int](repeating: 0, count: rowCount)
            count = 1
            for labeling in 0..<labelingCount {
                var numbers: [Int: Int] = [:]
                for row in 0..<rowCount {
                    let label = Int(labelings[labeling * rowCount + row])
                    precondition(0 <= label && label < clusterCounts[labeling], "no such cluster")
                    let key = cellOfRow[row] * clusterCounts[labeling] + label
                    let next = numbers.count
                    let number = numbers[key, default: next]
                    if number == next { numbers[key] = next }
                    cellOfRow[row] = number
                }
                count = numbers.count
            }
            starts = [Int](repeating: 0, count: count + 1)
            for cell in cellOfRow { starts[cell + 1] += 1 }
            for cell in 0..<count { starts[cell + 1] += starts[cell] }
            var next = starts
            order = [Int](repeating: 0, count: rowCount)
            labels = [Int32](repeating: 0, count: count * labelingCount)
            for row in 0..<rowCount {
                let cell = cellOfRow[row]
                order[next[cell]] = row
                next[cell] += 1
                for labeling in 0..<labelingCount {
                    labels[cell * labelingCount + labeling] =
                        labelings[labeling * rowCount + row]
                }
            }
        }

        /// Sums of the distances by cell; `distances` stand in the order of the cells.
        func add(_ distances: [Double], into sums: inout [Double]) {
            unsafe distances.withUnsafeBufferPointer { distances in
                guard let distances = distances.baseAddress else { return }
                for cell in 0..<count {
                    var position = starts[cell]
                    let end = starts[cell &+ 1]
                    var lanes = Lanes.zero
                    while position &+ laneCount <= end {
                        unsafe lanes += distances.lanes(at: position)
                        position &+= laneCount
                    }
                    var sum = lanes.sum()
                    while position < end {
                        unsafe sum += distances[position]
                        position &+= 1
                    }
                    sums[cell] = sum
                }
            }
        }
    }

    /// The points column by column, so that eight distances are computed side by side.
    private struct Columns {
        let dimension: Int
        /// Length of a column: the rows, filled up to whole lanes.
        let stride: Int
        var values: [Double]

        init(_ points: [Double], order: [Int], dimension: Int) {
            self.dimension = dimension
            stride = (order.count + laneCount - 1) / laneCount * laneCount
            values = [Double](repeating: 0, count: stride * dimension)
            for position in order.indices {
                for j in 0..<dimension {
                    values[j * stride + position] = points[order[position] * dimension + j]
                }
            }
        }

        func writeDistances(from origin: Int, into distances: inout [Double]) {
            unsafe values.withUnsafeBufferPointer { values in
                unsafe distances.withUnsafeMutableBufferPointer { distances in
                    guard let x = values.baseAddress, let out = distances.baseAddress else {
                        return
                    }
                    var position = 0
                    while position < stride {
                        var squares = Lanes.zero
                        for j in 0..<dimension {
                            let column = unsafe x + j &* stride
                            let difference = unsafe column.lanes(at: position) - column[origin]
                            squares += difference * difference
                        }
                        unsafe out.store(squares.squareRoot(), at: position)
                        position &+= laneCount
                    }
                }
            }
        }
    }

    /// One labelling's running sum of silhouettes.
    private struct Account {
        /// `[cells]`: label of each cell.
        var labels: [Int]
        /// `[clusters]`: points, and their weight.
        var counts: [Int]
        var masses: [Double]
        var sums: [Double]
        var total = 0.0

        init(cells: Cells, labeling: Int, clusterCount: Int, weights: [Double]) {
            labels = (0..<cells.count).map {
                Int(cells.labels[$0 * cells.labelingCount + labeling])
            }
            counts = [Int](repeating: 0, count: clusterCount)
            sums = [Double](repeating: 0, count: clusterCount)
            for cell in 0..<cells.count {
                counts[labels[cell]] += cells.starts[cell + 1] - cells.starts[cell]
            }
            masses = counts.map(Double.init)
            guard !weights.isEmpty else { return }
            masses = sums
            for cell in 0..<cells.count {
                for position in cells.starts[cell]..<cells.starts[cell + 1] {
                    masses[labels[cell]] += weights[position]
                }
            }
        }

        /// Adds the silhouette of a point of `cell`, given its distance sums to all cells.
        mutating func add(_ cellSums: [Double], cell: Int, weight: Double) {
            let own = labels[cell]
            let rest = masses[own] - weight
            guard counts[own] > 1 && rest > 1e-9 * weight else { return }
            for index in sums.indices { sums[index] = 0 }
            for index in labels.indices { sums[labels[index]] += cellSums[index] }
            let inside = sums[own] / rest
            var outside = Double.infinity
            for index in sums.indices where index != own && counts[index] > 0 {
                outside = min(outside, sums[index] / masses[index])
            }
            let larger = max(inside, outside)
            guard larger > 0 && larger.isFinite else { return }
            total += weight * ((outside - inside) / larger)
        }

        func mean(of whole: Double) -> Double? {
            guard counts.count(where: { $0 > 0 }) >= 2 else { return nil }
            return total / whole
        }
    }
}
