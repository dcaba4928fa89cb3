//! How far a connection is from its end.
//!
//! Must not know what brings it there.

/// How far a connection is from its end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// Requests are read.
    Open,
    /// The client will send no more; what is under way is finished, then the connection ends.
    Draining,
    /// The server is ending: nothing more is read, what is under way is finished, then the client is told.
    ShuttingDown,
    /// What is in the buffer is written, then the connection ends.
    Closing,
    /// What is in the buffer is written, then TLS begins.
    StartingTls,
}
