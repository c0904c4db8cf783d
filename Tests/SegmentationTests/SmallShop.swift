import OnlineLearning

@testable import Segmentation

/// A small shop for tests: two categories, a decayed count, a profile, and a category slot.
enum SmallShop {
    static var configuration: SegmentationConfiguration {
        var configuration = SegmentationConfiguration()
        configuration.slots = [
            SlotDeclaration(
                name: "income",
                source: .profile(field: "income"),
                snapshotField: "Income"
            ),
            SlotDeclaration(name: "birth_year", source: .profile(field: "birth_year")),
            SlotDeclaration(
                name: "living",
                kind: .category(
                    groups: [
                        SlotDeclaration.CategoryGroup(name: "Alone", members: ["Single"]),
                        SlotDeclaration.CategoryGroup(name: "Partner", members: ["Married"]),
                    ],
                    defaultGroup: "Alone"
                ),
                source: .profile(field: "marital_status")
            ),
            SlotDeclaration(name: "last", kind: .moment, source: .lastPurchase),
            SlotDeclaration(name: "wines", source: .orderAmount(category: "wines")),
            SlotDeclaration(name: "meat", source: .orderAmount(category: "meat")),
            SlotDeclaration(name: "rest", source: .orderAmount(category: "other")),
            SlotDeclaration(name: "web", source: .orderCount(channel: "web", discount: nil)),
            SlotDeclaration(name: "store", source: .orderCount(channel: "store", discount: nil)),
            SlotDeclaration(name: "deals", source: .orderCount(channel: nil, discount: true)),
            SlotDeclaration(name: "visits", source: .visits, halfLifeDays: 3),
        ]
        configuration.features = [
            FeatureDeclaration(name: "income", form: .slot("income")),
            FeatureDeclaration(name: "age", form: .yearsSince("birth_year")),
            FeatureDeclaration(name: "living", form: .oneHot("living")),
            FeatureDeclaration(name: "recency", form: .daysSince("last")),
            FeatureDeclaration(name: "spent", form: .sum(["wines", "meat", "rest"])),
            FeatureDeclaration(name: "wines", form: .slot("wines")),
            FeatureDeclaration(name: "web", form: .slot("web")),
            FeatureDeclaration(name: "visits", form: .slot("visits")),
        ]
        configuration.outliers = [OutlierBound(feature: "income", atLeast: 1e6)]
        configuration.model.oneHot = .none
        configuration.model.minimumCustomers = 20
        configuration.model.miniBatch = 64
        configuration.model.challengers = 4
        configuration.model.segments = 3
        configuration.assignment.hysteresis = 0
        configuration.churn.minimumRepeatBuyers = 10
        configuration.churn.minimumHistoryDays = 10
        return configuration
    }

    static let start: Int64 = 1_772_323_200_000
    static let day: Int64 = 86_400_000
}

/// Feeds lines to a core as replay does, or as records with a key.
struct Feeder: ~Copyable {
    var core: SegmentationCore
    var output = StepOutput()
    var wall: Int64?

    init(_ configuration: SegmentationConfiguration, model: SegmentModel? = nil) {
        core = SegmentationCore(
            configuration: configuration,
            model: model,
            customerFromBody: true
        )
    }

    /// Applies one line; the customer comes from the key, where there is one.
    mutating func apply(_ line: String, key: String? = nil, partition: Int32 = 0) {
        apply(Array(line.utf8), key: key, partition: partition)
    }

    mutating func apply(
        _ line: [UInt8]?,
        key: String? = nil,
        headers: [(String, String)] = [],
        partition: Int32 = 0
    ) {
        var bytes = Array((key ?? "").utf8)
        let keyRange = key == nil ? nil : 0..<bytes.count
        var views: [InputHeader] = []
        for (name, value) in headers {
            let begin = bytes.count
            bytes += Array(name.utf8)
            let middle = bytes.count
            bytes += Array(value.utf8)
            views.append(InputHeader(name: begin..<middle, value: middle..<bytes.count))
        }
        let begin = bytes.count
        if let line { bytes += line }
        let value = line == nil ? nil : begin..<bytes.count
        bytes += Array(repeating: 0, count: 64)
        core.apply(
            InputRecord(
                key: keyRange,
                value: value,
                headers: 0..<views.count,
                partition: partition,
                timestampMilliseconds: nil
            ),
            recordIndex: 0,
            bytes: bytes,
            headers: views,
            context: StepContext(wallMilliseconds: wall, backfill: false),
            into: &output
        )
    }

