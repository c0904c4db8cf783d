import Glibc

/// Features of a row: stored units for the statistics, values at a moment for decisions.
///
/// `value(t) = f(t) * a + s(t)`, with `a` per customer and `f`, `s` the same for everyone (DESIGN,
/// section 4), so that idle customers age at no cost.
struct FeatureEvaluator: Sendable {
    let schema: CompiledSchema
    /// Stored `a` of the row last read; 0 where missing.
    private(set) var stored: [Double]
    /// 1 where the feature is missing, else 0; per feature.
    private(set) var isMissing: [Bool]
    /// Values at the moment last asked for; missing ones imputed.
    private(set) var values: [Double]
    /// Decayed slots of the row last read, as the row itself stores them: what a customer is worth at a
    /// moment must not depend on how far everyone's landmark has come.
    private var decayed: [(value: Double, landmark: Double)]
    private var yearStart: Int64 = 0
    private var yearEnd: Int64 = 0
    private var year: Double = 0

    init(schema: CompiledSchema) {
        self.schema = schema
        stored = Array(repeating: 0, count: schema.featureCount)
        isMissing = Array(repeating: false, count: schema.featureCount)
        values = stored
        decayed = Array(repeating: (0, 0), count: schema.decays.count)
    }

    /// Reads `a` of every feature, decayed slots against the landmarks of the sums.
    ///
    /// - Parameter landmarks: index of the landmark of each decayed slot's sums.
    mutating func read(_ row: Int, of table: CustomerTable, landmarks: [Double]) {
        for index in 0..<schema.featureCount {
            let a: Double
            switch schema.features[index] {
            case .number(let slot): a = table.numbers[row, slot]
            case .log1p(let slot): a = log1p(max(-0.999_999, table.numbers[row, slot]))
            case .sum(let first, let count):
                var sum = 0.0
                for k in first..<(first + count) { sum += table.numbers[row, schema.sumParts[k]] }
                a = sum
            case .yearsSince(let slot), .daysSince(let slot): a = -table.numbers[row, slot]
            case .decayed(let decay):
                let slot = schema.decays[decay]
                let landmark = table.numbers[row, slot.landmark]
                decayed[decay] = (table.numbers[row, slot.value], landmark)
                a = scalbn(table.numbers[row, slot.value], Int32(8 * (landmark - landmarks[decay])))
            case .level(let slot, let level, let defaultLevel):
                let value = table.numbers[row, slot]
                let own = value.isNaN ? defaultLevel : Int(value)
                a = own == level ? 1 : 0
            }
            isMissing[index] = a.isNaN
            stored[index] = a.isNaN ? 0 : a
        }
    }

    /// Factor f(t) and shift s(t) of every feature.
    mutating func factors(
        at time: Int64,
        landmarks: [Double]
    ) -> (factors: [Double], shifts: [Double]) {
        var factors = Array(repeating: 1.0, count: schema.featureCount)
        var shifts = Array(repeating: 0.0, count: schema.featureCount)
        for index in 0..<schema.featureCount {
            switch schema.features[index] {
            case .yearsSince: shifts[index] = decimalYear(time)
            case .daysSince: shifts[index] = Double(time) / Double(DayCalendar.dayMilliseconds)
            case .decayed(let decay):
                factors[index] = Decay.factor(
                    at: time,
                    landmark: landmarks[decay],
                    halfLife: schema.decays[decay].halfLifeMilliseconds
                )
            default: break
            }
        }
        return (factors, shifts)
    }

    /// Computes `values` of the row last read at a moment.
    mutating func evaluate(at time: Int64, imputation: [Double]) {
        for index in 0..<schema.featureCount {
            if isMissing[index] {
                values[index] = imputation[index]
                continue
            }
            switch schema.features[index] {
            case .yearsSince: values[index] = stored[index] + decimalYear(time)
            case .daysSince:
                values[index] = stored[index] + Double(time) / Double(DayCalendar.dayMilliseconds)
            case .decayed(let decay):
                values[index] =
                    decayed[decay].value
                    * Decay.factor(
                        at: time,
                        landmark: decayed[decay].landmark,
                        halfLife: schema.decays[decay].halfLifeMilliseconds
                    )
            default: values[index] = stored[index]
            }
        }
    }

    /// Whether a value is beyond a declared bound; an imputed one never is.
    var isOutlier: Bool {
        for bound in schema.bounds where !isMissing[bound.feature] {
            let value = values[bound.feature]
            if value >= bound.atLeast || value <= bound.atMost { return true }
        }
        return false
    }

    private mutating func decimalYear(_ time: Int64) -> Double {
        if time < yearStart || time >= yearEnd {
            let day = DayCalendar.floorDivide(time, DayCalendar.dayMilliseconds)
            let number = DayCalendar.civilYear(ofDay: day)
            let first = { (year: Int64) in
                DayCalendar.dayNumber(year: year, month: 1, day: 1) * DayCalendar.dayMilliseconds
            }
            year = Double(number)
            yearStart = first(number)
            yearEnd = first(number + 1)
        }
        return year + Double(time - yearStart) / Double(yearEnd - yearStart)
    }
}

/// Forward decay (Cormode, Shkapenyuk, Srivastava and Xu, 2009, doi:10.1109/ICDE.2009.65).
///
/// Landmarks are whole multiples of 8 half-lives since 1970, so that going from one to the next is an
/// exact power of two.
enum Decay {
    /// Landmark that a moment belongs to.
    static func landmark(at time: Int64, halfLife: Double) -> Double {
        (Double(time) / (8 * halfLife)).rounded(.down)
    }

    /// 2^(-(t - landmark) / halfLife): what a stored unit is worth at a moment.
    static func factor(at time: Int64, landmark: Double, halfLife: Double) -> Double {
        exp2(-(Double(time) - landmark * 8 * halfLife) / halfLife)
    }

    /// 2^((t - landmark) / halfLife): what a unit of a moment is stored as.
    static func weight(at time: Int64, landmark: Double, halfLife: Double) -> Double {
        exp2((Double(time) - landmark * 8 * halfLife) / halfLife)
    }
}
