/// Rows of a CSV file as `customer.snapshot` records, one JSON object per row.
///
/// The customer is the column `ID`; a cell that is a JSON number stays one, an empty cell is null,
/// and anything else is a string.
public struct CSVSnapshots: Sendable {
    private let columns: [String]
    private let idColumn: Int
    private let time: String

    /// Reads the header line.
    ///
    /// - Parameters:
    ///   - header: first line of the file.
    ///   - asOf: time of every snapshot, as JSON: a quoted string or epoch milliseconds.
    /// - Throws: `CSVError` without a column `ID`.
    public init(header: [UInt8], asOf: String) throws(CSVError) {
        columns = Self.fields(header).map { String(decoding: $0, as: UTF8.self) }
        guard let id = columns.firstIndex(of: "ID") else {
            throw CSVError(description: "the CSV has no column ID; its columns: \(columns)")
        }
        idColumn = id
        time = asOf
    }

    /// One row as a record.
    ///
    /// - Throws: `CSVError` for a row with another number of cells.
    public func record(_ row: [UInt8], number: Int) throws(CSVError) -> [UInt8] {
        let cells = Self.fields(row)
        guard cells.count == columns.count else {
            throw CSVError(
                description: "row \(number) has \(cells.count) cells, the header \(columns.count)"
            )
        }
        var json = Array("{\"type\":\"customer.snapshot\",\"time\":\(time),\"customer_id\":".utf8)
        Self.appendString(cells[idColumn], to: &json)
        for (index, cell) in cells.enumerated() {
            json.append(UInt8(ascii: ","))
            Self.appendString(Array(columns[index].utf8), to: &json)
            json.append(UInt8(ascii: ":"))
            if cell.isEmpty {
                json.append(contentsOf: "null".utf8)
            } else if Self.isNumber(cell) {
                json.append(contentsOf: cell)
            } else {
                Self.appendString(cell, to: &json)
            }
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// Cells of a line, quotes as in RFC 4180.
    static func fields(_ line: [UInt8]) -> [[UInt8]] {
        var fields: [[UInt8]] = [[]]
        var isQuoted = false
        var index = 0
        let quote = UInt8(ascii: "\"")
        while index < line.count {
            let byte = line[index]
            if isQuoted {
                if byte == quote && index + 1 < line.count && line[index + 1] == quote {
                    fields[fields.count - 1].append(quote)
                    index += 1
                } else if byte == quote {
                    isQuoted = false
                } else {
                    fields[fields.count - 1].append(byte)
                }
            } else if byte == quote {
                isQuoted = true
            } else if byte == UInt8(ascii: ",") {
                fields.append([])
            } else if byte != UInt8(ascii: "\r") {
                fields[fields.count - 1].append(byte)
            }
            index += 1
        }
        return fields
    }

    /// Whether a cell is a number as JSON writes it; `007` or `1,5` are strings.
    static func isNumber(_ cell: [UInt8]) -> Bool {
        var index = 0
        func digits() -> Int {
            let start = index
            while index < cell.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(cell[index])
            {
                index += 1
            }
            return index - start
        }
        if index < cell.count, cell[index] == UInt8(ascii: "-") { index += 1 }
        let first = index
        let whole = digits()
        guard whole == 1 || (whole > 1 && cell[first] != UInt8(ascii: "0")) else { return false }
        if index < cell.count, cell[index] == UInt8(ascii: ".") {
            index += 1
            guard digits() > 0 else { return false }
        }
        return index == cell.count
    }

    private static func appendString(_ text: [UInt8], to json: inout [UInt8]) {
        json.append(UInt8(ascii: "\""))
        for byte in text {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                json.append(UInt8(ascii: "\\"))
            }
            json.append(byte < 0x20 ? UInt8(ascii: " ") : byte)
        }
        json.append(UInt8(ascii: "\""))
    }
}

/// A CSV file that cannot be read.
public struct CSVError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, with the row.
    public var description: String
}
