//! Repeated lines: some of each kind are written in a window of time, the rest are counted, and the count is written
//! when the window ends. So no peer can fill a disk, and none is forgotten.
//!
//! Knows kinds and numbers; must not know what is logged. The memory is bounded: what comes from too many sources at
//! once is counted together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often ended windows are looked for ([`Repetition::ended`]): a count is late by no more than this.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// How often each kind of line was due recently. `K` names a kind.
#[derive(Debug)]
pub struct Repetition<K> {
    window: Duration,
    allowance: u64,
    most_kinds: usize,
    seen: Mutex<Seen<K>>,
}

#[derive(Debug)]
struct Seen<K> {
    kinds: HashMap<K, Window>,
    /// All kinds for which there was no room.
    others: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    since: Instant,
    lines: u64,
}

/// Lines that were counted instead of written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated<K> {
    /// Their kind; `None`: of many kinds.
    pub kind: Option<K>,
    /// How many, besides those that were written.
    pub lines: u64,
}

impl<K: Copy + Eq + Hash> Repetition<K> {
    /// Writes `allowance` lines of each kind in a `window`, and knows `most_kinds` kinds at once.
    #[must_use]
    pub fn new(window: Duration, allowance: u64, most_kinds: usize) -> Self {
        Self {
            window,
            allowance,
            most_kinds,
            seen: Mutex::new(Seen {
                kinds: HashMap::new(),
                others: None,
            }),
        }
    }

    /// The window.
    #[must_use]
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Whether a line of this kind should be written; otherwise it is counted.
    pub fn admits(&self, kind: K, now: Instant) -> bool {
        let mut seen = self.lock();
        let seen = &mut *seen;
        let fresh = Window { since: now, lines: 0 };
        let room = seen.kinds.len() < self.most_kinds;
        let window = match seen.kinds.entry(kind) {
            Entry::Occupied(window) => window.into_mut(),
            Entry::Vacant(place) if room => place.insert(fresh),
            Entry::Vacant(_) => seen.others.get_or_insert(fresh),
        };
        // One that ended with lines left out is reported first, and counts until then.
        if window.lines <= self.allowance && self.is_over(*window, now) {
            *window = fresh;
        }
        window.lines += 1;
        window.lines <= self.allowance
    }

    /// What was counted in windows that have ended. Call it every [`SWEEP_INTERVAL`].
    pub fn ended(&self, now: Instant) -> Vec<Repeated<K>> {
        let mut seen = self.lock();
        let seen = &mut *seen;
        let mut ended = Vec::new();
        seen.kinds.retain(|kind, window| {
            let over = self.is_over(*window, now);
            if over {
                ended.extend(self.repeated(Some(*kind), *window));
            }
            !over
        });
        // After a flood from many sources the room it took is given back.
        if seen.kinds.capacity() > 4 * seen.kinds.len().max(64) {
            seen.kinds.shrink_to_fit();
        }
        if let Some(window) = seen.others.filter(|window| self.is_over(*window, now)) {
            seen.others = None;
            ended.extend(self.repeated(None, window));
        }
        ended
    }

    /// Everything that was counted, at the end of the process.
    pub fn finish(&self) -> Vec<Repeated<K>> {
        let mut seen = self.lock();
        let (kinds, others) = (mem::take(&mut seen.kinds), seen.others.take());
        drop(seen);
        let kinds = kinds
            .into_iter()
            .filter_map(|(kind, window)| self.repeated(Some(kind), window));
        let others = others.and_then(|window| self.repeated(None, window));
        kinds.chain(others).collect()
    }

    fn repeated(&self, kind: Option<K>, window: Window) -> Option<Repeated<K>> {
        let lines = window.lines.saturating_sub(self.allowance);
        (lines > 0).then_some(Repeated { kind, lines })
    }

    fn is_over(&self, window: Window, now: Instant) -> bool {
        now.saturating_duration_since(window.since) >= self.window
    }

    fn lock(&self) -> MutexGuard<'_, Seen<K>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_beyond_the_allowance_is_counted_and_told_when_the_window_ends() {
        let (lines, start) = (Repetition::new(10 * SECOND, 2, 100), Instant::now());
        let written = (0..50).filter(|_| lines.admits("a", start)).count();
        assert_eq!(written, 2);
        assert!(lines.admits("b", start + SECOND), "another kind");
        assert!(lines.ended(start + 9 * SECOND).is_empty());
        // Counted even when nobody looked in time.
        assert!(!lines.admits("a", start + 12 * SECOND));
        let told = lines.ended(start + 13 * SECOND);
        assert_eq!(
            told,
            [Repeated {
                kind: Some("a"),
                lines: 49
            }]
        );
        assert!(lines.admits("a", start + 14 * SECOND), "a new window");
        assert!(
            lines.ended(start + 60 * SECOND).is_empty(),
            "nothing was left out"
        );
        assert_eq!(lines.lock().kinds.len(), 0);
    }

    #[test]
    fn too_many_kinds_are_counted_together_and_forgotten_together() {
        let (lines, start) = (Repetition::new(10 * SECOND, 1, 100), Instant::now());
        let written = (0..10_000).filter(|kind| lines.admits(*kind, start)).count();
        assert_eq!(written, 101, "one of each, and one for all the others");
        assert!(lines.lock().kinds.len() <= 100);
        let told = lines.ended(start + 10 * SECOND);
        assert_eq!(
            told,
            [Repeated {
                kind: None,
                lines: 9_899
            }]
        );
        assert!(lines.lock().kinds.capacity() <= 512);
    }

    #[test]
    fn the_end_of_the_process_tells_what_is_left() {
        let (lines, start) = (Repetition::new(10 * SECOND, 1, 1), Instant::now());
        for kind in [1, 1, 1, 2, 2] {
            lines.admits(kind, start);
        }
        let told = lines.finish();
        assert_eq!(
            told,
            [
                Repeated {
                    kind: Some(1),
                    lines: 2
                },
                Repeated { kind: None, lines: 1 }
            ]
        );
        assert!(lines.finish().is_empty());
    }
}
