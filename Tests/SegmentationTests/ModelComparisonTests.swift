import Testing

@testable import Segmentation

/// What would change between two models.
@Suite struct ModelComparisonTests {
    private func fitted() throws -> SegmentModel { try TestModel.shared.get() }

    @Test func aModelDoesNotDifferFromItself() throws {
        let model = try fitted()
        let comparison = try ModelComparison(from: model, to: model)
        #expect(comparison.features.map(\.shift).allSatisfy { $0 == 0 })
        #expect(comparison.features.count == model.featureCount)
        #expect(comparison.removedFeatures.isEmpty && comparison.addedFeatures.isEmpty)
        #expect(try #require(comparison.angle) < 1e-9)
        #expect(comparison.segments.map(\.kind).allSatisfy { $0 == "kept" })
        #expect(comparison.segments.map(\.distance).allSatisfy { $0 == 0 })
    }

    @Test func aCentroidMovesByItsDistanceInPCASpace() throws {
        let old = try fitted()
        var new = old
        let d = old.featureCount
        // Three units along the second component, in feature units.
        for j in 0..<d { new.centroids[d + j] += 3 * old.components[d + j] * old.scale[j] }
        new.prepare()
        let comparison = try ModelComparison(from: old, to: new)
        for segment in comparison.segments {
            let moved = segment.id == old.segments[1].id ? 3.0 : 0
            #expect(abs(try #require(segment.distance) - moved) < 1e-9)
        }
        let moves = try #require(comparison.segments.first { $0.distance ?? 0 > 1 }).moves
        let largest = try #require(
            (0..<d).max {
                abs(old.components[d + $0])
                    < abs(old.components[d + $1])
            }
        )
        #expect(moves.first?.name == old.featureNames[largest])
        #expect(moves.first.map { abs($0.deviations) } == moves.map { abs($0.deviations) }.max())
    }

    @Test func featuresStandByHowFarTheyMoved() throws {
        let old = try fitted()
        var new = old
        new.mean[2] += 0.5 * old.scale[2]
        new.imputation[4] -= 2 * old.scale[4]
        new.scale[1] *= 1.25
        let shifts = try ModelComparison(from: old, to: new).features.prefix(4)
        #expect(shifts.map(\.name).prefix(3) == [4, 2, 1].map { old.featureNames[$0] }[...])
        for (feature, expected) in zip(shifts, [2, 0.5, 0.25, 0]) {
            #expect(abs(feature.shift - expected) < 1e-9)
        }
    }

    @Test func lineageSaysWhatBecomesOfASegment() throws {
        var old = try fitted()
        old.version = 5
        var new = old
        new.version = 7
        let ids = old.segments.map(\.id)
        let fresh = old.nextSegmentID
        new.segments[0].id = fresh
        new.prepare()
        func event(_ version: Int, _ kind: String, _ id: Int, _ from: [Int])
            -> SegmentModel.Lineage
        {
            SegmentModel.Lineage(
                version: version,
                kind: kind,
                segment_id: id,
                from: from,
                overlap: 1
            )
        }
        new.lineage = [
            // Before the old model: no news.
            event(5, "merged", ids[2], [ids[2], 99]),
            event(6, "split", fresh, [ids[1]]), event(6, "retired", ids[0], [fresh]),
            event(6, "merged", ids[3], [ids[3], ids[0]]), event(7, "kept", fresh, [fresh]),
            event(7, "kept", ids[3], [ids[3]]),
        ]
        let comparison = try ModelComparison(from: old, to: new)
        let fates = Dictionary(
            uniqueKeysWithValues: comparison.segments.map { ($0.id, "\($0.kind) \($0.from)") }
        )
        #expect(fates[fresh] == "split [\(ids[1])]")
        #expect(fates[ids[0]] == "retired [\(fresh)]")
        #expect(fates[ids[1]] == "kept []")
        #expect(fates[ids[2]] == "kept []")
        #expect(fates[ids[3]] == "merged [\(ids[3]), \(ids[0])]")
        // Against time there is no lineage to go by.
        let back = try ModelComparison(from: new, to: old)
        #expect(back.segments.first { $0.id == fresh }?.kind == "retired")
        #expect(back.segments.first { $0.id == ids[0] }?.kind == "new")
    }

    @Test func basesOfOtherFeaturesStandInOneSpace() throws {
        let old = try fitted()
        var new = old
        new.featureNames[0] = "another"
        let comparison = try ModelComparison(from: old, to: new)
        #expect(comparison.removedFeatures == [old.featureNames[0]])
        #expect(comparison.addedFeatures == ["another"])
        #expect(comparison.features.count == old.featureCount - 1)
        #expect(try #require(comparison.angle) > 1)
    }
}
