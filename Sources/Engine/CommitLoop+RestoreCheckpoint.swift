import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Who owns partitions from now on: the same as before where the rows come from a checkpoint,
    /// this worker since this moment otherwise, nobody where no checkpoints are kept.
    func claimsToTake(_ partitions: [Int32], _ found: [Int32: String]) -> [Int32: String] {
        guard let configuration = configuration.checkpoint else { return [:] }
        let fresh = "\(configuration.instance)@\(clock.wallMilliseconds())"
        var claims: [Int32: String] = [:]
        for partition in partitions {
            let present =
                positions.owns(partition: partition) ? positions.claim(of: partition) : nil
            let kept = keptClaims.contains(partition) ? found[partition] : nil
            claims[partition] = present ?? kept ?? fresh
        }
        return claims
    }

    /// Loads a partition's checkpoint, where there is one that fits.
    ///
    /// - Parameters:
    ///   - partition: whose rows; none of them may be in the table yet.
    ///   - claim: who owned it last, as the committed offsets say.
    /// - Returns: the offset from which the changelog is still to be read, nil for its start.
    /// - Throws: `LoopFault` when a broker does not answer; the take-over is done again then.
    mutating func restoreCheckpoint(
        of partition: Int32,
        claim: String?
    ) throws(LoopFault) -> Int64? {
        keptClaims.remove(partition)
        guard let keeper = checkpoints else {
            board.update { $0.checkpoint.ignoredPartitions += 1 }
            return nil
        }
        var rows = 0
        var hasBegun = false
        do throws(CheckpointRefusal) {
            try awaitWriter(keeper.writer)
            var reader = try CheckpointReader(
                keeper.configuration.files,
                partition: partition
            )
            try check(reader.header, keeper.configuration, claim: claim)
            let limits = try limits(of: partition)
            try check(reader.header, limits)
            while let entries = try reader.next() {
                // Also half a block has to be forgotten.
                hasBegun = true
                do throws(CheckpointFailure) {
                    try core.restoreBlock(reader.payload, entries: entries, partition: partition)
                } catch {
                    throw CheckpointRefusal(reason: error.description)
                }
                rows += entries
                let count = core.customerCount
                board.turned()
                board.update { $0.customers = count }
            }
            keptClaims.insert(partition)
            let offset = reader.header.offset
            report(.restoredCheckpoint(partition: partition, rows: rows, offset: offset))
            board.update { $0.checkpoint.restoredPartitions += 1 }
            return offset
        } catch {
            // A broker that is away comes back; one that refuses to say does not.
            if let fault = error.fault, fault.remedy == .retry { throw .log(fault) }
            if hasBegun { core.forgetRestored(partition) }
            // What does not fit now never will.
            if error.fault == nil { keeper.writer.submit(.remove(partition)) }
            report(.ignoredCheckpoint(partition: partition, because: error.reason))
            board.update { $0.checkpoint.ignoredPartitions += 1 }
            return nil
        }
    }

    /// What was submitted before, a removal perhaps, comes first.
    private mutating func awaitWriter(_ writer: CheckpointWriter) throws(CheckpointRefusal) {
        let end = clock.monotonicMicroseconds() + 10_000_000
        while !writer.isIdle {
            guard clock.monotonicMicroseconds() < end else {
                throw CheckpointRefusal(reason: "the disk of the checkpoints does not answer")
            }
            clock.sleep(milliseconds: 1)
            board.turned()
        }
    }

    /// What the broker says: how long tombstones stay, and where the changelog begins and ends.
    private mutating func limits(
        of partition: Int32
    ) throws(CheckpointRefusal) -> (retention: Int64, bounds: Range<Int64>) {
        do throws(LogError) {
            return (
                try log.tombstoneRetentionMilliseconds(),
                try log.bounds(of: .changelog, partition: partition)
            )
        } catch {
            throw CheckpointRefusal(reason: error.description, fault: error)
        }
    }

    private func check(
        _ header: CheckpointHeader,
        _ configuration: CheckpointConfiguration,
        claim: String?
    ) throws(CheckpointRefusal) {
        guard header.group == configuration.group, header.topic == configuration.topic else {
            throw CheckpointRefusal(
                reason: "its checkpoint is of group \(header.group), topic \(header.topic)"
            )
        }
        guard header.slots == core.slotFingerprint else {
            throw CheckpointRefusal(reason: "its checkpoint is of other slots than declared")
        }
        guard header.claim == claim else {
            let owner = claim.map { "\($0) has owned it" } ?? "the group's offsets name no owner"
            throw CheckpointRefusal(
                reason: "since its checkpoint, written by \(header.claim), \(owner)"
            )
        }
    }

    /// Not a checkpoint from which tombstones may be missing, nor one of another changelog.
    private func check(
        _ header: CheckpointHeader,
        _ limits: (retention: Int64, bounds: Range<Int64>)
    ) throws(CheckpointRefusal) {
        let age = clock.wallMilliseconds() - header.notedAtMilliseconds
        guard age <= limits.retention / 2 else {
            throw CheckpointRefusal(
                reason: "its checkpoint is \(age / 1000) s old, more than half of the changelog's "
                    + "delete.retention.ms (\(limits.retention)): tombstones may have gone"
            )
        }
        guard age >= -CheckpointReader.clockToleranceMilliseconds else {
            throw CheckpointRefusal(
                reason: "its checkpoint is \(-age / 1000) s from the future: set the clock"
            )
        }
        guard header.offset >= limits.bounds.lowerBound else {
            throw CheckpointRefusal(
                reason: "its checkpoint's offset \(header.offset) is before the start of the "
                    + "changelog (\(limits.bounds.lowerBound))"
            )
        }
        guard header.offset <= limits.bounds.upperBound else {
            throw CheckpointRefusal(
                reason: "its checkpoint's offset \(header.offset) is behind the end of the "
                    + "changelog (\(limits.bounds.upperBound)), which is another one then"
            )
        }
    }
}
