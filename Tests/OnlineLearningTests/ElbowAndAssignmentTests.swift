import OnlineLearning
import Testing

@Suite struct KneedleTests {
    /// Answers of kneed 0.9.0 with S = 1, convex, decreasing, x from 1.
    @Test(
        arguments: [
            ([392.0, 290.6, 262.3, 175.9, 131.9, 123.0, 115.3, 16.5], 4),
            ([1189.2, 493.6, 386.8, 81.8, 90.6, 203.9, 7.2, 51.7], 4),
            (
                [361.9, 330.7, 326.6, 324.3, 177.2, 132.8, 115.2, 108.9, 98.9, 73.2, 42.3, 25.5], 2
            ),
            ([569.2, 261.0, 40.3, 84.6, 178.9, 116.7, 47.7, 107.2, 144.7, 176.6], 3),
            ([801.5, 420.9, 367.7, 177.4, 151.1], nil),
            ([427.5, 551.3, 280.0, 75.1, 154.9], 1),
            ([1042.0, 443.4, 274.8, 201.9, 182.2, 129.1, 102.4, 63.7, 54.0, 36.5], 3),
            ([493.0, 302.0, 177.5, 150.8, 205.1], 3),
            (
                [505.0, 319.7, 301.7, 249.2, 193.2, 179.8, 162.3, 146.0, 107.3, 61.6, 33.5, 22.7], 5
            ),
            ([364.7, 350.3, 158.0, 155.0, 218.8], 3),
            ([313.7, 229.0, 213.7, 175.9, 156.2, 90.0, 78.5, 39.9, 28.4, 27.8, 18.8, 15.7], 8),
            ([1151.6, 152.8, 341.7, 84.1, 295.8, 148.0, 177.0, 99.3, 48.5, 52.3], 2),
            ([347.8, 234.4, 166.1, 122.9, 113.8, 100.1, 99.8, 78.4, 18.4, 9.9], 4),
            ([306.2, 326.7, 204.8, 242.5, 134.5], 1),
            // Falls by exactly one step, decided by rounding.
            ([300, 150, 100, 75], 2),
            ([300, 100, 4, 0], 2),
            ([77, 60, 60, 44, 43, 38, 30, 29, 26, 25, 15, 9, 1], 2),
        ] as [([Double], Int?)]
    )
    func elbowEqualsThePackage(y: [Double], expected: Int?) {
        #expect(Kneedle.elbow(x: Array(1...y.count), y: y) == expected)
    }

    @Test func straightOrShortCurveHasNoElbow() {
        #expect(Kneedle.elbow(x: [1, 2], y: [2, 1]) == nil)
        #expect(Kneedle.elbow(x: [1, 2, 3], y: [5, 5, 5]) == nil)
    }
}

@Suite struct AssignmentTests {
    @Test(arguments: 1...5, 1...5)
    func assignmentEqualsExhaustiveSearch(rows: Int, columns: Int) {
        var generator = SeededGenerator(seed: UInt64(rows * 10 + columns))
        for round in 0..<30 {
            let cost = (0..<rows * columns).map { _ in
                round % 2 == 0 ? generator.nextNormal() : Double(generator.next(below: 4))
            }
            let match = Assignment.solve(cost: cost, rows: rows, columns: columns)
            let used = match.filter { $0 >= 0 }
            #expect(used.count == min(rows, columns) && Set(used).count == used.count)
            var total = 0.0
            for (row, column) in match.enumerated() where column >= 0 {
                total += cost[row * columns + column]
            }
            let best = least(cost, rows, columns, row: 0, free: Set(0..<columns), pairs: 0)
            #expect(abs(total - best) < 1e-12)
        }
    }

    /// Least cost over all ways to make as many pairs as possible.
    private func least(
        _ cost: [Double],
        _ rows: Int,
        _ columns: Int,
        row: Int,
        free: Set<Int>,
        pairs: Int
    ) -> Double {
        guard row < rows else { return pairs == min(rows, columns) ? 0 : .infinity }
        var best = least(cost, rows, columns, row: row + 1, free: free, pairs: pairs)
        for column in free {
            let rest = least(
                cost,
                rows,
                columns,
                row: row + 1,
                free: free.subtracting([column]),
                pairs: pairs + 1
            )
            best = min(best, cost[row * columns + column] + rest)
        }
        return best
    }

    @Test func emptySidesMatchNobody() {
        #expect(Assignment.solve(cost: [], rows: 0, columns: 3) == [])
        #expect(Assignment.solve(cost: [], rows: 2, columns: 0) == [-1, -1])
    }
}

@Suite struct MiniBatchKMeansTests {
    @Test func sumsEqualThoseOfTheMembers() {
        var generator = SeededGenerator(seed: 1)
        var sums = MiniBatchKMeans(clusterCount: 3, dimension: 4)
        var members: [(row: [Double], cluster: Int, weight: Double)] = []
        for _ in 0..<2000 {
            let kind = generator.next(below: 3)
            if kind == 0 || members.count < 10 {
                let row = [1] + (0..<3).map { _ in generator.nextNormal() }
                let member = (row, generator.next(below: 3), 0.5 + generator.nextDouble())
                members.append(member)
                sums.add(row: row, cluster: member.1, weight: member.2)
                continue
            }
            let index = generator.next(below: members.count)
            let member = members[index]
            if kind == 1 {
                sums.remove(row: member.row, cluster: member.cluster, weight: member.weight)
                members.remove(at: index)
            } else {
                let target = generator.next(below: 3)
                sums.move(row: member.row, from: member.cluster, to: target, weight: member.weight)
                members[index].cluster = target
            }
        }
        for cluster in 0..<3 {
            let own = members.filter { $0.cluster == cluster }
            #expect(sums.counts[cluster] == own.count)
            let weight = own.reduce(0) { $0 + $1.weight }
            #expect(abs(sums.clusterWeights[cluster] - weight) < 1e-10)
            let mean = sums.mean(of: cluster)
            for j in 0..<4 {
                let expected = own.reduce(0) { $0 + $1.weight * $1.row[j] } / weight
                #expect(abs(mean[j] - expected) < 1e-10)
            }
        }
        var doubled = sums
        doubled.merge(sums)
        #expect(doubled.counts == sums.counts.map { 2 * $0 })
        #expect(doubled.mean(of: 1) == sums.mean(of: 1))
    }

    @Test func clusterThatEmptiesHoldsNothing() {
        var sums = MiniBatchKMeans(clusterCount: 1, dimension: 2)
        for value in [0.1, 0.2, 0.3] { sums.add(row: [1, value], cluster: 0, weight: 0.1) }
        for value in [0.3, 0.1, 0.2] { sums.remove(row: [1, value], cluster: 0, weight: 0.1) }
        #expect(sums == MiniBatchKMeans(clusterCount: 1, dimension: 2))
        #expect(sums.mean(of: 0) == [0, 0])
    }
}
