public import EventLog

/// What a `ModelLog` needs to know.
public struct ModelLogConfiguration: Sendable {
    /// Consumer group.
    public var group: String
    /// Stable name of the worker; the transactional id is `group-instance`.
    public var instance: String
    /// Topics to consume, in the order of `RecordView.topicIndex`; equal partition counts.
    public var eventTopics: [String]
    /// Names of the topics to write to.
    public var outputTopics: [LogTopic: String]
    /// Where a group that never committed begins.
    public var start = LogStart.earliest

    /// Creates a configuration; outputs go to topics named after `LogTopic`.
    public init(group: String, instance: String, eventTopics: [String]) {
        precondition(!eventTopics.isEmpty, "a log needs an event topic")
        self.group = group
        self.instance = instance
        self.eventTopics = eventTopics
        outputTopics = Dictionary(
            uniqueKeysWithValues: LogTopic.allCases.map { ($0, "\($0)") }
        )
    }

    /// The id that fences an older process of the same worker.
    public var transactionalID: String { "\(group)-\(instance)" }

    /// Name of a topic to write to.
    public func name(of topic: LogTopic) -> String { outputTopics[topic] ?? "\(topic)" }
}

/// One client of a `ModelBroker`, with faults on demand.
///
/// It answers in the terms of the real client: a transaction that failed wants to be aborted, a
/// call that is out of order is a `_STATE` error, and an end of a transaction that was asked for
/// can only be asked for again. Waiting moves the broker's clock.
///
/// A log that dies, by a crash or by going out of scope unclosed, leaves its transaction open and
/// its membership to the session timeout. Create another one with the same configuration to start
/// again.
public struct ModelLog: ~Copyable, TransactionalLog {
    /// Where the producer stands.
    enum Phase: Equatable {
        case uninitialised
        case ready
        case inTransaction
        /// The transaction failed; only an abort helps.
        case abortable(LogError)
        /// Asked for, outcome unknown.
        case committing
        case aborting
    }

    let broker: ModelBroker
    let configuration: ModelLogConfiguration
    let plan: FaultPlan?
    let beforeCall: (@Sendable (LogMethod) -> Void)?

    var phase = Phase.uninitialised
    var epoch = -1
    /// What every further call throws: a crash, a fatal error, or being fenced.
    var end: LogError?
    var member: Int?
    /// Whether it has ever been a member of the group.
    var hasJoined = false
    var positions: [Position] = []
    var knownEnds: [TopicPlace: Int64] = [:]
    var reachedEnds: [TopicPlace: Int64] = [:]
    var restoring: Restoring?
    /// True within a poll that finds no broker; it brings nothing then, as the real client does.
    var isBrokerSilent = false
    private var isClosed = false

    /// Connects nothing yet; joins the group at the first poll.
    ///
    /// - Parameters:
    ///   - broker: where to connect.
    ///   - configuration: who connects; all topics must exist when they are used.
    ///   - plan: what goes wrong, nil for nothing.
    ///   - beforeCall: called before every call of the log without any lock held; a simulation may
    ///     let others do something here.
    public init(
        broker: ModelBroker,
        configuration: ModelLogConfiguration,
        plan: FaultPlan? = nil,
        beforeCall: (@Sendable (LogMethod) -> Void)? = nil
    ) {
        self.broker = broker
        self.configuration = configuration
        self.plan = plan
        self.beforeCall = beforeCall
    }

    deinit {
        if !isClosed, end?.code != Self.crashCode { Self.die(member, configuration, broker) }
    }

    /// Code of the error that a crashed log throws.
    public static let crashCode = "CRASH"

    /// True once the log has crashed: what it owned is left as it was.
    public var isCrashed: Bool { end?.code == Self.crashCode }

    /// Leaves the group in good order.
    ///
    /// An open transaction stays open.
    public mutating func close() {
        guard !isClosed, !isCrashed else { return }
        isClosed = true
        positions = []
        guard let member else { return }
        let group = configuration.group
        broker.withState { $0.groups[group]?.leave(member) }
        self.member = nil
    }

    /// Crashes now: the transaction stays open, the group waits for the session timeout.
    public mutating func crash() {
        guard !isCrashed, !isClosed else { return }
        end = LogError(
            remedy: .restartProcess,
            operation: "go on",
            code: Self.crashCode,
            reason: "the process died"
        )
        Self.die(member, configuration, broker)
    }

