//! What LDAP clients need of the server, over sockets: the conformance table, hostile and unusual input, and the
//! controls in every combination that clients send.

mod controls;
mod input;
mod limits;
mod needs;
mod paging;
mod sorting;
mod table;
