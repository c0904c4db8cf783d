/// Purchases after a cut: what happened to the customers of that moment, seen from later.
///
/// Nothing of it reaches a row, a sum or a model.
public struct HoldoutPurchases: Sendable {
    private struct Order: Hashable {
        var row: Int
        var hash: UInt64
    }

    /// Number of the last day before the holdout.
    public let cut: Int32
    /// The last moment of the holdout, in milliseconds since 1970.
    public let until: Int64
    /// Time of the newest event after the cut; nil before one.
    public private(set) var latest: Int64?
    private var placed: Set<Order> = []
    private var reversed: Set<Order> = []

    /// Nothing has happened yet.
    ///
    /// - Parameters:
    ///   - cut: number of the last day before the holdout.
    ///   - until: the last moment of the holdout, in milliseconds since 1970.
    public init(cut: Int32, until: Int64) {
        self.cut = cut
        self.until = until
    }

    /// Notes an event after the cut; `row` is its customer's, -1 for one who was not there.
    mutating func note(_ event: CustomerEvent, row: Int) {
        latest = max(latest ?? event.time, event.time)
        guard row >= 0, event.time <= until else { return }
        let order = Order(row: row, hash: event.orderHash)
        switch event.type {
        case .orderPlaced: placed.insert(order)
        // Reversed in full is as never placed; in part, it stays a purchase.
        case .orderReversed where event.flag: reversed.insert(order)
        default: break
        }
    }

    /// Rows whose customers bought within the holdout.
    var rows: Set<Int> { Set(placed.subtracting(reversed).map(\.row)) }
}
