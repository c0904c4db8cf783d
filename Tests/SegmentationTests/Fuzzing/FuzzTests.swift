import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// How much is tried: little with every commit, as much as one likes by hand.
///
/// `FUZZ_INPUTS` sets the number of event records; of everything else it is a share. `FUZZ_SEED`
/// sets the seed, so that the same inputs come again.
enum FuzzScale {
    private static func number(_ name: String) -> Int? {
        ProcessInfo.processInfo.environment[name].flatMap { Int($0) }
    }

    static let seed = UInt64(number("FUZZ_SEED") ?? 1)
    static let events = max(1, number("FUZZ_INPUTS") ?? 20_000)

    /// Says what was tried, how fast, and what became of it.
    static func report(
        _ what: String,
        _ count: Int,
        since start: ContinuousClock.Instant,
        _ words: String
    ) {
        let elapsed = ContinuousClock.now - start
        let seconds =
            Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        print(
            "fuzzing \(what), seed \(seed): \(count) inputs in \(Int(seconds)) s, "
                + "\(Int(Double(count) / seconds)) a second; \(words)"
        )
    }
}

/// Events under mutated bytes: nothing crashes, nothing hangs, every refusal has a reason, and what
/// is accepted can be computed with.
@Suite struct EventFuzzTests {
    private let schema = TestShop().core.schema

    private static func decoder(_ customerFromBody: Bool = false) -> EventDecoder {
        let shop = TestShop()
        return EventDecoder(
            configuration: shop.core.configuration,
            schema: shop.core.schema,
            customerFromBody: customerFromBody
        )
    }

    @Test func recordsAreDecodedOrRefusedWithAReason() {
        let start = ContinuousClock.now
        var source = FuzzedEvents(seed: FuzzScale.seed)
        var decoder = Self.decoder()
        // Sees few of the records: what it says of one does not depend on those before.
        var witness = Self.decoder()
        var (event, other) = (CustomerEvent(), CustomerEvent())
        var (accepted, wrong) = (0, 0)
        var reasons: [RejectionReason: Int] = [:]
        for number in 0..<FuzzScale.events {
            source.next()
            let rejection = decoder.decode(
                source.record,
                bytes: source.bytes,
                headers: source.headers,
                to: &event
            )
            if let rejection {
                reasons[rejection.reason, default: 0] += 1
                if source.isValid || rejection.detail.isEmpty { wrong += 1 }
            } else {
                accepted += 1
                if !isSound(event, in: source) { wrong += 1 }
            }
            if number & 63 == 0 {
                let again = witness.decode(
                    source.record,
                    bytes: source.bytes,
                    headers: source.headers,
                    to: &other
                )
                if again != rejection { wrong += 1 }
                if rejection == nil, !isSame(event, other, decoder, witness) { wrong += 1 }
            }
            guard wrong == 0 else {
                let text = String(decoding: source.bytes, as: UTF8.self)
                let outcome = rejection.map { "\($0)" } ?? "\(event)"
                Issue.record("FUZZ_SEED=\(FuzzScale.seed), input \(number): \(outcome) of \(text)")
                return
            }
        }
        let words = RejectionReason.allCases.map { "\($0.rawValue) \(reasons[$0] ?? 0)" }
        FuzzScale.report(
            "events",
            FuzzScale.events,
            since: start,
            "accepted \(accepted), " + words.joined(separator: ", ")
        )
        #expect(accepted > FuzzScale.events / 20)
        // The other reasons need what a record alone does not have.
        for reason in RejectionReason.allCases where ![.futureTime, .tooLarge].contains(reason) {
            #expect(reasons[reason, default: 0] > 0 || FuzzScale.events < 20_000, "\(reason)")
        }
    }

    private func isSound(_ event: CustomerEvent, in source: FuzzedEvents) -> Bool {
        guard abs(Double(event.time)) < EventDecoder.timeMax, !event.customer.isEmpty,
            !event.customerIsInText, event.customer == source.record.key
        else { return false }
        guard event.type == .orderPlaced || event.type == .orderReversed else { return true }
        let total = event.order.total
        return event.orderHash != 0 && total.isFinite && total >= 0
    }

    private func isSame(
        _ a: CustomerEvent,
        _ b: CustomerEvent,
        _ decoder: borrowing EventDecoder,
        _ witness: borrowing EventDecoder
    ) -> Bool {
        guard a.type == b.type, a.time == b.time, a.customer == b.customer,
            a.customerHash == b.customerHash, a.eventHash == b.eventHash
        else { return false }
        switch a.type {
        case .orderPlaced, .orderReversed:
            return a.orderHash == b.orderHash && a.order == b.order && a.flag == b.flag
                && a.hasAmount == b.hasAmount && a.hasCategories == b.hasCategories
        case .profile, .snapshot:
            let (mine, theirs) = (decoder.fields, witness.fields)
            // What stands behind the fields of the type is left from records before.
            let count =
                a.type == .profile ? schema.profileFields.count : schema.snapshotFields.count
            return (0..<count).allSatisfy { index in
                mine.isPresent[index] == theirs.isPresent[index]
                    && (!mine.isPresent[index]
                        || mine.values[index].bitPattern == theirs.values[index].bitPattern)
            }
        default: return true
        }
    }

    /// Events, however odd, move rows, statistics and decisions without a trap, and the rows come
    /// back from their bytes.
    @Test func whateverIsAcceptedCanBeComputedWith() throws {
        let start = ContinuousClock.now
        var source = FuzzedEvents(seed: FuzzScale.seed &+ 1)
        let count = max(1, FuzzScale.events / 20)
        let model = try TestModel.shared.get()
        let configuration = TestConfiguration.smartCart()
        let context = StepContext(wallMilliseconds: 1_772_500_000_000, backfill: false)
        var core = SegmentationCore(configuration: configuration, model: model)
        var output = StepOutput()
        var rows = 0
        core.begin()
        for number in 1...count {
            source.next()
            core.apply(
                source.record,
                recordIndex: 0,
                bytes: source.bytes,
                headers: source.headers,
                context: context,
                into: &output
            )
            guard number % 100 == 0 || number == count else { continue }
            core.expireSuppressions(into: &output)
            core.appendChangelog(into: &output)
            core.commit()
            var restored = SegmentationCore(configuration: configuration, model: model)
            for record in output.records where record.destination == .changelog {
                try restored.restoreRow(
                    key: record.key,
                    value: record.value,
                    bytes: output.bytes,
                    partition: 0
                )
                rows += 1
            }
            restored.finishRestore()
            output.removeAll()
            if number % 5_000 == 0 {
                core = SegmentationCore(configuration: configuration, model: model)
            }
            core.begin()
        }
        FuzzScale.report(
            "the path of events",
            count,
            since: start,
            "\(rows) rows written and restored"
        )
    }
}
