import EventLog

/// A consumer group with eager assignment.
///
/// ```
///              rebalance              released             all members joined
///     stable ------------> givingUp ------------> joined -------------------> stable
///        |                     |
///        +---------------------+--- expelled (its partitions go to others at once)
/// ```
///
/// A member without partitions has nothing to give up and joins at once. The new assignment is
/// handed out only when every member has joined, so no partition ever has two owners that the group
/// knows of.
struct GroupState: Sendable {
    private enum Phase: Sendable { case stable, givingUp, joined, expelled }

    private struct Member: Sendable {
        var phase = Phase.joined
        var generation = -1
        var assignment: [Int32] = []
        /// What the member has not been told yet, oldest first.
        var events: [PollResult] = []
        /// When the group stops waiting for a member that died.
        var expiresAt: Int64?
    }

    /// Partitions to share out.
    private var partitionCount: Int
    /// By serial number: members are unnamed and never come back under an old number.
    private var members: [Int: Member] = [:]
    private var nextMember = 0
    private var isRebalancing = false
    private(set) var generation = 0
    /// Committed offsets by partition of an event topic.
    var committed: [TopicPlace: StoredOffset] = [:]

    init(partitionCount: Int) { self.partitionCount = partitionCount }

    /// Adds a member and begins a rebalance.
    mutating func join() -> Int {
        let member = nextMember
        nextMember += 1
        members[member] = Member()
        rebalance()
        return member
    }

    /// Takes every assignment back; the next one follows when all members have given up.
    mutating func rebalance() {
        isRebalancing = true
        for (number, member) in members where member.phase == .stable {
            if member.assignment.isEmpty {
                members[number]?.phase = .joined
            } else {
                members[number]?.phase = .givingUp
                members[number]?.events.append(.revoked(member.assignment, lost: false))
            }
        }
        completeRebalance()
    }

    /// The event topics have got more partitions.
    mutating func grow(to count: Int) {
        precondition(count >= partitionCount, "no topic loses partitions")
        partitionCount = count
        rebalance()
    }

    /// The next thing to tell a member, nil when it knows all.
    mutating func takeEvent(of member: Int) -> PollResult? {
        guard let events = members[member]?.events, let first = events.first else { return nil }
        members[member]?.events.removeFirst()
        return first
    }

    /// Whether the member may read: it holds an assignment that nobody wants back, or of which it
    /// has not heard yet.
    func mayConsume(_ member: Int) -> Bool { members[member]?.phase == .stable }

    /// A member gives its partitions back.
    ///
    /// - Returns: false when it is no member any more and has to join anew.
    mutating func release(_ member: Int) -> Bool {
        switch members[member]?.phase {
        case nil: return false
        case .expelled:
            members[member] = nil
            return false
        case .givingUp:
            members[member]?.phase = .joined
            members[member]?.assignment = []
            members[member]?.events = []
            completeRebalance()
        case .stable, .joined: break
        }
        return true
    }

    /// A member goes in good order.
    mutating func leave(_ member: Int) {
        guard let state = members.removeValue(forKey: member) else { return }
        if state.phase != .expelled { rebalance() }
    }

    /// A member died; the group waits for it until then.
    mutating func expectNothing(of member: Int, after microseconds: Int64) {
        members[member]?.expiresAt = microseconds
    }

    /// Removes dead members whose time is over.
    mutating func expire(now: Int64) {
        for number in members.keys.sorted() {
            if let limit = members[number]?.expiresAt, limit <= now { leave(number) }
        }
    }

    /// Stops waiting for a member that lives; it learns later that its partitions are taken back.
    ///
    /// Every other one is told that they are lost. A genuine client does not always know: a static
    /// member that has not polled for too long hears of an ordinary revocation, and only its commit
    /// is refused.
    mutating func expel(_ member: Int) {
        guard let state = members[member], state.phase != .expelled else { return }
        let wasTold = state.phase == .givingUp && !state.events.contains { $0.isRevocation }
        members[member]?.phase = .expelled
        members[member]?.events.removeAll { $0.isRevocation }
        if !wasTold {
            let isKnownLost = member.isMultiple(of: 2)
            members[member]?.events.append(.revoked(state.assignment, lost: isKnownLost))
        }
        rebalance()
    }

    /// Whether offsets sent by the member would be accepted.
    func isCurrent(_ member: Int) -> Bool {
        guard let state = members[member], state.phase != .expelled else { return false }
        return state.generation == generation
    }

    /// Partitions that each living member holds, for checks.
    var assignments: [[Int32]] {
        members.sorted { $0.key < $1.key }.filter { $0.value.phase != .expelled }
            .map(\.value.assignment)
    }

    private mutating func completeRebalance() {
        guard isRebalancing else { return }
        let waiting = members.filter { $0.value.phase != .expelled }
        guard waiting.values.allSatisfy({ $0.phase == .joined }) else { return }
        isRebalancing = false
        generation += 1
        // Range assignment: the first ones get one more.
        let share = partitionCount / max(1, waiting.count)
        let extra = partitionCount % max(1, waiting.count)
        var start = 0
        for (index, number) in waiting.keys.sorted().enumerated() {
            let end = start + share + (index < extra ? 1 : 0)
            let partitions = (start..<end).map { Int32($0) }
            start = end
            members[number]?.phase = .stable
            members[number]?.generation = generation
            members[number]?.assignment = partitions
            members[number]?.events.append(.assigned(partitions))
        }
    }
}

/// One partition of one topic.
struct TopicPlace: Sendable, Hashable {
    var topic: String
    var partition: Int32
}

/// An offset with its metadata.
struct StoredOffset: Sendable, Hashable {
    var offset: Int64
    var metadata: String
}

extension PollResult {
    fileprivate var isRevocation: Bool {
        if case .revoked = self { true } else { false }
    }
}
