import Kernels
import OnlineLearning
import Testing

@Suite struct PrincipalComponentsTests {
    /// A covariance with the given eigenvalues and random directions.
    private func covariance(_ eigenvalues: [Double], seed: UInt64) -> [Double] {
        var generator = SeededGenerator(seed: seed)
        let d = eigenvalues.count
        var symmetric = [Double](repeating: 0, count: d * d)
        for j in 0..<d {
            for k in j..<d {
                symmetric[j * d + k] = generator.nextNormal()
                symmetric[k * d + j] = symmetric[j * d + k]
            }
        }
        guard let vectors = try? SymmetricEigen.decompose(symmetric, order: d).vectors else {
            return []
        }
        var matrix = [Double](repeating: 0, count: d * d)
        for i in 0..<d {
            for j in 0..<d {
                for k in 0..<d {
                    matrix[j * d + k] += eigenvalues[i] * vectors[i * d + j] * vectors[i * d + k]
                }
            }
        }
        return matrix
    }

    private func fit(
        _ covariance: [Double],
        count: Int,
        previous: [Double]? = nil,
        isConstant: [Bool]? = nil
    ) throws -> PrincipalComponents {
        let d = Int(Double(covariance.count).squareRoot())
        return try PrincipalComponents.fit(
            covariance: covariance,
            scale: [Double](repeating: 1, count: d),
            isConstant: isConstant ?? [Bool](repeating: false, count: d),
            count: count,
            previous: previous
        )
    }

    @Test func firstFitHasEigenvaluesAndPositiveLeaders() throws {
        let eigenvalues = [4.0, 2, 1, 0.5, 0.1]
        let components = try fit(covariance(eigenvalues, seed: 1), count: 3)
        for index in 0..<3 {
            #expect(abs(components.explainedVariance[index] - eigenvalues[index]) < 1e-12)
            #expect(
                abs(components.explainedVarianceRatio[index] - eigenvalues[index] / 7.6) < 1e-12
            )
            let row = components.components[index * 5..<(index + 1) * 5]
            #expect(row.max { abs($0) < abs($1) } ?? 0 > 0)
            #expect(abs(row.reduce(0) { $0 + $1 * $1 } - 1) < 1e-12)
        }
    }

    @Test func equallyLargeLoadingsAreDecidedByTheFirst() throws {
        // Two features that are each other's negative, beside rounding.
        let components = try fit([1, -1 + 1e-15, -1 + 1e-15, 1], count: 1)
        #expect(components.components[0] > 0 && components.components[1] < 0)
    }

    @Test func signsAgreeWithThePreviousComponents() throws {
        let matrix = covariance([4, 2, 1, 0.5, 0.1], seed: 2)
        let first = try fit(matrix, count: 3)
        let turned = first.components.enumerated().map { $0 / 5 == 1 ? -$1 : $1 }
        let second = try fit(matrix, count: 3, previous: turned)
        #expect(zip(second.components, turned).allSatisfy { abs($0 - $1) < 1e-12 })
    }

    @Test func tiedComponentsAreRotatedToThePreviousOnes() throws {
        let matrix = covariance([4, 2.001, 2, 1, 0.5], seed: 3)
        let first = try fit(matrix, count: 3)
        // Any other orthonormal basis of the tied plane is as good an answer of the decomposition.
        var turned = first.components
        let (c, s) = (0.6, 0.8)
        for feature in 0..<5 {
            let (a, b) = (first.components[5 + feature], first.components[10 + feature])
            turned[5 + feature] = c * a + s * b
            turned[10 + feature] = -s * a + c * b
        }
        let second = try fit(matrix, count: 3, previous: turned)
        #expect(zip(second.components, turned).allSatisfy { abs($0 - $1) < 1e-9 })
        #expect(second.explainedVariance == first.explainedVariance)
        // The same plane, but the third direction is cut off: no rotation, only the sign.
        let cut = try fit(matrix, count: 2, previous: Array(turned.prefix(10)))
        #expect(zip(cut.components, first.components).allSatisfy { abs(abs($0) - abs($1)) < 1e-9 })
    }

    @Test func constantFeaturesHaveNoShareAtAll() throws {
        var matrix = [Double](repeating: 0, count: 16)
        let informative = [1, 3]
        matrix[1 * 4 + 1] = 9
        matrix[3 * 4 + 3] = 4
        matrix[1 * 4 + 3] = 3
        matrix[3 * 4 + 1] = 3
        let components = try PrincipalComponents.fit(
            covariance: matrix,
            scale: [1, 3, 1, 2],
            isConstant: [true, false, true, false],
            count: 3
        )
        for index in 0..<3 {
            for feature in 0..<4 where !informative.contains(feature) || index == 2 {
                #expect(components.components[index * 4 + feature] == 0)
            }
        }
        #expect(abs(components.explainedVariance[0] - 1.5) < 1e-12)
        #expect(abs(components.explainedVarianceRatio[0] - 0.75) < 1e-12)
        #expect(components.explainedVariance[2] == 0)
        let none = try fit(matrix, count: 2, isConstant: [true, true, true, true])
        #expect(none.components.allSatisfy { $0 == 0 } && none.explainedVarianceRatio == [0, 0])
    }

    @Test func covarianceThatIsNotFiniteIsRefused() {
        #expect(throws: NumericError.self) { try fit([1, .nan, .nan, 1], count: 1) }
    }
}
