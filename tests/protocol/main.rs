//! What a client can expect on the wire: the operations, the rules of the RFCs, the limits, and that nobody disturbs
//! another.

#![allow(unreachable_pub, reason = "modules that share are written as libraries")]

mod conformance;
mod edge;
mod hostile;
mod ldap;
mod ldap_oracle;
