import OnlineLearning

/// Whether orders come as the purchase model expects; where they do not, the pipe is broken, not
/// the customers, and no due moment is decided by the clock (DESIGN, section 7).
///
/// Orders are *silent* when so many would have been expected since the newest one that chance
/// alone leaves none out, of the whole shop or of a partition; *thin* when within a day only a
/// small share of the expected came, of the whole shop and in every segment. "The whole shop" are
/// the partitions of this worker.
///
/// Each partition has a state of its own:
/// ```
///      silent or thin at its clock
/// open ---------------------------> holding
///   ^                                  |  neither any more, and an order of the partition from
///   +----------------------------------+  after that has come, or the lateness has passed
/// ```
/// While orders are silent, a partition's timers go by its newest order instead of its clock: what
/// waits in the topic comes first when it comes. While they are thin, timers wait.
struct SilenceGuard: Sendable {
    /// Why timers wait.
    enum Cause: Sendable, Equatable {
        case silent, thin
    }

    private struct Partition {
        /// Orders a day.
        var expected = 0.0
        var newest = Int64.min
        var cause: Cause?
        /// The clock when the hold began, when its cause was last there, and when it was gone.
        var since = Int64.min
        var last = Int64.min
        var cleared: Int64?
    }

    /// Orders of a day by what the purchase model says of every customer.
    struct Expectation: Sendable {
        /// `[K]`.
        var segments: [Double]
        var partitions: [Double] = []
        /// Orders of the last day by segment.
        fileprivate var recent: RecentOrders

        init(segments count: Int) {
            segments = Array(repeating: 0, count: count)
            recent = RecentOrders(segments: count)
        }

        /// Adds a customer.
        ///
        /// - Parameters:
        ///   - rate: orders a day.
        ///   - segment: index of the segment, -1 for none.
        ///   - partition: the customer's.
        mutating func add(rate: Double, segment: Int, partition: Int) {
            if segment >= 0 { segments[segment] += rate }
            while partitions.count <= partition { partitions.append(0) }
            partitions[partition] += rate
        }

        /// Adds an order that a customer's ledger remembers.
        mutating func add(orderAt time: Int64, segment: Int) {
            recent.add(time, segment: segment)
        }
    }

    /// Orders that make silence strange: with so many expected, none comes once in a thousand
    /// times.
    private static let silentOrders = 7.0
    /// Orders a day below which a shop, and a segment, are too small for a share to mean much.
    private static let shopOrdersMin = 50.0
    private static let segmentOrdersMin = 5.0
    /// Share of the expected orders below which they are thin.
    private static let thinShare = 0.2

    private var partitions: [Partition] = []
    private var segments: [Double] = []
    private var recent = RecentOrders(segments: 0)
    private var newest = Int64.min
    private var oldest = Int64.max
    /// Orders a day of all partitions.
    private var total = 0.0
    /// Whether due moments wait for orders at all.
    var isOn: Bool
    private let lateness: Int64

    init(configuration: SegmentationConfiguration.Churn) {
        isOn = configuration.silenceGuard
        lateness = configuration.latenessMilliseconds
    }

    /// Takes over what a pass over all customers has found.
    mutating func take(_ expectation: Expectation) {
        segments = expectation.segments
        recent = expectation.recent
        for index in partitions.indices { partitions[index].expected = 0 }
        for (index, expected) in expectation.partitions.enumerated() {
            reach(index)
            partitions[index].expected = expected
        }
        total = partitions.reduce(0) { $0 + $1.expected }
    }

    /// Notes an order of a customer.
    mutating func note(orderAt time: Int64, segment: Int, partition: Int) {
        reach(partition)
        partitions[partition].newest = max(partitions[partition].newest, time)
        newest = max(newest, time)
        oldest = min(oldest, time)
        recent.add(time, segment: segment)
    }

    /// Forgets segments, until a pass over all customers has found them again.
    mutating func forgetSegments() {
        segments = []
        recent = RecentOrders(segments: 0)
    }

    /// Forgets all partitions, before what the rows of the present ones remember is noted.
    mutating func forgetPartitions() {
        newest = Int64.min
        oldest = Int64.max
        partitions = []
        total = 0
    }

    /// Ends a hold, as of a version that foretells nothing.
    mutating func open(_ partition: Int) {
        guard partitions.indices.contains(partition) else { return }
        partitions[partition].cause = nil
        partitions[partition].cleared = nil
    }

    private mutating func reach(_ partition: Int) {
        while partitions.count <= partition { partitions.append(Partition()) }
    }

