public import Kernels

/// The directions in which scaled features vary most.
///
/// They are eigenvectors of the correlation matrix. A constant feature has no share in it and
/// loadings of exactly 0. Successive fits are aligned, so that scores stay comparable from one to
/// the next.
public struct PrincipalComponents: Sendable, Equatable {
    /// `[p x featureCount]`, row-major, orthonormal rows; a row of zeros where there are fewer
    /// informative features than components.
    public var components: [Double]
    /// `[p]`, descending: eigenvalues of the correlation matrix.
    public var explainedVariance: [Double]
    /// `[p]`: eigenvalue / trace, 0 to 1.
    public var explainedVarianceRatio: [Double]
    /// Number of features, constant ones included.
    public var featureCount: Int

    /// Eigenvalues closer than this, relative to the larger one, leave their vectors undetermined.
    public static let tieShare = 0.01

    /// Creates components from their parts.
    public init(
        components: [Double],
        explainedVariance: [Double],
        explainedVarianceRatio: [Double],
        featureCount: Int
    ) {
        let count = explainedVariance.count
        precondition(components.count == count * featureCount, "components of another shape")
        precondition(explainedVarianceRatio.count == count, "ratios of another shape")
        self.components = components
        self.explainedVariance = explainedVariance
        self.explainedVarianceRatio = explainedVarianceRatio
        self.featureCount = featureCount
    }

    /// Number of components, p.
    public var count: Int { explainedVariance.count }

    /// Fits the first components to a covariance.
    ///
    /// Signs: at the first fit the largest loading is positive (of equally large ones the first);
    /// afterwards each component agrees with the previous one. Groups of retained components whose
    /// eigenvalues lie within 1 % are first rotated towards the previous ones by orthogonal
    /// Procrustes (Schönemann, 1966, doi:10.1007/BF02289451), never together with a component that
    /// is cut off; the variances remain eigenvalues.
    ///
    /// - Parameters:
    ///   - covariance: `[d x d]`, row-major, of the unscaled features.
    ///   - scale: `[d]`, positive: deviation of each feature.
    ///   - isConstant: `[d]`: features to leave out.
    ///   - p: components to retain, 1 to d.
    ///   - previous: `[p x d]`: components to agree with, nil at the first fit.
    /// - Returns: the components.
    /// - Throws: `NumericError` when the covariance is not finite or a decomposition failed: keep
    ///   the previous components.
    /// - Complexity: O(d^3) time, O(d^2) memory.
    public static func fit(
        covariance: [Double],
        scale: [Double],
        isConstant: [Bool],
        count p: Int,
        previous: [Double]? = nil
    ) throws(NumericError) -> PrincipalComponents {
        let d = scale.count
        precondition(covariance.count == d * d && isConstant.count == d, "other shape")
        precondition(0 < p && p <= d, "one to all components can be retained")
        precondition(previous.map { $0.count == p * d } ?? true, "previous ones of another shape")
        var fit = PrincipalComponents(
            components: [Double](repeating: 0, count: p * d),
            explainedVariance: [Double](repeating: 0, count: p),
            explainedVarianceRatio: [Double](repeating: 0, count: p),
            featureCount: d
        )
        let informative = (0..<d).filter { !isConstant[$0] }
        let order = informative.count
        guard order > 0 else { return fit }
        var correlation = [Double](repeating: 0, count: order * order)
        for (row, j) in informative.enumerated() {
            for (column, k) in informative.enumerated() {
                correlation[row * order + column] = covariance[j * d + k] / (scale[j] * scale[k])
            }
        }
        let trace = (0..<order).reduce(0.0) { $0 + correlation[$1 * order + $1] }
        let (values, vectors) = try SymmetricEigen.decompose(correlation, order: order)
        for component in 0..<min(p, order) {
            fit.explainedVariance[component] = max(0, values[component])
            fit.explainedVarianceRatio[component] = max(0, values[component]) / trace
            for (column, feature) in informative.enumerated() {
                fit.components[component * d + feature] = vectors[component * order + column]
            }
        }
        if let previous { try fit.rotateTies(towards: previous, among: min(p, order)) }
        for component in 0..<min(p, order) { fit.fixSign(of: component, previous: previous) }
        return fit
    }

    /// Rotates each group of nearly equal eigenvalues towards the previous components.
    private mutating func rotateTies(
        towards previous: [Double],
        among retained: Int
    ) throws(NumericError) {
        var first = 0
        while first < retained {
            var end = first + 1
            while end < retained
                && explainedVariance[end - 1] - explainedVariance[end]
                    < Self.tieShare * explainedVariance[end - 1]
            {
                end += 1
            }
            if end - first > 1 { try rotate(first..<end, towards: previous) }
            first = end
        }
    }

    private mutating func rotate(
        _ group: Range<Int>,
        towards previous: [Double]
    ) throws(NumericError) {
        let order = group.count
        var overlap = [Double](repeating: 0, count: order * order)
        for i in 0..<order {
            for j in 0..<order {
                overlap[i * order + j] = dot(
                    previous,
                    group.lowerBound + i,
                    components,
                    group.lowerBound + j
                )
            }
        }
        let (left, values, right) = try SingularValues.decompose(overlap, order: order)
        // Where the old directions are all but absent from the group, the rotation is arbitrary.
        guard values[order - 1] > 1e-6 else { return }
        var rotated = [Double](repeating: 0, count: order * featureCount)
        for i in 0..<order {
            for j in 0..<order {
                var factor = 0.0
                for k in 0..<order { factor += left[i * order + k] * right[k * order + j] }
                let source = (group.lowerBound + j) * featureCount
                for feature in 0..<featureCount {
                    rotated[i * featureCount + feature] += factor * components[source + feature]
                }
            }
        }
        let start = group.lowerBound * featureCount
        components.replaceSubrange(start..<start + rotated.count, with: rotated)
    }

    private mutating func fixSign(of component: Int, previous: [Double]?) {
        let range = component * featureCount..<(component + 1) * featureCount
        let agreement = previous.map { dot($0, component, components, component) } ?? 0
        var isPositive = agreement > 0
        if agreement == 0 {
            let largest = components[range].reduce(0) { max($0, abs($1)) }
            // One-hot pairs have opposite loadings of one size, told apart by rounding only.
            let leader = components[range].first { abs($0) >= largest * (1 - 1e-9) } ?? 0
            isPositive = leader >= 0
        }
        // 0 minus 0 would be a negative zero in the bundle.
        if !isPositive {
            for index in range where components[index] != 0 { components[index].negate() }
        }
    }

    private func dot(_ a: [Double], _ row: Int, _ b: [Double], _ other: Int) -> Double {
        (0..<featureCount).reduce(0.0) {
            $0 + a[row * featureCount + $1] * b[other * featureCount + $1]
        }
    }
}
