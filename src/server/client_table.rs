//! Who is connected: how many in total, how many from each address, how many have not bound, and how much of the shared
//! memory they hold. Decides who has to go when permits or memory are short.
//!
//! The memory it takes is bounded by the connections it counts. Must not know what connections are for.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::metrics::{ClientMetrics, Limit};
use crate::outpost::bind::Origin;

mod client;
mod holder;
mod memory;

use client::ConnectedClient;
pub(super) use client::Dismissal;
use holder::{CountedOrigin, Holders};
pub(super) use memory::{MemoryBudget, TLS_STATE};

/// Permits are short when less than this part of them, or of those for unbound clients, is free.
const NEARLY_FULL_PART: usize = 8;
/// The part of all permits that only bound clients get.
const BOUND_PART: usize = 4;
/// An address with no more unbound connections than this keeps each of them for [`GRACE`], whoever waits.
const SPARED: usize = 64;
/// The time those have to bind.
const GRACE: Duration = Duration::from_secs(10);
/// The same while a bind is under way: authentik may wait for somebody to respond on their telephone.
const BINDING_GRACE: Duration = Duration::from_secs(120);
/// When permits are short, one in this many unbound connections goes at once: choosing means looking at all of them.
const BATCH_PART: usize = 16;
/// How often whoever waits for a permit checks whether somebody's time is up, and how long those who were told to go may
/// take before others have to go as well: one that reads nothing takes as long as its final notice may.
const PERMIT_CHECK: Duration = Duration::from_millis(250);

/// The current connections.
#[derive(Debug)]
pub(super) struct ClientTable {
    capacity: usize,
    unbound_capacity: usize,
    limit_per_source: Option<usize>,
    budget: MemoryBudget,
    metrics: ClientMetrics,
    state: Mutex<TableState>,
    open: AtomicUsize,
    unbound: AtomicUsize,
    freed: Notify,
}

#[derive(Debug, Default)]
struct TableState {
    next: u64,
    /// By how long they have been like that.
    unbound: BTreeMap<u64, Arc<ConnectedClient>>,
    bound: BTreeMap<u64, Arc<ConnectedClient>>,
    /// How many connections each address has, counted against its limit.
    sources: HashMap<IpAddr, usize>,
    /// How many were told to go and have not yet gone.
    leaving: usize,
    /// When somebody was last told.
    told: Option<Instant>,
}

/// A connection's permit, until this is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    table: Arc<ClientTable>,
    client: Arc<ConnectedClient>,
    number: u64,
    bound: bool,
    entered: bool,
    /// What was last reported.
    held: usize,
}

impl ClientTable {
    /// Room for `capacity` connections, at most `limit_per_source` per address.
    pub(super) fn new(
        capacity: usize,
        limit_per_source: Option<usize>,
        budget: MemoryBudget,
        metrics: ClientMetrics,
    ) -> Arc<Self> {
        metrics.set_memory_limit(budget.limit());
        Arc::new(Self {
            capacity,
            unbound_capacity: capacity - capacity / BOUND_PART,
            limit_per_source,
            budget,
            metrics,
            state: Mutex::default(),
            open: AtomicUsize::new(0),
            unbound: AtomicUsize::new(0),
            freed: Notify::new(),
        })
    }

    /// A permit, once there is one. Removes unbound clients who have had theirs for a long time, or whose address has many.
    pub(super) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Permit {
        loop {
            if let Some(permit) = self.try_admit(peer, Instant::now()) {
                return permit;
            }
            tokio::select! {
                biased;
                () = self.freed.notified() => {}
                () = tokio::time::sleep(PERMIT_CHECK) => {}
            }
        }
    }

    fn try_admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Permit> {
        let mut state = self.lock();
        let open = state.unbound.len() + state.bound.len();
        if open >= self.capacity || state.unbound.len() >= self.unbound_capacity {
            if !state.is_about_to_have_room(now) {
                state.make_room(now, &self.metrics);
            }
            return None;
        }
        let client = Arc::new(ConnectedClient::new(Origin::from(peer).into(), now));
        let number = state.insert_unbound(&client);
        self.count(&state);
        Some(Permit {
            table: Arc::clone(self),
            client,
            number,
            bound: false,
            entered: false,
            held: 0,
        })
    }

