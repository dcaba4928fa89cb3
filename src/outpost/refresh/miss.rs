//! Single users who are to be fetched without waiting for the next refresh, and who was recently: a bounded set, in
//! the order in which they are asked for.
//!
//! Must not know how a user is fetched, nor why somebody is wanted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use akldap_authentik::{Backoff, Timestamp, User};
use akldap_directory::{Snapshot, WrongNumber, login_key};

use super::assembly::{Fetched, is_overtaken};

/// Users wanted at once, a few hundred octets each until they are fetched. Anybody beyond that waits for the next refresh.
const MAX_WANTED: usize = 4096;
/// Whoever was not found is not looked for again for this long, twice as long each time up to a minute.
const REST: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
/// Users remembered for not having been found; beyond that all of them are forgotten, which costs one request each.
const MAX_RESTING: usize = 4096;

/// Names of logins remembered that are no field of the directory, such as one that the flow looks up elsewhere; beyond that
/// all of them are forgotten, which costs one request each.
const MAX_OTHER_NAMES: usize = 10_000;

/// Who is to be fetched, and who was recently.
#[derive(Debug, Default)]
pub(super) struct Misses {
    /// Held while a snapshot made from the current one is put in its place.
    pub(super) installing: tokio::sync::Mutex<()>,
    state: Mutex<FetchState>,
    /// Somebody was added to those wanted.
    pub(super) wanted: Notify,
}

#[derive(Debug, Default)]
pub(super) struct FetchState {
    /// Everybody wanted, until the fetch has ended.
    wanted: HashMap<i64, WantedUser>,
    /// Those of them nobody has been asked for yet.
    line: VecDeque<i64>,
    resting: HashMap<i64, Rest>,
    /// No user is fetched from now on.
    closed: bool,
    /// Users fetched that a refresh under way may have read before.
    pub(super) fetched: Vec<Fetched>,
    /// When those were changed whom the newest look showed to have changed recently.
    pub(super) dates: HashMap<i64, Timestamp>,
    /// Users by the names the directory has for them, and the names under which they log in if the directory was right and
    /// yet has no such name.
    other_names: HashSet<OtherName>,
}

/// A user, the name the directory has for them, and one under which they log in.
pub(super) type OtherName = (i64, String, String);

/// A user to be fetched.
#[derive(Debug, Default)]
struct WantedUser {
    /// authentik has been asked: the answer may be from before this moment.
    asked: bool,
    /// The user as read and shown, once the fetch has ended; `Some(None)`: not read or not shown.
    found: watch::Sender<Option<Option<FoundUser>>>,
}

/// A user who was read and is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FoundUser {
    /// When the row was last changed, in microseconds since 1970, if it says.
    pub(super) changed: Option<i64>,
}

/// A fetch that somebody waits for.
#[derive(Debug)]
pub(super) struct Fetch {
    /// It began before it was wanted here.
    pub(super) under_way: bool,
    found: watch::Receiver<Option<Option<FoundUser>>>,
}

impl Fetch {
    /// Waits for the end; the user, if they were read and are shown.
    pub(super) async fn found(mut self) -> Option<FoundUser> {
        let found = self.found.wait_for(Option::is_some).await.ok()?;
        found.flatten()
    }
}

/// Until when a user who was not found is left alone, and how many times in a row that happened.
#[derive(Debug)]
struct Rest {
    until: Instant,
    times: u32,
}

impl Misses {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, FetchState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a user fetched. `None`: not fetched, because the user was looked for a moment ago, too many are wanted or nobody is
    /// fetched any more.
    pub(super) fn want(&self, pk: i64, now: Instant) -> Option<Fetch> {
        let mut state = self.lock();
        if let Some(wanted) = state.wanted.get(&pk) {
            return Some(Fetch {
                under_way: wanted.asked,
                found: wanted.found.subscribe(),
            });
        }
        let rests = state.resting.get(&pk).is_some_and(|rest| now < rest.until);
        if rests || state.closed || state.wanted.len() >= MAX_WANTED {
            return None;
        }
        let wanted = WantedUser::default();
        let found = wanted.found.subscribe();
        state.wanted.insert(pk, wanted);
        state.line.push_back(pk);
        drop(state);
        self.wanted.notify_one();
        Some(Fetch {
            under_way: false,
            found,
        })
    }

