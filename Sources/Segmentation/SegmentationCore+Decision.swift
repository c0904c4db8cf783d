import Kernels

extension SegmentationCore {
    /// Scores a row at a moment and decides segment and band; publishes when something changed.
    mutating func decide(
        _ row: Int,
        cause: DecisionCause,
        at time: Int64,
        context: StepContext,
        into output: inout StepOutput
    ) {
        evaluator.read(row, of: table, landmarks: landmarks)
        guard let inForce else {
            evaluator.evaluate(at: time, imputation: noImputation)
            table.setOutlier(row, evaluator.isOutlier)
            setDue(row, earliestDue(of: row, after: time))
            return
        }
        evaluator.evaluate(at: time, imputation: inForce.model.imputation)
        let isOutlier = evaluator.isOutlier || inForce.model.isBeyondFence(evaluator)
        table.setOutlier(row, isOutlier)
        inForce.model.project(evaluator.values, into: &scores)
        let nearest = inForce.model.nearest(scores)
        if cause == .event && !isOutlier { drift.add(nearest.squaredDistance) }
        table.setMembership(row, inForce.model.segments[nearest.index].id)
        table.setModelVersion(row, inForce.model.version)

        var decision = Decision()
        decision.cause = cause
        decision.effectiveAt = time
        decision.backfill = context.backfill
        decision.hadRecordBefore = table.revision(row) > 0
        decideSegment(row, nearest: nearest, inForce, at: time, decision: &decision)
        decideBand(row, inForce, at: time, decision: &decision)

        let isTransition =
            decision.hasEntered || decision.hasMoved || decision.churnTransition != .none
        guard isTransition || configuration.emit == .all else {
            setDue(row, earliestDue(of: row, after: time))
            return
        }
        let moment = nextDue(of: row, after: time)
        setDue(row, moment)
        decision.nextReviewAt = moment < DueMoment.never ? moment : nil
        publish(row, decision, inForce, context: context, into: &output)
    }

    private mutating func decideSegment(
        _ row: Int,
        nearest: NearestCentroids,
        _ inForce: ModelInForce,
        at time: Int64,
        decision: inout Decision
    ) {
        let published = table.publishedSegment(row)
        decision.previousSegment = published
        let current = published == 0 ? -1 : inForce.model.index(ofSegment: published)
        let (target, waits) = inForce.model.target(
            scores,
            nearest: nearest,
            present: current,
            stayedMilliseconds: time - table.segmentSince(row),
            by: configuration.assignment
        )
        decision.moveWaits = waits
        table.setMoveWaits(row, waits)
        decision.segment = target
        decision.distance = inForce.model.squaredDistance(scores, to: target).squareRoot()
        decision.runnerUp = target == nearest.index ? nearest.secondIndex : nearest.index
        let other =
            target == nearest.index ? nearest.secondSquaredDistance : nearest.squaredDistance
        decision.margin = decision.runnerUp < 0 ? 0 : other.squareRoot() - decision.distance
        let id = inForce.model.segments[target].id
        decision.hasEntered = published == 0
        decision.hasMoved = published != 0 && published != id
        if published != id {
            table.setPublishedSegment(row, id)
            table.setSegmentSince(row, time)
        }
    }

    private mutating func decideBand(
        _ row: Int,
        _ inForce: ModelInForce,
        at time: Int64,
        decision: inout Decision
    ) {
        let standing = standing(of: row)
        let before = standing.band
        decision.previousBand = before
        decision.churn = churnRisk.evaluate(standing, at: time, by: inForce)
        let band = decision.churn.band
        decision.churnTransition = before.transition(to: band)
        if band != before { table.setBand(row, band) }
        if decision.churnTransition == .raised || decision.churnTransition == .escalated {
            table.setCooldownUntil(row, time + configuration.churn.cooldownMilliseconds)
        }
    }

    private mutating func publish(
        _ row: Int,
        _ decision: Decision,
        _ inForce: ModelInForce,
        context: StepContext,
        into output: inout StepOutput
    ) {
        table.setRevision(row, table.revision(row) + 1)
        if decision.hasEntered || decision.hasMoved {
            counters.segmentChanged += 1
            if decision.hasMoved && decision.cause == .model { counters.relabelled += 1 }
        } else if decision.churnTransition != .none {
            counters.churnChanged += 1
        } else {
            counters.refreshed += 1
        }
        if decision.churn.band != decision.previousBand {
            counters.bandEntries[Int(decision.churn.band.rawValue)] += 1
        }
        writer.write(
            row,
            decision,
            decidedAt: context.wallMilliseconds ?? greatestEventTime,
            table: table,
            model: inForce.model,
            texts: inForce.texts[decision.segment],
            evaluator: evaluator,
            taste: table.taste(of: row, at: decision.effectiveAt, block: &block),
            source: sourceBytes,
            into: &output
        )
    }
}
