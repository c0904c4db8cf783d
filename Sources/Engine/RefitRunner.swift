import Foundation
package import Segmentation
import Synchronization

/// Runs refits beside the commit loop; the loop polls a flag for what they find.
///
/// One job at a time. Nobody ever waits for one: a loop that ends tells it to stop at its next
/// stage, and its result is dropped.
public final class RefitRunner: Sendable {
    /// Work to be done on another thread.
    public typealias Work = @Sendable () -> Void

    private let launch: @Sendable (@escaping Work) -> Void
    private let result = Mutex<RefitResult?>(nil)
    private let isReady = Atomic<Bool>(false)
    private let isCancelled = Atomic<Bool>(false)

    /// Creates a runner.
    ///
    /// - Parameter launch: begins work, and returns at once; a thread for each job by default.
    public init(launch: @escaping @Sendable (@escaping Work) -> Void = RefitRunner.onItsOwnThread) {
        self.launch = launch
    }

    /// Begins work on a thread of its own, never on the cooperative pool: it takes seconds.
    public static let onItsOwnThread: @Sendable (@escaping Work) -> Void = { work in
        let thread = Thread { work() }
        thread.name = "segmentd-refit"
        thread.stackSize = 8 << 20
        thread.start()
    }

    /// Begins a job.
    ///
    /// Nobody else keeps the job: its copies of rows would be copied once more as they are written.
    package func start(_ job: consuming RefitJob) {
        let pending = Mutex<RefitJob?>(job)
        launch { [self] in
            let found = pending.withLock { $0.take() }?.run { _ in
                !self.isCancelled.load(ordering: .relaxed)
            }
            guard let found else { return }
            result.withLock { $0 = found }
            isReady.store(true, ordering: .releasing)
        }
    }

    /// What a job has found, once; asked every turn, so the lock is taken only when there is
    /// something behind it.
    package func take() -> RefitResult? {
        guard isReady.load(ordering: .acquiring) else { return nil }
        isReady.store(false, ordering: .relaxed)
        return result.withLock { found in
            defer { found = nil }
            return found
        }
    }

    /// Tells the job to stop at its next stage.
    func cancel() { isCancelled.store(true, ordering: .relaxed) }
}
