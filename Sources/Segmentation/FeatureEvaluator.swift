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
    /// Decayed slots of the row last read, as the row itself stores them: what a customer is worth
    /// at a moment must not depend on how far everyone's landmark has come.
    private var decayed: [(value: Double, landmark: Double)]
    /// Numbers of the row last read.
    private var numbers: [Double]
    private let reader: FeatureReader
    /// Features whose value moves with time.
    private let moving: [Int]
    private var yearStart: Int64 = 0
    private var yearEnd: Int64 = 0
    private var year: Double = 0

    init(schema: CompiledSchema) {
        self.schema = schema
        stored = Array(repeating: 0, count: schema.featureCount)
        isMissing = Array(repeating: false, count: schema.featureCount)
        values = stored
        decayed = Array(repeating: (0, 0), count: schema.decays.count)
        numbers = Array(repeating: 0, count: schema.numberCount)
        reader = FeatureReader(schema: schema)
        moving = schema.features.indices.filter {
            switch schema.features[$0] {
            case .yearsSince, .daysSince, .decayed: true
            default: false
            }
        }
    }

    /// Reads `a` of every feature, decayed slots against the landmarks of the sums.
    ///
    /// - Parameters:
    ///   - row: the row.
    ///   - table: its table.
    ///   - landmarks: index of the landmark of each decayed slot's sums.
    mutating func read(_ row: Int, of table: CustomerTable, landmarks: [Double]) {
        table.numbers.copy(row: row, to: &numbers, at: 0)
        reader.read(numbers, from: 0, count: 1, landmarks: landmarks, into: &stored)
        for (index, slot) in schema.decays.enumerated() {
            decayed[index] = (numbers[slot.value], numbers[slot.landmark])
        }
        for index in 0..<stored.count {
            isMissing[index] = stored[index].isNaN
            if stored[index].isNaN { stored[index] = 0 }
        }
    }

    /// Computes `a` of several rows, feature after feature, as `read` does of one.
    ///
    /// - Parameters:
    ///   - rows: `[... x numberCount]`, rows of the table.
    ///   - first: index of the first row.
    ///   - count: rows to read.
    ///   - landmarks: index of the landmark of each decayed slot's sums.
    ///   - target: INOUT, at least `[count x d]`: stored units, NaN where missing.
    func read(
        _ rows: [Double],
        from first: Int,
        count: Int,
        landmarks: [Double],
        into target: inout [Double]
    ) {
        reader.read(rows, from: first, count: count, landmarks: landmarks, into: &target)
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
        for index in 0..<values.count {
            values[index] = isMissing[index] ? imputation[index] : stored[index]
        }
        for index in moving where !isMissing[index] {
            switch schema.features[index] {
            case .yearsSince: values[index] += decimalYear(time)
            case .daysSince:
                values[index] += Double(time) / Double(DayCalendar.dayMilliseconds)
            case .decayed(let decay):
                values[index] =
                    decayed[decay].value
                    * Decay.factor(
                        at: time,
                        landmark: decayed[decay].landmark,
                        halfLife: schema.decays[decay].halfLifeMilliseconds
                    )
            default: break
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

/// What it takes to read stored units, and nothing else: the evaluator hands it to itself.
private struct FeatureReader: Sendable {
    private let width: Int
    private let steps: [Step]
    private let sumParts: [Int]
    private let decays: [CompiledSchema.Decay]

    init(schema: CompiledSchema) {
        width = schema.numberCount
        steps = schema.features.map(Step.init)
        sumParts = schema.sumParts
        decays = schema.decays
    }

    /// How one feature's `a` is computed, flat.
    private struct Step: Sendable {
        enum Kind: UInt8 { case number, negated, level, log1p, sum, decayed }
        var kind: Kind
        /// Index of the number, of the first part of a sum, or of the decayed slot.
        var slot: Int
        var count = 0
        /// Level, and the default level.
        var first = 0.0
        var second = 0.0

        init(_ form: CompiledSchema.FeatureForm) {
            switch form {
            case .number(let slot): (kind, self.slot) = (.number, slot)
            case .yearsSince(let slot), .daysSince(let slot): (kind, self.slot) = (.negated, slot)
            case .log1p(let slot): (kind, self.slot) = (.log1p, slot)
            case .decayed(let decay): (kind, slot) = (.decayed, decay)
            case .sum(let first, let count): (kind, slot, self.count) = (.sum, first, count)
            case .level(let slot, let level, let defaultLevel):
                (kind, self.slot) = (.level, slot)
                (first, second) = (Double(level), Double(defaultLevel))
            }
        }
    }

    func read(
        _ rows: [Double],
        from first: Int,
        count: Int,
        landmarks: [Double],
        into target: inout [Double]
    ) {
        let d = steps.count
        let source = rows.span.extracting(first * width..<(first + count) * width)
        var result = target.mutableSpan
        for index in 0..<d {
            let step = steps[index]
            var from = step.slot
            var to = index
            switch step.kind {
            case .number:
                for _ in 0..<count {
                    result[to] = source[from]
                    from &+= width
                    to &+= d
                }
            case .negated:
                for _ in 0..<count {
                    result[to] = -source[from]
                    from &+= width
                    to &+= d
                }
            case .level:
                for _ in 0..<count {
                    let value = source[from]
                    result[to] = (value.isNaN ? step.second : value) == step.first ? 1 : 0
                    from &+= width
                    to &+= d
                }
            case .log1p:
                for _ in 0..<count {
                    result[to] = Self.logarithm(source[from])
                    from &+= width
                    to &+= d
                }
            case .sum:
                var base = 0
                for _ in 0..<count {
                    var sum = 0.0
                    for k in step.slot..<(step.slot + step.count) {
                        sum += source[base &+ sumParts[k]]
                    }
                    result[to] = sum
                    base &+= width
                    to &+= d
                }
            case .decayed:
                let slot = decays[step.slot]
                let landmark = landmarks[step.slot]
                var base = 0
                for _ in 0..<count {
                    result[to] = Self.scaled(
                        source[base &+ slot.value],
                        from: source[base &+ slot.landmark],
                        to: landmark
                    )
                    base &+= width
                    to &+= d
                }
            }
        }
    }

    /// log(1 + x), for an x that may have been rounded below -1.
    private static func logarithm(_ x: Double) -> Double {
        x == 0 ? x : log1p(max(-0.999_999, x))
    }

    /// A decayed value of one landmark in units of another, an exact power of two apart.
    private static func scaled(_ value: Double, from: Double, to: Double) -> Double {
        from == to ? value : scalbn(value, Int32(8 * (from - to)))
    }
}

/// Forward decay (Cormode, Shkapenyuk, Srivastava and Xu, 2009, doi:10.1109/ICDE.2009.65).
///
/// Landmarks are whole multiples of 8 half-lives since 1970, so that going from one to the next is
/// an exact power of two.
enum Decay {
    /// Landmark that a moment belongs to.
    static func landmark(at time: Int64, halfLife: Double) -> Double {
        (Double(time) / (8 * halfLife)).rounded(.down)
    }

    /// 2^(-(t - landmark) / halfLife): what a stored unit is worth at a moment.
    static func factor(at time: Int64, landmark: Double, halfLife: Double) -> Double {
        exp2(-(Double(time) - landmark * 8 * halfLife) / halfLife)
    }

    /// When a stored value is worth `target`; not a number where it never is.
    static func moment(
        when value: Double,
        isWorth target: Double,
        landmark: Double,
        halfLife: Double
    ) -> Double {
        guard value / target > 0 else { return .nan }
        return landmark * 8 * halfLife + halfLife * log2(value / target)
    }

    /// 2^((t - landmark) / halfLife): what a unit of a moment is stored as.
    static func weight(at time: Int64, landmark: Double, halfLife: Double) -> Double {
        exp2((Double(time) - landmark * 8 * halfLife) / halfLife)
    }
}
