import Foundation
import OnlineLearning
import Testing

@Suite struct PrincipalAnglesTests {
    /// A plane of three dimensions, turned about its first axis.
    private func plane(turnedBy degrees: Double) -> [Double] {
        let angle = degrees * .pi / 180
        return [1, 0, 0, 0, cos(angle), sin(angle)]
    }

    @Test(arguments: [0, 1e-9, 1e-5, 0.5, 30, 45, 60, 89.9, 90])
    func aTurnIsFound(degrees: Double) throws {
        let angle = try #require(
            try PrincipalAngles.largest(
                between: plane(turnedBy: 0),
                and: plane(turnedBy: degrees),
                featureCount: 3
            )
        )
        #expect(abs(angle - degrees) <= 1e-6 * degrees)
    }

    @Test func signsAndRotationsWithinABasisDoNotMatter() throws {
        let turned: [Double] = [0.6, 0.8, 0, -0.8, 0.6, 0]
        let angle = try PrincipalAngles.largest(
            between: plane(turnedBy: 0),
            and: turned,
            featureCount: 3
        )
        #expect(try #require(angle) < 1e-9)
    }

    @Test func aBasisWithinALargerOneIsNotTurned() throws {
        let line: [Double] = [0.6, 0.8, 0]
        for (first, second) in [(line, plane(turnedBy: 0)), (plane(turnedBy: 0), line)] {
            let angle = try PrincipalAngles.largest(between: first, and: second, featureCount: 3)
            #expect(try #require(angle) < 1e-9)
        }
    }

    @Test func rowsOfZerosSpanNothing() throws {
        #expect(
            try PrincipalAngles.largest(between: [0, 0], and: [1, 0], featureCount: 2) == nil
        )
        let angle = try PrincipalAngles.largest(
            between: [1, 0, 0, 0],
            and: [0, 1, 1, 0],
            featureCount: 2
        )
        #expect(try #require(angle) < 1e-9)
    }
}
