import Segmentation
import Synchronization

/// What the engine is doing.
///
/// ```
///                 assignment        restored
///     starting ---------------> restoring -------> running
///        |                       |   ^               |  |
///        |                       |   +--- rebalance -+  |
///        +------- SIGTERM -------+-- SIGTERM -----------+
///                                v
///                             draining -----> stopped
/// ```
///
/// A fatal fault leads from anywhere to `stopped`. An empty assignment counts as restored.
public enum EngineState: String, Sendable, CaseIterable {
    /// Connecting; no assignment yet.
    case starting
    /// Reading the changelog and the model back.
    case restoring
    /// Consuming.
    case running
    /// Finishing the open transaction.
    case draining
    /// The loop has ended.
    case stopped

    /// Whether the diagram has an arrow, or nothing changes.
    public func canBecome(_ next: EngineState) -> Bool {
        switch (self, next) {
        case (.starting, .restoring), (.restoring, .running), (.running, .restoring): true
        case (.starting, .draining), (.restoring, .draining), (.running, .draining): true
        case (_, .stopped): true
        default: self == next
        }
    }
}

/// Everything the engine tells about itself, as one immutable value per publication.
///
/// Counters only grow while the process lives. Labels are bounded: topics, partitions, reasons,
/// types and segments, never a customer.
public struct EngineStatus: Sendable {
    /// How far a restore has come, in records of the changelog.
    public struct RestoreProgress: Sendable, Equatable {
        /// Offsets passed so far.
        public var done: Int64 = 0
        /// Offsets to pass; 0 where nothing is restored.
        public var target: Int64 = 0

        /// Creates a progress of nothing.
        public init() {}
    }

    /// The local checkpoints.
    public struct Checkpoint: Sendable, Equatable {
        /// When the offsets of the last round were noted, in milliseconds since 1970; nil before
        /// one was written.
        public var notedAtMilliseconds: Int64?
        /// Bytes of the last round.
        public var bytes = 0
        /// Rounds given up, a full disk say.
        public var failures = 0
        /// Partitions restored from a checkpoint and the tail of the changelog.
        public var restoredPartitions = 0
        /// Partitions restored from the whole changelog.
        public var ignoredPartitions = 0

        /// Creates one of nothing.
        public init() {}
    }

    /// Configurations read again.
    public struct Reloads: Sendable, Equatable {
        /// In force.
        public var applied = 0
        /// Refused, since something was wrong with them.
        public var refused = 0

        /// Creates a count of none.
        public init() {}
    }

    /// A segment, for people.
    public struct Segment: Sendable, Equatable {
        /// Stable id, 1 or more.
        public var id: Int
        /// Stable machine key.
        public var key: String
        /// Name.
        public var name: String
        /// Customers in it.
        public var customers: Int

        /// Creates a segment from its parts.
        public init(id: Int, key: String, name: String, customers: Int) {
            self.id = id
            self.key = key
            self.name = name
            self.customers = customers
        }
    }

    /// Lag of one input partition.
    public struct Lag: Sendable, Equatable {
        /// Input topic.
        public var topic: String
        /// Partition number.
        public var partition: Int32
        /// Records between the committed offset and the end.
        public var records: Int64

        /// Creates a lag from its parts.
        public init(topic: String, partition: Int32, records: Int64) {
            self.topic = topic
            self.partition = partition
            self.records = records
        }
    }

    /// The model in use.
    public struct Model: Sendable, Equatable {
        /// Version, 1 or more.
        public var version: Int
        /// Step of the centroids.
        public var step: Int
        /// When it was trained, in milliseconds since 1970.
        public var trainedAtMilliseconds: Int64
        /// Customers it was trained on.
        public var trainingCustomers: Int
        /// Share of the total variance in each component, 0 to 1.
        public var explainedVarianceRatio: [Double]
        /// Sum of squared distances in PCA space.
        public var inertia: Double
        /// Segments in order of their ids.
        public var segments: [Segment]
        /// Features that nobody has yet, which weigh nothing.
        public var featuresWithoutData: [String]

        /// Creates a model's summary from its parts.
        public init(
            version: Int,
            step: Int,
            trainedAtMilliseconds: Int64,
            trainingCustomers: Int,
            explainedVarianceRatio: [Double],
            inertia: Double,
            segments: [Segment],
            featuresWithoutData: [String]
        ) {
            self.version = version
            self.step = step
            self.trainedAtMilliseconds = trainedAtMilliseconds
            self.trainingCustomers = trainingCustomers
            self.explainedVarianceRatio = explainedVarianceRatio
            self.inertia = inertia
            self.segments = segments
            self.featuresWithoutData = featuresWithoutData
        }
    }

