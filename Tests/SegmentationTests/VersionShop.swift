import OnlineLearning
import Testing

@testable import Segmentation

/// A learner with what its commits left on the model topic.
final class VersionShop {
    let shop: TestShop
    let configuration: SegmentationConfiguration
    /// The model topic as a table, committed records alone.
    private(set) var topic: [String: [UInt8]] = [:]
    private var stream: EventStream

    init(
        seed: UInt64,
        limit: Double = 0.2,
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        configuration.model.minimumCustomers = 4
        configuration.model.guardLimits.segmentShare = limit
        configuration.model.guardLimits.bandShare = limit
        change(&configuration)
        self.configuration = configuration
        shop = TestShop(configuration)
        // As after a first refit within the limits.
        shop.core.versions.isGuardArmed = true
        stream = EventStream(seed: seed, customers: 60)
        stream.erasures = 0
        stream.hasHugeAmounts = false
    }

    var core: SegmentationCore {
        _read { yield shop.core }
        _modify { yield &shop.core }
    }

    var version: Int { shop.core.model?.version ?? 0 }
    var shadow: Int? { shop.core.shadow?.version }

    /// Runs a transaction and commits it.
    func transaction(_ body: () throws -> Void) rethrows {
        shop.core.begin()
        try body()
        commit()
    }

    func commit() {
        shop.core.commit()
        for record in shop.take() where record.destination == .model {
            topic[record.keyText] = record.value
        }
    }

    func populate() {
        transaction { for event in stream.population(6) { shop.send(event) } }
    }

    func events(_ count: Int) {
        transaction { for event in stream.events(count) { shop.send(event) } }
    }

    /// Everyone turns into someone else, so that a refit moves many.
    func turnAround(_ round: Int) {
        // The newest profile counts.
        stream.time += 60_000
        transaction {
            for index in 0..<60 {
                let place = (index * (7 + round) + round * 13) % 60
                shop.send(
                    "{\"type\":\"customer.profile\",\"time\":\(stream.time),"
                        + "\"income\":\(place < 30 ? 1_000 : 500_000),\"kids_home\":\(place % 3)}",
                    key: "c\(index)",
                    partition: Int32(index % 2)
                )
            }
        }
    }

    func refit(isFinal: Bool = false) throws {
        try transaction {
            try shop.core.refit(
                at: shop.core.greatestEventTime,
                isFinal: isFinal,
                into: &shop.output
            )
        }
    }

    func rescore() {
        while shop.core.isRescoring {
            transaction { rescoreSlice(limit: 17) }
        }
    }

    func rescoreSlice(limit: Int) {
        shop.core.rescore(
            limit: limit,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
    }

    @discardableResult
    func perform(_ command: OperatorCommand) throws -> CommandOutcome {
        var outcome: CommandOutcome?
        try transaction { outcome = try shop.core.perform(command, into: &shop.output) }
        return try #require(outcome)
    }

    /// A first version with every row scored, then a second one that is held back.
    func holdBack() throws {
        populate()
        try refit()
        rescore()
        turnAround(1)
        try refit()
        try #require(version == 1 && shadow == 2, "\(version), \(String(describing: shadow))")
    }

    /// A core that starts with what is on the model topic.
    func restarted(
        model: SegmentModel? = nil,
        onlyNewer: Bool = false
    ) throws -> TestShop {
        let other = TestShop(configuration, model: model)
        try other.core.restoreModel(topic, onlyNewer: onlyNewer)
        return other
    }

    /// Members by a walk over the rows equal the sums that steps are made of.
    func expectMembersCounted() {
        guard let model = shop.core.model else { return }
        shop.core.begin()
        shop.core.commit()
        for (k, segment) in model.segments.enumerated() {
            let rows = (0..<shop.core.table.rowEnd).filter {
                shop.core.table.isInUse($0) && !shop.core.table.isOutlier($0)
                    && shop.core.table.modelVersion($0) == model.version
                    && shop.core.table.membership($0) == segment.id
            }
            #expect(shop.core.statistics.clusters.counts[k] == rows.count, "segment \(segment.id)")
        }
    }
}
