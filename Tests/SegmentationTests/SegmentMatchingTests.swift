import OnlineLearning
import Testing

@testable import Segmentation

/// What becomes of segments at a refit (DESIGN, section 6.4).
@Suite struct SegmentMatchingTests {
    private func match(_ overlap: [[Double]], old: [Int], next: Int) -> SegmentMatching {
        SegmentMatching(
            overlap: overlap.flatMap { $0 },
            oldIDs: old,
            members: overlap.map { Int($0.reduce(0, +)) },
            nextSegmentID: next,
            version: 9
        )
    }

    private func lines(_ match: SegmentMatching) -> [String] {
        match.lineage.map { "\($0.kind) \($0.segment_id) \($0.from) \($0.overlap)" }
    }

    @Test func theSamePeopleKeepTheirIds() {
        let match = match([[2, 90, 0], [80, 1, 3], [0, 4, 70]], old: [3, 5, 6], next: 7)
        #expect(match.ids == [5, 3, 6] && match.nextSegmentID == 7)
        #expect(lines(match) == ["kept 5 [5] 90", "kept 3 [3] 80", "kept 6 [6] 70"])
    }

    @Test func aSplitKeepsTheIdWithTheLargerPart() {
        let match = match([[40, 2], [0, 95], [60, 3]], old: [1, 2], next: 3)
        #expect(match.ids == [3, 2, 1] && match.nextSegmentID == 4)
        #expect(lines(match) == ["split 3 [1] 0", "kept 2 [2] 95", "kept 1 [1] 60"])
    }

    @Test func aMergeRetiresTheOtherId() {
        let match = match([[90, 30, 0], [5, 0, 80]], old: [1, 2, 4], next: 9)
        #expect(match.ids == [1, 4] && match.nextSegmentID == 9)
        #expect(lines(match) == ["merged 1 [1, 2] 90", "kept 4 [4] 80", "retired 2 [1] 0"])
    }

    /// A small segment that joins a large one is merged, though it is a small part of it.
    @Test func aSmallSegmentIsMergedToo() {
        let match = match([[900, 12], [0, 0]], old: [1, 2], next: 3)
        #expect(lines(match) == ["merged 1 [1, 2] 900", "new 3 [] 0", "retired 2 [1] 0"])
    }

    /// Some who change sides make no merger.
    @Test func anExchangeOfMembersIsNone() {
        let match = match([[60, 40], [20, 60]], old: [1, 2], next: 3)
        #expect(lines(match) == ["kept 1 [1, 2] 60", "kept 2 [1, 2] 60"])
    }

    @Test func newPeopleGetANewId() {
        let match = match([[90, 0], [0, 80], [20, 22]], old: [1, 2], next: 8)
        #expect(match.ids == [1, 2, 8])
        // Half of them come from one, so it split off.
        #expect(lines(match).last == "split 8 [1, 2] 0")
        let mixed = SegmentMatching(
            overlap: [90, 0, 0, 80, 20, 22],
            oldIDs: [1, 2],
            members: [90, 80, 100],
            nextSegmentID: 8,
            version: 9
        )
        #expect(lines(mixed).last == "new 8 [] 0")
    }

    /// A pair that shares next to nothing is none: the id is retired, and never used again.
    @Test func strangersDoNotInheritAnId() {
        let match = SegmentMatching(
            overlap: [90, 0, 0, 3],
            oldIDs: [1, 2],
            members: [90, 100],
            nextSegmentID: 3,
            version: 9
        )
        #expect(match.ids == [1, 3] && match.nextSegmentID == 4)
        #expect(lines(match) == ["kept 1 [1] 90", "new 3 [2] 0", "retired 2 [3] 0"])
    }

    @Test func nobodyInCommonMatchesNobody() {
        let match = match([[0, 0], [0, 0]], old: [1, 2], next: 3)
        #expect(match.ids == [3, 4])
        #expect(lines(match) == ["new 3 [] 0", "new 4 [] 0", "retired 1 [] 0", "retired 2 [] 0"])
    }

    /// A greedy match would give the first segment its best partner; the best of all does not.
    @Test func asManyAsPossibleKeepTheirId() {
        let match = match([[50, 45], [48, 0]], old: [1, 2], next: 3)
        #expect(match.ids == [2, 1])
    }
}
