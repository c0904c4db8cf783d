import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Time between two looks at the ends of partitions, in microseconds: far below the lateness
    /// that due moments are given anyway.
    private static var clockCheckMicroseconds: Int64 { 5_000_000 }
    /// How far a clock may lag the wall clock before its end is asked for, in milliseconds.
    private static var clockLagMilliseconds: Int64 { 60_000 }

    /// Whether any partition of ours has rows that are due.
    var isAnythingDue: Bool { positions.partitions.contains { core.isDue($0) } }

    /// Decides rows that are due, a bounded number a turn, in the transaction that everything else
    /// is in.
    mutating func decideDue() throws(LoopFault) {
        try advanceClocks()
        for partition in positions.partitions { core.watchOrders(of: partition) }
        guard isAnythingDue else { return }
        var left = configuration.dueRows
        for partition in positions.partitions.sorted() where left > 0 && core.isDue(partition) {
            try begin()
            left -= core.decideDue(
                of: partition,
                limit: left,
                context: StepContext(
                    wallMilliseconds: clock.wallMilliseconds(),
                    backfill: positions.isBackfilling(partition)
                ),
                into: &output
            )
            try produceOutput()
        }
    }

    /// Moves the clocks of partitions that are at their end on to the wall clock.
    ///
    /// The broker is asked, because a client that lost its connection goes on believing in the end
    /// that it saw last, while orders wait behind it.
    private mutating func advanceClocks() throws(LoopFault) {
        guard configuration.clockAtEnd == .wall, !positions.partitions.isEmpty,
            configuration.connection.downSinceMilliseconds == nil
        else { return }
        let now = clock.monotonicMicroseconds()
        guard now >= nextClockCheck else { return }
        nextClockCheck = now + Self.clockCheckMicroseconds
        for partition in positions.partitions.sorted() {
            // Taken first: a record that comes after the answer is younger than that.
            let wall = clock.wallMilliseconds()
            let known = core.partitionClock(partition)
            // Before the first event there is nobody whose moments could be due.
            guard known > Int64.min, wall - known >= Self.clockLagMilliseconds else { continue }
            do throws(LogError) {
                if try isAtEnd(partition) { core.advanceClock(of: partition, to: wall) }
            } catch {
                guard error.remedy == .retry else { throw .log(error) }
                // No answer: the clock waits until there is one.
                return
            }
        }
    }

    /// Whether everything in a partition has been read, of every topic.
    private mutating func isAtEnd(_ partition: Int32) throws(LogError) -> Bool {
        for (topicIndex, next) in positions.nextOffsets(of: partition) {
            let reached = log.reachedEnd(topicIndex: topicIndex, partition: partition)
            let read = max(next, reached ?? 0)
            // Most often known without asking.
            if let known = log.knownEndOffset(topicIndex: topicIndex, partition: partition),
                known > read
            {
                return false
            }
            if try log.endOffset(topicIndex: topicIndex, partition: partition) > read {
                return false
            }
        }
        return true
    }
}
