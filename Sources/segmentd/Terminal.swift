import Foundation

/// stdout for what was asked for, stderr for progress, summaries and errors.
enum Terminal {
    /// Whether a person watches stderr, so that a line of progress makes sense.
    static var isInteractive: Bool { isatty(FileHandle.standardError.fileDescriptor) == 1 }

    /// Whether stdout is a terminal that may be given emphasis (https://no-color.org).
    static var isOutputTerminal: Bool {
        let environment = ProcessInfo.processInfo.environment
        return isatty(FileHandle.standardOutput.fileDescriptor) == 1
            && environment["NO_COLOR", default: ""].isEmpty && environment["TERM"] != "dumb"
    }

    static func output(_ text: String) { write(Data(text.utf8), to: .standardOutput) }

    static func output(_ bytes: [UInt8]) { write(Data(bytes), to: .standardOutput) }

    static func note(_ text: String) { write(Data((text + "\n").utf8), to: .standardError) }

    /// Whether stderr goes to the journal, which takes a priority from the beginning of each line.
    static let isUnderJournal =
        ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil && !isInteractive

    static func error(_ text: String) { report("segmentd: " + text) }

    /// Lines that stand for themselves, as errors.
    static func report(_ text: String) {
        guard isUnderJournal else { return note(text) }
        // sd-daemon(3): 3 is an error.
        note(text.split(separator: "\n").map { "<3>" + $0 }.joined(separator: "\n"))
    }

    /// One line that the next one overwrites; nothing where nobody watches.
    static func progress(_ text: String) {
        guard isInteractive else { return }
        write(Data(("\r\u{1b}[2K" + text).utf8), to: .standardError)
    }

    /// Clears the line of progress.
    static func endProgress() {
        guard isInteractive else { return }
        write(Data("\r\u{1b}[2K".utf8), to: .standardError)
    }

    private static func write(_ data: Data, to handle: FileHandle) {
        do {
            try handle.write(contentsOf: data)
        } catch {
            // Nobody reads any more, such as after `| head`: there is nothing left to say.
            exit(ExitStatus.failure.rawValue)
        }
    }

    /// `1234567` as `1,234,567`.
    static func grouped(_ number: Int) -> String {
        var digits = Array(String(number.magnitude))
        var position = digits.count - 3
        while position > 0 {
            digits.insert(",", at: position)
            position -= 3
        }
        return (number < 0 ? "-" : "") + String(digits)
    }

    /// Rows as a table with aligned columns: the first and those named left, the others right.
    static func table(_ rows: [[String]], left: Set<Int> = []) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        return rows.map { row in
            var line = row.enumerated().map { column, cell in
                let space = String(repeating: " ", count: widths[column] - cell.count)
                return column == 0 || left.contains(column) ? cell + space : space + cell
            }.joined(separator: "  ")
            while line.last == " " { line.removeLast() }
            return line
        }.joined(separator: "\n")
    }
}
