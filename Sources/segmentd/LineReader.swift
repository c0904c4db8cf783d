import Foundation

/// Lines of a file or of standard input, in chunks, without holding it all.
struct LineReader {
    private let handle: FileHandle
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// Bytes read so far.
    private(set) var bytesRead = 0
    private let chunkBytes = 1 << 20

    /// Opens a file, or standard input for `-`.
    ///
    /// - Throws: `CommandFailure` when it cannot be opened.
    init(path: String) throws(CommandFailure) {
        if path == "-" {
            handle = .standardInput
            return
        }
        guard let handle = FileHandle(forReadingAtPath: path) else {
            let exists = FileManager.default.fileExists(atPath: path)
            throw CommandFailure(
                "cannot read --input \(path): " + (exists ? "not readable" : "no such file")
            )
        }
        self.handle = handle
    }

    /// The next line without its end, nil at the end of the file.
    ///
    /// - Throws: `CommandFailure` when reading fails.
    mutating func next() throws(CommandFailure) -> ArraySlice<UInt8>? {
        var searched = position
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { position = end + 1 }
                return buffer[position..<end]
            }
            if isAtEnd {
                guard position < buffer.count else { return nil }
                defer { position = buffer.count }
                return buffer[position...]
            }
            buffer.removeFirst(position)
            position = 0
            searched = buffer.count
            try fill()
        }
    }

    private mutating func fill() throws(CommandFailure) {
        do {
            let chunk = try handle.read(upToCount: chunkBytes) ?? Data()
            isAtEnd = chunk.isEmpty
            bytesRead += chunk.count
            buffer.append(contentsOf: chunk)
        } catch {
            throw CommandFailure("reading the input failed: \(error.localizedDescription)")
        }
    }
}

/// A file written from the start, or standard output for `-`.
struct OutputFile {
    private let handle: FileHandle
    private let path: String

    /// Creates or truncates a file.
    ///
    /// - Throws: `CommandFailure` when that fails.
    init(path: String, option: String) throws(CommandFailure) {
        self.path = path
        if path == "-" {
            handle = .standardOutput
            return
        }
        guard FileManager.default.createFile(atPath: path, contents: nil),
            let handle = FileHandle(forWritingAtPath: path)
        else { throw CommandFailure("cannot write \(option) \(path)") }
        self.handle = handle
    }

    /// Appends bytes.
    ///
    /// - Throws: `CommandFailure` when the disk is full or nobody reads.
    func write(_ bytes: [UInt8]) throws(CommandFailure) {
        do {
            try handle.write(contentsOf: Data(bytes))
        } catch {
            // Nobody reads standard output any more, such as after `| head`.
            if path == "-" { exit(ExitStatus.failure.rawValue) }
            throw CommandFailure("writing \(path) failed: \(error.localizedDescription)")
        }
    }
}
