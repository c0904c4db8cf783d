/// Customers counted by purchase history, in whole days.
///
/// Purchases of one day are one purchase; the caller merges them (else r of the CDNOW set becomes
/// .218 instead of .243).
public struct PurchaseHistogram: Sendable, Equatable {
    private struct Key: Hashable, Comparable {
        var x: Int
        var recencyDays: Int
        var ageDays: Int

        static func < (left: Key, right: Key) -> Bool {
            (left.x, left.recencyDays, left.ageDays) < (right.x, right.recencyDays, right.ageDays)
        }
    }

    private var counts: [Key: Int] = [:]
    /// Customers counted.
    public private(set) var customers = 0
    /// Customers with a repeat purchase.
    public private(set) var repeatBuyers = 0

    /// Creates an empty histogram.
    public init() {}

    /// Counts customers.
    ///
    /// - Parameters:
    ///   - repeatPurchases: x.
    ///   - recencyDays: days from the first purchase day to the last.
    ///   - ageDays: days from the first purchase day to now.
    ///   - count: how many have this history, 1 or more.
    public mutating func add(
        repeatPurchases: Int,
        recencyDays: Int,
        ageDays: Int,
        count: Int = 1
    ) {
        precondition(repeatPurchases >= 0 && count > 0, "counts are not negative")
        precondition(0 <= recencyDays && recencyDays <= ageDays, "the last purchase lies within")
        let key = Key(x: repeatPurchases, recencyDays: recencyDays, ageDays: ageDays)
        counts[key, default: 0] += count
        customers += count
        if repeatPurchases > 0 { repeatBuyers += count }
    }

    /// Adds all customers of another histogram.
    public mutating func merge(_ other: PurchaseHistogram) {
        counts.merge(other.counts, uniquingKeysWith: +)
        customers += other.customers
        repeatBuyers += other.repeatBuyers
    }

    /// The groups in weeks, in one order whatever the order of adding.
    public var groups: [PurchaseGroup] {
        counts.sorted { $0.key < $1.key }.map { key, count in
            PurchaseGroup(
                history: PurchaseHistory(
                    repeatPurchases: key.x,
                    recency: Double(key.recencyDays) / 7,
                    age: Double(key.ageDays) / 7
                ),
                count: count
            )
        }
    }
}
