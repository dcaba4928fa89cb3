//! The status page: whether it is served, and to whom. Knows these settings and what they are read into; must not know what the page
//! says.

use ipnet::IpNet;

use super::error::ConfigError;
use super::kind::{HostNames, Networks, Switch};
use super::reader::SettingReader;
use super::setting::{Setting, own};

pub(super) static STATUS_PAGE: Setting<Switch> = own(
    "AUTHENTIK_LDAP__STATUS_PAGE",
    "status-page",
    Switch,
    true,
    "Serve the status page at / of the HTTP port.",
);

pub(super) static STATUS_NETWORKS: Setting<Networks> = own(
    "AUTHENTIK_LDAP__STATUS_NETWORKS",
    "status-networks",
    Networks,
    &[],
    "Networks that may see the status page, besides this machine. What counts is where the TCP connection comes from, so behind a reverse proxy it is the proxy's address.",
);

pub(super) static STATUS_HOSTS: Setting<HostNames> = own(
    "AUTHENTIK_LDAP__STATUS_HOSTS",
    "status-hosts",
    HostNames,
    &[],
    "Host names under which the status page may be opened, besides addresses and localhost. Other names are refused: a web page elsewhere can let its own name lead to this server, and would see through the browser of somebody who may see the status page (DNS rebinding).",
);

/// The status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusConfig {
    /// Whether it is served.
    pub page: bool,
    /// Who may see it, besides this machine.
    pub networks: Vec<IpNet>,
    /// The host names by which it may be asked for, besides addresses and localhost; lower case.
    pub hosts: Vec<String>,
}

impl StatusConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            page: reader.value(&STATUS_PAGE)?,
            networks: reader.networks(&STATUS_NETWORKS, |_| None)?.0,
            hosts: reader.value(&STATUS_HOSTS)?,
        })
    }
}
