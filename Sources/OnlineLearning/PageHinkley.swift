/// Detects a rise of the mean of a stream of numbers, and no fall.
///
/// The test of Page (1954, doi:10.1093/biomet/41.1-2.100) in the form of Gama, Žliobaitė, Bifet,
/// Pechenizkiy and Bouchachia (2014, doi:10.1145/2523813): how far each number lies above the mean
/// of those before it, less an allowance, is summed up; when the sum stands a threshold above its
/// least value so far, the mean has risen. Here both are in standard deviations of the numbers so
/// far, so that one setting fits small and large batches.
///
/// With the defaults (allowance k of half a deviation, threshold h of 15 of them) independent
/// normal numbers give a false alarm about once in twenty million: the run length of a cumulative
/// sum is about (exp(2kb) - 2kb - 1) / 2k^2 with b = h + 1.166 (Siegmund, 1985,
/// doi:10.1007/978-1-4757-1862-1). A lasting rise by two deviations is found within some ten to
/// fifteen numbers. A slow rise moves the mean along and stays unseen: that is for a refit by time.
/// Numbers that depend on the one before, such as seasons, alarm earlier.
///
/// A value: a copy of it is all there is to save and to restore. No allocation, O(1) a number,
/// deterministic.
public struct PageHinkley: Sendable, Equatable {
    /// Deviations above the mean that count for nothing.
    public let allowance: Double
    /// Deviations, summed up, that make a rise.
    public let threshold: Double
    /// Least standard deviation, in units of the numbers, so that regular ones do not alarm over
    /// trifles.
    public let leastDeviation: Double
    /// Numbers from which mean and deviation are taken before any counts.
    public let warmUpCount: Int

    /// Numbers seen since the last reset.
    public private(set) var count = 0
    /// Their mean, 0 before the first.
    public private(set) var mean = 0.0
    /// Whether the mean has risen since the last reset; stays until then.
    public private(set) var isRisen = false
    private var squares = 0.0
    /// The sum above its least value, which Page's test compares with the threshold.
    private var excess = 0.0

    /// Creates a detector that has seen nothing.
    ///
    /// - Parameters:
    ///   - allowance: in standard deviations, 0 or more.
    ///   - threshold: in standard deviations, above 0.
    ///   - leastDeviation: in units of the numbers, above 0.
    ///   - warmUpCount: 2 or more.
    public init(
        allowance: Double = 0.5,
        threshold: Double = 15,
        leastDeviation: Double = 0.02,
        warmUpCount: Int = 30
    ) {
        precondition(allowance >= 0 && threshold > 0 && leastDeviation > 0, "out of range")
        precondition(warmUpCount >= 2, "a deviation needs two numbers")
        self.allowance = allowance
        self.threshold = threshold
        self.leastDeviation = leastDeviation
        self.warmUpCount = warmUpCount
    }

    /// Standard deviation of the numbers seen, never below `leastDeviation`.
    public var deviation: Double {
        max(leastDeviation, count > 1 ? (squares / Double(count - 1)).squareRoot() : 0)
    }

    /// How near a rise is: 0 to 1 and above; never below 1 once there was one.
    public var level: Double { max(isRisen ? 1 : 0, excess / threshold) }

    /// Takes the next number; one that is not finite is left out.
    public mutating func add(_ number: Double) {
        guard number.isFinite else { return }
        if count >= warmUpCount {
            excess = max(0, excess + (number - mean) / deviation - allowance)
            if excess > threshold { isRisen = true }
        }
        count += 1
        let difference = number - mean
        mean += difference / Double(count)
        squares += difference * (number - mean)
    }

    /// Forgets all numbers, such as when a new model makes them.
    public mutating func reset() {
        self = PageHinkley(
            allowance: allowance,
            threshold: threshold,
            leastDeviation: leastDeviation,
            warmUpCount: warmUpCount
        )
    }
}
