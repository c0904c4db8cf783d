/// The shop's calendar for one kind of customer: when a day is busier than another.
///
/// Keeps the integral of the intensity hour by hour. A customer lives in *busy days* (the integral;
/// one per day on average over the span), where events are a plain Poisson process, and the table
/// turns a moment of that time into a moment of real time. So no draw is ever thrown away.
///
/// - Complexity: 8 bytes per hour of the span; O(log hours) per lookup.
struct Season: Sendable {
    private let start: Int64
    private let end: Int64
    /// Integral up to the start of each hour, one more than there are hours.
    private let integral: [Double]

    /// The calendar between two moments, in epoch milliseconds.
    init(habits: Habits, start: Int64, end: Int64) {
        precondition(start < end, "a season needs a span")
        self.start = start
        self.end = end
        let hourCount = Int(
            (end - start + CivilTime.millisecondsPerHour - 1) / CivilTime.millisecondsPerHour
        )
        var sums: [Double] = [0]
        sums.reserveCapacity(hourCount + 1)
        var sum = 0.0
        for hour in 0..<hourCount {
            let time = start + Int64(hour) * CivilTime.millisecondsPerHour
            let dayNumber = CivilTime.dayNumber(time)
            let dayStart = Int64(dayNumber) * CivilTime.millisecondsPerDay
            let hourOfDay = Int((time - dayStart) / CivilTime.millisecondsPerHour)
            sum +=
                Self.yearly(CivilTime.day(dayNumber: dayNumber), peak: habits.decemberPeak)
                * habits.weekdays[CivilTime.weekday(dayNumber: dayNumber)]
                * Self.hourly(hourOfDay, evening: habits.evening)
            sums.append(sum)
        }
        // One busy day per day on average, so that rates keep their meaning over any span.
        let days = Double(end - start) / Double(CivilTime.millisecondsPerDay)
        let factor = days / sum
        integral = sums.map { $0 * factor }
    }

    /// Busy days from the start of the span to its end.
    var total: Double { integral[integral.count - 1] }

    /// Busy days from the start of the span to a moment within it.
    func busyDays(at time: Int64) -> Double {
        let elapsed = max(0, time - start)
        let hour = Int(elapsed / CivilTime.millisecondsPerHour)
        guard hour < integral.count - 1 else { return total }
        let share =
            Double(elapsed % CivilTime.millisecondsPerHour)
            / Double(CivilTime.millisecondsPerHour)
        return integral[hour] + (integral[hour + 1] - integral[hour]) * share
    }

    /// The moment when that many busy days have passed, in whole seconds; nil beyond the span.
    func time(atBusyDays busyDays: Double) -> Int64? {
        guard busyDays < total else { return nil }
        var lower = 0
        var upper = integral.count - 1
        // Invariant: integral[lower] <= busyDays < integral[upper].
        while upper - lower > 1 {
            let middle = (lower + upper) / 2
            if integral[middle] <= busyDays { lower = middle } else { upper = middle }
        }
        let share = (busyDays - integral[lower]) / (integral[upper] - integral[lower])
        let time =
            start + Int64(lower) * CivilTime.millisecondsPerHour + Int64(share * 3_600) * 1_000
        return time < end ? time : nil
    }

    /// Before Christmas the shop is full, afterwards and in August it is empty.
    private static func yearly(_ day: CivilTime.Day, peak: Double) -> Double {
        switch (day.month, day.day) {
        case (11, 20...): 1 + (peak - 1) * 0.5
        case (12, ...23): peak
        case (12, _), (1, ...10): 0.7
        case (8, _): 0.85
        default: 1
        }
    }

    /// Daytime shops and evening browsers; nobody is wholly asleep.
    private static func hourly(_ hour: Int, evening: Double) -> Double {
        let daytime = hour >= 8 && hour < 19 ? 1.8 : 0.12
        let late = hour >= 17 && hour < 24 ? 2.8 : 0.25
        return daytime * (1 - evening) + late * evening
    }
}
