//! Attacks on a real process, each with a budget of processor time, memory and errors of others. Seconds here; the same
//! attacks run long, and with latencies, in `cargo bench --bench hostile`.

mod floods;
mod framing;
mod health;
mod lines;
mod logs;
mod memory;
mod names;
mod process;
mod searches;
mod snapshots;
