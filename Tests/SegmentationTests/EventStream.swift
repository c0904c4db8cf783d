import OnlineLearning

@testable import Segmentation

/// A seeded stream of all kinds of events about a few customers, roughly in order of time.
struct EventStream {
    var random: SeededGenerator
    var customers: Int
    var time: Int64
    /// Longest step of the clock between two events, in milliseconds.
    var stepMax: Int64
    /// How late an event may be, one time in five, in milliseconds.
    var latenessMax: Int64 = 20 * 86_400_000
    /// Share of erasures.
    var erasures = 0.01
    /// Now and then something very large.
    var hasHugeAmounts = true
    private var number = 0

    init(
        seed: UInt64,
        customers: Int,
        start: Int64 = TestConfiguration.start,
        stepMax: Int64 = 6 * 3_600_000
    ) {
        random = SeededGenerator(seed: seed)
        self.customers = customers
        time = start
        self.stepMax = stepMax
    }

    mutating func next() -> TestEvent {
        number += 1
        time += Int64(random.next(below: Int(stepMax)))
        let index = random.next(below: customers)
        let late =
            random.next(below: 5) == 0
            ? Int64(random.next(below: Int(latenessMax / 1000))) * 1000 : 0
        var head =
            "{\"id\":\"e\(number)\",\"customer_id\":\"c\(index)\",\"time\":\(time - late),"
        if random.nextDouble() < erasures {
            head += "\"type\":\"privacy.erased\"}"
        } else {
            head += body(index)
        }
        return TestEvent(customer: "c\(index)", json: head, partition: Int32(index % 2))
    }

    mutating func events(_ count: Int) -> [TestEvent] { (0..<count).map { _ in next() } }

    /// Profiles first, so that a model can be fit.
    mutating func population(_ ordersEach: Int) -> [TestEvent] {
        var result: [TestEvent] = []
        for index in 0..<customers {
            number += 1
            let head = "{\"id\":\"e\(number)\",\"time\":\(time),"
            result.append(
                TestEvent(
                    customer: "c\(index)",
                    json: head + profile(),
                    partition: Int32(index % 2)
                )
            )
        }
        return result + events(customers * ordersEach)
    }

    private mutating func body(_ index: Int) -> String {
        switch random.next(below: 20) {
        case 0, 1: profile()
        case 2: snapshot()
        case 3..<11: order(index)
        case 11: reversal(index)
        case 12..<17: "\"type\":\"engagement.visit\"}"
        case 17, 18:
            "\"type\":\"engagement.campaign\",\"accepted\":\(random.next(below: 2) == 0)}"
        default: "\"type\":\"engagement.complaint\"}"
        }
    }

    private mutating func optional(_ name: String, _ value: String) -> String {
        switch random.next(below: 5) {
        case 0: ""
        case 1: ",\"\(name)\":null"
        default: ",\"\(name)\":\(value)"
        }
    }

    private mutating func profile() -> String {
        let income =
            hasHugeAmounts && random.next(below: 20) == 0
            ? 900_000_000 : 15_000 + random.next(below: 90_000)
        let education = ["Basic", "Graduation", "Master", "PhD", "Odd"][random.next(below: 5)]
        let living = ["Single", "Married", "Together"][random.next(below: 3)]
        return "\"type\":\"customer.profile\""
            + optional("income", "\(income)")
            + optional("birth_year", "\(1930 + random.next(below: 75))")
            + optional("kids_home", "\(random.next(below: 3))")
            + optional("teens_home", "\(random.next(below: 2))")
            + optional("education", "\"\(education)\"")
            + optional("marital_status", "\"\(living)\"")
            + optional(
                "enrolled_at",
                "\"202\(random.next(below: 6))-0\(1 + random.next(below: 9))-11\""
            )
            + "}"
    }

    private mutating func snapshot() -> String {
        "\"type\":\"customer.snapshot\",\"Year_Birth\":\(1940 + random.next(below: 60))"
            + optional("Income", "\(random.next(below: 100_000))")
            + optional("Recency", "\(random.next(below: 100))")
            + optional("Kidhome", "\(random.next(below: 3))")
            + ",\"MntWines\":\(random.next(below: 1000)),\"NumWebVisitsMonth\":\(random.next(below: 9))}"
    }

    private mutating func order(_ index: Int) -> String {
        let wines = Double(random.next(below: 20_000)) / 100
        let meat = Double(random.next(below: 20_000)) / 100
        var total = wines + meat + Double(random.next(below: 1000)) / 100
        if hasHugeAmounts && random.next(below: 50) == 0 { total += 9_000_000 }
        let channel = ["web", "store", "catalog", "phone"][random.next(below: 4)]
        return
            "\"type\":\"order.placed\",\"order_id\":\"c\(index)-\(random.next(below: 60))\",\"amount\":\(total),\"categories\":{\"wines\":\(wines),\"meat\":\(meat)},\"channel\":\"\(channel)\",\"discount\":\(random.next(below: 3) == 0)}"
    }

    private mutating func reversal(_ index: Int) -> String {
        let head =
            "\"type\":\"order.reversed\",\"order_id\":\"c\(index)-\(random.next(below: 60))\""
        return switch random.next(below: 3) {
        case 0: head + ",\"full\":true}"
        case 1: head + ",\"amount\":\(random.next(below: 100))}"
        default: head + ",\"amount\":30,\"categories\":{\"meat\":\(random.next(below: 30))}}"
        }
    }
}

/// Models and churn parameters that tests are given.
enum TestModel {
    /// The version that most tests are given.
    static let shared = Result { try fitted() }

    /// A version fit to a small population, with learning off afterwards.
    static func fitted(
        seed: UInt64 = 5,
        configuration: SegmentationConfiguration = TestConfiguration.smartCart(),
        churn: Bool = true
    ) throws -> SegmentModel {
        var learning = configuration
        learning.model.learning = true
        let shop = TestShop(learning)
        shop.core.learns = true
        var stream = EventStream(seed: seed, customers: 60)
        stream.erasures = 0
        stream.hasHugeAmounts = false
        shop.core.begin()
        for event in stream.population(12) { shop.send(event) }
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        shop.core.commit()
        guard var model = shop.core.model else { throw Missing() }
        if churn {
            model.churn = PurchaseParameters(
                model: .mbgNBD,
                r: 0.9,
                alpha: 4,
                a: 0.8,
                b: 2.5,
                logLikelihood: -100,
                converged: true,
                customers: 200,
                fellBackToNBD: false
            )
            model.churnPending = nil
        }
        return model
    }

    struct Missing: Error {}
}
