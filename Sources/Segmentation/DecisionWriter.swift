import OnlineLearning

/// Writes a decision as a CloudEvent in binary mode: headers, key, and one flat JSON object.
struct DecisionWriter: Sendable {
    let configuration: SegmentationConfiguration
    let schema: CompiledSchema
    /// Features named in reasons and imputations of one record, at most.
    private static let reasonsMax = 3
    private static let interestsMax = 3
    /// Names as JSON strings.
    private let featureNames: [[UInt8]]
    private let categories: [[UInt8]]
    private let silenceDays = JSONText.quoted("silence_days")

    init(configuration: SegmentationConfiguration, schema: CompiledSchema) {
        self.configuration = configuration
        self.schema = schema
        featureNames = schema.featureNames.map(JSONText.quoted)
        categories = schema.categories.map(JSONText.quoted)
    }

    func write(
        _ row: Int,
        _ decision: Decision,
        decidedAt: Int64,
        table: CustomerTable,
        model: SegmentModel,
        texts: ModelInForce.SegmentTexts,
        evaluator: FeatureEvaluator,
        taste: OrderAmounts,
        source: [UInt8],
        into output: inout StepOutput
    ) {
        let type = typeName(decision)
        let keyStart = output.bytes.count
        table.appendID(of: row, to: &output.bytes)
        let key = keyStart..<output.bytes.count
        let headers = writeHeaders(
            row,
            decision,
            type: type,
            key: key,
            table: table,
            source: source,
            into: &output
        )
        let start = output.bytes.count
        let moment = WrittenMoment(
            milliseconds: decision.effectiveAt,
            range: output.headers[headers.lowerBound + Self.timeHeader].value ?? 0..<0
        )
        writeIdentity(
            row,
            decision,
            type: type,
            key: key,
            decidedAt,
            moment,
            table,
            model,
            into: &output.bytes
        )
        writeSegment(row, decision, texts, moment, table, model, into: &output.bytes)
        writeChurn(row, decision, table, model, into: &output.bytes)
        writeMaterial(decision, taste, texts, model, evaluator, into: &output.bytes)
        output.bytes.append(UInt8(ascii: "}"))
        output.records.append(
            StepOutput.Record(
                destination: .segments,
                partition: table.partition(row),
                key: key,
                value: start..<output.bytes.count,
                headers: headers
            )
        )
    }

    /// A moment that stands in the bytes already.
    private struct WrittenMoment {
        var milliseconds: Int64
        var range: Range<Int>

        /// Writes a moment, which is the same one more often than not.
        func append(_ other: Int64, to bytes: inout [UInt8]) {
            if other == milliseconds {
                JSONText.appendCopy(of: range, within: &bytes)
            } else {
                JSONText.appendTime(other, to: &bytes)
            }
        }
    }

    /// Which of the headers is `ce_time`.
    private static let timeHeader = 4

    private func typeName(_ decision: Decision) -> StaticString {
        if decision.hasEntered || decision.hasMoved { return "segment.changed" }
        return decision.churnTransition != .none ? "churn.changed" : "decision.refreshed"
    }

    private func writeHeaders(
        _ row: Int,
        _ decision: Decision,
        type: StaticString,
        key: Range<Int>,
        table: CustomerTable,
        source: [UInt8],
        into output: inout StepOutput
    ) -> Range<Int> {
        let first = output.headers.count
        output.appendHeader("ce_specversion", output.store("1.0"))
        output.appendHeader("ce_type", output.store(type))
        let idStart = output.bytes.count
        JSONText.appendCopy(of: key, within: &output.bytes)
        output.bytes.append(UInt8(ascii: "/"))
        JSONText.append(table.life(row), to: &output.bytes)
        output.bytes.append(UInt8(ascii: "/"))
        JSONText.append(Int64(table.revision(row)), to: &output.bytes)
        output.appendHeader("ce_id", idStart..<output.bytes.count)
        let sourceStart = output.bytes.count
        output.bytes.append(contentsOf: source)
        output.appendHeader("ce_source", sourceStart..<output.bytes.count)
        let timeStart = output.bytes.count
        JSONText.appendTime(decision.effectiveAt, to: &output.bytes)
        output.appendHeader("ce_time", timeStart..<output.bytes.count)
        output.appendHeader("content-type", output.store("application/json"))
        return first..<output.headers.count
    }

