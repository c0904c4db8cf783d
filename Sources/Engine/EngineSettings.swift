public import Segmentation

/// What the engine takes over while it runs.
public struct EngineSettings: Sendable, Equatable {
    /// For the core, which takes what may change and leaves the rest aside.
    public var segmentation: SegmentationConfiguration
    /// Longest time that a transaction stays open, in milliseconds.
    public var intervalMaximumMilliseconds: Int
    /// Shortest time, in milliseconds.
    public var intervalMinimumMilliseconds: Int
    /// Input records of a transaction, at most.
    public var transactionRecords: Int
    /// Input bytes of a transaction, at most.
    public var transactionBytes: Int
    /// Rows looked at per turn because they are due, at most.
    public var dueRows: Int

    /// Creates settings from those of the loop.
    ///
    /// - Parameters:
    ///   - segmentation: valid.
    ///   - limits: the loop's limits.
    public init(segmentation: SegmentationConfiguration, limits: CommitLoopConfiguration) {
        self.segmentation = segmentation
        intervalMaximumMilliseconds = limits.intervalMaximumMilliseconds
        intervalMinimumMilliseconds = limits.intervalMinimumMilliseconds
        transactionRecords = limits.transactionRecords
        transactionBytes = limits.transactionBytes
        dueRows = limits.dueRows
    }
}

extension CommitLoop where Log: ~Copyable {
    /// Takes new settings over, between two transactions.
    mutating func takeSettings() {
        guard !transaction.isOpen, let settings = mailbox.takeSettings() else { return }
        configuration.intervalMaximumMilliseconds = settings.intervalMaximumMilliseconds
        configuration.intervalMinimumMilliseconds = settings.intervalMinimumMilliseconds
        configuration.transactionRecords = settings.transactionRecords
        configuration.transactionBytes = settings.transactionBytes
        configuration.dueRows = settings.dueRows
        core.reconfigure(settings.segmentation)
        board.update { $0.reloads.applied += 1 }
    }
}
