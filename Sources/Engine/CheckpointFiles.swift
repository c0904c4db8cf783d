/// Where a worker keeps the checkpoints of its partitions, one file each.
///
/// What is written is in a file of its own until `publish` puts it in the place of the one before,
/// whole and on the disk, so that a crash leaves the old one or the new one. Nothing in it need be
/// trusted: it may be deleted, cut or changed at any time.
public protocol CheckpointFiles: Sendable {
    /// Where they are, for messages.
    var place: String { get }

    /// Begins a new file of a partition; one that was begun before is dropped.
    func begin(_ partition: Int32) throws(CheckpointFault)

    /// Appends to the file that was begun.
    func append(_ bytes: [UInt8], to partition: Int32) throws(CheckpointFault)

    /// Puts the file that was begun in the place of the one before.
    func publish(_ partition: Int32) throws(CheckpointFault)

    /// Drops the file that was begun, where there is one.
    func discard(_ partition: Int32) throws(CheckpointFault)

    /// Removes what there is of a partition, published or begun.
    func remove(_ partition: Int32) throws(CheckpointFault)

    /// Partitions that have a file, published or begun.
    func partitions() throws(CheckpointFault) -> [Int32]

    /// Reads from the published file.
    ///
    /// - Parameters:
    ///   - partition: whose file.
    ///   - start: where to begin, in bytes.
    ///   - count: bytes wanted.
    ///   - bytes: replaced by what was read, which is less where the file ends.
    /// - Returns: false when there is no such file.
    /// - Throws: `CheckpointFault` when it cannot be read; the checkpoint is not used then.
    func read(
        _ partition: Int32,
        from start: Int,
        count: Int,
        into bytes: inout [UInt8]
    ) throws(CheckpointFault) -> Bool
}

/// A file that could not be written or read; the engine goes on without it.
public struct CheckpointFault: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted, with the file.
    public var operation: String
    /// Why it failed, in the system's words.
    public var reason: String

    /// Creates a fault from its parts.
    public init(operation: String, reason: String) {
        self.operation = operation
        self.reason = reason
    }

    /// Operation and reason.
    public var description: String { "\(operation): \(reason)" }
}

/// How a worker keeps checkpoints.
public struct CheckpointConfiguration: Sendable {
    /// Where.
    public var files: any CheckpointFiles
    /// Consumer group that the rows belong to.
    public var group: String
    /// Changelog topic that they are a copy of.
    public var topic: String
    /// Name of this worker within the group.
    public var instance: String
    /// Time between the starts of two rounds, in milliseconds.
    public var intervalMilliseconds: Int64 = 600_000
    /// Rows copied between two transactions, at most.
    public var rows = 2_000
    /// How long a drain may write a last round, in milliseconds.
    public var drainMilliseconds: Int64 = 10_000
    /// Whether a thread of its own writes; otherwise the engine's does, one turn the same as in
    /// every run.
    public var isBackground = true

    /// Creates a configuration with defaults for the rest.
    public init(files: any CheckpointFiles, group: String, topic: String, instance: String) {
        self.files = files
        self.group = group
        self.topic = topic
        self.instance = instance
    }
}
