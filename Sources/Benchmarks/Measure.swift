import Foundation

/// What this machine is, for a figure without its machine says nothing.
enum Machine {
    static var description: String {
        let processors = ProcessInfo.processInfo.processorCount
        let gigabytes = ProcessInfo.processInfo.physicalMemory >> 30
        let cpu =
            FileManager.default.contents(atPath: "/proc/cpuinfo")
            .map { String(decoding: $0, as: UTF8.self) }?
            .split(separator: "\n").first { $0.hasPrefix("model name") }
            .map { String($0.split(separator: ":").last ?? "") } ?? ""
        return "\(processors) processors, \(gigabytes) GiB,\(cpu)"
    }
}

/// Times and the line that reports them.
enum Measure {
    /// Median seconds of several rounds.
    static func median(_ rounds: Int, _ body: () -> Double) -> Double {
        let times = (0..<max(1, rounds)).map { _ in body() }.sorted()
        return times[times.count / 2]
    }

    /// Seconds that a closure takes.
    static func seconds(_ body: () -> Void) -> Double {
        let start = ContinuousClock.now
        body()
        let parts = (ContinuousClock.now - start).components
        return Double(parts.seconds) + Double(parts.attoseconds) / 1e18
    }

    static func report(
        _ name: String,
        seconds: Double,
        events: Int,
        note: String = "",
        unit: String = "events"
    ) {
        let nanoseconds = String(format: "%8.0f", seconds * 1e9 / Double(events))
        let rate = String(format: "%12.0f", Double(events) / seconds)
        let padded = name.padding(toLength: 34, withPad: " ", startingAt: 0)
        print("\(padded) \(nanoseconds) ns/\(unit.dropLast()) \(rate) \(unit)/s \(note)")
    }
}