    /// The version that waits for an operator.
    public struct Shadow: Sendable, Equatable {
        /// Version, 2 or more.
        public var version: Int
        /// When it was trained, in milliseconds since 1970.
        public var trainedAtMilliseconds: Int64
        /// Share of customers whose segment would change, 0 to 1.
        public var segmentShare: Double
        /// Share of churn bands that would change, 0 to 1.
        public var bandShare: Double
        /// Why it waits, in words.
        public var heldBecause: String

        /// Creates a shadow from its parts.
        public init(
            version: Int,
            trainedAtMilliseconds: Int64,
            segmentShare: Double,
            bandShare: Double,
            heldBecause: String
        ) {
            self.version = version
            self.trainedAtMilliseconds = trainedAtMilliseconds
            self.segmentShare = segmentShare
            self.bandShare = bandShare
            self.heldBecause = heldBecause
        }
    }

    /// What the loop is doing; moved by `StatusBoard.move` alone.
    public fileprivate(set) var state = EngineState.starting
    /// Since when, in milliseconds since 1970.
    public fileprivate(set) var sinceMilliseconds: Int64
    /// When the loop last turned; an idle turn counts.
    public fileprivate(set) var lastTurn: ContinuousClock.Instant
    /// Partitions that the group gave us, ascending.
    public var assignedPartitions: [Int32] = []
    /// Of the partitions' checkpoints.
    public var checkpoint = Checkpoint()
    /// Of the assigned partitions' changelog.
    public var restore = RestoreProgress()
    /// Customers in the table.
    public var customers = 0
    /// Input records read.
    public var records = 0
    /// Events applied, by type.
    public var eventsByType: [String: Int]
    /// Duplicates among them, which changed nothing.
    public var duplicates = 0
    /// Reversals of orders beyond the ledger.
    public var unmatchedReversals = 0
    /// Rejected records, by reason.
    public var rejectionsByReason: [String: Int]
    /// Decisions published, by `ce_type`.
    public var outputsByType: [String: Int] = [
        "segment.changed": 0, "churn.changed": 0, "decision.refreshed": 0, "tombstone": 0,
    ]
    /// Transitions into each churn band, by name.
    public var bandEntries: [String: Int]
    /// Customers in each churn band, by name.
    public var bandCustomers: [String: Int]
    /// Customers by published segment, by its id.
    public var segmentCustomers: [Int: Int] = [:]
    /// Customers with a due moment ahead of them.
    public var dueCustomers = 0
    /// Decisions that time alone brought.
    public var timerDecisions = 0
    /// Customers whose segment a new version of the model changed.
    public var relabelledCustomers = 0
    /// Configurations taken over while the process lives, and those refused.
    public var reloads = Reloads()
    /// Refits by reason.
    public var refitsByReason: [String: Int]
    /// Mean quantisation error of the last step, in units of that in training; nil before one.
    public var quantisationError: Double?
    /// How near that error is to count as risen, 0 to 1 and above.
    public var quantisationDrift = 0.0
    /// Population stability index of each feature against the model in use, by name in the order of
    /// the features; empty before the first measurement.
    public var featureStability: [(feature: String, index: Double)] = []
    /// Largest error of the running sums that their last rebuild from the rows found, in standard
    /// deviations; nil before one.
    public var statisticsDrift: Double?
    /// Transactions committed.
    public var transactions = 0
    /// Transactions aborted.
    public var abortedTransactions = 0
    /// How long committed transactions were open.
    public var transactionDurations = DurationHistogram()
    /// How long their commits took.
    public var commitDurations = DurationHistogram()
    /// From the timestamps of input records to the commit of what came of them.
    public var publicationLatencies = DurationHistogram()
    /// Lag of each assigned input partition whose end is known.
    public var lags: [Lag] = []
    /// The model in use, nil before the first.
    public var model: Model?
    /// The version that waits for an operator, nil for none.
    public var shadow: Shadow?
    /// Published by `/api/model` as it is; nil before the first model.
    public var modelBundleJSON: String?
    /// Why there are no churn bands yet, nil once there are.
    public var churnMissing: String? = "no model yet"
    /// Why due moments wait for orders, nil while they do not.
    public var churnPaused: String?
    /// Since when no broker answers, in milliseconds since 1970; nil while one does.
    public var brokerDownSinceMilliseconds: Int64?
    /// The last operating fault in words.
    public var lastError: String?

