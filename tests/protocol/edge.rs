//! The edge: TLS as OpenSSL sees it, limits and time-outs, hostile clients beside honest ones, HAProxy in front.
//!
//! Where a program is not installed its tests say so and pass, unless `AKLDAP_REQUIRE_CLIENTS` is set.

mod haproxy;
mod hostile;
mod limits;
mod nginx;
mod openssl;
mod protocols;
mod proxy;
mod sockets;
