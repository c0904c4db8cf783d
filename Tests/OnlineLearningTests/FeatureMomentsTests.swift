import OnlineLearning
import Testing

/// A table of customers beside its moments, to compare the two.
private struct Table {
    var rows: [[Double]] = []
    var weights: [Double] = []
    var moments: FeatureMoments

    mutating func add(_ values: [Double], weight: Double = 1) {
        rows.append(values)
        weights.append(weight)
        change(values, sign: weight)
    }

    mutating func remove(at index: Int) {
        change(rows[index], sign: -weights[index])
        rows.swapAt(index, rows.count - 1)
        weights.swapAt(index, weights.count - 1)
        rows.removeLast()
        weights.removeLast()
    }

    private mutating func change(_ values: [Double], sign: Double) {
        var u = [Double](repeating: 0, count: moments.dimension)
        moments.writeRow(values, into: &u, at: 0)
        moments.update(rows: u, signs: [sign], rowCount: 1)
    }

    /// Mean and covariance in two passes over the imputed table.
    func plain(_ f: [Double], _ s: [Double], _ v: [Double]) -> (mean: [Double], cov: [Double]) {
        let d = f.count
        let values = rows.map { row in
            (0..<d).map { row[$0].isNaN ? v[$0] : f[$0] * row[$0] + s[$0] }
        }
        let total = weights.reduce(0, +)
        let mean = (0..<d).map { j in
            zip(values, weights).reduce(0.0) { $0 + $1.0[j] * $1.1 } / total
        }
        var covariance = [Double](repeating: 0, count: d * d)
        for j in 0..<d {
            for k in 0..<d {
                for (row, weight) in zip(values, weights) {
                    covariance[j * d + k] += weight * (row[j] - mean[j]) * (row[k] - mean[k])
                }
                covariance[j * d + k] /= total
            }
        }
        return (mean, covariance)
    }
}

@Suite struct FeatureMomentsTests {
    /// Amounts, a 0/1 flag, days since 1970, an income that may be missing, something very large.
    private func row(_ generator: inout SeededGenerator) -> [Double] {
        let income = generator.next(below: 4) == 0 ? .nan : 52_000 + 21_000 * generator.nextNormal()
        return [
            600 * generator.nextDouble() * generator.nextDouble(),
            Double(generator.next(below: 2)),
            -(16_000 + Double(generator.next(below: 700))),
            income,
            generator.next(below: 3) == 0 ? .nan : 1e7 * generator.nextDouble(),
        ]
    }

    private let centres = [120.0, 0, -16_300, 50_000, 5e6]

