/// What the changelog keeps of an erased customer, as tools see it.
///
/// Its key is a keyed hash: nobody can tell whose it is, so neither in which partition the
/// customer's events will arrive.
public struct ErasureStub: Sendable, Comparable {
    /// Time of the erasure, in milliseconds since 1970.
    public let time: Int64
    /// Life that ended, Int64.min where there was none.
    public let life: Int64

    /// Reads the value of a stub.
    ///
    /// - Parameters:
    ///   - bytes: what the range points into.
    ///   - value: range of the value.
    /// - Throws: `RestoreFailure` for bytes that are no stub of ours.
    public init(_ bytes: [UInt8], value: Range<Int>) throws(RestoreFailure) {
        do throws(RowCodec.Failure) {
            let stub = try RowCodec.decodeStub(bytes, value, partition: 0)
            (time, life) = (stub.time, stub.life)
        } catch {
            throw RestoreFailure(description: "stub of an erasure: " + error.words)
        }
    }

    /// Whether a changelog record is a stub rather than a row.
    public static func isKey(_ bytes: [UInt8], _ key: Range<Int>) -> Bool {
        RowCodec.isStub(bytes, key)
    }

    /// The later erasure is the greater one.
    public static func < (a: ErasureStub, b: ErasureStub) -> Bool {
        (a.time, a.life) < (b.time, b.life)
    }
}
