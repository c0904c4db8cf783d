/// Durations as the configuration writes them: a number and a unit, such as `100ms`, `1.5h`, `14d`.
enum DurationText {
    /// Milliseconds of each unit.
    private static let units: [(name: String, milliseconds: Double)] = [
        ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000),
        ("w", 604_800_000),
    ]
    /// 1,000 years: beyond any use, and far from where adding to a time could overflow.
    static let limitMilliseconds: Int64 = 365_250 * 86_400_000
    /// 3,650 days: the longest that keys take which say nothing else.
    static let usualMaximumMilliseconds: Int64 = 3650 * 86_400_000

    /// Parses a duration.
    ///
    /// - Returns: milliseconds, 0 to `limitMilliseconds`, which also stands for all that is longer;
    ///   nil when it is no duration. `0` needs no unit.
    static func milliseconds(_ text: String) -> Int64? {
        if text == "0" { return 0 }
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count)
        guard let scale = units.first(where: { $0.name == unit })?.milliseconds,
            let value = Double(number)
        else { return nil }
        return Int64(min((value * scale).rounded(), Double(limitMilliseconds)))
    }

    /// The shortest way to write a duration, for example `14d`.
    static func text(_ milliseconds: Int64) -> String {
        for unit in units.reversed() {
            let scale = Int64(unit.milliseconds)
            if milliseconds >= scale && milliseconds % scale == 0 {
                return "\(milliseconds / scale)\(unit.name)"
            }
        }
        return "\(milliseconds)ms"
    }
}
