//! The command line: what the binary can be told to do. Knows the layers only by what it starts.

pub mod args;
pub mod check;
pub mod config;
pub mod core_dump;
pub mod demo;
pub mod diff;
pub mod exit_code;
pub mod flags;
pub mod healthcheck;
mod open_files;
pub mod serve;
mod signals;
mod value;
pub mod version;
