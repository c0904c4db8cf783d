import Engine

/// A status as `/api/status` shows it.
enum StatusJSON {
    /// Renders everything but the model bundle, which has an address of its own.
    ///
    /// - Parameters:
    ///   - status: what was published last.
    ///   - now: monotonic clock.
    ///   - process: the process that serves it.
    /// - Returns: a JSON object.
    static func render(
        _ status: EngineStatus,
        now: ContinuousClock.Instant,
        process: ProcessFacts
    ) -> String {
        // In parts: as one literal it takes the compiler too long.
        let parts: [KeyValuePairs<String, JSONText>] = [
            engine(status, now, process), restore(status), counts(status), learning(status),
        ]
        return JSONText.map(parts.flatMap { $0.map { ($0.key, $0.value) } }).encoded
    }

    private static func engine(
        _ status: EngineStatus,
        _ now: ContinuousClock.Instant,
        _ process: ProcessFacts
    ) -> KeyValuePairs<String, JSONText> {
        [
            "version": .text(process.version),
            "state": .text(status.state.rawValue),
            "since": .integer(status.sinceMilliseconds),
            "ready": .flag(status.unreadiness == nil),
            "not_ready_because": .optional(status.unreadiness),
            "last_turn_age_seconds": .number((now - status.lastTurn).seconds),
            "broker_down_since": .optional(status.brokerDownSinceMilliseconds),
            "last_error": .optional(status.lastError),
            "partitions": .list(status.assignedPartitions.map { .integer(Int64($0)) }),
        ]
    }

    private static func restore(_ status: EngineStatus) -> KeyValuePairs<String, JSONText> {
        let checkpoint = status.checkpoint
        return [
            "restore": .object([
                "done": .integer(status.restore.done), "target": .integer(status.restore.target),
            ]),
            "checkpoint": .object([
                "noted_at": .optional(checkpoint.notedAtMilliseconds),
                "bytes": .integer(Int64(checkpoint.bytes)),
                "failures": .integer(Int64(checkpoint.failures)),
                "restored_from_checkpoint": .integer(Int64(checkpoint.restoredPartitions)),
                "restored_from_changelog": .integer(Int64(checkpoint.ignoredPartitions)),
            ]),
        ]
    }

    private static func counts(_ status: EngineStatus) -> KeyValuePairs<String, JSONText> {
        [
            "customers": .integer(Int64(status.customers)),
            "records": .integer(Int64(status.records)),
            "events": .counts(status.eventsByType),
            "duplicates": .integer(Int64(status.duplicates)),
            "unmatched_reversals": .integer(Int64(status.unmatchedReversals)),
            "rejections": .counts(status.rejectionsByReason),
            "outputs": .counts(status.outputsByType),
            "transactions": .object([
                "committed": .integer(Int64(status.transactions)),
                "aborted": .integer(Int64(status.abortedTransactions)),
                "last_seconds": status.transactionDurations.last.map { .number($0) } ?? .null,
            ]),
            "reloads": .object([
                "applied": .integer(Int64(status.reloads.applied)),
                "refused": .integer(Int64(status.reloads.refused)),
            ]),
            "lag": .list(status.lags.map(lag)),
        ]
    }

    private static func learning(_ status: EngineStatus) -> KeyValuePairs<String, JSONText> {
        [
            "model": status.model.map { model($0, sizes: status.segmentCustomers) } ?? .null,
            "shadow": status.shadow.map(shadow) ?? .null,
            "refits": .counts(status.refitsByReason),
            "relabelled_customers": .integer(Int64(status.relabelledCustomers)),
            "drift": .object([
                "quantisation_error": status.quantisationError.map { .number($0) } ?? .null,
                "level": .number(status.quantisationDrift),
                "feature_stability": .map(
                    status.featureStability.map { ($0.feature, .number($0.index)) }
                ),
                "statistics": status.statisticsDrift.map { .number($0) } ?? .null,
            ]),
            "churn": .object([
                "ready": .flag(status.churnMissing == nil),
                "missing": .optional(status.churnMissing),
                "paused": .optional(status.churnPaused),
                "bands": .counts(status.bandCustomers),
                "due_customers": .integer(Int64(status.dueCustomers)),
            ]),
        ]
    }

    private static func lag(_ lag: EngineStatus.Lag) -> JSONText {
        .object([
            "topic": .text(lag.topic), "partition": .integer(Int64(lag.partition)),
            "records": .integer(lag.records),
        ])
    }

    private static func shadow(_ shadow: EngineStatus.Shadow) -> JSONText {
        .object([
            "version": .integer(Int64(shadow.version)),
            "trained_at": .integer(shadow.trainedAtMilliseconds),
            "segment_share": .number(shadow.segmentShare),
            "band_share": .number(shadow.bandShare),
            "held_because": .text(shadow.heldBecause),
        ])
    }

    private static func model(_ model: EngineStatus.Model, sizes: [Int: Int]) -> JSONText {
        .object([
            "version": .integer(Int64(model.version)),
            "step": .integer(Int64(model.step)),
            "trained_at": .integer(model.trainedAtMilliseconds),
            "training_customers": .integer(Int64(model.trainingCustomers)),
            "explained_variance_ratio": .list(model.explainedVarianceRatio.map { .number($0) }),
            "inertia": .number(model.inertia),
            "features_without_data": .list(model.featuresWithoutData.map { .text($0) }),
            "segments": .list(
                model.segments.map {
                    .object([
                        "id": .integer(Int64($0.id)), "key": .text($0.key), "name": .text($0.name),
                        "customers": .integer(Int64(sizes[$0.id] ?? 0)),
                    ])
                }
            ),
        ])
    }
}
