/// A seeded shop that tells its events one line at a time, in order of arrival.
///
/// Exists so that demos, tests and benchmarks have a stream whose truth is known. It deliberately
/// does not model stock, prices or products: only what customers do. See the module's page for the
/// shares of late, repeated and broken lines.
///
///     var shop = ShopSimulator(configuration: .init(customers: 1_000, seed: 7))
///     var line: [UInt8] = []
///     while let event = shop.next(into: &line) { ... }
///
/// - Complexity: O(log customers) time per line without allocation but for late lines and
///   follow-ups; about 80 bytes per customer.
/// - Note: Deterministic: equal configurations give equal bytes.
public struct ShopSimulator: Sendable {
    /// Share of lines that arrive late.
    static let lateShare = 0.015
    /// Share of lines that arrive once more.
    static let redeliveryShare = 0.005
    /// Share of orders that come as something unusable instead.
    static let brokenShare = 0.004
    /// Share of orders that a corrected version replaces.
    static let replacedShare = 0.02

    /// What was asked for.
    public let configuration: ShopSimulatorConfiguration
    /// Lines told so far.
    public private(set) var emittedCount = 0

    let habits: [Habits]
    let seasons: [Season]
    /// Activity relative to natural, chosen so that the number of lines wanted comes out.
    let activity: Double
    var random: SeededRandom
    var customers: [SimulatedCustomer]
    /// Arrival time of the last line, the end of the span once everything is told.
    private(set) var clock: Int64
    var eventCount = 0
    var orderCount = 0

    private var queue = ArrivalQueue()
    private var deliveries: [Delivery] = []
    private var freeDeliveries: [Int] = []

    /// Invents the shop and its customers.
    ///
    /// - Parameter configuration: what shop; ``ShopSimulatorConfiguration/problems`` must be empty.
    /// - Precondition: The configuration has no problems.
    /// - Complexity: O(customers).
    public init(configuration: ShopSimulatorConfiguration) {
        precondition(
            configuration.problems.isEmpty,
            "a shop needs a configuration without problems"
        )
        self.configuration = configuration
        habits = CustomerKind.allCases.map { Habits($0) }
        seasons = habits.map {
            Season(habits: $0, start: configuration.start, end: configuration.end)
        }
        random = SeededRandom(seed: configuration.seed)
        clock = configuration.start
        customers = Self.population(configuration, habits: habits, random: &random)
        activity = Self.activity(
            configuration,
            customers: customers,
            habits: habits,
            seasons: seasons
        )
        queue.reserveCapacity(customers.count)
        for index in customers.indices {
            let time = registration(of: index)
            queue.insert(.init(time: time, slot: index))
        }
    }

    /// Writes the next line.
    ///
    /// - Parameter line: OUT; replaced by one JSON object without a line break. Its capacity is
    ///   kept, so give the same array again.
    /// - Returns: what is known about the line, nil at the end of the stream.
    public mutating func next(into line: inout [UInt8]) -> SimulatedEvent? {
        guard emittedCount < configuration.events ?? .max else { return nil }
        while let entry = queue.first, entry.time < configuration.end {
            assert(entry.time >= clock, "arrivals never go back")
            clock = entry.time
            line.removeAll(keepingCapacity: true)
            let envelope =
                entry.slot < customers.count
                ? act(entry.slot, into: &line) : deliver(entry.slot - customers.count, into: &line)
            if let envelope, let event = dispatch(envelope, line: line) { return event }
        }
        clock = configuration.end
        line.removeAll(keepingCapacity: true)
        return nil
    }

    /// Lets a line wait until its arrival.
    ///
    /// - Precondition: The arrival is later than now, so that the entry being handled stays first.
    mutating func post(_ bytes: [UInt8], _ envelope: Envelope, at arrival: Int64) {
        precondition(arrival > clock, "what waits arrives later than now")
        guard arrival < configuration.end else { return }
        let delivery = Delivery(bytes: bytes, envelope: envelope)
        let slot: Int
        if let free = freeDeliveries.popLast() {
            slot = free
            deliveries[free] = delivery
        } else {
            slot = deliveries.count
            deliveries.append(delivery)
        }
        queue.insert(.init(time: arrival, slot: customers.count + slot))
    }

    /// A line whose time has come; nil if nobody is left to whom it could happen.
    private mutating func deliver(_ slot: Int, into line: inout [UInt8]) -> Envelope? {
        queue.removeFirst()
        swap(&line, &deliveries[slot].bytes)
        deliveries[slot].bytes = []
        freeDeliveries.append(slot)
        var envelope = deliveries[slot].envelope
        guard envelope.stage == .fresh else { return envelope }
        // Returns and corrections of somebody who was forgotten do not happen any more.
        guard !customers[envelope.customer].isErased else { return nil }
        envelope.delay = drawDelay()
        return envelope
    }

    /// Sends a line out now, or lets it wait if it is late; decides on a redelivery.
    private mutating func dispatch(_ envelope: Envelope, line: [UInt8]) -> SimulatedEvent? {
        if envelope.stage == .fresh, envelope.delay > 0 {
            var late = envelope
            late.stage = .late
            post(line, late, at: clock + envelope.delay)
            return nil
        }
        if envelope.stage != .redelivery, random.chance(Self.redeliveryShare) {
            var again = envelope
            again.stage = .redelivery
            post(line, again, at: clock + Int64(random.uniform(1, 7_200)) * 1_000)
        }
        if envelope.breakage == nil { customers[envelope.customer].hasAppeared = true }
        emittedCount += 1
        return SimulatedEvent(
            keyRange: envelope.keyRange,
            eventTime: envelope.eventTime,
            arrivalTime: clock,
            breakage: envelope.breakage
        )
    }

    /// Minutes for most late lines, hours for some, days for a few; 0 for those on time.
    mutating func drawDelay() -> Int64 {
        guard random.chance(Self.lateShare) else { return 0 }
        let draw = random.unit()
        let seconds =
            if draw < 0.7 {
                random.uniform(60, 3_600)
            } else if draw < 0.95 {
                random.uniform(3_600, 86_400)
            } else {
                random.uniform(86_400, 5 * 86_400)
            }
        return Int64(seconds) * 1_000
    }

    /// Puts a customer's next action in the place of the one being handled.
    mutating func reschedule(_ index: Int, at time: Int64?) {
        if let time {
            queue.replaceFirst(with: .init(time: max(time, clock), slot: index))
        } else {
            queue.removeFirst()
        }
    }
}
