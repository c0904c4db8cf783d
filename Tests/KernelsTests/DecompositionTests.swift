import Kernels
import Testing

@Suite struct DecompositionTests {
    @Test(arguments: [1, 2, 3, 18, 40, 64])
    func eigenvectorsRebuildTheMatrix(order: Int) throws {
        var generator = TestGenerator(seed: UInt64(order))
        let factor = generator.array(order * order)
        var matrix = [Double](repeating: 0, count: order * order)
        for i in 0..<order {
            for j in 0..<order {
                for k in 0..<order {
                    matrix[i * order + j] += factor[i * order + k] * factor[j * order + k]
                }
            }
        }
        let (values, vectors) = try SymmetricEigen.decompose(matrix, order: order)
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
        for i in 0..<order {
            for j in 0..<order {
                var entry = 0.0
                var product = 0.0
                for k in 0..<order {
                    entry += values[k] * vectors[k * order + i] * vectors[k * order + j]
                    product += vectors[i * order + k] * vectors[j * order + k]
                }
                #expect(
                    abs(entry - matrix[i * order + j]) < 1e-12 * Double(order) * max(1, values[0])
                )
                #expect(abs(product - (i == j ? 1 : 0)) < 1e-13 * Double(order))
            }
        }
    }

    @Test func eigenvaluesOfAKnownMatrixDescend() throws {
        let (values, vectors) = try SymmetricEigen.decompose([2, 1, 1, 2], order: 2)
        #expect(abs(values[0] - 3) < 1e-14 && abs(values[1] - 1) < 1e-14)
        #expect(abs(vectors[0] - vectors[1]) < 1e-14)
        #expect(abs(vectors[2] + vectors[3]) < 1e-14)
    }

    @Test func matrixThatIsNotFiniteIsRefused() {
        let error = #expect(throws: NumericError.self) {
            try SymmetricEigen.decompose([1, .nan, .nan, 1], order: 2)
        }
        #expect(error?.kind == .badInput)
        #expect(throws: NumericError.self) {
            try SingularValues.decompose([.infinity], order: 1)
        }
    }

    @Test(arguments: [1, 2, 3, 7])
    func singularFactorsRebuildTheMatrix(order: Int) throws {
        var generator = TestGenerator(seed: 100 + UInt64(order))
        let matrix = generator.array(order * order)
        let (left, values, right) = try SingularValues.decompose(matrix, order: order)
        #expect(zip(values, values.dropFirst()).allSatisfy { $0 >= $1 })
        for i in 0..<order {
            for j in 0..<order {
                var entry = 0.0
                var product = 0.0
                for k in 0..<order {
                    entry += left[i * order + k] * values[k] * right[k * order + j]
                    product += left[i * order + k] * left[j * order + k]
                }
                #expect(abs(entry - matrix[i * order + j]) < 1e-13)
                #expect(abs(product - (i == j ? 1 : 0)) < 1e-13)
            }
        }
    }
}
