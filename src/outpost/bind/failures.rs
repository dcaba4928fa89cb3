//! How often binds failed lately, by client address and by name: a guesser is told to come back later (51) before
//! authentik is asked. Off unless a limit is set. Must not know why a bind failed.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::config::FailedBindConfig;
use crate::ldap::response::ResultCode;
use crate::metrics::RejectReason;

use super::answer::Refusal;

/// Addresses and names watched at once; beyond it the one that failed longest ago is forgotten. With the largest limit
/// that can be set (100 failures of 16 octets each) this is some 30 MB.
const MAX_SUBJECTS: u64 = 20_000;

/// Who is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    /// A client's address. IPv6 clients own a whole /64 and count as one.
    Address(IpAddr),
    /// A hash of provider and user name: names of any length take the same room.
    Name([u8; 32]),
}

impl Subject {
    pub(super) fn address(client: IpAddr) -> Self {
        Self::Address(match client.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
            address => address,
        })
    }

    /// Names that differ in case only are one to authentik.
    pub(super) fn name(provider_pk: i64, username: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&provider_pk.to_le_bytes());
        hasher.update(username.trim().to_lowercase().as_bytes());
        Self::Name(*hasher.finalize().as_bytes())
    }
}

/// When a subject failed, oldest first; never more times than the limit.
type Times = Arc<Mutex<VecDeque<Instant>>>;

/// The memory of failures.
pub(super) struct FailureLimit {
    limit: usize,
    window: Duration,
    failures: Cache<Subject, Times>,
}

impl FailureLimit {
    pub(super) fn new(config: &FailedBindConfig) -> Self {
        Self {
            limit: config.limit,
            window: config.window,
            failures: Cache::builder()
                .max_capacity(MAX_SUBJECTS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_idle(config.window)
                .build(),
        }
    }

    /// Whether there is a limit.
    pub(super) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// Refuses a bind whose address or name has failed too often within the window before `now`.
    pub(super) fn check(&self, subjects: [Subject; 2], now: Instant) -> Result<(), Refusal> {
        for subject in subjects {
            let Some(wait) = self.wait(subject, now) else {
                continue;
            };
            let whose = match subject {
                Subject::Address(_) => "from this address",
                Subject::Name(_) => "for this name",
            };
            let seconds = wait.as_secs() + 1;
            let text = format!("too many failed binds {whose}: try again in {seconds} seconds");
            return Err(Refusal::new(ResultCode::Busy, RejectReason::Busy, text));
        }
        Ok(())
    }

    /// Counts a failed bind.
    pub(super) fn record(&self, subjects: [Subject; 2], now: Instant) {
        if self.limit == 0 {
            return;
        }
        for subject in subjects {
            let times = self.failures.get_with(subject, Times::default);
            let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.len() >= self.limit {
                times.pop_front();
            }
            times.push_back(now);
        }
    }

    /// How long until a subject may try again, if it may not now.
    fn wait(&self, subject: Subject, now: Instant) -> Option<Duration> {
        if self.limit == 0 {
            return None;
        }
        let times = self.failures.get(&subject)?;
        let times = times.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = times.front().filter(|_| times.len() >= self.limit)?;
        let wait = self.window.saturating_sub(now.saturating_duration_since(*oldest));
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn limit(limit: usize) -> FailureLimit {
        FailureLimit::new(&FailedBindConfig {
            limit,
            window: 60 * SECOND,
        })
    }

    fn subjects(address: &str, name: &str) -> [Subject; 2] {
        [Subject::address(address.parse().unwrap()), Subject::name(1, name)]
    }

    #[test]
    fn the_window_slides() {
        let (failures, start) = (limit(3), Instant::now());
        let who = subjects("192.0.2.1", "alice");
        for second in [0, 20, 40] {
            assert!(failures.check(who, start + second * SECOND).is_ok());
            failures.record(who, start + second * SECOND);
        }
        let refusal = failures.check(who, start + 41 * SECOND).unwrap_err();
        assert_eq!(refusal.result.code, ResultCode::Busy);
        assert!(refusal.cause.contains("20 seconds"), "{}", refusal.cause);
        assert!(
            failures.check(who, start + 60 * SECOND).is_ok(),
            "the first failure is out of the window"
        );
        failures.record(who, start + 61 * SECOND);
        assert!(failures.check(who, start + 79 * SECOND).is_err());
        assert!(failures.check(who, start + 80 * SECOND).is_ok());
    }

    #[test]
    fn address_and_name_count_each_for_itself() {
        let (failures, now) = (limit(2), Instant::now());
        failures.record(subjects("192.0.2.1", "alice"), now);
        failures.record(subjects("192.0.2.1", "bob"), now);
        assert!(
            failures.check(subjects("192.0.2.1", "carol"), now).is_err(),
            "the address"
        );
        assert!(failures.check(subjects("192.0.2.2", "alice"), now).is_ok());
        failures.record(subjects("192.0.2.2", "ALICE "), now);
        assert!(
            failures.check(subjects("192.0.2.3", "alice"), now).is_err(),
            "the name, however written"
        );
        assert!(
            failures
                .check(
                    [
                        Subject::address(IpAddr::from([192, 0, 2, 3])),
                        Subject::name(2, "alice")
                    ],
                    now
                )
                .is_ok()
        );
        assert_eq!(
            Subject::address("2001:db8::1".parse().unwrap()),
            Subject::address("2001:db8::ffff:1:2:3".parse().unwrap())
        );
        assert_eq!(
            Subject::address("::ffff:192.0.2.1".parse().unwrap()),
            subjects("192.0.2.1", "")[0]
        );
    }

    #[test]
    fn zero_is_no_limit_and_remembers_nothing() {
        let (failures, now) = (limit(0), Instant::now());
        for _ in 0..100 {
            failures.record(subjects("192.0.2.1", "alice"), now);
        }
        assert!(failures.check(subjects("192.0.2.1", "alice"), now).is_ok());
        failures.failures.run_pending_tasks();
        assert_eq!(failures.failures.entry_count(), 0);
    }

    #[test]
    fn the_memory_is_bounded() {
        let (failures, now) = (limit(1), Instant::now());
        for number in 0..25_000_u32 {
            failures.record(
                [
                    Subject::address(IpAddr::from(number.to_be_bytes())),
                    Subject::name(1, "alice"),
                ],
                now,
            );
        }
        failures.failures.run_pending_tasks();
        assert!(failures.failures.entry_count() <= MAX_SUBJECTS);
        assert!(
            failures.check(subjects("0.0.97.167", "bob"), now).is_err(),
            "the newest is known"
        );
    }
}
