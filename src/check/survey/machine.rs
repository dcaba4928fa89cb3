//! This machine: who holds its ports, and what a process may have. Finds facts and judges none.

use std::net::SocketAddr;

use futures_util::future::join_all;

use crate::check::facts::MachineFacts;
use crate::check::ports::{self, PortKind};
use crate::config::Config;

/// Looks at all ports at once.
pub(super) async fn survey(config: &Config, is_before_start: bool) -> MachineFacts {
    let listen = &config.listen;
    let lists = [
        (PortKind::Ldap, &listen.ldap),
        (PortKind::Ldaps, &listen.ldaps),
        (PortKind::Http, &listen.metrics),
    ];
    let ports = lists
        .into_iter()
        .flat_map(|(kind, addresses)| addresses.iter().map(move |address| (kind, *address)));
    let held = ports.map(async |(kind, address): (PortKind, SocketAddr)| {
        let problem = if is_before_start {
            ports::not_free(address).await
        } else {
            ports::not_ours(kind, address).await
        };
        (kind.name(), address, problem)
    });
    MachineFacts {
        is_before_start,
        ports: join_all(held).await,
        open_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum,
        max_connections: config.limits.max_connections,
    }
}
