import OnlineLearning

@testable import Segmentation

/// A shop to which anything happens: what, follows from a seed.
final class PropertyShop {
    let shop: TestShop
    var random: SeededGenerator
    /// Rows added and taken out so far, at most.
    private(set) var changes = 0
    /// Everything sent whose transaction was committed, in order.
    private(set) var sent: [TestEvent] = []
    private var stream: EventStream
    private var number = 0

    /// Creates an empty shop.
    ///
    /// - Parameters:
    ///   - seed: decides everything.
    ///   - model: a given version, nil for none.
    ///   - change: changes the configuration.
    init(
        seed: UInt64,
        model: SegmentModel? = nil,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) {
        var configuration = TestConfiguration.smartCart()
        configuration.model.sweepIntervalMilliseconds = Int64.max / 2
        change(&configuration)
        shop = TestShop(configuration, model: model)
        // Decided at no moment that depends on others.
        shop.wall = 4_000_000_000_000
        random = SeededGenerator(seed: seed)
        let day = Int(TestConfiguration.day)
        // From a minute to many landmarks of the slots that decay, between two events.
        let steps = [60_000, day / 4, 3 * day, 40 * day]
        stream = EventStream(
            seed: seed &+ 7_919,
            customers: 2 + random.next(below: 24),
            stepMax: Int64(steps[random.next(below: steps.count)])
        )
        stream.erasures = [0, 0.02, 0.2][random.next(below: 3)]
        stream.hasHugeAmounts = random.next(below: 2) == 0
        stream.latenessMax = Int64(day * [1, 20, 400][random.next(below: 3)])
    }

    /// The moment that the stream has come to.
    var time: Int64 { max(stream.time, TestConfiguration.start) }

    /// The next events: one in ten has been there before, and is late by now or known already.
    func draw(_ count: Int) -> [TestEvent] {
        (0..<count).map { _ in
            guard !sent.isEmpty, random.next(below: 10) == 0 else { return stream.next() }
            return sent[random.next(below: sent.count)]
        }
    }

    /// A transaction, now and then one that is aborted and done again, in full or in part.
    func transaction(_ events: [TestEvent], aborts: Bool = true) {
        if aborts && random.next(below: 5) == 0 {
            shop.core.begin()
            apply(events)
            shop.core.abort()
            shop.output.removeAll()
        }
        shop.core.begin()
        apply(events)
        shop.core.commit()
        sent += events
        shop.output.removeAll()
    }

    private func apply(_ events: [TestEvent]) {
        for event in events { shop.send(event) }
        changes += events.count
    }

    /// Customers who are there, oldest rows first.
    var customers: [String] {
        let table = shop.core.table
        return (0..<table.rowEnd).filter { table.isInUse($0) }
            .sorted { (table.life($0), $0) < (table.life($1), $1) }
            .map { String(decoding: table.id(of: $0), as: UTF8.self) }
    }

    /// Erasures of customers, at the stream's moment or later.
    func erasures(of customers: some Sequence<String>, later: Int64 = 1) -> [TestEvent] {
        customers.map { customer in
            number += 1
            return TestEvent(
                customer: customer,
                json: "{\"id\":\"erasure-\(number)\",\"type\":\"privacy.erased\","
                    + "\"customer_id\":\"\(customer)\",\"time\":\(time + later)}",
                partition: Int32((Int(customer.dropFirst()) ?? 0) % 2)
            )
        }
    }

    /// The newest half of the customers asks to be forgotten, in one transaction or one by one.
    func eraseNewestHalf() {
        let all = customers
        let erasures = erasures(of: all.suffix((all.count + 1) / 2))
        if random.next(below: 2) == 0 {
            transaction(erasures)
        } else {
            for erasure in erasures { transaction([erasure]) }
        }
    }

    /// Fits a version, and scores the rows by it, or some of them.
    func refit() throws {
        shop.core.begin()
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        let context = StepContext(wallMilliseconds: shop.wall, backfill: false)
        shop.core.rescore(limit: 1 + random.next(below: 40), context: context, into: &shop.output)
        changes += shop.core.table.rowEnd
        shop.core.commit()
        shop.output.removeAll()
    }

    /// Scores every row by the version in force.
    func rescore() {
        shop.core.begin()
        let context = StepContext(wallMilliseconds: shop.wall, backfill: false)
        shop.core.rescore(limit: .max / 2, context: context, into: &shop.output)
        changes += shop.core.table.rowEnd
        shop.core.commit()
        shop.output.removeAll()
    }

    /// A moment within the last or next hundred days.
    func someMoment() -> Int64 {
        max(time, shop.core.greatestEventTime) + Int64(random.next(below: 201) - 100)
            * TestConfiguration.day + Int64(random.next(below: 86_400_000))
    }

    /// Compares the statistics with those of two passes over the table.
    func comparison(at time: Int64) -> StatisticsComparison {
        // Both ends of a transaction bring the statistics up to the table.
        shop.core.begin()
        shop.core.commit()
        let (factors, shifts) = shop.core.evaluator.factors(
            at: time,
            landmarks: shop.core.landmarks
        )
        return StatisticsComparison(
            shop.core.statistics.moments,
            TwoPass(shop, at: time),
            factors: factors,
            shifts: shifts,
            changes: changes,
            rows: shop.core.table.rowEnd,
            schema: shop.core.schema,
            largest: shop.largestAdded
        )
    }

    /// What differs in means, deviations, covariances, medians or sums of segments at a moment.
    func difference(at time: Int64, _ counts: inout (all: Int, loosened: Int)) -> String? {
        let comparison = comparison(at: time)
        counts.all += comparison.counts.all
        counts.loosened += comparison.counts.loosened
        let (factors, shifts) = shop.core.evaluator.factors(
            at: time,
            landmarks: shop.core.landmarks
        )
        let medians = shop.core.statistics.medians(factors: factors, shifts: shifts)
        return comparison.difference
            ?? shop.medianDifference(comparison.expected, medians)
            ?? shop.clusterDifference()
    }

    /// Everything that a row is, as bits.
    func rows() -> [String: [UInt8]] {
        var result: [String: [UInt8]] = [:]
        var block = RowBlock(schema: shop.core.schema)
        let table = shop.core.table
        for row in 0..<table.rowEnd where table.isInUse(row) {
            var bytes: [UInt8] = []
            RowCodec.encode(row, of: table, block: &block, into: &bytes)
            result[String(decoding: table.id(of: row), as: UTF8.self)] = bytes
        }
        return result
    }
}

extension TestShop {
    /// What the running sums know of weights; nil where nothing is forgotten.
    var largestAdded: (weight: Double, terms: [Double])? {
        guard core.schema.forgetting != nil else { return nil }
        let sums = core.statistics.sums
        return (
            sums.largestWeight, (0..<core.schema.featureCount).map { sums.largestTerm(of: $0) }
        )
    }
}
