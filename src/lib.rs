//! akldap: an LDAP and LDAPS server for [authentik](https://goauthentik.io), a drop-in replacement for
//! authentik's own LDAP outpost.
//!
//! Five layers, with arrows that point one way only: `server → outpost → {authentik, directory} → ldap`. Three of them are crates:
//!
//! - [`akldap_ldap`]: bytes of the protocol. Knows no runtime, no clock, no environment, no authentik.
//! - [`akldap_directory`]: an immutable snapshot of users and groups, and queries on it. Equally pure.
//! - [`akldap_authentik`]: HTTP and websocket out to an authentik server.
//!
//! Here are the two above them:
//!
//! - [`outpost`]: the state that changes: providers, refresh, binds, access.
//! - [`server`]: sockets in: listeners, TLS, connections, the HTTP endpoint.
//!
//! Next to them are [`config`], [`logging`] and [`metrics`], [`mod@check`], which says what is wrong with a set-up, [`diff`], which compares two
//! servers as their client, the command line in [`cli`], and [`akldap_simulator`], a faithful authentik for the demo, the tests and the
//! benches.

// Lints that tests need not follow; `Cargo.toml` at the top says which.
#![cfg_attr(
    not(test),
    deny(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::too_many_lines,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

pub mod check;
pub mod cli;
mod clock;
pub mod config;
pub mod diff;
pub mod logging;
mod machine_memory;
pub mod metrics;
pub mod outpost;
pub mod server;
pub mod terminal;
pub mod traces;

#[cfg(test)]
mod circles;
#[cfg(test)]
mod declarations;
#[cfg(test)]
mod layers;
#[cfg(test)]
mod methods;
#[cfg(test)]
mod modules;
#[cfg(test)]
mod sources;
