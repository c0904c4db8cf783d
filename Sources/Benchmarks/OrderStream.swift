import OnlineLearning

/// `order.placed` events of about 200 bytes, seeded: what most of a shop's traffic is.
struct OrderStream {
    /// Lines of JSON, one after the other.
    private(set) var bytes: [UInt8] = []
    /// Where each line stands.
    private(set) var lines: [Range<Int>] = []

    /// Events of customers who order in random turns, over a span of milliseconds.
    ///
    /// - Parameters:
    ///   - count: number of events.
    ///   - customers: number of customers.
    ///   - milliseconds: the span.
    ///   - seed: the same one gives the same events.
    ///   - from: number of the first event, so that a second stream is no repetition.
    ///   - after: milliseconds that have passed when it begins.
    init(
        count: Int,
        customers: Int,
        milliseconds: Int64,
        seed: UInt64,
        from: Int = 0,
        after: Int64 = 0
    ) {
        var generator = SeededGenerator(seed: seed)
        let start: Int64 = 1_772_323_200_000 + after
        let channels = ["web", "catalog", "store"]
        let categories = ["wines", "fruits", "meat", "fish", "sweets", "gold"]
        bytes.reserveCapacity(count * 210)
        lines.reserveCapacity(count)
        for index in 0..<count {
            let customer = generator.next(below: customers)
            // Habits differ, so that there is something to segment.
            let kind = customer % 4
            let first = 100 + generator.next(below: 4_000 << kind)
            let second = 50 + generator.next(below: 2_000)
            let time = start + milliseconds * Int64(index) / Int64(count)
            let wanted = (kind + generator.next(below: 2)) % categories.count
            let other = (wanted + 1 + generator.next(below: 3)) % categories.count
            let line =
                "{\"id\":\"e-\(from + index)\",\"source\":\"shop\",\"type\":\"order.placed\","
                + "\"time\":\(time),"
                + "\"customer_id\":\"c-\(customer)\",\"order_id\":\"o-\(from + index)\","
                + "\"amount\":\(Self.money(first + second)),\"currency\":\"EUR\",\"categories\":{"
                + "\"\(categories[wanted])\":\(Self.money(first)),"
                + "\"\(categories[other])\":\(Self.money(second))},"
                + "\"channel\":\"\(channels[(kind + generator.next(below: 2)) % 3])\","
                + "\"discount\":\(generator.next(below: 4) == 0)}"
            let begin = bytes.count
            bytes.append(contentsOf: line.utf8)
            lines.append(begin..<bytes.count)
        }
        bytes.append(contentsOf: repeatElement(0, count: 64))
    }

    private static func money(_ cents: Int) -> String {
        let rest = cents % 100
        return "\(cents / 100).\(rest < 10 ? "0" : "")\(rest)"
    }
}
