import Testing

@testable import ShopSimulator

/// The small parts, each against something known.
@Suite struct PiecesTests {
    @Test func datesAgreeWithTheCalendar() {
        #expect(CivilTime.day(dayNumber: 0) == .init(year: 1970, month: 1, day: 1))
        #expect(CivilTime.day(dayNumber: 20_635) == .init(year: 2026, month: 7, day: 1))
        #expect(CivilTime.day(dayNumber: 11_016) == .init(year: 2000, month: 2, day: 29))
        #expect(CivilTime.weekday(dayNumber: 20_635) == 2, "2026-07-01 is a Wednesday")
        #expect(CivilTime.dayNumber(-1) == -1)
        for dayNumber in stride(from: -30_000, to: 80_000, by: 13) {
            let day = CivilTime.day(dayNumber: dayNumber)
            let back = CivilTime.dayNumber(year: day.year, month: day.month, day: day.day)
            #expect(back == dayNumber)
        }
    }

    @Test(arguments: [
        (0, "0"), (5, "0.05"), (50, "0.5"), (6_150, "61.5"), (2_000, "20"), (123_456, "1234.56"),
    ]) func centsHaveTheirShortestForm(cents: Int, text: String) {
        var bytes: [UInt8] = []
        bytes.write(cents: cents)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }

    @Test func momentsAndIdsAreWrittenInFull() {
        var bytes: [UInt8] = []
        bytes.write(timestamp: 1_772_360_100_000)
        bytes.write(customer: 41)
        bytes.write(1_234_567_890_123_456_789)
        let text = String(decoding: bytes, as: UTF8.self)
        #expect(text == "2026-03-01T10:15:00Zc-0000421234567890123456789")
    }

    @Test func queueGivesEntriesInOrder() {
        var random = SeededRandom(seed: 8)
        var queue = ArrivalQueue()
        var expected: [Int64] = []
        for slot in 0..<500 {
            let time = Int64(random.next() % 100)
            queue.insert(.init(time: time, slot: slot))
            expected.append(time)
        }
        // Some entries are replaced on the way, as acting customers do.
        var drained: [Int64] = []
        while let entry = queue.first {
            drained.append(entry.time)
            if drained.count <= 200 {
                queue.replaceFirst(with: .init(time: entry.time + 150, slot: entry.slot))
                expected.append(entry.time + 150)
            } else {
                queue.removeFirst()
            }
        }
        #expect(drained == expected.sorted())
    }

    @Test func drawsHaveTheirMoments() {
        var random = SeededRandom(seed: 99)
        let count = 50_000
        for shape in [1.5, 4.0, 10.0] {
            let draws = (0..<count).map { _ in random.gamma(shape: shape) }
            let mean = draws.reduce(0, +) / Double(count)
            let variance = draws.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Double(count)
            #expect(abs(mean - 1) < 0.02)
            #expect(abs(variance * shape - 1) < 0.06)
        }
        var counts = [Int](repeating: 0, count: 8)
        for _ in 0..<count { counts[random.pick(.init(0.5, 0.25, 0.25, 0, 0, 0, 0, 0))] += 1 }
        #expect(abs(Double(counts[0]) / Double(count) - 0.5) < 0.01)
        #expect(counts[3...].allSatisfy { $0 == 0 })
    }

    @Test(arguments: CustomerKind.allCases) func busyDaysAndMomentsAreInverse(kind: CustomerKind) {
        let start: Int64 = 1_748_300_000_000
        let end = start + 400 * CivilTime.millisecondsPerDay
        let season = Season(habits: Habits(kind), start: start, end: end)
        #expect(abs(season.total - 400) < 1e-9, "one busy day per day on average")
        #expect(season.time(atBusyDays: season.total) == nil)
        for step in 0..<997 {
            let busyDays = 400 * Double(step) / 997
            guard let time = season.time(atBusyDays: busyDays) else {
                Issue.record("busy days within the span have a moment")
                continue
            }
            // Moments are cut to the second; the busiest second holds less than 1e-4 busy days.
            #expect(abs(season.busyDays(at: time) - busyDays) < 1e-4)
        }
    }

    @Test(arguments: CustomerKind.allCases) func weightsAreShares(kind: CustomerKind) {
        let habits = Habits(kind)
        let weights = [
            habits.categories, habits.channels, habits.education, habits.maritalStatus,
        ]
        for weight in weights { #expect(abs(weight.sum() - 1) < 1e-5) }
        let shares = CustomerKind.allCases.map { Habits($0).share }.reduce(0, +)
        #expect(abs(shares - 1) < 1e-9)
    }
}
