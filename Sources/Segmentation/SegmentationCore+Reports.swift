import Kernels

/// What people ask of the table: one customer explained, the table as the batch job sees it,
/// assignments.
extension SegmentationCore {
    /// Moment of reports: the greatest event time, or a later one that `advanceClock` was told.
    public var reportTime: Int64 { max(0, greatestEventTime) }

    /// Moves the event clock on to a moment without an event, as the end of `replay --as-of` does.
    public mutating func advanceClock(to time: Int64) {
        guard time > greatestEventTime else { return }
        advanceLandmarks(to: time)
        greatestEventTime = time
        for index in partitionClocks.indices {
            partitionClocks[index] = max(partitionClocks[index], time)
        }
    }

    /// Rows up to `limit`, as CSV lines of the customer table: id, one column per feature, missing
    /// empty.
    ///
    /// - Parameters:
    ///   - cursor: where to begin, 0 at first.
    ///   - limit: rows looked at, at most.
    ///   - bytes: where the lines go.
    /// - Returns: the cursor to go on from, nil at the end.
    public mutating func appendExport(
        from cursor: Int,
        limit: Int,
        into bytes: inout [UInt8]
    ) -> Int? {
        if cursor == 0 { Self.appendCSV(["customer_id"] + schema.featureNames, to: &bytes) }
        let end = min(table.rowEnd, cursor + limit)
        for row in cursor..<end where table.isInUse(row) {
            evaluator.read(row, of: table, landmarks: landmarks)
            evaluator.evaluate(at: reportTime, imputation: noImputation)
            Self.appendCSVField(table.id(of: row), to: &bytes)
            for j in 0..<schema.featureCount {
                bytes.append(UInt8(ascii: ","))
                if !evaluator.isMissing[j] { JSONText.append(evaluator.values[j], to: &bytes) }
            }
            bytes.append(UInt8(ascii: "\n"))
        }
        return end < table.rowEnd ? end : nil
    }

    /// The assignments file of CONTRACT, section 6: every known customer in the nearest segment.
    public mutating func assignments() -> [UInt8] {
        var bytes: [UInt8] = []
        Self.appendCSV(
            [
                "customer_id", "segment_id", "segment_name", "pc1", "pc2", "pc3", "p_alive",
                "p_no_purchase", "risk", "churn_band", "outlier",
            ],
            to: &bytes
        )
        var rows: [(id: [UInt8], row: Int)] = []
        for row in 0..<table.rowEnd where table.isInUse(row) {
            rows.append((table.id(of: row), row))
        }
        rows.sort { $0.id.lexicographicallyPrecedes($1.id) }
        for (id, row) in rows {
            Self.appendCSVField(id, to: &bytes)
            appendAssignment(row, to: &bytes)
            bytes.append(UInt8(ascii: "\n"))
        }
        return bytes
    }

    private mutating func appendAssignment(_ row: Int, to bytes: inout [UInt8]) {
        let comma = UInt8(ascii: ",")
        guard let model else {
            bytes.append(contentsOf: Array(repeating: comma, count: 8))
            JSONText.append(",\(ChurnBand.insufficientData.name),", to: &bytes)
            JSONText.append(table.isOutlier(row), to: &bytes)
            return
        }
        evaluator.read(row, of: table, landmarks: landmarks)
        evaluator.evaluate(at: reportTime, imputation: model.imputation)
        model.project(evaluator.values, into: &scores)
        let segment = model.segments[model.nearest(scores).index]
        JSONText.append(",\(segment.id),", to: &bytes)
        Self.appendCSVField(Array(segment.name.utf8), to: &bytes)
        for p in 0..<3 {
            bytes.append(comma)
            if p < model.componentCount { JSONText.append(scores[p], to: &bytes) }
        }
        let churn = churnState(row, at: reportTime)
        for value in [churn.probabilityAlive, churn.probabilityNoPurchase, churn.risk] {
            bytes.append(comma)
            if let value { JSONText.append(value, to: &bytes) }
        }
        JSONText.append(",\(churn.band.name),", to: &bytes)
        JSONText.append(table.isOutlier(row), to: &bytes)
    }

