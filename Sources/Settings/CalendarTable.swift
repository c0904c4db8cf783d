import Foundation
import Segmentation

extension DayCalendar {
    /// The table of a named time zone, 1970 to 2100.
    ///
    /// Offsets are sampled every four days and each change is then located to the millisecond, so
    /// that also changes of the standard offset are found, not only those of summer time. No zone
    /// has ever gone to another offset and back within four days. Nil when the machine knows no
    /// such zone.
    ///
    /// - Parameter name: an IANA name such as `Europe/Berlin`, or `UTC`.
    init?(timeZone name: String) {
        if name == "UTC" {
            self = .utc
            return
        }
        // Abbreviations such as CET mean a fixed offset here and a changing one there: names only.
        guard name.contains("/"), let zone = TimeZone(identifier: name) else { return nil }
        func offset(_ milliseconds: Int64) -> Int64 {
            let date = Date(timeIntervalSince1970: Double(milliseconds) / 1000)
            return Int64(zone.secondsFromGMT(for: date)) * 1000
        }
        let step = 4 * Self.dayMilliseconds
        let end = Self.dayNumber(year: 2100, month: 1, day: 1) * Self.dayMilliseconds
        let initial = offset(0)
        var transitions: [Transition] = []
        var present = initial
        var moment: Int64 = 0
        while moment < end {
            let next = min(moment + step, end)
            let reached = offset(next)
            if reached != present {
                var (before, after) = (moment, next)
                while after - before > 1 {
                    let middle = before + (after - before) / 2
                    if offset(middle) == present { before = middle } else { after = middle }
                }
                transitions.append(
                    Transition(fromMilliseconds: after, offsetMilliseconds: reached)
                )
                present = reached
            }
            moment = next
        }
        self.init(initialOffsetMilliseconds: initial, transitions: transitions)
    }
}
