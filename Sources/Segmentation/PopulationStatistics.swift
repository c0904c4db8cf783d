import OnlineLearning

/// Statistics over the rows of the table that equal a batch job over them at any moment.
///
/// A row that is about to change is marked first, with what it contributed; `flush` takes the old
/// contributions out and puts the new ones in, as one rank-k update of the moments.
struct PopulationStatistics: Sendable {
    /// A median with retraction, for a feature that can be missing; one of the two is used.
    struct MedianSketch: Sendable, Equatable {
        var isFixedWidth: Bool
        var logarithmic = LogBucketSketch()
        var fixedWidth: FixedWidthSketch

        /// - Parameter width: bucket width for a feature that moves with the clock, nil for others.
        init(width: Double?) {
            isFixedWidth = width != nil
            fixedWidth = FixedWidthSketch(width: width ?? 1)
        }

        func median() -> Double? { isFixedWidth ? fixedWidth.median() : logarithmic.median() }
    }

    private struct Dirty {
        var row: Int
        /// The row contributed before: false for one just inserted.
        var had: Bool
        var wasTraining: Bool
        var oldCluster: Int
        /// Clock of the customer before.
        var oldClock: Int64
        var isRemoved = false
        /// The customer changed, and not only the score of the row.
        var isChange = true
    }

    let schema: CompiledSchema
    /// Sums over all rows; those of segments over rows scored by the present version.
    var sums: RunningSums
    private(set) var sketches: [MedianSketch]
    /// Rows changed since the last refit.
    var changedCustomers = 0
    /// The same sums about new centres, of the rows that a rebuild has come to.
    var rebuild: StatisticsRebuild
    /// Drift that the last rebuild found in the sums; nil before one.
    var drift: Double?
    var evaluator: FeatureEvaluator
    private var epoch: UInt32 = 1
    private var dirty: [Dirty] = []
    /// Numbers of the dirty rows from before their change, as the table holds them.
    private var oldNumbers: [Double] = []
    /// Numbers of some of them now.
    var newNumbers: [Double] = []
    /// What both are in stored units, NaN where missing.
    private var oldStored: [Double] = []
    var newStored: [Double] = []

    /// Rows that are evaluated at a time: few enough for the nearest cache.
    static let group = 16

    var moments: FeatureMoments { sums.moments }
    /// Members and sums of every segment.
    var clusters: MiniBatchKMeans { sums.clusters }
    /// `[d]`, stored units.
    var centres: [Double] { sums.centres }
    /// Width of u = [1, a, missing flags].
    var dimension: Int { 1 + schema.featureCount + schema.missable.count }
    /// Whether a row that has changed waits for `flush`.
    var isDirty: Bool { !dirty.isEmpty }

    init(schema: CompiledSchema) {
        self.schema = schema
        evaluator = FeatureEvaluator(schema: schema)
        let centres = Array(repeating: 0.0, count: schema.featureCount)
        sums = RunningSums(schema: schema, centres: centres, clusterCount: 0)
        rebuild = StatisticsRebuild(sums: sums)
        sketches = Self.emptySketches(schema)
        newNumbers = Array(repeating: 0, count: Self.group * schema.numberCount)
        oldStored = Array(repeating: 0, count: Self.group * schema.featureCount)
        newStored = oldStored
    }

    private static func emptySketches(_ schema: CompiledSchema) -> [MedianSketch] {
        schema.missable.map { feature in
            switch schema.features[feature] {
            // A hundredth of a year, a day: a relative error of a birth year would be two years.
            case .yearsSince: MedianSketch(width: 0.01)
            case .daysSince: MedianSketch(width: 1)
            default: MedianSketch(width: nil)
            }
        }
    }

    /// Whether there is, or may be after the next flush, anybody to learn from.
    var mayTeach: Bool { sums.rowCount > 0 || !dirty.isEmpty }

    // MARK: changes

    /// Notes a row just inserted.
    mutating func markInserted(_ row: Int, of table: inout CustomerTable) {
        table.setDirty(row, epoch: epoch)
        append(Dirty(row: row, had: false, wasTraining: false, oldCluster: -1, oldClock: 0))
    }

    /// Keeps the numbers of a row, before its first change since the last flush.
    ///
    /// With `isChange` false, the row is only scored again: it keeps its numbers until the next
    /// flush, and it is no reason for a refit.
    mutating func markChanging(
        _ row: Int,
        of table: inout CustomerTable,
        learner model: ModelInForce?,
        isChange: Bool = true
    ) {
        guard !table.isDirty(row, epoch: epoch) else { return }
        // The dirty mark is not part of the state that an abort puts back: a new flush has a new
        // epoch.
        table.setDirty(row, epoch: epoch)
        append(
            Dirty(
                row: row,
                had: true,
                wasTraining: !table.isOutlier(row),
                oldCluster: cluster(of: row, table, model),
                oldClock: table.clock(row),
                isChange: isChange
            )
        )
        guard isChange else { return }
        table.numbers.copy(row: row, to: &oldNumbers, at: (dirty.count - 1) * schema.numberCount)
    }

