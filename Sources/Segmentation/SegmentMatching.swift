import OnlineLearning

/// Which of the new segments is which of the old ones, and what became of each.
///
/// Segments are matched so that as many customers as possible keep their id (assignment problem,
/// see `Assignment`); a pair with less than a quarter of the new one's members in common is no
/// match. Then, of every segment:
/// - kept: it has its id still;
/// - merged: so does it, and a segment that is retired gave it at least half of its members;
/// - split: its id is new, and at least half of its members come from one old segment;
/// - new: its id is new, and its members come from several, or from nowhere;
/// - retired: nothing has its id any more, and the id is never used again.
struct SegmentMatching {
    /// Share of a segment's members that makes another one worth naming.
    static let notableShare = 0.25
    /// Share of a segment's members that makes it a part of another one.
    static let majorityShare = 0.5

    /// Old index of every new segment, -1 for a new id; `[new]`.
    private(set) var oldOfNew: [Int]
    /// What became of every segment, new ones in their order, then the retired.
    private(set) var lineage: [SegmentModel.Lineage] = []
    /// Ids of the new segments; `[new]`.
    private(set) var ids: [Int]
    /// The next id that nothing has had.
    private(set) var nextSegmentID: Int

    private let overlap: [Double]
    private let oldIDs: [Int]

    /// Matches.
    ///
    /// - Parameters:
    ///   - overlap: customers in common, `[new x old]`, row-major.
    ///   - oldIDs: ids of the old segments; `[old]`.
    ///   - members: customers of the new segments; `[new]`.
    ///   - nextSegmentID: the next id that nothing has had.
    ///   - version: for the lineage.
    init(overlap: [Double], oldIDs: [Int], members: [Int], nextSegmentID: Int, version: Int) {
        let (new, old) = (members.count, oldIDs.count)
        self.overlap = overlap
        self.oldIDs = oldIDs
        self.nextSegmentID = nextSegmentID
        oldOfNew = Assignment.solve(cost: overlap.map { -$0 }, rows: new, columns: old)
        ids = Array(repeating: 0, count: new)
        for k in 0..<new {
            let o = oldOfNew[k]
            let least = max(1, Self.notableShare * Double(members[k]))
            if o >= 0 && overlap[k * old + o] >= least {
                ids[k] = oldIDs[o]
            } else {
                oldOfNew[k] = -1
                ids[k] = self.nextSegmentID
                self.nextSegmentID += 1
            }
        }
        for k in 0..<new { note(k, members: members[k], version: version) }
        for o in 0..<old where !oldOfNew.contains(o) { noteRetired(o, version: version) }
    }

    private mutating func note(_ k: Int, members: Int, version: Int) {
        let kept = oldOfNew[k]
        let sources = oldIDs.indices.filter {
            isPart($0, of: k, atLeast: Self.notableShare, of: members)
        }
        // A retired segment is part of this one by its own members, however few they are here.
        let absorbed = oldIDs.indices.filter {
            !oldOfNew.contains($0)
                && isPart($0, of: k, atLeast: Self.majorityShare, of: oldMembers($0))
        }
        let isPartOfOne = oldIDs.indices.contains {
            isPart($0, of: k, atLeast: Self.majorityShare, of: members)
        }
        let kind =
            kept < 0
            ? (isPartOfOne ? "split" : "new") : (absorbed.isEmpty ? "kept" : "merged")
        lineage.append(
            SegmentModel.Lineage(
                version: version,
                kind: kind,
                segment_id: ids[k],
                from: Set(sources).union(absorbed).sorted().map { oldIDs[$0] },
                overlap: kept < 0 ? 0 : Int(overlap[k * oldIDs.count + kept])
            )
        )
    }

    private mutating func noteRetired(_ o: Int, version: Int) {
        let targets = ids.indices.filter {
            isPart(o, of: $0, atLeast: Self.notableShare, of: oldMembers(o))
        }
        lineage.append(
            SegmentModel.Lineage(
                version: version,
                kind: "retired",
                segment_id: oldIDs[o],
                from: targets.map { ids[$0] },
                overlap: 0
            )
        )
    }

    private func isPart(_ o: Int, of k: Int, atLeast share: Double, of members: Int) -> Bool {
        let common = overlap[k * oldIDs.count + o]
        return common > 0 && common >= share * Double(members)
    }

    /// Members of an old segment that are still customers.
    private func oldMembers(_ o: Int) -> Int {
        Int(ids.indices.reduce(0.0) { $0 + overlap[$1 * oldIDs.count + o] })
    }
}
