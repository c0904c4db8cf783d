import EventLog
import Segmentation

/// The checkpoints of a worker's partitions: one round at a time over all of them.
///
/// ```
///             interval                      last row                  all published
///     idle ----------------> copying slices ----------> on their way ---------------> idle
///      ^                          |
///      +--- revoked, disk full ---+
/// ```
struct CheckpointKeeper {
    let configuration: CheckpointConfiguration
    let writer: CheckpointWriter
    /// The round whose rows are being copied.
    var round: CheckpointRound?
    /// When the next round begins, monotonic, in microseconds; nil before the first is planned.
    var nextRound: Int64?
    /// When the present round began, monotonic, in microseconds.
    var roundStarted: Int64 = 0
    /// When the offsets of the present round were noted, in milliseconds since 1970.
    var notedAt: Int64 = 0
    /// What is not published yet of the present round.
    var unpublished: Set<Int32> = []
    var writtenBytes: [Int32: Int] = [:]

    init(_ configuration: CheckpointConfiguration) {
        self.configuration = configuration
        writer = CheckpointWriter(
            configuration.files,
            isBackground: configuration.isBackground
        )
    }

    /// The first round begins so soon, or an interval after the start where that is sooner.
    static let firstMicroseconds: Int64 = 60_000_000
    /// Waits this long after a round that could not begin.
    static let retryMicroseconds: Int64 = 30_000_000
}

extension CommitLoop where Log: ~Copyable {
    /// Between two transactions: copies a slice of rows, or begins a round that is due.
    ///
    /// Nothing here ends the loop: a log that is out of order says so again at the next call.
    mutating func keepCheckpoints() {
        // Rows of an open transaction are not committed yet.
        guard !transaction.isOpen, var keeper = checkpoints.take() else { return }
        defer { checkpoints = keeper }
        noteOutcomes(&keeper)
        if keeper.round == nil, keeper.unpublished.isEmpty {
            let now = clock.monotonicMicroseconds()
            let interval = keeper.configuration.intervalMilliseconds * 1000
            let due = keeper.nextRound ?? now + min(interval, CheckpointKeeper.firstMicroseconds)
            keeper.nextRound = due
            guard now >= due, !positions.partitions.isEmpty, keeper.writer.isIdle else { return }
            let hasBegun = begin(&keeper)
            let wait = hasBegun ? interval : min(interval, CheckpointKeeper.retryMicroseconds)
            keeper.nextRound = now + wait
        }
        slice(&keeper)
    }

    /// Notes where the changelog ends, before the first row is copied, and begins.
    ///
    /// - Returns: false when the brokers do not say.
    private mutating func begin(_ keeper: inout CheckpointKeeper) -> Bool {
        var headers: [CheckpointHeader] = []
        keeper.notedAt = clock.wallMilliseconds()
        keeper.roundStarted = clock.monotonicMicroseconds()
        for partition in positions.partitions.sorted() {
            guard let claim = positions.claim(of: partition) else { continue }
            do throws(LogError) {
                var end = try log.bounds(of: .changelog, partition: partition).upperBound
                if configuration.mutation == .checkpointOffsetAhead { end += 6 }
                headers.append(
                    CheckpointHeader(
                        group: keeper.configuration.group,
                        topic: keeper.configuration.topic,
                        partition: partition,
                        claim: claim,
                        offset: end,
                        notedAtMilliseconds: keeper.notedAt,
                        slots: core.slotFingerprint
                    )
                )
            } catch {
                report(.checkpointFailed(error.description))
                return false
            }
        }
        guard !headers.isEmpty else { return false }
        let round = CheckpointRound(headers)
        // What is left of a round that was given up is not of this one.
        _ = keeper.writer.takeOutcomes()
        keeper.writtenBytes.removeAll()
        keeper.unpublished = Set(round.partitions)
        keeper.writer.submit(.keepOnly(positions.partitions))
        for partition in round.partitions { keeper.writer.submit(.begin(partition)) }
        keeper.round = round
        return true
    }