    private func churnState(_ row: Int, at time: Int64) -> ChurnState {
        churnRisk.evaluate(standing(of: row), at: time, by: inForce)
    }

    /// One customer explained, as JSON: the decision in force, and every feature with what is
    /// imputed.
    ///
    /// - Returns: nil for a customer who is not known.
    public mutating func explain(customer id: [UInt8]) -> [UInt8]? {
        let range = 0..<id.count
        let row = table.find(
            hash: StableHash.hash(of: id, range: range),
            id: id,
            range: range
        )
        guard row >= 0 else { return nil }
        var bytes: [UInt8] = []
        JSONText.append("{\"customer_id\":" as StaticString, to: &bytes)
        JSONText.appendQuoted(id, to: &bytes)
        JSONText.append(
            ",\"life\":\(table.life(row)),\"revision\":\(table.revision(row))",
            to: &bytes
        )
        JSONText.append(",\"clock\":\"" as StaticString, to: &bytes)
        JSONText.appendTime(table.clock(row), to: &bytes)
        JSONText.append("\",\"next_review_at\":" as StaticString, to: &bytes)
        DecisionWriter.appendMoment(nextReview(of: row), to: &bytes)
        JSONText.append(",\"outlier\":" as StaticString, to: &bytes)
        JSONText.append(table.isOutlier(row), to: &bytes)
        evaluator.read(row, of: table, landmarks: landmarks)
        let imputation = model?.imputation ?? noImputation
        evaluator.evaluate(at: table.clock(row), imputation: imputation)
        appendDecision(row, to: &bytes)
        appendFeatures(to: &bytes)
        JSONText.append("}" as StaticString, to: &bytes)
        return bytes
    }

    private mutating func appendDecision(_ row: Int, to bytes: inout [UInt8]) {
        // At the customer's own clock, their last event, nobody has been silent yet whom time alone
        // has raised since.
        let moment = max(table.clock(row), partitionClock(table.partition(row)))
        let churn = churnState(row, at: moment)
        let totals = table.totals(of: row)
        JSONText.append(",\"orders\":" as StaticString, to: &bytes)
        JSONText.append(totals.orders, to: &bytes)
        JSONText.append(",\"spent\":" as StaticString, to: &bytes)
        JSONText.append(DecisionWriter.money(totals.spent), to: &bytes)
        JSONText.append(
            ",\"purchase_days\":\(churn.purchaseDays),\"churn_band\":\"\(table.band(row).name)\"",
            to: &bytes
        )
        let numbers = [
            ("silence_days", churn.purchaseDays > 0 ? churn.silenceDays : nil),
            ("p_alive", churn.probabilityAlive), ("p_no_purchase", churn.probabilityNoPurchase),
            ("risk", churn.risk),
        ]
        for (name, value) in numbers {
            JSONText.append(",\"\(name)\":", to: &bytes)
            JSONText.append(value ?? .nan, to: &bytes)
        }
        guard let model else {
            JSONText.append(",\"segment_id\":null" as StaticString, to: &bytes)
            return
        }
        model.project(evaluator.values, into: &scores)
        let nearest = model.nearest(scores)
        let published = model.index(ofSegment: table.publishedSegment(row))
        let current = published < 0 ? nearest.index : published
        JSONText.append(
            ",\"segment_id\":\(model.segments[current].id),\"segment_name\":",
            to: &bytes
        )
        JSONText.appendQuoted(model.segments[current].name.utf8, to: &bytes)
        JSONText.append(",\"nearest_segment_id\":\(model.segments[nearest.index].id)", to: &bytes)
        JSONText.append(",\"strategy\":" as StaticString, to: &bytes)
        JSONText.appendQuoted(model.segments[current].strategy.utf8, to: &bytes)
        // By how much the runner-up is farther; below zero where the customer stays by hysteresis
        // or dwell although another segment is nearer.
        let others = model.segments.indices.filter { $0 != current }
        let runnerUp = others.map { model.squaredDistance(scores, to: $0).squareRoot() }.min()
        JSONText.append(",\"margin\":" as StaticString, to: &bytes)
        let own = model.squaredDistance(scores, to: current).squareRoot()
        JSONText.append(runnerUp.map { $0 - own } ?? 0, to: &bytes)
        JSONText.append(",\"reasons\":" as StaticString, to: &bytes)
        let isRaised = table.band(row) == .medium || table.band(row) == .high
        writer.appendReasons(
            segment: current,
            silence: isRaised ? churn : nil,
            model,
            evaluator,
            to: &bytes
        )
        JSONText.append(",\"distances\":{" as StaticString, to: &bytes)
        for k in model.segments.indices {
            if k > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.append("\"\(model.segments[k].id)\":", to: &bytes)
            JSONText.append(model.squaredDistance(scores, to: k).squareRoot(), to: &bytes)
        }
        JSONText.append("}" as StaticString, to: &bytes)
    }

