/// What shop to invent: how many people, how much happening, and when.
public struct ShopSimulatorConfiguration: Sendable {
    /// 2026-07-01T00:00:00Z, where a stream ends unless told otherwise.
    ///
    /// Fixed, so that equal seeds give equal bytes whenever they are run.
    public static let defaultEnd: Int64 = 1_782_864_000_000

    /// 400 days in milliseconds: a whole year of seasons and some history before it.
    public static let defaultSpan: Int64 = 400 * 86_400_000

    /// The most customers a simulator takes; ids and memory (about 100 bytes each) fit well below.
    public static let customerCountMax = 10_000_000

    /// Number of customers, from 1 to 10 million; some join late in the span.
    public var customers: Int

    /// Number of lines wanted, unusable ones and redeliveries included; nil for natural activity.
    ///
    /// The stream stops exactly there. Natural activity is about 40 lines per customer in 400 days.
    public var events: Int?

    /// Seed of everything random.
    public var seed: UInt64

    /// No event happens before this moment, epoch milliseconds.
    public var start: Int64

    /// Every event happens and arrives before this moment, epoch milliseconds.
    public var end: Int64

    /// How much habits change in a year, from 0 to 1.
    ///
    /// Orders grow by that share of their size, and customers take over the habits of another kind
    /// at that rate per year. 0 leaves every byte of a stream as it is without drift.
    public var drift: Double

    /// A shop, over the default span where none is given.
    ///
    /// - Parameters:
    ///   - customers: number of customers, from 1.
    ///   - events: number of lines wanted, from 0; nil for natural activity.
    ///   - seed: seed of everything random.
    ///   - start: first moment, epoch milliseconds; nil for ``defaultSpan`` before the end.
    ///   - end: moment after the last, epoch milliseconds.
    ///   - drift: how much habits change in a year, 0 to 1.
    public init(
        customers: Int,
        events: Int? = nil,
        seed: UInt64,
        start: Int64? = nil,
        end: Int64 = ShopSimulatorConfiguration.defaultEnd,
        drift: Double = 0
    ) {
        self.customers = customers
        self.events = events
        self.seed = seed
        self.start = start ?? end - Self.defaultSpan
        self.end = end
        self.drift = drift
    }

    /// Everything that is wrong, each with name and rule; empty when a simulator can be made.
    public var problems: [String] {
        var problems: [String] = []
        if !(1...Self.customerCountMax).contains(customers) {
            problems.append("customers: \(customers) is not in 1...\(Self.customerCountMax)")
        }
        if let events, events < 0 {
            problems.append("events: \(events) is negative")
        }
        if !(0...1).contains(drift) {
            problems.append("drift: \(drift) is not in 0...1")
        }
        // Bounds first: a difference of wild values could overflow. 1900 to 2200 is plenty.
        let sensible: ClosedRange<Int64> = -2_208_988_800_000...7_258_118_400_000
        if !sensible.contains(start) || !sensible.contains(end) {
            problems.append(
                "start, end: \(start), \(end) are not epoch milliseconds of 1900...2200"
            )
        } else if end - start < 86_400_000 {
            problems.append("start, end: the span is shorter than a day")
        }
        return problems
    }
}