    /// Looks at a partition at its clock, and begins, keeps or ends a hold.
    mutating func look(at partition: Int, clock: Int64) {
        guard isOn, clock > Int64.min, partitions.indices.contains(partition) else { return }
        let cause = cause(for: partitions[partition], at: clock)
        if let cause {
            if partitions[partition].cause == nil { partitions[partition].since = clock }
            partitions[partition].cause = cause
            partitions[partition].last = clock
            partitions[partition].cleared = nil
            return
        }
        guard partitions[partition].cause != nil else { return }
        let cleared = partitions[partition].cleared ?? clock
        partitions[partition].cleared = cleared
        if partitions[partition].newest >= partitions[partition].last
            || clock - cleared >= lateness
        {
            partitions[partition].cause = nil
            partitions[partition].cleared = nil
        }
    }

    /// The clock that a partition's timers go by.
    func clock(of partition: Int, _ clock: Int64) -> Int64 {
        guard isOn, partitions.indices.contains(partition) else { return clock }
        switch partitions[partition].cause {
        case .silent: return min(clock, partitions[partition].newest)
        case .thin: return Int64.min
        case nil: return clock
        }
    }

    private func cause(for partition: Partition, at clock: Int64) -> Cause? {
        func isSilent(_ expected: Double, since newest: Int64) -> Bool {
            guard newest > Int64.min, clock > newest else { return false }
            let days = Double(clock - newest) / Double(DayCalendar.dayMilliseconds)
            return expected * days >= Self.silentOrders
        }
        if isSilent(total, since: newest) || isSilent(partition.expected, since: partition.newest) {
            return .silent
        }
        let now = max(clock, newest)
        // A shop that has just opened had no such day yet.
        guard total >= Self.shopOrdersMin, !segments.isEmpty,
            oldest < now - DayCalendar.dayMilliseconds
        else { return nil }
        var came = 0
        for (segment, expected) in segments.enumerated() {
            let orders = recent.count(ofSegment: segment, before: now)
            came += orders
            if expected >= Self.segmentOrdersMin && Double(orders) >= Self.thinShare * expected {
                return nil
            }
        }
        return Double(came) < Self.thinShare * total ? .thin : nil
    }

    /// Partitions whose timers wait.
    var holding: Int { partitions.count { $0.cause != nil } }

    /// Why timers wait, in words; nil while they do not.
    var reason: String? {
        guard let since = partitions.filter({ $0.cause != nil }).map(\.since).min() else {
            return nil
        }
        let isThin = partitions.contains { $0.cause == .thin }
        var text: [UInt8] = []
        JSONText.appendTime(isThin ? since : newest, to: &text)
        let moment = String(decoding: text, as: UTF8.self)
        return isThin
            ? "since \(moment), fewer than a fifth of the \(Int(total)) orders a day expected"
            : "no order since \(moment), \(Int(total)) a day expected"
    }
}

/// Orders of the last 24 hours by segment, counted by hour.
private struct RecentOrders: Sendable {
    private static let hours: Int64 = 24
    private static let hourMilliseconds: Int64 = 3_600_000
    private let segments: Int
    /// `[24 x K]`, by hour modulo 24.
    private var counts: [Int32]
    private var newestHour = Int64.min

    init(segments: Int) {
        self.segments = segments
        counts = Array(repeating: 0, count: Int(Self.hours) * segments)
    }

    private static func hour(of time: Int64) -> Int64 {
        Int64((Double(time) / Double(hourMilliseconds)).rounded(.down))
    }

    private func place(_ hour: Int64) -> Int {
        Int((hour % Self.hours + Self.hours) % Self.hours) * segments
    }

    mutating func add(_ time: Int64, segment: Int) {
        guard segment >= 0 && segment < segments else { return }
        let hour = Self.hour(of: time)
        if newestHour == Int64.min || hour >= newestHour + Self.hours {
            for index in counts.indices { counts[index] = 0 }
            newestHour = hour
        }
        while newestHour < hour {
            newestHour += 1
            for k in 0..<segments { counts[place(newestHour) + k] = 0 }
        }
        guard hour > newestHour - Self.hours else { return }
        counts[place(hour) + segment] += 1
    }

    /// Orders of a segment in the 24 hours before a moment.
    func count(ofSegment segment: Int, before moment: Int64) -> Int {
        guard newestHour > Int64.min else { return 0 }
        let last = Self.hour(of: moment)
        var sum = 0
        for hour in max(newestHour - Self.hours + 1, last - Self.hours + 1)...max(newestHour, last)
        where hour <= newestHour && hour <= last {
            sum += Int(counts[place(hour) + segment])
        }
        return sum
    }
}