    private func expectEqual(
        _ table: Table,
        f: [Double],
        s: [Double],
        v: [Double],
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let view = table.moments.view(factors: f, shifts: s, imputation: v)
        let plain = table.plain(f, s, v)
        let d = f.count
        for j in 0..<d {
            let deviation = plain.cov[j * d + j].squareRoot()
            #expect(
                abs(view.mean[j] - plain.mean[j]) <= 1e-9 * max(abs(plain.mean[j]), deviation),
                "mean of \(j)",
                sourceLocation: sourceLocation
            )
            #expect(
                abs(view.variance(of: j).squareRoot() - deviation) <= 1e-9 * deviation,
                "deviation of \(j)",
                sourceLocation: sourceLocation
            )
            for k in 0..<d {
                let scale = deviation * plain.cov[k * d + k].squareRoot()
                #expect(
                    abs(view.covariance[j * d + k] - plain.cov[j * d + k]) <= 1e-9 * scale,
                    "covariance of \(j) and \(k)",
                    sourceLocation: sourceLocation
                )
            }
        }
    }

    @Test(arguments: [1, 2, 3, 4, 5])
    func viewEqualsTwoPassesAfterAnyChanges(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        let moments = FeatureMoments(
            featureCount: 5,
            missableFeatures: [4, 3],
            centres: centres
        )
        var table = Table(moments: moments)
        for step in 0..<6000 {
            if table.rows.count < 40 || generator.next(below: 100) < 55 {
                table.add(row(&generator), weight: step % 7 == 0 ? 0.3 : 1)
            } else {
                table.remove(at: generator.next(below: table.rows.count))
            }
        }
        let f = [0.25, 1, 1, 0.5, 2]
        let s = [0.0, 0, 16_801.25, 0, 0]
        expectEqual(table, f: f, s: s, v: [0, 0, 0, 25_690.75, 8.4e6])
        // The same sums at another moment and with another imputation.
        expectEqual(table, f: f, s: [0, 0, 20_000, 0, 0], v: [0, 0, 0, 0, 9e6])
        let missing = table.rows.indices.filter { table.rows[$0][3].isNaN }
        let weight = missing.reduce(0.0) { $0 + table.weights[$1] }
        #expect(abs(table.moments.missingCount(of: 3) - weight) < 1e-9)
        #expect(table.moments.missingCount(of: 0) == 0)
    }

    @Test func integersComeOutAgainExactly() {
        var generator = SeededGenerator(seed: 12)
        let empty = FeatureMoments(featureCount: 3, missableFeatures: [1], centres: [40, 7, -3])
        var table = Table(moments: empty)
        for _ in 0..<300 {
            let second = generator.next(below: 3) == 0 ? .nan : Double(generator.next(below: 90))
            table.add([Double(generator.next(below: 2000)), second, 5])
        }
        // A constant feature has variance exactly 0, whatever the centre.
        let view = table.moments.view(
            factors: [1, 1, 1],
            shifts: [0, 0, 0],
            imputation: [0, 44, 0]
        )
        #expect(view.variance(of: 2) == 0 && view.mean[2] == 5)
        while !table.rows.isEmpty { table.remove(at: generator.next(below: table.rows.count)) }
        #expect(table.moments.upper == empty.upper)
    }

    @Test func mergedSumsAreThoseOfAllRows() {
        var generator = SeededGenerator(seed: 13)
        let empty = FeatureMoments(featureCount: 5, missableFeatures: [3, 4], centres: centres)
        var all = Table(moments: empty)
        var parts = [empty, empty, empty]
        for index in 0..<300 {
            let values = row(&generator)
            all.add(values)
            var u = [Double](repeating: 0, count: empty.dimension)
            empty.writeRow(values, into: &u, at: 0)
            parts[index % 3].update(rows: u, signs: [1], rowCount: 1)
        }
        var merged = parts[2]
        merged.merge(parts[0])
        merged.merge(parts[1])
        all.moments = merged
        expectEqual(all, f: [1, 1, 1, 1, 1], s: [0, 0, 0, 0, 0], v: [0, 0, 0, 5e4, 1e6])
    }

    @Test func landmarkChangesNothingButTheUnit() {
        var generator = SeededGenerator(seed: 14)
        var table = Table(
            moments: FeatureMoments(featureCount: 5, missableFeatures: [3, 4], centres: centres)
        )
        for _ in 0..<200 { table.add(row(&generator)) }
        let before = table.moments.view(
            factors: [1, 1, 1, 1, 1],
            shifts: [0, 0, 0, 0, 0],
            imputation: [0, 0, 0, 5e4, 1e6]
        )
        table.moments.rescale(feature: 0, factor: 0x1p-8)
        let after = table.moments.view(
            factors: [256, 1, 1, 1, 1],
            shifts: [0, 0, 0, 0, 0],
            imputation: [0, 0, 0, 5e4, 1e6]
        )
        #expect(before == after)
    }

    @Test func scalerNamesConstantFeatures() {
        var table = Table(
            moments: FeatureMoments(featureCount: 4, missableFeatures: [3], centres: [0, 0, 1, 0])
        )
        // Third: differences far below the size of the values. Fourth: nobody has it yet.
        for index in 0..<8 {
            table.add([index < 4 ? 1 : 3, 0.1, 1e8 + Double(index % 2) * 1e-3, .nan])
        }
        let scaler = StandardScaler(
            table.moments.view(
                factors: [1, 1, 1, 1],
                shifts: [0, 0, 0, 0],
                imputation: [0, 0, 0, 17]
            )
        )
        #expect(scaler.isConstant == [false, true, true, true])
        #expect(scaler.scale == [1, 1, 1, 1])
        #expect(scaler.mean[0] == 2 && scaler.mean[3] == 17)
        var values = [3.0, 1.1, 1e8, 18]
        scaler.transform(&values)
        #expect(values[0] == 1 && abs(values[1] - 1) < 1e-12 && values[3] == 1)
    }

    @Test func noRowsGiveMeansAtTheCentresAndNoVariance() {
        let moments = FeatureMoments(featureCount: 2, missableFeatures: [1], centres: [3, 4])
        let view = moments.view(factors: [2, 1], shifts: [1, 0], imputation: [0, 9])
        #expect(view.count == 0 && view.mean == [7, 4] && view.covariance == [0, 0, 0, 0])
        #expect(StandardScaler(view).isConstant == [true, true])
    }
}