    private func writeIdentity(
        _ row: Int,
        _ decision: Decision,
        type: StaticString,
        key: Range<Int>,
        _ decidedAt: Int64,
        _ moment: WrittenMoment,
        _ table: CustomerTable,
        _ model: SegmentModel,
        into bytes: inout [UInt8]
    ) {
        JSONText.append("{\"type\":\"" as StaticString, to: &bytes)
        JSONText.append(type, to: &bytes)
        JSONText.append("\",\"customer_id\":" as StaticString, to: &bytes)
        JSONText.appendQuoted(key, within: &bytes)
        JSONText.append(",\"life\":" as StaticString, to: &bytes)
        JSONText.append(table.life(row), to: &bytes)
        JSONText.append(",\"revision\":" as StaticString, to: &bytes)
        JSONText.append(Int64(table.revision(row)), to: &bytes)
        JSONText.append(",\"cause\":\"" as StaticString, to: &bytes)
        JSONText.append(decision.cause.rawValue, to: &bytes)
        JSONText.append("\",\"effective_at\":\"" as StaticString, to: &bytes)
        moment.append(decision.effectiveAt, to: &bytes)
        JSONText.append("\",\"decided_at\":\"" as StaticString, to: &bytes)
        moment.append(decidedAt, to: &bytes)
        JSONText.append("\",\"backfill\":" as StaticString, to: &bytes)
        JSONText.append(decision.backfill, to: &bytes)
        JSONText.append(",\"model_version\":" as StaticString, to: &bytes)
        JSONText.append(Int64(model.version), to: &bytes)
        JSONText.append(",\"model_step\":" as StaticString, to: &bytes)
        JSONText.append(Int64(model.step), to: &bytes)
    }

    private func writeSegment(
        _ row: Int,
        _ decision: Decision,
        _ texts: ModelInForce.SegmentTexts,
        _ moment: WrittenMoment,
        _ table: CustomerTable,
        _ model: SegmentModel,
        into bytes: inout [UInt8]
    ) {
        JSONText.append(",\"segment_id\":" as StaticString, to: &bytes)
        JSONText.append(Int64(model.segments[decision.segment].id), to: &bytes)
        JSONText.append(",\"segment_key\":" as StaticString, to: &bytes)
        bytes.append(contentsOf: texts.key)
        JSONText.append(",\"segment_name\":" as StaticString, to: &bytes)
        bytes.append(contentsOf: texts.name)
        JSONText.append(",\"previous_segment_id\":" as StaticString, to: &bytes)
        if decision.hasEntered {
            JSONText.append("null" as StaticString, to: &bytes)
        } else {
            JSONText.append(Int64(decision.previousSegment), to: &bytes)
        }
        JSONText.append(",\"segment_transition\":\"" as StaticString, to: &bytes)
        JSONText.append(
            decision.hasEntered
                ? "entered" as StaticString : decision.hasMoved ? "moved" : "none",
            to: &bytes
        )
        JSONText.append("\",\"segment_since\":\"" as StaticString, to: &bytes)
        moment.append(table.segmentSince(row), to: &bytes)
        JSONText.append("\",\"provisional\":" as StaticString, to: &bytes)
        JSONText.append(model.provisional, to: &bytes)
        JSONText.append(",\"distance\":" as StaticString, to: &bytes)
        JSONText.append(decision.distance, to: &bytes)
        JSONText.append(",\"margin\":" as StaticString, to: &bytes)
        JSONText.append(decision.margin, to: &bytes)
        JSONText.append(",\"runner_up_segment_id\":" as StaticString, to: &bytes)
        if decision.runnerUp < 0 {
            JSONText.append("null" as StaticString, to: &bytes)
        } else {
            JSONText.append(Int64(model.segments[decision.runnerUp].id), to: &bytes)
        }
    }

    private func writeChurn(
        _ row: Int,
        _ decision: Decision,
        _ table: CustomerTable,
        _ model: SegmentModel,
        into bytes: inout [UInt8]
    ) {
        let churn = decision.churn
        JSONText.append(",\"churn_band\":\"" as StaticString, to: &bytes)
        JSONText.append(churn.band.name, to: &bytes)
        JSONText.append("\",\"previous_churn_band\":" as StaticString, to: &bytes)
        if decision.hadRecordBefore {
            JSONText.appendQuoted(decision.previousBand.name.utf8, to: &bytes)
        } else {
            JSONText.append("null" as StaticString, to: &bytes)
        }
        JSONText.append(",\"churn_transition\":\"" as StaticString, to: &bytes)
        JSONText.append(decision.churnTransition.rawValue, to: &bytes)
        JSONText.append("\",\"risk\":" as StaticString, to: &bytes)
        JSONText.append(churn.risk ?? .nan, to: &bytes)
        JSONText.append(",\"p_alive\":" as StaticString, to: &bytes)
        JSONText.append(churn.probabilityAlive ?? .nan, to: &bytes)
        JSONText.append(",\"p_no_purchase\":" as StaticString, to: &bytes)
        JSONText.append(churn.probabilityNoPurchase ?? .nan, to: &bytes)
        JSONText.append(",\"horizon_days\":" as StaticString, to: &bytes)
        JSONText.append(configuration.churn.horizonDays, to: &bytes)
        writePurchases(row, churn, decision.nextReviewAt, table, model, into: &bytes)
    }

