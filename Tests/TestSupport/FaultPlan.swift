import Synchronization

/// Decides what goes wrong at which call, and counts what did.
///
/// A plan may be given to one log or to several, also one after another; it counts the calls of
/// all. It is deterministic when the calls are.
public final class FaultPlan: Sendable {
    /// A fault with its place.
    public struct Entry: Sendable, Hashable {
        /// What happens.
        public var fault: Fault
        /// At which method; nil for any.
        public var method: LogMethod?
        /// At which call of it, 1 or more.
        public var call: Int

        /// Creates an entry.
        public init(_ fault: Fault, at method: LogMethod? = nil, call: Int) {
            precondition(call > 0, "calls are counted from 1")
            self.fault = fault
            self.method = method
            self.call = call
        }
    }

    /// Faults thrown like dice.
    public struct Dice: Sendable {
        /// Chance of a fault at a call, in thousandths.
        public var perMille: Int
        /// What to choose from; naming a kind twice makes it twice as likely.
        public var kinds: [Fault.Kind]
        /// How many faults at most, so that a run comes to an end.
        public var limit: Int

        /// Creates dice.
        public init(perMille: Int, kinds: [Fault.Kind], limit: Int) {
            precondition((0...1000).contains(perMille) && limit >= 0)
            self.perMille = perMille
            self.kinds = kinds
            self.limit = limit
        }
    }

    /// What was counted: a kind of fault at a method.
    public struct Cell: Sendable, Hashable {
        /// `Fault.Kind.name`.
        public var kind: String
        /// The call.
        public var method: LogMethod
        /// When it happened.
        public var moment: Fault.Moment

        /// Creates the cell of a kind by its name.
        public init(kind: String, method: LogMethod, moment: Fault.Moment) {
            self.kind = kind
            self.method = method
            self.moment = moment
        }
    }

    private struct State: Sendable {
        var entries: [Entry]
        var dice: Dice
        var random: SplitMix64
        var calls: [LogMethod: Int] = [:]
        var callCount = 0
        var thrown = 0
        var hits: [Cell: Int] = [:]

        mutating func choose(at method: LogMethod, isInTransaction: Bool) -> Fault? {
            let index = entries.firstIndex { entry in
                switch entry.method {
                case nil: entry.call == callCount
                case method: entry.call == calls[method]
                default: false
                }
            }
            if let index {
                let fault = entries.remove(at: index).fault
                return fault.kind.isPossible(at: method, isInTransaction) ? fault : nil
            }
            // Drawn at every call, so that one fault more or less does not move all later ones.
            let isDue = random.below(1000) < dice.perMille
            let choice = random.next()
            guard isDue, thrown < dice.limit, !dice.kinds.isEmpty else { return nil }
            let kind = dice.kinds[Int((choice >> 1) % UInt64(dice.kinds.count))]
            guard kind.isPossible(at: method, isInTransaction) else { return nil }
            thrown += 1
            return Fault(kind, choice & 1 == 0 ? .before : .after)
        }
    }

    private let state: Mutex<State>

    /// Creates a plan of given faults.
    public init(_ entries: [Entry] = []) {
        state = Mutex(
            State(
                entries: entries,
                dice: Dice(perMille: 0, kinds: [], limit: 0),
                random: SplitMix64(seed: 0)
            )
        )
    }

    /// Creates a plan of given faults and others thrown like dice.
    public init(seed: UInt64, dice: Dice, and entries: [Entry] = []) {
        state = Mutex(State(entries: entries, dice: dice, random: SplitMix64(seed: seed)))
    }

    /// How often each kind happened at each method.
    public var hits: [Cell: Int] { state.withLock { $0.hits } }

    /// How often each method was called.
    public var calls: [LogMethod: Int] { state.withLock { $0.calls } }

    /// Entries that have not happened.
    public var remaining: [Entry] { state.withLock { $0.entries } }

    /// How often a kind happened at a method, at either moment.
    ///
    /// - Parameters:
    ///   - kind: `Fault.Kind.name`.
    ///   - method: the call.
    /// - Returns: how often.
    public func hitCount(_ kind: String, at method: LogMethod) -> Int {
        state.withLock { state in
            state.hits.reduce(0) { sum, hit in
                sum + (hit.key.kind == kind && hit.key.method == method ? hit.value : 0)
            }
        }
    }

    /// Adds a fault at a call to come.
    ///
    /// - Parameters:
    ///   - fault: what happens.
    ///   - method: at which method.
    ///   - skipped: calls of it that come before, 0 for the next one.
    public func add(_ fault: Fault, atNext method: LogMethod, after skipped: Int = 0) {
        state.withLock { state in
            let call = state.calls[method, default: 0] + 1 + skipped
            state.entries.append(Entry(fault, at: method, call: call))
        }
    }

    /// Counts a call and decides about it.
    ///
    /// - Parameters:
    ///   - method: the call.
    ///   - isInTransaction: abortable faults happen only then; a given one is dropped.
    /// - Returns: the fault to happen, nil for none.
    func next(at method: LogMethod, isInTransaction: Bool) -> Fault? {
        state.withLock { state in
            state.callCount += 1
            state.calls[method, default: 0] += 1
            guard var fault = state.choose(at: method, isInTransaction: isInTransaction)
            else { return nil }
            fault.moment = fault.moment(at: method)
            let cell = Cell(kind: fault.kind.name, method: method, moment: fault.moment)
            state.hits[cell, default: 0] += 1
            return fault
        }
    }
}
