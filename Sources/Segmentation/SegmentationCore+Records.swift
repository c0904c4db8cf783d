/// Records of the core that are no decisions: steps of the model, tombstones, stubs.
extension SegmentationCore {
    /// The model in force as a document, nil before the first version.
    public var bundle: ModelBundle? {
        model.map { ModelBundle($0, categories: schema.categories) }
    }

    func appendModelStep(_ model: SegmentModel, into output: inout StepOutput) {
        var value: [UInt8] = []
        JSONText.append(
            "{\"version\":\(model.version),\"step\":\(model.step),\"centroids\":[",
            to: &value
        )
        for (index, number) in model.centroids.enumerated() {
            if index > 0 { value.append(UInt8(ascii: ",")) }
            JSONText.append(number, to: &value)
        }
        JSONText.append("]}" as StaticString, to: &value)
        appendModelRecord("step", value, into: &output)
    }

    func appendModelRecord(_ key: String, _ value: [UInt8]?, into output: inout StepOutput) {
        let start = output.bytes.count
        output.bytes.append(contentsOf: key.utf8)
        let middle = output.bytes.count
        if let value { output.bytes.append(contentsOf: value) }
        output.records.append(
            StepOutput.Record(
                destination: .model,
                partition: 0,
                key: start..<middle,
                value: value == nil ? nil : middle..<output.bytes.count,
                headers: output.headers.count..<output.headers.count
            )
        )
    }

    /// Tombstones of an erased customer: output and changelog.
    func appendTombstones(
        id: [UInt8],
        range: Range<Int>,
        partition: Int32,
        into output: inout StepOutput
    ) {
        let start = output.bytes.count
        output.bytes.append(contentsOf: id[range])
        let none = output.headers.count..<output.headers.count
        for destination in [StepOutput.Destination.segments, .changelog] {
            output.records.append(
                StepOutput.Record(
                    destination: destination,
                    partition: partition,
                    key: start..<output.bytes.count,
                    value: nil,
                    headers: none
                )
            )
        }
    }

    /// The stub that keeps late events of an erased customer out.
    func appendSuppression(
        _ key: SuppressionKey,
        partition: Int32,
        into output: inout StepOutput
    ) {
        guard let stub = table.suppressed[key] else { return }
        let ranges = RowCodec.encode(key, stub, into: &output.bytes)
        output.records.append(
            StepOutput.Record(
                destination: .changelog,
                partition: partition,
                key: ranges.key,
                value: ranges.value,
                headers: output.headers.count..<output.headers.count
            )
        )
    }

    /// Drops stubs older than `privacy.suppression`, with a tombstone each.
    public mutating func expireSuppressions(into output: inout StepOutput) {
        guard !table.suppressed.isEmpty else { return }
        for (key, stub) in table.suppressed.sorted(by: { $0.value.time < $1.value.time }) {
            let end = stub.time + configuration.privacy.suppressionMilliseconds
            guard partitionClock(stub.partition) > end else { continue }
            let ranges = RowCodec.encode(key, stub, into: &output.bytes)
            table.setSuppression(key, nil)
            output.records.append(
                StepOutput.Record(
                    destination: .changelog,
                    partition: stub.partition,
                    key: ranges.key,
                    value: nil,
                    headers: output.headers.count..<output.headers.count
                )
            )
        }
    }
}
