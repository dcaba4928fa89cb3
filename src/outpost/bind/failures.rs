//! How many different wrong secrets somebody tried recently: whoever guesses is told to come back later (51) before
//! authentik is asked. Counted for each person at each client address, so that nobody can lock out anybody elsewhere, and
//! by keyed hash, so that a device that repeats last year's password for ever counts once. Must not know why a bind
//! failed.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::FailedBindConfig;
use crate::metrics::RejectReason;
use akldap_ldap::response::ResultCode;

use super::origin::{CountedAddress, Origin, Person};
use super::refusal::Refusal;

/// How many persons at addresses are remembered at once; beyond that the one that failed longest ago is forgotten. With
/// the default limit this is about 15 MB at most, with the largest that can be set about 60 MB. Only what authentik
/// judged is remembered, and guessing for that many names takes longer than failures are counted, as fast as
/// authentik judges.
const MAX_SUBJECTS: u64 = 20_000;
/// A peer that names addresses in PROXY headers and is believed only by default may have this many times as many failures
/// per person as one address: it may be a proxy for many, or it may invent them.
const PROXY_FACTOR: usize = 10;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Counted {
    /// A person at a client's address.
    Client(CountedAddress, Person),
    /// A person at all the addresses that a peer names.
    Proxy(CountedAddress, Person),
}

/// A secret, as a hash under a key that lives as long as the process.
type SecretHash = u64;

/// What somebody who is counted tried.
#[derive(Debug, Default)]
struct Tried {
    /// The wrong secrets and when each was last tried, oldest first.
    wrong: VecDeque<(SecretHash, Instant)>,
    /// Secrets that are being judged, and how often each.
    under_way: HashMap<SecretHash, usize>,
}

impl Tried {
    fn forget_before(&mut self, begin: Option<Instant>) {
        while let (Some((_, tried)), Some(begin)) = (self.wrong.front(), begin)
            && *tried <= begin
        {
            self.wrong.pop_front();
        }
    }

    fn is_wrong(&self, secret: SecretHash) -> bool {
        self.wrong.iter().any(|(wrong, _)| *wrong == secret)
    }

    /// Different secrets that are wrong or may turn out to be.
    fn count(&self) -> usize {
        let open = self.under_way.keys().filter(|secret| !self.is_wrong(**secret));
        self.wrong.len() + open.count()
    }
}

/// The memory of failures.
pub(super) struct FailureLimit {
    limit: usize,
    window: Duration,
    key: [u8; 32],
    /// Those who tried wrong secrets.
    failed: Failed,
    open: Arc<Open>,
}

type Failed = Cache<Counted, Arc<Mutex<Tried>>>;

/// Those with secrets that are being judged: as many as binds are under way. Its lock is taken before that of an entry.
type Open = Mutex<HashMap<Counted, Arc<Mutex<Tried>>>>;

/// A secret that is being judged. Counts like a wrong one until this is dropped.
pub(super) struct Guess {
    secret: SecretHash,
    window: Duration,
    counted: Vec<(Counted, Arc<Mutex<Tried>>)>,
    failed: Failed,
    open: Arc<Open>,
}

