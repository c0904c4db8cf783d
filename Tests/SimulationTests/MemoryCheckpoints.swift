import Engine
import Synchronization
import TestSupport

/// A worker's disk: it outlives the worker, and things happen to it.
final class MemoryCheckpoints: CheckpointFiles {
    private struct State {
        var begun: [Int32: [UInt8]] = [:]
        var published: [Int32: [UInt8]] = [:]
        /// What was published before, to come back as a restored backup would.
        var former: [Int32: [UInt8]] = [:]
        var bytesLeft = Int.max
        var reports: [String: Int] = [:]
        var reasons: [String] = []
        var damaged = 0
    }

    private let state = Mutex(State())
    /// Chance that something happens to a file while the worker is dead, in hundredths.
    let damagePerCent: Int
    let intervalMilliseconds: Int64
    let rows: Int

    init(damagePerCent: Int = 0, intervalMilliseconds: Int64 = 20, rows: Int = 3) {
        self.damagePerCent = damagePerCent
        self.intervalMilliseconds = intervalMilliseconds
        self.rows = rows
    }

    func configuration(instance: String) -> CheckpointConfiguration {
        var result = CheckpointConfiguration(
            files: self,
            group: SimulationInput.group,
            topic: "changelog",
            instance: instance
        )
        result.isBackground = false
        result.intervalMilliseconds = intervalMilliseconds
        result.rows = rows
        return result
    }

    // MARK: what the tests ask and do

    func count(_ report: String) -> Int { state.withLock { $0.reports[report] ?? 0 } }
    var reasons: [String] { state.withLock { $0.reasons } }
    var damagedCount: Int { state.withLock { $0.damaged } }
    var files: [Int32: [UInt8]] { state.withLock { $0.published } }
    var begunCount: Int { state.withLock { $0.begun.count } }

    func put(_ files: [Int32: [UInt8]]) { state.withLock { $0.published = files } }

    /// Lets the disk be full after so many further bytes.
    func setBytesLeft(_ count: Int) { state.withLock { $0.bytesLeft = count } }

    func note(_ report: EngineReport) {
        state.withLock { state in
            switch report {
            case .restoredCheckpoint: state.reports["restored", default: 0] += 1
            case .ignoredCheckpoint(_, let reason):
                state.reports["ignored", default: 0] += 1
                state.reasons.append(reason)
            case .wroteCheckpoints: state.reports["wrote", default: 0] += 1
            case .checkpointFailed(let reason):
                state.reports["failed", default: 0] += 1
                state.reasons.append(reason)
            default: break
            }
        }
    }

    /// Something happens to files while nobody looks: a bit, the end, the whole file, an older one.
    func age(_ random: inout SplitMix64) {
        for (partition, file) in files.sorted(by: { $0.key < $1.key })
        where random.below(100) < damagePerCent {
            var bytes: [UInt8]? = file
            switch random.below(4) {
            case 0: bytes?[random.below(file.count)] ^= 1 << UInt8(random.below(8))
            case 1: bytes?.removeLast(1 + random.below(file.count))
            case 2: bytes = nil
            default: bytes = state.withLock { $0.former[partition] } ?? bytes
            }
            state.withLock { state in
                state.published[partition] = bytes
                state.damaged += 1
            }
        }
    }

    // MARK: CheckpointFiles

    var place: String { "memory" }

    func begin(_ partition: Int32) throws(CheckpointFault) {
        state.withLock { $0.begun[partition] = [] }
    }

    func append(_ bytes: [UInt8], to partition: Int32) throws(CheckpointFault) {
        let isWritten = state.withLock { state in
            // A full disk takes what still fits.
            let count = min(bytes.count, state.bytesLeft)
            if state.bytesLeft != Int.max { state.bytesLeft -= count }
            state.begun[partition]?.append(contentsOf: bytes[..<count])
            return count == bytes.count
        }
        guard isWritten else {
            throw CheckpointFault(operation: "write \(partition)", reason: "No space left")
        }
    }

    func publish(_ partition: Int32) throws(CheckpointFault) {
        let wasBegun = state.withLock { state in
            guard let bytes = state.begun.removeValue(forKey: partition) else { return false }
            state.former[partition] = state.published[partition]
            state.published[partition] = bytes
            return true
        }
        guard wasBegun else {
            throw CheckpointFault(operation: "rename \(partition)", reason: "No such file")
        }
    }

    func discard(_ partition: Int32) throws(CheckpointFault) {
        state.withLock { $0.begun[partition] = nil }
    }

    func remove(_ partition: Int32) throws(CheckpointFault) {
        state.withLock { $0.published[partition] = nil }
    }

    func partitions() throws(CheckpointFault) -> [Int32] { files.keys.sorted() }

    func read(
        _ partition: Int32,
        from start: Int,
        count: Int,
        into bytes: inout [UInt8]
    ) throws(CheckpointFault) -> Bool {
        guard let file = files[partition] else { return false }
        bytes = Array(file.dropFirst(start).prefix(count))
        return true
    }
}