    /// Lets the group stop waiting for this member, as after too long a time without a poll.
    public mutating func expel() {
        guard let member else { return }
        let group = configuration.group
        broker.withState { $0.groups[group]?.expel(member) }
    }

    /// Does one call: time passes, faults happen, then the body.
    mutating func perform<Value>(
        _ method: LogMethod,
        _ body: (inout ModelLog) throws(LogError) -> Value
    ) throws(LogError) -> Value {
        precondition(!isClosed, "\(method.rawValue) after close")
        beforeCall?(method)
        broker.clock.advance(microseconds: Int64(broker.settings.callMicroseconds))
        if let end { throw end }
        let fault = plan?.next(at: method, isInTransaction: isTransactionOpen)
        if let fault, fault.moment == .before { try cause(fault, at: method) }
        isBrokerSilent = !method.isLocal && takeUnavailableCall()
        if isBrokerSilent, method != .poll {
            note(method)
            throw .away(method)
        }
        let value = try body(&self)
        if let fault, fault.moment == .after { try cause(fault, at: method) }
        return value
    }

    /// Throws, and remembers that nothing else will come.
    mutating func fail(_ error: LogError, at method: LogMethod) throws(LogError) -> Never {
        var error = error
        error.operation = method.rawValue
        switch error.remedy {
        case .restartProcess: if error.code != "_STATE" { end = error }
        case .abortTransaction: if isTransactionOpen { phase = .abortable(error) }
        case .retry: note(method)
        }
        throw error
    }

    /// True between begin and the end of a transaction, as the client sees it.
    var isTransactionOpen: Bool {
        switch phase {
        case .inTransaction, .abortable: true
        default: false
        }
    }

    /// What was asked for without an answer can only be asked for again.
    private mutating func note(_ method: LogMethod) {
        switch (method, phase) {
        case (.initTransactions, .ready): phase = .uninitialised
        case (.commitTransaction, .inTransaction), (.commitTransaction, .ready): phase = .committing
        case (.abortTransaction, .inTransaction), (.abortTransaction, .abortable),
            (.abortTransaction, .ready):
            phase = .aborting
        default: break
        }
    }

    private func takeUnavailableCall() -> Bool {
        broker.withState { state in
            guard state.unavailableCalls > 0 else { return false }
            state.unavailableCalls -= 1
            return true
        }
    }

    private mutating func cause(_ fault: Fault, at method: LogMethod) throws(LogError) {
        let group = configuration.group
        switch fault.kind {
        case .retriable: try fail(.injected(.retry, "_TIMED_OUT"), at: method)
        case .abortable: try fail(.injected(.abortTransaction, "_TIMED_OUT_QUEUE"), at: method)
        case .fatal: try fail(.injected(.restartProcess, "_FATAL"), at: method)
        case .fenced:
            broker.fence(transactionalID: configuration.transactionalID)
            try fail(.fenced, at: method)
        case .crash:
            crash()
            if let end { throw end }
        case .rebalance: broker.rebalance(group: group)
        case .expulsion: expel()
        case .unavailable(let calls): broker.becomeUnavailable(forCalls: calls)
        case .stall(let milliseconds): broker.clock.sleep(milliseconds: milliseconds)
        }
    }

    private static func die(
        _ member: Int?,
        _ configuration: ModelLogConfiguration,
        _ broker: ModelBroker
    ) {
        guard let member else { return }
        let limit = Int64(broker.settings.sessionTimeoutMilliseconds) * 1000
        let last = broker.clock.monotonicMicroseconds() + limit
        broker.withState { state in
            state.groups[configuration.group]?.expectNothing(of: member, after: last)
        }
    }
}

extension LogError {
    static func injected(_ remedy: Remedy, _ code: String) -> LogError {
        LogError(remedy: remedy, operation: "", code: code, reason: "the fault plan says so")
    }

    static func away(_ method: LogMethod) -> LogError {
        LogError(
            remedy: .retry,
            operation: method.rawValue,
            code: "_TRANSPORT",
            reason: "the broker does not answer"
        )
    }

    /// A call out of order.
    static func state(_ remedy: Remedy, _ words: String) -> LogError {
        LogError(remedy: remedy, operation: "", code: "_STATE", reason: words)
    }
}
