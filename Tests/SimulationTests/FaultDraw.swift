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

    /// Calls that a commit loop makes; `partitionCount` belongs to the start of the process, and
    /// what a checkpoint asks for has runs of its own.
    static let methods = LogMethod.allCases.filter {
        ![.partitionCount, .bounds, .tombstoneRetention].contains($0)
    }

    /// Three to eight faults, each at a call that a run is likely to come to.
    static func entries(_ random: inout SplitMix64) -> [FaultPlan.Entry] {
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
        case .bounds: 4
        case .partitionCount, .tombstoneRetention: 1
        case .poll: 60
        case .beginTransaction, .sendOffsets, .commitTransaction: 20
        case .produce: 300
        }
    }
}

/// How often each kind of fault happened at each call, over all runs.
struct FaultCoverage: Sendable {
    private(set) var hits: [FaultPlan.Cell: Int] = [:]

    mutating func add(_ more: [FaultPlan.Cell: Int]) { hits.merge(more, uniquingKeysWith: +) }

    /// Cells without a hit, of those that can happen.
    var missing: [String] {
        FaultDraw.methods.flatMap { method in
            names.filter { Self.isPossible($0, at: method) && count($0, at: method) == 0 }
                .map { "\($0) at \(method.rawValue)" }
        }
    }

    private var names: [String] {
        FaultDraw.kinds.map(\.name).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }

    /// An abortable fault comes with what changes a transaction, and not with its abort.
    private static func isPossible(_ kind: String, at method: LogMethod) -> Bool {
        guard kind == Fault.Kind.abortable.name else { return true }
        return [.produce, .sendOffsets, .commitTransaction].contains(method)
    }

    private func count(_ kind: String, at method: LogMethod) -> Int {
        hits.reduce(0) { sum, hit in
            sum + (hit.key.kind == kind && hit.key.method == method ? hit.value : 0)
        }
    }

    /// One line per call, one column per kind.
    var table: String {
        func pad(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        let head = pad("call", 18) + names.map { pad($0, 12) }.joined()
        let lines = FaultDraw.methods.map { method in
            pad(method.rawValue, 18)
                + names.map { name in
                    let number = count(name, at: method)
                    return pad(Self.isPossible(name, at: method) ? "\(number)" : "-", 12)
                }.joined()
        }
        return ([head] + lines).joined(separator: "\n")
    }
}
