//! authentik away, for a while or for good: what keeps working, what does not, and that it all comes
//! back.

mod cached_binds;
mod child;
mod event_stream;
mod kills;
mod readiness;
mod session_ends;
mod snapshot_file;
mod token;
mod triggers;
