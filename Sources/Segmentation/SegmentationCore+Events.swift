/// What the engine knows about the moment of a batch.
public struct StepContext: Sendable {
    /// Wall clock, for `decided_at` and for `clock.future_tolerance`; nil in replay: event time
    /// stands in.
    public var wallMilliseconds: Int64?
    /// Records were in the topic before the group first got the partition.
    public var backfill: Bool
    /// Events after this moment are skipped and counted; nil for none.
    public var asOf: Int64?

    /// Creates a context.
    public init(wallMilliseconds: Int64?, backfill: Bool, asOf: Int64? = nil) {
        self.wallMilliseconds = wallMilliseconds
        self.backfill = backfill
        self.asOf = asOf
    }
}

extension SegmentationCore {
    /// Applies one record: decodes it, moves the row, decides, and gathers what is to be produced.
    ///
    /// A record that cannot be used becomes a rejection in the output; nothing else has changed
    /// then.
    ///
    /// - Parameters:
    ///   - record: ranges into `bytes` and `headers`.
    ///   - recordIndex: its index in the batch, for rejections.
    ///   - bytes: the batch's bytes, with 64 readable ones behind the last record.
    ///   - headers: the batch's headers.
    ///   - context: the moment of the batch.
    ///   - output: where records and rejections go.
    public mutating func apply(
        _ record: InputRecord,
        recordIndex: Int,
        bytes: [UInt8],
        headers: [InputHeader],
        context: StepContext,
        into output: inout StepOutput
    ) {
        let rejection = decoder.decode(record, bytes: bytes, headers: headers, to: &event)
        applyDecoded(
            record,
            rejection,
            recordIndex: recordIndex,
            id: event.customerIsInText ? decoder.text : bytes,
            bytes: bytes,
            context: context,
            into: &output
        )
    }

    /// Applies the record whose event has just been decoded, or could not be.
    mutating func applyDecoded(
        _ record: InputRecord,
        _ rejection: Rejection?,
        recordIndex: Int,
        id: [UInt8],
        bytes: [UInt8],
        context: StepContext,
        into output: inout StepOutput
    ) {
        counters.records += 1
        do throws(Rejection) {
            if record.value == nil, record.key.map({ !$0.isEmpty }) ?? false,
                configuration.privacy.onNull != .reject
            {
                try applyNull(record, bytes: bytes, context: context, into: &output)
                return
            }
            if let rejection { throw rejection }
            if let asOf = context.asOf, event.time > asOf {
                counters.skipped += 1
                let row = table.find(hash: event.customerHash, id: id, range: event.customer)
                holdout?.note(event, row: row)
                return
            }
            if let wall = context.wallMilliseconds,
                let tolerance = configuration.futureToleranceMilliseconds,
                event.time > wall + tolerance
            {
                throw Rejection(.futureTime, "clock.future_tolerance")
            }
            try apply(record, id: id, context: context, into: &output)
        } catch {
            counters.count(error.reason)
            output.rejections.append(
                StepOutput.Rejected(recordIndex: recordIndex, rejection: error)
            )
        }
    }

    private mutating func applyNull(
        _ record: InputRecord,
        bytes: [UInt8],
        context: StepContext,
        into output: inout StepOutput
    ) throws(Rejection) {
        guard configuration.privacy.onNull == .erase, let key = record.key else {
            counters.ignoredNulls += 1
            return
        }
        event.type = .erased
        event.customer = key
        event.customerHash = StableHash.hash(of: bytes, range: key)
        event.time =
            record.timestampMilliseconds.map(Self.plausible) ?? partitionClock(record.partition)
        _ = try findCustomer(record, id: bytes)
        erase(id: bytes, partition: record.partition, context: context, into: &output)
    }

    private mutating func apply(
        _ record: InputRecord,
        id: [UInt8],
        context: StepContext,
        into output: inout StepOutput
    ) throws(Rejection) {
        var row = try findCustomer(record, id: id)
        if event.type == .erased {
            erase(id: id, partition: record.partition, context: context, into: &output)
            return
        }
        if row < 0 {
            guard let life = newLife(record, id: id) else {
                counters.suppressed += 1
                return
            }
            prepareStatistics(for: event.time)
            row = table.insert(hash: event.customerHash, id: id, range: event.customer)
            table.setLife(row, life)
            table.setClock(row, Int64.min)
            table.setPartition(row, record.partition)
            statistics.markInserted(row, of: &table)
            block.load(row, of: table)
        } else {
            if isDuplicate(row) {
                counters.duplicates += 1
                return
            }
            // Back after an erasure: what happened before it stays forgotten.
            if let stub = suppression(of: id, in: record.partition), event.time <= stub.time {
                counters.suppressed += 1
                return
            }
            decideDue(row, before: event.time, context: context, into: &output)
            prepareStatistics(for: event.time)
            statistics.markChanging(row, of: &table, learner: inForce)
            table.touch(row)
        }
        applySlots(row)
        counters.count(event.type)
        advance(row, partition: record.partition)
        rowChanges += 1
        decide(
            row,
            cause: .event,
            at: table.clock(row),
            context: context,
            into: &output
        )
        if event.type == .orderPlaced {
            noteOrder(at: event.time, of: row, partition: record.partition)
        }
        if rowChanges >= configuration.model.miniBatch { completeMiniBatch(into: &output) }
    }