    /// Notes that a row marked before has been removed.
    mutating func markRemoved(_ row: Int) {
        for index in dirty.indices.reversed() where dirty[index].row == row {
            dirty[index].isRemoved = true
            return
        }
    }

    private mutating func append(_ entry: Dirty) {
        dirty.append(entry)
        while oldNumbers.count < dirty.count * schema.numberCount { oldNumbers.append(0) }
    }

    func cluster(of row: Int, _ table: CustomerTable, _ model: ModelInForce?) -> Int {
        guard let model, table.modelVersion(row) == model.model.version else { return -1 }
        return model.model.index(ofSegment: table.membership(row))
    }

    /// What a customer weighs in training.
    func weight(at clock: Int64) -> RecencyWeight {
        schema.forgetting?.weight(at: clock) ?? .one
    }

    /// Reads one row into the first of `newStored`.
    mutating func readStored(
        _ row: Int,
        _ table: borrowing CustomerTable,
        _ landmarks: [Double]
    ) {
        table.numbers.copy(row: row, to: &newNumbers, at: 0)
        evaluator.read(newNumbers, from: 0, count: 1, landmarks: landmarks, into: &newStored)
    }

    /// Brings moments, medians and cluster sums up to the table.
    mutating func flush(
        _ table: inout CustomerTable,
        model: ModelInForce?,
        landmarks: [Double]
    ) {
        guard !dirty.isEmpty else { return }
        var start = 0
        while start < dirty.count {
            let end = min(dirty.count, start + Self.group)
            evaluate(start..<end, table, landmarks)
            for index in start..<end {
                flush(dirty[index], at: (index - start) * schema.featureCount, &table, model)
            }
            start = end
        }
        sums.applyStaged()
        rebuild.sums.applyStaged()
        dirty.removeAll(keepingCapacity: true)
        epoch &+= 1
    }

    /// Computes stored units of a group of dirty rows, before their change and now.
    private mutating func evaluate(
        _ group: Range<Int>,
        _ table: borrowing CustomerTable,
        _ landmarks: [Double]
    ) {
        for index in group where !dirty[index].isRemoved {
            table.numbers.copy(
                row: dirty[index].row,
                to: &newNumbers,
                at: (index - group.lowerBound) * schema.numberCount
            )
        }
        if dirty[group].contains(where: { $0.had && $0.isChange }) {
            evaluator.read(
                oldNumbers,
                from: group.lowerBound,
                count: group.count,
                landmarks: landmarks,
                into: &oldStored
            )
        }
        evaluator.read(
            newNumbers,
            from: 0,
            count: group.count,
            landmarks: landmarks,
            into: &newStored
        )
    }

    /// Takes what a dirty row contributed out, and puts in what it contributes now.
    private mutating func flush(
        _ entry: Dirty,
        at base: Int,
        _ table: inout CustomerTable,
        _ model: ModelInForce?
    ) {
        // A rebuild that has come past the row knows what it was.
        let isRebuilt = entry.row < rebuild.cursor
        guard entry.isChange else {
            let target = table.isOutlier(entry.row) ? nil : cluster(of: entry.row, table, model)
            let source = entry.wasTraining ? entry.oldCluster : nil
            // Nothing has happened to the customer, so they weigh what they did.
            let weight = weight(at: table.clock(entry.row))
            sums.move(newStored, base, from: source, to: target, weight: weight)
            if isRebuilt {
                rebuild.sums.move(newStored, base, from: source, to: target, weight: weight)
            }
            return
        }
        if entry.had {
            for (k, feature) in schema.missable.enumerated() {
                changeMedian(k, oldStored[base + feature], adding: false)
            }
            if entry.wasTraining {
                stage(
                    oldStored,
                    base,
                    sign: -1,
                    cluster: entry.oldCluster,
                    clock: entry.oldClock,
                    isRebuilt: isRebuilt
                )
            }
        }
        guard !entry.isRemoved else { return }
        for (k, feature) in schema.missable.enumerated() {
            changeMedian(k, newStored[base + feature], adding: true)
        }
        if !table.isOutlier(entry.row) {
            stage(
                newStored,
                base,
                sign: 1,
                cluster: cluster(of: entry.row, table, model),
                clock: table.clock(entry.row),
                isRebuilt: isRebuilt
            )
        }
        if table.markChanged(entry.row) { changedCustomers += 1 }
    }

