import Foundation
import ShopSimulator

/// A JSON value of an event.
enum JSONValue: Decodable, Sendable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case text(String)
    case object([String: JSONValue])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else {
            // Each attempt fails with an error that only says: not this one.
            do { self = .text(try container.decode(String.self)) } catch {
                do { self = .number(try container.decode(Double.self)) } catch {
                    do { self = .bool(try container.decode(Bool.self)) } catch {
                        self = .object(try container.decode([String: JSONValue].self))
                    }
                }
            }
        }
    }

    var number: Double? { if case .number(let number) = self { number } else { nil } }
    var text: String? { if case .text(let text) = self { text } else { nil } }
    var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    var object: [String: JSONValue]? { if case .object(let object) = self { object } else { nil } }
}

/// A whole simulated stream, read the way a stranger would read it.
struct ParsedStream: Sendable {
    /// One line with what the simulator says and what a JSON parser finds.
    struct Line: Sendable {
        var bytes: [UInt8]
        var event: SimulatedEvent
        /// Nil where the line is no JSON object.
        var fields: [String: JSONValue]?

        var type: String { text("type") ?? "" }
        var customerID: String { text("customer_id") ?? "" }
        var orderID: String { text("order_id") ?? "" }
        var key: String { String(decoding: bytes[event.keyRange], as: UTF8.self) }
        /// `time` in epoch milliseconds, from text or number; nil if neither.
        var time: Int64? { number("time").map { Int64($0) } ?? ParsedStream.moment(text("time")) }

        func number(_ name: String) -> Double? { fields?[name]?.number }
        func text(_ name: String) -> String? { fields?[name]?.text }
        func bool(_ name: String) -> Bool? { fields?[name]?.bool }
    }

    var lines: [Line] = []
    var truth: [CustomerTruth] = []
    var csv: String = ""

    /// Lines that a reader accepts.
    var good: [Line] { lines.filter { !$0.event.isBroken } }

    init(_ configuration: ShopSimulatorConfiguration) {
        var shop = ShopSimulator(configuration: configuration)
        var bytes: [UInt8] = []
        let decoder = JSONDecoder()
        while let event = shop.next(into: &bytes) {
            let fields: [String: JSONValue]?
            do {
                fields = try decoder.decode([String: JSONValue].self, from: Data(bytes))
            } catch {
                fields = nil
            }
            lines.append(.init(bytes: bytes, event: event, fields: fields))
        }
        truth = shop.truth
        var csvBytes: [UInt8] = []
        shop.writeTruth(into: &csvBytes)
        csv = String(decoding: csvBytes, as: UTF8.self)
    }

    /// The stream that most tests look at: 800 customers, 30,000 lines.
    static let shared = ParsedStream(
        .init(customers: 800, events: 30_000, seed: 20_260_701)
    )

    /// An RFC 3339 moment in epoch milliseconds, nil for anything else.
    static func moment(_ text: String?) -> Int64? {
        guard let text else { return nil }
        do {
            let date = try Date(text, strategy: .iso8601)
            return Int64((date.timeIntervalSince1970 * 1_000).rounded())
        } catch {
            return nil
        }
    }

    /// FNV-1a over every line and what is said about it.
    static func fingerprint(_ configuration: ShopSimulatorConfiguration) -> UInt64 {
        var shop = ShopSimulator(configuration: configuration)
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var bytes: [UInt8] = []
        while let event = shop.next(into: &bytes) {
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            hash = (hash ^ UInt64(bitPattern: event.arrivalTime)) &* 0x100_0000_01B3
        }
        shop.writeTruth(into: &bytes)
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
