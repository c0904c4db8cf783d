/// Purchase days and decimal years of a time zone, from a flat table of its offsets.
///
/// The table is made once at start by whoever knows time zones, so that the core stays free of
/// them.
public struct DayCalendar: Sendable, Equatable {
    /// Offset from UTC that holds from a moment on.
    public struct Transition: Sendable, Equatable {
        /// First moment, in milliseconds since 1970.
        public var fromMilliseconds: Int64
        /// Local time minus UTC, in milliseconds.
        public var offsetMilliseconds: Int64

        /// Creates a transition.
        public init(fromMilliseconds: Int64, offsetMilliseconds: Int64) {
            self.fromMilliseconds = fromMilliseconds
            self.offsetMilliseconds = offsetMilliseconds
        }
    }

    /// Milliseconds of a day.
    public static let dayMilliseconds: Int64 = 86_400_000
    /// The calendar without offsets.
    public static let utc = DayCalendar(initialOffsetMilliseconds: 0, transitions: [])

    private let initialOffset: Int64
    private let transitions: [Transition]

    /// Creates a calendar.
    ///
    /// - Parameters:
    ///   - initialOffsetMilliseconds: offset before the first transition.
    ///   - transitions: in ascending order.
    public init(initialOffsetMilliseconds: Int64, transitions: [Transition]) {
        precondition(
            zip(transitions, transitions.dropFirst()).allSatisfy {
                $0.fromMilliseconds < $1.fromMilliseconds
            }
        )
        self.initialOffset = initialOffsetMilliseconds
        self.transitions = transitions
    }

    /// Local time minus UTC at a moment, in milliseconds.
    public func offset(at milliseconds: Int64) -> Int64 {
        var low = 0
        var high = transitions.count
        while low < high {
            let middle = (low + high) / 2
            if transitions[middle].fromMilliseconds <= milliseconds {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low == 0 ? initialOffset : transitions[low - 1].offsetMilliseconds
    }

    /// Number of the local day that holds a moment; day 0 is 1970-01-01.
    public func day(of milliseconds: Int64) -> Int32 {
        Int32(
            truncatingIfNeeded: Self.floorDivide(
                milliseconds + offset(at: milliseconds),
                Self.dayMilliseconds
            )
        )
    }

    /// The moment 00:00 of a local day, in milliseconds since 1970.
    public func start(ofDay day: Int32) -> Int64 {
        let local = Int64(day) * Self.dayMilliseconds
        // The offset may differ between the guess and the start itself: once more settles it.
        let guess = local - offset(at: local)
        return local - offset(at: guess)
    }

    /// Decimal calendar year of a moment (UTC): 2014-06-29T00:00Z is 2014 + 179/365.
    public static func decimalYear(of milliseconds: Int64) -> Double {
        let day = floorDivide(milliseconds, dayMilliseconds)
        let year = civilYear(ofDay: day)
        let start = dayNumber(year: year, month: 1, day: 1) * dayMilliseconds
        let end = dayNumber(year: year + 1, month: 1, day: 1) * dayMilliseconds
        return Double(year) + Double(milliseconds - start) / Double(end - start)
    }

    /// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
    public static func dayNumber(year: Int64, month: Int64, day: Int64) -> Int64 {
        let y = month <= 2 ? year - 1 : year
        let era = floorDivide(y, 400)
        let yearOfEra = y - era * 400
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// Year, month and day of a day number.
    public static func civil(ofDay number: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let z = number + 719_468
        let era = floorDivide(z, 146_097)
        let dayOfEra = z - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    static func civilYear(ofDay number: Int64) -> Int64 { civil(ofDay: number).year }

    static func floorDivide(_ a: Int64, _ b: Int64) -> Int64 {
        let quotient = a / b
        return a % b < 0 ? quotient - 1 : quotient
    }
}
