import OnlineLearning

/// Moments of the population, and members and sums of every segment, about the same centres.
///
/// Rows are staged first, as `u = [1, a - c, m]`, and enter the moments together, as one rank-k
/// update; members enter their segment at once.
struct RunningSums: Sendable {
    private(set) var moments: FeatureMoments
    private(set) var clusters: MiniBatchKMeans
    private var batch: [Double] = []
    private var signs: [Double] = []

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
    }

    /// `[d]`, stored units.
    var centres: [Double] { moments.centres }

    /// Rows staged.
    var stagedCount: Int { signs.count }

    /// Stages a row for the moments, and adds it to its segment or takes it out.
    ///
    /// - Parameters:
    ///   - stored: stored units, NaN where missing.
    ///   - base: where the row begins.
    ///   - sign: 1 adds it, -1 takes it out.
    ///   - cluster: index of its segment; negative for none.
    mutating func stage(_ stored: [Double], _ base: Int, sign: Double, cluster: Int) {
        let start = batch.count
        append(stored, base)
        signs.append(sign)
        exchangeMember(start, sign: sign, cluster: cluster)
    }

    /// Follows a row that was only scored again: its values are what they were, so all it can do is
    /// to change its segment, and to enter or leave training.
    ///
    /// - Parameters:
    ///   - stored: stored units, NaN where missing.
    ///   - base: where the row begins.
    ///   - source: index of the segment it was in, negative for none; nil outside of training.
    ///   - target: the same of the segment it is in.
    mutating func move(_ stored: [Double], _ base: Int, from source: Int?, to target: Int?) {
        switch (source, target) {
        case (let source?, let target?):
            guard source != target else { return }
            let start = batch.count
            append(stored, base)
            exchangeMember(start, sign: -1, cluster: source)
            exchangeMember(start, sign: 1, cluster: target)
            batch.removeLast(moments.dimension)
        case (let source?, nil): stage(stored, base, sign: -1, cluster: source)
        case (nil, let target?): stage(stored, base, sign: 1, cluster: target)
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
    private mutating func exchangeMember(_ start: Int, sign: Double, cluster: Int) {
        guard cluster >= 0 else { return }
        if sign > 0 {
            clusters.add(rows: batch, rowIndex: start / moments.dimension, cluster: cluster)
        } else {
            clusters.remove(rows: batch, rowIndex: start / moments.dimension, cluster: cluster)
        }
    }

    /// Brings the moments up to what is staged.
    mutating func applyStaged() {
        guard !signs.isEmpty else { return }
        moments.update(rows: batch, signs: signs, rowCount: signs.count)
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }

    /// Adds a row, that the moments know already, to its segment.
    mutating func addMember(_ stored: [Double], cluster: Int) {
        move(stored, 0, from: -1, to: cluster)
    }

    /// Forgets the members of all segments.
    mutating func resetClusters(count: Int) {
        clusters = MiniBatchKMeans(clusterCount: count, dimension: moments.dimension)
    }

    /// Follows a change of landmark: every stored value of the feature is multiplied.
    mutating func rescale(feature: Int, factor: Double) {
        moments.rescale(feature: feature, factor: factor)
        clusters.rescale(column: 1 + feature, factor: factor)
    }

    /// What an abort puts back.
    struct Saved: Sendable {
        fileprivate var moments: FeatureMoments
        fileprivate var clusters: MiniBatchKMeans
    }

    /// Saves the sums; nothing may be staged.
    func save() -> Saved {
        assert(signs.isEmpty)
        return Saved(moments: moments, clusters: clusters)
    }

    /// Puts the sums back.
    mutating func restore(_ saved: Saved) {
        moments = saved.moments
        clusters = saved.clusters
        batch.removeAll(keepingCapacity: true)
        signs.removeAll(keepingCapacity: true)
    }
}
