import Kernels
import Testing

@Suite struct MinimizerTests {
    @Test(arguments: [Minimizer.Algorithm.subplex, .nelderMead])
    func valleyIsFollowedToItsEnd(algorithm: Minimizer.Algorithm) throws {
        var calls = 0
        let minimum = try Minimizer.minimize(
            algorithm: algorithm,
            start: [-1.2, 1],
            lower: [-5, -5],
            upper: [5, 5],
            pointTolerance: 1e-10,
            valueTolerance: 0
        ) { point in
            calls += 1
            let (x, y) = (point[0], point[1])
            return (1 - x) * (1 - x) + 100 * (y - x * x) * (y - x * x)
        }
        #expect(minimum.converged)
        #expect(abs(minimum.point[0] - 1) < 1e-6 && abs(minimum.point[1] - 1) < 1e-6)
        #expect(minimum.evaluations == calls && calls > 20)
        #expect(minimum.value < 1e-12)
    }

    @Test func boundsHold() throws {
        let minimum = try Minimizer.minimize(
            algorithm: .subplex,
            start: [2, 2],
            lower: [1, -3],
            upper: [3, 3]
        ) { $0[0] * $0[0] + $0[1] * $0[1] }
        #expect(abs(minimum.point[0] - 1) < 1e-6 && abs(minimum.point[1]) < 1e-4)
    }

    @Test func limitOfEvaluationsIsToldAsNotConverged() throws {
        let minimum = try Minimizer.minimize(
            algorithm: .nelderMead,
            start: [3, 3],
            lower: [-9, -9],
            upper: [9, 9],
            evaluationMax: 5
        ) { $0[0] * $0[0] + $0[1] * $0[1] }
        #expect(!minimum.converged && minimum.evaluations <= 6)
    }

    @Test func valuesThatAreNotFiniteAreAvoided() throws {
        let minimum = try Minimizer.minimize(
            algorithm: .nelderMead,
            start: [1],
            lower: [-4],
            upper: [4]
        ) { $0[0] < 0.5 ? .nan : $0[0] }
        #expect(abs(minimum.point[0] - 0.5) < 1e-5)
    }

    /// Rosenbrock's valley with its gradient.
    private func valley(_ point: [Double], _ gradient: inout [Double]) -> Double {
        let (x, y) = (point[0], point[1])
        let off = y - x * x
        gradient[0] = -2 * (1 - x) - 400 * x * off
        gradient[1] = 200 * off
        return (1 - x) * (1 - x) + 100 * off * off
    }

    @Test func aGradientLeadsThereInFewSteps() throws {
        let minimum = try Minimizer.minimizeSmooth(
            start: [-1.2, 1],
            lower: [-5, -5],
            upper: [5, 5]
        ) { valley($0, &$1) }
        #expect(minimum.converged && minimum.evaluations < 100)
        #expect(abs(minimum.point[0] - 1) < 1e-8 && abs(minimum.point[1] - 1) < 1e-8)
    }

    @Test func aGradientStopsAtABound() throws {
        // On the edge x = 1/2 the valley's floor is at y = 1/4.
        let minimum = try Minimizer.minimizeSmooth(
            start: [-1.2, 1],
            lower: [-5, -5],
            upper: [0.5, 5]
        ) { valley($0, &$1) }
        #expect(minimum.point[0] == 0.5 && abs(minimum.point[1] - 0.25) < 1e-7)
    }

    @Test func theLimitHoldsWithAGradientToo() throws {
        let minimum = try Minimizer.minimizeSmooth(
            start: [-1.2, 1],
            lower: [-5, -5],
            upper: [5, 5],
            evaluationMax: 4
        ) { valley($0, &$1) }
        #expect(!minimum.converged && minimum.evaluations <= 5)
    }
}
