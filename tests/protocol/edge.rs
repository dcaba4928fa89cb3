//! The edge: limits and time-outs, hostile clients beside honest ones, PROXY headers, sockets from systemd.

mod hostile;
mod limits;
mod protocols;
mod proxy;
mod sockets;
mod status_page;
