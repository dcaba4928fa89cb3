//! akldap: an LDAP and LDAPS server for [authentik](https://goauthentik.io), a drop-in replacement for
//! authentik's own LDAP outpost.
//!
//! Five layers, and the arrows point one way only: `server → outpost → {authentik, directory} → ldap`.
//!
//! - [`ldap`]: bytes of the protocol. Knows no runtime, no clock, no environment, no authentik.
//! - [`directory`]: an immutable snapshot of users and groups, and questions to it. Equally pure.
//! - [`authentik`]: HTTP and websocket out to an authentik server.
//! - [`outpost`]: the state that changes: providers, refresh, binds, access.
//! - [`server`]: sockets in: listeners, TLS, connections, the HTTP endpoint.
//!
//! Beside them stand [`config`], [`logging`] and [`metrics`], which anything above `directory` may use, the list of
//! [`password_attributes`], the [`simulator`] (a faithful authentik for the demo, the tests and the benches) and the command line in [`cli`].
//! `tests/layers.rs` checks the rule.

pub mod directory;
pub mod ldap;
pub mod password_attributes;

#[cfg(feature = "server")]
pub mod authentik;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod logging;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod outpost;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "demo")]
pub mod simulator;
