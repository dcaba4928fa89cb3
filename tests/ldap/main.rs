//! The whole server over real sockets, against the simulated authentik: what an LDAP client sees.

mod client;
mod stage;

mod binds;
mod lifecycle;
mod pipelining;
mod searches;
mod special_entries;
mod tls;
