//! Who is connected: how many in all, how many from each address, and whether it is getting crowded.
//!
//! The memory it takes is bounded by the connections it counts. Must not know what connections are for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The server counts as crowded when less than this part of its places is free.
const CROWDED_PART: usize = 8;

/// The connections of the moment.
#[derive(Debug)]
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    capacity: usize,
    limit_per_source: Option<usize>,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// A connection that is counted for its address until this is dropped.
#[derive(Debug)]
pub(super) struct Member {
    crowd: Arc<Crowd>,
    source: IpAddr,
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
    pub(super) fn new(capacity: usize, limit_per_source: Option<usize>) -> Arc<Self> {
        let capacity = capacity.min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            places: Arc::new(Semaphore::new(capacity)),
            capacity,
            limit_per_source,
            sources: Mutex::default(),
        })
    }

    /// Waits for a free place. `None` never happens while the server runs.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }

    /// Counts a connection for its address; `None` if the address has too many.
    pub(super) fn enter(self: &Arc<Self>, client: IpAddr) -> Option<Member> {
        let source = source(client);
        let mut sources = self.lock();
        let count = sources.entry(source).or_default();
        if self.limit_per_source.is_some_and(|limit| *count >= limit) {
            return None;
        }
        *count += 1;
        drop(sources);
        Some(Member {
            crowd: Arc::clone(self),
            source,
        })
    }

    /// Whether few places are left, so that whoever only sits there should go.
    pub(super) fn is_dense(&self) -> bool {
        self.places.available_permits() < self.capacity.div_ceil(CROWDED_PART)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut sources = self.crowd.lock();
        if let Some(count) = sources.get_mut(&self.source) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                sources.remove(&self.source);
                // After a flood from many addresses the room it took is given back.
                if sources.capacity() > 4 * sources.len().max(256) {
                    sources.shrink_to_fit();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_no_more() {
        let crowd = Crowd::new(100, Some(2));
        let first = crowd.enter(ip("192.0.2.1")).unwrap();
        let second = crowd.enter(ip("::ffff:192.0.2.1")).unwrap();
        assert!(
            crowd.enter(ip("192.0.2.1")).is_none(),
            "both spellings are one client"
        );
        let other = crowd.enter(ip("192.0.2.2")).unwrap();
        drop(second);
        assert!(crowd.enter(ip("192.0.2.1")).is_some());
        drop((first, other));
        assert!(
            crowd.lock().is_empty(),
            "who is gone is forgotten, who was refused was never counted"
        );
        let _one = crowd.enter(ip("2001:db8::1")).unwrap();
        let _two = crowd.enter(ip("2001:db8::ffff:2")).unwrap();
        assert!(crowd.enter(ip("2001:db8::3")).is_none(), "a /64 is one client");
        assert!(crowd.enter(ip("2001:db8:0:1::3")).is_some());
    }

    #[test]
    fn a_flood_leaves_no_room_behind() {
        let crowd = Crowd::new(100_000, Some(2));
        let members: Vec<Member> = (0..20_000_u32)
            .map(|number| crowd.enter(IpAddr::V4(number.into())).unwrap())
            .collect();
        drop(members);
        assert!(crowd.lock().capacity() <= 4 * 256);
    }

    #[tokio::test]
    async fn it_is_dense_when_an_eighth_is_left() {
        let crowd = Crowd::new(16, None);
        let mut places = Vec::new();
        for _ in 0..14 {
            places.push(crowd.place().await.unwrap());
        }
        assert!(!crowd.is_dense());
        places.push(crowd.place().await.unwrap());
        assert!(crowd.is_dense());
        places.clear();
        assert!(!crowd.is_dense());
    }
}