    /// Creates the status of an engine that starts.
    ///
    /// - Parameters:
    ///   - sinceMilliseconds: wall clock, in milliseconds since 1970.
    ///   - now: monotonic clock.
    public init(sinceMilliseconds: Int64, now: ContinuousClock.Instant) {
        self.sinceMilliseconds = sinceMilliseconds
        lastTurn = now
        // All series exist from the start, so that a rate over the first event is not lost.
        eventsByType = Dictionary(uniqueKeysWithValues: EventType.allCases.map { ($0.rawValue, 0) })
        refitsByReason = StepCounters().refitsByReason
        let bands = Dictionary(uniqueKeysWithValues: ChurnBand.allCases.map { ($0.name, 0) })
        bandEntries = bands
        bandCustomers = bands
        rejectionsByReason = Dictionary(
            uniqueKeysWithValues: RejectionReason.allCases.map { ($0.rawValue, 0) }
        )
    }

    /// Why the engine is not ready, nil when it is: running, with its assignment restored.
    public var unreadiness: String? {
        switch state {
        case .starting where brokerDownSinceMilliseconds != nil,
            .running where brokerDownSinceMilliseconds != nil:
            "no broker answers"
        case .running: nil
        case .restoring: "restoring, \(restore.done) of \(restore.target)"
        default: state.rawValue
        }
    }
}

/// Counts of durations in fixed buckets, as Prometheus has them.
public struct DurationHistogram: Sendable, Equatable {
    /// Upper bounds of the buckets, in seconds; a last one without bound follows.
    public static let bounds: [Double] = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// Durations in each bucket, not cumulated; one more than there are bounds.
    public private(set) var counts = Array(repeating: 0, count: bounds.count + 1)
    /// Sum of all durations, in seconds.
    public private(set) var sum = 0.0
    /// The last duration, in seconds; nil before the first.
    public private(set) var last: Double?

    /// Creates an empty histogram.
    public init() {}

    /// Counts one duration of `seconds`, 0 or more.
    public mutating func add(seconds: Double) {
        precondition(seconds >= 0)
        let bucket = Self.bounds.firstIndex { seconds <= $0 } ?? Self.bounds.count
        counts[bucket] += 1
        sum += seconds
        last = seconds
    }

    /// Counts what another histogram has counted.
    public mutating func merge(_ other: DurationHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        sum += other.sum
        last = other.last ?? last
    }
}

/// Where the engine's thread publishes its status and everyone else reads it.
///
/// The engine writes once per batch or turn, never per event; a reader gets a value that does not
/// change under its hands.
public final class StatusBoard: Sendable {
    private let status: Mutex<EngineStatus>

    /// Creates the board of an engine that starts.
    ///
    /// - Parameters:
    ///   - sinceMilliseconds: wall clock, in milliseconds since 1970.
    ///   - now: monotonic clock.
    public init(sinceMilliseconds: Int64, now: ContinuousClock.Instant = .now) {
        status = Mutex(EngineStatus(sinceMilliseconds: sinceMilliseconds, now: now))
    }

    /// The last published status.
    public var current: EngineStatus { status.withLock { $0 } }

    /// Publishes changes together; called by the engine's thread.
    public func update(_ body: (inout EngineStatus) -> Void) { status.withLock { body(&$0) } }

    /// Notes a turn of the loop, which health and the watchdog go by.
    public func turned(at now: ContinuousClock.Instant = .now) {
        status.withLock { $0.lastTurn = now }
    }

    /// Moves to another state; the only place where states change.
    ///
    /// - Parameters:
    ///   - next: the new state.
    ///   - milliseconds: wall clock, in milliseconds since 1970.
    /// - Precondition: the diagram of `EngineState` has that arrow.
    public func move(to next: EngineState, atMilliseconds milliseconds: Int64) {
        status.withLock { status in
            precondition(
                status.state.canBecome(next),
                "no way from \(status.state.rawValue) to \(next.rawValue)"
            )
            if status.state != next { status.sinceMilliseconds = milliseconds }
            status.state = next
        }
    }
}
