//! Attacks on a real process, each with a budget of processor time, memory and errors of others. Seconds here; the same
//! attacks run long, and with latencies, in `cargo bench --bench hostile`.

#![allow(unreachable_pub, reason = "the harness is written as a library")]
#![allow(dead_code, reason = "the harness serves other tests too")]

use akldap_testing::{client, stage};

mod floods;
mod framing;
mod health;
mod logs;
mod memory;
mod names;
mod process;
mod searches;
mod snapshots;
