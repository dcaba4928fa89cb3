//! The status page: whether it is served, and to whom. Knows these settings and what they are read into; must not know what the page
//! says.

use ipnet::IpNet;

use super::error::ConfigError;
use super::kind::{Networks, Switch};
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
    "Networks that may see the status page, beside this machine. What counts is where the TCP connection comes from, so behind a reverse proxy it is the proxy's address.",
);

/// The status page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusConfig {
    /// Whether it is served.
    pub page: bool,
    /// Who may see it, beside this machine.
    pub networks: Vec<IpNet>,
}

impl StatusConfig {
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            page: reader.value(&STATUS_PAGE)?,
            networks: reader.networks(&STATUS_NETWORKS, |_| None)?.0,
        })
    }
}