    /// Row of the event's customer, or -1.
    private func findCustomer(_ record: InputRecord, id: [UInt8]) throws(Rejection) -> Int {
        guard event.customer.count <= Self.idBytesMax, id[event.customer.lowerBound] != 0 else {
            throw Rejection(.outOfRange, "customer_id")
        }
        let row = table.find(hash: event.customerHash, id: id, range: event.customer)
        if row >= 0 && table.partition(row) != record.partition {
            throw Rejection(.keyMismatch, "the customer was met in another partition")
        }
        return row
    }

    /// Life of a customer who is not in the table; nil when an erasure still keeps them out.
    private mutating func newLife(_ record: InputRecord, id: [UInt8]) -> Int64? {
        let created = record.timestampMilliseconds.map(Self.plausible) ?? event.time
        guard let stub = suppression(of: id, in: record.partition) else { return created }
        return event.time <= stub.time ? nil : max(created, stub.life + 1)
    }

    /// A record's timestamp, within what times of events may be: producers set it as they like.
    private static func plausible(_ milliseconds: Int64) -> Int64 {
        let limit = Int64(EventDecoder.timeMax) - 1
        return min(max(milliseconds, -limit), limit)
    }

    /// What stays of an erasure of the event's customer, nil for none.
    private func suppression(of id: [UInt8], in partition: Int32) -> Suppression? {
        guard !table.suppressed.isEmpty else { return nil }
        return table.suppressed[suppressionKey(of: id, in: partition)]
    }

    private func suppressionKey(of id: [UInt8], in partition: Int32) -> SuppressionKey {
        SuppressionKey(
            id: id,
            range: event.customer,
            secret: suppressionSecret,
            partition: partition
        )
    }

    /// Loads the row's block and says whether the event is known already; moves nothing.
    mutating func isDuplicate(_ row: Int) -> Bool {
        block.load(row, of: table)
        switch event.type {
        case .orderPlaced:
            let position = block.findOrder(event.orderHash)
            guard position >= 0 else { return false }
            let entry = block.entry(at: position)
            return entry.hasVersion && event.time <= entry.time
        case .erased: return false
        default:
            return event.eventHash != 0 && block.containsEvent(event.eventHash)
        }
    }

    /// Moves the slots of a row whose block is loaded, and writes the block back.
    mutating func applySlots(_ row: Int) {
        if event.type != .orderPlaced && event.eventHash != 0 {
            block.appendEvent(event.eventHash, limit: configuration.ledgerEvents)
        }
        switch event.type {
        case .profile: applyProfile(row)
        case .snapshot: applySnapshot(row)
        case .orderPlaced: applyOrder(row)
        case .orderReversed: applyReversal(row)
        case .visit:
            table.count(schema.visitSlots, accepted: false, of: row, at: event.time)
        case .campaign:
            table.count(schema.campaignSlots, accepted: event.flag, of: row, at: event.time)
        case .complaint:
            table.count(schema.complaintSlots, accepted: false, of: row, at: event.time)
        case .erased: break
        }
        block.store(into: &table)
    }

    private mutating func applyProfile(_ row: Int) {
        for (position, slot) in schema.profileFields.enumerated() {
            guard decoder.fields.isPresent[position],
                event.time > block.profileTime(slot.profileIndex)
            else { continue }
            block.setProfileTime(slot.profileIndex, event.time)
            table.numbers[row, slot.number] = decoder.fields.values[position]
        }
    }

    private mutating func applySnapshot(_ row: Int) {
        for (position, slot) in schema.snapshotFields.enumerated()
        where decoder.fields.isPresent[position] {
            let value = decoder.fields.values[position]
            table.numbers[row, slot.number] = value
            if slot.number == schema.lastPurchase {
                table.numbers[row, schema.lastPurchaseBase] = value
            }
        }
    }

