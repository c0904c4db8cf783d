import OnlineLearning
import Testing

@testable import Segmentation

@Suite struct RestoreTests {
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func abortRestoresStateBytes(seed: UInt64) throws {
        var events = RandomEvents(seed: seed, customers: 60)
        var feeder = Feeder(SmallShop.configuration)
        feeder.core.begin()
        for _ in 0..<400 { feeder.apply(events.next()) }
        feeder.core.commit()
        feeder.core.begin()
        try feeder.refit()
        feeder.core.commit()
        let before = feeder.stateDescription()
        let lines = (0..<300).map { _ in events.next() }

        feeder.output.removeAll()
        feeder.core.begin()
        for line in lines { feeder.apply(line) }
        try feeder.refit()
        let first = feeder.recordLines
        feeder.core.abort()
        #expect(feeder.stateDescription() == before)

        feeder.output.removeAll()
        feeder.core.begin()
        for line in lines { feeder.apply(line) }
        try feeder.refit()
        let second = feeder.recordLines
        #expect(second.count == first.count)
        for (a, b) in zip(first, second) where a != b {
            Issue.record("before the abort: \(a)\nafter it: \(b)")
            break
        }
    }

    @Test(arguments: [5, 6] as [UInt64])
    func aRestoredTableGoesOnAsIfNothingHadHappened(seed: UInt64) throws {
        var events = RandomEvents(seed: seed, customers: 60)
        var learner = Feeder(SmallShop.configuration)
        learner.core.begin()
        for _ in 0..<400 { learner.apply(events.next()) }
        try learner.refit()
        let fitted = learner.core.model
        let model = try #require(fitted)

        var configuration = SmallShop.configuration
        configuration.model.learning = false
        var original = Feeder(configuration, model: model)
        var changelog: [[UInt8]: [UInt8]?] = [:]
        for _ in 0..<6 {
            original.core.begin()
            original.output.removeAll()
            for _ in 0..<80 { original.apply(events.next()) }
            original.core.appendChangelog(into: &original.output)
            for record in original.output.records where record.destination == .changelog {
                let key = Array(original.output.bytes[record.key])
                changelog[key] = .some(record.value.map { Array(original.output.bytes[$0]) })
            }
            original.core.commit()
        }
        var restored = Feeder(configuration, model: model)
        for (key, value) in changelog {
            let bytes = key + (value ?? [])
            try restored.core.restoreRow(
                key: 0..<key.count,
                value: value == nil ? nil : key.count..<bytes.count,
                bytes: bytes,
                partition: 0
            )
        }
        restored.core.finishRestore()
        original.output.removeAll()
        original.core.begin()
        restored.core.begin()
        for _ in 0..<200 {
            let line = events.next()
            original.apply(line)
            restored.apply(line)
        }
        let (expected, found) = (original.recordLines, restored.recordLines)
        #expect(found.count == expected.count)
        for (a, b) in zip(expected, found) where a != b {
            Issue.record("uninterrupted: \(a)\nrestored: \(b)")
            break
        }
        #expect(!restored.output.records.isEmpty)
        // What the first transaction after a restore has changed is in its changelog.
        original.output.removeAll()
        restored.output.removeAll()
        original.core.appendChangelog(into: &original.output)
        restored.core.appendChangelog(into: &restored.output)
        #expect(restored.output.records.count == original.output.records.count)
    }

    @Test func damagedRowsAreRefused() throws {
        var feeder = Feeder(SmallShop.configuration)
        feeder.core.begin()
        var events = RandomEvents(seed: 7, customers: 3)
        for _ in 0..<60 { feeder.apply(events.next()) }
        feeder.output.removeAll()
        feeder.core.appendChangelog(into: &feeder.output)
        let record = try #require(feeder.output.records.first { $0.value != nil })
        let key = Array(feeder.output.bytes[record.key])
        let value = Array(feeder.output.bytes[try #require(record.value)])
        func restore(_ value: [UInt8]) -> Bool {
            var fresh = Feeder(SmallShop.configuration)
            let bytes = key + value
            do {
                try fresh.core.restoreRow(
                    key: 0..<key.count,
                    value: key.count..<bytes.count,
                    bytes: bytes,
                    partition: 0
                )
                return true
            } catch {
                return false
            }
        }
        #expect(restore(value))
        for length in 0..<value.count { #expect(!restore(Array(value[..<length]))) }
        for index in value.indices {
            var damaged = value
            damaged[index] ^= 0x10
            #expect(!restore(damaged), "byte \(index)")
        }
    }
}