    /// Whether few permits are left, so that idle clients should go.
    pub(super) fn is_nearly_full(&self) -> bool {
        let few = |taken: &AtomicUsize, all: usize| {
            all.saturating_sub(taken.load(Ordering::Relaxed)) < all.div_ceil(NEARLY_FULL_PART)
        };
        few(&self.open, self.capacity) || few(&self.unbound, self.unbound_capacity)
    }

    /// Tells those who hold most to go, until what the others hold is well within the budget.
    fn relieve(&self) {
        let mut state = self.lock();
        // Somebody else may have done it meanwhile.
        if !self.budget.is_exceeded() {
            return;
        }
        let (unbound, bound) = (state.unbound.values(), state.bound.values());
        let chosen = self
            .budget
            .choose(unbound.map(Arc::clone).collect(), bound.map(Arc::clone).collect());
        for (held, client) in chosen {
            self.budget.leaves(held);
            let dismissal = Dismissal::Memory { held };
            state.dismiss(&client, dismissal, Instant::now(), &self.metrics);
        }
    }

    fn count(&self, state: &TableState) {
        self.unbound.store(state.unbound.len(), Ordering::Relaxed);
        self.open
            .store(state.unbound.len() + state.bound.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, TableState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TableState {
    fn insert_unbound(&mut self, client: &Arc<ConnectedClient>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unbound.insert(number, Arc::clone(client));
        number
    }

    fn leave_source(&mut self, address: IpAddr) {
        let Some(entered) = self.sources.get_mut(&address) else {
            return;
        };
        *entered = entered.saturating_sub(1);
        if *entered == 0 {
            self.sources.remove(&address);
            // After a flood from many addresses the room it took is given back.
            if self.sources.capacity() > 4 * self.sources.len().max(256) {
                self.sources.shrink_to_fit();
            }
        }
    }

    /// Whether somebody is leaving, as far as is known.
    fn is_about_to_have_room(&self, now: Instant) -> bool {
        let lately = |told| now.saturating_duration_since(told) < PERMIT_CHECK;
        self.leaving > 0 && self.told.is_some_and(lately)
    }

    /// Tells unbound clients to go: the oldest of the address that has most, or those whose time is up. Those with a bind
    /// under way come last, but are not spared for that alone: whoever sends one after the other always has one.
    fn make_room(&mut self, now: Instant, metrics: &ClientMetrics) {
        let mut holders = Holders::default();
        let staying = self.unbound.values().filter(|client| !client.is_told());
        staying.for_each(|client| holders.add(client.origin, 1));
        let Some((greediest, count)) = holders.greediest() else {
            return;
        };
        let has_many = greediest.level(count) > SPARED;
        let batch = (self.unbound.len() / BATCH_PART).max(1);
        let goes = |client: &&Arc<ConnectedClient>| {
            let grace = if client.is_binding() { BINDING_GRACE } else { GRACE };
            !client.is_told()
                && match has_many {
                    true => holders.holder(client.origin) == greediest,
                    false => now.saturating_duration_since(client.since()) >= grace,
                }
        };
        let candidates = |binding: bool| {
            let of_kind = self
                .unbound
                .values()
                .filter(move |client| client.is_binding() == binding);
            of_kind.filter(goes)
        };
        let chosen: Vec<Arc<ConnectedClient>> = candidates(false)
            .chain(candidates(true))
            .take(batch.min(greediest.level(count).saturating_sub(SPARED).max(1)))
            .map(Arc::clone)
            .collect();
        for client in chosen {
            self.dismiss(&client, Dismissal::Unbound, now, metrics);
        }
    }

    fn dismiss(
        &mut self,
        client: &ConnectedClient,
        dismissal: Dismissal,
        now: Instant,
        metrics: &ClientMetrics,
    ) {
        if client.dismissal.set(dismissal).is_ok() {
            self.leaving += 1;
            self.told = Some(now);
            metrics.dismissed(match dismissal {
                Dismissal::Unbound => Limit::MaxConnections,
                Dismissal::Memory { .. } => Limit::ClientMemoryLimit,
            });
            client.dismissed.cancel();
        }
    }
}

impl Permit {
    /// Counts the connection for the address that turned out to be the client's; false if that has too many.
    pub(super) fn enter(&mut self, origin: Origin) -> bool {
        let origin = CountedOrigin::from(origin);
        let table = Arc::clone(&self.table);
        let mut state = table.lock();
        if origin != self.client.origin {
            // What others see of it is replaced: a proxy's header is the first thing that is read.
            let client = Arc::new(ConnectedClient::new(origin, self.client.since()));
            client.held.store(self.held, Ordering::Relaxed);
            state.unbound.remove(&self.number);
            if self.client.is_told() {
                state.leaving = state.leaving.saturating_sub(1);
            }
            self.number = state.insert_unbound(&client);
            self.client = client;
        }
        let entered = state.sources.entry(origin.client).or_default();
        if table.limit_per_source.is_some_and(|limit| *entered >= limit) {
            return false;
        }
        *entered += 1;
        self.entered = true;
        true
    }

    /// Waits until the connection has to go.
    pub(super) fn dismissed(&self) -> impl Future<Output = Dismissal> + Send + 'static {
        let client = Arc::clone(&self.client);
        async move {
            client.dismissed.cancelled().await;
            client.dismissal.get().copied().unwrap_or(Dismissal::Unbound)
        }
    }

    /// When the client last became unbound.
    pub(super) fn unbound_since(&self) -> Instant {
        self.client.since()
    }

    /// Whether few permits are left.
    pub(super) fn is_table_nearly_full(&self) -> bool {
        self.table.is_nearly_full()
    }

    /// Records the state of the connection: the octets it holds, whether it is bound, whether a bind is under way. Call it
    /// when any of this has changed; it costs next to nothing if nothing did.
    #[inline]
    pub(super) fn note(&mut self, held: usize, bound: bool, binding: bool) {
        if bound != self.bound {
            self.change_standing(bound);
        }
        if binding != self.client.binding.load(Ordering::Relaxed) {
            self.client.binding.store(binding, Ordering::Relaxed);
        }
        if held != self.held {
            self.change_held(held);
        }
    }

    fn change_standing(&mut self, bound: bool) {
        let mut state = self.table.lock();
        if bound {
            state.unbound.remove(&self.number);
            state.bound.insert(self.number, Arc::clone(&self.client));
            self.table.freed.notify_one();
        } else {
            state.bound.remove(&self.number);
            self.client.unbound_at(Instant::now());
            self.number = state.insert_unbound(&self.client);
        }
        self.table.count(&state);
        drop(state);
        self.table.budget.moved(self.held, bound);
        self.bound = bound;
    }

    fn change_held(&mut self, held: usize) {
        self.client.held.store(held, Ordering::Relaxed);
        let table = &self.table;
        table.budget.changed(self.held, held, self.bound);
        table.metrics.memory_changed(self.held, held);
        self.held = held;
        if table.budget.is_exceeded() {
            table.relieve();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.table.budget.changed(self.held, 0, self.bound);
        self.table.metrics.memory_changed(self.held, 0);
        let mut state = self.table.lock();
        if self.bound {
            state.bound.remove(&self.number);
        } else {
            state.unbound.remove(&self.number);
        }
        if self.entered {
            state.leave_source(self.client.origin.client);
        }
        if let Some(dismissal) = self.client.dismissal.get() {
            state.leaving = state.leaving.saturating_sub(1);
            if let Dismissal::Memory { held } = dismissal {
                self.table.budget.left(*held);
            }
        }
        self.table.count(&state);
        drop(state);
        self.table.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