    private mutating func applyOrder(_ row: Int) {
        let position = block.findOrder(event.orderHash)
        let old: LedgerEntry? = position >= 0 ? block.entry(at: position) : nil
        var new = old ?? LedgerEntry()
        new.hash = event.orderHash
        markDay(of: &new, at: event.time, row)
        new.hasVersion = true
        new.channel = event.channel
        new.discount = event.flag
        new.amounts = event.order
        store(new, replacing: old, at: position, of: row)
    }

    private mutating func applyReversal(_ row: Int) {
        let position = block.findOrder(event.orderHash)
        let old: LedgerEntry? = position >= 0 ? block.entry(at: position) : nil
        if old == nil || old?.hasVersion == false { counters.unmatchedReversals += 1 }
        var new = old ?? LedgerEntry()
        new.hash = event.orderHash
        // While no version has come, the newest reversal dates the entry, whichever came first.
        if !new.hasVersion {
            markDay(of: &new, at: max(old?.time ?? event.time, event.time), row)
        }
        if event.flag {
            new.fullReversal = max(new.fullReversal ?? Int64.min, event.time)
        }
        if event.hasAmount {
            if event.hasCategories {
                for category in 0..<schema.categoryCount where event.order[category] != 0 {
                    new.reversed[category] += event.order[category]
                }
            } else {
                new.reversedUncategorised += event.order.total
            }
        }
        store(new, replacing: old, at: position, of: row)
    }

    /// Moves an entry to a moment: the mark of its old day stays behind, that of the new one
    /// counts.
    private func markDay(of entry: inout LedgerEntry, at time: Int64, _ row: Int) {
        entry.time = time
        entry.isDayCountedOutside = table.isDayCounted(
            configuration.calendar.day(of: time),
            of: row,
            block: block,
            calendar: configuration.calendar
        )
    }

    private mutating func store(
        _ new: LedgerEntry,
        replacing old: LedgerEntry?,
        at position: Int,
        of row: Int
    ) {
        table.moveOrder(from: old, to: new, of: row)
        if position >= 0 {
            block.replace(new, at: position)
        } else {
            // Appended before the oldest leave, so that it is marked when one of its day is among
            // them.
            block.append(new)
            while block.ledgerCount > configuration.ledgerOrders {
                let leaving = block.removeFirst()
                table.retire(
                    leaving,
                    of: row,
                    block: &block,
                    calendar: configuration.calendar
                )
            }
        }
        table.derivePurchases(of: row, block: block, calendar: configuration.calendar)
    }

    private mutating func advance(_ row: Int, partition: Int32) {
        let clock = max(table.clock(row), event.time)
        table.setClock(row, clock)
        let index = Int(partition)
        while partitionClocks.count <= index { partitionClocks.append(Int64.min) }
        partitionClocks[index] = max(partitionClocks[index], clock)
        greatestEventTime = max(greatestEventTime, clock)
    }

    /// Moves landmarks on before a row does: against an old landmark, a new value may be too large
    /// for a number.
    ///
    /// The first event of all says where time stands.
    private mutating func prepareStatistics(for time: Int64) {
        guard time > greatestEventTime else { return }
        if greatestEventTime == Int64.min {
            statistics.make(
                from: table,
                centres: centres(at: time),
                model: inForce,
                landmarks: landmarks
            )
        }
        advanceLandmarks(to: time)
    }

    /// The customer disappears from table, statistics and outputs; a keyed hash and a time stay.
    private mutating func erase(
        id: [UInt8],
        partition: Int32,
        context: StepContext,
        into output: inout StepOutput
    ) {
        let key = suppressionKey(of: id, in: partition)
        let stub = table.suppressed[key]
        if let stub, event.time <= stub.time {
            counters.duplicates += 1
            return
        }
        let row = table.find(hash: event.customerHash, id: id, range: event.customer)
        var life = stub?.life ?? Int64.min
        if row >= 0 {
            decideDue(row, before: event.time, context: context, into: &output)
            due.remove(row, partition)
            life = max(life, table.life(row))
            statistics.markChanging(row, of: &table, learner: inForce)
            statistics.markRemoved(row)
            table.remove(row)
            rowChanges += 1
        }
        table.setSuppression(
            key,
            Suppression(time: event.time, life: life, partition: partition)
        )
        counters.erased += 1
        counters.count(.erased)
        appendTombstones(id: id, range: event.customer, partition: partition, into: &output)
        appendSuppression(key, partition: partition, into: &output)
    }

    /// Longest customer id, in bytes.
    static var idBytesMax: Int { 1024 }
}