impl FailureLimit {
    pub(super) fn new(config: &FailedBindConfig) -> Self {
        let mut key = [0; 32];
        // Without random numbers the process does not get this far: the outpost asks for some first.
        let _ = aws_lc_rs::rand::fill(&mut key);
        Self {
            limit: config.limit,
            window: config.window,
            key,
            failed: Cache::builder()
                .max_capacity(MAX_SUBJECTS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(config.window)
                .build(),
            open: Arc::default(),
        }
    }

    /// Lets a secret be judged, unless this person has tried too many wrong ones from there within the window before
    /// `now`.
    /// `judge` is what decides whether a secret is right: what is wrong for one may be right for another.
    pub(super) fn admit(
        &self,
        origin: Origin,
        person: Person,
        judge: i64,
        secret: &[u8],
        now: Instant,
    ) -> Result<Guess, Refusal> {
        let mut guess = Guess {
            secret: self.hash(judge, secret),
            window: self.window,
            counted: Vec::new(),
            failed: self.failed.clone(),
            open: Arc::clone(&self.open),
        };
        if self.limit == 0 {
            return Ok(guess);
        }
        let client = (Counted::Client(origin.client.into(), person), self.limit);
        let proxy = origin.proxy.map(|proxy| {
            let limit = self.limit.saturating_mul(PROXY_FACTOR);
            (Counted::Proxy(proxy.into(), person), limit)
        });
        for (counted, limit) in std::iter::once(client).chain(proxy) {
            let mut open = lock(&self.open);
            let known = open.get(&counted).map(Arc::clone);
            let entry = known.or_else(|| self.failed.get(&counted)).unwrap_or_default();
            {
                let mut tried = lock(&entry);
                tried.forget_before(now.checked_sub(self.window));
                let is_new = !tried.is_wrong(guess.secret) && !tried.under_way.contains_key(&guess.secret);
                let full = tried.wrong.len() >= limit;
                if full || (is_new && tried.count() >= limit) {
                    let refusal = self.refusal(counted, &tried, full, now);
                    // What was counted so far is taken back, which needs the lock.
                    drop((tried, open));
                    return Err(refusal);
                }
                *tried.under_way.entry(guess.secret).or_default() += 1;
            }
            open.insert(counted, Arc::clone(&entry));
            guess.counted.push((counted, entry));
        }
        Ok(guess)
    }

    /// A person has another password: what was wrong before says nothing about it, wherever it was tried.
    pub(super) fn forget(&self, person: Person) {
        let is_theirs = |counted: &Counted| match counted {
            Counted::Client(_, other) | Counted::Proxy(_, other) => *other == person,
        };
        let open = lock(&self.open);
        let entries = open.iter().map(|(counted, entry)| (*counted, Arc::clone(entry)));
        let failed = self.failed.iter().map(|(counted, entry)| (*counted, entry));
        for (_, entry) in entries.chain(failed).filter(|(counted, _)| is_theirs(counted)) {
            lock(&entry).wrong.clear();
        }
    }

    fn refusal(&self, counted: Counted, tried: &Tried, full: bool, now: Instant) -> Refusal {
        let whence = match counted {
            Counted::Client(..) => "from this address",
            Counted::Proxy(..) => "through this proxy",
        };
        let oldest = tried.wrong.front().filter(|_| full);
        let wait = oldest.map_or(Duration::ZERO, |(_, tried)| {
            self.window.saturating_sub(now.saturating_duration_since(*tried))
        });
        let seconds = wait.as_secs() + 1;
        let text = format!(
            "too many binds with different wrong passwords for this account {whence}: try again in {seconds} seconds"
        );
        Refusal::new(ResultCode::Busy, RejectReason::Busy, text)
    }

    fn hash(&self, judge: i64, secret: &[u8]) -> SecretHash {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&judge.to_le_bytes());
        hasher.update(secret);
        let mut octets = [0; 8];
        hasher.finalize_xof().fill(&mut octets);
        SecretHash::from_le_bytes(octets)
    }
}

impl Guess {
    /// Counts the secret as wrong.
    pub(super) fn was_wrong(&self, now: Instant) {
        for (counted, entry) in &self.counted {
            {
                let mut tried = lock(entry);
                tried.forget_before(now.checked_sub(self.window));
                tried.wrong.retain(|(wrong, _)| *wrong != self.secret);
                tried.wrong.push_back((self.secret, now));
            }
            self.failed.insert(*counted, Arc::clone(entry));
        }
    }

    /// Whether the same secret of the same person from there was judged wrong after `began`.
    pub(super) fn found_wrong_since(&self, began: Instant) -> bool {
        self.counted.first().is_some_and(|(_, entry)| {
            lock(entry)
                .wrong
                .iter()
                .any(|(wrong, when)| *wrong == self.secret && *when > began)
        })
    }
}

