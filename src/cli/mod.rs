//! The `cli` layer.

pub mod args;
pub mod healthcheck;
