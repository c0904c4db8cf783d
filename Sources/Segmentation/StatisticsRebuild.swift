import OnlineLearning

/// Sums that are made anew from the rows, behind a cursor, while the running ones go on.
///
/// ```
///          begin                slices, cursor moves on            cursor at the end
/// none -----------> under way ---------------------------> running sums are replaced, none
/// ```
///
/// A change of a row below the cursor enters both sets of sums, one of a row above it only the
/// running ones: so at any moment these sums are those of the rows below the cursor. The cursor
/// stands still while a transaction is open.
struct StatisticsRebuild: Sendable {
    var sums: RunningSums
    /// Rows below it are in the sums; 0 where nothing is under way.
    var cursor = 0
    var isUnderWay = false

    /// None under way.
    init(sums: RunningSums) { self.sums = sums }

    /// What an abort puts back.
    struct Saved: Sendable {
        fileprivate var sums: RunningSums.Saved
        fileprivate var cursor: Int
        fileprivate var isUnderWay: Bool
    }

    /// Saves the state; nothing may be staged.
    func save() -> Saved { Saved(sums: sums.save(), cursor: cursor, isUnderWay: isUnderWay) }

    /// Puts the state back.
    mutating func restore(_ saved: Saved) {
        sums.restore(saved.sums)
        cursor = saved.cursor
        isUnderWay = saved.isUnderWay
    }
}
