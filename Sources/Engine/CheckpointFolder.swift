import Foundation
import Glibc

/// Checkpoints as files of one folder, written to a temporary name first.
///
/// A file is opened for each piece, so that nothing is held between them: a piece is some 100 kB.
public struct CheckpointFolder: CheckpointFiles {
    private let folder: String

    /// Names the folder; it is made, for this user alone, when there is something to write.
    ///
    /// - Parameters:
    ///   - stateDirectory: `state.directory`.
    ///   - group: consumer group.
    ///   - instance: name of the worker within it.
    public init(stateDirectory: String, group: String, instance: String) {
        folder = "\(stateDirectory)/checkpoint/\(Self.fileName(group)).\(Self.fileName(instance))"
    }

    private static let suffix = ".checkpoint"
    private static let temporary = ".new"

    /// A name as a file's: letters, digits, dash and underscore stay, all else is written as %XX.
    private static func fileName(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            let character = Character(Unicode.Scalar(byte))
            if byte < 128, character.isLetter || character.isNumber || "-_".contains(character) {
                result.append(character)
            } else {
                result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result
    }

    /// The folder.
    public var place: String { folder }

    private func path(_ partition: Int32) -> String { "\(folder)/\(partition)\(Self.suffix)" }

    /// Creates an empty file under the temporary name.
    public func begin(_ partition: Int32) throws(CheckpointFault) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw CheckpointFault(
                operation: "make the checkpoint folder \(folder) (state.directory)",
                reason: error.localizedDescription
            )
        }
        try discard(partition)
        let path = path(partition) + Self.temporary
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.fault("create \(path)") }
        guard close(file) == 0 else { throw Self.fault("create \(path)") }
    }

    /// Appends to the file under the temporary name.
    public func append(_ bytes: [UInt8], to partition: Int32) throws(CheckpointFault) {
        let path = path(partition) + Self.temporary
        let file = unsafe open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw Self.fault("write \(path)") }
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes { source in
                unsafe write(
                    file,
                    source.baseAddress.map { unsafe $0 + written },
                    bytes.count - written
                )
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                let fault = Self.fault("write \(path)")
                _ = close(file)
                throw fault
            }
            written += count
        }
        // A network file system may say only now that the disk is full.
        guard close(file) == 0 else { throw Self.fault("write \(path)") }
    }

    /// Makes the file durable under its own name: file, name, folder.
    public func publish(_ partition: Int32) throws(CheckpointFault) {
        let path = path(partition)
        try Self.synchronise(path + Self.temporary, O_WRONLY)
        guard unsafe rename(path + Self.temporary, path) == 0 else {
            throw Self.fault("rename \(path + Self.temporary)")
        }
        try Self.synchronise(folder, O_RDONLY | O_DIRECTORY)
    }

    /// Removes the file under the temporary name.
    public func discard(_ partition: Int32) throws(CheckpointFault) {
        try Self.unlinkIfThere(path(partition) + Self.temporary)
    }

    /// Removes the file under either name.
    public func remove(_ partition: Int32) throws(CheckpointFault) {
        try discard(partition)
        try Self.unlinkIfThere(path(partition))
    }

    /// Partitions with a file under either name, ascending.
    public func partitions() throws(CheckpointFault) -> [Int32] {
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        do {
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            let found = names.compactMap { name -> Int32? in
                let published =
                    name.hasSuffix(Self.temporary) ? name.dropLast(Self.temporary.count) : name[...]
                guard published.hasSuffix(Self.suffix) else { return nil }
                return Int32(published.dropLast(Self.suffix.count))
            }
            return Set(found).sorted()
        } catch {
            throw CheckpointFault(
                operation: "list the checkpoint folder \(folder)",
                reason: error.localizedDescription
            )
        }
    }

    /// Reads from the file.
    public func read(
        _ partition: Int32,
        from start: Int,
        count: Int,
        into bytes: inout [UInt8]
    ) throws(CheckpointFault) -> Bool {
        bytes.removeAll(keepingCapacity: true)
        let path = path(partition)
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        if file < 0 && errno == ENOENT { return false }
        guard file >= 0 else { throw Self.fault("read \(path)") }
        defer { _ = close(file) }
        bytes.append(contentsOf: repeatElement(0, count: count))
        var done = 0
        while done < count {
            let length = unsafe bytes.withUnsafeMutableBytes { target in
                unsafe pread(
                    file,
                    target.baseAddress.map { unsafe $0 + done },
                    count - done,
                    off_t(start + done)
                )
            }
            if length < 0 && errno == EINTR { continue }
            guard length >= 0 else { throw Self.fault("read \(path)") }
            if length == 0 { break }
            done += length
        }
        bytes.removeLast(count - done)
        return true
    }

    private static func synchronise(_ path: String, _ flags: Int32) throws(CheckpointFault) {
        let file = unsafe open(path, flags | O_CLOEXEC)
        guard file >= 0 else { throw fault("write \(path) to the disk") }
        guard fsync(file) == 0 else {
            let fault = fault("write \(path) to the disk")
            _ = close(file)
            throw fault
        }
        guard close(file) == 0 else { throw fault("write \(path) to the disk") }
    }

    private static func unlinkIfThere(_ path: String) throws(CheckpointFault) {
        guard unsafe unlink(path) != 0, errno != ENOENT else { return }
        throw fault("remove \(path)")
    }

    private static func fault(_ operation: String) -> CheckpointFault {
        let code = errno
        let reason = unsafe strerror(code).map { unsafe String(cString: $0) } ?? "error \(code)"
        return CheckpointFault(operation: operation, reason: reason)
    }
}