    private func writePurchases(
        _ row: Int,
        _ churn: ChurnState,
        _ nextReviewAt: Int64?,
        _ table: CustomerTable,
        _ model: SegmentModel,
        into bytes: inout [UInt8]
    ) {
        let totals = table.totals(of: row)
        JSONText.append(",\"orders\":" as StaticString, to: &bytes)
        JSONText.append(totals.orders, to: &bytes)
        JSONText.append(",\"spent\":" as StaticString, to: &bytes)
        JSONText.append(Self.money(totals.spent), to: &bytes)
        JSONText.append(",\"last_order_at\":" as StaticString, to: &bytes)
        let last: Int64? = churn.purchaseDays > 0 ? Int64(table.lastPurchaseDay(row)) : nil
        Self.appendDate(last, to: &bytes)
        var expected: Int64?
        var orders = Double.nan
        var value = Double.nan
        if let parameters = model.churn, let last {
            let gap = parameters.gapQuantile(0.5, x: churn.repeats, recency: churn.recency) * 7
            expected = gap < 36_500 ? last + Int64(gap.rounded()) : nil
            orders = parameters.expectedPurchases(
                x: churn.repeats,
                recency: churn.recency,
                age: churn.age,
                horizon: configuration.churn.horizonDays / 7
            )
            let each = totals.orders > 0 ? totals.spent / totals.orders : model.meanOrderValue
            value = orders * max(0, each)
        }
        JSONText.append(",\"expected_next_order_at\":" as StaticString, to: &bytes)
        Self.appendDate(expected, to: &bytes)
        JSONText.append(",\"next_review_at\":" as StaticString, to: &bytes)
        Self.appendMoment(nextReviewAt, to: &bytes)
        JSONText.append(",\"expected_orders\":" as StaticString, to: &bytes)
        JSONText.append(orders, to: &bytes)
        JSONText.append(",\"expected_value\":" as StaticString, to: &bytes)
        JSONText.append(Self.money(value), to: &bytes)
    }

    private func writeMaterial(
        _ decision: Decision,
        _ taste: OrderAmounts,
        _ texts: ModelInForce.SegmentTexts,
        _ model: SegmentModel,
        _ evaluator: FeatureEvaluator,
        into bytes: inout [UInt8]
    ) {
        JSONText.append(",\"strategy\":" as StaticString, to: &bytes)
        bytes.append(contentsOf: texts.strategy)
        JSONText.append(",\"interests\":[" as StaticString, to: &bytes)
        writeInterests(taste, model, into: &bytes)
        JSONText.append("],\"reasons\":" as StaticString, to: &bytes)
        appendReasons(
            segment: decision.segment,
            silence: decision.churnTransition != .none ? decision.churn : nil,
            model,
            evaluator,
            to: &bytes
        )
        JSONText.append(",\"imputed\":[" as StaticString, to: &bytes)
        var isFirst = true
        for feature in schema.missable where evaluator.isMissing[feature] {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            bytes.append(contentsOf: featureNames[feature])
        }
        bytes.append(UInt8(ascii: "]"))
    }

    /// What speaks for a decision, as a JSON list: silence first, then features.
    ///
    /// - Parameters:
    ///   - segment: index of the segment.
    ///   - silence: the churn state whose silence is a reason; nil where it is none.
    ///   - model: the model in force.
    ///   - evaluator: has evaluated the customer.
    ///   - bytes: where the list goes.
    func appendReasons(
        segment: Int,
        silence: ChurnState?,
        _ model: SegmentModel,
        _ evaluator: FeatureEvaluator,
        to bytes: inout [UInt8]
    ) {
        bytes.append(UInt8(ascii: "["))
        var isFirst = true
        if let silence, let parameters = model.churn {
            let typical =
                parameters.gapQuantile(
                    0.5,
                    x: silence.repeats,
                    recency: silence.recency
                ) * 7
            Self.appendReason(
                silenceDays,
                silence.silenceDays,
                typical,
                &isFirst,
                to: &bytes
            )
        }
        writeReasons(segment, model, evaluator, &isFirst, into: &bytes)
        bytes.append(UInt8(ascii: "]"))
    }

