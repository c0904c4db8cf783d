import Glibc

/// What a customer likes now: spending by category that fades.
extension CustomerTable {
    /// Time in which spending loses half of what it says about taste, in milliseconds: 90 days.
    static let tasteHalfLife = 90.0 * Double(DayCalendar.dayMilliseconds)

    /// Spending by declared category slot, each order weighed by its age.
    ///
    /// Orders that have left the ledger are older than any in it, and weigh as much as the oldest
    /// of those.
    ///
    /// - Parameters:
    ///   - row: the customer.
    ///   - time: the moment, in milliseconds since 1970.
    ///   - block: a buffer.
    /// - Returns: 0 or more for each category with a slot.
    func taste(of row: Int, at time: Int64, block: inout RowBlock) -> OrderAmounts {
        block.load(row, of: self)
        var faded = OrderAmounts()
        var remembered = OrderAmounts()
        var oldest = 0.0
        block.forEachOrder { entry in
            let effect = entry.effect(categoryCount: schema.categoryCount)
            guard effect.mask != 0 else { return }
            let age = max(0, Double(time - entry.time))
            oldest = max(oldest, age)
            let weight = exp2(-age / Self.tasteHalfLife)
            for (category, slot) in schema.categorySpent.enumerated() where slot >= 0 {
                faded[category] += weight * effect[category]
                remembered[category] += effect[category]
            }
        }
        let weight = exp2(-oldest / Self.tasteHalfLife)
        for (category, slot) in schema.categorySpent.enumerated() where slot >= 0 {
            let before = max(0, numbers[row, slot] - remembered[category])
            faded[category] = max(0, faded[category] + weight * before)
        }
        return faded
    }
}
