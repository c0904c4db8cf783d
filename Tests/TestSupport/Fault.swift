/// A call of a log that can go wrong.
///
/// `knownEndOffset` and `close` ask nobody and are left out.
public enum LogMethod: String, Sendable, Hashable, CaseIterable {
    case initTransactions, poll, committedOffsets, startOffset, endOffset
    case beginRestore, restore, partitionCount
    case bounds, tombstoneRetention
    case startConsuming, releaseAssignment
    case beginTransaction, produce, sendOffsets, commitTransaction, abortTransaction

    /// Whether the client only notes the call, without a broker.
    var isLocal: Bool {
        switch self {
        case .beginTransaction, .produce, .startConsuming, .releaseAssignment: true
        default: false
        }
    }

    /// Whether the call may be made again after it took effect without doing anything twice.
    ///
    /// The
    /// others are only told to retry before they do anything, as "nothing is lost" promises.
    var isRepeatable: Bool {
        switch self {
        case .poll, .restore, .beginTransaction, .produce: false
        default: true
        }
    }
}

/// One thing that goes wrong, or merely happens, at one call of a log.
public struct Fault: Sendable, Hashable {
    /// What happens.
    public enum Kind: Sendable, Hashable {
        /// The call throws `.retry`.
        case retriable
        /// The call throws `.abortTransaction`; skipped outside a transaction and at its abort,
        /// where no client says so.
        case abortable
        /// The call and all later ones throw `.restartProcess`.
        case fatal
        /// A newer producer of the same id takes over; the call and all later ones say so.
        case fenced
        /// The process dies: the call and all later ones throw `LogError` with the code `CRASH`.
        case crash
        /// The group rebalances; nothing is thrown.
        case rebalance
        /// The group stops waiting for this member; nothing is thrown.
        case expulsion
        /// The broker answers nothing for so many calls; nothing is thrown by the fault itself.
        case unavailable(calls: Int)
        /// The process stands still for so long, in milliseconds; nothing is thrown.
        case stall(milliseconds: Int)

        /// Name without numbers, for counting.
        public var name: String {
            switch self {
            case .retriable: "retriable"
            case .abortable: "abortable"
            case .fatal: "fatal"
            case .fenced: "fenced"
            case .crash: "crash"
            case .rebalance: "rebalance"
            case .expulsion: "expulsion"
            case .unavailable: "unavailable"
            case .stall: "stall"
            }
        }

        /// Whether a client could ever say so at this call.
        func isPossible(at method: LogMethod, _ isInTransaction: Bool) -> Bool {
            self != .abortable || (isInTransaction && method != .abortTransaction)
        }
    }

    /// When it happens.
    public enum Moment: String, Sendable, Hashable, CaseIterable {
        /// Before the call takes effect; what throws then keeps it from doing so.
        case before
        /// After the call took effect, so that the caller does not know that it did.
        case after
    }

    /// What happens.
    public var kind: Kind
    /// When.
    public var moment: Moment

    /// Creates a fault.
    public init(_ kind: Kind, _ moment: Moment) {
        self.kind = kind
        self.moment = moment
    }

    /// The moment that the fault can have at a call: "abort" means that the call did not take
    /// effect, and so does "retry" where repeating would do something twice.
    public func moment(at method: LogMethod) -> Moment {
        switch kind {
        case .abortable: .before
        case .retriable: method.isRepeatable ? moment : .before
        default: moment
        }
    }
}
