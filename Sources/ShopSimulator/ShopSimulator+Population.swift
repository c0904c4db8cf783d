import Glibc

/// Who the customers are, and how busy they have to be.
extension ShopSimulator {
    /// Draws the customers, kinds mixed by their shares.
    static func population(
        _ configuration: ShopSimulatorConfiguration,
        habits: [Habits],
        random: inout SeededRandom
    ) -> [SimulatedCustomer] {
        let span = configuration.start..<configuration.end
        var shares = SIMD8<Float>()
        for (lane, habit) in habits.enumerated() { shares[lane] = Float(habit.share) }
        var customers: [SimulatedCustomer] = []
        customers.reserveCapacity(configuration.customers)
        for _ in 0..<configuration.customers {
            let kind = CustomerKind.allCases[random.pick(shares)]
            customers.append(
                .init(kind, habits: habits[Int(kind.rawValue)], span: span, random: &random)
            )
        }
        return customers
    }

    /// The activity at which somewhat more than the number of lines wanted are expected; 1 without
    /// one.
    ///
    /// The margin, 1.5 % and 1.2 / sqrt(customers), is about two deviations of what chance does,
    /// so that the stream nearly always reaches the number and stops there.
    ///
    /// Expected lines are linear in the activity, because it does not change how long people stay:
    /// a customer with hazard h of leaving is expected to be there for (1 - exp(-h L)) / h of their
    /// remaining L busy days. Only the profiles do not scale.
    static func activity(
        _ configuration: ShopSimulatorConfiguration,
        customers: [SimulatedCustomer],
        habits: [Habits],
        seasons: [Season]
    ) -> Double {
        guard let events = configuration.events else { return 1 }
        var expected = 0.0
        for customer in customers {
            let kind = Int(customer.kind.rawValue)
            let remaining =
                seasons[kind].total - seasons[kind].busyDays(at: customer.joinedAt)
            let rates = ActivityRates(
                customer,
                habits: habits[kind],
                activity: 1,
                hasLeft: false
            )
            let hazard =
                ActivityRates.leaving + ActivityRates.erasure
                + rates.order * Double(customer.dropChance)
            let present = (1 - exp(-hazard * remaining)) / hazard
            let lines =
                rates.order * (1 + replacedShare + habits[kind].returns)
                + rates.visit + rates.campaign + rates.complaint + rates.profileChange
            expected += present * lines
            expected += (remaining - present) * rates.visit * ActivityRates.afterglow
        }
        let margin = 1.015 + 1.2 / Double(customers.count).squareRoot()
        let wanted = margin * Double(events) / (1 + redeliveryShare) - Double(customers.count)
        // Fewer lines than customers: the stream just stops before all of them have joined.
        return max(0.02, wanted / max(expected, 1e-9))
    }

    /// When the profile of a customer arrives; starts the customer's own time there.
    mutating func registration(of index: Int) -> Int64 {
        let start = configuration.start
        var time = customers[index].joinedAt
        if time < start {
            // Those who were there before are imported on the first day, in any order.
            let seconds = random.uniform(0, min(86_400, Double(configuration.end - start) / 2_000))
            time = start + Int64(seconds) * 1_000
        }
        let kind = Int(customers[index].kind.rawValue)
        customers[index].busyDays = seasons[kind].busyDays(at: time)
        return time
    }
}
