import OnlineLearning

extension ModelTrainer {
    /// Ids outlive refits: segments are matched by overlap of members, ids are never used again.
    mutating func identify(_ table: CustomerTable) {
        guard let previous, !previous.segments.isEmpty else {
            // The first ids go by spending or else by the first component, the highest first, so
            // that a seed does not decide which number a segment gets.
            let order = model.segments.indices.sorted {
                model.firstScore($0) > model.firstScore($1)
            }
            for (position, k) in order.enumerated() { model.segments[k].id = position + 1 }
            reorderSegments(order)
            model.nextSegmentID = model.segments.count + 1
            model.lineage = model.segments.map {
                SegmentModel.Lineage(
                    version: model.version,
                    kind: "new",
                    segment_id: $0.id,
                    from: [],
                    overlap: $0.customers
                )
            }
            return
        }
        let overlap = overlaps(with: previous, table)
        let old = previous.segments.count
        let new = model.segments.count
        let match = Assignment.solve(
            cost: overlap.map { -$0 },
            rows: new,
            columns: old
        )
        model.nextSegmentID = previous.nextSegmentID
        model.lineage = previous.lineage.suffix(100)
        var order = Array(repeating: -1, count: max(old, new))
        for k in 0..<new {
            let o = match[k]
            let shared = o >= 0 ? overlap[k * old + o] : 0
            let sources = (0..<old).filter {
                overlap[k * old + $0] >= 0.25 * Double(max(1, model.segments[k].customers))
            }
            let isKept = o >= 0 && shared >= 0.25 * Double(max(1, model.segments[k].customers))
            if isKept {
                model.segments[k].id = previous.segments[o].id
                order[o] = k
            } else {
                model.segments[k].id = model.nextSegmentID
                model.nextSegmentID += 1
            }
            let kind =
                !isKept
                ? (sources.isEmpty ? "new" : "split") : sources.count > 1 ? "merged" : "kept"
            model.lineage.append(
                SegmentModel.Lineage(
                    version: model.version,
                    kind: kind,
                    segment_id: model.segments[k].id,
                    from: sources.map { previous.segments[$0].id },
                    overlap: Int(shared)
                )
            )
        }
        for o in 0..<old where order[o] < 0 {
            let targets = (0..<new).filter {
                overlap[$0 * old + o] >= 0.25 * Double(max(1, previous.segments[o].customers))
            }
            model.lineage.append(
                SegmentModel.Lineage(
                    version: model.version,
                    kind: "retired",
                    segment_id: previous.segments[o].id,
                    from: targets.map { model.segments[$0].id },
                    overlap: 0
                )
            )
        }
        // Kept segments keep their place, new ones follow.
        let kept = order.filter { $0 >= 0 }
        reorderSegments(kept + (0..<new).filter { !kept.contains($0) })
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
