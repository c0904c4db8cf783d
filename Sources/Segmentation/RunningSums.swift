import OnlineLearning

/// Moments of the population, and members and sums of every segment, about the same centres.
///
/// Rows are staged first, as `u = [1, a - c, m]`, and enter the moments together, as one rank-k
/// update; members enter their segment at once. Where the model forgets, each row enters with the
/// weight of its customer, and is taken out with the same.
struct RunningSums: Sendable {
    private(set) var moments: FeatureMoments
    private(set) var clusters: MiniBatchKMeans
    /// Rows in the moments.
    private(set) var rowCount = 0
    private let isWeighted: Bool
    private var unit = WeightUnit()
    private var batch: [Double] = []
    private var signs: [Double] = []

    /// What weights are kept in, and the largest that have been added; without weights not used.
    fileprivate struct WeightUnit: Sendable {
        /// Of the newest row ever added; nil before one.
        var landmark: Int?
        var largestWeight = 0.0
        /// `[d]`: largest `weight (a - c)^2`.
        var largestTerms: [Double] = []
    }

    /// - Parameters:
    ///   - schema: features.
    ///   - centres: `[d]`, stored units.
    ///   - clusterCount: segments.
    init(schema: CompiledSchema, centres: [Double], clusterCount: Int) {
        moments = FeatureMoments(
            featureCount: schema.featureCount,
            missableFeatures: schema.missable,
            centres: centres
        )
        clusters = MiniBatchKMeans(clusterCount: clusterCount, dimension: moments.dimension)
        isWeighted = schema.forgetting != nil
        if isWeighted {
            unit.largestTerms = Array(repeating: 0, count: schema.featureCount)
        }
    }

    /// `[d]`, stored units.
    var centres: [Double] { moments.centres }

    /// Landmark of the weights; nil before the first row, and without weights.
    var landmark: Int? { unit.landmark }

    /// Rows staged.
    var stagedCount: Int { signs.count }

    /// Stages a row for the moments, and adds it to its segment or takes it out.
    ///
    /// - Parameters:
    ///   - stored: stored units, NaN where missing.
    ///   - base: where the row begins.
    ///   - sign: 1 adds it, -1 takes it out.
    ///   - cluster: index of its segment; negative for none.
    ///   - weight: of its customer.
    mutating func stage(
        _ stored: [Double],
        _ base: Int,
        sign: Double,
        cluster: Int,
        weight: RecencyWeight
    ) {
        let weight = inUnits(weight)
        let start = batch.count
        append(stored, base)
        signs.append(sign * weight)
        rowCount += sign > 0 ? 1 : -1
        exchangeMember(start, sign: sign, cluster: cluster, weight: weight)
    }

    /// Follows a row that was only scored again: its values are what they were, so all it can do is
    /// to change its segment, and to enter or leave training.
    ///
    /// - Parameters:
    ///   - stored: stored units, NaN where missing.
    ///   - base: where the row begins.
    ///   - source: index of the segment it was in, negative for none; nil outside of training.
    ///   - target: the same of the segment it is in.
    ///   - weight: of its customer.
    mutating func move(
        _ stored: [Double],
        _ base: Int,
        from source: Int?,
        to target: Int?,
        weight: RecencyWeight
    ) {
        switch (source, target) {
        case (let source?, let target?):
            guard source != target else { return }
            let value = inUnits(weight)
            let start = batch.count
            append(stored, base)
            exchangeMember(start, sign: -1, cluster: source, weight: value)
            exchangeMember(start, sign: 1, cluster: target, weight: value)
            batch.removeLast(moments.dimension)
        case (let source?, nil):
            stage(stored, base, sign: -1, cluster: source, weight: weight)
        case (nil, let target?):
            stage(stored, base, sign: 1, cluster: target, weight: weight)
        case (nil, nil): break
        }
    }

    /// Appends the u of a row to the batch.
    private mutating func append(_ stored: [Double], _ base: Int) {
        batch.append(1)
        for j in 0..<moments.featureCount {
            let a = stored[base &+ j]
            batch.append(a.isNaN ? 0 : a - moments.centres[j])
        }
        for feature in moments.missableFeatures {
            batch.append(stored[base + feature].isNaN ? 1 : 0)
        }
    }

