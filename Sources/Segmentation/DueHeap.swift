/// The rows that wait for a moment, soonest first, one queue per partition, for every partition has
/// a clock of its own.
///
/// A heap of four children per node whose position of every row is known, so that a moment can be
/// changed and a row taken out in O(log n); a general priority queue (such as HeapModule's) would
/// have to keep what no longer holds, and find it again when a row's number is given to somebody
/// else. Equal moments leave in the order of rows. A queued moment may be sooner than the row's
/// own: putting a row off needs no work here, the caller queues it anew when it comes up.
///
/// - Complexity: 16 bytes a row; no allocation once as many rows have been queued.
struct DueHeap: Sendable {
    private struct Queue: Sendable {
        var moments: [Int64] = []
        var rows: [UInt32] = []
    }

    private var queues: [Queue] = []
    /// Place of a row in its partition's queue.
    private var places: [UInt32] = []
    private static let none = UInt32.max

    /// Rows queued.
    var count: Int { queues.reduce(0) { $0 + $1.rows.count } }

    /// Bytes of memory taken.
    var memoryBytes: Int {
        queues.reduce(places.capacity * 4) { $0 + $1.moments.capacity * 8 + $1.rows.capacity * 4 }
    }

    /// The soonest row of a partition.
    func first(_ partition: Int32) -> (moment: Int64, row: Int)? {
        let index = Int(partition)
        guard index < queues.count, let moment = queues[index].moments.first else { return nil }
        return (moment, Int(queues[index].rows[0]))
    }

    /// The moment a row is queued for, nil when it is not.
    func moment(of row: Int, _ partition: Int32) -> Int64? {
        guard row < places.count, places[row] != Self.none else { return nil }
        return queues[Int(partition)].moments[Int(places[row])]
    }

    /// Queues a row, or changes its moment.
    mutating func set(_ row: Int, _ partition: Int32, to moment: Int64) {
        let index = Int(partition)
        while queues.count <= index { queues.append(Queue()) }
        while places.count <= row { places.append(Self.none) }
        if places[row] == Self.none {
            queues[index].moments.append(moment)
            queues[index].rows.append(UInt32(row))
            rise(queues[index].rows.count - 1, in: index)
            return
        }
        let place = Int(places[row])
        let before = queues[index].moments[place]
        queues[index].moments[place] = moment
        if moment < before { rise(place, in: index) } else { sink(place, in: index) }
    }

    /// Takes a row out, if it is in.
    mutating func remove(_ row: Int, _ partition: Int32) {
        guard row < places.count, places[row] != Self.none else { return }
        let index = Int(partition)
        let place = Int(places[row])
        places[row] = Self.none
        let moment = queues[index].moments.removeLast()
        let last = queues[index].rows.removeLast()
        guard place < queues[index].rows.count else { return }
        queues[index].moments[place] = moment
        queues[index].rows[place] = last
        places[Int(last)] = UInt32(place)
        rise(place, in: index)
        sink(Int(places[Int(last)]), in: index)
    }

    /// Forgets everything and keeps the memory.
    mutating func removeAll() {
        for index in queues.indices {
            queues[index].moments.removeAll(keepingCapacity: true)
            queues[index].rows.removeAll(keepingCapacity: true)
        }
        for row in places.indices { places[row] = Self.none }
    }

    private mutating func rise(_ start: Int, in index: Int) {
        var place = start
        let moment = queues[index].moments[place]
        let row = queues[index].rows[place]
        while place > 0 {
            let parent = (place - 1) / 4
            let above = queues[index].moments[parent]
            let rowAbove = queues[index].rows[parent]
            guard (moment, row) < (above, rowAbove) else { break }
            queues[index].moments[place] = above
            queues[index].rows[place] = rowAbove
            places[Int(rowAbove)] = UInt32(place)
            place = parent
        }
        queues[index].moments[place] = moment
        queues[index].rows[place] = row
        places[Int(row)] = UInt32(place)
    }

    private mutating func sink(_ start: Int, in index: Int) {
        var place = start
        let moment = queues[index].moments[place]
        let row = queues[index].rows[place]
        let end = queues[index].rows.count
        while true {
            let child = 4 * place + 1
            guard child < end else { break }
            var least = child
            for other in (child + 1)..<max(child + 1, min(child + 4, end))
            where (queues[index].moments[other], queues[index].rows[other])
                < (queues[index].moments[least], queues[index].rows[least])
            {
                least = other
            }
            let below = queues[index].moments[least]
            let rowBelow = queues[index].rows[least]
            guard (below, rowBelow) < (moment, row) else { break }
            queues[index].moments[place] = below
            queues[index].rows[place] = rowBelow
            places[Int(rowBelow)] = UInt32(place)
            place = least
        }
        queues[index].moments[place] = moment
        queues[index].rows[place] = row
        places[Int(row)] = UInt32(place)
    }
}
