import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// CONTRACT, section 5, and what refits promise (DESIGN, section 6).
struct SegmentModelTests {
    private func learner(
        _ change: (inout SegmentationConfiguration) -> Void = { _ in }
    ) -> TestShop {
        var configuration = TestConfiguration.smartCart()
        configuration.model.learning = true
        configuration.model.minimumCustomers = 4
        change(&configuration)
        return TestShop(configuration)
    }

    private func refit(_ shop: TestShop, isFinal: Bool = false) throws -> SegmentModel {
        shop.core.begin()
        try shop.core.refit(
            at: max(TestConfiguration.start, shop.core.greatestEventTime),
            isFinal: isFinal,
            into: &shop.output
        )
        shop.core.rescore(
            limit: 10_000,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
        shop.core.commit()
        let model = try #require(shop.model)
        let numbers =
            model.mean + model.scale + model.imputation + model.components + model.centroids
            + model.explainedVariance + model.explainedVarianceRatio + model.scoresOfCentroids
            + model.categoryShares + [model.inertia, model.meanOrderValue]
            + model.sweep.map(\.inertia)
        #expect(numbers.allSatisfy { $0.isFinite })
        #expect(model.scale.allSatisfy { $0 > 0 })
        #expect(Set(model.segments.map(\.id)).count == model.segments.count)
        #expect(Set(model.segments.map(\.key)).count == model.segments.count)
        #expect(model.segments.map(\.customers).reduce(0, +) == model.customers)
        #expect(
            model.segments.map(\.trainingCustomers).reduce(0, +) == model.trainingCustomers
        )
        #expect(model.segments.allSatisfy { $0.id >= 1 && $0.id < model.nextSegmentID })
        return model
    }

    @Test func theBundleGivesTheModelBack() throws {
        for model in [try TestModel.shared.get(), try TestModel.fitted(seed: 6, churn: false)] {
            let schema = CompiledSchema(TestConfiguration.smartCart())
            let bundle = ModelBundle(model, categories: schema.categories)
            let json = try bundle.json()
            #expect(try ModelBundle(json: json) == bundle)
            #expect(try ModelBundle(json: json).model(for: schema) == model)
            let pretty = try bundle.json(pretty: true)
            #expect(try ModelBundle(json: pretty) == bundle)
            // Equal models, equal bytes.
            let again = try ModelBundle(json: json).json()
            #expect(again == json)
        }
    }

    /// A version whose risk is learnt from outcomes.
    private func calibrated() throws -> SegmentModel {
        var model = try TestModel.shared.get()
        model.churn?.standardErrors = PurchaseStandardErrors(r: 0.1, alpha: 0.2, a: 0.3, b: 0.4)
        model.calibration = RiskCalibration(
            horizon: 82.0 / 7,
            intercept: 1.0 / 3,
            weights: RiskCalibration.Weights(
                logOdds: 0.1,
                silenceOverGap: 0.2,
                silence: 0.3,
                repeats: -0.7,
                spent: -1.0 / 7
            ),
            shift: -0.8,
            outcomes: 9_000,
            withoutPurchase: 4_000
        )
        return model
    }

