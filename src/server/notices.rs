//! What was already said about whom, so that a misbehaving client fills a log with one line and not with millions.
//!
//! The memory is bounded: beyond [`MAX_SOURCES`] nothing more is said until entries grow old. Must not know logging.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::crowd::source;

/// Addresses remembered at once; about 100 octets each.
const MAX_SOURCES: usize = 4096;
/// After so long the same thing is said again: by then it is news.
const REPEAT: Duration = Duration::from_secs(3600);

/// What can be said about an address.
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
}

/// The memory of what was said.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<HashMap<(IpAddr, Topic), Instant>>);

impl Notices {
    /// Whether this is to be said now. Says yes once an hour for each address and topic.
    pub(super) fn is_news(&self, client: IpAddr, topic: Topic, now: Instant) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (source(client), topic);
        if let Some(last) = said.get(&key)
            && now.saturating_duration_since(*last) < REPEAT
        {
            return false;
        }
        if said.len() >= MAX_SOURCES {
            said.retain(|_, last| now.saturating_duration_since(*last) < REPEAT);
            if said.len() >= MAX_SOURCES {
                return false;
            }
        }
        said.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_is_named_once_an_hour_and_topic() {
        let (notices, now) = (Notices::default(), Instant::now());
        let client = IpAddr::from([192, 0, 2, 1]);
        assert!(notices.is_news(client, Topic::Protocol, now));
        assert!(!notices.is_news(client, Topic::Protocol, now + REPEAT / 2));
        assert!(notices.is_news(client, Topic::TooMany, now));
        assert!(notices.is_news(IpAddr::from([192, 0, 2, 2]), Topic::Protocol, now));
        assert!(notices.is_news(client, Topic::Protocol, now + REPEAT));
    }

    #[test]
    fn a_flood_of_addresses_is_neither_remembered_nor_logged_whole() {
        let (notices, now) = (Notices::default(), Instant::now());
        let said = (0..100_000_u32)
            .filter(|number| notices.is_news(IpAddr::V4((*number).into()), Topic::Handshake, now))
            .count();
        assert_eq!(said, MAX_SOURCES);
        assert!(
            notices.is_news(IpAddr::from([255, 0, 0, 1]), Topic::Handshake, now + REPEAT),
            "old entries make room"
        );
        assert_eq!(notices.0.lock().unwrap().len(), 1);
    }
}
