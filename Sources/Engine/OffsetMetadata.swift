/// What a worker writes beside a committed offset: `backfill=END claim=WHO`.
///
/// The end is where the partition ended when the group first got it. The claim names the worker
/// that owns the partition and when it took it: as long as the committed offset carries the same
/// words as a checkpoint, nobody else has written rows in between.
struct OffsetMetadata: Equatable {
    private static let backfillPrefix = "backfill="
    private static let claimPrefix = " claim="

    /// Nil where no worker has written one yet.
    var backfillEnd: Int64?
    var claim: String?

    /// Reads what was committed; words of others count as none.
    init(_ text: String) {
        guard text.hasPrefix(Self.backfillPrefix) else { return }
        let rest = text.dropFirst(Self.backfillPrefix.count)
        backfillEnd = Int64(rest.prefix { $0 != " " }) ?? 0
        guard let range = rest.firstRange(of: Self.claimPrefix) else { return }
        claim = String(rest[range.upperBound...])
    }

    /// The words to commit.
    var text: String {
        Self.backfillPrefix + String(backfillEnd ?? 0) + (claim.map { Self.claimPrefix + $0 } ?? "")
    }
}