    /// Why the last record was rejected, nil when it was not.
    var lastRejection: RejectionReason? { output.rejections.last?.rejection.reason }

    /// Refits now and scores everyone.
    mutating func refit() throws(RefitFailure) {
        try core.refit(at: core.greatestEventTime, into: &output)
        while core.isRescoring {
            core.rescore(
                limit: 100,
                context: StepContext(wallMilliseconds: wall, backfill: false),
                into: &output
            )
        }
    }

    /// Records as lines, so that a difference can be read.
    var recordLines: [String] {
        output.records.map { record in
            String(decoding: output.bytes[record.key], as: UTF8.self) + " "
                + (record.value.map { String(decoding: output.bytes[$0], as: UTF8.self) } ?? "null")
        }
    }

    /// Everything that an abort has to put back, as text.
    func stateDescription() -> String {
        var text = "\(core.counters) \(String(describing: core.model)) \(core.landmarks)"
        text += " \(core.rowChanges) \(core.partitionClocks) \(core.greatestEventTime)"
        text += " \(core.table.count) \(core.table.suppressed.count)"
        for row in 0..<core.table.rowEnd where core.table.isInUse(row) {
            text += "\n\(core.table.id(of: row))"
            for field in 0..<core.table.numbers.stride {
                text += " \(core.table.numbers[row, field].bitPattern)"
            }
            for field in 0..<RowWord.counts { text += " \(Self.content(core.table, row, field))" }
            for k in 0..<core.table.blockWords(row) {
                text += " \(core.table.arena.word(core.table.blockOffset(row), k))"
            }
        }
        return text + "\n\(core.statistics.moments) \(core.statistics.clusters)"
            + " \(core.statistics.sketches.map { $0.median() }) \(core.statistics.changedCustomers)"
    }

    /// A word without where its block lies, which may differ.
    private static func content(_ table: CustomerTable, _ row: Int, _ field: Int) -> UInt64 {
        let word = table.words[row, field]
        return field == RowWord.block ? word >> 32 : word
    }
}

/// A seeded stream of events of the small shop: profiles, orders, reversals, visits, erasures.
struct RandomEvents {
    var generator: SeededGenerator
    let customers: Int
    private var number = 0
    private var time = SmallShop.start

    init(seed: UInt64, customers: Int) {
        generator = SeededGenerator(seed: seed)
        self.customers = customers
    }

    mutating func next() -> String {
        number += 1
        time += Int64(generator.next(below: 3_600_000))
        let customer = generator.next(below: customers)
        let moment =
            time
            - (generator.next(below: 10) == 0 ? Int64(generator.next(below: 5)) * SmallShop.day : 0)
        let head =
            "{\"id\":\"e\(number)\",\"time\":\(moment),\"customer_id\":\"c\(customer)\",\"type\":"
        switch generator.next(below: 20) {
        case 0..<9:
            let wines = generator.next(below: 5_000)
            let meat = generator.next(below: 3_000)
            let rest = generator.next(below: 3) == 0 ? 123 : 0
            let order = generator.next(below: 8) == 0 ? number / 2 : number
            return head
                + "\"order.placed\",\"order_id\":\"o\(order)\",\"amount\":\(Double(wines + meat + rest) / 100),"
                + "\"categories\":{\"wines\":\(Double(wines) / 100),\"meat\":\(Double(meat) / 100)},"
                + "\"channel\":\"\(generator.next(below: 2) == 0 ? "web" : "store")\",\"discount\":\(generator.next(below: 3) == 0)}"
        case 9..<11:
            let order = max(1, number - generator.next(below: 30))
            return head + "\"order.reversed\",\"order_id\":\"o\(order)\","
                + (generator.next(below: 2) == 0 ? "\"full\":true}" : "\"amount\":3.5}")
        case 11..<14:
            let income =
                generator.next(below: 6) == 0 ? "null" : "\(20_000 + generator.next(below: 50_000))"
            let extreme = generator.next(below: 40) == 0 ? "2000000" : income
            return head
                + "\"customer.profile\",\"income\":\(extreme),\"birth_year\":\(1950 + generator.next(below: 50)),"
                + "\"marital_status\":\"\(generator.next(below: 2) == 0 ? "Married" : "Single")\"}"
        case 14..<19: return head + "\"engagement.visit\"}"
        default:
            return generator.next(below: 10) == 0
                ? head + "\"privacy.erased\"}" : head + "\"engagement.visit\"}"
        }
    }
}
