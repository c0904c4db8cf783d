/// Which version is in force: refits, the guard, and operators decide.
///
/// Everything here happens in the open transaction, and an abort takes it back.
extension SegmentationCore {
    /// The version that waits for an operator, nil for none.
    public var shadow: SegmentModel? { versions.shadow.flatMap { versions.kept[$0] } }

    // MARK: refits

    /// Takes a candidate over, or lets it wait in the shadow; a shadow before it is dropped.
    mutating func take(_ candidate: ModelCandidate, into output: inout StepOutput) {
        precondition(saved != nil, "no transaction is open")
        appendMissingDocument(into: &output)
        appendDocument(candidate.model, into: &output)
        if candidate.isHeld {
            versions.shadow = candidate.model.version
            // The rise has been answered; what is usual now is learnt anew.
            drift = QuantisationDrift()
        } else {
            versions.shadow = nil
            if let verdict = candidate.model.verdict, model?.provisional == false,
                verdict.isWithin(configuration.model.guardLimits)
            {
                versions.isGuardArmed = true
            }
            adopt(candidate.model)
        }
        noteDecision(
            at: candidate.model.trainedAt,
            customers: candidate.model.customers,
            into: &output
        )
    }

    // MARK: operators

    /// Why a command would change nothing, nil when it would.
    public func refusal(of command: OperatorCommand) -> CommandRefusal? {
        switch command {
        case .accept(let named), .reject(let named):
            guard let waiting = versions.shadow else { return .noShadow }
            guard let named, named != waiting else { return nil }
            return .otherShadow(named: named, waiting: waiting)
        case .rollback(let version):
            if version == model?.version { return .inForce(version) }
            if let reason = versions.unusable[version] {
                return .unusable(version, reason: reason)
            }
            return versions.kept[version] == nil
                ? .unknownVersion(version, kept: versions.kept.keys.sorted()) : nil
        }
    }

    /// Does what an operator asks for; rows are scored again by `rescore` as after a refit.
    ///
    /// The refit interval starts anew, so that a refit does not overturn the decision at once.
    ///
    /// - Parameters:
    ///   - command: the command.
    ///   - output: where the records of the decision go.
    /// - Returns: what happens once the open transaction is committed.
    /// - Throws: `CommandRefusal`, and nothing has changed.
    public mutating func perform(
        _ command: OperatorCommand,
        into output: inout StepOutput
    ) throws(CommandRefusal) -> CommandOutcome {
        precondition(saved != nil, "no transaction is open")
        if let refusal = refusal(of: command) { throw refusal }
        appendMissingDocument(into: &output)
        let waiting = versions.shadow
        // Whatever is decided, nothing waits any more: what waited was compared with the version
        // that was in force.
        versions.shadow = nil
        versions.isGuardArmed = true
        let target: Int? =
            switch command {
            case .accept: waiting
            case .reject: nil
            case .rollback(let version): version
            }
        if let kept = target.flatMap({ versions.kept[$0] }) { activate(kept, into: &output) }
        noteDecision(at: greatestEventTime, customers: table.count, into: &output)
        return CommandOutcome(
            command: command,
            version: model?.version ?? 0,
            dropped: waiting == target ? nil : waiting,
            customers: target == nil ? 0 : staleRowCount
        )
    }

    /// Puts a kept version in force, with its centroids as they were fit.
    ///
    /// Steps count on, and the step is written, so that a restart does not go back to a lower one.
    private mutating func activate(_ kept: SegmentModel, into output: inout StepOutput) {
        statistics.flush(&table, model: inForce, landmarks: landmarks)
        exchangeFences(model?.fences ?? [], for: kept.fences, at: greatestEventTime)
        var version = kept
        version.step = max(model?.step ?? 0, kept.step) + 1
        adopt(version)
        countFormerMembers()
        if let model { appendModelStep(model, into: &output) }
    }

    /// Rows that the version in force has not scored.
    private var staleRowCount: Int {
        guard let version = model?.version else { return 0 }
        return (0..<table.rowEnd).count {
            table.isInUse($0) && table.modelVersion($0) != version
        }
    }

    /// Counts the members that the version in force has from a time when it was in force before,
    /// so that they can be taken out when they change.
    ///
    /// There are some where a version was replaced and came back before every row was scored again.
    /// To be called without a transaction by a worker that follows another's model.
    public mutating func countFormerMembers() {
        guard let model else { return }
        statistics.addMembers(of: ModelInForce(model), in: table, landmarks: landmarks)
    }

    // MARK: records

    /// Notes a decision about versions, for the time of the next refit and for the next number.
    private mutating func noteDecision(
        at time: Int64,
        customers: Int,
        into output: inout StepOutput
    ) {
        decisions += 1
        versions.decidedAt = max(versions.decidedAt, time)
        versions.customers = customers
        lastRefitAt = max(lastRefitAt, time)
        lastRefitCustomers = customers
        for version in versions.prune(active: model?.version) {
            appendModelRecord(Self.versionPrefix + "\(version)", nil, into: &output)
        }
        guard let model else { return }
        let record = ActiveRecord(
            version: model.version,
            highest_version: versions.highest,
            next_segment_id: versions.nextSegmentID,
            decided_at: versions.decidedAt,
            customers: versions.customers,
            guard_armed: versions.isGuardArmed
        )
        appendModelRecord("active", Self.json(record), into: &output)
        guard versions.shadow != versions.recordedShadow else { return }
        versions.recordedShadow = versions.shadow
        let shadow = versions.shadow.map { Self.json(ShadowRecord(version: $0)) }
        appendModelRecord("shadow", shadow, into: &output)
    }

    /// Writes the version in force where its document is not on the model topic, because the model
    /// was given.
    private mutating func appendMissingDocument(into output: inout StepOutput) {
        guard let model, versions.kept[model.version] == nil else { return }
        appendDocument(model, into: &output)
    }

    private mutating func appendDocument(_ model: SegmentModel, into output: inout StepOutput) {
        versions.keep(model)
        let bundle = ModelBundle(model, categories: schema.categories)
        appendModelRecord(Self.versionPrefix + "\(model.version)", Self.json(bundle), into: &output)
    }
}

/// Value of the key `active` on the model topic.
struct ActiveRecord: Codable {
    var version: Int
    /// Records of earlier programs have the version alone.
    var highest_version: Int?
    var next_segment_id: Int?
    var decided_at: Int64?
    var customers: Int?
    var guard_armed: Bool?
}

/// Value of the key `shadow` on the model topic; a tombstone when nothing waits.
struct ShadowRecord: Codable { var version: Int }
