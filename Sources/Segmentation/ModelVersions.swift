/// Versions beside the one in force: those kept for a rollback, and the one that waits.
///
/// Numbers of versions and ids of segments are given once, also over versions that never came into
/// force, so both have a high-water mark of their own here.
struct ModelVersions: Sendable, Equatable {
    /// Versions kept, the one in force and the one in the shadow included.
    static let keptMax = 20

    /// Versions whose document is on the model topic, each as it was fit.
    private(set) var kept: [Int: SegmentModel] = [:]
    /// Documents on the model topic that cannot be used, with the reason.
    var unusable: [Int: String] = [:]
    /// The version that waits for an operator.
    var shadow: Int?
    /// The shadow that the model topic names.
    var recordedShadow: Int?
    /// Highest version number ever given.
    private(set) var highest = 0
    /// Lowest segment id never given.
    private(set) var nextSegmentID = 1
    /// Event clock of the last decision about versions, refit or operator, in milliseconds since
    /// 1970.
    var decidedAt = Int64.min
    /// Customers known then.
    var customers = 0
    /// Whether the guard holds candidates back.
    ///
    /// It does once a refit has stayed within the limits, or an operator has chosen a version:
    /// while a shop is still being learnt, every refit moves many, and a guard that kept the first
    /// version would keep the least that was ever known.
    var isGuardArmed = false

    /// Numbers of all documents on the model topic.
    var numbers: [Int] { (Array(kept.keys) + unusable.keys).sorted() }

    /// Keeps a version; what is older than the window is dropped by `prune`.
    mutating func keep(_ model: SegmentModel) {
        kept[model.version] = model
        raise(version: model.version, nextSegmentID: model.nextSegmentID)
    }

    /// Never gives these numbers again.
    mutating func raise(version: Int, nextSegmentID next: Int) {
        highest = max(highest, version)
        nextSegmentID = max(nextSegmentID, next)
    }

    /// Drops what is beyond the window.
    ///
    /// - Parameter active: the version in force, which is kept however old it is.
    /// - Returns: the versions dropped, ascending.
    mutating func prune(active: Int?) -> [Int] {
        let oldest = highest - Self.keptMax + 1
        let dropped = numbers.filter { $0 < oldest && $0 != active && $0 != shadow }
        for number in dropped {
            kept[number] = nil
            unusable[number] = nil
        }
        return dropped
    }
}

/// What an operator asks for, and the version meant.
public enum OperatorCommand: Sendable, Equatable {
    /// Put the version in the shadow in force; nil for whichever waits.
    case accept(version: Int?)
    /// Drop the version in the shadow; nil for whichever waits.
    case reject(version: Int?)
    /// Put a kept version in force again.
    case rollback(version: Int)
}

/// Why a command changes nothing.
public enum CommandRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// Nothing waits for a decision.
    case noShadow
    /// Another version waits than the one named.
    case otherShadow(named: Int, waiting: Int)
    /// A version that is not kept.
    case unknownVersion(Int, kept: [Int])
    /// A kept version that cannot be computed with.
    case unusable(Int, reason: String)
    /// The version in force already.
    case inForce(Int)

    /// What is wrong, and what to do.
    public var description: String {
        switch self {
        case .noShadow: "no version waits in the shadow: there is nothing to decide"
        case .otherShadow(let named, let waiting):
            "version \(named) does not wait any more, version \(waiting) does: look at it, "
                + "then name it"
        case .unknownVersion(let version, let kept):
            "version \(version) is not kept; kept are "
                + (kept.isEmpty ? "none" : kept.map(String.init).joined(separator: ", "))
        case .unusable(let version, let reason):
            "version \(version) cannot be used: \(reason)"
        case .inForce(let version): "version \(version) is in force already"
        }
    }
}

/// What a command did; in effect once the open transaction is committed.
public struct CommandOutcome: Sendable, Equatable {
    /// What was asked for.
    public var command: OperatorCommand
    /// The version in force.
    public var version: Int
    /// Version that was in the shadow and does not wait any more, nil for none.
    public var dropped: Int?
    /// Customers that will be looked at again, in slices.
    public var customers: Int

    /// What happened, for people.
    public var description: String {
        let people = customers == 1 ? "1 customer" : "\(Self.grouped(customers)) customers"
        let change = "version \(version) is in force; \(people) will be looked at again"
        switch command {
        case .accept: return change
        case .reject:
            return "version \(dropped ?? 0) is rejected; version \(version) stays in force"
        case .rollback:
            return change + (dropped.map { "; version \($0) does not wait any more" } ?? "")
        }
    }

    /// A count with commas between thousands.
    private static func grouped(_ count: Int) -> String {
        var text = ""
        let digits = String(count)
        for (place, digit) in digits.enumerated() {
            if place > 0 && (digits.count - place) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
