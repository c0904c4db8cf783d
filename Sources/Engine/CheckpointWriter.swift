import Foundation
import Synchronization

/// Writes checkpoints behind the engine's back, in order, so that no disk stops the loop.
///
/// What waits is bounded by the engine, which makes no further slice while there is no room.
final class CheckpointWriter: Sendable {
    enum Job: Sendable {
        case begin(Int32)
        case append(Int32, [UInt8])
        case publish(Int32)
        case discard(Int32)
        case remove(Int32)
        /// Removes the files of all partitions but these.
        case keepOnly(Set<Int32>)

        /// Whose file; -1 where it is about several.
        var partition: Int32 {
            switch self {
            case .begin(let partition), .append(let partition, _), .publish(let partition),
                .discard(let partition), .remove(let partition):
                partition
            case .keepOnly: -1
            }
        }
    }

    /// What became of a file.
    enum Outcome: Sendable, Equatable {
        /// Published, with its bytes.
        case written(Int32, bytes: Int)
        /// Given up; the published file before it stays.
        case failed(Int32, CheckpointFault)
    }

    private struct State {
        var jobs: [Job] = []
        var waitingBytes = 0
        var isBusy = false
        var isClosed = false
        var outcomes: [Outcome] = []
        /// Bytes of the files begun; none for one that failed.
        var bytes: [Int32: Int] = [:]
    }

    private static let waitingBytesMax = 4 << 20

    private let files: any CheckpointFiles
    private let isBackground: Bool
    private let state = Mutex(State())
    private let wake = NSCondition()

    init(_ files: any CheckpointFiles, isBackground: Bool) {
        self.files = files
        self.isBackground = isBackground
        guard isBackground else { return }
        let thread = Thread { [self] in work() }
        thread.name = "segmentd-checkpoint"
        thread.start()
    }

    /// Whether another slice may be made.
    var hasRoom: Bool { state.withLock { $0.waitingBytes < Self.waitingBytesMax } }

    /// Whether everything that was submitted is done.
    var isIdle: Bool { state.withLock { $0.jobs.isEmpty && !$0.isBusy } }

    /// Adds a job; it is done at once where there is no thread.
    func submit(_ job: Job) {
        guard isBackground else { return perform(job) }
        wake.lock()
        state.withLock { state in
            state.jobs.append(job)
            if case .append(_, let bytes) = job { state.waitingBytes += bytes.count }
        }
        wake.signal()
        wake.unlock()
    }

    /// What has come out since the last call.
    func takeOutcomes() -> [Outcome] {
        state.withLock { state in
            defer { state.outcomes.removeAll() }
            return state.outcomes
        }
    }

    /// Lets the thread end once it has done what was submitted.
    func close() {
        wake.lock()
        state.withLock { $0.isClosed = true }
        wake.signal()
        wake.unlock()
    }

    private func work() {
        while let job = next() {
            perform(job)
            state.withLock { state in
                state.isBusy = false
                if case .append(_, let bytes) = job { state.waitingBytes -= bytes.count }
            }
        }
    }

    private func next() -> Job? {
        wake.lock()
        defer { wake.unlock() }
        while true {
            let (job, isClosed) = state.withLock { state -> (Job?, Bool) in
                guard !state.jobs.isEmpty else { return (nil, state.isClosed) }
                state.isBusy = true
                return (state.jobs.removeFirst(), false)
            }
            if job != nil || isClosed { return job }
            wake.wait()
        }
    }

    /// Does one job; after a failure the rest of that file's jobs are passed over.
    private func perform(_ job: Job) {
        let partition = job.partition
        do throws(CheckpointFault) {
            switch job {
            case .begin:
                try files.begin(partition)
                state.withLock { $0.bytes[partition] = 0 }
            case .append(_, let bytes):
                guard state.withLock({ $0.bytes[partition] }) != nil else { return }
                try files.append(bytes, to: partition)
                state.withLock { $0.bytes[partition]? += bytes.count }
            case .publish:
                guard let bytes = state.withLock({ $0.bytes.removeValue(forKey: partition) }) else {
                    return
                }
                try files.publish(partition)
                state.withLock { $0.outcomes.append(.written(partition, bytes: bytes)) }
            case .discard:
                state.withLock { $0.bytes[partition] = nil }
                try files.discard(partition)
            case .remove: try files.remove(partition)
            case .keepOnly(let owned):
                for other in try files.partitions() where !owned.contains(other) {
                    try files.remove(other)
                }
            }
        } catch {
            state.withLock { state in
                state.bytes[partition] = nil
                state.outcomes.append(.failed(partition, error))
            }
            if partition >= 0 { discard(partition) }
        }
    }

    /// Room on the disk comes back at once; what cannot even be removed has been reported.
    private func discard(_ partition: Int32) {
        do {
            try files.discard(partition)
        } catch {
            state.withLock { $0.outcomes.append(.failed(partition, error)) }
        }
    }
}
