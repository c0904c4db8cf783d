/// What a worker writes beside a committed offset: `backfill=END claim=WHO`, and between the two
/// `moving=COUNT` while rows are being moved.
///
/// The end is where the partition ended when the group first got it. The claim names the worker
/// that owns the partition and when it took it: as long as the committed offset carries the same
/// words as a checkpoint, nobody else has written rows in between. The count is that of the
/// partitions for which the changelog is still laid out; no worker begins where it stands.
struct OffsetMetadata: Equatable {
    private static let backfillPrefix = "backfill="
    private static let movingPrefix = " moving="
    private static let claimPrefix = " claim="

    /// Nil where no worker has written one yet.
    var backfillEnd: Int64?
    var moving: Int?
    var claim: String?

    /// Creates one from its parts.
    init(backfillEnd: Int64?, moving: Int? = nil, claim: String?) {
        self.backfillEnd = backfillEnd
        self.moving = moving
        self.claim = claim
    }

    /// Reads what was committed; words of others count as none.
    init(_ text: String) {
        guard text.hasPrefix(Self.backfillPrefix) else { return }
        let rest = text.dropFirst(Self.backfillPrefix.count)
        backfillEnd = Int64(rest.prefix { $0 != " " }) ?? 0
        var end = rest.endIndex
        if let range = rest.firstRange(of: Self.claimPrefix) {
            claim = String(rest[range.upperBound...])
            end = range.lowerBound
        }
        if let range = rest[..<end].firstRange(of: Self.movingPrefix) {
            moving = Int(rest[range.upperBound..<end])
        }
    }

    /// The words to commit.
    var text: String {
        Self.backfillPrefix + String(backfillEnd ?? 0)
            + (moving.map { Self.movingPrefix + String($0) } ?? "")
            + (claim.map { Self.claimPrefix + $0 } ?? "")
    }
}
