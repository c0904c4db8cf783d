import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// Fences of a version: who is beyond them is not learnt from, until another version is in force.
struct OutlierFencesTests {
    @Test func fencesAreTukeys() throws {
        // numpy.percentile([1, 2, 3, 4, 100, 7], [25, 75]) = 2.25, 6.25.
        let fence = OutlierFence(feature: 2, multiple: 1.5, values: [1, 2, 3, 4, 100, 7])
        #expect(fence == OutlierFence(feature: 2, .init(lower: -3.75, upper: 12.25)))
        #expect(OutlierFence(feature: 0, multiple: 1.5, values: []) == nil)
        #expect(OutlierFence(feature: 0, multiple: 1.5, values: [5]) == nil)
        #expect(OutlierFence(feature: 0, multiple: 1.5, values: [5, 5, 5, 5, 5, 9]) == nil)
    }

    @Test func aFenceOnWhatTimeMovesIsRefused() {
        func problems(_ bound: OutlierBound) -> [ConfigurationProblem] {
            var configuration = TestConfiguration.smartCart()
            configuration.outliers = [bound]
            return configuration.validate()
        }
        for feature in ["age", "recency", "recent_spent"] {
            #expect(
                problems(OutlierBound(feature: feature, fence: 1.5)) == [
                    ConfigurationProblem(
                        key: "outliers.\(feature).fence",
                        rule:
                            "cannot be on a feature that moves with time; use at_least or at_most"
                    )
                ]
            )
        }
        #expect(problems(OutlierBound(feature: "income", fence: 1.5)).isEmpty)
        for multiple in [0, -1, .nan, 101] {
            #expect(problems(OutlierBound(feature: "income", fence: multiple)).count == 1)
        }
    }

    private static func fenced(_ configuration: inout SegmentationConfiguration) {
        configuration.outliers = [
            OutlierBound(feature: "income", fence: 1.5),
            OutlierBound(feature: "age", atLeast: 90),
        ]
    }

    /// Every row is flagged as the fences and bounds say, and the sums hold the others alone.
    private func expectFlags(_ core: borrowing SegmentationCore, by fences: [OutlierFence]) {
        var evaluator = core.evaluator
        var within = 0
        for row in 0..<core.table.rowEnd where core.table.isInUse(row) {
            evaluator.read(row, of: core.table, landmarks: core.landmarks)
            evaluator.evaluate(at: core.greatestEventTime, imputation: core.noImputation)
            let isBeyond = fences.contains { fence in
                let value = evaluator.values[fence.feature]
                return !evaluator.isMissing[fence.feature]
                    && (value < fence.lower || value > fence.upper)
            }
            #expect(core.table.isOutlier(row) == (isBeyond || evaluator.isOutlier))
            if !core.table.isOutlier(row) { within += 1 }
        }
        #expect(core.statistics.moments.count == Double(within))
    }

    /// Incomes of 60 customers from 20,000 up, in steps of 500, one of them ten times that.
    private func incomes(_ version: VersionShop, _ factor: Double, round: Int64) {
        version.transaction {
            for index in 0..<60 {
                let income = (20_000 + Double(index) * 500) * (index == 7 ? 10 : factor)
                let time = TestConfiguration.start + round * 40 * TestConfiguration.day
                version.shop.send(
                    "{\"type\":\"customer.profile\",\"time\":\(time),\"income\":\(income),"
                        + "\"birth_year\":1970,\"kids_home\":\(index % 3)}",
                    key: "c\(index)"
                )
            }
        }
    }

    @Test func fencesAreFrozenInTheVersion() throws {
        let version = VersionShop(seed: 1, Self.fenced)
        incomes(version, 1, round: 0)
        try version.refit()
        version.rescore()
        let model = try #require(version.model)
        #expect(model.fences.count == 1 && model.trainingCustomers == 59)
        expectFlags(version.core, by: model.fences)
        // Two others go beyond and one of them comes back; the fence stays where it was.
        for (index, income) in [(1, 1e6), (2, 1e6), (1, 30_000.0)] {
            version.transaction {
                version.shop.send(
                    "{\"type\":\"customer.profile\","
                        + "\"time\":\(version.core.greatestEventTime + 1),\"income\":\(income)}",
                    key: "c\(index)"
                )
            }
            expectFlags(version.core, by: model.fences)
        }
        #expect(version.core.statistics.moments.count == 58)

        // The bundle brings the fences along, whatever is declared.
        let document = try #require(version.topic["version/1"])
        let bundle = try ModelBundle(json: Data(document)).model(for: version.core.schema)
        #expect(bundle.fences == model.fences)
        let other = TestShop(TestConfiguration.smartCart(), model: bundle)
        let profile = "{\"type\":\"customer.profile\",\"time\":1,\"income\":"
        other.send(profile + "1000000}", key: "far")
        other.send(profile + "30000}", key: "near")
        other.send("{\"type\":\"engagement.visit\",\"time\":1}", key: "unknown")
        #expect(other.core.table.isOutlier(other.row("far")))
        #expect(!other.core.table.isOutlier(other.row("near")))
        #expect(!other.core.table.isOutlier(other.row("unknown")))
    }

    @Test func aVersionThatWaitsHasNoFencesInForce() throws {
        let version = VersionShop(seed: 2, limit: 0, Self.fenced)
        incomes(version, 1, round: 0)
        try version.refit()
        version.rescore()
        let first = try #require(version.model).fences
        // Everyone but one earns so much that the first fence has nearly all beyond it.
        incomes(version, 6, round: 1)
        version.turnAround(1)
        incomes(version, 6, round: 2)
        try version.refit()
        try #require(version.version == 1 && version.shadow == 2)
        let second = try #require(version.waiting).fences
        #expect(second != first && second.count == 1)
        expectFlags(version.core, by: first)

        // Accepted it takes over, and rows that it has not scored go back with the old one.
        try version.perform(.accept(version: 2))
        expectFlags(version.core, by: second)
        version.transaction { version.rescoreSlice(limit: 17) }
        expectFlags(version.core, by: second)
        try version.perform(.rollback(version: 1))
        expectFlags(version.core, by: first)
        version.rescore()
        expectFlags(version.core, by: first)
        version.expectMembersCounted()
    }

    /// Fences so narrow that everybody is beyond one of them leave nobody to learn from.
    @Test func aRefitThatFailsPutsTheFencesInForceBack() throws {
        let version = VersionShop(seed: 3) { configuration in
            configuration.outliers = [
                OutlierBound(feature: "income", fence: 0.01),
                OutlierBound(feature: "visits", fence: 0.01),
            ]
        }
        func snapshots(_ numbers: (Int) -> (income: Int, visits: Int)) {
            version.transaction {
                for index in 0..<60 {
                    let (income, visits) = numbers(index)
                    version.shop.send(
                        "{\"type\":\"customer.snapshot\",\"time\":\(TestConfiguration.start),"
                            + "\"Income\":\(income),\"NumWebVisitsMonth\":\(visits)}",
                        key: "c\(index)"
                    )
                }
            }
        }
        // All visits are alike, so only incomes have a fence.
        snapshots { (20_000 + 500 * $0, 0) }
        try version.refit()
        version.rescore()
        let first = try #require(version.model).fences
        #expect(first.count == 1)
        // Half are beyond by income now, and the others would be by visits.
        snapshots { index in
            let isFirst = index % 4 < 2
            return index % 2 == 0
                ? (30_000, isFirst ? 0 : 20) : (isFirst ? 1_000 : 100_000, 10)
        }
        expectFlags(version.core, by: first)
        let before = try #require(version.model)
        version.core.begin()
        #expect(throws: RefitFailure.self) {
            try version.core.refit(
                at: version.core.greatestEventTime,
                into: &version.shop.output
            )
        }
        expectFlags(version.core, by: first)
        version.commit()
        expectFlags(version.core, by: first)
        #expect(version.core.statistics.moments.count == 30 && version.model == before)
        version.expectMembersCounted()
        // The next try waits for an hour of events.
        #expect(version.core.refitReason == nil)
    }

    @Test func timeDoesNotBringBackWhoIsBeyondAFence() throws {
        let version = VersionShop(seed: 4, Self.fenced)
        incomes(version, 1, round: 0)
        // Of no age, so that no bound is ever crossed that would agree with the fence.
        version.transaction {
            version.shop.send(
                "{\"type\":\"customer.profile\",\"time\":\(TestConfiguration.start),"
                    + "\"income\":900000}",
                key: "ageless"
            )
        }
        try version.refit()
        version.rescore()
        let ageless = version.shop.row("ageless")
        #expect(version.core.table.isOutlier(ageless))
        #expect(version.core.table.due(ageless) == DueMoment.never)
        let table = version.core.table
        version.core.evaluator.read(ageless, of: table, landmarks: version.core.landmarks)
        #expect(
            version.core.nextDue(of: ageless, after: TestConfiguration.start) == DueMoment.never
        )
        let far = version.shop.row("c7")
        let near = version.shop.row("c8")
        #expect(version.core.table.isOutlier(far) && !version.core.table.isOutlier(near))
        #expect(version.core.nextReview(of: far) == nil)
        #expect(version.core.nextReview(of: near) != nil)
        version.core.advanceClock(
            to: TestConfiguration.start + 20_000 * TestConfiguration.day
        )
        version.shop.decideDue()
        #expect(version.core.table.isOutlier(far) && version.core.table.isOutlier(near))
    }
}

extension VersionShop {
    fileprivate var model: SegmentModel? { shop.core.model }
    fileprivate var waiting: SegmentModel? { shop.core.shadow }
}
