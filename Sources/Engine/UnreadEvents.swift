import EventLog

/// Counts what the group has not read, for every way of placing keys at once.
struct UnreadEvents {
    private let oldCount: Int
    private let newCount: Int
    private var counts: [KeyPartitioner: [RepartitionPlan.Unread]] = [:]
    /// Where events arrive that can only have come since the input has grown.
    private(set) var newPartitions = PartitionerEvidence()

    init(oldCount: Int, newCount: Int) {
        self.oldCount = oldCount
        self.newCount = newCount
        for candidate in KeyPartitioner.allCases { counts[candidate] = [] }
    }

    /// The records that are noted next stand in this partition.
    mutating func begin(_ topicIndex: Int, _ partition: Int32, from offset: Int64) {
        for candidate in KeyPartitioner.allCases {
            counts[candidate]?.append(
                RepartitionPlan.Unread(
                    topicIndex: topicIndex,
                    partition: partition,
                    from: offset
                )
            )
        }
    }

    /// Notes a record; one without a key is nobody's, and rejected wherever it is read.
    mutating func note(_ record: RecordView, of batch: RecordBatch) {
        let key = record.key.map { batch.bytes[$0] } ?? []
        let partition = record.partition
        let isNew = partition >= oldCount
        if isNew && !key.isEmpty { newPartitions.note(key, in: partition, of: newCount) }
        for candidate in KeyPartitioner.allCases {
            guard let list = counts[candidate], !list.isEmpty else { continue }
            let last = list.count - 1
            counts[candidate]?[last].count += 1
            if key.isEmpty || isNew { continue }
            if candidate.partition(of: key, count: newCount) != partition {
                counts[candidate]?[last].leaving += 1
                counts[candidate]?[last].lastLeaving = record.offset
            } else if candidate.partition(of: key, count: oldCount) != partition,
                counts[candidate]?[last].firstArriving == nil
            {
                counts[candidate]?[last].firstArriving = record.offset
            }
        }
    }

    /// Partitions with unread records.
    func unread(_ partitioner: KeyPartitioner) -> [RepartitionPlan.Unread] {
        (counts[partitioner] ?? []).filter { $0.count > 0 }
    }
}