    @Test func aCalibrationIsReadBackAsItWasWritten() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        var model = try calibrated()
        let json = try ModelBundle(model, categories: schema.categories).json()
        let read = try ModelBundle(json: json).model(for: schema)
        #expect(read.calibration == model.calibration && read.churn == model.churn)
        model.calibration = nil
        model.calibrationPending = "12 of 200 customers"
        let pending = try ModelBundle(model, categories: schema.categories).json()
        let other = try ModelBundle(json: pending).model(for: schema)
        #expect(other.calibration == nil && other.calibrationPending == "12 of 200 customers")
    }

    @Test func aCalibrationThatWouldLetRisksFallIsRefused() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        let bundle = ModelBundle(try calibrated(), categories: schema.categories)
        let changes: [(inout ModelBundle.Calibration) -> Void] = [
            { $0.log_odds = -0.1 }, { $0.log_silence_over_gap = -1 },
            { $0.silence_30_days = -1e-9 }, { $0.horizon_days = 0 }, { $0.shift = 1e7 },
            { $0.log_spent = -1e300 },
        ]
        for (index, change) in changes.enumerated() {
            var changed = bundle
            var calibration = try #require(changed.churn?.calibration)
            change(&calibration)
            changed.churn?.calibration = calibration
            #expect(throws: ModelMismatch.self, "change \(index)") {
                _ = try changed.model(for: schema)
            }
        }
    }

    @Test func numbersKeepEveryBit() throws {
        var random = SeededGenerator(seed: 61)
        let schema = CompiledSchema(TestConfiguration.smartCart())
        for _ in 0..<20 {
            var model = try TestModel.shared.get()
            for index in model.centroids.indices {
                let value = Double(bitPattern: random.next())
                model.centroids[index] = value.isFinite ? value : 1 / 3
            }
            // Scores would overflow; only what is written is compared.
            let bundle = ModelBundle(model, categories: schema.categories)
            let read = try ModelBundle(json: bundle.json()).model(for: schema)
            #expect(read.centroids == model.centroids)
        }
    }

    @Test func theBundleHasTheKeysOfTheContract() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        func object(_ model: SegmentModel) throws -> [String: Any] {
            let json = try ModelBundle(model, categories: schema.categories).json()
            return try #require(JSONSerialization.jsonObject(with: json) as? [String: Any])
        }
        func keys(_ value: Any?) -> Set<String> { Set((value as? [String: Any] ?? [:]).keys) }
        func first(_ value: Any?) -> Any? { (value as? [Any])?.first }
        let full = try object(try TestModel.shared.get())
        #expect(
            keys(full).isSuperset(of: [
                "version", "step", "trained_at", "customers", "training_customers", "features",
                "pca", "segments", "inertia", "sweep", "elbow_k", "churn", "lineage",
            ])
        )
        #expect(
            keys(first(full["features"])).isSuperset(of: [
                "name", "missing", "imputation", "mean", "scale",
            ])
        )
        #expect(
            keys(full["pca"]).isSuperset(of: [
                "components", "explained_variance", "explained_variance_ratio",
            ])
        )
        #expect(
            keys(first(full["segments"])).isSuperset(of: [
                "id", "key", "name", "strategy", "customers", "training_customers", "centroid",
                "centroid_pca",
            ])
        )
        let segment = first(full["segments"]) as? [String: Any]
        #expect(keys(segment?["centroid"]) == Set(schema.featureNames))
        #expect(keys(first(full["sweep"])) == ["k", "inertia", "silhouette"])
        let one = first(full["sweep"]) as? [String: Any]
        #expect((one?["k"] as? NSNumber)?.intValue == 1 && one?["silhouette"] is NSNull)
        #expect(
            keys(full["churn"]).isSuperset(of: [
                "model", "time_unit", "r", "alpha", "a", "b", "log_likelihood", "calibration",
            ])
        )
        #expect((full["churn"] as? [String: Any])?["time_unit"] as? String == "weeks")
        #expect((full["trained_at"] as? String)?.hasSuffix("Z") == true)
        let bare = try object(try TestModel.fitted(churn: false))
        #expect(bare["churn"] is NSNull)
    }

    @Test func everyDifferenceIsNamed() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        let model = try TestModel.shared.get()
        var bundle = ModelBundle(model, categories: schema.categories)
        bundle.features[0].name = "strange"
        bundle.features[1].scale = 0
        bundle.pca.explained_variance.removeLast()
        bundle.segments[1].id = bundle.segments[0].id
        bundle.segments[2].centroid["age"] = nil
        bundle.churn?.model = "tarot"
        do {
            _ = try bundle.model(for: schema)
            Issue.record("no mismatch")
        } catch {
            let text = error.description
            for word in ["income", "strange", "scale", "pca", "id twice", "lacks", "tarot"] {
                #expect(text.contains(word), "\(word) in \(text)")
            }
        }
    }

    @Test func aModelThatCannotBeComputedWithIsRefused() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        let bundle = ModelBundle(try TestModel.shared.get(), categories: schema.categories)
        let changes: [(inout ModelBundle) -> Void] = [
            { $0.churn?.r = 0 }, { $0.churn?.alpha = -1 }, { $0.churn?.a = nil },
            { $0.churn?.model = "nbd" }, { $0.segments[0].id = 0 },
            { $0.segments[0].id = 70_000 }, { $0.segments = [] }, { $0.version = -1 },
            { $0.features.append($0.features[0]) },
            { $0.pca.components = Array(repeating: $0.pca.components[0], count: 40) },
            { $0.next_segment_id = 1 },
        ]
        for (index, change) in changes.enumerated() {
            var changed = bundle
            change(&changed)
            #expect(throws: ModelMismatch.self, "change \(index)") {
                _ = try changed.model(for: schema)
            }
        }
    }

    @Test func anotherOrderOfFeaturesIsAMismatch() throws {
        let schema = CompiledSchema(TestConfiguration.smartCart())
        var bundle = ModelBundle(try TestModel.shared.get(), categories: schema.categories)
        bundle.features.swapAt(0, 1)
        #expect(throws: ModelMismatch(differences: ["features stand in another order"])) {
            _ = try bundle.model(for: schema)
        }
    }

    @Test func idsAreKeptOnTheSameTable() throws {
        let shop = learner()
        var stream = EventStream(seed: 62, customers: 60)
        for event in stream.population(10) { shop.send(event) }
        let first = try refit(shop)
        #expect(first.segments.map(\.id).sorted() == [1, 2, 3, 4] && first.nextSegmentID == 5)
        let second = try refit(shop)
        #expect(second.version == 2)
        #expect(second.segments.map(\.id) == first.segments.map(\.id))
        #expect(second.segments.map(\.key) == first.segments.map(\.key))
        #expect(second.segments.map(\.customers) == first.segments.map(\.customers))
        #expect(second.nextSegmentID == 5)
        #expect(second.lineage.filter { $0.version == 2 }.allSatisfy { $0.kind == "kept" })
    }

    @Test func idsAreNeverUsedAgain() throws {
        let shop = learner { $0.model.segments = 3 }
        var stream = EventStream(seed: 63, customers: 40)
        var known: Set<Int> = []
        var next = 1
        for _ in 0..<6 {
            for event in stream.population(6) { shop.send(event) }
            let before = Set(shop.core.model?.segments.map(\.id) ?? [])
            let model = try refit(shop)
            let ids = Set(model.segments.map(\.id))
            for id in ids.subtracting(before) {
                #expect(!known.contains(id) && id >= next)
            }
            known.formUnion(ids)
            next = model.nextSegmentID
            #expect(known.allSatisfy { $0 < next })
            // Everyone turns into someone else.
            for index in 0..<40 {
                shop.send(
                    "{\"type\":\"customer.profile\",\"time\":\(stream.time),\"income\":\(index * 1000),\"kids_home\":\(index % 3)}",
                    key: "c\(index)",
                    partition: Int32(index % 2)
                )
            }
        }
    }

    @Test(arguments: 1...12) func fewCustomersFit(count: Int) throws {
        let shop = learner()
        var stream = EventStream(seed: UInt64(count), customers: count)
        for event in stream.population(5) { shop.send(event) }
        let model = try refit(shop)
        #expect(model.segments.count == min(4, max(1, model.trainingCustomers)))
        let final = try refit(shop, isFinal: true)
        for event in stream.events(50) { shop.send(event) }
        let json = try ModelBundle(final, categories: shop.core.schema.categories).json()
        let object = try JSONSerialization.jsonObject(with: json)
        #expect(object is [String: Any])
        #expect(shop.core.assignments().count > 100)
    }

    @Test func peopleWhoAreAllAlikeFit() throws {
        let shop = learner()
        for index in 0..<20 {
            shop.send(#"{"type":"engagement.complaint","time":1767225600000}"#, key: "c\(index)")
        }
        let model = try refit(shop)
        #expect(model.components.allSatisfy { $0 == 0 })
        #expect(model.inertia == 0 && model.scale.allSatisfy { $0 == 1 })
        _ = try refit(shop)
    }

    @Test func outliersAloneTeachNothing() throws {
        let shop = learner()
        for index in 0..<8 {
            shop.send(
                "{\"type\":\"customer.profile\",\"time\":1767225600000,\"income\":\(700_000 + index)}",
                key: "c\(index)"
            )
        }
        shop.core.begin()
        #expect(throws: RefitFailure.self) { try refitAlone(shop) }
        shop.core.commit()
        #expect(!shop.isRefitDue && shop.model == nil)
    }

    private func refitAlone(_ shop: TestShop) throws {
        try shop.core.refit(at: TestConfiguration.start, isFinal: true, into: &shop.output)
    }

    @Test func anEmptyTableTeachesNothing() throws {
        let shop = learner()
        shop.core.begin()
        #expect(throws: RefitFailure.self) { try refitAlone(shop) }
        shop.core.commit()
        shop.send(#"{"type":"engagement.visit","time":1767225600000}"#, key: "c")
        #expect(shop.rejections.isEmpty)
    }

    @Test func aFeatureThatNobodyHasWeighsNothing() throws {
        let shop = learner()
        var stream = EventStream(seed: 64, customers: 40)
        for event in stream.population(6) {
            // Nobody says what they earn.
            shop.send(
                event.json.replacingOccurrences(of: "\"income\"", with: "\"incomf\"")
                    .replacingOccurrences(of: "\"Income\"", with: "\"Incomf\""),
                key: event.customer,
                partition: event.partition
            )
        }
        let model = try refit(shop)
        let d = model.featureCount
        #expect(model.featureNames[0] == "income" && model.isWithoutData[0])
        #expect((0..<model.componentCount).allSatisfy { model.components[$0 * d] == 0 })
        let before = shop.core.table.membership(shop.row("c0"))
        shop.send(
            "{\"type\":\"customer.profile\",\"time\":\(stream.time),\"income\":500000}",
            key: "c0"
        )
        #expect(shop.core.table.membership(shop.row("c0")) == before)
        #expect(shop.number("income", of: "c0") == 500_000)
    }

    @Test func aStepNeverRaisesTheObjective() throws {
        let shop = learner { $0.model.miniBatch = 16 }
        var stream = EventStream(seed: 65, customers: 50)
        stream.erasures = 0
        stream.hasHugeAmounts = false
        for event in stream.population(6) { shop.send(event) }
        let first = try refit(shop)
        for event in stream.events(200) { shop.send(event) }
        let last = try #require(shop.model)
        #expect(last.step >= first.step + 10 && last.version == first.version)
        #expect(last.components == first.components && last.mean == first.mean)
        #expect(last.centroids != first.centroids)
        // After a step, centroids are the means of their members at the moment of the step.
        shop.core.begin()
        var output = StepOutput()
        shop.core.completeMiniBatch(into: &output)
        shop.core.commit()
        let model = try #require(shop.model)
        let time = shop.core.greatestEventTime
        let d = model.featureCount
        for (k, segment) in model.segments.enumerated() {
            let rows = (0..<shop.core.table.rowEnd).filter {
                shop.core.table.isInUse($0) && !shop.core.table.isOutlier($0)
                    && shop.core.table.membership($0) == segment.id
            }
            guard !rows.isEmpty else { continue }
            let values = rows.map { TwoPass.features($0, shop, at: time) }
            for j in 0..<d {
                let mean =
                    values.map { $0[j].isNaN ? model.imputation[j] : $0[j] }.reduce(0, +)
                    / Double(rows.count)
                #expect(abs(model.centroids[k * d + j] - mean) <= 1e-8 * max(1, abs(mean)))
            }
        }
    }

    @Test func theModelTopicRestoresVersionAndStep() throws {
        let shop = learner { $0.model.miniBatch = 16 }
        var stream = EventStream(seed: 66, customers: 50)
        for event in stream.population(6) { shop.send(event) }
        _ = try refit(shop)
        for event in stream.events(100) { shop.send(event) }
        var records: [String: [UInt8]] = [:]
        for record in shop.take() where record.destination == .model {
            records[record.keyText] = record.value
        }
        #expect(Set(records.keys) == ["version/1", "active", "step"])
        let restored = learner()
        try restored.core.restoreModel(records)
        #expect(restored.model == shop.model)
        records["version/1"] = Array("{}".utf8)
        #expect(throws: RestoreFailure.self) { try learner().core.restoreModel(records) }
        records["version/1"] = nil
        #expect(throws: RestoreFailure.self) { try learner().core.restoreModel(records) }
    }

    @Test func refitsComeWhenTheyAreDue() throws {
        let shop = learner { $0.model.minimumCustomers = 20 }
        #expect(!shop.isRefitDue)
        func visit(_ index: Int, _ time: Int64) {
            shop.send("{\"type\":\"engagement.visit\",\"time\":\(time)}", key: "c\(index)")
        }
        let start = TestConfiguration.start
        for index in 0..<19 { visit(index, start + Int64(index)) }
        #expect(!shop.isRefitDue)
        visit(19, start + 19)
        #expect(shop.isRefitDue)
        _ = try refit(shop)
        #expect(!shop.isRefitDue)
        visit(0, start + TestConfiguration.day - 1)
        #expect(!shop.isRefitDue)
        visit(0, start + TestConfiguration.day + 19)
        #expect(shop.isRefitDue)
        _ = try refit(shop)
        for index in 20..<40 { visit(index, start + TestConfiguration.day + 20) }
        #expect(shop.isRefitDue)
    }
}