impl Drop for Guess {
    fn drop(&mut self) {
        for (counted, entry) in &self.counted {
            let mut open = lock(&self.open);
            let mut tried = lock(entry);
            if let Some(count) = tried.under_way.get_mut(&self.secret) {
                *count -= 1;
                if *count == 0 {
                    tried.under_way.remove(&self.secret);
                }
            }
            if tried.under_way.is_empty() {
                open.remove(counted);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ALICE: Person = Person::User(1);
    const BOB: Person = Person::User(2);

    fn limit(limit: usize) -> FailureLimit {
        FailureLimit::new(&FailedBindConfig {
            limit,
            window: 60 * SECOND,
        })
    }

    fn at(address: &str) -> Origin {
        Origin::from(address.parse::<IpAddr>().unwrap())
    }

    fn through(address: &str, proxy: &str) -> Origin {
        Origin {
            proxy: Some(proxy.parse().unwrap()),
            ..at(address)
        }
    }

    /// Tries a secret that is wrong; whether it was judged.
    fn fail(failures: &FailureLimit, origin: Origin, person: Person, secret: &str, now: Instant) -> bool {
        failures
            .admit(origin, person, 1, secret.as_bytes(), now)
            .map(|guess| guess.was_wrong(now))
            .is_ok()
    }

    #[test]
    fn the_window_slides() {
        let (failures, start) = (limit(3), Instant::now());
        let who = at("192.0.2.1");
        for second in [0, 20, 40] {
            assert!(fail(
                &failures,
                who,
                ALICE,
                &second.to_string(),
                start + second * SECOND
            ));
        }
        let refusal = failures
            .admit(who, ALICE, 1, b"right", start + 41 * SECOND)
            .err()
            .unwrap();
        assert_eq!(refusal.result.code, ResultCode::Busy);
        assert!(refusal.cause.contains("20 seconds"), "{}", refusal.cause);
        assert!(
            fail(&failures, who, ALICE, "60", start + 60 * SECOND),
            "the first failure is out of the window"
        );
        assert!(!fail(&failures, who, ALICE, "x", start + 79 * SECOND));
        assert!(fail(&failures, who, ALICE, "x", start + 80 * SECOND));
    }

    #[test]
    fn nobody_is_locked_out_elsewhere_nor_anybody_else_here() {
        let (failures, now) = (limit(2), Instant::now());
        for secret in ["a", "b"] {
            assert!(fail(&failures, at("192.0.2.1"), ALICE, secret, now));
        }
        assert!(!fail(&failures, at("192.0.2.1"), ALICE, "c", now));
        assert!(!fail(&failures, at("::ffff:192.0.2.1"), ALICE, "c", now));
        assert!(fail(&failures, at("192.0.2.2"), ALICE, "c", now));
        assert!(fail(&failures, at("192.0.2.1"), BOB, "c", now));
    }

    #[test]
    fn last_years_password_counts_once_however_often_it_is_tried() {
        let (failures, start) = (limit(2), Instant::now());
        for second in 0..1000 {
            assert!(fail(
                &failures,
                at("192.0.2.1"),
                ALICE,
                "last year's",
                start + second * SECOND
            ));
        }
        assert!(
            failures
                .admit(at("192.0.2.1"), ALICE, 1, b"right", start + 1000 * SECOND)
                .is_ok()
        );
    }

    #[test]
    fn parallel_guesses_do_not_overshoot_and_equal_ones_count_once() {
        let (failures, now) = (limit(3), Instant::now());
        let admit = |secret: &str| failures.admit(at("192.0.2.1"), ALICE, 1, secret.as_bytes(), now);
        let equal: Vec<Guess> = (0..50).map(|_| admit("right").ok().unwrap()).collect();
        let (second, third) = (admit("a").ok().unwrap(), admit("b").ok().unwrap());
        let refusal = admit("c").err().unwrap();
        assert!(refusal.cause.contains("1 seconds"), "{}", refusal.cause);
        assert!(admit("right").is_ok(), "it adds nothing");
        drop(equal);
        assert!(admit("c").is_ok());
        second.was_wrong(now);
        third.was_wrong(now);
        drop((second, third));
        let last = admit("d").ok().unwrap();
        assert!(admit("e").is_err());
        last.was_wrong(now);
        assert!(admit("d").is_err(), "now nothing is judged");
    }

    #[test]
    fn a_peer_believed_by_default_has_a_ceiling_of_its_own() {
        let (failures, now) = (limit(2), Instant::now());
        let invent =
            |number: u32, proxy: &str| through(&IpAddr::from(number.to_be_bytes()).to_string(), proxy);
        let judged = (0..1000)
            .filter(|number| {
                fail(
                    &failures,
                    invent(*number, "10.0.0.1"),
                    ALICE,
                    &number.to_string(),
                    now,
                )
            })
            .count();
        assert_eq!(judged, 2 * PROXY_FACTOR);
        assert!(fail(&failures, invent(1, "10.0.0.2"), ALICE, "other", now));
        assert!(fail(&failures, at("0.0.4.0"), ALICE, "x", now), "without a proxy");
    }

    #[test]
    fn what_was_found_wrong_meanwhile_need_not_be_judged_again() {
        let (failures, now) = (limit(5), Instant::now());
        let admit = |judge| {
            failures
                .admit(at("192.0.2.1"), ALICE, judge, b"x", now)
                .ok()
                .unwrap()
        };
        let (waiting, elsewhere) = (admit(1), admit(2));
        assert!(!waiting.found_wrong_since(now));
        admit(1).was_wrong(now + SECOND);
        assert!(waiting.found_wrong_since(now) && !elsewhere.found_wrong_since(now));
        assert!(!admit(1).found_wrong_since(now + 2 * SECOND));
        assert!(
            !admit(1).found_wrong_since(now + SECOND),
            "what was over when it came was not judged while it waited"
        );
    }

    #[test]
    fn a_person_with_another_password_starts_over_everywhere_and_nobody_else_does() {
        let (failures, now) = (limit(2), Instant::now());
        let (here, proxied) = (at("192.0.2.1"), through("192.0.2.2", "10.0.0.1"));
        for secret in ["a", "b"] {
            assert!(fail(&failures, here, ALICE, secret, now));
            assert!(fail(&failures, proxied, ALICE, secret, now));
            assert!(fail(&failures, here, BOB, secret, now));
        }
        assert!(!fail(&failures, here, ALICE, "c", now) && !fail(&failures, proxied, ALICE, "c", now));
        failures.forget(ALICE);
        let guess = failures.admit(here, ALICE, 1, b"d", now).ok().unwrap();
        assert!(fail(&failures, here, ALICE, "e", now) && fail(&failures, proxied, ALICE, "e", now));
        assert!(!fail(&failures, here, BOB, "c", now));
        // What is being judged meanwhile goes on counting.
        assert!(!fail(&failures, here, ALICE, "f", now));
        failures.forget(ALICE);
        assert!(fail(&failures, here, ALICE, "g", now));
        assert!(!fail(&failures, here, ALICE, "h", now));
        drop(guess);
        assert!(fail(&failures, here, ALICE, "h", now));
    }

    #[test]
    fn binds_that_nobody_judged_do_not_make_it_forget() {
        let (failures, now) = (limit(2), Instant::now());
        for secret in ["a", "b"] {
            assert!(fail(&failures, at("192.0.2.1"), ALICE, secret, now));
        }
        for pk in 10..50_000 {
            // Refused a turn, or given up because its client hung up: authentik never heard of it.
            drop(failures.admit(at("192.0.2.1"), Person::User(pk), 1, b"x", now));
        }
        failures.failed.run_pending_tasks();
        assert!(!fail(&failures, at("192.0.2.1"), ALICE, "c", now));
        assert!(lock(&failures.open).is_empty(), "nothing is left of them");
    }

    #[test]
    fn zero_is_no_limit_and_remembers_nothing() {
        let (failures, now) = (limit(0), Instant::now());
        for number in 0..100 {
            assert!(fail(&failures, at("192.0.2.1"), ALICE, &number.to_string(), now));
        }
        failures.failed.run_pending_tasks();
        assert_eq!(failures.failed.entry_count(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (failures, now) = (limit(1), Instant::now());
        for number in 0..25_000_u32 {
            let address = IpAddr::from(number.to_be_bytes());
            assert!(fail(&failures, Origin::from(address), ALICE, "x", now));
        }
        failures.failed.run_pending_tasks();
        assert!(failures.failed.entry_count() <= MAX_SUBJECTS);
        assert!(
            !fail(&failures, at("0.0.97.167"), ALICE, "y", now),
            "the newest is known"
        );
    }
}
