import OnlineLearning

/// The pure core: (state, batch of events) gives (new state, assignments, churn flags, rejections).
///
/// No I/O, no clock, no unseeded randomness: the engine passes records and moments in and produces
/// what `StepOutput` gathers. State has a committed and a pending layer: `begin`, any number of
/// `apply`, then `commit` or `abort`, after which the state bytes equal those before `begin`.
public struct SegmentationCore: ~Copyable {
    /// What this core was told, and has taken over since.
    public internal(set) var configuration: SegmentationConfiguration
    /// The flat tables made of it.
    public let schema: CompiledSchema
    /// What was counted; an abort takes the transaction's part back.
    public internal(set) var counters = StepCounters()
    /// The model in force, nil before the first version.
    public internal(set) var model: SegmentModel? {
        get { inForce?.model }
        set { inForce = newValue.map(ModelInForce.init) }
    }
    /// The same, as one object: to hand a struct of twenty arrays around costs more than scoring.
    var inForce: ModelInForce?
    /// Greatest event time seen, in milliseconds since 1970; `Int64.min` before the first event.
    public internal(set) var greatestEventTime = Int64.min

    /// Whether this worker refits and steps: learning is on, and it is the trainer.
    public var learns: Bool

    /// Never used: with it, the core is handled by its address everywhere.
    ///
    /// A core in registers is what the compiler's check of ownership takes apart into hundreds of
    /// fields, block by block, for many minutes.
    private let keepsItsAddress: (any Sendable)? = nil
    var table: CustomerTable
    var statistics: PopulationStatistics
    var decoder: EventDecoder
    var event = CustomerEvent()
    /// Records decoded before their turn.
    var ahead: [DecodedRecord]
    /// What reading rows ahead left, so that it is not optimised away.
    var warmth: UInt64 = 0
    var block: RowBlock
    /// A row of a restore, reused.
    var decodedRow: DecodedRow
    var evaluator: FeatureEvaluator
    var landmarks: [Double]
    var partitionClocks: [Int64] = []
    var rowChanges = 0
    /// Rows below it have been scored by the present version.
    var rescoreCursor = Int.max
    var scores: [Double]
    var saved: SavedState?
    let suppressionSecret: UInt64
    let sourceBytes: [UInt8]
    /// Rows by their next due moment.
    var due = DueHeap()
    /// Rows below it have their due moments by changed thresholds; nil where nothing has changed.
    var dueCursor: Int?
    let movingBounds: MovingBounds
    var writer: DecisionWriter
    var churnRisk: ChurnRisk
    var silence: SilenceGuard
    /// A pass under way, the version of the last one, and greatest event time when it began.
    var expectationPass: ExpectationPass?
    var expectedVersion = 0
    var expectedAt = Int64.min
    /// What the last pass over the rows counted.
    public internal(set) var census = Census()
    var censusPass = CensusPass()
    /// Event time and number of customers at the last refit.
    var lastRefitAt = Int64.min
    var lastRefitCustomers = 0
    /// Versions that are kept, and the one that waits for an operator.
    var versions = ModelVersions()
    var drift = QuantisationDrift()
    var stability = FeatureStability()
    /// Event time of a refit that failed; the next try waits for an hour of events.
    var failedRefitAt: Int64?
    /// A refit beside the hot path.
    var refitUnderWay: RefitUnderWay?
    /// Tables of up to so many rows are maintained in one step, at the end of a transaction: some
    /// milliseconds.
    var rowsMaintainedAtOnce = 4_096
    /// What came after the last moment that counts, where a replay holds that out; else nil.
    public var holdout: HoldoutPurchases?
    /// Decisions about versions, and about whose rows are here: each makes a refit that has begun
    /// useless.
    var decisions = 0

    /// What an abort puts back beside table and medians.
    struct SavedState {
        var counters: StepCounters
        var model: ModelInForce?
        var statistics: PopulationStatistics.Saved
        var greatestEventTime: Int64
        var landmarks: [Double]
        var partitionClocks: [Int64]
        var rowChanges: Int
        var rescoreCursor: Int
        var lastRefitAt: Int64
        var lastRefitCustomers: Int
        var versions: ModelVersions
        var drift: QuantisationDrift
        var stability: FeatureStability
        var silence: SilenceGuard
        var expectationPass: ExpectationPass?
        var decisions: Int
        /// A refit whose result the open transaction has taken over.
        var takenRefit: RefitUnderWay?
    }

