import Foundation
import Testing

/// One line of `replay --output`, checked against the contract with readers.
struct OutputRecord {
    let key: String
    let headers: [String: String]
    /// Nil for an erased customer.
    let value: [String: Any]?

    private static let texts = [
        "type", "customer_id", "cause", "effective_at", "decided_at", "segment_key",
        "segment_name", "segment_transition", "segment_since", "churn_band", "churn_transition",
        "strategy",
    ]
    private static let textsOrNull = [
        "previous_churn_band", "last_order_at", "expected_next_order_at", "next_review_at",
    ]
    private static let numbers = [
        "life", "revision", "model_version", "model_step", "segment_id", "distance",
        "horizon_days", "orders", "spent",
    ]
    private static let numbersOrNull = [
        "previous_segment_id", "margin", "runner_up_segment_id", "risk", "p_alive",
        "p_no_purchase", "expected_orders", "expected_value",
    ]
    private static let flags = ["backfill", "provisional"]
    private static let lists = ["interests", "reasons", "imputed"]
    /// Names of the values that a field may have.
    private static let choices: [String: Set<String>] = [
        "type": ["segment.changed", "churn.changed"],
        "cause": ["event", "time", "model"],
        "segment_transition": ["none", "entered", "moved"],
        "churn_transition": ["none", "raised", "escalated", "eased", "cleared"],
        "churn_band": ["insufficient_data", "low", "medium", "high"],
    ]

    /// Reads a line and records an issue for everything that is not as promised.
    init(_ line: Substring, group: String = "segmentd") throws {
        let parsed = try JSONSerialization.jsonObject(with: Data(line.utf8))
        let object = try #require(parsed as? [String: Any])
        #expect(Set(object.keys) == ["key", "headers", "value"])
        let key = try #require(object["key"] as? String)
        let headers = try #require(object["headers"] as? [String: String])
        (self.key, self.headers) = (key, headers)
        if object["value"] is NSNull {
            value = nil
            return
        }
        let value = try #require(object["value"] as? [String: Any])
        self.value = value
        let names =
            Self.texts + Self.textsOrNull + Self.numbers + Self.numbersOrNull + Self.flags
            + Self.lists
        #expect(Set(value.keys) == Set(names))
        for name in Self.texts { #expect(value[name] is String, "\(name) of \(key)") }
        for name in Self.textsOrNull {
            #expect(value[name] is String || value[name] is NSNull, "\(name) of \(key)")
        }
        for name in Self.numbers { #expect(value[name] is NSNumber, "\(name) of \(key)") }
        for name in Self.numbersOrNull {
            #expect(value[name] is NSNumber || value[name] is NSNull, "\(name) of \(key)")
        }
        for name in Self.flags { #expect(value[name] is Bool, "\(name) of \(key)") }
        for name in Self.lists { #expect(value[name] is [Any], "\(name) of \(key)") }
        for (name, allowed) in Self.choices {
            #expect(allowed.contains(text(name)), "\(name) of \(key): \(text(name))")
        }
        #expect(text("customer_id") == key)
        #expect(
            headers == [
                "ce_specversion": "1.0", "ce_type": text("type"),
                "content-type": "application/json",
                "ce_id": "\(key)/\(integer("life"))/\(integer("revision"))",
                "ce_source": "segmentd/\(group)", "ce_time": text("effective_at"),
            ]
        )
        #expect(text("segment_transition") != "none" || text("churn_transition") != "none")
    }

    func text(_ name: String) -> String { value?[name] as? String ?? "" }
    func integer(_ name: String) -> Int { value?[name] as? Int ?? -1 }
}

/// Expects the revisions of every life to begin at 1 and to grow by 1.
func expectNoGaps(_ records: [OutputRecord]) {
    var last: [String: Int] = [:]
    for record in records where record.value != nil {
        let life = "\(record.key)/\(record.integer("life"))"
        let expected = last[life, default: 0] + 1
        #expect(record.integer("revision") == expected, "\(life)")
        last[life] = record.integer("revision")
    }
}
