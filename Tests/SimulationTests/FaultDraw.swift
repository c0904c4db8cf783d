import TestSupport

/// Draws the faults of one run: every kind at every call of the log, before and after it.
enum FaultDraw {
    /// Kinds that a run draws from.
    ///
    /// Numbers are within and beyond the patience of loop and broker.
    static let kinds: [Fault.Kind] = [
        .retriable, .abortable, .fatal, .fenced, .crash, .rebalance, .expulsion,
        .unavailable(calls: 3), .unavailable(calls: 40), .stall(milliseconds: 15_000),
    ]

    /// Calls that a commit loop makes; `partitionCount` belongs to the start of the process.
    static let methods = LogMethod.allCases.filter { $0 != .partitionCount }

    /// Calls that only a worker makes that keeps checkpoints.
    static let checkpointMethods: [LogMethod] = [.bounds, .tombstoneRetention]

    /// Three to eight faults, each at a call that a run is likely to come to.
    ///
    /// Calls for checkpoints are drawn twice as often as others in runs that keep them, since other
    /// runs do not come to them.
    static func entries(
        _ random: inout SplitMix64,
        keepsCheckpoints: Bool = false
    ) -> [FaultPlan.Entry] {
        let methods =
            keepsCheckpoints
            ? methods + checkpointMethods
            : methods.filter { !checkpointMethods.contains($0) }
        var entries: [FaultPlan.Entry] = []
        for _ in 0..<(3 + random.below(6)) {
            let method = methods[random.below(methods.count)]
            entries.append(
                FaultPlan.Entry(
                    Fault(
                        kinds[random.below(kinds.count)],
                        Fault.Moment.allCases[random.below(2)]
                    ),
                    at: method,
                    call: 1 + random.below(likelyCalls(of: method))
                )
            )
            if let cause = cause(of: method, &random) { entries.append(cause) }
        }
        return entries
    }

    /// What makes the loop call a method that it calls for a reason only.
    private static func cause(
        of method: LogMethod,
        _ random: inout SplitMix64
    ) -> FaultPlan.Entry? {
        switch method {
        case .abortTransaction:
            FaultPlan.Entry(Fault(.abortable, .before), at: .produce, call: 1 + random.below(60))
        case .tombstoneRetention:
            // Asked for by who comes back to a checkpoint of its own.
            FaultPlan.Entry(
                Fault(.crash, .after),
                at: .commitTransaction,
                call: 4 + random.below(16)
            )
        case .releaseAssignment:
            FaultPlan.Entry(Fault(.rebalance, .before), at: .poll, call: 8 + random.below(30))
        default: nil
        }
    }

    private static func likelyCalls(of method: LogMethod) -> Int {
        switch method {
        case .initTransactions, .committedOffsets, .startOffset: 2
        case .abortTransaction, .releaseAssignment: 2
        case .startConsuming, .endOffset, .beginRestore, .restore: 4
        case .bounds: 12
        case .tombstoneRetention: 2
        case .partitionCount: 1
        case .poll: 60
        case .beginTransaction, .sendOffsets, .commitTransaction: 20
        case .produce: 300
        }
    }
}

/// How often each kind of fault happened at each call, over all runs.
struct FaultCoverage: Sendable {
    /// Faults that a run should meet at least.
    static let faultsPerRun = 3

    private(set) var hits: [FaultPlan.Cell: Int] = [:]
    private(set) var runs = 0
    /// Runs that met fewer faults than a run should.
    private(set) var easyRuns = 0
    private(set) var violations = 0

    /// Counts a run.
    mutating func add(_ more: [FaultPlan.Cell: Int], isViolation: Bool) {
        hits.merge(more, uniquingKeysWith: +)
        runs += 1
        if more.values.reduce(0, +) < Self.faultsPerRun { easyRuns += 1 }
        if isViolation { violations += 1 }
    }

    /// Cells with fewer hits than that, of those that can happen: before and after a call together
    /// where one hit is enough, each of them otherwise.
    func missing(below limit: Int) -> [String] {
        FaultDraw.methods.flatMap { method in
            names.filter { name in
                guard Self.isPossible(name, at: method) else { return false }
                if limit == 1 { return count(name, at: method) == 0 }
                return Fault.Moment.allCases.contains { moment in
                    Self.isPossible(name, at: method, moment)
                        && count(name, at: method, moment) < limit
                }
            }
            .map { "\($0) at \(method.rawValue)" }
        }
    }

    /// One line about all runs.
    var summary: String {
        "\(runs) runs, \(easyRuns) of them with fewer than \(Self.faultsPerRun) faults, "
            + "\(hits.values.reduce(0, +)) faults, \(violations) runs with a broken promise"
    }

    private var names: [String] {
        FaultDraw.kinds.map(\.name).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// An abortable fault comes with what changes a transaction, and not with its abort.
    private static func isPossible(_ kind: String, at method: LogMethod) -> Bool {
        guard kind == Fault.Kind.abortable.name else { return true }
        return [.produce, .sendOffsets, .commitTransaction].contains(method)
    }

    /// Some faults keep a call from taking effect, and so are always before it.
    private static func isPossible(
        _ kind: String,
        at method: LogMethod,
        _ moment: Fault.Moment
    ) -> Bool {
        FaultDraw.kinds.contains { fault in
            fault.name == kind && Fault(fault, moment).moment(at: method) == moment
        }
    }

    private func count(_ kind: String, at method: LogMethod, _ moment: Fault.Moment) -> Int {
        hits[FaultPlan.Cell(kind: kind, method: method, moment: moment)] ?? 0
    }

    private func count(_ kind: String, at method: LogMethod) -> Int {
        Fault.Moment.allCases.reduce(0) { $0 + count(kind, at: method, $1) }
    }

    private func cell(_ kind: String, at method: LogMethod) -> String {
        guard Self.isPossible(kind, at: method) else { return "-" }
        return Fault.Moment.allCases.map { moment in
            Self.isPossible(kind, at: method, moment) ? "\(count(kind, at: method, moment))" : "-"
        }
        .joined(separator: "/")
    }

    /// One line per call, one column per kind: how often before the call and after it.
    var table: String {
        func pad(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let head = pad("call", 18) + names.map { pad($0, 12) }.joined()
        let lines = FaultDraw.methods.map { method in
            pad(method.rawValue, 18)
                + names.map { pad(cell($0, at: method), 12) }.joined()
        }
        return ([head] + lines).joined(separator: "\n")
    }
}
