import OnlineLearning
import Testing

@testable import Segmentation

/// The bundle's `imputation` of every feature is its median (CONTRACT, section 5).
struct FeatureMediansTests {
    @Test(arguments: [4, 37, 60]) func theBundleHasTheMedianOfEveryFeature(count: Int) throws {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        configuration.model.minimumCustomers = 4
        let shop = TestShop(configuration)
        var stream = EventStream(seed: UInt64(count), customers: count)
        stream.erasures = 0
        shop.core.begin()
        for event in stream.population(9) { shop.send(event) }
        let time = shop.core.greatestEventTime
        try shop.core.refit(at: time, into: &shop.output)
        shop.core.commit()
        let fitted = try #require(shop.model)
        var evaluator = FeatureEvaluator(schema: shop.core.schema)
        var columns = Array(repeating: [Double](), count: shop.core.schema.featureCount)
        for row in 0..<shop.core.table.rowEnd where shop.core.table.isInUse(row) {
            evaluator.read(row, of: shop.core.table, landmarks: shop.core.landmarks)
            evaluator.evaluate(at: time, imputation: shop.core.noImputation)
            for j in columns.indices where !evaluator.isMissing[j] {
                columns[j].append(evaluator.values[j])
            }
        }
        var moved = 0
        for j in columns.indices where shop.core.schema.missableIndex[j] < 0 {
            let sorted = columns[j].sorted()
            let median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
            let isWhole = sorted.allSatisfy { $0 == $0.rounded() } && abs(median) < 240
            let tolerance = isWhole ? 0 : 0.001 * abs(median)
            #expect(abs(fitted.imputation[j] - median) <= tolerance, "\(fitted.featureNames[j])")
            if median != 0 { moved += 1 }
        }
        #expect(moved > 3)
    }

    @Test func wholeMediansAreExactAndOthersWithinATenthOfAPercent() {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        let feature = schema.missableIndex.firstIndex { $0 < 0 } ?? 0
        func median(_ column: [Double]) -> Double {
            var medians = FeatureMedians(schema: schema)
            for value in column {
                var values = Array(repeating: 0.0, count: schema.featureCount)
                values[feature] = value
                medians.add(values)
            }
            var imputation = Array(repeating: 7.0, count: schema.featureCount)
            medians.write(to: &imputation)
            #expect(schema.missable.allSatisfy { imputation[$0] == 7 })
            return imputation[feature]
        }
        #expect(median([1, 0, 1]) == 1)
        #expect(median([1, 0]) == 0.5)
        #expect(median([-3, 200, 201, 4]) == 102)
        #expect(median([199, 200, 201, 4]) == 199.5)
        #expect(abs(median([0.3, 0.1, 0.7]) - 0.3) <= 0.0003)
        #expect(abs(median([12_345, 12_345]) - 12_345) <= 12.4)
    }
}
