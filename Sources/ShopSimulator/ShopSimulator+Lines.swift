/// The JSON lines themselves, fields in the order in which people write them.
extension ShopSimulator {
    /// Writes the envelope and leaves the object open.
    ///
    /// - Parameters:
    ///   - line: INOUT; the envelope is appended, without the closing brace.
    ///   - type: event type.
    ///   - source: which of the shop's systems tells it.
    ///   - index: the customer.
    ///   - milliseconds: if given, the time, as a number, the way back-office systems write it;
    ///     otherwise the time is now, as text.
    /// - Returns: where the customer id stands.
    mutating func beginLine(
        _ line: inout [UInt8],
        _ type: String,
        source: String,
        index: Int,
        milliseconds: Int64? = nil
    ) -> Range<Int> {
        beginEnvelope(&line, type, source: source)
        if let milliseconds {
            line.write(Int(milliseconds))
        } else {
            line.append(0x22)
            line.write(timestamp: clock)
            line.append(0x22)
        }
        return writeKey(&line, index: index)
    }

    /// Writes an order, or what is left of it.
    ///
    /// - Returns: where the customer id stands, empty if it does not.
    mutating func writeOrder(
        _ draft: OrderDraft,
        index: Int,
        time: Int64,
        _ breakage: Breakage?,
        into line: inout [UInt8]
    ) -> Range<Int> {
        let source = draft.channel == 0 ? "shop" : draft.channel == 1 ? "catalog" : "till"
        let type = breakage == .unknownType ? "order.shipped" : "order.placed"
        beginEnvelope(&line, type, source: source)
        line.append(0x22)
        line.write(timestamp: time)
        line.append(0x22)
        let key = breakage == .missingCustomer ? 0..<0 : writeKey(&line, index: index)
        line.write(",\"order_id\":\"o-")
        line.write(draft.number)
        line.append(0x22)
        switch breakage {
        case .missingField:
            break
        case .wrongType:
            line.write(",\"amount\":\"")
            line.write(cents: draft.amountCents)
            line.append(0x22)
        case .outOfRange:
            line.write(",\"amount\":-")
            line.write(cents: draft.amountCents)
        default:
            line.write(",\"amount\":")
            line.write(cents: draft.amountCents)
        }
        line.write(",\"currency\":\"EUR\"")
        writeCategories(draft.cents, into: &line)
        line.write(",\"channel\":\"")
        line.write(Names.channels[draft.channel])
        line.write(draft.isDiscounted ? "\",\"discount\":true}" : "\",\"discount\":false}")
        if breakage == .malformedJSON {
            // At least the closing brace is lost, never the customer id.
            line.removeLast(1 + Int(random.unit() * 60))
        }
        return key
    }

    private mutating func beginEnvelope(
        _ line: inout [UInt8],
        _ type: String,
        source: String
    ) {
        eventCount += 1
        line.write("{\"id\":\"e-")
        line.write(eventCount)
        line.write("\",\"source\":\"")
        line.write(source)
        line.write("\",\"type\":\"")
        line.write(type)
        line.write("\",\"time\":")
    }

    private func writeKey(_ line: inout [UInt8], index: Int) -> Range<Int> {
        line.write(",\"customer_id\":\"")
        let start = line.count
        line.write(customer: index)
        let end = line.count
        line.append(0x22)
        return start..<end
    }

    private func writeCategories(_ cents: SIMD8<Int32>, into line: inout [UInt8]) {
        line.write(",\"categories\":{")
        var isFirst = true
        for lane in 0..<Names.categories.count where cents[lane] > 0 {
            line.write(isFirst ? "\"" : ",\"")
            isFirst = false
            line.write(Names.categories[lane])
            line.write("\":")
            line.write(cents: Int(cents[lane]))
        }
        line.append(0x7D)
    }
}
