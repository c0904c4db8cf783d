import Glibc

/// Memory that is read at random, in the large pages of the system where it has them.
///
/// A row, its block and its place in the index are in no cache, and with pages of 4 KiB neither is
/// where they are: every read then walks the page tables first, and inside a virtual machine those
/// of its host as well. One page of 2 MiB takes the place of 512, and what it says of them is near
/// at hand more often. Arrays ask for them here, which is enough where
/// `transparent_hugepage/enabled` says `madvise`; elsewhere the answer is the system's own, and
/// nothing but time depends on it.
public enum LargePages {
    /// Bytes of a large page.
    public static let bytes = 2 << 20

    /// Makes an empty array that can grow to a number of elements without moving.
    ///
    /// Nothing of it has been touched, so it takes no more memory than is appended, up to the next
    /// page.
    ///
    /// - Parameter capacity: elements, 0 or more.
    /// - Returns: no elements, and room for `capacity`.
    public static func array<Element: BitwiseCopyable>(capacity: Int) -> [Element] {
        unsafe Array(unsafeUninitializedCapacity: capacity) { buffer, count in
            count = 0
            let whole = UnsafeMutableRawBufferPointer(buffer)
            guard let first = whole.baseAddress else { return }
            let begin = unsafe first.alignedUp(toMultipleOf: bytes)
            let end = unsafe (first + whole.count).alignedDown(toMultipleOf: bytes)
            // A hint: where it is not understood, the memory is as good as any.
            if unsafe begin < end { unsafe madvise(begin, end - begin, MADV_HUGEPAGE) }
        }
    }
}
