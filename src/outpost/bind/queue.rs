//! Turns at authentik: how many flows run at once, how many binds may wait and for how long, and whose turn is next.
//! Protects authentik's few web workers from storms of logins, and everybody from whoever makes them; a bind that gets
//! no turn is told to come back (51), never that its password is wrong.
//!
//! Client addresses take turns, and at each address the persons do. Addresses and persons that logged in before have every
//! other turn, and some of the turns to themselves. Must not know how a bind is judged.

mod rounds;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use crate::metrics::{ClientMetrics, Limit, RejectReason, Turns};
use akldap_ldap::response::ResultCode;

use super::origin::{CountedAddress, Origin, Person};
use super::refusal::Refusal;
use rounds::{Rounds, Spot};

/// One in this many turns, at least one of four, is kept for addresses, and at each known address for persons, that logged
/// in before: otherwise long flows of strangers could take all of them.
const RESERVED_PART: usize = 8;
const LEAST_TO_RESERVE_OF: usize = 4;
/// Flows of one person at one address at once until one of them succeeds: guesses come one after another and do not
/// multiply.
const UNPROVEN_AT_ONCE: usize = 2;
/// Addresses, persons and pairs of both remembered for having logged in; about 150 octets each.
const MAX_KNOWN: u64 = 60_000;
/// They are remembered for this long after the last login.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3600);

/// Who waits, and whose turn is next.
pub(super) struct FlowQueue {
    state: Mutex<QueueState>,
    known: RememberedLogins,
    concurrent: usize,
    limit: usize,
    patience: Duration,
    metrics: ClientMetrics,
}

#[derive(Default)]
struct QueueState {
    running: usize,
    /// When those that wait came, by ticket.
    arrivals: BTreeMap<u64, Instant>,
    /// Those of addresses that were not known.
    running_others: usize,
    addresses: HashMap<CountedAddress, AddressQueue>,
    rounds: Rounds<CountedAddress>,
    last_ticket: u64,
}

/// An address that waits or has turns.
#[derive(Default)]
struct AddressQueue {
    running: usize,
    /// Those of persons that were not known.
    running_others: usize,
    spot: Option<Spot>,
    rounds: Rounds<Person>,
    people: HashMap<Person, PersonQueue>,
}

/// A person at an address.
#[derive(Default)]
struct PersonQueue {
    running: usize,
    spot: Option<Spot>,
    /// By ticket, so in order of arrival.
    waiting: BTreeMap<u64, oneshot::Sender<Turn>>,
}

/// For whom a turn is.
#[derive(Clone, Copy, Debug)]
struct Who {
    source: CountedAddress,
    person: Person,
    known_source: bool,
    known_person: bool,
}

/// A turn; it ends when this is dropped.
pub(super) struct Turn {
    queue: Arc<FlowQueue>,
    who: Who,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.queue.lock().release(self.who);
        self.queue.dispatch();
    }
}

/// A bind that waits for a turn; it leaves the queue when this is dropped.
struct WaitingBind<'a> {
    queue: &'a FlowQueue,
    who: Who,
    ticket: u64,
}

impl Drop for WaitingBind<'_> {
    fn drop(&mut self) {
        // What was sent there is dropped after the lock is released.
        let left = self
            .queue
            .lock()
            .leave(self.who.source, self.who.person, self.ticket);
        drop(left);
    }
}

impl FlowQueue {
    pub(super) fn new(concurrent: usize, limit: usize, patience: Duration, metrics: ClientMetrics) -> Self {
        Self {
            state: Mutex::default(),
            known: RememberedLogins::new(),
            concurrent: concurrent.max(1),
            limit,
            patience,
            metrics,
        }
    }

    /// How many wait, and for how long, and how many have turns.
    pub(super) fn turns(&self) -> Turns {
        let state = self.lock();
        Turns {
            waiting: state.arrivals.len(),
            oldest: state
                .arrivals
                .first_key_value()
                .map_or(Duration::ZERO, |(_, came)| came.elapsed()),
            running: state.running,
        }
    }

