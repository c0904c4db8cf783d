/// Dates of the proleptic Gregorian calendar, UTC, from epoch milliseconds and back.
///
/// Only what the simulator writes; no time zones, no parsing. Day arithmetic after Hinnant,
/// "chrono-compatible low-level date algorithms" (2013).
enum CivilTime {
    static let millisecondsPerHour: Int64 = 3_600_000
    static let millisecondsPerDay: Int64 = 86_400_000

    /// Year, month 1...12 and day 1...31.
    struct Day: Equatable, Sendable {
        var year: Int
        var month: Int
        var day: Int
    }

    /// Days since 1970-01-01, negative before.
    static func dayNumber(_ time: Int64) -> Int {
        let day = time / millisecondsPerDay
        return Int(time % millisecondsPerDay < 0 ? day - 1 : day)
    }

    /// 0 for Monday to 6 for Sunday.
    static func weekday(dayNumber: Int) -> Int {
        // 1970-01-01 was a Thursday.
        let weekday = (dayNumber + 3) % 7
        return weekday < 0 ? weekday + 7 : weekday
    }

    /// The date of a day number.
    static func day(dayNumber: Int) -> Day {
        // Years start in March here, so that the leap day comes last.
        let shifted = dayNumber + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return Day(year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month: month, day: day)
    }

    /// The day number of a date, the inverse of ``day(dayNumber:)``.
    static func dayNumber(year: Int, month: Int, day: Int) -> Int {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
