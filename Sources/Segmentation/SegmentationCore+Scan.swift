/// Bands without timers, to hold timers against.
extension SegmentationCore {
    /// The band that a customer would get at a moment, coming from another one.
    ///
    /// - Parameters:
    ///   - id: the customer's id.
    ///   - moment: milliseconds since 1970.
    ///   - band: the band before.
    /// - Returns: nil for somebody unknown.
    package func band(ofCustomer id: [UInt8], at moment: Int64, from band: ChurnBand) -> ChurnBand?
    {
        let range = 0..<id.count
        let row = table.find(hash: StableHash.hash(of: id, range: range), id: id, range: range)
        guard row >= 0 else { return nil }
        var standing = standing(of: row)
        standing.band = band
        return churnRisk.evaluate(standing, at: moment, by: inForce).band
    }

    /// Customers whose band would rise, did anybody look at them at a moment: a full scan.
    ///
    /// - Parameter moment: milliseconds since 1970.
    /// - Returns: how many; with timers, none that was due by then.
    /// - Complexity: O(customers).
    package func overdue(at moment: Int64) -> Int {
        var count = 0
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let standing = standing(of: row)
            if churnRisk.evaluate(standing, at: moment, by: inForce).band > standing.band {
                count += 1
            }
        }
        return count
    }
}
