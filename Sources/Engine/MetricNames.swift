/// One metric: its name, what it counts, and its labels.
public struct MetricName: Sendable, Equatable {
    /// Kind of a metric in the sense of Prometheus.
    public enum Kind: String, Sendable {
        /// Only grows.
        case counter
        /// Goes up and down.
        case gauge
        /// Counts in buckets.
        case histogram
    }

    /// `segmentd_<noun>_<unit>[_total]`.
    public let name: String
    /// Kind.
    public let kind: Kind
    /// One sentence for people.
    public let help: String
    /// Names of labels; their values are bounded and never a customer.
    public let labels: [String]

    init(_ name: String, _ kind: Kind, _ help: String, labels: [String] = []) {
        self.name = name
        self.kind = kind
        self.help = help
        self.labels = labels
    }
}

/// Every metric that `/metrics` shows.
public enum MetricNames {
    /// 1 for the state the engine is in, 0 for the others.
    public static let state = MetricName(
        "segmentd_state",
        .gauge,
        "1 for the state the engine is in.",
        labels: ["state"]
    )
    /// The program.
    public static let buildInfo = MetricName(
        "segmentd_build_info",
        .gauge,
        "1; the label names the version of the program.",
        labels: ["version"]
    )
    /// Memory.
    public static let residentMemory = MetricName(
        "segmentd_resident_memory_bytes",
        .gauge,
        "Memory of the process that is in RAM."
    )
    /// Reloads.
    public static let reloads = MetricName(
        "segmentd_reloads_total",
        .counter,
        "Configurations read again on SIGHUP, taken over or refused.",
        labels: ["result"]
    )
    /// 1 when ready.
    public static let ready = MetricName(
        "segmentd_ready",
        .gauge,
        "1 when running with everything restored, as /readyz says."
    )
    /// Age of the last turn.
    public static let turnAge = MetricName(
        "segmentd_loop_turn_age_seconds",
        .gauge,
        "Time since the engine's loop last turned."
    )
    /// Broker outage.
    public static let brokerDown = MetricName(
        "segmentd_broker_down_seconds",
        .gauge,
        "Time since the last broker was lost; 0 while one answers."
    )
    /// Assigned partitions.
    public static let assignedPartitions = MetricName(
        "segmentd_assigned_partitions",
        .gauge,
        "Input partitions that the consumer group gave to this worker."
    )
    /// Restore, done.
    public static let restoreDone = MetricName(
        "segmentd_restore_done_records",
        .gauge,
        "Changelog offsets passed by the restore of the present assignment."
    )
    /// Restore, target.
    public static let restoreTarget = MetricName(
        "segmentd_restore_target_records",
        .gauge,
        "Changelog offsets to pass by the restore of the present assignment."
    )
    /// Restored partitions.
    public static let restoredPartitions = MetricName(
        "segmentd_restored_partitions_total",
        .counter,
        "Partitions restored from a checkpoint and the tail of the changelog, or from all of it.",
        labels: ["source"]
    )
    /// Age of the checkpoints.
    public static let checkpointAge = MetricName(
        "segmentd_checkpoint_age_seconds",
        .gauge,
        "Time since the offsets of the last round of checkpoints were noted."
    )
    /// Size of the checkpoints.
    public static let checkpointBytes = MetricName(
        "segmentd_checkpoint_bytes",
        .gauge,
        "Bytes of the last round of checkpoints."
    )
    /// Failed rounds.
    public static let checkpointFailures = MetricName(
        "segmentd_checkpoint_failures_total",
        .counter,
        "Rounds of checkpoints given up, because of a full disk say."
    )
    /// Customers.
    public static let customers = MetricName(
        "segmentd_customers",
        .gauge,
        "Customers in the table of this worker."
    )
    /// Records.
    public static let records = MetricName(
        "segmentd_records_total",
        .counter,
        "Input records read."
    )
    /// Events.
    public static let events = MetricName(
        "segmentd_events_total",
        .counter,
        "Events applied, by type.",
        labels: ["type"]
    )
    /// Duplicates.
    public static let duplicates = MetricName(
        "segmentd_duplicate_events_total",
        .counter,
        "Events that were recognised as seen before and changed nothing."
    )
    /// Unmatched reversals.
    public static let unmatchedReversals = MetricName(
        "segmentd_unmatched_reversals_total",
        .counter,
        "Reversals of orders that the customer's ledger no longer or not yet holds."
    )
    /// Rejections.
    public static let rejections = MetricName(
        "segmentd_rejections_total",
        .counter,
        "Records sent to the dead-letter topic, by reason.",
        labels: ["reason"]
    )
    /// Outputs.
    public static let outputs = MetricName(
        "segmentd_outputs_total",
        .counter,
        "Decisions published, by type.",
        labels: ["type"]
    )
    /// Transactions.
    public static let transactions = MetricName(
        "segmentd_transactions_total",
        .counter,
        "Transactions committed."
    )
    /// Aborted transactions.
    public static let abortedTransactions = MetricName(
        "segmentd_aborted_transactions_total",
        .counter,
        "Transactions aborted; their input was read again."
    )
    /// Transaction time.
    public static let transactionDuration = MetricName(
        "segmentd_transaction_duration_seconds",
        .histogram,
        "Time from begin to commit of committed transactions."
    )
    /// Commit time.
    public static let commitDuration = MetricName(
        "segmentd_commit_duration_seconds",
        .histogram,
        "Time that the commits themselves took."
    )
    /// Event to output.
    public static let publicationLatency = MetricName(
        "segmentd_publication_latency_seconds",
        .histogram,
        "Time from the timestamp of an input record to the commit of what came of it, backfill "
            + "left out."
    )
    /// Lag.
    public static let lag = MetricName(
        "segmentd_lag_records",
        .gauge,
        "Records between the committed offset and the end of an input partition.",
        labels: ["topic", "partition"]
    )
    /// Model version.
    public static let modelVersion = MetricName(
        "segmentd_model_version",
        .gauge,
        "Version of the model in use; 0 before the first."
    )
    /// Model step.
    public static let modelStep = MetricName(
        "segmentd_model_step",
        .gauge,
        "Step of the centroids of the model in use."
    )
    /// Time of training.
    public static let modelTrained = MetricName(
        "segmentd_model_trained_timestamp_seconds",
        .gauge,
        "When the model in use was trained, in seconds since 1970."
    )
    /// Customers in training.
    public static let modelTraining = MetricName(
        "segmentd_model_training_customers",
        .gauge,
        "Customers that the model in use was trained on."
    )
    /// Explained variance.
    public static let explainedVariance = MetricName(
        "segmentd_model_explained_variance_ratio",
        .gauge,
        "Share of the total variance in each principal component.",
        labels: ["component"]
    )
    /// Inertia.
    public static let inertia = MetricName(
        "segmentd_model_inertia",
        .gauge,
        "Sum of squared distances to the centroids in PCA space at training."
    )
    /// Features without data.
    public static let emptyFeatures = MetricName(
        "segmentd_model_empty_features",
        .gauge,
        "Features that nobody has yet and that weigh nothing."
    )
    /// Segment sizes.
    public static let segmentCustomers = MetricName(
        "segmentd_segment_customers",
        .gauge,
        "Customers of each segment.",
        labels: ["segment", "key"]
    )
    /// Relabelled customers.
    public static let relabelledCustomers = MetricName(
        "segmentd_relabelled_customers_total",
        .counter,
        "Customers whose segment a new version of the model changed."
    )
    /// Version in the shadow.
    public static let shadowVersion = MetricName(
        "segmentd_model_shadow_version",
        .gauge,
        "Version that waits for an operator to accept or reject it; 0 for none."
    )
    /// Segments that the shadow would change.
    public static let shadowSegments = MetricName(
        "segmentd_model_shadow_segment_share_ratio",
        .gauge,
        "Share of customers whose segment the waiting version would change; 0 for none."
    )
    /// Bands that the shadow would change.
    public static let shadowBands = MetricName(
        "segmentd_model_shadow_band_share_ratio",
        .gauge,
        "Share of churn bands that the waiting version would change; 0 for none."
    )
    /// Refits.
    public static let refits = MetricName(
        "segmentd_refits_total",
        .counter,
        "Model versions fit, by what asked for them.",
        labels: ["reason"]
    )
    /// Quantisation error.
    public static let quantisationError = MetricName(
        "segmentd_model_quantisation_error_ratio",
        .gauge,
        "Mean squared distance to the nearest centroid in the last step, over that in training."
    )
    /// Drift of the quantisation error.
    public static let quantisationDrift = MetricName(
        "segmentd_model_quantisation_drift_ratio",
        .gauge,
        "Page-Hinkley sum of the quantisation error over its threshold; 1 asks for a refit."
    )
    /// Stability of features.
    public static let featureStability = MetricName(
        "segmentd_feature_stability_index",
        .gauge,
        "Population stability index of a feature against the training of the model in use.",
        labels: ["feature"]
    )
    /// Drift of the running sums.
    public static let statisticsDrift = MetricName(
        "segmentd_statistics_drift_ratio",
        .gauge,
        "Largest error of the running sums that their last rebuild from the rows found: "
            + "of a mean in deviations, of a covariance in the product of both."
    )
    /// Churn readiness.
    public static let churnReady = MetricName(
        "segmentd_churn_ready",
        .gauge,
        "1 once there are churn bands."
    )
    /// Bands.
    public static let churnBandCustomers = MetricName(
        "segmentd_churn_band_customers",
        .gauge,
        "Customers in each churn band.",
        labels: ["band"]
    )
    /// Transitions into bands.
    public static let churnTransitions = MetricName(
        "segmentd_churn_transitions_total",
        .counter,
        "Published decisions that took a customer into a churn band.",
        labels: ["band"]
    )
    /// Due moments ahead.
    public static let dueCustomers = MetricName(
        "segmentd_due_customers",
        .gauge,
        "Customers with a due moment ahead of them, at which time alone may change the decision."
    )
    /// Decisions by time.
    public static let timerDecisions = MetricName(
        "segmentd_timer_decisions_total",
        .counter,
        "Due moments decided."
    )
    /// Silence guard.
    public static let silenceGuard = MetricName(
        "segmentd_silence_guard_active",
        .gauge,
        "1 while due moments wait because the shop's orders are missing."
    )

    /// All of them, in the order of `/metrics`.
    public static let all: [MetricName] = [
        state, buildInfo, residentMemory, reloads, ready, turnAge, brokerDown,
        assignedPartitions, restoreDone, restoreTarget, restoredPartitions, checkpointAge,
        checkpointBytes, checkpointFailures, customers, records, events, duplicates,
        unmatchedReversals, rejections, outputs, transactions, abortedTransactions,
        transactionDuration, commitDuration, publicationLatency, lag, modelVersion, modelStep,
        modelTrained, modelTraining, explainedVariance, inertia, emptyFeatures,
        segmentCustomers, relabelledCustomers, shadowVersion, shadowSegments, shadowBands,
        refits, quantisationError, quantisationDrift, featureStability, statisticsDrift,
        churnReady, churnBandCustomers, churnTransitions, dueCustomers, timerDecisions,
        silenceGuard,
    ]
}