    /// Creates an empty core.
    ///
    /// - Parameters:
    ///   - configuration: valid (`validate()` is empty).
    ///   - model: a given model; learning is up to `configuration.model.learning`.
    ///   - customerFromBody: take the customer of a record without key from its body, as `replay`
    ///     does.
    public init(
        configuration: SegmentationConfiguration,
        model: SegmentModel? = nil,
        customerFromBody: Bool = false
    ) {
        precondition(configuration.validate().isEmpty, "validate() before use")
        self.configuration = configuration
        learns = configuration.model.learning
        let schema = CompiledSchema(configuration)
        self.schema = schema
        table = CustomerTable(schema: schema)
        statistics = PopulationStatistics(schema: schema)
        decoder = EventDecoder(
            configuration: configuration,
            schema: schema,
            customerFromBody: customerFromBody
        )
        ahead = Array(
            repeating: DecodedRecord(fields: EventDecoder.Fields(schema: schema)),
            count: Self.aheadMax
        )
        block = RowBlock(schema: schema)
        decodedRow = DecodedRow(schema: schema)
        evaluator = FeatureEvaluator(schema: schema)
        landmarks = Array(repeating: 0, count: schema.decays.count)
        scores = Array(repeating: 0, count: max(1, configuration.model.components))
        suppressionSecret = StableHash.hash(of: "segmentd/\(configuration.group)")
        sourceBytes = Array("segmentd/\(configuration.group)".utf8)
        writer = DecisionWriter(configuration: configuration, schema: schema)
        churnRisk = ChurnRisk(configuration: configuration.churn)
        silence = SilenceGuard(configuration: configuration.churn)
        movingBounds = MovingBounds(schema: schema)
        if let model {
            adopt(model)
            // Whoever gives a model has chosen it.
            versions.isGuardArmed = true
        }
    }

    /// Customers known.
    public var customerCount: Int { table.count }
    /// Bytes of memory of rows, blocks and index.
    public var memoryBytes: Int { table.memoryBytes }
    /// Bytes of live blocks: ids, profile times, event ids, order ledgers.
    public var blockBytes: Int { table.arena.liveWords * 8 }

    /// Clock of a partition: the greatest event time of its customers.
    public func partitionClock(_ partition: Int32) -> Int64 {
        Int(partition) < partitionClocks.count ? partitionClocks[Int(partition)] : Int64.min
    }

    // MARK: transactions

    /// Opens the pending layer.
    public mutating func begin() {
        precondition(saved == nil, "a transaction is open")
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        saved = SavedState(
            counters: counters,
            model: inForce,
            statistics: statistics.save(),
            greatestEventTime: greatestEventTime,
            landmarks: landmarks,
            partitionClocks: partitionClocks,
            rowChanges: rowChanges,
            rescoreCursor: rescoreCursor,
            lastRefitAt: lastRefitAt,
            lastRefitCustomers: lastRefitCustomers,
            versions: versions,
            drift: drift,
            stability: stability,
            silence: silence,
            expectationPass: expectationPass,
            decisions: decisions
        )
    }

    /// The pending layer becomes the committed one.
    public mutating func commit() {
        precondition(saved != nil, "no transaction is open")
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        table.commit()
        saved = nil
        maintainSmallTable()
    }

    /// Drops the pending layer.
    public mutating func abort() {
        guard let saved else { preconditionFailure("no transaction is open") }
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        var medians = statistics
        var queue = DueHeap()
        swap(&queue, &due)
        let postponed = table.undo.postponed
        let before = saved.landmarks
        let now = landmarks
        table.abort(
            willRestore: { row, table in
                medians.exchangeMedians(row, table, landmarks: now, adding: false)
                queue.remove(row, table.partition(row))
            },
            didRestore: { row, table in
                medians.exchangeMedians(row, table, landmarks: before, adding: true)
                let moment = table.due(row)
                if moment < DueMoment.never { queue.set(row, table.partition(row), to: moment) }
            }
        )
        due = queue
        for entry in postponed.reversed() { putBackDue(entry.row, entry.moment) }
        statistics = medians
        statistics.restore(saved.statistics)
        counters = saved.counters
        inForce = saved.model
        greatestEventTime = saved.greatestEventTime
        landmarks = saved.landmarks
        partitionClocks = saved.partitionClocks
        rowChanges = saved.rowChanges
        rescoreCursor = saved.rescoreCursor
        lastRefitAt = saved.lastRefitAt
        lastRefitCustomers = saved.lastRefitCustomers
        versions = saved.versions
        drift = saved.drift
        stability = saved.stability
        silence = saved.silence
        expectationPass = saved.expectationPass
        decisions = saved.decisions
        refitUnderWay = saved.takenRefit ?? refitUnderWay
        if let model { scores = Array(repeating: 0, count: max(1, model.componentCount)) }
        self.saved = nil
    }

