//! Sockets in: listeners, PROXY protocol, TLS, the connection loop, one connection's LDAP state, the HTTP endpoint.
//!
//! Knows the outpost below it and asks it for answers. Must not know authentik's API.

mod connection;
pub mod http;
mod listener;
mod operation;
mod proxy;
mod rewind;
mod session;
mod tls;

pub use listener::{Addresses, Server, StartError};
