//! Who is connected: how many in all, how many from each address, how many have not bound, and what they hold of the
//! memory that all share. Decides who has to go when there is too little of either.
//!
//! The memory it takes is bounded by the connections it counts. Must not know what connections are for.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::metrics::ClientMetrics;
use crate::outpost::bind::Origin;

mod holder;
mod memory;

use holder::{Claim, Holders};
pub(super) use memory::{Budget, TLS_STATE};

/// The server counts as crowded when less than this part of its places, or of those for unbound clients, is free.
const CROWDED_PART: usize = 8;
/// The part of all places that only bound clients get.
const BOUND_PART: usize = 4;
/// An address with no more unbound connections than this keeps each of them for [`GRACE`], whoever waits.
const SPARED: usize = 64;
/// Time to bind in, for those.
const GRACE: Duration = Duration::from_secs(10);
/// The same while a bind is under way: authentik may wait for somebody to answer their telephone.
const BINDING_GRACE: Duration = Duration::from_secs(120);
/// When places are short, one in so many unbound connections goes at once: choosing takes a look at all of them.
const BATCH_PART: usize = 16;
/// How often whoever waits for a place looks whether somebody's time is up, and how long those who were told to go may take
/// before others have to go as well: one that reads nothing takes as long as its last words may.
const LOOK: Duration = Duration::from_millis(250);

/// The connections of the moment.
#[derive(Debug)]
pub(super) struct Crowd {
    capacity: usize,
    unbound_capacity: usize,
    limit_per_source: Option<usize>,
    budget: Budget,
    metrics: ClientMetrics,
    state: Mutex<State>,
    open: AtomicUsize,
    unbound: AtomicUsize,
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By how long they have been so.
    unbound: BTreeMap<u64, Arc<Occupant>>,
    bound: BTreeMap<u64, Arc<Occupant>>,
    /// How many connections each address has, counted against its limit.
    sources: HashMap<IpAddr, usize>,
    /// How many were told to go and have not gone yet.
    leaving: usize,
    /// When somebody was last told.
    told: Option<Instant>,
}

/// Why a connection has to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dismissal {
    /// Others need its place, and it has not bound.
    Place,
    /// It holds most of the memory.
    Memory {
        /// Octets it held.
        held: usize,
    },
}

/// A connection as the others see it.
#[derive(Debug)]
struct Occupant {
    claim: Claim,
    /// When it last became unbound.
    since: Mutex<Instant>,
    /// A bind is under way.
    binding: AtomicBool,
    held: AtomicUsize,
    dismissed: CancellationToken,
    dismissal: OnceLock<Dismissal>,
}

/// A connection's place, until this is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    crowd: Arc<Crowd>,
    occupant: Arc<Occupant>,
    number: u64,
    bound: bool,
    entered: bool,
    /// What was last reported.
    held: usize,
}

/// The address a client counts under: an IPv6 client owns a whole /64.
pub(super) fn source(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address @ IpAddr::V4(_) => address,
    }
}