    /// Under which source a bind waits. A peer that is believed by default may have invented the client's address: those it
    /// names count separately once somebody has logged in from there, and as a few before that.
    pub(super) fn source(&self, origin: Origin) -> CountedAddress {
        let client = CountedAddress::from(origin.client);
        match origin.proxy {
            Some(proxy) if !self.known.has(Proven::Source(client)) => {
                CountedAddress::named_by(proxy, origin.client)
            }
            _ => client,
        }
    }

    /// Waits for a turn. When the future is dropped, the bind leaves the queue.
    pub(super) async fn turn(
        self: &Arc<Self>,
        source: CountedAddress,
        person: Person,
    ) -> Result<Turn, Refusal> {
        let (sender, receiver) = oneshot::channel();
        let who = Who {
            source,
            person,
            known_source: self.known.has(Proven::Source(source)),
            known_person: self.known.has(Proven::Person(person)),
        };
        let ticket = self.lock().enter(who, sender);
        let waiting = WaitingBind {
            queue: self,
            who,
            ticket,
        };
        self.dispatch();
        let crowded = self.lock().make_room(self.limit, source, person);
        drop(crowded);
        let turn = timeout(self.patience, receiver).await;
        drop(waiting);
        match turn {
            Ok(Ok(turn)) => Ok(turn),
            Ok(Err(_)) => {
                self.metrics.limit_reached(Limit::FlowQueueLimit);
                Err(busy("too many binds are waiting for authentik"))
            }
            Err(_) => {
                self.metrics.limit_reached(Limit::FlowQueueTimeout);
                Err(busy("the bind waited too long for its turn at authentik"))
            }
        }
    }

    /// Remembers that this person logged in from there.
    pub(super) fn logged_in(&self, source: CountedAddress, person: Person) {
        self.known.remember(source, person);
    }