    /// No user is fetched from now on, and nobody waits for one.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.line.clear();
        state.wanted.clear();
    }

    /// The next user to ask for.
    pub(super) fn next(&self) -> Option<i64> {
        let mut state = self.lock();
        let pk = state.line.pop_front()?;
        if let Some(wanted) = state.wanted.get_mut(&pk) {
            wanted.asked = true;
        }
        Some(pk)
    }

    /// Ends the fetch of a user.
    pub(super) fn end(&self, pk: i64, found: Option<FoundUser>, now: Instant) {
        let mut state = self.lock();
        if found.is_some() {
            state.resting.remove(&pk);
        } else {
            if state.resting.len() >= MAX_RESTING {
                state.resting.clear();
            }
            let rest = state.resting.entry(pk).or_insert(Rest { until: now, times: 0 });
            // Whoever was left alone for longer than any rest starts over.
            if now.saturating_duration_since(rest.until) > REST.longest {
                rest.times = 0;
            }
            rest.until = now + REST.wait(rest.times, 0.0);
            rest.times = rest.times.saturating_add(1);
        }
        if let Some(wanted) = state.wanted.remove(&pk) {
            wanted.found.send_replace(Some(found));
        }
    }
}

impl FetchState {
    /// Leaves out the rows of which a look has shown newer ones.
    pub(super) fn leave_out_overtaken(&self, rows: &mut Vec<User>) {
        rows.retain(|row| !is_overtaken(row, &self.dates));
    }

    pub(super) fn has_other_name(&self, name: &OtherName) -> bool {
        self.other_names.contains(name)
    }

    pub(super) fn remember_other_name(&mut self, name: OtherName) {
        if self.other_names.len() >= MAX_OTHER_NAMES {
            self.other_names.clear();
        }
        self.other_names.insert(name);
    }
}

/// A login under a name that the directory does not have, as it is remembered: once the directory has another name for
/// the user, this one may be the user's own by then.
pub(super) fn other_name(snapshot: &Snapshot, pk: i64, name: &str) -> Result<Option<OtherName>, WrongNumber> {
    let Some(user) = snapshot.user_by_pk(pk) else {
        return Ok(None);
    };
    let user = snapshot.user(user)?;
    Ok(Some((pk, user.username.to_owned(), login_key(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_user_is_wanted_once_however_often_it_is_asked_for() {
        let (misses, now) = (Misses::default(), Instant::now());
        for _ in 0..523_000 {
            assert!(misses.want(1, now).is_some());
        }
        assert_eq!(misses.next(), Some(1));
        assert!(misses.want(1, now).is_some(), "while it is being fetched");
        assert_eq!(misses.next(), None);
        assert_eq!(misses.lock().wanted.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_user_when_nobody_is_asked_for_any_more() {
        let (misses, now) = (Misses::default(), Instant::now());
        let in_line = misses.want(1, now).expect("wanted");
        let asked_for = misses.want(2, now).expect("wanted");
        misses.next();
        misses.close();
        assert_eq!(in_line.found().await, None);
        assert_eq!(asked_for.found().await, None);
        assert!(misses.want(3, now).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_comes_after_the_question_knows_that_the_answer_may_be_older() {
        let (misses, now) = (Misses::default(), Instant::now());
        let first = misses.want(1, now).expect("wanted");
        let in_line = misses.want(1, now).expect("wanted");
        assert_eq!(misses.next(), Some(1));
        let late = misses.want(1, now).expect("wanted");
        let under_way = [&first, &in_line, &late].map(|fetch| fetch.under_way);
        assert_eq!(under_way, [false, false, true]);
        misses.end(1, Some(FoundUser::default()), now);
        for fetch in [first, in_line, late] {
            assert_eq!(fetch.found().await, Some(FoundUser::default()));
        }
        let failed = misses.want(1, now).expect("wanted");
        misses.end(1, None, now);
        assert_eq!(failed.found().await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wanted_and_the_resting_are_bounded() {
        let (misses, now) = (Misses::default(), Instant::now());
        let taken = (0..20_000).filter(|pk| misses.want(*pk, now).is_some()).count();
        assert_eq!((taken, misses.lock().line.len()), (MAX_WANTED, MAX_WANTED));
        for pk in 0..20_000 {
            misses.end(pk, None, now);
        }
        assert!(misses.lock().wanted.is_empty());
        assert!(misses.lock().resting.len() <= MAX_RESTING);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_found_is_left_alone_for_a_while_and_longer_each_time() {
        let (misses, mut now, mut rests) = (Misses::default(), Instant::now(), Vec::new());
        for _ in 0..9 {
            let fetch = misses.want(1, now).expect("wanted");
            misses.end(1, None, now);
            assert_eq!(*fetch.found.borrow(), Some(None));
            let began = now;
            while misses.want(1, now).is_none() {
                now += REST.first;
            }
            rests.push((now - began).as_millis());
        }
        assert_eq!(
            rests,
            [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        misses.end(1, Some(FoundUser::default()), now);
        assert!(misses.want(1, now).is_some(), "who was found is forgotten here");
    }
}
