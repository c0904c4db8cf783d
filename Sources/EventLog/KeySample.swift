import Foundation

/// Whether the keys of a sample of events are their customers.
///
/// Counts only: no key is kept but as a hash, and none is ever shown.
public struct KeySample: Sendable {
    /// Records looked at.
    public private(set) var recordCount = 0
    /// Records without a key, or with an empty one.
    public private(set) var keylessCount = 0
    /// Records with a null value.
    public private(set) var nullCount = 0
    /// Records whose value is no JSON object.
    public private(set) var unreadableCount = 0
    /// Records that name a customer, and another one than their key.
    public private(set) var mismatchCount = 0
    /// Records that name no customer but by their key.
    public private(set) var unnamedCount = 0
    /// Keys met so far in one partition, by hash.
    private var partitions: [Int: Int32] = [:]
    private var scattered: Set<Int> = []

    /// Different keys.
    public var keyCount: Int { partitions.count }
    /// Keys that stand in more than one partition number.
    public var scatteredCount: Int { scattered.count }

    /// Creates an empty sample.
    public init() {}

    /// Looks at every record of a batch.
    ///
    /// - Complexity: parses each value.
    public mutating func add(_ batch: RecordBatch) {
        for record in batch.records { add(record, of: batch) }
    }

    private mutating func add(_ record: RecordView, of batch: RecordBatch) {
        recordCount += 1
        let key = record.key.map { Array(batch.bytes[$0]) } ?? []
        if key.isEmpty {
            keylessCount += 1
        } else {
            let hash = key.hashValue
            if let other = partitions[hash], other != record.partition {
                scattered.insert(hash)
            }
            partitions[hash] = record.partition
        }
        guard let value = record.value else {
            nullCount += 1
            return
        }
        guard let body = Self.object(batch.bytes[value]) else {
            unreadableCount += 1
            return
        }
        var names = Self.customers(of: body)
        for header in batch.headers[record.headers] {
            if batch.bytes[header.name].elementsEqual("ce_subject".utf8), let value = header.value {
                names.append(String(decoding: batch.bytes[value], as: UTF8.self))
            }
        }
        if names.isEmpty {
            unnamedCount += 1
        } else if !key.isEmpty, names.contains(where: { !key.elementsEqual($0.utf8) }) {
            mismatchCount += 1
        }
    }

    /// The object that a value holds, behind the frame of a schema registry if there is one.
    private static func object(_ value: ArraySlice<UInt8>) -> [String: Any]? {
        let text = value.first == 0 ? value.dropFirst(5) : value
        do {
            return try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any]
        } catch {
            return nil
        }
    }

    /// Customers that an event names: `customer_id`, and `subject` of a CloudEvent.
    private static func customers(of event: [String: Any]) -> [String] {
        var names = ["customer_id", "subject"].compactMap { event[$0] as? String }
        if let data = event["data"] as? [String: Any], let name = data["customer_id"] as? String {
            names.append(name)
        }
        return names
    }
}

extension KeySample {
    /// What the sample says of a topic, or of all topics together.
    ///
    /// - Parameter subject: what was looked at, for example `topic customer-events`.
    /// - Returns: one finding for each thing that is wrong, or one that says that nothing is.
    public func findings(_ subject: String) -> [InspectionFinding] {
        guard recordCount > 0 else {
            return [InspectionFinding(.warning, subject, "has no records to look at keys in")]
        }
        var findings: [InspectionFinding] = []
        func say(_ count: Int, _ grade: InspectionFinding.Grade, _ text: String) {
            guard count > 0 else { return }
            let words = "\(count) of \(recordCount) records \(text)"
            findings.append(InspectionFinding(grade, subject, words))
        }
        say(
            keylessCount,
            keylessCount * 2 > recordCount ? .problem : .warning,
            "have no key: the key has to be the customer; they would be rejected as "
                + "missing_customer"
        )
        say(
            mismatchCount,
            mismatchCount * 2 > recordCount ? .problem : .warning,
            "name another customer than their key, which has to be the customer id itself; they "
                + "would be rejected as key_mismatch"
        )
        say(
            unreadableCount,
            unreadableCount * 2 > recordCount ? .problem : .warning,
            "are no JSON objects; they would be rejected"
        )
        say(
            nullCount,
            .warning,
            "have a null value; privacy.on_null says what becomes of them"
        )
        if scatteredCount > 0 {
            findings.append(
                InspectionFinding(
                    .problem,
                    subject,
                    "\(scatteredCount) of \(keyCount) keys stand in more than one partition: who "
                        + "sends them has to choose the partition by the key alone, in every topic "
                        + "alike"
                )
            )
        }
        if findings.isEmpty {
            let words = "\(keyCount) keys of \(recordCount) newest records"
            let unnamed =
                unnamedCount == recordCount
                ? "; no record names its customer but by the key" : ", each its record's customer"
            findings.append(InspectionFinding(.ok, subject, words + unnamed))
        }
        return findings
    }
}
