//! Sockets in: listeners, PROXY protocol, TLS, the connection loop, one connection's LDAP state, the HTTP endpoint.
//!
//! Knows the outpost below it and asks it for answers. Must not know authentik's API.

mod available;
mod config;
mod connection;
mod crowd;
mod foreign;
mod handshake_error;
pub mod http;
mod input;
mod listener;
mod log_limit;
mod operation;
mod poll_on_wake;
mod proxy;
mod record;
pub mod request;
mod rewind;
mod session;
mod sockets;
mod tls;

pub use listener::{Addresses, Server, StartError};
pub use sockets::{InheritError, Inherited, inherited};
