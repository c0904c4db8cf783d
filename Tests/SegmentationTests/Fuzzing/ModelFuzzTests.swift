import Foundation
import OnlineLearning
import Testing

@testable import Segmentation

/// Documents of the model topic under mutated values and bytes.
@Suite struct ModelFuzzTests {
    /// A JSON document in pieces: texts, numbers, words and punctuation.
    private static func pieces(_ document: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = []
        var index = 0
        while index < document.count {
            let start = index
            let isWord = { (byte: UInt8) in
                byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
                    || (0x30...0x39).contains(byte) || (0x61...0x7a).contains(byte | 0x20)
            }
            if document[index] == UInt8(ascii: "\"") {
                index += 1
                while document[index] != UInt8(ascii: "\"") {
                    index += document[index] == UInt8(ascii: "\\") ? 2 : 1
                }
                index += 1
            } else if isWord(document[index]) {
                while index < document.count, isWord(document[index]) { index += 1 }
            } else {
                index += 1
            }
            pieces.append(Array(document[start..<index]))
        }
        return pieces
    }

    private static let odd: [[UInt8]] = [
        "null", "0", "-1", "1", "2", "1e308", "-1e308", "1e-320", "0.5", "9223372036854775807",
        "-9223372036854775808", "9223372036854775808", "65535", "65536", "4294967296", "\"\"",
        "\"nbd\"", "\"mbg_nbd\"", "\"pnbd\"", "true", "[]", "{}", "[0]", "[1,2,3]", "\"x\"", ",",
        "[", "]",
    ].map { Array($0.utf8) }

    private struct Document {
        var pieces: [[UInt8]]

        func changed(_ source: inout FuzzedBytes, _ changes: Int) -> [UInt8] {
            var pieces = pieces
            for _ in 0..<changes where !pieces.isEmpty {
                let index = source.below(pieces.count)
                switch source.below(8) {
                case 0: pieces.remove(at: index)
                case 1: pieces.insert(pieces[source.below(pieces.count)], at: index)
                case 2: pieces[index] = pieces[source.below(pieces.count)]
                case 3: source.change(&pieces[index])
                default:
                    // Values rather than punctuation.
                    let value = (0..<20).lazy.map { (index + $0) % pieces.count }.first {
                        pieces[$0].count > 1 || (0x30...0x39).contains(pieces[$0].first ?? 0)
                    }
                    pieces[value ?? index] =
                        ModelFuzzTests.odd[
                            source.below(ModelFuzzTests.odd.count)
                        ]
                }
            }
            return pieces.flatMap { $0 }
        }
    }

    @Test func documentsAreUsedOrRefusedWithAReason() throws {
        let start = ContinuousClock.now
        let model = try TestModel.shared.get()
        let bundle = ModelBundle(model, categories: TestShop().core.schema.categories)
        let version = Document(pieces: Self.pieces(Array(try bundle.json())))
        let active = Document(
            pieces: Self.pieces(
                Array(
                    """
                    {"version":\(model.version),"highest_version":\(model.version),\
                    "next_segment_id":\(model.nextSegmentID),"decided_at":1772442900000,\
                    "customers":60,"guard_armed":true}
                    """.utf8
                )
            )
        )
        let centroids = model.centroids.map { "\($0)" }.joined(separator: ",")
        let step = Document(
            pieces: Self.pieces(
                Array("{\"version\":\(model.version),\"step\":3,\"centroids\":[\(centroids)]}".utf8)
            )
        )
        let shadow = Document(pieces: Self.pieces(Array("{\"version\":1}".utf8)))
        let count = max(1, FuzzScale.events / 100)
        var source = FuzzedBytes(seed: FuzzScale.seed)
        var (accepted, unchanged, refused) = (0, 0, 0)
        for number in 0..<count {
            let changes = source.below(4)
            let which = source.below(6)
            var records = [
                "active": active.changed(&source, which == 0 ? changes : 0),
                "version/\(model.version)": version.changed(&source, which >= 3 ? changes : 0),
                "step": step.changed(&source, which == 1 ? changes : 0),
            ]
            if which == 2 { records["shadow"] = shadow.changed(&source, changes) }
            let isChanged = changes > 0 || which == 2
            let shop = TestShop()
            do throws(RestoreFailure) {
                try shop.core.restoreModel(records)
            } catch {
                refused += 1
                #expect(isChanged, "\(error)")
                if error.description.isEmpty {
                    Issue.record("FUZZ_SEED=\(FuzzScale.seed), model \(number): no reason")
                }
                continue
            }
            accepted += 1
            if !isChanged { unchanged += 1 }
            if source.below(4) == 0 { compute(shop) }
        }
        FuzzScale.report(
            "models",
            count,
            since: start,
            "\(accepted) accepted, \(unchanged) of them unchanged, \(refused) refused"
        )
        #expect(unchanged > 0 && refused > 0)
    }

    /// Goes on with the model: events, decisions, and the next version.
    private func compute(_ shop: TestShop) {
        var stream = EventStream(seed: 5, customers: 12)
        stream.erasures = 0
        shop.core.begin()
        for event in stream.population(2) { shop.send(event) }
        shop.core.rescore(
            limit: 100,
            context: StepContext(wallMilliseconds: nil, backfill: false),
            into: &shop.output
        )
        shop.core.appendChangelog(into: &shop.output)
        shop.core.commit()
        _ = shop.take()
    }
}
