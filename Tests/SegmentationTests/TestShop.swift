import OnlineLearning
import Testing

@testable import Segmentation

/// One record that a step produced, as plain values.
struct ProducedRecord: Equatable {
    var destination: StepOutput.Destination
    var partition: Int32
    var key: [UInt8]
    var value: [UInt8]?
    var headers: [String]

    var keyText: String { String(decoding: key, as: UTF8.self) }
    var text: String { value.map { String(decoding: $0, as: UTF8.self) } ?? "null" }
}

/// A core with everything around it that an engine would supply: records in, values out.
final class TestShop {
    var core: SegmentationCore
    var output = StepOutput()
    var wall: Int64?
    var asOf: Int64?

    init(
        _ configuration: SegmentationConfiguration = TestConfiguration.smartCart(),
        model: SegmentModel? = nil,
        customerFromBody: Bool = false
    ) {
        core = SegmentationCore(
            configuration: configuration,
            model: model,
            customerFromBody: customerFromBody
        )
    }

    /// Applies one record; keys and values are text.
    func send(
        _ value: String?,
        key: String?,
        partition: Int32 = 0,
        timestamp: Int64? = nil,
        headers: [(String, String)] = []
    ) {
        send(
            value.map { Array($0.utf8) },
            keyBytes: key.map { Array($0.utf8) },
            partition: partition,
            timestamp: timestamp,
            headers: headers
        )
    }

    func send(
        _ value: [UInt8]?,
        keyBytes: [UInt8]?,
        partition: Int32 = 0,
        timestamp: Int64? = nil,
        headers: [(String, String)] = []
    ) {
        let batch = TestBatch(
            value: value,
            key: keyBytes,
            partition: partition,
            timestamp: timestamp,
            headers: headers
        )
        core.apply(
            batch.record,
            recordIndex: 0,
            bytes: batch.bytes,
            headers: batch.headers,
            context: StepContext(wallMilliseconds: wall, backfill: false, asOf: asOf),
            into: &output
        )
    }

    func send(_ event: TestEvent) {
        send(event.json, key: event.customer, partition: event.partition)
    }

    /// What was produced since the last call, and empties it.
    func take() -> [ProducedRecord] {
        defer { output.removeAll() }
        return output.records.map { record in
            ProducedRecord(
                destination: record.destination,
                partition: record.partition,
                key: Array(output.bytes[record.key]),
                value: record.value.map { Array(output.bytes[$0]) },
                headers: output.headers[record.headers].map { header in
                    let name = String(decoding: output.bytes[header.name], as: UTF8.self)
                    let value = header.value.map {
                        String(decoding: output.bytes[$0], as: UTF8.self)
                    }
                    return "\(name): \(value ?? "null")"
                }
            )
        }
    }

    var model: SegmentModel? { core.model }
    var isRefitDue: Bool { core.isRefitDue }

    /// Rejections since the last `take`.
    var rejections: [Rejection] { output.rejections.map(\.rejection) }

    func row(_ customer: String) -> Int {
        let id = Array(customer.utf8)
        let range = 0..<id.count
        return core.table.find(
            hash: StableHash.hash(of: id, range: range),
            id: id,
            range: range
        )
    }

    func number(_ slot: String, of customer: String) -> Double {
        guard let index = core.schema.slotNames.firstIndex(of: slot), row(customer) >= 0 else {
            return .nan
        }
        return core.table.numbers[row(customer), index]
    }
}

/// The bytes of one record with the padding that the parser wants.
struct TestBatch {
    var bytes: [UInt8] = []
    var headers: [InputHeader] = []
    var record: InputRecord

    init(
        value: [UInt8]?,
        key: [UInt8]?,
        partition: Int32 = 0,
        timestamp: Int64? = nil,
        headers texts: [(String, String)] = []
    ) {
        func store(_ content: [UInt8], _ bytes: inout [UInt8]) -> Range<Int> {
            let start = bytes.count
            bytes += content
            return start..<bytes.count
        }
        var bytes: [UInt8] = []
        // Something in front, so that a range taken for an index is noticed.
        bytes += Array("front".utf8)
        for (name, text) in texts {
            headers.append(
                InputHeader(
                    name: store(Array(name.utf8), &bytes),
                    value: store(Array(text.utf8), &bytes)
                )
            )
        }
        record = InputRecord(
            key: key.map { store($0, &bytes) },
            value: value.map { store($0, &bytes) },
            headers: 0..<headers.count,
            partition: partition,
            timestampMilliseconds: timestamp
        )
        self.bytes = bytes + [UInt8](repeating: UInt8(ascii: "x"), count: 64)
    }
}

/// An event as text.
struct TestEvent: Equatable {
    var customer: String
    var json: String
    var partition: Int32 = 0
}

/// Configurations of the tests.
enum TestConfiguration {
    static let day = DayCalendar.dayMilliseconds
    /// 2026-01-01T00:00:00Z.
    static let start: Int64 = 1_767_225_600_000

