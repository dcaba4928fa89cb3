//! The memory that clients make the server hold, and who has to go when it is too much: of the address that holds most,
//! the connection that holds most. The addresses that a peer may have invented count together. Unbound clients have a
//! share of it, so that strangers never take from those who have bound.
//!
//! Must not know what the memory is used for.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::client::ConnectedClient;
use super::holder::{Holder, Holders};

/// The part of the budget that unbound clients have.
const UNBOUND_PART: usize = 4;
/// When it is too much, this part of the budget is freed at once: choosing means looking at everybody.
const FREED_PART: usize = 8;
/// What TLS needs for a connection: keys, and records on their way in and out.
pub(crate) const TLS_STATE: usize = 24 * 1024;

/// How much all clients may hold, and how much they do.
#[derive(Debug)]
pub(crate) struct MemoryBudget {
    limit: usize,
    used: AtomicUsize,
    used_unbound: AtomicUsize,
    /// What is held by those who were told to go and have not yet gone.
    leaving: AtomicUsize,
}

impl MemoryBudget {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: AtomicUsize::new(0),
            used_unbound: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn unbound_limit(&self) -> usize {
        self.limit / UNBOUND_PART
    }

    /// A client holds `now` octets instead of `before`.
    pub(super) fn changed(&self, before: usize, now: usize, bound: bool) {
        change(&self.used, before, now);
        if !bound {
            change(&self.used_unbound, before, now);
        }
    }

    /// A client with this many octets became bound, or unbound.
    pub(super) fn moved(&self, held: usize, bound: bool) {
        let (before, now) = if bound { (held, 0) } else { (0, held) };
        change(&self.used_unbound, before, now);
    }

    /// A client that holds this much was told to go.
    pub(super) fn leaves(&self, held: usize) {
        change(&self.leaving, 0, held);
    }

    /// A client that was told to go because it held so much has gone.
    pub(super) fn left(&self, held: usize) {
        change(&self.leaving, held, 0);
    }

    pub(super) fn is_exceeded(&self) -> bool {
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        let leaving = load(&self.leaving);
        load(&self.used).saturating_sub(leaving) > self.limit
            || load(&self.used_unbound).saturating_sub(leaving) > self.unbound_limit()
    }

    /// Those who have to go so that what the others hold is well within the budget, and what each of them holds: whoever
    /// holds most goes first.
    pub(super) fn choose(
        &self,
        unbound: Vec<Arc<ConnectedClient>>,
        bound: Vec<Arc<ConnectedClient>>,
    ) -> Vec<(usize, Arc<ConnectedClient>)> {
        let mut chosen = greediest(&unbound, self.unbound_limit());
        let mut rest = bound;
        let goes = |client: &Arc<ConnectedClient>| chosen.iter().any(|(_, other)| Arc::ptr_eq(client, other));
        if chosen.is_empty() {
            rest.extend(unbound);
        } else {
            rest.extend(unbound.into_iter().filter(|client| !goes(client)));
        }
        chosen.extend(greediest(&rest, self.limit));
        chosen
    }
}

fn change(count: &AtomicUsize, before: usize, now: usize) {
    // Modulo 2^64, so that a negative difference works too.
    count.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
}

/// What one holder holds.
#[derive(Default)]
struct Share {
    held: usize,
    /// Ascending by what each holds, once sorted.
    clients: Vec<(usize, Arc<ConnectedClient>)>,
}

/// Which of these have to go so that the others hold less than `limit`; nobody if all of them do.
fn greediest(clients: &[Arc<ConnectedClient>], limit: usize) -> Vec<(usize, Arc<ConnectedClient>)> {
    let staying = |client: &&Arc<ConnectedClient>| client.dismissal.get().is_none();
    let amounts: Vec<(usize, &Arc<ConnectedClient>)> = clients
        .iter()
        .filter(staying)
        .map(|client| (client.held.load(Ordering::Relaxed), client))
        .filter(|(held, _)| *held > 0)
        .collect();
    let mut total: usize = amounts.iter().map(|(held, _)| held).sum();
    let mut chosen = Vec::new();
    if total <= limit {
        return chosen;
    }
    let mut holders = Holders::default();
    for (held, client) in &amounts {
        holders.add(client.origin, *held);
    }
    let mut shares = HashMap::<Holder, Share>::new();
    for (held, client) in amounts {
        let share = shares.entry(holders.holder(client.origin)).or_default();
        share.held += held;
        share.clients.push((held, Arc::clone(client)));
    }
    let enough = limit - limit / FREED_PART;
    let mut heap: BinaryHeap<(usize, Holder)> = shares
        .iter_mut()
        .map(|(holder, share)| {
            share.clients.sort_unstable_by_key(|(held, _)| *held);
            (holder.level(share.held), *holder)
        })
        .collect();
    while total > enough
        && let Some((_, holder)) = heap.pop()
    {
        let Some(share) = shares.get_mut(&holder) else {
            continue;
        };
        if let Some((held, client)) = share.clients.pop() {
            total -= held;
            share.held -= held;
            heap.push((holder.level(share.held), holder));
            chosen.push((held, client));
        }
    }
    chosen
}