    private func appendFeatures(to bytes: inout [UInt8]) {
        JSONText.append(",\"features\":[" as StaticString, to: &bytes)
        for j in 0..<schema.featureCount {
            if j > 0 { bytes.append(UInt8(ascii: ",")) }
            JSONText.append("{\"name\":" as StaticString, to: &bytes)
            JSONText.appendQuoted(schema.featureNames[j].utf8, to: &bytes)
            JSONText.append(",\"value\":" as StaticString, to: &bytes)
            JSONText.append(evaluator.values[j], to: &bytes)
            JSONText.append(",\"imputed\":" as StaticString, to: &bytes)
            JSONText.append(evaluator.isMissing[j], to: &bytes)
            if let model {
                JSONText.append(",\"typical\":" as StaticString, to: &bytes)
                JSONText.append(model.mean[j], to: &bytes)
                JSONText.append(",\"deviations\":" as StaticString, to: &bytes)
                JSONText.append((evaluator.values[j] - model.mean[j]) / model.scale[j], to: &bytes)
            }
            JSONText.append("}" as StaticString, to: &bytes)
        }
        JSONText.append("]" as StaticString, to: &bytes)
    }

    private static func appendCSV(_ fields: [String], to bytes: inout [UInt8]) {
        for (index, field) in fields.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            appendCSVField(Array(field.utf8), to: &bytes)
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    /// A field, quoted where RFC 4180 asks for it.
    private static func appendCSVField(_ field: [UInt8], to bytes: inout [UInt8]) {
        let special = [
            UInt8(ascii: ","), UInt8(ascii: "\""), UInt8(ascii: "\n"), UInt8(ascii: "\r"),
        ]
        guard field.contains(where: special.contains) else {
            bytes.append(contentsOf: field)
            return
        }
        bytes.append(UInt8(ascii: "\""))
        for byte in field {
            if byte == UInt8(ascii: "\"") { bytes.append(byte) }
            bytes.append(byte)
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension SegmentationCore {
    /// Orders in force and money of all customers, nil when nothing is declared that counts them.
    public var totals: (orders: Int, spent: Double)? {
        guard !schema.orderSlots.isEmpty || !schema.spentSlots.isEmpty else { return nil }
        var orders = 0.0
        var spent = 0.0
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let totals = table.totals(of: row)
            orders += totals.orders
            spent += totals.spent
        }
        return (Int(orders.rounded()), spent)
    }
}

extension SegmentationCore {
    /// Bytes of all order ledgers; with `memoryBytes` they say what a customer costs besides.
    public var ledgerBytes: Int {
        var block = RowBlock(schema: schema)
        var words = 0
        for row in 0..<table.rowEnd where table.isInUse(row) {
            block.load(row, of: table)
            words += block.ledgerWords
        }
        return words * 8
    }

    /// Orders that the ledgers remember.
    public var ledgerOrderCount: Int {
        var orders = 0
        for row in 0..<table.rowEnd where table.isInUse(row) {
            orders += Int(table.words[row, RowWord.counts] & 0xff)
        }
        return orders
    }
}
