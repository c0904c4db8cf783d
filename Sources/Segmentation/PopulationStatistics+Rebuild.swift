import OnlineLearning

/// Sums made anew from the rows, which removes rounding and moves the centres to the means.
///
/// Medians are counts and round nothing, so they have no part in it.
extension PopulationStatistics {
    /// Whether sums have lost digits that a rebuild would bring back.
    ///
    /// Something very large has come and gone, and has left its rounding, where the largest square
    /// ever added is more than 10,000 times what the sum of squares is now, both by weight. Or a
    /// mean has moved far away from its centre, or all who weighed something have gone.
    var needsRebuild: Bool {
        if sums.hasLostWeight { return true }
        for feature in 0..<schema.featureCount {
            let position = 1 + feature
            // Row of the packed upper triangle: D, then D - 1 and so on down to the diagonal.
            let sum = sums.moments.upper[
                position * dimension - position * (position - 1) / 2
            ]
            // Zeros and ones cancel exactly, unless weighted. Any other sum of 0 may have lost all
            // its digits, and left some in the sums beside it.
            if case .level = schema.features[feature], schema.forgetting == nil { continue }
            if sums.largestTerm(of: feature) > 1e4 * abs(sum) { return true }
            if !isDecayed(feature) && sums.moments.isCentreFar(of: feature) { return true }
        }
        return false
    }

    /// Centres near the present means, `[d]`, stored units; the present ones where all who weighed
    /// something have gone, since only a rebuild finds the means of the others.
    func nearbyCentres() -> [Double] {
        guard !sums.hasLostWeight else { return centres }
        return (0..<schema.featureCount).map { feature in
            // A decayed feature is rescaled with its landmark, so its centre stays at 0.
            isDecayed(feature) ? 0 : sums.moments.nearbyCentre(of: feature)
        }
    }

    private func isDecayed(_ feature: Int) -> Bool {
        if case .decayed = schema.features[feature] { true } else { false }
    }

    /// Begins to make the sums anew, also where that is under way already.
    ///
    /// - Parameter centres: `[d]`, stored units, of the new sums.
    mutating func beginRebuild(centres: [Double]) {
        rebuild = StatisticsRebuild(
            sums: RunningSums(
                schema: schema,
                centres: centres,
                clusterCount: sums.clusters.clusterCount
            )
        )
        rebuild.isUnderWay = true
    }

    /// Adds the next rows to the new sums; after the last one they replace the running ones, and
    /// `drift` tells how far these were from them.
    ///
    /// - Parameters:
    ///   - table: the rows.
    ///   - limit: rows looked at, at most.
    ///   - model: the model in force, for the members of its segments.
    ///   - landmarks: index of the landmark of each decayed slot.
    ///   - countsMedians: whether the rows go into the medians too, which know none of them yet.
    /// - Precondition: a rebuild is under way, and nothing is dirty.
    /// - Complexity: O(limit) time; allocates when a rebuild begins and ends.
    mutating func rebuildSlice(
        of table: borrowing CustomerTable,
        limit: Int,
        model: ModelInForce?,
        landmarks: [Double],
        countsMedians: Bool = false
    ) {
        precondition(rebuild.isUnderWay && !isDirty, "begin a rebuild, and flush")
        let rowEnd = table.rowEnd
        let end = limit < rowEnd - rebuild.cursor ? rebuild.cursor + limit : rowEnd
        addRows(rebuild.cursor..<end, of: table, model, landmarks, countsMedians)
        rebuild.cursor = end
        guard end == rowEnd else { return }
        if let landmark = rebuild.sums.landmark { sums.rescaleWeights(to: landmark) }
        drift = sums.moments.drift(from: rebuild.sums.moments)
        sums = rebuild.sums
        rebuild = StatisticsRebuild(
            sums: RunningSums(schema: schema, centres: centres, clusterCount: clusters.clusterCount)
        )
    }

    /// Adds rows to the new sums, some at a time, and to the medians where these are counted too:
    /// outliers only to the medians.
    private mutating func addRows(
        _ range: Range<Int>,
        of table: borrowing CustomerTable,
        _ model: ModelInForce?,
        _ landmarks: [Double],
        _ countsMedians: Bool
    ) {
        var rows = InlineArray<16, Int>(repeating: 0)
        precondition(rows.count == Self.group)
        var count = 0
        for row in range {
            if table.isInUse(row) && (countsMedians || !table.isOutlier(row)) {
                table.numbers.copy(row: row, to: &newNumbers, at: count * schema.numberCount)
                rows[count] = row
                count += 1
            }
            guard count == Self.group || row == range.upperBound - 1 else { continue }
            evaluator.read(
                newNumbers,
                from: 0,
                count: count,
                landmarks: landmarks,
                into: &newStored
            )
            for index in 0..<count {
                let base = index * schema.featureCount
                if countsMedians {
                    for (k, feature) in schema.missable.enumerated() {
                        changeMedian(k, newStored[base + feature], adding: true)
                    }
                    if table.isOutlier(rows[index]) { continue }
                }
                rebuild.sums.stage(
                    newStored,
                    base,
                    sign: 1,
                    cluster: cluster(of: rows[index], table, model),
                    weight: weight(at: table.clock(rows[index]))
                )
            }
            count = 0
            if rebuild.sums.stagedCount >= 1024 { rebuild.sums.applyStaged() }
        }
        rebuild.sums.applyStaged()
    }

    /// Makes sums and medians anew from rows that have come and gone without being marked, as a
    /// restore leaves them.
    ///
    /// - Parameters:
    ///   - table: the rows.
    ///   - centres: `[d]`, stored units, of the new sums.
    ///   - model: the model in force, for the members of its segments.
    ///   - landmarks: index of the landmark of each decayed slot.
    /// - Precondition: nothing is dirty.
    mutating func make(
        from table: borrowing CustomerTable,
        centres: [Double],
        model: ModelInForce?,
        landmarks: [Double]
    ) {
        // What the sums were of are other rows: there is no drift between the two.
        let known = drift
        sums.resetClusters(count: model?.model.segments.count ?? 0)
        beginRebuild(centres: centres)
        resetMedians()
        rebuildSlice(
            of: table,
            limit: .max,
            model: model,
            landmarks: landmarks,
            countsMedians: true
        )
        drift = known
    }
}
