extension SegmentationConfiguration {
    /// This configuration with what may change while rows, sums and versions of it are there.
    ///
    /// Everything else of `newer` is left aside: it means other rows, other sums, or another model.
    public func taking(changeableOf newer: SegmentationConfiguration) -> SegmentationConfiguration {
        var result = self
        result.currencyRates = newer.currencyRates
        result.personas = newer.personas
        result.assignment = newer.assignment
        result.model.refitIntervalMilliseconds = newer.model.refitIntervalMilliseconds
        result.model.refitChangedShare = newer.model.refitChangedShare
        result.model.refitMinimumIntervalMilliseconds = newer.model.refitMinimumIntervalMilliseconds
        result.model.guardLimits = newer.model.guardLimits
        result.model.challengers = newer.model.challengers
        result.model.margin = newer.model.margin
        result.churn.raiseMedium = newer.churn.raiseMedium
        result.churn.raiseHigh = newer.churn.raiseHigh
        result.churn.quantileMedium = newer.churn.quantileMedium
        result.churn.quantileHigh = newer.churn.quantileHigh
        result.churn.clearBy = newer.churn.clearBy
        result.churn.cooldownMilliseconds = newer.churn.cooldownMilliseconds
        result.churn.silenceGuard = newer.churn.silenceGuard
        result.churn.minimumSpent = newer.churn.minimumSpent
        return result
    }
}

extension SegmentationCore {
    /// Takes over what may change while it runs.
    ///
    /// Due moments follow from thresholds: they are found anew, slice by slice, as a part of
    /// maintenance. Decisions already made stay until something looks at their customer again.
    ///
    /// - Parameter newer: valid; what of it may not change is left aside.
    /// - Precondition: no transaction is open.
    public mutating func reconfigure(_ newer: SegmentationConfiguration) {
        precondition(saved == nil, "commit or abort first")
        precondition(newer.validate().isEmpty, "validate() before use")
        let former = configuration
        configuration = former.taking(changeableOf: newer)
        decoder.take(ratesOf: configuration)
        writer = DecisionWriter(configuration: configuration, schema: schema)
        churnRisk = ChurnRisk(configuration: configuration.churn)
        silence.isOn = configuration.churn.silenceGuard
        if former.churn != configuration.churn || former.assignment != configuration.assignment {
            dueCursor = 0
        }
    }

    /// Finds due moments anew.
    ///
    /// - Parameter limit: rows looked at, at most.
    mutating func renewDue(limit: Int) {
        guard let start = dueCursor else { return }
        let end = limit < table.rowEnd - start ? start + limit : max(start, table.rowEnd)
        for row in start..<min(end, table.rowEnd) where table.isInUse(row) {
            // A row of another version gets its moment with its score.
            guard let inForce, table.modelVersion(row) == inForce.model.version else { continue }
            setDue(row, earliestDue(of: row, after: table.clock(row)))
        }
        dueCursor = end >= table.rowEnd ? nil : end
    }
}
