import Segmentation

/// An output record as one line of JSON.
enum OutputLine {
    static func append(_ record: StepOutput.Record, of output: StepOutput, to line: inout [UInt8]) {
        append("{\"key\":\"", to: &line)
        appendEscaped(output.bytes, record.key, to: &line)
        append("\",\"headers\":{", to: &line)
        for index in record.headers {
            let header = output.headers[index]
            append(index > record.headers.lowerBound ? ",\"" : "\"", to: &line)
            line.append(contentsOf: output.bytes[header.name])
            append("\":\"", to: &line)
            if let value = header.value { appendEscaped(output.bytes, value, to: &line) }
            append("\"", to: &line)
        }
        append("},\"value\":", to: &line)
        if let value = record.value {
            line.append(contentsOf: output.bytes[value])
        } else {
            append("null", to: &line)
        }
        append("}\n", to: &line)
    }

    private static func append(_ text: String, to line: inout [UInt8]) {
        line.append(contentsOf: text.utf8)
    }

    private static func appendEscaped(
        _ bytes: [UInt8],
        _ range: Range<Int>,
        to line: inout [UInt8]
    ) {
        var needsEscape = false
        for index in range {
            let byte = bytes[index]
            needsEscape =
                needsEscape || byte < 0x20 || byte == UInt8(ascii: "\"")
                || byte == UInt8(ascii: "\\")
        }
        guard needsEscape else {
            line.append(contentsOf: bytes[range])
            return
        }
        for byte in bytes[range] {
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                line.append(UInt8(ascii: "\\"))
                line.append(byte)
            } else if byte < 0x20 {
                let digits = Array("0123456789abcdef".utf8)
                append("\\u00", to: &line)
                line.append(digits[Int(byte >> 4)])
                line.append(digits[Int(byte & 15)])
            } else {
                line.append(byte)
            }
        }
    }

    /// Chains the hash of one line to that of all before.
    static func hash(_ bytes: [UInt8], _ range: Range<Int>, after previous: UInt64) -> UInt64 {
        StableHash.longHash(of: bytes, range: range, seed: previous)
    }
}
