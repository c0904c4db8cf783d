import Kernels

/// What a candidate would change, and whether that holds it back; part of its version.
///
/// Shares are of customers who have a segment, or a band, by the model in force.
public struct GuardVerdict: Sendable, Equatable, Codable {
    /// Customers with a published segment.
    public var customers: Int
    /// Share of them that would be nearest to another segment, 0 to 1.
    public var nearest_share: Double
    /// Share of them whose published segment would change, hysteresis and dwell included, 0 to 1.
    public var segment_share: Double
    /// Customers with a churn band.
    public var banded_customers: Int
    /// Share of them whose band would change, 0 to 1.
    public var band_share: Double
    /// Why the version waits for an operator, in words; nil for one that was taken over at once.
    public var held_because: String?

    /// Whether both shares are allowed.
    func isWithin(_ limits: SegmentationConfiguration.GuardLimits) -> Bool {
        segment_share <= limits.segmentShare && band_share <= limits.bandShare
    }
}

/// A version that has been fit and is not in force yet.
struct ModelCandidate: Sendable, Equatable {
    /// The version, with the verdict in it.
    var model: SegmentModel
    /// Whether it waits in the shadow until an operator decides.
    var isHeld: Bool { model.verdict?.held_because != nil }
}

/// Says how many customers a candidate would move, before anybody sees it.
///
/// Both models decide about every customer at the same moment, from the row as it is. So what a
/// customer's own ageing moves, by either model, is not counted: it would move them anyway. Ids are
/// compared, so the candidate's segments have to be matched with those in force before.
struct ModelGuard {
    private let configuration: SegmentationConfiguration
    private let landmarks: [Double]
    private let time: Int64
    private let churnRisk: ChurnRisk
    private var evaluator: FeatureEvaluator

    /// Judges a candidate; pure, and costs about as much as scoring every row twice.
    ///
    /// - Parameters:
    ///   - candidate: the new version.
    ///   - present: the version in force.
    ///   - table: the rows.
    ///   - landmarks: of each decayed slot.
    ///   - time: the moment of the refit, in milliseconds since 1970.
    ///   - configuration: limits, hysteresis, bands.
    ///   - schema: tables of the same configuration.
    ///   - isArmed: whether a candidate may be held back at all.
    /// - Returns: nil where nothing can be compared: the features are other ones.
    static func judge(
        _ candidate: SegmentModel,
        against present: SegmentModel,
        table: CustomerTable,
        landmarks: [Double],
        time: Int64,
        configuration: SegmentationConfiguration,
        schema: CompiledSchema,
        isArmed: Bool
    ) -> GuardVerdict? {
        guard present.featureNames == candidate.featureNames else { return nil }
        var judge = ModelGuard(
            configuration: configuration,
            landmarks: landmarks,
            time: time,
            churnRisk: ChurnRisk(configuration: configuration.churn),
            evaluator: FeatureEvaluator(schema: schema)
        )
        var verdict = judge.compare(candidate, present, table)
        // A provisional version was never meant to stay, and one that was fit to less than half of
        // today's customers knows too little of them to be protected: a young shop would sit on it.
        if isArmed && !present.provisional && candidate.customers < 2 * present.customers {
            verdict.held_because = judge.reason(verdict)
        }
        return verdict
    }

    private mutating func compare(
        _ candidate: SegmentModel,
        _ present: SegmentModel,
        _ table: CustomerTable
    ) -> GuardVerdict {
        var (known, nearest, published, banded, bands) = (0, 0, 0, 0, 0)
        let (presentInForce, candidateInForce) = (ModelInForce(present), ModelInForce(candidate))
        var before = Array(repeating: 0.0, count: max(1, present.componentCount))
        var after = Array(repeating: 0.0, count: max(1, candidate.componentCount))
        for row in 0..<table.rowEnd where table.isInUse(row) {
            evaluator.read(row, of: table, landmarks: landmarks)
            let moment = max(time, table.clock(row))
            if table.publishedSegment(row) != 0 {
                known += 1
                let old = decide(row, by: present, at: moment, table, &before)
                let new = decide(row, by: candidate, at: moment, table, &after)
                if old.nearest != new.nearest { nearest += 1 }
                if old.published != new.published { published += 1 }
            }
            guard table.purchaseDays(row) > 0 else { continue }
            let old = band(row, by: presentInForce, at: moment, table)
            // The first bands there are change nobody's.
            guard old != .insufficientData else { continue }
            banded += 1
            if band(row, by: candidateInForce, at: moment, table) != old { bands += 1 }
        }
        func share(_ count: Int, of all: Int) -> Double {
            all == 0 ? 0 : Double(count) / Double(all)
        }
        return GuardVerdict(
            customers: known,
            nearest_share: share(nearest, of: known),
            segment_share: share(published, of: known),
            banded_customers: banded,
            band_share: share(bands, of: banded),
            held_because: nil
        )
    }