    /// Stages a row for the running sums, and for the new ones where these have come past it.
    private mutating func stage(
        _ stored: [Double],
        _ base: Int,
        sign: Double,
        cluster: Int,
        clock: Int64,
        isRebuilt: Bool
    ) {
        let weight = weight(at: clock)
        sums.stage(stored, base, sign: sign, cluster: cluster, weight: weight)
        if isRebuilt {
            rebuild.sums.stage(stored, base, sign: sign, cluster: cluster, weight: weight)
        }
    }

    mutating func changeMedian(_ index: Int, _ value: Double, adding: Bool) {
        guard !value.isNaN else { return }
        switch (sketches[index].isFixedWidth, adding) {
        case (true, true): sketches[index].fixedWidth.add(value)
        case (true, false): sketches[index].fixedWidth.remove(value)
        case (false, true): sketches[index].logarithmic.add(value)
        case (false, false): sketches[index].logarithmic.remove(value)
        }
    }

    // MARK: abort

    /// What an abort puts back beside the rows.
    struct Saved {
        fileprivate var sums: RunningSums.Saved
        fileprivate var rebuild: StatisticsRebuild.Saved
        fileprivate var changedCustomers: Int
        fileprivate var drift: Double?
    }

    /// Saves sums at the begin of a transaction; nothing may be dirty.
    func save() -> Saved {
        assert(dirty.isEmpty)
        return Saved(
            sums: sums.save(),
            rebuild: rebuild.save(),
            changedCustomers: changedCustomers,
            drift: drift
        )
    }

    /// Puts sums back; medians go back row by row through `exchangeMedians`.
    mutating func restore(_ saved: Saved) {
        sums.restore(saved.sums)
        rebuild.restore(saved.rebuild)
        changedCustomers = saved.changedCustomers
        drift = saved.drift
    }

    /// Takes a row's values out of the medians, or puts them in.
    mutating func exchangeMedians(
        _ row: Int,
        _ table: borrowing CustomerTable,
        landmarks: [Double],
        adding: Bool
    ) {
        readStored(row, table, landmarks)
        for (k, feature) in schema.missable.enumerated() {
            changeMedian(k, newStored[feature], adding: adding)
        }
    }

    // MARK: as a whole

    /// Starts to count changed customers anew, as a refit does.
    mutating func forgetChanges(in table: inout CustomerTable) {
        changedCustomers = 0
        for row in 0..<table.rowEnd where table.isInUse(row) { table.clearChanged(row) }
    }

    /// Changes that a refit has taken note of count no more (negative), or count again because it
    /// came to nothing.
    mutating func addChangedCustomers(_ count: Int, of all: Int) {
        changedCustomers = max(0, min(all, changedCustomers + count))
    }

    /// Forgets all medians.
    mutating func resetMedians() { sketches = Self.emptySketches(schema) }

    /// Forgets the members of all segments: every row is to be scored again.
    mutating func resetClusters(count: Int) {
        sums.resetClusters(count: count)
        rebuild.sums.resetClusters(count: count)
    }

    /// Adds the rows that a model has scored as members of its segments, which have none yet.
    mutating func addMembers(of model: ModelInForce, in table: CustomerTable, landmarks: [Double]) {
        precondition(dirty.isEmpty)
        for row in 0..<table.rowEnd where table.isInUse(row) && !table.isOutlier(row) {
            let cluster = cluster(of: row, table, model)
            guard cluster >= 0 else { continue }
            readStored(row, table, landmarks)
            let weight = weight(at: table.clock(row))
            sums.addMember(newStored, cluster: cluster, weight: weight)
            if row < rebuild.cursor {
                rebuild.sums.addMember(newStored, cluster: cluster, weight: weight)
            }
        }
    }

    /// Medians of all customers at a moment; NaN for a feature that nobody has.
    ///
    /// `[d]`, feature
    /// units; 0 for features that are never missing.
    func medians(factors: [Double], shifts: [Double]) -> [Double] {
        var result = Array(repeating: 0.0, count: schema.featureCount)
        for (k, feature) in schema.missable.enumerated() {
            let median = sketches[k].median()
            result[feature] = median.map { factors[feature] * $0 + shifts[feature] } ?? .nan
        }
        return result
    }

    /// Moves decayed features of moments and sums to a later landmark, an exact power of two.
    mutating func advanceLandmark(ofDecay decay: Int, by count: Double) {
        assert(dirty.isEmpty)
        let factor = Double(
            sign: .plus,
            exponent: max(-1022, Int(-8 * count)),
            significand: 1
        )
        for (feature, form) in schema.features.enumerated() where form == .decayed(decay) {
            sums.rescale(feature: feature, factor: factor)
            rebuild.sums.rescale(feature: feature, factor: factor)
        }
    }
}
