/// A bug put in on purpose, so that a test can show that the simulation would find it.
///
/// Nothing outside of the package can choose one.
package enum EngineMutation: String, Sendable, CaseIterable {
    /// Offsets and outputs are committed before the rows that go with them are produced.
    case commitBeforeProduce
    /// After an abort the consumer goes on where it stands.
    case rewindForgotten
    /// After an abort the core keeps what the transaction changed.
    case pendingLayerKept
    /// A restore ends where nothing more is stable, though the high watermark is not reached.
    case restoreEndsAtStable
    /// A checkpoint says that it holds records that were written while it was copied.
    case checkpointOffsetAhead
}
