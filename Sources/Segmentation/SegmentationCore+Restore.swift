import OnlineLearning

/// Why a record of ours cannot be used; a restore stops there, for corrupt state is never used.
public struct RestoreFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, and what to do.
    public var description: String
}

extension SegmentationCore {
    /// Keys that are foreseen at a time.
    private static var foreseenKeys: Int { 8 }

    /// Looks where the next keys will be searched for, before `restoreRow` of each.
    ///
    /// The index of a large table is in no cache. Asked for several keys one right after the other,
    /// the waits for memory overlap. Nothing but time depends on it.
    ///
    /// - Parameters:
    ///   - index: the record that is next; most have been foreseen with one before.
    ///   - count: records there are.
    ///   - bytes: where their keys stand.
    ///   - key: the customer's id of a record, nil for none.
    public mutating func foreseeKeys(
        from index: Int,
        of count: Int,
        bytes: [UInt8],
        key: (Int) -> Range<Int>?
    ) {
        guard index % Self.foreseenKeys == 0 else { return }
        for next in index..<min(count, index + Self.foreseenKeys) {
            guard let key = key(next) else { continue }
            warmth &+= table.warmIndex(hash: StableHash.hash(of: bytes, range: key))
        }
    }

    /// Takes one changelog record over: a row, a stub, or a tombstone.
    ///
    /// - Throws: `RestoreFailure` for bytes that are no row of ours, with the hash of the key.
    public mutating func restoreRow(
        key: Range<Int>,
        value: Range<Int>?,
        bytes: [UInt8],
        partition: Int32
    ) throws(RestoreFailure) {
        try restoreRow(
            key: key,
            value: value,
            bytes: bytes,
            isChecked: false,
            partition: partition
        )
    }

    /// The same; `isChecked` where the bytes are known to be whole.
    mutating func restoreRow(
        key: Range<Int>,
        value: Range<Int>?,
        bytes: [UInt8],
        isChecked: Bool,
        partition: Int32
    ) throws(RestoreFailure) {
        do throws(RowCodec.Failure) {
            if RowCodec.isStub(bytes, key) {
                let name = RowCodec.stubKey(bytes, key, partition: partition)
                table.suppressed[name] =
                    try value.map { range throws(RowCodec.Failure) in
                        try RowCodec.decodeStub(bytes, range, partition: partition)
                    }
                return
            }
            let hash = StableHash.hash(of: bytes, range: key)
            let former = table.find(hash: hash, id: bytes, range: key)
            // The row has moved since: what its former partition tells of it, down to the
            // tombstone, is of the past. Partitions are restored one after the other, each to its
            // end.
            guard former < 0 || table.partition(former) == partition else { return }
            if let value {
                try RowCodec.decode(
                    bytes,
                    key: key,
                    value,
                    isChecked: isChecked,
                    schema: schema,
                    into: &decodedRow,
                    block: &block
                )
            }
            if former >= 0 {
                table.remove(former)
                table.undo.clear()
            }
            guard value != nil else { return }
            let row = table.insert(
                &decodedRow,
                hash: hash,
                idBytes: key.count,
                partition: partition,
                block: &block
            )
            // The slot of the last purchase came with the numbers: a snapshot may have set it
            // since.
            table.deriveDays(of: row, block: block, calendar: configuration.calendar)
        } catch {
            let hash = String(StableHash.hash(of: bytes, range: key), radix: 16)
            throw RestoreFailure(description: "row \(hash): " + error.words)
        }
    }

    /// Rebuilds what is derived from the rows of a partition: sums, medians, clocks.
    public mutating func finishRestore() {
        // Restored rows are committed: the next transaction has an epoch of its own, or it would
        // take them for rows that it has saved and written already.
        table.commit()
        // A refit that has begun knows other rows.
        decisions += 1
        greatestEventTime = Int64.min
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let index = Int(table.partition(row))
            while partitionClocks.count <= index { partitionClocks.append(Int64.min) }
            partitionClocks[index] = max(partitionClocks[index], table.clock(row))
            greatestEventTime = max(greatestEventTime, table.clock(row))
        }
        if greatestEventTime > Int64.min {
            for (index, decay) in schema.decays.enumerated() {
                landmarks[index] = Decay.landmark(
                    at: greatestEventTime,
                    halfLife: decay.halfLifeMilliseconds
                )
            }
        }
        rebuildStatistics()
        rebuildDue()
        dueCursor = nil
        restoreExpectation()
        if model != nil { rescoreCursor = 0 }
    }

    private mutating func rebuildStatistics() {
        statistics.make(
            from: table,
            centres: centres(at: max(0, greatestEventTime)),
            model: inForce,
            landmarks: landmarks
        )
        statistics.forgetChanges(in: &table)
        // No transaction is open: there is nothing to put back.
        table.undo.clear()
    }

    /// Centres of the moments: those of the version in force.
    ///
    /// Before the first one, moments and
    /// years of birth are near enough to the present for their squares to keep their digits.
    func centres(at time: Int64) -> [Double] {
        if let model { return model.centres }
        return schema.features.map { form in
            switch form {
            case .daysSince: -(Double(time) / Double(DayCalendar.dayMilliseconds)).rounded()
            case .yearsSince: -(DayCalendar.decimalYear(of: time).rounded() - 40)
            default: 0
            }
        }
    }

    /// Drops the rows of partitions that another worker takes over.
    public mutating func dropPartitions(_ partitions: [Int32]) {
        precondition(saved == nil, "commit or abort first")
        let dropped = Set(partitions)
        for row in 0..<table.rowEnd
        where table.isInUse(row) && dropped.contains(table.partition(row)) {
            table.remove(row)
            table.undo.clear()
        }
        table.suppressed = table.suppressed.filter { !dropped.contains($0.value.partition) }
        for partition in dropped where Int(partition) < partitionClocks.count {
            partitionClocks[Int(partition)] = Int64.min
        }
        finishRestore()
    }
}

extension RowCodec.Failure {
    var words: String {
        switch self {
        case .tooShort: "too short to be a row"
        case .unknownVersion(let version):
            "row format \(version) is not known to this program; run the newer one"
        case .otherSlots:
            "written with other slots than declared; restore the slots, or use another kafka.group"
        case .checksum: "the checksum does not match: the record is damaged"
        case .inconsistent: "its parts do not add up: the record is damaged"
        }
    }
}
