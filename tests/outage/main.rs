//! authentik away, for a while or for good: what goes on, what does not, and that it all comes back.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness serves other tests too")]

use akldap_testing::{captured_log, client, scenery, stage};

mod cached_binds;
mod child;
mod event_stream;
mod http;
mod kills;
mod readiness;
mod session_ends;
mod snapshot_file;
mod token;
mod triggers;
