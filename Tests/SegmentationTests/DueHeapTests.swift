import OnlineLearning
import Testing

@testable import Segmentation

/// The queue of due moments against a sorted list.
struct DueHeapTests {
    private struct Waiting: Comparable {
        var moment: Int64
        var row: Int

        static func < (a: Waiting, b: Waiting) -> Bool {
            (a.moment, a.row) < (b.moment, b.row)
        }
    }

    @Test(arguments: 1...6) func theSoonestLeavesFirstWhateverIsChangedOrTakenOut(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var heap = DueHeap()
        var model: [Int32: [Waiting]] = [0: [], 2: []]
        let rows = 1 + random.next(below: 300)
        for step in 0..<6000 {
            let row = random.next(below: rows)
            let partition: Int32 = row % 3 == 0 ? 2 : 0
            // Few different moments, so that many are equal.
            let moment = Int64(random.next(below: 60)) - 20
            let place = model[partition]?.firstIndex { $0.row == row }
            #expect(
                heap.moment(of: row, partition) == place.flatMap { model[partition]?[$0].moment }
            )
            switch random.next(below: 5) {
            case 0:
                heap.remove(row, partition)
                if let place { model[partition]?.remove(at: place) }
            case 1:
                if let first = heap.first(partition) {
                    heap.remove(first.row, partition)
                    model[partition]?.removeAll { $0.row == first.row }
                }
            default:
                heap.set(row, partition, to: moment)
                if let place { model[partition]?.remove(at: place) }
                model[partition]?.append(Waiting(moment: moment, row: row))
            }
            for (partition, list) in model {
                let first = heap.first(partition)
                let least = list.min()
                #expect(first?.moment == least?.moment && first?.row == least?.row, "\(step)")
            }
            #expect(heap.count == model.values.reduce(0) { $0 + $1.count })
        }
        for partition in [Int32(0), 2] {
            var left: [Waiting] = []
            while let first = heap.first(partition) {
                left.append(Waiting(moment: first.moment, row: first.row))
                heap.remove(first.row, partition)
            }
            #expect(left == model[partition]?.sorted())
        }
    }

    @Test func sixteenBytesARowAndNothingMoreOnceItHasGrown() {
        var heap = DueHeap()
        let rows = 1 << 17
        for row in 0..<rows { heap.set(row, 0, to: Int64(row * 7919 % 1009)) }
        let bytes = heap.memoryBytes
        // Arrays double; what is used of them is 16 bytes a row.
        #expect(bytes >= 16 * rows && bytes <= 33 * rows)
        for row in 0..<rows { heap.set(row, 0, to: Int64(row * 104_729 % 2003)) }
        heap.removeAll()
        #expect(heap.first(0) == nil && heap.count == 0)
        for row in 0..<rows { heap.set(row, 0, to: Int64(row)) }
        #expect(heap.memoryBytes == bytes)
    }
}
