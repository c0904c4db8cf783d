import Foundation

/// One Swift file of the project, as text and as code without comments and strings.
struct SourceText: Sendable {
    /// Path from the root of the project, such as `Sources/Engine/Mailbox.swift`.
    let path: String
    /// Lines as written.
    let lines: [Substring]
    /// Code alone: comments and the content of strings are blank, line breaks stay.
    let code: String

    /// All Swift files under `Sources` and `Tests`, in order of their paths.
    static func all() throws -> [SourceText] {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../..").standardizedFileURL.path
        var files: [SourceText] = []
        for folder in ["Sources", "Tests"] {
            let paths = FileManager.default.enumerator(atPath: "\(root)/\(folder)")
            while let path = paths?.nextObject() as? String {
                guard path.hasSuffix(".swift") else { continue }
                let text = try String(contentsOfFile: "\(root)/\(folder)/\(path)", encoding: .utf8)
                files.append(SourceText(path: "\(folder)/\(path)", text: text))
            }
        }
        return files.sorted { $0.path < $1.path }
    }

    /// Takes a file apart.
    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        code = Self.withoutCommentsAndStrings(text)
    }

    /// Name of the target, from the path.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 1 ? String(parts[1]) : ""
    }

    /// Words of the code with the number of their line, from 1.
    ///
    /// A word is of letters, digits and `_`.
    var words: [(line: Int, word: Substring)] {
        codeLines.flatMap { line, text in
            text.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map { (line, $0) }
        }
    }

    /// Lines of the code with their numbers, from 1.
    var codeLines: [(line: Int, text: Substring)] {
        code.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
            .map { ($0.offset + 1, $0.element) }
    }

    /// Modules that the file imports.
    var imports: Set<String> {
        let kinds: Set<Substring> = [
            "struct", "class", "enum", "protocol", "func", "var", "let", "typealias", "actor",
        ]
        var modules: Set<String> = []
        for line in code.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "." }
            guard let index = words.firstIndex(of: "import"),
                words[..<index].allSatisfy({ $0.hasPrefix("@") || Self.accessLevels.contains($0) })
            else { continue }
            let names = words[words.index(after: index)...].drop { kinds.contains($0) }
            if let module = names.first { modules.insert(String(module)) }
        }
        return modules
    }

    private static let accessLevels: Set<Substring> = [
        "public", "package", "internal", "fileprivate", "private",
    ]

    /// Blanks comments and strings.
    ///
    /// Code within string interpolations is blanked with its string.
    private static func withoutCommentsAndStrings(_ text: String) -> String {
        var code: [UInt8] = []
        var rest = Array(text.utf8)[...]
        func starts(_ prefix: String) -> Bool { rest.starts(with: prefix.utf8) }
        while let byte = rest.first {
            if starts("//") {
                rest = rest.drop { $0 != UInt8(ascii: "\n") }
            } else if starts("/*") {
                var depth = 0
                repeat {
                    if starts("/*") {
                        depth += 1
                        rest = rest.dropFirst(2)
                    } else if starts("*/") {
                        depth -= 1
                        rest = rest.dropFirst(2)
                    } else if let skipped = rest.popFirst(), skipped == UInt8(ascii: "\n") {
                        code.append(skipped)
                    }
                } while depth > 0 && !rest.isEmpty
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "#") {
                let hashes = rest.prefix { $0 == UInt8(ascii: "#") }.count
                let pounds = String(repeating: "#", count: hashes)
                rest = rest.dropFirst(hashes)
                guard starts("\"") else {
                    code += pounds.utf8
                    continue
                }
                let quotes = starts("\"\"\"") ? "\"\"\"" : "\""
                rest = rest.dropFirst(quotes.utf8.count)
                while !rest.isEmpty && !starts(quotes + pounds) {
                    // An escape takes the next byte with it, unless the string is raw.
                    if hashes == 0 && starts("\\") { rest = rest.dropFirst() }
                    if let skipped = rest.popFirst(), skipped == UInt8(ascii: "\n") {
                        code.append(skipped)
                    }
                }
                rest = rest.dropFirst(quotes.utf8.count + hashes)
                code += "\"\"".utf8
            } else {
                code.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: code, as: UTF8.self)
    }
}
