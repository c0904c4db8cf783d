import Segmentation
import ShopSimulator
import TestSupport

/// What a simulation consumes: a small shop, seeded, with everything in it that makes a difference.
struct SimulationInput: Sendable {
    static let partitionCount = 2
    static let group = "simulation"
    static let eventTopic = "events"

    /// One record to append; offsets follow from the order.
    struct Record: Sendable {
        var partition: Int32
        var key: [UInt8]?
        var value: [UInt8]?
        var headers: [StoredHeader]
        var timestamp: Int64
    }

    /// Records in the order in which they are appended.
    private(set) var records: [Record] = []
    private var random: SplitMix64
    private var customers: [[UInt8]] = []

    /// A day, in milliseconds.
    private static let day: Int64 = 86_400_000

    /// Creates the input of a seed: equal seeds give equal bytes.
    init(seed: UInt64, customers: Int = 24, events: Int = 220) {
        random = SplitMix64(seed: seed)
        var shop = ShopSimulator(
            configuration: ShopSimulatorConfiguration(
                customers: customers,
                events: events,
                seed: seed
            )
        )
        var line: [UInt8] = []
        while let event = shop.next(into: &line) {
            let key = event.keyRange.isEmpty ? nil : Array(line[event.keyRange])
            append(key, line, at: event.arrivalTime)
            if let key, !self.customers.contains(key) { self.customers.append(key) }
            addRarities(at: event.arrivalTime)
        }
    }

    /// Adds what a shop brings too seldom for a few hundred records.
    private mutating func addRarities(at time: Int64) {
        guard !customers.isEmpty, random.below(6) == 0 else { return }
        let key = customers[random.below(customers.count)]
        let id = String(decoding: key, as: UTF8.self)
        switch random.below(8) {
        case 0: append(key, Array("{\"type\":\"order.placed\"".utf8), at: time)
        case 1: append(key, nil, at: time)
        case 2: append(key, event("shop.closed", id, at: time), at: time)
        case 3: append(key, event("engagement.visit", id, at: time + 9_999 * Self.day), at: time)
        case 4: append(nil, event("engagement.visit", id, at: time), at: time)
        case 5:
            // Forgotten, too late, and somebody new under the same id.
            append(key, event("privacy.erased", id, at: time), at: time)
            append(key, event("engagement.visit", id, at: time - Self.day), at: time)
            append(key, event("engagement.visit", id, at: time + 1), at: time)
        default:
            // The same record twice: its id tells.
            guard let last = records.last else { return }
            records.append(last)
        }
    }

    private func event(_ type: String, _ customer: String, at time: Int64) -> [UInt8] {
        Array(
            """
            {"id":"r-\(records.count)","type":"\(type)","time":\(time),"customer_id":"\(customer)"}
            """.utf8
        )
    }

    private mutating func append(_ key: [UInt8]?, _ value: [UInt8]?, at time: Int64) {
        let headers =
            records.count % 5 == 0
            ? [StoredHeader("trace", "\(records.count)"), StoredHeader("empty", nil)] : []
        records.append(
            Record(
                partition: Int32(Self.spread(key) % UInt64(Self.partitionCount)),
                key: key,
                value: value,
                headers: headers,
                timestamp: time
            )
        )
    }

    /// Any function of the key will do: who produces the input chooses the partition.
    private static func spread(_ key: [UInt8]?) -> UInt64 {
        (key ?? []).reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 } >> 7
    }

    /// A small configuration with every kind of slot and two categories.
    static func configuration(learning: Bool) -> SegmentationConfiguration {
        var result = SegmentationConfiguration()
        result.group = group
        result.slots = [
            SlotDeclaration(name: "wines", source: .orderAmount(category: "wines")),
            SlotDeclaration(name: "meat", source: .orderAmount(category: "meat")),
            SlotDeclaration(name: "orders", source: .orderCount(channel: nil, discount: nil)),
            SlotDeclaration(name: "income", source: .profile(field: "income")),
            SlotDeclaration(name: "visits", source: .visits),
            SlotDeclaration(
                name: "recent",
                source: .orderAmount(category: nil),
                halfLifeDays: 30
            ),
            SlotDeclaration(name: "last", kind: .moment, source: .lastPurchase),
        ]
        result.features = [
            FeatureDeclaration(name: "wines", form: .log1p("wines")),
            FeatureDeclaration(name: "meat", form: .log1p("meat")),
            FeatureDeclaration(name: "orders", form: .slot("orders")),
            FeatureDeclaration(name: "income", form: .slot("income")),
            FeatureDeclaration(name: "visits", form: .slot("visits")),
            FeatureDeclaration(name: "recent", form: .slot("recent")),
            FeatureDeclaration(name: "silence", form: .daysSince("last")),
        ]
        result.outliers = [OutlierBound(feature: "orders", atLeast: 30)]
        result.model.learning = learning
        result.model.segments = 3
        result.model.components = 2
        result.model.minimumCustomers = 8
        result.model.miniBatch = 16
        result.model.challengers = 2
        result.model.silhouetteSample = 20
        result.churn.minimumRepeatBuyers = 4
        result.churn.minimumHistoryDays = 30
        // Stubs end within a run, at commits, whose moments differ from run to run; nothing here
        // comes so late that it matters.
        result.privacy.suppressionMilliseconds = 10 * day
        return result
    }
}
