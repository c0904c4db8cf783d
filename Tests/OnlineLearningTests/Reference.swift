import Foundation
import Testing

/// Data and results of an offline batch job, beside the package and not part of it.
enum Reference {
    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("../shared/reference").standardizedFileURL

    /// Why tests that need the data are skipped.
    static let absence: Comment = "skipped: ../shared/reference is not there"

    static var isPresent: Bool { FileManager.default.fileExists(atPath: folder.path) }

    static func lines(of file: String) throws -> [Substring] {
        let url = folder.appendingPathComponent(file)
        return try String(contentsOf: url, encoding: .utf8)
            .split(whereSeparator: \.isNewline)
    }

    static func json<Value: Decodable>(_ file: String, as type: Value.Type) throws -> Value {
        let data = try Data(contentsOf: folder.appendingPathComponent(file))
        return try JSONDecoder().decode(type, from: data)
    }

    /// Days from 1970-01-01 to a date of the proleptic Gregorian calendar.
    static func day(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }
}