    private mutating func slice(_ keeper: inout CheckpointKeeper) {
        guard keeper.writer.hasRoom, var round = keeper.round.take() else { return }
        let writer = keeper.writer
        core.advance(&round, limit: keeper.configuration.rows) { piece in
            writer.submit(.append(piece.partition, piece.bytes))
            if piece.isLast { writer.submit(.publish(piece.partition)) }
        }
        if !round.isComplete { keeper.round = round }
    }

    /// Looks at what the writer has done.
    private mutating func noteOutcomes(_ keeper: inout CheckpointKeeper) {
        guard !keeper.unpublished.isEmpty else { return }
        for outcome in keeper.writer.takeOutcomes() {
            switch outcome {
            case .written(let partition, let bytes):
                keeper.unpublished.remove(partition)
                keeper.writtenBytes[partition] = bytes
            case .failed(_, let fault):
                // Said once: what keeps one file from being written keeps the others too.
                guard !keeper.unpublished.isEmpty else { continue }
                report(.checkpointFailed(fault.description))
                board.update { $0.checkpoint.failures += 1 }
                giveUpRound(&keeper)
            }
        }
        guard keeper.unpublished.isEmpty, !keeper.writtenBytes.isEmpty else { return }
        let bytes = keeper.writtenBytes.values.reduce(0, +)
        let elapsed = (clock.monotonicMicroseconds() - keeper.roundStarted) / 1000
        report(
            .wroteCheckpoints(
                partitions: keeper.writtenBytes.count,
                bytes: bytes,
                milliseconds: Int(elapsed)
            )
        )
        let notedAt = keeper.notedAt
        board.update {
            $0.checkpoint.notedAtMilliseconds = notedAt
            $0.checkpoint.bytes = bytes
        }
        keeper.writtenBytes.removeAll()
    }

    private func giveUpRound(_ keeper: inout CheckpointKeeper) {
        for partition in keeper.unpublished { keeper.writer.submit(.discard(partition)) }
        keeper.unpublished.removeAll()
        keeper.writtenBytes.removeAll()
        keeper.round = nil
    }

    /// Partitions that are given back: nothing more of them is written.
    ///
    /// The published file stays for now, for most of them come back at once; whether somebody else
    /// has owned them is told by the claim. The next round removes it where they did not come back.
    mutating func dropCheckpoints(of partitions: [Int32]) {
        guard var keeper = checkpoints.take() else { return }
        defer { checkpoints = keeper }
        for partition in partitions {
            keeper.round?.leaveOut(partition)
            keeper.unpublished.remove(partition)
            keeper.writer.submit(.discard(partition))
        }
        if keeper.round?.partitions.isEmpty == true { keeper.round = nil }
    }

    /// At a clean stop: a last round, as far as the time goes; the one under way counts.
    mutating func finishCheckpoints() {
        guard !transaction.isOpen, !positions.partitions.isEmpty,
            var keeper = checkpoints.take()
        else { return }
        defer { checkpoints = keeper }
        let end =
            clock.monotonicMicroseconds() + keeper.configuration.drainMilliseconds * 1000
        noteOutcomes(&keeper)
        if keeper.round == nil, keeper.unpublished.isEmpty {
            guard keeper.writer.isIdle, begin(&keeper) else { return }
        }
        while !keeper.unpublished.isEmpty, clock.monotonicMicroseconds() < end {
            if keeper.round != nil, keeper.writer.hasRoom {
                slice(&keeper)
            } else {
                clock.sleep(milliseconds: 5)
            }
            board.turned()
            noteOutcomes(&keeper)
        }
        if !keeper.unpublished.isEmpty {
            report(.checkpointFailed("a last checkpoint within the time of a drain: not finished"))
            giveUpRound(&keeper)
        }
    }
}
