import Kernels
import Testing

@Suite struct RankUpdateTests {
    @Test(arguments: [(1, 1), (3, 2), (7, 5), (8, 4), (9, 9), (23, 13), (40, 31)])
    func updateEqualsTheOuterProducts(dimension: Int, rowCount: Int) {
        var generator = TestGenerator(seed: UInt64(dimension * 100 + rowCount))
        var rows = generator.array(rowCount * dimension)
        for index in rows.indices where generator.below(3) == 0 { rows[index] = 0 }
        let signs = (0..<rowCount).map { $0 % 3 == 1 ? -0.75 : 1.25 }
        let before = generator.array(RankUpdate.packedCount(dimension: dimension))
        var upper = before
        RankUpdate.apply(
            to: &upper,
            rows: rows,
            signs: signs,
            rowCount: rowCount,
            dimension: dimension
        )
        for i in 0..<dimension {
            for j in i..<dimension {
                let position = RankUpdate.packedIndex(row: i, column: j, dimension: dimension)
                // The same order of operations, so the same bytes.
                var expected = before[position]
                for row in 0..<rowCount {
                    expected += signs[row] * rows[row * dimension + i] * rows[row * dimension + j]
                }
                #expect(upper[position] == expected)
            }
        }
    }

    @Test func batchEqualsItsRowsOneByOne() {
        var generator = TestGenerator(seed: 7)
        let dimension = 21
        let rows = generator.array(10 * dimension)
        let signs = generator.array(10)
        var together = [Double](repeating: 0, count: RankUpdate.packedCount(dimension: dimension))
        var single = together
        RankUpdate.apply(
            to: &together,
            rows: rows,
            signs: signs,
            rowCount: 10,
            dimension: dimension
        )
        for row in 0..<10 {
            RankUpdate.apply(
                to: &single,
                rows: Array(rows[row * dimension..<(row + 1) * dimension]),
                signs: [signs[row]],
                rowCount: 1,
                dimension: dimension
            )
        }
        #expect(together == single)
    }

    @Test func integersComeOutAgainExactly() {
        var generator = TestGenerator(seed: 8)
        let dimension = 12
        let rows = (0..<50 * dimension).map { _ in Double(generator.below(2001) - 1000) }
        var upper = [Double](repeating: 0, count: RankUpdate.packedCount(dimension: dimension))
        for sign in [1.0, -1.0] {
            RankUpdate.apply(
                to: &upper,
                rows: rows,
                signs: [Double](repeating: sign, count: 50),
                rowCount: 50,
                dimension: dimension
            )
            #expect(upper.contains { $0 != 0 } == (sign > 0))
        }
    }

    @Test func rowsBeyondTheCountAreIgnored() {
        var upper = [0.0, 0, 0]
        RankUpdate.apply(
            to: &upper,
            rows: [1, 2, .nan, .nan],
            signs: [1, 1],
            rowCount: 1,
            dimension: 2
        )
        #expect(upper == [1, 2, 4])
    }
}
