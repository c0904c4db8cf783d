import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// Calendars, times and JSON text, against Foundation.
struct TimeAndTextTests {
    private let gregorian: Calendar = {
        var calendar = Calendar(identifier: .iso8601)
        calendar.timeZone = .gmt
        return calendar
    }()

    private func text(_ body: (inout [UInt8]) -> Void) -> String {
        var bytes: [UInt8] = []
        body(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func civilDatesEqualFoundations() {
        var random = SeededGenerator(seed: 71)
        for _ in 0..<3000 {
            // 1600 to 2500: Foundation's ISO calendar is Gregorian there.
            let day = Int64(random.next(below: 328_000)) - 135_000
            let date = Date(timeIntervalSince1970: Double(day) * 86_400)
            let parts = gregorian.dateComponents([.year, .month, .day], from: date)
            let civil = DayCalendar.civil(ofDay: day)
            #expect(civil.year == Int64(parts.year ?? 0))
            #expect(civil.month == Int64(parts.month ?? 0))
            #expect(civil.day == Int64(parts.day ?? 0))
            let number = DayCalendar.dayNumber(
                year: civil.year,
                month: civil.month,
                day: civil.day
            )
            #expect(number == day)
        }
    }

    @Test func decimalYearsAreSharesOfTheirYear() {
        func year(_ text: String) -> Double {
            DayCalendar.decimalYear(of: EventTime.parse(text) ?? 0)
        }
        #expect(year("2014-06-29") == 2014 + 179.0 / 365)
        #expect(year("2016-12-31T12:00:00Z") == 2016 + 365.5 / 366)
        #expect(year("1969-01-01") == 1969 && year("2026-01-01") == 2026)
    }

    @Test func localDaysBeginAtTheirOwnMidnight() throws {
        // Berlin around the two changes of 2026.
        let spring = try #require(EventTime.parse("2026-03-29T01:00:00Z"))
        let autumn = try #require(EventTime.parse("2026-10-25T01:00:00Z"))
        let calendar = DayCalendar(
            initialOffsetMilliseconds: 3_600_000,
            transitions: [
                .init(fromMilliseconds: spring, offsetMilliseconds: 7_200_000),
                .init(fromMilliseconds: autumn, offsetMilliseconds: 3_600_000),
            ]
        )
        var berlin = gregorian
        berlin.timeZone = try #require(TimeZone(identifier: "Europe/Berlin"))
        var random = SeededGenerator(seed: 72)
        for _ in 0..<2000 {
            let moment = TestConfiguration.start + Int64(random.next(below: 360 * 86_400_000))
            let day = calendar.day(of: moment)
            let parts = berlin.dateComponents(
                [.year, .month, .day],
                from: Date(timeIntervalSince1970: Double(moment) / 1000)
            )
            let civil = DayCalendar.civil(ofDay: Int64(day))
            #expect(civil.month == Int64(parts.month ?? 0) && civil.day == Int64(parts.day ?? 0))
            let begin = calendar.start(ofDay: day)
            #expect(begin <= moment && calendar.day(of: begin) == day)
            #expect(calendar.day(of: begin - 1) == day - 1)
        }
    }

    @Test func purchaseDaysAreThoseOfTheCalendar() {
        var configuration = TestConfiguration.smartCart()
        configuration.calendar = DayCalendar(
            initialOffsetMilliseconds: 10 * 3_600_000,
            transitions: []
        )
        for (shop, days) in [(TestShop(), 1), (TestShop(configuration), 2)] {
            for (id, hour) in [("a", "13"), ("b", "15")] {
                shop.send(
                    "{\"type\":\"order.placed\",\"time\":\"2026-03-01T\(hour):00:00Z\",\"order_id\":\"\(id)\",\"amount\":1}",
                    key: "c"
                )
            }
            #expect(shop.core.table.purchaseDays(shop.row("c")) == days)
        }
    }

    @Test func timesGiveThemselvesBack() {
        var random = SeededGenerator(seed: 73)
        for _ in 0..<3000 {
            let moment = Int64(random.next(below: 200_000_000_000_000)) - 60_000_000_000_000
            let written = text { JSONText.appendTime(moment, to: &$0) }
            #expect(EventTime.parse(written) == moment, "\(written)")
        }
        #expect(
            text { JSONText.appendTime(1_781_172_900_000, to: &$0) } == "2026-06-11T10:15:00.000Z"
        )
        #expect(text { JSONText.appendDate(day: 20_513, to: &$0) } == "2026-03-01")
    }

    @Test func textThatIsNoTimeIsNone() {
        for bad in [
            "", "2026", "2026-02-29", "2025-2-1", "2026-03-01T", "2026-03-01T10:15:00",
            "2026-03-01T24:00:00Z", "2026-03-01T10:60:00Z", "2026-03-01T10:15:61Z",
            "2026-03-01T10:15:00+24:00", "2026-03-01T10:15:00+01", "2026-03-01T10:15:00.Z",
            "2026-03-01T10:15:00.12", "2026-03-01X10:15:00Z", "２026-03-01", "-026-03-01",
        ] {
            #expect(EventTime.parse(bad) == nil, "\(bad)")
        }
        // As SmartCart writes dates.
        #expect(EventTime.parse("04-09-2012") == EventTime.parse("2012-09-04"))
        #expect(EventTime.parse("2024-02-29") != nil)
    }

    /// Any cut of any time, and any byte changed, is a time or none, and never a crash.
    @Test func damagedTimesNeverCrash() {
        var random = SeededGenerator(seed: 74)
        let whole = Array("2026-03-01T10:15:00.123+02:00".utf8)
        for length in 0...whole.count {
            _ = TimeText.parse(whole, 0..<length)
            for _ in 0..<200 {
                var bytes = Array(whole[..<length])
                guard !bytes.isEmpty else { break }
                bytes[random.next(below: length)] = UInt8(random.next(below: 256))
                _ = TimeText.parse(bytes, 0..<length)
            }
        }
    }

    @Test func numbersAreShortestAndGiveThemselvesBack() throws {
        var random = SeededGenerator(seed: 75)
        var numbers = [
            0, -0.0, 1, -1, 0.1, 1e15, 1e16, 1e-7, .leastNonzeroMagnitude, 1.7976931348623157e308,
            123.456,
        ]
        for _ in 0..<3000 {
            let number = Double(bitPattern: random.next())
            if number.isFinite { numbers.append(number) }
            numbers.append((random.nextDouble() * 1e6).rounded() / 100)
        }
        for number in numbers {
            let written = text { JSONText.append(number, to: &$0) }
            #expect(Double(written) == number)
            // A reader that rounds correctly; JSONSerialization does not.
            let parsed = try JSONDecoder().decode([Double].self, from: Data("[\(written)]".utf8))
            #expect(parsed == [number], "\(written)")
        }
        for number in [Double.nan, .infinity, -.infinity] {
            #expect(text { JSONText.append(number, to: &$0) } == "null")
        }
        for number in [Int64.min, -1, 0, 9, 10, 99, 100, Int64.max] {
            #expect(text { JSONText.append(number, to: &$0) } == "\(number)")
        }
    }

    @Test func quotedTextGivesItselfBack() throws {
        var random = SeededGenerator(seed: 76)
        for _ in 0..<500 {
            var string = ""
            for _ in 0..<random.next(below: 20) {
                let code =
                    random.next(below: 4) == 0
                    ? random.next(below: 0x1_0000) : random.next(below: 130)
                string.unicodeScalars.append(Unicode.Scalar(UInt32(code)) ?? "?")
            }
            let written = text { JSONText.appendQuoted(string.utf8, to: &$0) }
            let parsed = try JSONSerialization.jsonObject(with: Data("[\(written)]".utf8))
            #expect((parsed as? [String])?.first.map { Array($0.utf8) } == Array(string.utf8))
        }
    }

    @Test func numbersReadAsTheStandardLibraryWritesThem() {
        var random = SeededGenerator(seed: 73)
        var numbers = [
            0.1, 1e-4, 1e-5, 0.00012345678901234567, 123.456, 1e15 + 0.5, 1e15, 0x1p53 - 1,
            0x1p53, 0x1p53 + 2, 0x1p54, 1e22,
            .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude, 1e-3, 0.3,
        ]
        for _ in 0..<20_000 {
            numbers.append(Double(bitPattern: random.next()))
            numbers.append(random.nextDouble())
            numbers.append(Double(random.next(below: 100_000_000)) / 100)
            numbers.append(random.nextDouble() * 1e16)
            numbers.append(random.nextDouble() * 1e-4)
        }
        for number in numbers where number.isFinite {
            for signed in [number, -number] {
                let isWhole = number == number.rounded() && number.magnitude < 1e15
                let expected = isWhole ? String(Int64(signed)) : signed.description
                #expect(text { JSONText.append(signed, to: &$0) } == expected)
            }
        }
    }
}
