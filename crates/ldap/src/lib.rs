//! The LDAP protocol as bytes and values: framing, messages, filters, controls, names and responses.
//!
//! Knows RFC 4511, 4512, 4514, 4515 and 4518. Knows nothing of sockets, runtimes, clocks, the environment, or of
//! what any directory holds; bytes and values come in, bytes and values go out. Nothing here may panic or
//! allocate what a length merely claims, whatever the input.

pub mod ber;
pub mod control;
pub mod dn;
pub mod filter;
pub mod frame;
pub mod message;
pub mod response;
pub mod steps;
pub mod text;
