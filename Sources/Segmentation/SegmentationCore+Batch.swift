/// A record decoded before its turn.
///
/// What the decoder holds until its next record stands here: the customer id of a body, and the
/// fields of a profile or snapshot.
struct DecodedRecord {
    var event = CustomerEvent()
    var rejection: Rejection?
    /// The customer id, where it stood in the body.
    var id: [UInt8] = []
    var fields: EventDecoder.Fields
}

/// Records are decoded a few at a time, and the rows they will change are read once before the
/// first of them is applied.
///
/// Rows of a large table are in no cache. One after the other, an event waits for memory half a
/// dozen times; in a short loop over several rows the waits overlap. Nothing but time depends on
/// it: an event means the same whenever it is decoded.
extension SegmentationCore {
    /// Records that are decoded ahead at a time.
    static var aheadMax: Int { 8 }

    /// Applies the records of a batch, in order: decodes each, moves its row, decides, and gathers
    /// what is to be produced.
    ///
    /// A record that cannot be used becomes a rejection in the output, under its index in
    /// `records`; nothing else has changed then.
    ///
    /// - Parameters:
    ///   - records: ranges into `bytes` and `headers`.
    ///   - bytes: the batch's bytes, with 64 readable ones behind the last record.
    ///   - headers: the batch's headers.
    ///   - context: the moment of the batch; each record says itself whether it is backfill.
    ///   - output: where records and rejections go.
    public mutating func apply(
        _ records: [InputRecord],
        bytes: [UInt8],
        headers: [InputHeader],
        context: StepContext,
        into output: inout StepOutput
    ) {
        var context = context
        var start = 0
        while start < records.count {
            let end = min(records.count, start + Self.aheadMax)
            decodeAhead(records, start..<end, bytes: bytes, headers: headers)
            for index in start..<end {
                let place = index - start
                event = ahead[place].event
                decoder.exchangeFields(with: &ahead[place].fields)
                context.backfill = records[index].isBackfill
                applyDecoded(
                    records[index],
                    ahead[place].rejection,
                    recordIndex: index,
                    id: event.customerIsInText ? ahead[place].id : bytes,
                    bytes: bytes,
                    context: context,
                    into: &output
                )
            }
            start = end
        }
    }

    private mutating func decodeAhead(
        _ records: [InputRecord],
        _ range: Range<Int>,
        bytes: [UInt8],
        headers: [InputHeader]
    ) {
        var hashes = InlineArray<8, UInt64>(repeating: 0)
        for index in range {
            let place = index - range.lowerBound
            ahead[place].rejection = decoder.decode(
                records[index],
                bytes: bytes,
                headers: headers,
                to: &ahead[place].event
            )
            guard ahead[place].rejection == nil else { continue }
            hashes[place] = ahead[place].event.customerHash
            if ahead[place].event.customerIsInText {
                let id = ahead[place].event.customer
                ahead[place].id.removeAll(keepingCapacity: true)
                for k in id { ahead[place].id.append(decoder.text[k]) }
                ahead[place].event.customer = 0..<id.count
            }
            decoder.exchangeFields(with: &ahead[place].fields)
        }
        warmth &+= table.warm(hashes, count: range.count)
    }
}

extension CustomerTable {
    /// Reads a word of every cache line of the rows that most likely have these hashes.
    ///
    /// - Returns: a number that depends on all of them, so that the reading is not optimised away.
    func warm(_ hashes: InlineArray<8, UInt64>, count: Int) -> UInt64 {
        var rows = InlineArray<8, Int>(repeating: -1)
        for place in 0..<count { rows[place] = firstRow(hash: hashes[place]) }
        var sum: UInt64 = 0
        for place in 0..<count where rows[place] >= 0 {
            sum &+= words.warm(row: rows[place])
            sum &+= numbers.warm(row: rows[place])
        }
        for place in 0..<count where rows[place] >= 0 {
            sum &+= arena.warm(blockOffset(rows[place]), blockWords(rows[place]))
        }
        return sum
    }
}
