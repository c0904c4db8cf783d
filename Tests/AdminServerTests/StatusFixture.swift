import Engine

/// A board of an engine that runs with a model, and the moments it was published at.
func runningBoard(now: ContinuousClock.Instant) -> StatusBoard {
    let board = StatusBoard(sinceMilliseconds: 1_000_000, now: now)
    board.move(to: .restoring, atMilliseconds: 1_001_000)
    board.move(to: .running, atMilliseconds: 1_002_000)
    board.update { status in
        status.assignedPartitions = [0, 3]
        status.customers = 2240
        status.records = 10_000
        status.eventsByType["order.placed"] = 9000
        status.rejectionsByReason["malformed_json"] = 7
        status.outputsByType["segment.changed"] = 12
        status.refitsByReason["drift"] = 2
        status.quantisationError = 1.25
        status.checkpoint.notedAtMilliseconds = -2_500
        status.checkpoint.bytes = 4_711
        status.checkpoint.failures = 1
        status.checkpoint.restoredPartitions = 5
        status.quantisationDrift = 0.5
        status.featureStability = [("age", 0.125), ("income", 0.25)]
        status.statisticsDrift = 0.0625
        status.transactions = 3
        status.transactionDurations.add(seconds: 0.004)
        status.transactionDurations.add(seconds: 0.05)
        status.transactionDurations.add(seconds: 60)
        status.commitDurations.add(seconds: 0.02)
        status.publicationLatencies.add(seconds: 0.2)
        status.segmentCustomers = [1: 821]
        status.bandCustomers = ["low": 700, "medium": 100, "high": 21, "insufficient_data": 0]
        status.bandEntries["high"] = 30
        status.dueCustomers = 600
        status.timerDecisions = 77
        status.relabelledCustomers = 9
        status.reloads.applied = 2
        status.lags = [.init(topic: "customer \"events\"", partition: 3, records: 42)]
        status.model = EngineStatus.Model(
            version: 12,
            step: 40_711,
            trainedAtMilliseconds: 1_500,
            trainingCustomers: 2236,
            explainedVarianceRatio: [0.25, 0.125],
            inertia: 6315.5,
            segments: [
                .init(id: 1, key: "new-customers", name: "New \"customers\"", customers: 821)
            ],
            featuresWithoutData: ["income"]
        )
        status.shadow = EngineStatus.Shadow(
            version: 13,
            trainedAtMilliseconds: 2_500,
            segmentShare: 0.375,
            bandShare: 0.0625,
            heldBecause: "37.5 % of customers would change segment"
        )
        status.modelBundleJSON = "{\"version\":12}"
        status.churnMissing = "12 of 100 repeat buyers"
    }
    return board
}
