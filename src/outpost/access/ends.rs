//! Ends of sessions that were announced before there was a login to end: an announcement may overtake the bind that
//! opened the session, and authentik also announces those of browsers.
//!
//! Forgets nothing without saying so.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use akldap_authentik::SessionEndId;

/// How long an end is remembered: longer than any bind takes, the wait for a turn and for a Duo push included.
pub(super) const MEMORY: Duration = Duration::from_secs(600);
/// Ends remembered at most, about 4 MiB. authentik removes expired sessions in bulk every five minutes.
pub(super) const MAX_ENDS: usize = 65_536;

/// The memory.
#[derive(Debug, Default)]
pub(super) struct Ends {
    in_order: VecDeque<(Instant, SessionEndId)>,
    known: HashSet<SessionEndId>,
}

impl Ends {
    /// Remembers an end. `false`: for lack of room one was forgotten that a bind under way might need.
    #[must_use]
    pub(super) fn note(&mut self, end_id: SessionEndId, now: Instant) -> bool {
        while let Some((noted, _)) = self.in_order.front()
            && now.saturating_duration_since(*noted) >= MEMORY
        {
            self.forget_first();
        }
        if !self.known.insert(end_id) {
            return true;
        }
        self.in_order.push_back((now, end_id));
        if self.in_order.len() <= MAX_ENDS {
            return true;
        }
        self.forget_first();
        false
    }

    /// Whether the end of this session was announced.
    pub(super) fn contains(&self, end_id: &SessionEndId) -> bool {
        self.known.contains(end_id)
    }

    fn forget_first(&mut self) {
        if let Some((_, first)) = self.in_order.pop_front() {
            self.known.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(number: usize) -> SessionEndId {
        format!("{number:064x}").parse().unwrap()
    }

    #[test]
    fn ends_are_remembered_for_their_time_and_an_overflow_is_told() {
        let (mut ends, start) = (Ends::default(), Instant::now());
        for number in 0..MAX_ENDS {
            assert!(ends.note(end(number), start));
            // If it is announced twice, it takes no more room.
            assert!(ends.note(end(number), start));
        }
        assert!(ends.contains(&end(0)));
        assert!(!ends.note(end(MAX_ENDS), start), "the first had to go");
        assert!(!ends.contains(&end(0)) && ends.contains(&end(1)));
        assert!(ends.note(end(0), start + MEMORY), "the old ones made room");
        assert!(!ends.contains(&end(1)) && ends.contains(&end(0)));
        assert_eq!(ends.known.len(), 1);
    }
}
