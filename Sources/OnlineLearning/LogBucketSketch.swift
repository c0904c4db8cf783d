import Glibc

/// Quantiles of values of any size, to 0.1 % of the value, from which values can be taken out
/// again.
///
/// DDSketch (Masson, Rim and Lee, 2019, doi:10.14778/3352063.3352135) with bucket bounds at powers
/// of 2^(1/350): the value at a rank comes back within 0.0991 % of itself, zero as exactly zero. No
/// bucket is ever collapsed, because a count must come out where it went in. A power of two moves a
/// value by exactly 350 buckets, so that a change of landmark is `shift(buckets:)`.
///
/// Memory is 8 bytes for each bucket between the smallest and the largest magnitude seen, 28 kB for
/// three decimal orders, and below 12 MB for every finite double.
public struct LogBucketSketch: Sendable, Equatable {
    /// Buckets in a factor of two.
    public static let bucketsPerOctave = 350

    private var positive = BucketWindow()
    private var negative = BucketWindow()
    private var zeroCount = 0

    /// Creates an empty sketch.
    public init() {}

    /// Number of values inside.
    public var count: Int { positive.total + negative.total + zeroCount }

    /// Adds a finite value.
    ///
    /// - Complexity: O(1), without allocation once the range of the data has been seen.
    public mutating func add(_ value: Double) {
        precondition(value.isFinite, "missing values are left out by the caller")
        if value > 0 {
            positive.add(LogBuckets.bucket(of: value))
        } else if value < 0 {
            negative.add(LogBuckets.bucket(of: -value))
        } else {
            zeroCount += 1
        }
    }

    /// Takes out a value that was added before.
    ///
    /// - Precondition: a value of the same bucket is inside.
    public mutating func remove(_ value: Double) {
        precondition(value.isFinite, "missing values are left out by the caller")
        if value > 0 {
            positive.remove(LogBuckets.bucket(of: value))
        } else if value < 0 {
            negative.remove(LogBuckets.bucket(of: -value))
        } else {
            precondition(zeroCount > 0, "never added")
            zeroCount -= 1
        }
    }

    /// Adds all values of another sketch.
    public mutating func merge(_ other: LogBucketSketch) {
        positive.merge(other.positive)
        negative.merge(other.negative)
        zeroCount += other.zeroCount
    }

    /// Multiplies every value by 2^(buckets / 350); exact for whole octaves.
    public mutating func shift(buckets: Int) {
        positive.shift(by: buckets)
        negative.shift(by: buckets)
    }

    /// The value at rank floor(q (count - 1)), nil when empty.
    ///
    /// - Parameter q: 0 to 1.
    /// - Returns: within 0.0991 % of the value at that rank.
    /// - Complexity: O(buckets).
    public func quantile(_ q: Double) -> Double? {
        precondition(0 <= q && q <= 1, "a quantile is from 0 to 1")
        guard count > 0 else { return nil }
        return value(atRank: Int((q * Double(count - 1)).rounded(.down)))
    }

    /// The median, nil when empty.
    ///
    /// With an even count it is the mean of the two middle values. Both are within 0.0991 %, so the
    /// mean is too unless they differ in sign.
    public func median() -> Double? {
        guard count > 0 else { return nil }
        let upper = value(atRank: count / 2)
        guard count % 2 == 0 else { return upper }
        let lower = value(atRank: count / 2 - 1)
        return lower + (upper - lower) / 2
    }

    private func value(atRank rank: Int) -> Double {
        if rank < negative.total {
            // Ascending values are descending magnitudes.
            return -LogBuckets.value(of: negative.bucket(atRank: negative.total - 1 - rank))
        }
        let rest = rank - negative.total
        guard rest >= zeroCount else { return 0 }
        return LogBuckets.value(of: positive.bucket(atRank: rest - zeroCount))
    }
}

/// The buckets of positive numbers: 350 to the octave, bounds at powers of 2^(1/350).
///
/// Exponent and significand are looked at separately, so a power of two changes nothing but the
/// octave.
private enum LogBuckets {
    private static let perOctave = LogBucketSketch.bucketsPerOctave

    /// Lower bound of each bucket of [1, 2).
    private static let bounds = (0..<perOctave).map { exp2(Double($0) / Double(perOctave)) }

    /// For each 1/512 of [1, 2) the bucket of its lower end: at most two steps before the right
    /// one.
    private static let firstBuckets = (0..<512).map { slot in
        let lower = 1 + Double(slot) / 512
        return (bounds.firstIndex { $0 > lower } ?? perOctave) - 1
    }

    /// From the lower bound to where the relative error is the same to both bounds.
    private static let middle: Double = {
        let gamma = exp2(1 / Double(perOctave))
        return 2 * gamma / (1 + gamma)
    }()

    static func bucket(of magnitude: Double) -> Int {
        let significand = magnitude.significand
        var bucket = firstBuckets[Int((significand - 1) * 512)]
        while bucket + 1 < perOctave && significand >= bounds[bucket + 1] { bucket += 1 }
        return Int(magnitude.exponent) * perOctave + bucket
    }

    static func value(of bucket: Int) -> Double {
        let octave = Int((Double(bucket) / Double(perOctave)).rounded(.down))
        let significand = bounds[bucket - octave * perOctave] * middle
        return Double(sign: .plus, exponent: octave, significand: significand)
    }
}
