/// What keeps sums exact and blocks together while events go on, slice by slice between two
/// transactions.
///
/// Sums are made anew behind a cursor (see `StatisticsRebuild`) at every refit, and where the check
/// of their condition asks for it; blocks are moved together where much of their memory is unused,
/// also by a worker that never refits. What the silence guard expects is added up here too.
/// `replay` does all of it in one slice.
extension SegmentationCore {
    /// Whether a slice of maintenance waits.
    public var isMaintenanceDue: Bool {
        isRebuilding || table.isCompacting || expectationPass != nil || dueCursor != nil
    }

    /// Whether sums are being made anew.
    public var isRebuilding: Bool { statistics.rebuild.isUnderWay }

    /// Drift that the last rebuild found in the running sums; nil before one.
    ///
    /// The largest difference of a mean in standard deviations, or of an entry of the covariance in
    /// the product of its two deviations.
    public var statisticsDrift: Double? { statistics.drift }

    /// Goes on with the rebuild of the sums, or else due moments, or else the expectation, or else
    /// with moving blocks together.
    ///
    /// - Parameter limit: rows looked at, at most.
    /// - Precondition: no transaction is open.
    /// - Complexity: O(limit).
    public mutating func maintain(limit: Int) {
        precondition(saved == nil, "commit or abort first")
        if statistics.rebuild.isUnderWay {
            statistics.flush(&table, model: inForce, landmarks: landmarks)
            statistics.rebuildSlice(of: table, limit: limit, model: inForce, landmarks: landmarks)
        } else if dueCursor != nil {
            renewDue(limit: limit)
        } else if expectationPass != nil {
            expect(limit: limit)
        } else {
            table.compactBlocks(limit: limit)
        }
    }

    /// Checks the condition of sums and blocks; a small table gets its maintenance here.
    mutating func maintainSmallTable() {
        if statistics.needsRebuild && !statistics.rebuild.isUnderWay {
            statistics.beginRebuild(centres: statistics.nearbyCentres())
        }
        table.beginCompaction()
        if isExpectationDue { beginExpectation() }
        guard table.rowEnd <= rowsMaintainedAtOnce else { return }
        while isMaintenanceDue { maintain(limit: .max) }
    }
}
