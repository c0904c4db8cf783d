import Engine
import Foundation
import Testing

/// Checkpoints as files.
@Suite struct CheckpointFolderTests {
    private let root = NSTemporaryDirectory() + "segmentd-checkpoint-\(UUID().uuidString)"
    private var folder: CheckpointFolder {
        CheckpointFolder(stateDirectory: root, group: "shop", instance: "a/1")
    }

    private func contents(_ partition: Int32) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        return try folder.read(partition, from: 0, count: 1 << 16, into: &bytes) ? bytes : nil
    }

    private func write(_ pieces: [[UInt8]], to partition: Int32) throws {
        try folder.begin(partition)
        for piece in pieces { try folder.append(piece, to: partition) }
    }

    @Test func aFileIsThereOnceItIsPublishedAndNotBefore() throws {
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root) } }
        #expect(try folder.partitions() == [])
        #expect(try contents(7) == nil)
        try write([[1, 2], [3]], to: 7)
        #expect(try contents(7) == nil)
        try folder.publish(7)
        #expect(try contents(7) == [1, 2, 3])
        try write([[9]], to: 7)
        #expect(try contents(7) == [1, 2, 3], "the one before stays")
        try folder.discard(7)
        #expect(throws: CheckpointFault.self) { try folder.publish(7) }
        #expect(try contents(7) == [1, 2, 3])
        try write([[4]], to: 7)
        try write([[5]], to: 7)
        try folder.publish(7)
        #expect(try contents(7) == [5], "what was begun before is dropped")
    }

    @Test func partsAreReadAndTheEndIsSeen() throws {
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root) } }
        try write([Array(0..<100)], to: 0)
        try folder.publish(0)
        var bytes: [UInt8] = [77]
        #expect(try folder.read(0, from: 10, count: 5, into: &bytes))
        #expect(bytes == [10, 11, 12, 13, 14])
        #expect(try folder.read(0, from: 98, count: 5, into: &bytes))
        #expect(bytes == [98, 99])
        #expect(try folder.read(0, from: 100, count: 5, into: &bytes))
        #expect(bytes.isEmpty)
    }

    @Test func whatIsLeftBehindIsFoundAndRemoved() throws {
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root) } }
        try write([[1]], to: 1)
        try folder.publish(1)
        try write([[1]], to: 2)
        #expect(try folder.partitions() == [1, 2])
        try folder.remove(1)
        try folder.remove(2)
        try folder.remove(3)
        #expect(try folder.partitions() == [])
        #expect(folder.place.hasSuffix("/checkpoint/shop.a%2f1"))
    }

    @Test func filesAreForThisUserAlone() throws {
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root) } }
        try write([[1]], to: 1)
        try folder.publish(1)
        let manager = FileManager.default
        for (path, mode) in [(folder.place, 0o700), (folder.place + "/1.checkpoint", 0o600)] {
            let found = try manager.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
            #expect(found?.intValue == mode, "\(path)")
        }
    }

    /// The system's own words, with the file.
    @Test func faultsAreSaid() throws {
        try Data().write(to: URL(fileURLWithPath: root))
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: root) } }
        let error = #expect(throws: CheckpointFault.self) { try folder.begin(1) }
        #expect(error?.description.contains("state.directory") == true)
        let second = #expect(throws: CheckpointFault.self) { try folder.append([1], to: 1) }
        #expect(second?.description.contains("Not a directory") == true, "\(second as Any)")
    }

    private static let smallDisk = ProcessInfo.processInfo.environment["SMALL_DISK"]

    /// A genuine full disk, where `SMALL_DISK` names a folder on one of a few MiB.
    @Test(.enabled(if: smallDisk != nil, "SMALL_DISK names no folder on a small disk"))
    func aSmallDiskFills() throws {
        let root = try #require(Self.smallDisk)
        let folder = CheckpointFolder(stateDirectory: root, group: "shop", instance: "1")
        try folder.begin(0)
        try folder.append([1, 2, 3], to: 0)
        try folder.publish(0)
        for _ in 0..<3 {
            try folder.begin(0)
            let piece = [UInt8](repeating: 7, count: 300_000)
            var pieces = 0
            let fault = #expect(throws: CheckpointFault.self) {
                while pieces < 1_000 {
                    try folder.append(piece, to: 0)
                    pieces += 1
                }
            }
            #expect(fault?.reason == "No space left on device")
            #expect(pieces > 3, "room came back")
            try folder.discard(0)
            var bytes: [UInt8] = []
            #expect(try folder.read(0, from: 0, count: 10, into: &bytes) && bytes == [1, 2, 3])
        }
        try folder.remove(0)
    }
}
