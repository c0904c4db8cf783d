/// Quantiles of values in a bounded range, to half a bucket, from which values can be taken out
/// again.
///
/// For moments in time: an error relative to a birth year would be two years. Bucket k stands for
/// the values nearest to k times the width and answers with exactly that, so whole multiples of the
/// width (dates in days, years in hundredths) come back exact and all others within half a width.
///
/// It holds stored values, which time does not move: the value at a moment is the answer plus that
/// moment's shift.
///
/// Values further from 0 than 2^21 widths (5,741 years of days) count as that far, so that one
/// absurd value cannot take more than 50 MB; they come out again all the same.
public struct FixedWidthSketch: Sendable, Equatable {
    /// Width of a bucket, in the unit of the values.
    public let width: Double
    private static let bucketMax = Double(1 << 21)
    private var window = BucketWindow()

    /// Creates an empty sketch.
    ///
    /// - Parameter width: width of a bucket, positive.
    public init(width: Double) {
        precondition(width > 0 && width.isFinite, "a width must be positive")
        self.width = width
    }

    /// Number of values inside.
    public var count: Int { window.total }

    /// Adds a finite value.
    ///
    /// - Complexity: O(1), without allocation once the range of the data has been seen.
    public mutating func add(_ value: Double) { window.add(bucket(of: value)) }

    /// Takes out a value that was added before.
    ///
    /// - Precondition: a value of the same bucket is inside.
    public mutating func remove(_ value: Double) { window.remove(bucket(of: value)) }

    /// Adds all values of another sketch of the same width.
    public mutating func merge(_ other: FixedWidthSketch) {
        precondition(width == other.width, "sketches of different widths")
        window.merge(other.window)
    }

    /// The value at rank floor(q (count - 1)), nil when empty.
    ///
    /// - Parameter q: 0 to 1.
    /// - Returns: the value its bucket stands for.
    /// - Complexity: O(buckets).
    public func quantile(_ q: Double) -> Double? {
        precondition(0 <= q && q <= 1, "a quantile is from 0 to 1")
        guard count > 0 else { return nil }
        return value(atRank: Int((q * Double(count - 1)).rounded(.down)))
    }

    /// The median, nil when empty; with an even count the mean of the two middle values.
    public func median() -> Double? {
        guard count > 0 else { return nil }
        let upper = value(atRank: count / 2)
        guard count % 2 == 0 else { return upper }
        let lower = value(atRank: count / 2 - 1)
        return lower + (upper - lower) / 2
    }

    private func value(atRank rank: Int) -> Double {
        Double(window.bucket(atRank: rank)) * width
    }

    private func bucket(of value: Double) -> Int {
        precondition(value.isFinite, "missing values are left out by the caller")
        let limit = Self.bucketMax
        return Int(max(-limit, min(limit, (value / width).rounded())))
    }
}
