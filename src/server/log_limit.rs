//! What was already logged about whom, so that a misbehaving client adds one line per hour to the log and not millions:
//! the first of a kind is written, the others of the hour are counted, and the count is written at its end.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::clock;
use crate::logging::{Repeated, Repetition};

use super::counted_address::counted_address;

/// Addresses and topics remembered at once; about 100 octets each.
const MAX_SOURCES: usize = 4096;
/// After this long the same thing is logged again: by then it is news.
const REPEAT: Duration = Duration::from_secs(3600);
/// How often something that concerns the whole server is logged.
const REMINDER: Duration = Duration::from_secs(60);

/// What can be logged about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// It speaks another protocol than the port does.
    Protocol,
    /// It has too many connections.
    TooMany,
    /// Its TLS handshakes fail.
    Handshake,
    /// It sends too slowly.
    Slow,
    /// It held too much memory.
    Memory,
    /// It held a permit without binding while permits were short.
    Unbound,
    /// It read answers so slowly that their directory became too old.
    Retired,
    /// It is believed by default when it names other addresses.
    Believed,
    /// It asks without TLS for what needs TLS.
    Clear,
    /// It wants to change entries.
    Write,
    /// It asks for everybody, and its account may not see them.
    OwnOnly,
}

impl Topic {
    /// What happened again.
    fn again(self) -> &'static str {
        match self {
            Self::Protocol => "a wrong protocol was spoken again",
            Self::TooMany => "further connections were refused: the address has too many",
            Self::Handshake => "TLS handshakes failed again",
            Self::Slow => "messages did not arrive in time again",
            Self::Memory => "further connections were closed because clients hold too much memory",
            Self::Unbound => {
                "further unbound connections were closed because the server is short of \
                 connections"
            }
            Self::Retired => {
                "searches of a client that reads slowly were ended again because the directory \
                 changed twice"
            }
            Self::Believed => "PROXY protocol headers were believed by default again",
            Self::Clear => "requests without TLS were refused again",
            Self::Write => "writes were refused again",
            Self::OwnOnly => "an account that sees only itself searched for everybody again",
        }
    }
}

/// The memory of what was logged.
#[derive(Debug)]
pub(super) struct LogLimit(Repetition<(IpAddr, Topic)>);

impl Default for LogLimit {
    fn default() -> Self {
        Self(Repetition::new(REPEAT, 1, MAX_SOURCES))
    }
}

impl LogLimit {
    /// Whether this should be logged now; otherwise it is counted. True once an hour for each address and topic.
    pub(super) fn is_news(&self, client: IpAddr, topic: Topic, now: Instant) -> bool {
        self.0.admits((counted_address(client), topic), now)
    }

    /// Writes what was counted in hours that have ended.
    pub(super) fn tell_repeated(&self, now: Instant) {
        self.0.ended(now).iter().for_each(tell);
    }

    /// Writes everything that was counted, at the end of the process.
    pub(super) fn finish(&self) {
        self.0.finish().iter().for_each(tell);
    }
}

/// Logs something at most once a minute.
#[derive(Default)]
pub(super) struct Reminder(Option<Instant>);

impl Reminder {
    /// Whether it should be logged now.
    pub(super) fn is_due(&mut self) -> bool {
        let now = clock::now();
        let due = self.0.is_none_or(|last| now >= last + REMINDER);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

fn tell(repeated: &Repeated<(IpAddr, Topic)>) {
    let (times, window_s) = (repeated.lines, REPEAT.as_secs());
    match repeated.kind {
        Some((client, topic)) => {
            tracing::info!(%client, repeated = times, window_s, "{}", topic.again());
        }
        None => tracing::info!(
            repeated = times,
            window_s,
            "the same happened with more addresses than are counted one by one"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_named_once_an_hour_and_topic() {
        let (log_limit, now) = (LogLimit::default(), Instant::now());
        let client = IpAddr::from([192, 0, 2, 1]);
        assert!(log_limit.is_news(client, Topic::Protocol, now));
        assert!(log_limit.is_news(client, Topic::TooMany, now));
        assert!(log_limit.is_news(IpAddr::from([192, 0, 2, 2]), Topic::Protocol, now));
        assert!(!log_limit.is_news(client, Topic::Protocol, now + REPEAT / 2));
        let told = log_limit.0.ended(now + REPEAT);
        let again = Repeated {
            kind: Some((client, Topic::Protocol)),
            lines: 1,
        };
        assert_eq!(told, [again], "what was left out is counted");
        assert!(log_limit.is_news(client, Topic::Protocol, now + REPEAT));
    }

    #[test]
    fn a_flood_of_addresses_is_neither_remembered_nor_logged_whole() {
        let (log_limit, now) = (LogLimit::default(), Instant::now());
        let said = (0..100_000_u32)
            .filter(|number| log_limit.is_news(IpAddr::V4((*number).into()), Topic::Handshake, now))
            .count();
        assert_eq!(said, MAX_SOURCES + 1, "one of each known, one for all others");
        let told = log_limit.0.ended(now + REPEAT);
        let others = Repeated {
            kind: None,
            lines: (100_000 - MAX_SOURCES - 1) as u64,
        };
        assert_eq!(told, [others]);
        assert!(
            log_limit.is_news(IpAddr::from([255, 0, 0, 1]), Topic::Handshake, now + REPEAT),
            "old entries make room"
        );
    }
}