impl Crowd {
    /// Room for `capacity` connections, of each address `limit_per_source` at most.
    pub(super) fn new(
        capacity: usize,
        limit_per_source: Option<usize>,
        budget: Budget,
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

    /// A place, once there is one. Makes unbound clients go who have had theirs for long, or whose address has many.
    pub(super) async fn admit(self: &Arc<Self>, peer: IpAddr) -> Seat {
        loop {
            if let Some(seat) = self.try_admit(peer, Instant::now()) {
                return seat;
            }
            tokio::select! {
                () = self.freed.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn try_admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Option<Seat> {
        let mut state = self.lock();
        let open = state.unbound.len() + state.bound.len();
        if open >= self.capacity || state.unbound.len() >= self.unbound_capacity {
            if !state.is_about_to_have_room(now) {
                state.make_room(now, &self.metrics);
            }
            return None;
        }
        let occupant = Arc::new(Occupant::new(Origin::from(peer).into(), now));
        let number = state.seat_unbound(&occupant);
        self.count(&state);
        Some(Seat {
            crowd: Arc::clone(self),
            occupant,
            number,
            bound: false,
            entered: false,
            held: 0,
        })
    }

    /// Whether few places are left, so that whoever only sits there should go.
    pub(super) fn is_dense(&self) -> bool {
        let few = |taken: &AtomicUsize, all: usize| {
            all.saturating_sub(taken.load(Ordering::Relaxed)) < all.div_ceil(CROWDED_PART)
        };
        few(&self.open, self.capacity) || few(&self.unbound, self.unbound_capacity)
    }

    fn count(&self, state: &State) {
        self.unbound.store(state.unbound.len(), Ordering::Relaxed);
        self.open
            .store(state.unbound.len() + state.bound.len(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn seat_unbound(&mut self, occupant: &Arc<Occupant>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.unbound.insert(number, Arc::clone(occupant));
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

    /// Whether somebody leaves, as far as one can tell.
    fn is_about_to_have_room(&self, now: Instant) -> bool {
        let lately = |told| now.saturating_duration_since(told) < LOOK;
        self.leaving > 0 && self.told.is_some_and(lately)
    }

    /// Tells unbound clients to go: the oldest of the address that has most, or else those whose time is up. Those with a
    /// bind under way come last, and are not spared for that alone: whoever sends one after the other has always one.
    fn make_room(&mut self, now: Instant, metrics: &ClientMetrics) {
        let mut holders = Holders::default();
        let staying = self.unbound.values().filter(|occupant| !occupant.is_told());
        staying.for_each(|occupant| holders.add(occupant.claim, 1));
        let Some((greediest, count)) = holders.greediest() else {
            return;
        };
        let has_many = greediest.level(count) > SPARED;
        let batch = (self.unbound.len() / BATCH_PART).max(1);
        let goes = |occupant: &&Arc<Occupant>| {
            let grace = if occupant.is_binding() {
                BINDING_GRACE
            } else {
                GRACE
            };
            !occupant.is_told()
                && match has_many {
                    true => holders.holder(occupant.claim) == greediest,
                    false => now.saturating_duration_since(occupant.since()) >= grace,
                }
        };
        let candidates = |binding: bool| {
            let of_kind = self
                .unbound
                .values()
                .filter(move |occupant| occupant.is_binding() == binding);
            of_kind.filter(goes)
        };
        let chosen: Vec<Arc<Occupant>> = candidates(false)
            .chain(candidates(true))
            .take(batch.min(greediest.level(count).saturating_sub(SPARED).max(1)))
            .map(Arc::clone)
            .collect();
        for occupant in chosen {
            self.dismiss(&occupant, Dismissal::Place, now, metrics);
        }
    }

    fn dismiss(&mut self, occupant: &Occupant, dismissal: Dismissal, now: Instant, metrics: &ClientMetrics) {
        if occupant.dismissal.set(dismissal).is_ok() {
            self.leaving += 1;
            self.told = Some(now);
            metrics.dismissed();
            occupant.dismissed.cancel();
        }
    }
}

impl Occupant {
    fn new(claim: Claim, since: Instant) -> Self {
        Self {
            claim,
            since: Mutex::new(since),
            binding: AtomicBool::new(false),
            held: AtomicUsize::new(0),
            dismissed: CancellationToken::new(),
            dismissal: OnceLock::new(),
        }
    }

    /// Whether it was told to go.
    fn is_told(&self) -> bool {
        self.dismissal.get().is_some()
    }

    fn is_binding(&self) -> bool {
        self.binding.load(Ordering::Relaxed)
    }

    fn since(&self) -> Instant {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unbound_at(&self, now: Instant) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Seat {
    /// Counts the connection for the address that turned out to be the client's; false if that has too many.
    pub(super) fn enter(&mut self, origin: Origin) -> bool {
        let claim = Claim::from(origin);
        let crowd = Arc::clone(&self.crowd);
        let mut state = crowd.lock();
        if claim != self.occupant.claim {
            // What others see of it is made anew: the header of a proxy is the first thing that is read.
            let occupant = Arc::new(Occupant::new(claim, self.occupant.since()));
            occupant.held.store(self.held, Ordering::Relaxed);
            state.unbound.remove(&self.number);
            if self.occupant.is_told() {
                state.leaving = state.leaving.saturating_sub(1);
            }
            self.number = state.seat_unbound(&occupant);
            self.occupant = occupant;
        }
        let entered = state.sources.entry(claim.client).or_default();
        if crowd.limit_per_source.is_some_and(|limit| *entered >= limit) {
            return false;
        }
        *entered += 1;
        self.entered = true;
        true
    }

    /// Waits until the connection has to go.
    pub(super) fn dismissed(&self) -> impl Future<Output = Dismissal> + Send + 'static {
        let occupant = Arc::clone(&self.occupant);
        async move {
            occupant.dismissed.cancelled().await;
            occupant.dismissal.get().copied().unwrap_or(Dismissal::Place)
        }
    }

    /// When the client last became unbound.
    pub(super) fn unbound_since(&self) -> Instant {
        self.occupant.since()
    }

    /// Whether few places are left.
    pub(super) fn is_in_dense_crowd(&self) -> bool {
        self.crowd.is_dense()
    }

    /// Notes how the connection stands: the octets it holds, whether it is bound, whether a bind is under way. To be
    /// called when anything of that changed; costs next to nothing if nothing did.
    #[inline]
    pub(super) fn note(&mut self, held: usize, bound: bool, binding: bool) {
        if bound != self.bound {
            self.change_standing(bound);
        }
        if binding != self.occupant.binding.load(Ordering::Relaxed) {
            self.occupant.binding.store(binding, Ordering::Relaxed);
        }
        if held != self.held {
            self.change_held(held);
        }
    }

    fn change_standing(&mut self, bound: bool) {
        let mut state = self.crowd.lock();
        if bound {
            state.unbound.remove(&self.number);
            state.bound.insert(self.number, Arc::clone(&self.occupant));
            self.crowd.freed.notify_one();
        } else {
            state.bound.remove(&self.number);
            self.occupant.unbound_at(Instant::now());
            self.number = state.seat_unbound(&self.occupant);
        }
        self.crowd.count(&state);
        drop(state);
        self.crowd.budget.moved(self.held, bound);
        self.bound = bound;
    }

    fn change_held(&mut self, held: usize) {
        self.occupant.held.store(held, Ordering::Relaxed);
        let crowd = &self.crowd;
        crowd.budget.changed(self.held, held, self.bound);
        crowd.metrics.memory_changed(self.held, held);
        self.held = held;
        if crowd.budget.is_exceeded() {
            crowd.relieve();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.budget.changed(self.held, 0, self.bound);
        self.crowd.metrics.memory_changed(self.held, 0);
        let mut state = self.crowd.lock();
        if self.bound {
            state.bound.remove(&self.number);
        } else {
            state.unbound.remove(&self.number);
        }
        if self.entered {
            state.leave_source(self.occupant.claim.client);
        }
        if let Some(dismissal) = self.occupant.dismissal.get() {
            state.leaving = state.leaving.saturating_sub(1);
            if let Dismissal::Memory { held } = dismissal {
                self.crowd.budget.left(*held);
            }
        }
        self.crowd.count(&state);
        drop(state);
        self.crowd.freed.notify_one();
    }
}

#[cfg(test)]
mod tests;
