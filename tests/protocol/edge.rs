//! The edge: limits and time-outs, hostile clients next to honest ones, PROXY headers, sockets from
//! systemd.

mod hostile;
mod limits;
mod protocols;
mod proxy;
mod sockets;
mod status_page;
