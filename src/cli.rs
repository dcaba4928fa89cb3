//! The command line: what the binary can be told to do. Knows only those layers that it starts.

pub mod args;
pub mod check;
pub mod complaint;
pub mod config;
pub mod core_dump;
pub mod demo;
pub mod diff;
pub mod exit_code;
pub mod flags;
pub mod healthcheck;
mod open_files;
pub mod output;
mod password_file;
pub mod serve;
mod signals;
pub mod usage;
mod value;
pub mod version;
