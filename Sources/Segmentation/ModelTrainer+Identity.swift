extension ModelTrainer {
    /// Ids outlive refits: segments are matched by overlap of members, ids are never used again.
    mutating func identify(_ table: CustomerTable) {
        guard let previous, !previous.segments.isEmpty else {
            // The first ids go by spending or else by the first component, the highest first, so
            // that a seed does not decide which number a segment gets.
            let order = model.segments.indices.sorted {
                model.firstScore($0) > model.firstScore($1)
            }
            for (position, k) in order.enumerated() {
                model.segments[k].id = nextSegmentID + position
            }
            reorderSegments(order)
            model.nextSegmentID = nextSegmentID + model.segments.count
            model.lineage = model.segments.map {
                SegmentModel.Lineage(
                    version: model.version,
                    kind: "new",
                    segment_id: $0.id,
                    from: [],
                    overlap: 0
                )
            }
            return
        }
        let old = previous.segments.count
        let match = SegmentMatching(
            overlap: overlaps(with: previous, table),
            oldIDs: previous.segments.map(\.id),
            members: model.segments.map(\.customers),
            nextSegmentID: max(nextSegmentID, previous.nextSegmentID),
            version: model.version
        )
        for k in model.segments.indices { model.segments[k].id = match.ids[k] }
        model.nextSegmentID = match.nextSegmentID
        model.lineage = previous.lineage.suffix(100) + match.lineage
        // Kept segments keep their place, new ones follow.
        let kept = (0..<old).compactMap { o in match.oldOfNew.firstIndex(of: o) }
        reorderSegments(kept + model.segments.indices.filter { match.oldOfNew[$0] < 0 })
    }

    private mutating func overlaps(
        with previous: SegmentModel,
        _ table: CustomerTable
    ) -> [Double] {
        let old = previous.segments.count
        var overlap = Array(repeating: 0.0, count: model.segments.count * old)
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let before = previous.index(ofSegment: table.membership(row))
            guard before >= 0 else { continue }
            overlap[Int(labels[row]) * old + before] += 1
        }
        return overlap
    }

    private mutating func reorderSegments(_ order: [Int]) {
        let d = schema.featureCount
        let segments = model.segments
        let centroids = model.centroids
        model.segments = order.map { segments[$0] }
        model.centroids = order.flatMap { centroids[($0 * d)..<(($0 + 1) * d)] }
        model.prepare()
    }
}
