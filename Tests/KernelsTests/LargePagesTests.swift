import Kernels
import Testing

struct LargePagesTests {
    /// Below a page, around one, and so large that some lie inside.
    @Test(arguments: [0, 1, 1000, LargePages.bytes / 8, 3 * LargePages.bytes / 8 + 5])
    func arraysGrowWithinTheirRoom(capacity: Int) {
        var array: [UInt64] = LargePages.array(capacity: capacity)
        #expect(array.isEmpty && array.capacity >= capacity)
        let room = array.capacity
        for index in 0..<capacity { array.append(UInt64(index)) }
        #expect(array.capacity == room, "it has moved")
        #expect(array.indices.allSatisfy { array[$0] == UInt64($0) } && array.count == capacity)
    }
}
