import OnlineLearning

extension CompiledSchema {
    /// What an order has added to the money that `CustomerTable.totals` tells.
    func spent(by entry: LedgerEntry) -> Double {
        let effect = entry.effect(categoryCount: categoryCount)
        guard categorySpent.contains(where: { $0 >= 0 }) else { return effect.total }
        var sum = 0.0
        for (category, slot) in categorySpent.enumerated() where slot >= 0 {
            sum += effect[category]
        }
        return sum
    }
}

/// Purchase days of some customers, so that a refit can see them as they stood at earlier days.
///
/// What a row remembers of single orders is its ledger; of those before, how many days there were,
/// and the first and the last. So a customer is known as of a day when no order that has left the
/// ledger is later than that.
struct PurchaseTrails: Sendable {
    /// Customers looked at, at most; a sample of that size tells the weights well enough.
    static let customersMax = 25_000

    private struct Order {
        var day: Int32
        /// The day is among those outside.
        var isDayCounted: Bool
        var amount: Double
    }

    private struct Customer {
        var outsideDays: Int
        var outsideFirst: Int32
        var outsideLast: Int32
        var spent: Double
        var orders: Range<Int>
    }

    private var customers: [Customer] = []
    private var orders: [Order] = []

    /// Customers remembered.
    var count: Int { customers.count }

    /// Whether a customer is in the sample.
    ///
    /// - Parameters:
    ///   - hash: the hash of the customer's id, which alone decides.
    ///   - total: customers of the table.
    /// - Returns: true for some `customersMax` of them, and for all where there are fewer.
    static func samples(_ hash: UInt64, of total: Int) -> Bool {
        guard total > customersMax else { return true }
        let place = StableHash.mix(hash) >> 32
        return place < UInt64(customersMax) << 32 / UInt64(total)
    }

    /// Takes note of the rows that are in the sample and have bought.
    mutating func append(
        _ rows: Range<Int>,
        of table: borrowing CustomerTable,
        block: inout RowBlock,
        calendar: DayCalendar
    ) {
        for row in rows where table.isInUse(row) && table.purchaseDays(row) > 0 {
            guard Self.samples(table.words[row, RowWord.hash], of: table.count) else { continue }
            block.load(row, of: table)
            let start = orders.count
            block.forEachOrder { entry in
                guard entry.isInForce else { return }
                orders.append(
                    Order(
                        day: calendar.day(of: entry.time),
                        isDayCounted: entry.isDayCountedOutside,
                        amount: table.schema.spent(by: entry)
                    )
                )
            }
            let outside = table.words[row, RowWord.daysOutside]
            customers.append(
                Customer(
                    outsideDays: Int(
                        table.words[row, RowWord.outsideCountAndFirst] & 0xffff_ffff
                    ),
                    outsideFirst: Int32(truncatingIfNeeded: outside),
                    outsideLast: Int32(truncatingIfNeeded: outside >> 32),
                    spent: table.totals(of: row).spent,
                    orders: start..<orders.count
                )
            )
        }
    }

    /// What became of the customers who had bought by a day.
    ///
    /// - Parameters:
    ///   - cut: number of the day at whose end they are looked at.
    ///   - horizon: days behind it, all of them in the past.
    /// - Returns: one outcome for each of whom that is known.
    func outcomes(cut: Int32, horizon: Int32) -> [PurchaseOutcome] {
        var result: [PurchaseOutcome] = []
        for customer in customers {
            guard customer.outsideDays == 0 || customer.outsideLast <= cut else { continue }
            var days = Set<Int32>()
            var first = customer.outsideFirst
            var last = customer.outsideLast
            var spent = customer.spent
            var hasBought = false
            for order in orders[customer.orders] {
                if order.day > cut {
                    spent -= order.amount
                    if order.day <= cut + horizon { hasBought = true }
                    continue
                }
                first = min(first, order.day)
                last = max(last, order.day)
                let isOutside =
                    order.isDayCounted || order.day == customer.outsideFirst
                    || order.day == customer.outsideLast
                if !isOutside { days.insert(order.day) }
            }
            let count = customer.outsideDays + days.count
            guard count > 0 else { continue }
            result.append(
                PurchaseOutcome(
                    summary: PurchaseSummary(
                        repeatPurchases: count - 1,
                        recency: Double(last - first) / 7,
                        age: Double(cut - first) / 7,
                        spent: spent
                    ),
                    withoutPurchase: !hasBought
                )
            )
        }
        return result
    }

    /// The customers as they stand at the end of a day, none of whose purchases is later.
    func present(on day: Int32) -> [PurchaseSummary] {
        outcomes(cut: day, horizon: 0).map(\.summary)
    }
}
