import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// The population stability index of features against the version in force.
struct FeatureStabilityTests {
    @Test func theIndexIsTheSumOverTheDeciles() {
        let fitted = FeatureHistogram(of: (0..<1000).map(Double.init))
        #expect(fitted.upper_bounds == (1...9).map { Double($0) * 100 - 1 })
        #expect(fitted.counts == Array(repeating: 100, count: 10) && fitted.missing == 0)
        // Half of the customers leave the upper half for the lower one.
        let moved = (0..<1000).map { Double($0 < 250 || $0 >= 750 ? $0 % 500 : $0) }
        let counts = moved.reduce(into: Array(repeating: 0.0, count: 10)) {
            $0[Int($1) / 100] += 1
        }
        let wanted = counts.reduce(0.0) { sum, count in
            let (e, a) = (100.5 / 1005.5, (count + 0.5) / 1005.5)
            return sum + (a - e) * log(a / e)
        }
        #expect(abs(fitted.stabilityIndex(of: moved) - wanted) < 1e-12 && wanted > 0.25)
        #expect(fitted.stabilityIndex(of: (0..<1000).reversed().map(Double.init)) == 0)
        #expect(fitted.stabilityIndex(of: []) == 0)
    }

    @Test func countsOfAnyBundleCanBeComputedWith() throws {
        let most = Int.max
        let json = "{\"upper_bounds\":[1],\"counts\":[\(most),\(most)],\"missing\":\(most)}"
        let read = try JSONDecoder().decode(FeatureHistogram.self, from: Data(json.utf8))
        #expect(read.mismatch == nil)
        let index = read.stabilityIndex(of: [0, 2, .nan])
        #expect(index >= 0 && index < 1e-9, "a third each, there and here")
    }

    @Test func fewValuesMissingOnesAndConstantsAreSeen() {
        func mixed(_ ones: Int) -> [Double] { (0..<100).map { $0 < ones ? 1 : 0 } }
        for ones in [3, 50, 97] {
            let fitted = FeatureHistogram(of: mixed(ones))
            #expect(fitted.upper_bounds == [0] && fitted.counts == [100 - ones, ones])
            #expect(fitted.stabilityIndex(of: mixed(100 - ones)) > 0.25 || ones == 50)
            #expect(fitted.stabilityIndex(of: mixed(ones)) == 0)
        }
        let constant = FeatureHistogram(of: Array(repeating: 7, count: 100))
        #expect(constant.stabilityIndex(of: Array(repeating: 7, count: 40)) < 0.01)
        #expect(constant.stabilityIndex(of: Array(repeating: 7, count: 60) + [6, 6, 6, 6]) > 0.1)
        #expect(constant.stabilityIndex(of: Array(repeating: 7, count: 60) + [8, 8, 8, 8]) > 0.1)
        let half = FeatureHistogram(of: (0..<100).map { $0 % 2 == 0 ? .nan : Double($0) })
        #expect(half.missing == 50)
        #expect(half.stabilityIndex(of: (0..<100).map(Double.init)) > 0.25)
        let nobody = FeatureHistogram(of: Array(repeating: .nan, count: 9))
        #expect(nobody.stabilityIndex(of: Array(repeating: .nan, count: 9)) == 0)
        #expect(nobody.stabilityIndex(of: [1, 2]) > 0.25)
    }

    private func profile(_ index: Int, _ factor: Double, _ shop: TestShop) {
        let time = TestConfiguration.start + Int64(shop.core.counters.records)
        let income = 20_000 + Double(index * 7919 % 400) * 100
        shop.send(
            "{\"type\":\"customer.profile\",\"time\":\(time),\"income\":\(income * factor),"
                + "\"birth_year\":\(1950 + index % 50),\"kids_home\":\(index % 3)}",
            key: "c\(index)"
        )
    }

    private func fittedShop() throws -> (TestShop, [UInt8]) {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        configuration.model.minimumCustomers = 100
        configuration.model.miniBatch = 64
        let shop = TestShop(configuration)
        for index in 0..<400 { profile(index, 1, shop) }
        shop.core.begin()
        try shop.core.refit(at: shop.core.greatestEventTime, into: &shop.output)
        let context = StepContext(wallMilliseconds: nil, backfill: false)
        #expect(shop.core.featureStability.isEmpty)
        shop.core.rescore(limit: 10_000, context: context, into: &shop.output)
        shop.core.commit()
        let version = shop.take().first { $0.keyText == "version/1" }
        return (shop, try #require(version?.value))
    }

    @Test func aShiftIsSeenInItsFeatureAlone() throws {
        let (shop, document) = try fittedShop()
        let calm = shop.core.featureStability
        #expect(calm.map(\.feature) == shop.core.schema.featureNames)
        #expect(calm.allSatisfy { $0.index < 0.01 })
        shop.core.begin()
        for index in 0..<1_600 { profile(index % 400, 1 + Double(index) / 800, shop) }
        let shifted = shop.core.featureStability
        for (feature, index) in shifted {
            #expect(feature == "income" ? index > 0.25 : index < 0.01, "\(feature) \(index)")
        }
        shop.core.abort()
        #expect(shop.core.featureStability.map(\.index) == calm.map(\.index))

        // The histograms come back with the bundle.
        let bundle = try ModelBundle(json: Data(document))
        let restored = try bundle.model(for: shop.core.schema)
        #expect(restored.histograms == shop.core.model?.histograms)
        #expect(restored.histograms.allSatisfy { $0.counts.reduce($0.missing, +) == 400 })
    }

    @Test func aBundleOfAnEarlierProgramHasNone() throws {
        let (shop, document) = try fittedShop()
        var json =
            try #require(JSONSerialization.jsonObject(with: Data(document)) as? [String: Any])
        var features = try #require(json["features"] as? [[String: Any]])
        for index in features.indices { features[index]["histogram"] = nil }
        json["features"] = features
        let bare = try JSONSerialization.data(withJSONObject: json)
        let model = try ModelBundle(json: bare).model(for: shop.core.schema)
        #expect(model.histograms.isEmpty)
        let other = TestShop(shop.core.configuration, model: model)
        for index in 0..<400 { profile(index, 1, other) }
        other.core.measureStability()
        #expect(other.core.featureStability.isEmpty)
        features[0]["histogram"] = ["upper_bounds": [2, 1], "counts": [1, 2, 3], "missing": 0]
        json["features"] = features
        let broken = try ModelBundle(json: JSONSerialization.data(withJSONObject: json))
        #expect(throws: ModelMismatch.self) { try broken.model(for: shop.core.schema) }
    }

    @Test func manyCustomersAreSampledTheSameWayEachTime() throws {
        let (shop, _) = try fittedShop()
        var evaluator = shop.core.evaluator
        let table = shop.core.table
        func columns(_ seed: UInt64) -> [[Double]] {
            FeatureStability.columns(
                of: table,
                limit: 100,
                seed: seed,
                at: shop.core.greatestEventTime,
                landmarks: shop.core.landmarks,
                evaluator: &evaluator
            )
        }
        let income = try #require(shop.core.schema.featureNames.firstIndex(of: "income"))
        #expect(columns(1)[income] == columns(1)[income])
        #expect(columns(1)[income] != columns(2)[income])
        #expect(columns(1).allSatisfy { $0.count == 100 })
        #expect(columns(1)[income].reduce(0, +) / 100 > 35_000)
    }
}
