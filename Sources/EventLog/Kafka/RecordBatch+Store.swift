internal import CLibrdkafka
import Glibc

extension RecordBatch {
    /// Copies bytes behind what is there, in one block.
    ///
    /// - Returns: their range in `bytes`.
    /// - Complexity: O(count); allocates only while the buffer grows to a batch's size.
    public mutating func store(_ source: Span<UInt8>) -> Range<Int> {
        unsafe source.withUnsafeBytes { unsafe store($0) }
    }

    /// Copies bytes that the client owns.
    mutating func store(_ source: UnsafeRawBufferPointer) -> Range<Int> {
        let range = reserve(source.count)
        guard !range.isEmpty else { return range }
        unsafe bytes.withUnsafeMutableBytes { target in
            let slice = unsafe UnsafeMutableRawBufferPointer(rebasing: target[range])
            unsafe slice.copyMemory(from: source)
        }
        return range
    }
}

extension RecordBatch {
    /// Copies a record of the client with its headers.
    mutating func append(_ message: UnsafePointer<rd_kafka_message_t>, topicIndex: Int) {
        let record = unsafe message.pointee
        let key = unsafe store(record.key, record.key_len)
        let value = unsafe store(record.payload, record.len)
        var list: OpaquePointer?
        if unsafe rd_kafka_message_headers(message, &list) == RD_KAFKA_RESP_ERR_NO_ERROR {
            unsafe appendHeaders(list)
        }
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        append(
            topicIndex: topicIndex,
            partition: unsafe record.partition,
            offset: unsafe record.offset,
            timestampMilliseconds: unsafe rd_kafka_message_timestamp(message, &kind),
            key: key,
            value: value
        )
    }

    /// Copies what the client points to; nil when it points to nothing.
    private mutating func store(_ start: UnsafeRawPointer?, _ count: Int) -> Range<Int>? {
        guard let start = unsafe start else { return nil }
        return unsafe store(UnsafeRawBufferPointer(start: start, count: count))
    }

    private mutating func appendHeaders(_ list: OpaquePointer?) {
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var count = 0
        while unsafe rd_kafka_header_get_all(list, index, &name, &value, &count)
            == RD_KAFKA_RESP_ERR_NO_ERROR
        {
            let nameRange = unsafe store(name, name.map { unsafe strlen($0) } ?? 0)
            appendHeader(name: nameRange ?? 0..<0, value: unsafe store(value, count))
            index += 1
        }
    }
}