    /// Adds the row of the batch that starts at `start` to a segment, or takes it out.
    private mutating func exchangeMember(
        _ start: Int,
        sign: Double,
        cluster: Int,
        weight: Double
    ) {
        guard cluster >= 0 else { return }
        let index = start / moments.dimension
        if sign > 0 {
            clusters.add(rows: batch, rowIndex: index, cluster: cluster, weight: weight)
        } else {
            clusters.remove(rows: batch, rowIndex: index, cluster: cluster, weight: weight)
        }
    }

    // MARK: weights

    /// A weight in the unit of these sums, which goes on with the newest customer.
    private mutating func inUnits(_ weight: RecencyWeight) -> Double {
        guard isWeighted else { return 1 }
        guard let landmark = unit.landmark, weight.landmark <= landmark else {
            rescaleWeights(to: weight.landmark)
            return weight.value(from: weight.landmark)
        }
        return weight.value(from: landmark)
    }

    /// Brings the sums to another landmark, an exact power of two.
    mutating func rescaleWeights(to landmark: Int) {
        defer { unit.landmark = landmark }
        guard let own = unit.landmark, own != landmark else { return }
        applyStaged()
        let factor = RecencyWeight.factor(from: own, to: landmark)
        moments.scaleWeights(by: factor)
        clusters.scaleWeights(by: factor)
        unit.largestWeight *= factor
        for feature in unit.largestTerms.indices { unit.largestTerms[feature] *= factor }
    }

    /// Notes the largest weights and terms of what is staged.
    private mutating func noteLargest() {
        for (row, weight) in signs.enumerated() where weight > 0 {
            unit.largestWeight = max(unit.largestWeight, weight)
            let start = row * moments.dimension + 1
            for feature in 0..<moments.featureCount {
                let value = batch[start + feature]
                unit.largestTerms[feature] = max(unit.largestTerms[feature], weight * value * value)
            }
        }
    }

    /// Starts anew where nobody is left: what the sums still hold is rounding.
    private mutating func emptyWhenNobodyIsLeft() {
        guard rowCount == 0 else { return }
        moments = FeatureMoments(
            featureCount: moments.featureCount,
            missableFeatures: moments.missableFeatures,
            centres: centres
        )
        unit = WeightUnit(
            largestTerms: Array(repeating: 0, count: moments.featureCount)
        )
    }

    /// Whether all that are there weigh next to nothing beside somebody who has gone, and so has
    /// left the rounding of a much larger sum; never without weights.
    var hasLostWeight: Bool {
        isWeighted && rowCount > 0 && !(unit.largestWeight <= 256 * moments.count)
    }

    /// Largest weight ever added; 0 without weights.
    var largestWeight: Double { unit.largestWeight }

    /// Largest square of a feature ever added, times its weight.
    func largestTerm(of feature: Int) -> Double {
        isWeighted ? unit.largestTerms[feature] : moments.largestSquares[feature]
    }

    // MARK: as a whole

    /// Brings the moments up to what is staged.
    mutating func applyStaged() {
        guard !signs.isEmpty else { return }
        moments.update(rows: batch, signs: signs, rowCount: signs.count)
        if isWeighted {
            noteLargest()
            emptyWhenNobodyIsLeft()
        }
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }

    /// Adds a row, that the moments know already, to its segment.
    mutating func addMember(_ stored: [Double], cluster: Int, weight: RecencyWeight) {
        move(stored, 0, from: -1, to: cluster, weight: weight)
    }

    /// Forgets the members of all segments.
    mutating func resetClusters(count: Int) {
        clusters = MiniBatchKMeans(clusterCount: count, dimension: moments.dimension)
    }

    /// Follows a change of landmark: every stored value of the feature is multiplied.
    mutating func rescale(feature: Int, factor: Double) {
        moments.rescale(feature: feature, factor: factor)
        clusters.rescale(column: 1 + feature, factor: factor)
        if isWeighted { unit.largestTerms[feature] *= factor * factor }
    }

    /// What an abort puts back.
    struct Saved: Sendable {
        fileprivate var moments: FeatureMoments
        fileprivate var clusters: MiniBatchKMeans
        fileprivate var rowCount: Int
        fileprivate var unit: WeightUnit
    }

    /// Saves the sums; nothing may be staged.
    func save() -> Saved {
        assert(signs.isEmpty)
        return Saved(moments: moments, clusters: clusters, rowCount: rowCount, unit: unit)
    }

    /// Puts the sums back.
    mutating func restore(_ saved: Saved) {
        moments = saved.moments
        clusters = saved.clusters
        rowCount = saved.rowCount
        unit = saved.unit
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }
}
