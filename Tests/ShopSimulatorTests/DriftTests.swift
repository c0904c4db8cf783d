import ShopSimulator
import Testing

/// Habits that change over the months.
@Suite struct DriftTests {
    private static func stream(drift: Double) -> ParsedStream {
        ParsedStream(.init(customers: 800, events: 30_000, seed: 20_260_701, drift: drift))
    }

    /// Mean amount of the connoisseurs' orders, so that a change of kind does not count.
    private func meanAmounts(_ stream: ParsedStream) -> (early: Double, late: Double) {
        let kind = Dictionary(
            stream.truth.map { ($0.customerID, $0.kind) },
            uniquingKeysWith: { $1 }
        )
        let orders = stream.good.filter {
            $0.type == "order.placed" && kind[$0.customerID] == "connoisseur"
        }
        func mean(_ part: ArraySlice<ParsedStream.Line>) -> Double {
            part.compactMap { $0.number("amount") }.reduce(0, +) / Double(part.count)
        }
        return (mean(orders.prefix(orders.count / 4)), mean(orders.suffix(orders.count / 4)))
    }

    @Test func withoutDriftOrdersAndKindsStay() {
        let amounts = meanAmounts(ParsedStream.shared)
        #expect(abs(amounts.late / amounts.early - 1) < 0.1)
        // What the demo shows is not to change unasked.
        #expect(Self.stream(drift: 0).lines.map(\.bytes) == ParsedStream.shared.lines.map(\.bytes))
    }

    @Test func withDriftOrdersGrow() {
        let amounts = meanAmounts(Self.stream(drift: 0.5))
        #expect(amounts.late / amounts.early > 1.15)
    }

    /// The profile is of the kind that somebody was first: connoisseurs earn most.
    @Test func withDriftCustomersTakeOverOtherHabits() {
        func rich(_ drift: Double) -> (newcomers: Int, connoisseurs: Int) {
            let stream = Self.stream(drift: drift)
            let kind = Dictionary(
                stream.truth.map { ($0.customerID, $0.kind) },
                uniquingKeysWith: { $1 }
            )
            let rich = stream.good.filter {
                $0.type == "customer.profile" && ($0.number("income") ?? 0) > 70_000
                    && $0.number("birth_year") != nil
            }.map { kind[$0.customerID] }
            return (rich.count { $0 == "newcomer" }, rich.count { $0 == "connoisseur" })
        }
        #expect(rich(0).newcomers <= 2)
        let drifted = rich(0.5)
        #expect(drifted.newcomers > 5 && drifted.connoisseurs > 50)
    }

    @Test func driftHasLimits() {
        for drift in [-0.1, 1.1, .nan] {
            let shop = ShopSimulatorConfiguration(customers: 10, seed: 1, drift: drift)
            #expect(shop.problems.count == 1 && shop.problems[0].hasPrefix("drift: "))
        }
    }
}
