//! The entries below `cn=Monitor`: what OpenLDAP's monitor says about a server, as far as it applies to this one, for the collectors
//! that read it there. Must not know who reads it, or how.

use std::time::SystemTime;

use crate::metrics::words::Word as _;
use crate::metrics::{LdapOperation, Metrics};
use akldap_directory::subschema::{EntryAttributes, SUBSCHEMA_DN};

use super::Outpost;
use super::server_entries::MONITOR_DN;
use super::version::VERSION;

/// An entry of the monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorEntry {
    /// Its name.
    pub dn: String,
    /// What it says.
    pub attributes: EntryAttributes,
}

impl MonitorEntry {
    fn new(rdn: &str, superior: &str, class: &'static str, says: EntryAttributes) -> Self {
        let dn = match superior {
            "" => format!("cn={rdn}"),
            superior => format!("cn={rdn},{superior}"),
        };
        let classes = ["top", "monitor", class].map(str::to_owned);
        let mut attributes = vec![("objectClass", classes.into()), ("cn", vec![rdn.to_owned()])];
        attributes.extend(says);
        attributes.push(("entryDN", vec![dn.clone()]));
        attributes.push(("structuralObjectClass", vec![class.to_owned()]));
        attributes.push(("subschemaSubentry", vec![SUBSCHEMA_DN.to_owned()]));
        Self { dn, attributes }
    }

    fn container(rdn: &str) -> Self {
        Self::new(rdn, MONITOR_DN, "monitorContainer", Vec::new())
    }

    fn counter(rdn: &str, superior: &str, count: u64) -> Self {
        let says = vec![("monitorCounter", vec![count.to_string()])];
        Self::new(rdn, superior, "monitorCounterObject", says)
    }

    fn object(rdn: &str, superior: &str, info: u64) -> Self {
        let says = vec![("monitoredInfo", vec![info.to_string()])];
        Self::new(rdn, superior, "monitoredObject", says)
    }

    fn operation(rdn: &str, superior: &str, initiated: u64, completed: u64) -> Self {
        let says = vec![
            ("monitorOpInitiated", vec![initiated.to_string()]),
            ("monitorOpCompleted", vec![completed.to_string()]),
        ];
        Self::new(rdn, superior, "monitorOperation", says)
    }
}

impl Outpost {
    /// The monitor at this moment: each entry after the one above it.
    pub fn monitor(&self) -> Vec<MonitorEntry> {
        let metrics = &self.parts.metrics;
        let mut entries = vec![MonitorEntry::new(
            "Monitor",
            "",
            "monitorServer",
            vec![
                ("monitoredInfo", vec![format!("akldap {VERSION}")]),
                (
                    "description",
                    vec!["What this server has done since it started".to_owned()],
                ),
            ],
        )];
        connections(metrics, &mut entries);
        operations(metrics, &mut entries);
        let statistics = "cn=Statistics,cn=Monitor";
        let clients = metrics.clients();
        entries.push(MonitorEntry::container("Statistics"));
        entries.push(MonitorEntry::counter("Bytes", statistics, clients.octets_sent()));
        // Each result and each entry is one; unbinds and abandons have none.
        let results = [LdapOperation::Unbind, LdapOperation::Abandon];
        let answered = LdapOperation::ALL
            .iter()
            .filter(|operation| !results.contains(operation));
        let answered: u64 = answered.map(|operation| metrics.completed(*operation)).sum();
        let pdus = answered.saturating_add(clients.entries_sent());
        entries.push(MonitorEntry::counter("PDU", statistics, pdus));
        entries.push(MonitorEntry::counter(
            "Entries",
            statistics,
            clients.entries_sent(),
        ));
        entries.push(MonitorEntry::counter("Referrals", statistics, 0));
        threads(&mut entries);
        entries.push(MonitorEntry::container("Time"));
        let uptime = SystemTime::now()
            .duration_since(metrics.started())
            .unwrap_or_default();
        entries.push(MonitorEntry::object(
            "Uptime",
            "cn=Time,cn=Monitor",
            uptime.as_secs(),
        ));
        entries
    }
}

fn connections(metrics: &Metrics, entries: &mut Vec<MonitorEntry>) {
    let superior = "cn=Connections,cn=Monitor";
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let clients = metrics.clients();
    entries.push(MonitorEntry::container("Connections"));
    entries.push(MonitorEntry::counter(
        "Max File Descriptors",
        superior,
        files.unwrap_or(u64::MAX >> 1),
    ));
    entries.push(MonitorEntry::counter(
        "Total",
        superior,
        clients.connections_accepted(),
    ));
    entries.push(MonitorEntry::counter(
        "Current",
        superior,
        clients.connections_open(),
    ));
}

fn operations(metrics: &Metrics, entries: &mut Vec<MonitorEntry>) {
    let superior = "cn=Operations,cn=Monitor";
    let counts: Vec<_> = LdapOperation::ALL
        .iter()
        .map(|&operation| {
            let completed = metrics.completed(operation);
            // One may have been completed between the two looks.
            (operation, metrics.initiated(operation).max(completed), completed)
        })
        .collect();
    let (initiated, completed) = counts
        .iter()
        .fold((0, 0), |sum, count| (sum.0 + count.1, sum.1 + count.2));
    entries.push(MonitorEntry::operation(
        "Operations",
        MONITOR_DN,
        initiated,
        completed,
    ));
    for (operation, initiated, completed) in counts {
        entries.push(MonitorEntry::operation(
            operation.as_str(),
            superior,
            initiated,
            completed,
        ));
    }
}

/// Those that serve clients; none waits for another's.
fn threads(entries: &mut Vec<MonitorEntry>) {
    let superior = "cn=Threads,cn=Monitor";
    let workers = tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers());
    let workers = u64::try_from(workers).unwrap_or(u64::MAX);
    entries.push(MonitorEntry::container("Threads"));
    entries.push(MonitorEntry::object("Max", superior, workers));
    entries.push(MonitorEntry::object("Open", superior, workers));
}
