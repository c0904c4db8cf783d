import Glibc

/// What a customer weighs in training where the model forgets: 2^(clock / half-life).
///
/// Only ratios of weights mean anything, so sums keep them in units of a power of two, their
/// landmark. Significand and exponent are of the clock alone; so a change of landmark, an exact
/// power of two, makes of a weight that was added what will be taken out.
struct RecencyWeight: Sendable, Equatable {
    /// 1 up to below 2.
    var significand: Double
    var exponent: Int

    /// What everybody weighs where nothing is forgotten.
    static let one = RecencyWeight(significand: 1, exponent: 0)

    /// Weights are rounded up to 2^-900 of a unit, so that none is 0.
    private static let exponentMin = -900

    /// Exponents from one landmark to the next, as for decayed slots.
    private static let landmarkStep = 8

    /// The landmark that the weight belongs to: from 1 up to below 2^8 of its units.
    var landmark: Int {
        exponent >= 0
            ? exponent / Self.landmarkStep
            : (exponent - Self.landmarkStep + 1) / Self.landmarkStep
    }

    /// The weight in units of a landmark.
    func value(from landmark: Int) -> Double {
        let distance = max(Self.exponentMin, exponent - Self.landmarkStep * landmark)
        return scalbn(significand, Int32(distance))
    }

    /// What a unit of one landmark is in units of another, a power of two.
    static func factor(from landmark: Int, to other: Int) -> Double {
        let exponent = landmarkStep * (landmark - other)
        return Double(sign: .plus, exponent: max(-1022, min(1023, exponent)), significand: 1)
    }
}

/// Forgetting as it was declared: how a weight follows from a row.
struct Forgetting: Sendable, Equatable {
    /// Silence that halves what a customer weighs.
    let halfLifeMilliseconds: Int64

    /// The weight of a customer whose newest event is of this time.
    func weight(at clock: Int64) -> RecencyWeight {
        let halfLives = DayCalendar.floorDivide(clock, halfLifeMilliseconds)
        let rest = clock - halfLives * halfLifeMilliseconds
        return RecencyWeight(
            significand: exp2(Double(rest) / Double(halfLifeMilliseconds)),
            exponent: Int(halfLives)
        )
    }

    /// Weights of rows for a refit, as shares: on average 1, so that sums over rows keep the
    /// meaning that they have without weights.
    ///
    /// - Parameters:
    ///   - rows: those in training, one or more.
    ///   - table: their table.
    /// - Returns: `[table.rowEnd]`, positive; 0 for rows that are not in training.
    func shares(of rows: [Int], in table: CustomerTable) -> [Double] {
        var shares = Array(repeating: 0.0, count: table.rowEnd)
        guard let newest = rows.map({ table.clock($0) }).max() else { return shares }
        let landmark = weight(at: newest).landmark
        var sum = 0.0
        for row in rows {
            shares[row] = weight(at: table.clock(row)).value(from: landmark)
            sum += shares[row]
        }
        let factor = Double(rows.count) / sum
        for row in rows { shares[row] *= factor }
        return shares
    }
}
