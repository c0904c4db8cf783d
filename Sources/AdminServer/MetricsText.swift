import Engine

/// A status as Prometheus reads it, text format 0.0.4.
enum MetricsText {
    /// Renders every metric of `MetricNames`.
    ///
    /// - Parameters:
    ///   - status: what was published last.
    ///   - now: monotonic clock.
    ///   - wallMilliseconds: wall clock, in milliseconds since 1970.
    ///   - process: the process that serves it.
    /// - Returns: the body of `/metrics`.
    static func render(
        _ status: EngineStatus,
        now: ContinuousClock.Instant,
        wallMilliseconds: Int64,
        process: ProcessFacts
    ) -> String {
        var text = MetricsWriter()
        writeEngine(status, now, wallMilliseconds, process, &text)
        writeCounters(status, &text)
        writeModel(status, &text)
        return text.text
    }

    private static func writeEngine(
        _ status: EngineStatus,
        _ now: ContinuousClock.Instant,
        _ wallMilliseconds: Int64,
        _ process: ProcessFacts,
        _ text: inout MetricsWriter
    ) {
        text.begin(MetricNames.state)
        for state in EngineState.allCases {
            text.sample(MetricNames.state, [state.rawValue], state == status.state ? 1 : 0)
        }
        text.begin(MetricNames.buildInfo)
        text.sample(MetricNames.buildInfo, [process.version], 1)
        if let bytes = process.residentBytes {
            text.metric(MetricNames.residentMemory, bytes)
        }
        text.metric(
            MetricNames.reloads,
            by: ["applied": status.reloads.applied, "refused": status.reloads.refused]
        )
        text.metric(MetricNames.ready, status.unreadiness == nil ? 1 : 0)
        text.metric(MetricNames.turnAge, (now - status.lastTurn).seconds)
        let downSince = status.brokerDownSinceMilliseconds
        // The wall clock may have been set back since.
        let down = downSince.map { max(0, Double(wallMilliseconds - $0) / 1000) } ?? 0
        text.metric(MetricNames.brokerDown, down)
        text.metric(MetricNames.assignedPartitions, status.assignedPartitions.count)
        text.metric(MetricNames.restoreDone, Int(status.restore.done))
        text.metric(MetricNames.restoreTarget, Int(status.restore.target))
        writeCheckpoint(status.checkpoint, wallMilliseconds, &text)
        text.metric(MetricNames.customers, status.customers)
    }

    private static func writeCheckpoint(
        _ checkpoint: EngineStatus.Checkpoint,
        _ wallMilliseconds: Int64,
        _ text: inout MetricsWriter
    ) {
        text.metric(
            MetricNames.restoredPartitions,
            by: [
                "checkpoint": checkpoint.restoredPartitions,
                "changelog": checkpoint.ignoredPartitions,
            ]
        )
        if let noted = checkpoint.notedAtMilliseconds {
            text.metric(
                MetricNames.checkpointAge,
                max(0, Double(wallMilliseconds - noted) / 1000)
            )
            text.metric(MetricNames.checkpointBytes, checkpoint.bytes)
        }
        text.metric(MetricNames.checkpointFailures, checkpoint.failures)
    }

    private static func writeCounters(_ status: EngineStatus, _ text: inout MetricsWriter) {
        text.metric(MetricNames.records, status.records)
        text.metric(MetricNames.events, by: status.eventsByType)
        text.metric(MetricNames.duplicates, status.duplicates)
        text.metric(MetricNames.unmatchedReversals, status.unmatchedReversals)
        text.metric(MetricNames.rejections, by: status.rejectionsByReason)
        text.metric(MetricNames.outputs, by: status.outputsByType)
        text.metric(MetricNames.transactions, status.transactions)
        text.metric(MetricNames.abortedTransactions, status.abortedTransactions)
        text.histogram(MetricNames.transactionDuration, status.transactionDurations)
        text.histogram(MetricNames.commitDuration, status.commitDurations)
        text.histogram(MetricNames.publicationLatency, status.publicationLatencies)
        text.begin(MetricNames.lag)
        for lag in status.lags {
            text.sample(
                MetricNames.lag,
                [lag.topic, String(lag.partition)],
                Double(lag.records)
            )
        }
    }