    /// Ids of the nearest segment and of the one that would be published.
    private mutating func decide(
        _ row: Int,
        by model: SegmentModel,
        at moment: Int64,
        _ table: CustomerTable,
        _ scores: inout [Double]
    ) -> (nearest: Int, published: Int) {
        evaluator.evaluate(at: moment, imputation: model.imputation)
        model.project(evaluator.values, into: &scores)
        let nearest = model.nearest(scores)
        let target = model.target(
            scores,
            nearest: nearest,
            present: model.index(ofSegment: table.publishedSegment(row)),
            stayedMilliseconds: moment - table.segmentSince(row),
            by: configuration.assignment
        )
        return (model.segments[nearest.index].id, model.segments[target.centroid].id)
    }

    private func band(
        _ row: Int,
        by model: ModelInForce,
        at moment: Int64,
        _ table: CustomerTable
    ) -> ChurnBand {
        let standing = table.standing(of: row, calendar: configuration.calendar)
        return churnRisk.evaluate(standing, at: moment, by: model).band
    }

    /// Why a candidate is held back, nil when it is within both limits.
    private func reason(_ verdict: GuardVerdict) -> String? {
        let limits = configuration.model.guardLimits
        var reasons: [String] = []
        if verdict.segment_share > limits.segmentShare {
            reasons.append(
                "\(Self.percent(verdict.segment_share)) of customers would change segment, "
                    + "model.guard.segment_share allows \(Self.percent(limits.segmentShare))"
            )
        }
        if verdict.band_share > limits.bandShare {
            reasons.append(
                "\(Self.percent(verdict.band_share)) of churn bands would change, "
                    + "model.guard.band_share allows \(Self.percent(limits.bandShare))"
            )
        }
        return reasons.isEmpty ? nil : reasons.joined(separator: "; ")
    }

    /// A share in percent, with one digit after the point.
    private static func percent(_ share: Double) -> String {
        let tenths = Int((share * 1000).rounded())
        return "\(tenths / 10).\(tenths % 10) %"
    }
}

extension SegmentModel {
    /// Centroid that a customer is published in: the nearest one, unless the present one is about
    /// as near (hysteresis) or the customer has not stayed long enough (dwell).
    ///
    /// - Parameters:
    ///   - scores: `[p]`.
    ///   - nearest: the two nearest of them.
    ///   - present: centroid index of the published segment, -1 for none.
    ///   - stayedMilliseconds: how long the customer has been in it.
    ///   - rules: hysteresis and dwell.
    /// - Returns: a centroid index, and whether a move to the nearest waits for the end of a dwell.
    @inline(__always)
    func target(
        _ scores: [Double],
        nearest: NearestCentroids,
        present: Int,
        stayedMilliseconds: Int64,
        by rules: SegmentationConfiguration.Assignment
    ) -> (centroid: Int, waits: Bool) {
        guard present >= 0 && present != nearest.index else { return (nearest.index, false) }
        let distance = squaredDistance(scores, to: present).squareRoot()
        let isNearer =
            nearest.squaredDistance.squareRoot() <= (1 - rules.hysteresis) * distance
        let hasStayed = stayedMilliseconds >= rules.minimumDwellMilliseconds
        return (isNearer && hasStayed ? nearest.index : present, isNearer && !hasStayed)
    }
}