    /// Gives away the turns that are free.
    fn dispatch(self: &Arc<Self>) {
        loop {
            let next = self.lock().next(self.concurrent, &self.known);
            let Some((who, sender)) = next else { return };
            let turn = Turn {
                queue: Arc::clone(self),
                who,
            };
            // If somebody has left at this very moment, it comes back.
            drop(sender.send(turn));
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn enter(&mut self, who: Who, sender: oneshot::Sender<Turn>) -> u64 {
        self.last_ticket += 1;
        let address = self.addresses.entry(who.source).or_default();
        let line = address.people.entry(who.person).or_default();
        line.waiting.insert(self.last_ticket, sender);
        self.arrivals.insert(self.last_ticket, Instant::now());
        address.rounds.add(who.person, &mut line.spot, who.known_person);
        self.rounds.add(who.source, &mut address.spot, who.known_source);
        self.last_ticket
    }

    /// Takes a bind out of the queue, if it is still there.
    fn leave(
        &mut self,
        source: CountedAddress,
        person: Person,
        ticket: u64,
    ) -> Option<oneshot::Sender<Turn>> {
        let address = self.addresses.get_mut(&source)?;
        let line = address.people.get_mut(&person)?;
        let sender = line.waiting.remove(&ticket)?;
        self.arrivals.remove(&ticket);
        address.rounds.remove(person, &mut line.spot);
        self.rounds.remove(source, &mut address.spot);
        self.tidy(source, person);
        Some(sender)
    }

    /// Takes the bind out of the queue that has to go if more than `limit` wait.
    fn make_room(
        &mut self,
        limit: usize,
        source: CountedAddress,
        person: Person,
    ) -> Option<oneshot::Sender<Turn>> {
        if self.rounds.waiting() <= limit {
            return None;
        }
        let longest = self.rounds.longest(Some(source))?;
        let address = self.addresses.get(&longest)?;
        let newcomer = (longest == source).then_some(person);
        let whose = address.rounds.longest(newcomer)?;
        let (ticket, _) = address.people.get(&whose)?.waiting.last_key_value()?;
        let ticket = *ticket;
        self.leave(longest, whose, ticket)
    }

    /// Takes the bind out of the queue whose turn is next, and counts it as running, if there is a turn.
    fn next(&mut self, concurrent: usize, known: &RememberedLogins) -> Option<(Who, oneshot::Sender<Turn>)> {
        if self.running >= concurrent {
            return None;
        }
        let reserved = if concurrent < LEAST_TO_RESERVE_OF {
            0
        } else {
            (concurrent / RESERVED_PART).max(1)
        };
        let for_others = concurrent - reserved;
        let others = self.running_others < for_others || !known.any();
        // Only persons, and so addresses, that have turns are passed over: these loops are as short as there are turns.
        let who = self.rounds.in_order(others).find_map(|(source, known_source)| {
            let address = self.addresses.get(&source)?;
            let others = address.running_others < for_others || !known_source;
            address
                .rounds
                .in_order(others)
                .find_map(|(person, known_person)| {
                    let running = address.people.get(&person)?.running;
                    let may = running < UNPROVEN_AT_ONCE || known.has(Proven::Pair(source, person));
                    may.then_some(Who {
                        source,
                        person,
                        known_source,
                        known_person,
                    })
                })
        })?;
        let address = self.addresses.get_mut(&who.source)?;
        let line = address.people.get_mut(&who.person)?;
        let (ticket, sender) = line.waiting.pop_first()?;
        self.arrivals.remove(&ticket);
        address.rounds.served(who.person, &mut line.spot);
        self.rounds.served(who.source, &mut address.spot);
        line.running += 1;
        address.running += 1;
        address.running_others += usize::from(!who.known_person);
        self.running += 1;
        self.running_others += usize::from(!who.known_source);
        Some((who, sender))
    }

    fn release(&mut self, who: Who) {
        self.running = self.running.saturating_sub(1);
        self.running_others = self.running_others.saturating_sub(usize::from(!who.known_source));
        if let Some(address) = self.addresses.get_mut(&who.source) {
            address.running = address.running.saturating_sub(1);
            address.running_others = address
                .running_others
                .saturating_sub(usize::from(!who.known_person));
            if let Some(line) = address.people.get_mut(&who.person) {
                line.running = line.running.saturating_sub(1);
            }
        }
        self.tidy(who.source, who.person);
    }

    /// Forgets who neither waits nor has a turn.
    fn tidy(&mut self, source: CountedAddress, person: Person) {
        let Some(address) = self.addresses.get_mut(&source) else {
            return;
        };
        if address
            .people
            .get(&person)
            .is_some_and(|line| line.running == 0 && line.waiting.is_empty())
        {
            address.people.remove(&person);
        }
        if address.people.is_empty() {
            self.addresses.remove(&source);
        }
    }
}

/// Who logged in before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Proven {
    Source(CountedAddress),
    Person(Person),
    Pair(CountedAddress, Person),
}

/// The memory of those who did.
struct RememberedLogins {
    proven: Cache<Proven, ()>,
    any: AtomicBool,
}

impl RememberedLogins {
    fn new() -> Self {
        Self {
            proven: Cache::builder()
                .max_capacity(MAX_KNOWN)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(KNOWN_FOR)
                .build(),
            any: AtomicBool::new(false),
        }
    }

    /// Whether anybody ever did: right after the start everybody is a stranger.
    fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn has(&self, proven: Proven) -> bool {
        // Looking it up must not keep it alive: only a login does.
        self.proven.contains_key(&proven)
    }

    fn remember(&self, source: CountedAddress, person: Person) {
        for proven in [
            Proven::Source(source),
            Proven::Person(person),
            Proven::Pair(source, person),
        ] {
            self.proven.insert(proven, ());
        }
        self.any.store(true, Ordering::Relaxed);
    }
}

fn busy(text: &str) -> Refusal {
    Refusal::new(ResultCode::Busy, RejectReason::Busy, text)
}