    private static func writeModel(_ status: EngineStatus, _ text: inout MetricsWriter) {
        let model = status.model
        text.metric(MetricNames.modelVersion, model?.version ?? 0)
        text.metric(MetricNames.modelStep, model?.step ?? 0)
        if let model {
            text.metric(
                MetricNames.modelTrained,
                Double(model.trainedAtMilliseconds) / 1000
            )
            text.metric(MetricNames.modelTraining, model.trainingCustomers)
            text.begin(MetricNames.explainedVariance)
            for (index, ratio) in model.explainedVarianceRatio.enumerated() {
                text.sample(MetricNames.explainedVariance, [String(index + 1)], ratio)
            }
            text.metric(MetricNames.inertia, model.inertia)
            text.metric(MetricNames.emptyFeatures, model.featuresWithoutData.count)
            text.begin(MetricNames.segmentCustomers)
            for segment in model.segments {
                text.sample(
                    MetricNames.segmentCustomers,
                    [String(segment.id), segment.key],
                    Double(status.segmentCustomers[segment.id] ?? 0)
                )
            }
        }
        text.metric(MetricNames.relabelledCustomers, status.relabelledCustomers)
        text.metric(MetricNames.shadowVersion, status.shadow?.version ?? 0)
        text.metric(MetricNames.shadowSegments, status.shadow?.segmentShare ?? 0)
        text.metric(MetricNames.shadowBands, status.shadow?.bandShare ?? 0)
        text.metric(MetricNames.refits, by: status.refitsByReason)
        if let error = status.quantisationError {
            text.metric(MetricNames.quantisationError, error)
        }
        text.metric(MetricNames.quantisationDrift, status.quantisationDrift)
        if !status.featureStability.isEmpty {
            text.begin(MetricNames.featureStability)
            for (feature, index) in status.featureStability {
                text.sample(MetricNames.featureStability, [feature], index)
            }
        }
        if let drift = status.statisticsDrift {
            text.metric(MetricNames.statisticsDrift, drift)
        }
        text.metric(MetricNames.churnReady, status.churnMissing == nil ? 1 : 0)
        text.metric(MetricNames.churnBandCustomers, by: status.bandCustomers)
        text.metric(MetricNames.churnTransitions, by: status.bandEntries)
        text.metric(MetricNames.dueCustomers, status.dueCustomers)
        text.metric(MetricNames.timerDecisions, status.timerDecisions)
        text.metric(MetricNames.silenceGuard, status.churnPaused == nil ? 0 : 1)
    }
}

/// Writes metrics in the text format.
struct MetricsWriter {
    /// What was written.
    private(set) var text = ""

    /// Begins a metric whose samples follow.
    mutating func begin(_ metric: MetricName) {
        text +=
            "# HELP \(metric.name) \(metric.help)\n# TYPE \(metric.name) \(metric.kind.rawValue)\n"
    }

    /// One sample, with the values of the metric's labels in their order.
    mutating func sample(_ metric: MetricName, _ labels: [String], _ value: Double) {
        precondition(labels.count == metric.labels.count)
        write(metric.name, Array(zip(metric.labels, labels)), value)
    }

    /// A metric without labels.
    mutating func metric(_ metric: MetricName, _ value: Double) {
        begin(metric)
        sample(metric, [], value)
    }

    /// A metric without labels.
    mutating func metric(_ metric: MetricName, _ value: Int) { self.metric(metric, Double(value)) }

    /// A metric with one label.
    mutating func metric(_ metric: MetricName, by counts: [String: Int]) {
        begin(metric)
        for (label, count) in counts.sorted(by: { $0.key < $1.key }) {
            sample(metric, [label], Double(count))
        }
    }

    /// A histogram without labels.
    mutating func histogram(_ metric: MetricName, _ histogram: DurationHistogram) {
        begin(metric)
        var total = 0
        for (bound, count) in zip(DurationHistogram.bounds + [.infinity], histogram.counts) {
            total += count
            let label = bound == .infinity ? "+Inf" : Self.number(bound)
            write("\(metric.name)_bucket", [("le", label)], Double(total))
        }
        write("\(metric.name)_sum", [], histogram.sum)
        write("\(metric.name)_count", [], Double(total))
    }

    private mutating func write(_ name: String, _ labels: [(String, String)], _ value: Double) {
        text += name
        if !labels.isEmpty {
            let pairs = labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }
            text += "{\(pairs.joined(separator: ","))}"
        }
        text += " \(Self.number(value))\n"
    }

    /// Whole numbers without a fraction, others in shortest round-trip form.
    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if value == value.rounded(), abs(value) < 9e15 { return String(Int64(value)) }
        return "\(value)"
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.append(character)
            }
        }
        return escaped
    }
}

extension Duration {
    /// Length in seconds.
    var seconds: Double {
        Double(components.seconds) + Double(components.attoseconds) * 1e-18
    }
}
