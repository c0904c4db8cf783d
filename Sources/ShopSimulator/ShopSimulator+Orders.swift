import Glibc

/// Orders, and what becomes of them.
extension ShopSimulator {
    /// One order as the shop sees it, money in cents.
    struct OrderDraft: Sendable {
        var number: Int
        /// By category, in the order of ``Names/categories``.
        var cents: SIMD8<Int32>
        /// Wrapping or shipping, in no category.
        var otherCents: Int
        var channel: Int
        var isDiscounted: Bool

        var amountCents: Int { Int(cents.wrappedSum()) + otherCents }
    }

    /// Places an order, plans its correction or return, and decides whether it was the last one.
    mutating func order(
        _ customer: inout SimulatedCustomer,
        index: Int,
        into line: inout [UInt8]
    ) -> Envelope {
        let kind = Int(customer.kind.rawValue)
        let draft = draftOrder(customer, habits: habits[kind])
        if random.chance(Self.brokenShare) {
            // Something unusable arrives in place of the order; for the shop there was none.
            let breakage = Breakage.allCases[Int(random.unit() * Double(Breakage.allCases.count))]
            let key = writeOrder(draft, index: index, time: clock, breakage, into: &line)
            return Envelope(
                keyRange: key,
                eventTime: clock,
                customer: index,
                breakage: breakage,
                delay: drawDelay()
            )
        }
        customer.hasOrdered = true
        let key = writeOrder(draft, index: index, time: clock, nil, into: &line)
        let delay = drawDelay()
        if random.chance(Self.replacedShare) {
            replace(draft, index: index)
        } else if random.chance(habits[kind].returns) {
            // Goods come back after the order itself has arrived, however late that is.
            let days = 1 + random.exponential() * 9
            let wait = delay + Int64(days * 86_400) * 1_000
            reverse(draft, index: index, at: clock + wait)
        }
        if random.chance(min(0.5, Double(customer.dropChance) / activity)) {
            // An hour at least, so that a correction of the last order still comes before the end.
            let hours = 1 + random.exponential() * 24
            customer.droppedOutAt = clock + Int64(hours * 3_600) * 1_000
        }
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: delay)
    }

    /// What is bought this time, around the customer's own habits.
    private mutating func draftOrder(_ customer: SimulatedCustomer, habits: Habits) -> OrderDraft {
        // Lognormal with deviation .45 and mean 1, never below a euro.
        let size = exp(0.45 * random.normal() - 0.101)
        let years = Double(clock - configuration.start) / (365 * 86_400_000)
        let growth = 1 + configuration.drift * years
        let goods = max(100, Int(habits.orderCents * growth * Double(customer.spending) * size))
        var rest = Int32(min(goods, 900_000))
        var cents = SIMD8<Int32>()
        let draw = random.unit()
        var parts = draw < 0.35 ? 1 : draw < 0.8 ? 2 : 3
        while rest > 0 {
            let isFavourite = random.chance(0.25)
            let category =
                isFavourite ? Int(customer.favouriteCategory) : random.pick(habits.categories)
            parts -= 1
            let part = parts == 0 ? rest : Int32(Double(rest) * random.uniform(0.3, 0.8))
            cents[category] &+= part
            rest = parts == 0 ? 0 : rest - part
        }
        let isFavourite = random.chance(0.5)
        let channel = isFavourite ? Int(customer.favouriteChannel) : random.pick(habits.channels)
        orderCount += 1
        return OrderDraft(
            number: orderCount,
            cents: cents,
            otherCents: random.chance(0.08) ? 490 : 0,
            channel: channel,
            isDiscounted: random.chance(Double(customer.discount))
        )
    }

    /// A corrected version of the order follows within the hour, usually cheaper.
    private mutating func replace(_ draft: OrderDraft, index: Int) {
        var corrected = draft
        let factor = Float(random.uniform(0.5, 1.1))
        for lane in 0..<6 {
            corrected.cents[lane] = Int32(Float(draft.cents[lane]) * factor)
        }
        if corrected.amountCents < 100 { corrected.otherCents += 100 }
        let time = clock + Int64(random.uniform(120, 2_700)) * 1_000
        var bytes: [UInt8] = []
        let key = writeOrder(corrected, index: index, time: time, nil, into: &bytes)
        post(bytes, Envelope(keyRange: key, eventTime: time, customer: index), at: time)
    }

    /// Goods come back: all of them, one category, or an amount without saying of what.
    private mutating func reverse(_ draft: OrderDraft, index: Int, at time: Int64) {
        var bytes: [UInt8] = []
        let key = beginLine(
            &bytes,
            "order.reversed",
            source: "erp",
            index: index,
            milliseconds: time
        )
        bytes.write(",\"order_id\":\"o-")
        bytes.write(draft.number)
        switch random.unit() {
        case ..<0.4:
            bytes.write("\",\"full\":true}")
        case ..<0.75:
            var category = 0
            for lane in 1..<6 where draft.cents[lane] > draft.cents[category] { category = lane }
            let all = Int(draft.cents[category])
            let cents = max(1, random.chance(0.5) ? all : all / 2)
            bytes.write("\",\"amount\":")
            bytes.write(cents: cents)
            bytes.write(",\"categories\":{\"")
            bytes.write(Names.categories[category])
            bytes.write("\":")
            bytes.write(cents: cents)
            bytes.write("}}")
        default:
            bytes.write("\",\"amount\":")
            bytes.write(cents: max(1, Int(Double(draft.amountCents) * random.uniform(0.1, 0.9))))
            bytes.append(0x7D)
        }
        post(bytes, Envelope(keyRange: key, eventTime: time, customer: index), at: time)
    }
}
