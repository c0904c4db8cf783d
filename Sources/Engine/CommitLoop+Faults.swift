import EventLog
import Segmentation

/// What can end a turn early.
enum LoopFault: Error {
    case log(LogError)
    case restore(String)
}

/// What the loop tells its owner, to be logged; nothing per event.
public enum EngineReport: Sendable, Equatable {
    /// The group gave partitions, and their state is restored.
    case assigned(partitions: [Int32], customers: Int, milliseconds: Int)
    /// A partition's rows come from its checkpoint, and the tail of the changelog from an offset.
    case restoredCheckpoint(partition: Int32, rows: Int, offset: Int64)
    /// A partition's rows come from the whole changelog, and why.
    case ignoredCheckpoint(partition: Int32, because: String)
    /// A round of checkpoints is on the disk.
    case wroteCheckpoints(partitions: Int, bytes: Int, milliseconds: Int)
    /// A checkpoint could not be written; the one before stays, and the next round tries again.
    case checkpointFailed(String)
    /// The group took partitions away.
    case revoked(partitions: [Int32])
    /// A fault that is retried; said once until something succeeds.
    case retrying(String)
    /// It works again.
    case recovered
    /// A transaction was aborted and will be done again.
    case aborted(String)
    /// A refit failed; the model in force stays.
    case refitFailed(String)
    /// A refit was of no use: versions or partitions have changed since it began.
    case refitDropped
    /// A new version moves too many customers and waits for an operator.
    case heldBack(version: Int, because: String, replaces: Int?)
    /// Due moments wait, since orders are missing, and why; nil when they no longer do.
    case silence(String?)
    /// An operator's command took effect.
    case commanded(String)
    /// A new version is in force.
    case newModel(version: Int, customers: Int, segments: [String])
}

/// Waits that double, from 50 ms to 2 s.
struct Backoff {
    private var milliseconds = 50
    private(set) var isWaiting = false

    mutating func reset() { self = Backoff() }

    mutating func next() -> Int {
        defer {
            milliseconds = min(2_000, milliseconds * 2)
            isWaiting = true
        }
        return milliseconds
    }
}

extension CommitLoop where Log: ~Copyable {
    /// Calls the log, again and again while the remedy is to retry and a transaction allows it.
    ///
    /// - Parameters:
    ///   - patience: how long, in seconds.
    ///   - call: the call.
    /// - Throws: what remains, for `recover`.
    mutating func attempt(
        patience: Int64 = 5,
        _ call: (inout Self) throws(LogError) -> Void
    ) throws(LoopFault) {
        let limit = clock.monotonicMicroseconds() + patience * 1_000_000
        var waits = Backoff()
        while true {
            do throws(LogError) {
                try call(&self)
                return
            } catch {
                // Within a transaction the coordinator's patience bounds ours.
                guard error.remedy == .retry, transaction.isOpen,
                    clock.monotonicMicroseconds() < limit
                else { throw .log(error) }
                clock.sleep(milliseconds: waits.next())
            }
        }
    }

    /// The one place where faults are told apart.
    ///
    /// - Returns: how the loop ends, nil when it goes on.
    mutating func recover(from fault: LoopFault) -> CommitLoopEnd? {
        switch fault {
        case .restore(let reason): return .corruptState(reason)
        case .log(let error):
            board.update { $0.lastError = error.description }
            switch error.remedy {
            case .restartProcess: return error.isFenced ? .fenced(error) : .failed(error)
            case .abortTransaction: return abort(because: error)
            case .retry:
                if transaction.isOpen { return abort(because: error) }
                if !waits.isWaiting { report(.retrying(error.description)) }
                clock.sleep(milliseconds: waits.next())
                return nil
            }
        }
    }

    /// Aborts, drops the pending layer and rewinds to the committed offsets.
    private mutating func abort(because error: LogError) -> CommitLoopEnd? {
        report(.aborted(error.description))
        aborted += 1
        let wasOpen = transaction.isOpen
        if wasOpen {
            // Kept, what is done again would count twice.
            if configuration.mutation == .pendingLayerKept { core.commit() } else { core.abort() }
            output.removeAll()
            positions.abort()
            transaction = OpenTransaction()
        }
        // The rewind brings them again.
        if unfinished == .records { unfinished = nil }
        var mustAbort = wasOpen
        var waits = Backoff()
        let limit = clock.monotonicMicroseconds() + 30_000_000
        while true {
            do throws(LogError) {
                if mustAbort {
                    try log.abortTransaction()
                    // Once: the rewind may have to be tried again.
                    mustAbort = false
                    // Not sooner: after a commit whose answer was lost, the abort is refused, and
                    // nobody knows whether the commands took effect.
                    answerCommands(.failure(.aborted))
                }
                // Partitions that are being taken away are given up next, not consumed again.
                // Without the rewind, what was aborted would never be read again.
                if !positions.partitions.isEmpty, unfinished == nil,
                    configuration.mutation != .rewindForgotten
                {
                    try log.startConsuming(from: positions.committed)
                }
                return nil
            } catch {
                guard error.remedy == .retry, clock.monotonicMicroseconds() < limit else {
                    return error.isFenced ? .fenced(error) : .failed(error)
                }
                clock.sleep(milliseconds: waits.next())
            }
        }
    }
}
