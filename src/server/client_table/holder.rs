//! Who counts as one when permits or memory are short: an address, or a peer with all the addresses that it may have
//! invented.
//!
//! Must not know what is short.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::outpost::bind::{NAMED_SOURCES, Origin};

use crate::server::counted_address::counted_address;

/// Where a connection comes from, with addresses in the form in which they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CountedOrigin {
    /// The client.
    pub(super) client: IpAddr,
    /// The peer that named it, if it is believed only by default.
    pub(super) proxy: Option<IpAddr>,
}

impl From<Origin> for CountedOrigin {
    fn from(origin: Origin) -> Self {
        Self {
            client: counted_address(origin.client),
            proxy: origin.proxy.map(counted_address),
        }
    }
}

/// Whose connections count together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Holder {
    /// A client.
    Client {
        /// Its address.
        address: IpAddr,
        /// The peer that named it.
        named_by: Option<IpAddr>,
    },
    /// A peer that is believed by default, for the addresses it names.
    Peer(IpAddr),
}

impl Holder {
    /// How much it has as one among others: a peer counts as this many addresses.
    pub(super) fn level(self, amount: usize) -> usize {
        match self {
            Self::Client { .. } => amount,
            Self::Peer(_) => amount / usize::from(NAMED_SOURCES),
        }
    }
}

/// Who holds what of something.
#[derive(Debug, Default)]
pub(super) struct Holders {
    origins: HashMap<CountedOrigin, usize>,
    peers: HashMap<IpAddr, usize>,
}

impl Holders {
    pub(super) fn add(&mut self, origin: CountedOrigin, amount: usize) {
        *self.origins.entry(origin).or_default() += amount;
        if let Some(peer) = origin.proxy {
            *self.peers.entry(peer).or_default() += amount;
        }
    }

    /// Whom a connection counts for. A client behind a peer counts by itself if it has more than all others there:
    /// whoever invents addresses cannot bring that about for another client, and one client of an honest proxy is
    /// not all of them.
    pub(super) fn holder(&self, origin: CountedOrigin) -> Holder {
        let client = Holder::Client {
            address: origin.client,
            named_by: origin.proxy,
        };
        let Some(peer) = origin.proxy else {
            return client;
        };
        let amount = |found: Option<&usize>| found.copied().unwrap_or_default();
        let (own, all) = (amount(self.origins.get(&origin)), amount(self.peers.get(&peer)));
        if own > all - own.min(all) {
            client
        } else {
            Holder::Peer(peer)
        }
    }

    /// Who holds most, and how much.
    pub(super) fn greediest(&self) -> Option<(Holder, usize)> {
        let mut amounts: HashMap<Holder, usize> = HashMap::new();
        for (origin, amount) in &self.origins {
            *amounts.entry(self.holder(*origin)).or_default() += amount;
        }
        amounts
            .into_iter()
            .max_by_key(|(holder, amount)| holder.level(*amount))
    }
}
