//! The slowest searches of the last hour, without the values that they asked for. Must not know whose they were.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::operations::OperationPlan;

/// A search that takes longer is slow: a thousand times what most take.
pub const SLOW: Duration = Duration::from_millis(50);
/// How many are kept: the slowest.
const MOST: usize = 8;
/// For how long.
const KEPT_FOR: Duration = Duration::from_secs(3600);

/// A search that was slow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlowSearch {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it found its entries.
    pub plan: OperationPlan,
    /// Its filter with a question mark for each value.
    pub filter: String,
    /// Entries that it returned.
    pub entries: u64,
}

/// The slowest.
#[derive(Debug, Default)]
pub(super) struct SlowSearches {
    slowest: Mutex<Vec<SlowSearch>>,
}

impl SlowSearches {
    /// Keeps a search if it is among the slowest; of several alike, only the slowest.
    pub(super) fn add(&self, search: SlowSearch) {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut slowest, search.at);
        let same = slowest
            .iter()
            .position(|known| known.filter == search.filter && known.plan == search.plan);
        match same.and_then(|position| slowest.get_mut(position)) {
            Some(known) if known.took < search.took => *known = search,
            Some(_) => {}
            None => slowest.push(search),
        }
        slowest.sort_by_key(|search| std::cmp::Reverse(search.took));
        slowest.truncate(MOST);
    }

    /// The slowest first.
    pub(super) fn all(&self, now: SystemTime) -> Vec<SlowSearch> {
        let mut slowest = self.slowest.lock().unwrap_or_else(PoisonError::into_inner);
        forget_old(&mut slowest, now);
        slowest.clone()
    }
}

fn forget_old(slowest: &mut Vec<SlowSearch>, now: SystemTime) {
    slowest.retain(|search| now.duration_since(search.at).unwrap_or_default() < KEPT_FOR);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_of_the_last_hour_are_kept_each_kind_once() {
        let (searches, now) = (SlowSearches::default(), SystemTime::now());
        let add = |filter: &str, milliseconds, at| {
            searches.add(SlowSearch {
                at,
                took: Duration::from_millis(milliseconds),
                plan: OperationPlan::Scan,
                filter: filter.to_owned(),
                entries: 1,
            });
        };
        for number in 0..20 {
            add(&format!("(a{number}=?)"), 100 + number, now);
        }
        add("(a19=?)", 500, now);
        add("(a19=?)", 60, now);
        let took: Vec<u128> = searches
            .all(now)
            .iter()
            .map(|search| search.took.as_millis())
            .collect();
        assert_eq!(took, [500, 118, 117, 116, 115, 114, 113, 112]);
        add("(b=?)", 1000, now + KEPT_FOR);
        assert_eq!(searches.all(now + KEPT_FOR).len(), 1, "the others are old");
    }
}
