//! The whole server over real sockets, against the simulated authentik: what an LDAP client sees.

mod binds;
mod given_attributes;
mod identity;
mod lifecycle;
mod monitor;
mod odd_rows;
mod pipelining;
mod profiles;
mod records;
mod searches;
mod shapes;
mod special_entries;
mod tls;