    /// The features that set the customer apart most and point towards the segment: by deviation
    /// from everyone, in standard deviations, in the direction of the segment's centroid.
    private func writeReasons(
        _ segment: Int,
        _ model: SegmentModel,
        _ evaluator: FeatureEvaluator,
        _ isFirst: inout Bool,
        into bytes: inout [UInt8]
    ) {
        let d = schema.featureCount
        // The best few so far, the best first; of equal ones the first declared.
        var best = InlineArray<3, Int>(repeating: -1)
        var scores = InlineArray<3, Double>(repeating: 0)
        for j in 0..<d where !evaluator.isMissing[j] && !model.isWithoutData[j] {
            let own = (evaluator.values[j] - model.mean[j]) / model.scale[j]
            let centroid =
                (model.centroids[segment * d + j] - model.mean[j]) / model.scale[j]
            let score = own * centroid
            guard score > scores[2] else { continue }
            var place = 2
            while place > 0 && score > scores[place - 1] {
                scores[place] = scores[place - 1]
                best[place] = best[place - 1]
                place -= 1
            }
            scores[place] = score
            best[place] = j
        }
        for place in 0..<Self.reasonsMax where best[place] >= 0 {
            Self.appendReason(
                featureNames[best[place]],
                evaluator.values[best[place]],
                model.mean[best[place]],
                &isFirst,
                to: &bytes
            )
        }
    }

    private func writeInterests(
        _ taste: OrderAmounts,
        _ model: SegmentModel,
        into bytes: inout [UInt8]
    ) {
        let total = taste.total
        guard total > 0 else { return }
        var last = Double.infinity
        var lastIndex = -1
        for place in 0..<Self.interestsMax {
            var best = -1
            var bestSpent = 0.0
            // What no category holds says nothing about taste.
            for category in 0..<schema.categories.count where schema.categorySpent[category] >= 0 {
                let spent = taste[category]
                let isAfter = spent < last || (spent == last && category > lastIndex)
                if spent > bestSpent && isAfter {
                    best = category
                    bestSpent = spent
                }
            }
            guard best >= 0 else { return }
            last = bestSpent
            lastIndex = best
            if place > 0 { bytes.append(UInt8(ascii: ",")) }
            let share = bestSpent / total
            let everyone = model.categoryShares[best]
            JSONText.append("{\"category\":" as StaticString, to: &bytes)
            bytes.append(contentsOf: categories[best])
            JSONText.append(",\"share\":" as StaticString, to: &bytes)
            JSONText.append(share, to: &bytes)
            JSONText.append(",\"lift\":" as StaticString, to: &bytes)
            JSONText.append(everyone > 0 ? share / everyone : .nan, to: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func appendReason(
        _ name: [UInt8],
        _ value: Double,
        _ typical: Double,
        _ isFirst: inout Bool,
        to bytes: inout [UInt8]
    ) {
        if !isFirst { bytes.append(UInt8(ascii: ",")) }
        isFirst = false
        JSONText.append("{\"feature\":" as StaticString, to: &bytes)
        bytes.append(contentsOf: name)
        JSONText.append(",\"value\":" as StaticString, to: &bytes)
        JSONText.append(value, to: &bytes)
        JSONText.append(",\"typical\":" as StaticString, to: &bytes)
        JSONText.append(typical, to: &bytes)
        JSONText.append(",\"direction\":\"" as StaticString, to: &bytes)
        JSONText.append(value >= typical ? "above" as StaticString : "below", to: &bytes)
        JSONText.append("\"}" as StaticString, to: &bytes)
    }

    private static func appendDate(_ day: Int64?, to bytes: inout [UInt8]) {
        guard let day else {
            JSONText.append("null" as StaticString, to: &bytes)
            return
        }
        bytes.append(UInt8(ascii: "\""))
        JSONText.appendDate(day: day, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// A moment in quotes, or null.
    static func appendMoment(_ moment: Int64?, to bytes: inout [UInt8]) {
        guard let moment else {
            JSONText.append("null" as StaticString, to: &bytes)
            return
        }
        bytes.append(UInt8(ascii: "\""))
        JSONText.appendTime(moment, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// Money to a millionth: sums of cents read as people write them.
    static func money(_ amount: Double) -> Double {
        abs(amount) < 1e9 ? (amount * 1e6).rounded() / 1e6 : amount
    }
}

/// What a customer bought in all.
struct CustomerTotals {
    var orders = 0.0
    var spent = 0.0
}

extension CustomerTable {
    /// What a customer bought in all.
    func totals(of row: Int) -> CustomerTotals {
        var totals = CustomerTotals()
        for slot in schema.orderSlots { totals.orders += numbers[row, slot] }
        for slot in schema.spentSlots { totals.spent += numbers[row, slot] }
        return totals
    }
}
