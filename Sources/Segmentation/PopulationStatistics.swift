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
        var isRemoved = false
        /// The customer changed, and not only the score of the row.
        var isChange = true
    }

    let schema: CompiledSchema
    private(set) var moments: FeatureMoments
    private(set) var sketches: [MedianSketch]
    /// Members and sums of every segment, for rows scored by the present version.
    private(set) var clusters: MiniBatchKMeans
    /// Rows changed since the last refit.
    private(set) var changedCustomers = 0
    private var evaluator: FeatureEvaluator
    private(set) var centres: [Double]
    private var epoch: UInt32 = 1
    private var dirty: [Dirty] = []
    /// Numbers of the dirty rows from before their change, as the table holds them.
    private var oldNumbers: [Double] = []
    /// Numbers of some of them now.
    private var newNumbers: [Double] = []
    /// What both are in stored units, NaN where missing.
    private var oldStored: [Double] = []
    private var newStored: [Double] = []
    private var batch: [Double] = []
    private var signs: [Double] = []

    /// Rows that `flush` evaluates at a time: few enough for the nearest cache.
    private static let group = 16

    /// Width of u = [1, a, missing flags].
    var dimension: Int { 1 + schema.featureCount + schema.missable.count }

    init(schema: CompiledSchema) {
        self.schema = schema
        evaluator = FeatureEvaluator(schema: schema)
        centres = Array(repeating: 0, count: schema.featureCount)
        moments = FeatureMoments(
            featureCount: schema.featureCount,
            missableFeatures: schema.missable,
            centres: centres
        )
        sketches = Self.emptySketches(schema)
        clusters = MiniBatchKMeans(
            clusterCount: 0,
            dimension: 1 + schema.featureCount + schema.missable.count
        )
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
    var mayTeach: Bool { moments.count > 0 || !dirty.isEmpty }

    // MARK: changes

    /// Notes a row just inserted.
    mutating func markInserted(_ row: Int, of table: inout CustomerTable) {
        table.setDirty(row, epoch: epoch)
        append(Dirty(row: row, had: false, wasTraining: false, oldCluster: -1))
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

    private func cluster(of row: Int, _ table: CustomerTable, _ model: ModelInForce?) -> Int {
        guard let model, table.modelVersion(row) == model.model.version else { return -1 }
        return model.model.index(ofSegment: table.membership(row))
    }

    /// Reads one row into the first of `newStored`.
    private mutating func readStored(
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
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
        var start = 0
        while start < dirty.count {
            let end = min(dirty.count, start + Self.group)
            evaluate(start..<end, table, landmarks)
            for index in start..<end {
                flush(dirty[index], at: (index - start) * schema.featureCount, &table, model)
            }
            start = end
        }
        moments.update(rows: batch, signs: signs, rowCount: signs.count)
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
        guard entry.isChange else {
            moveMember(entry, at: base, table, model)
            return
        }
        if entry.had {
            for (k, feature) in schema.missable.enumerated() {
                changeMedian(k, oldStored[base + feature], adding: false)
            }
            if entry.wasTraining { stage(oldStored, base, sign: -1, cluster: entry.oldCluster) }
        }
        guard !entry.isRemoved else { return }
        for (k, feature) in schema.missable.enumerated() {
            changeMedian(k, newStored[base + feature], adding: true)
        }
        if !table.isOutlier(entry.row) {
            stage(newStored, base, sign: 1, cluster: cluster(of: entry.row, table, model))
        }
        if table.markChanged(entry.row) { changedCustomers += 1 }
    }

    /// Follows a row that was only scored again: its numbers are what they were, so all it can do
    /// is to change its cluster, and to enter or leave training.
    private mutating func moveMember(
        _ entry: Dirty,
        at base: Int,
        _ table: borrowing CustomerTable,
        _ model: ModelInForce?
    ) {
        let isTraining = !table.isOutlier(entry.row)
        let cluster = cluster(of: entry.row, table, model)
        if isTraining && entry.wasTraining {
            guard cluster != entry.oldCluster else { return }
            let staged = batch.count
            appendRow(newStored, base)
            exchangeMember(staged, sign: -1, cluster: entry.oldCluster)
            exchangeMember(staged, sign: 1, cluster: cluster)
            batch.removeLast(dimension)
        } else if entry.wasTraining {
            stage(newStored, base, sign: -1, cluster: entry.oldCluster)
        } else if isTraining {
            stage(newStored, base, sign: 1, cluster: cluster)
        }
    }

    /// Adds a row, given in stored units, to the batch of the moments and to its cluster.
    private mutating func stage(_ stored: [Double], _ base: Int, sign: Double, cluster: Int) {
        let start = batch.count
        appendRow(stored, base)
        signs.append(sign)
        exchangeMember(start, sign: sign, cluster: cluster)
    }

    /// Appends the u of a row to the batch.
    private mutating func appendRow(_ stored: [Double], _ base: Int) {
        batch.append(1)
        for j in 0..<schema.featureCount {
            let a = stored[base &+ j]
            batch.append(a.isNaN ? 0 : a - centres[j])
        }
        for feature in schema.missable { batch.append(stored[base + feature].isNaN ? 1 : 0) }
    }

    /// Adds the row of the batch that starts at `start` to a cluster, or takes it out; -1 is none.
    private mutating func exchangeMember(_ start: Int, sign: Double, cluster: Int) {
        guard cluster >= 0 else { return }
        if sign > 0 {
            clusters.add(rows: batch, rowIndex: start / dimension, cluster: cluster)
        } else {
            clusters.remove(rows: batch, rowIndex: start / dimension, cluster: cluster)
        }
    }

    private mutating func changeMedian(_ index: Int, _ value: Double, adding: Bool) {
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
        fileprivate var moments: FeatureMoments
        fileprivate var clusters: MiniBatchKMeans
        fileprivate var changedCustomers: Int
        fileprivate var centres: [Double]
    }

    /// Saves sums at the begin of a transaction; nothing may be dirty.
    func save() -> Saved {
        assert(dirty.isEmpty)
        return Saved(
            moments: moments,
            clusters: clusters,
            changedCustomers: changedCustomers,
            centres: centres
        )
    }

    /// Puts sums back; medians go back row by row through `exchangeMedians`.
    mutating func restore(_ saved: Saved) {
        moments = saved.moments
        centres = saved.moments.centres
        clusters = saved.clusters
        changedCustomers = saved.changedCustomers
        centres = saved.centres
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

    // MARK: from the table

    /// Whether something very large has come and gone, and has left its rounding in a sum: the
    /// largest square ever added is more than 10,000 times what the sum of squares is now.
    var hasLostDigits: Bool {
        for feature in 0..<schema.featureCount {
            let position = 1 + feature
            // Row of the packed upper triangle: D, then D - 1 and so on down to the diagonal.
            let sum = moments.upper[
                position * dimension - position * (position - 1) / 2
            ]
            // Zeros and ones cancel exactly. Any other sum of 0 may have lost all its digits, and
            // left some in the sums beside it.
            if case .level = schema.features[feature] { continue }
            if moments.largestSquares[feature] > 1e4 * abs(sum) { return true }
        }
        return false
    }

    /// Rebuilds everything from the rows, about new centres, which removes any rounding drift.
    ///
    /// - Parameters:
    ///   - table: the rows.
    ///   - newCentres: `[d]`, stored units.
    ///   - model: the model in force, for the members of its segments.
    ///   - landmarks: index of the landmark of each decayed slot.
    ///   - forgetsChanges: start to count changed customers anew, as a refit does.
    /// - Precondition: nothing is dirty.
    mutating func rebuild(
        from table: inout CustomerTable,
        centres newCentres: [Double],
        model: ModelInForce?,
        landmarks: [Double],
        forgetsChanges: Bool = true
    ) {
        precondition(dirty.isEmpty)
        centres = newCentres
        moments = FeatureMoments(
            featureCount: schema.featureCount,
            missableFeatures: schema.missable,
            centres: centres
        )
        sketches = Self.emptySketches(schema)
        clusters = MiniBatchKMeans(
            clusterCount: model?.model.segments.count ?? 0,
            dimension: dimension
        )
        if forgetsChanges { changedCustomers = 0 }
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
        for row in 0..<table.rowEnd where table.isInUse(row) {
            if forgetsChanges { table.clearChanged(row) }
            readStored(row, table, landmarks)
            for (k, feature) in schema.missable.enumerated() {
                changeMedian(k, newStored[feature], adding: true)
            }
            if !table.isOutlier(row) {
                stage(newStored, 0, sign: 1, cluster: cluster(of: row, table, model))
            }
            if signs.count >= 4096 { flushBatch() }
        }
        flushBatch()
    }

    /// Changes that a refit has taken note of count no more (negative), or count again because it
    /// came to nothing.
    mutating func addChangedCustomers(_ count: Int, of all: Int) {
        changedCustomers = max(0, min(all, changedCustomers + count))
    }

    private mutating func flushBatch() {
        moments.update(rows: batch, signs: signs, rowCount: signs.count)
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }

    /// Forgets the members of all segments: every row is to be scored again.
    mutating func resetClusters(count: Int) {
        clusters = MiniBatchKMeans(clusterCount: count, dimension: dimension)
    }

    /// Adds the rows that a model has scored as members of its segments, which have none yet.
    mutating func addMembers(of model: ModelInForce, in table: CustomerTable, landmarks: [Double]) {
        precondition(dirty.isEmpty)
        for row in 0..<table.rowEnd where table.isInUse(row) && !table.isOutlier(row) {
            let cluster = cluster(of: row, table, model)
            guard cluster >= 0 else { continue }
            readStored(row, table, landmarks)
            batch.removeAll(keepingCapacity: true)
            stage(newStored, 0, sign: 1, cluster: cluster)
        }
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }

    /// Means of stored units, with which new centres are chosen; `[d]`.
    func storedMeans() -> [Double] {
        let ones = Array(repeating: 1.0, count: schema.featureCount)
        let zeros = Array(repeating: 0.0, count: schema.featureCount)
        let sums = moments.view(factors: ones, shifts: zeros, imputation: zeros)
        // Of those who have it: a centre between them and the missing ones would cost digits.
        return sums.mean.indices.map { feature in
            let known = sums.count - moments.missingCount(of: feature)
            return known > 0 ? sums.mean[feature] * (sums.count / known) : centres[feature]
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
            moments.rescale(feature: feature, factor: factor)
            clusters.rescale(column: 1 + feature, factor: factor)
            centres[feature] *= factor
        }
    }
}