    private static func slot(
        _ name: String,
        _ source: SlotDeclaration.Source,
        snapshot: String? = nil,
        kind: SlotDeclaration.Kind = .number
    ) -> SlotDeclaration {
        SlotDeclaration(name: name, kind: kind, source: source, snapshotField: snapshot)
    }

    /// The slots of the example events, two decayed ones, and features of every form.
    static func smartCart() -> SegmentationConfiguration {
        var configuration = SegmentationConfiguration()
        // A handful of customers whose clock jumps by months; it has tests of its own.
        configuration.churn.silenceGuard = false
        let education = SlotDeclaration.Kind.category(
            groups: [
                .init(name: "Undergraduate", members: ["Basic", "2n Cycle"]),
                .init(name: "Graduate", members: ["Graduation"]),
                .init(name: "Postgraduate", members: ["Master", "PhD"]),
            ],
            defaultGroup: "Undergraduate"
        )
        let living = SlotDeclaration.Kind.category(
            groups: [
                .init(name: "Alone", members: ["Single", "Divorced", "Widow"]),
                .init(name: "Partner", members: ["Married", "Together"]),
            ],
            defaultGroup: "Alone"
        )
        configuration.slots = [
            slot("birth_year", .profile(field: "birth_year"), snapshot: "Year_Birth"),
            slot("income", .profile(field: "income"), snapshot: "Income"),
            slot("kids", .profile(field: "kids_home"), snapshot: "Kidhome"),
            slot("teens", .profile(field: "teens_home"), snapshot: "Teenhome"),
            slot("education", .profile(field: "education"), snapshot: "Education", kind: education),
            slot(
                "living",
                .profile(field: "marital_status"),
                snapshot: "Marital_Status",
                kind: living
            ),
            slot(
                "enrolled",
                .profile(field: "enrolled_at"),
                snapshot: "Dt_Customer",
                kind: .moment
            ),
            SlotDeclaration(
                name: "last_purchase",
                kind: .moment,
                source: .lastPurchase,
                snapshotField: "Recency",
                snapshotIsDaysAgo: true
            ),
            slot("wines", .orderAmount(category: "wines"), snapshot: "MntWines"),
            slot("meat", .orderAmount(category: "meat"), snapshot: "MntMeatProducts"),
            slot("fish", .orderAmount(category: "fish"), snapshot: "MntFishProducts"),
            slot("other", .orderAmount(category: "other"), snapshot: "MntGoldProds"),
            slot(
                "web",
                .orderCount(channel: "web", discount: nil),
                snapshot: "NumWebPurchases"
            ),
            slot(
                "store",
                .orderCount(channel: "store", discount: nil),
                snapshot: "NumStorePurchases"
            ),
            slot("elsewhere", .orderCount(channel: "other", discount: nil)),
            slot(
                "deals",
                .orderCount(channel: nil, discount: true),
                snapshot: "NumDealsPurchases"
            ),
            slot("visits", .visits, snapshot: "NumWebVisitsMonth"),
            slot("accepted", .campaigns(accepted: true), snapshot: "Response"),
            slot("complaints", .complaints, snapshot: "Complain"),
            SlotDeclaration(
                name: "recent_spent",
                source: .orderAmount(category: nil),
                halfLifeDays: 30
            ),
            SlotDeclaration(name: "recent_visits", source: .visits, halfLifeDays: 2),
        ]
        configuration.features = [
            FeatureDeclaration(name: "income", form: .slot("income")),
            FeatureDeclaration(name: "age", form: .yearsSince("birth_year")),
            FeatureDeclaration(name: "recency", form: .daysSince("last_purchase")),
            FeatureDeclaration(name: "tenure", form: .daysSince("enrolled")),
            FeatureDeclaration(name: "children", form: .sum(["kids", "teens"])),
            FeatureDeclaration(name: "spent", form: .sum(["wines", "meat", "fish", "other"])),
            FeatureDeclaration(name: "log_wines", form: .log1p("wines")),
            FeatureDeclaration(name: "web", form: .slot("web")),
            FeatureDeclaration(name: "visits", form: .slot("visits")),
            FeatureDeclaration(name: "recent_spent", form: .slot("recent_spent")),
            FeatureDeclaration(name: "recent_visits", form: .slot("recent_visits")),
            FeatureDeclaration(name: "education", form: .oneHot("education")),
            FeatureDeclaration(name: "living", form: .oneHot("living")),
        ]
        configuration.outliers = [
            OutlierBound(feature: "income", atLeast: 600_000),
            OutlierBound(feature: "age", atLeast: 90),
        ]
        configuration.personas = [
            PersonaDeclaration(
                key: "high-value",
                name: "High value",
                strategy: "Loyalty",
                weights: ["spent": 1, "income": 1]
            ),
            PersonaDeclaration(
                key: "families",
                name: "Families",
                strategy: "Bundles",
                weights: ["children": 1]
            ),
            PersonaDeclaration(
                key: "thrifty",
                name: "Thrifty",
                strategy: "Deals",
                weights: ["spent": -1]
            ),
        ]
        configuration.model.minimumCustomers = 20
        configuration.model.challengers = 3
        configuration.model.learning = false
        return configuration
    }
}