    /// Appends one changelog record per customer that the open transaction changed.
    public mutating func appendChangelog(into output: inout StepOutput) {
        for entry in table.undo.entries where entry.kind != .removed {
            let row = entry.row
            // The first entry of a row in this transaction writes it, whatever it has become since.
            guard table.isInUse(row), table.takeUnwritten(row) else { continue }
            let keyStart = output.bytes.count
            table.appendID(of: row, to: &output.bytes)
            let key = keyStart..<output.bytes.count
            RowCodec.encode(row, of: table, block: &block, into: &output.bytes)
            output.records.append(
                StepOutput.Record(
                    destination: .changelog,
                    partition: table.partition(row),
                    key: key,
                    value: key.upperBound..<output.bytes.count,
                    headers: output.headers.count..<output.headers.count
                )
            )
        }
    }

    // MARK: learning

    /// Moves the landmarks of decayed slots on, so that sums stay in range.
    ///
    /// Never between the mark of a row and its decision: a flush there would take the row's new
    /// segment for one that the sums know already.
    mutating func advanceLandmarks(to time: Int64) {
        guard time > greatestEventTime else { return }
        for (index, decay) in schema.decays.enumerated() {
            let landmark = Decay.landmark(at: time, halfLife: decay.halfLifeMilliseconds)
            guard landmark > landmarks[index] else { continue }
            statistics.flush(&table, model: inForce, landmarks: landmarks)
            statistics.advanceLandmark(ofDecay: index, by: landmark - landmarks[index])
            landmarks[index] = landmark
        }
    }

    /// Steps the centroids to the means of their members (MacQueen, 1967; Sculley, 2010,
    /// doi:10.1145/1772690.1772862); sums of members are exact, so the objective never rises.
    mutating func completeMiniBatch(into output: inout StepOutput) {
        measureStability(afterChanges: rowChanges)
        rowChanges = 0
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        guard learns, var model, rescoreCursor >= table.rowEnd else {
            drift.discardStep()
            return
        }
        completeDriftStep()
        let (factors, shifts) = evaluator.factors(at: greatestEventTime, landmarks: landmarks)
        let d = schema.featureCount
        for k in model.segments.indices {
            // A segment that has lost all its members, or all who weighed something, keeps its
            // place until the next refit.
            guard statistics.clusters.counts[k] > 0, !statistics.clusters.hasLostDigits(of: k)
            else { continue }
            let mean = statistics.clusters.mean(of: k)
            for j in 0..<d {
                let flag = schema.missableIndex[j]
                let missing = flag < 0 ? 0 : mean[1 + d + flag]
                let stored = mean[1 + j] + statistics.centres[j] * (1 - missing)
                let known = factors[j] * stored + shifts[j] * (1 - missing)
                model.centroids[k * d + j] = known + model.imputation[j] * missing
            }
        }
        model.step += 1
        model.projectCentroids()
        self.model = model
        appendModelStep(model, into: &output)
    }

    /// Takes later centroids of the version in force over, as a worker that follows the trainer
    /// does.
    public mutating func follow(centroidsOf newer: SegmentModel) {
        guard var model, model.version == newer.version, model.step < newer.step else { return }
        model.step = newer.step
        model.centroids = newer.centroids
        model.projectCentroids()
        self.model = model
    }

    /// Takes a model over as the one in force; rows are scored again when their turn comes.
    public mutating func adopt(_ newModel: SegmentModel) {
        var prepared = newModel
        prepared.prepare()
        scores = Array(repeating: 0, count: max(1, prepared.componentCount))
        model = prepared
        statistics.resetClusters(count: prepared.segments.count)
        rescoreCursor = 0
        // Segments have other places now.
        expectationPass = nil
        silence.forgetSegments()
        drift = QuantisationDrift()
        stability = FeatureStability()
        decisions += 1
        lastRefitAt = prepared.trainedAt
        lastRefitCustomers = prepared.customers
        versions.raise(version: prepared.version, nextSegmentID: prepared.nextSegmentID)
    }
}
