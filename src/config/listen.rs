//! Where the server listens, and whose PROXY protocol headers it trusts. Knows these settings and what they are read
//! into; must not know what the values are used for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use ipnet::IpNet;

use super::error::{ConfigError, ConfigWarning};
use super::kind::{Listen, Networks};
use super::reader::SettingReader;
use super::setting::{Setting, official};

/// The official default.
const PRIVATE_NETWORKS: &[IpNet] = &[
    v4([127, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    v6([0, 0, 0, 0, 0, 0, 0, 1], 128),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length)
}

const fn v6([a, b, c, d, e, f, g, h]: [u16; 8], length: u8) -> IpNet {
    IpNet::new_assert(IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), length)
}

/// A port on every address of the host.
const fn every_address(port: u16) -> SocketAddr {
    SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0))
}

pub(super) static LISTEN_LDAP: Setting<Listen> = official(
    "AUTHENTIK_LISTEN__LDAP",
    Listen,
    every_address(3389),
    "Where to listen for LDAP with StartTLS: a comma-separated list. [::] also takes IPv4.",
)
.with_flag("listen-ldap");

pub(super) static LISTEN_LDAPS: Setting<Listen> = official(
    "AUTHENTIK_LISTEN__LDAPS",
    Listen,
    every_address(6636),
    "Where to listen for LDAPS: a comma-separated list.",
)
.with_flag("listen-ldaps");

pub(super) static LISTEN_METRICS: Setting<Listen> = official(
    "AUTHENTIK_LISTEN__METRICS",
    Listen,
    every_address(9300),
    "Where to serve metrics, health and readiness over HTTP: a comma-separated list.",
)
.with_flag("listen-http");

pub(super) static TRUSTED_PROXIES: Setting<Networks> = official(
    "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS",
    Networks,
    PRIVATE_NETWORKS,
    "Networks whose PROXY protocol headers are believed on the LDAP ports. `none` believes nobody. Set it to the addresses of your load balancer: with the default any host in a private network can invent client addresses, so the failed-bind limit there also applies to the host itself, ten times as high.",
)
.with_flag("trusted-proxies");

/// Where to listen. No list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenConfig {
    /// LDAP with StartTLS.
    pub ldap: Vec<SocketAddr>,
    /// LDAPS.
    pub ldaps: Vec<SocketAddr>,
    /// HTTP: metrics, health, readiness.
    pub metrics: Vec<SocketAddr>,
    /// Networks whose PROXY protocol headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// Whether an admin named those networks; otherwise they are the official default.
    pub trusted_proxies_set: bool,
}

impl ListenConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        let (trusted_proxies, trusted_proxies_set) =
            reader.networks(&TRUSTED_PROXIES, |name| Some(ConfigWarning::WideTrust { name }))?;
        Ok(Self {
            ldap: reader.value(&LISTEN_LDAP)?,
            ldaps: reader.value(&LISTEN_LDAPS)?,
            metrics: reader.value(&LISTEN_METRICS)?,
            trusted_proxies,
            trusted_proxies_set,
        })
    }
}
