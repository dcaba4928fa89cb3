//! Fetches single users whom the directory does not know, or knows otherwise than a login just proved, without waiting
//! for the next refresh.
//!
//! Knows a bounded set of wanted users, asks authentik for a few of them at a time, and puts all that came into one
//! snapshot; never beside the installation of a refreshed directory. What was fetched replaces every row it contradicts: of
//! the same user, and of whoever had the name before, who is fetched then, too. Must not know why somebody is wanted.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use crate::outpost::Outpost;
use akldap_authentik::User;
use akldap_directory::{Builder, Snapshot, Warning, login_key, without_white_space_around};

use super::assembly::{Assembly, Fetched};
use super::load::{LoadError, namesakes};
use super::observation::sort_by_date;
use super::records::user_record;
use super::source::Target;

/// Users wanted at once, some hundred octets each until they are fetched. Whoever comes beyond waits for the next refresh.
const MAX_WANTED: usize = 4096;
/// Users asked for at once: as many follow each other as authentik's answers allow, and its few workers are left to
/// others too.
const FETCHES_AT_ONCE: usize = 4;
/// How long authentik may take for one of them: others wait behind it.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// After a snapshot was built there is none for so many times as long as it took, which is about a second for 100,000
/// users: fetching takes at most a third of a processor, and the more users come meanwhile the more share a snapshot.
const PAUSE_FACTOR: u32 = 2;
/// Whoever was not found is not looked for again for so long, twice as long each time up to a minute.
const FIRST_REST: Duration = Duration::from_millis(500);
const LAST_REST: Duration = Duration::from_secs(60);
/// Users remembered for not having been found; beyond it all of them are forgotten, which costs one request each.
const MAX_RESTING: usize = 4096;
/// How long a bind waits for its user to be fetched.
const PATIENCE: Duration = Duration::from_secs(5);

/// Users fetched with one another because their names went round. Whoever had a name before these is left out until the
/// next refresh.
const MAX_NAMESAKES: usize = 4;
/// The fields besides the name by which authentik's identification stage finds a user.
const LOGIN_FIELDS: [&str; 2] = ["mail", "upn"];
/// Names of logins remembered that are no field of the directory, such as one that the flow looks up elsewhere; beyond it
/// all of them are forgotten, which costs one request each.
const MAX_OTHER_NAMES: usize = 10_000;

/// Who is to be fetched, and who was of late.
#[derive(Debug, Default)]
pub(in crate::outpost) struct Misses {
    /// Held while a snapshot made from the current one is put in its place.
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Somebody was added to those wanted.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Everybody wanted, until the fetch has ended.
    wanted: HashMap<i64, Wanted>,
    /// Those of them nobody has been asked for yet.
    line: VecDeque<i64>,
    resting: HashMap<i64, Rest>,
    /// Users fetched that a refresh under way may have read before.
    fetched: Vec<Fetched>,
    /// Users by the names the directory has for them, and the names under which they log in, where the directory was
    /// right and yet has no such name.
    other_names: HashSet<(i64, String, String)>,
}

/// A user to be fetched.
#[derive(Debug, Default)]
struct Wanted {
    /// authentik has been asked: the answer may be of before this moment.
    asked: bool,
    /// Whether the user was read and is shown, once the fetch has ended.
    found: watch::Sender<Option<bool>>,
}

/// A fetch that somebody waits for.
#[derive(Debug)]
struct Fetch {
    /// It began before it was wanted here.
    under_way: bool,
    found: watch::Receiver<Option<bool>>,
}

impl Fetch {
    /// Waits for the end, and says whether the user was read and is shown.
    async fn found(mut self) -> bool {
        self.found
            .wait_for(Option::is_some)
            .await
            .is_ok_and(|found| *found == Some(true))
    }
}

/// Until when a user who was not found is left alone, and for how long the next time.
#[derive(Debug)]
struct Rest {
    until: Instant,
    next: Duration,
}

impl Misses {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a user fetched. `None`: it is not to be, for the user was looked for a moment ago or too many are wanted.
    fn want(&self, pk: i64, now: Instant) -> Option<Fetch> {
        let mut state = self.lock();
        if let Some(wanted) = state.wanted.get(&pk) {
            return Some(Fetch {
                under_way: wanted.asked,
                found: wanted.found.subscribe(),
            });
        }
        let rests = state.resting.get(&pk).is_some_and(|rest| now < rest.until);
        if rests || state.wanted.len() >= MAX_WANTED {
            return None;
        }
        let wanted = Wanted::default();
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

    /// The next user to ask for.
    fn next(&self) -> Option<i64> {
        let mut state = self.lock();
        let pk = state.line.pop_front()?;
        if let Some(wanted) = state.wanted.get_mut(&pk) {
            wanted.asked = true;
        }
        Some(pk)
    }

    /// Ends the fetch of a user.
    fn end(&self, pk: i64, found: bool, now: Instant) {
        let mut state = self.lock();
        if found {
            state.resting.remove(&pk);
        } else {
            if state.resting.len() >= MAX_RESTING {
                state.resting.clear();
            }
            let rest = state.resting.entry(pk).or_insert(Rest {
                until: now,
                next: FIRST_REST,
            });
            // Who was left in peace for longer than any rest begins anew.
            if now.saturating_duration_since(rest.until) > LAST_REST {
                rest.next = FIRST_REST;
            }
            rest.until = now + rest.next;
            rest.next = (rest.next * 2).min(LAST_REST);
        }
        if let Some(wanted) = state.wanted.remove(&pk) {
            wanted.found.send_replace(Some(found));
        }
    }
}

impl State {
    fn has_other_name(&self, snapshot: &Snapshot, pk: i64, name: &str) -> bool {
        other_name(snapshot, pk, name).is_some_and(|name| self.other_names.contains(&name))
    }

    fn remember_other_name(&mut self, snapshot: &Snapshot, pk: i64, name: &str) {
        if self.other_names.len() >= MAX_OTHER_NAMES {
            self.other_names.clear();
        }
        self.other_names.extend(other_name(snapshot, pk, name));
    }
}

/// A login under a name that the directory does not have, as it is remembered: once the directory has another name for
/// the user, this one may be the user's own by then.
fn other_name(snapshot: &Snapshot, pk: i64, name: &str) -> Option<(i64, String, String)> {
    let user = snapshot.user_by_pk(pk)?;
    Some((pk, snapshot.user(user).username.to_owned(), login_key(name)))
}

/// Whether the directory has this name for the user, or one of the other fields that authentik looks for a login in.
fn shows_name(snapshot: &Snapshot, pk: i64, name: &str) -> bool {
    snapshot.user_by_pk(pk).is_some_and(|user| {
        let shown = snapshot.user(user).username;
        login_key(shown) == login_key(name) || snapshot.has_value(user, &LOGIN_FIELDS, name)
    })
}

impl Outpost {
    /// Makes sure that the directory shows a user who has just proved to exist, to be active and to log in under this
    /// name, if authentik does. Gives up after a few seconds; a later fetch or the next refresh shows the user in any case.
    pub(in crate::outpost) async fn fetch_login(&self, pk: i64, name: &str) {
        let name = without_white_space_around(name);
        if timeout(PATIENCE, self.fetch_until_right(pk, name)).await.is_err() {
            tracing::debug!(pk, "fetching a user the directory does not show takes too long");
        }
    }

    /// Fetches a user unless the directory shows the name, or was right without it.
    async fn fetch_until_right(&self, pk: i64, name: &str) {
        for again in [false, true] {
            let Some(snapshot) = self.snapshot() else {
                return;
            };
            let shows_name = self.shows(pk) && shows_name(&snapshot, pk, name);
            if shows_name || (self.shows(pk) && self.misses.lock().has_other_name(&snapshot, pk, name)) {
                return;
            }
            let Some(fetch) = self.misses.want(pk, Instant::now()) else {
                return;
            };
            let under_way = fetch.under_way;
            if !fetch.found().await {
                return;
            }
            // What was asked for before this login may be of before the name.
            if again || !under_way {
                break;
            }
        }
        if let Some(snapshot) = self.snapshot()
            && !shows_name(&snapshot, pk, name)
        {
            self.misses.lock().remember_other_name(&snapshot, pk, name);
        }
    }

    /// Has a user fetched whom the directory does not show, without waiting.
    pub fn fetch_user_soon(&self, pk: i64) {
        if !self.shows(pk) {
            self.misses.want(pk, Instant::now());
        }
    }

    fn shows(&self, pk: i64) -> bool {
        self.snapshot().is_some_and(|snapshot| {
            snapshot
                .user_by_pk(pk)
                .is_some_and(|user| snapshot.user(user).is_active)
        })
    }

    /// Fetches whoever is wanted, for ever.
    pub(super) async fn fetch_wanted_users(&self) {
        let mut fetches = FuturesUnordered::new();
        let mut rows = Vec::new();
        let mut next_build = Instant::now();
        loop {
            while fetches.len() < FETCHES_AT_ONCE
                && let Some(pk) = self.misses.next()
            {
                fetches.push(async move { (pk, self.user_row(pk).await) });
            }
            tokio::select! {
                () = self.misses.wanted.notified(), if fetches.len() < FETCHES_AT_ONCE => {}
                Some((pk, row)) = fetches.next() => match row {
                    Ok(row) => rows.push(row),
                    Err(error) => {
                        tracing::debug!(pk, error, "a user the directory does not show was not fetched");
                        self.misses.end(pk, false, Instant::now());
                    }
                },
                () = sleep_until(next_build), if !rows.is_empty() => {
                    let began = Instant::now();
                    self.install_fetched(std::mem::take(&mut rows)).await;
                    next_build = Instant::now() + began.elapsed() * PAUSE_FACTOR;
                }
            }
        }
    }

    async fn user_row(&self, pk: i64) -> Result<User, String> {
        match timeout(FETCH_TIME, self.client.user(pk)).await {
            Ok(Ok(Some((user, _)))) => Ok(user),
            Ok(Ok(None)) => Err("there is no such user".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("authentik took too long to show the user".to_owned()),
        }
    }

    /// Puts users into the directory that shows them otherwise or not at all.
    async fn install_fetched(&self, mut rows: Vec<User>) {
        let pks: BTreeSet<i64> = rows.iter().map(|row| row.pk).collect();
        // Those not fetched in time give way all the same.
        let fetched = timeout(PATIENCE, self.fetch_namesakes(&mut rows)).await;
        let gone = fetched.unwrap_or_default();
        let at = Instant::now();
        let mut built = true;
        let gate = self.misses.gate.lock().await;
        if let Some(current) = self.snapshot() {
            rows.retain(|row| !shows_row(&current, row));
            if !rows.is_empty() {
                let fetched: Vec<Fetched> = rows.iter().cloned().map(|user| Fetched { user, at }).collect();
                let mut concerned: BTreeSet<i64> = rows.iter().map(|row| row.pk).collect();
                concerned.extend(&gone);
                match tokio::task::spawn_blocking(move || with_users(&current, &rows, &gone)).await {
                    Ok(snapshot) => {
                        self.misses.lock().fetched.extend(fetched);
                        self.install(snapshot, Some(&concerned));
                        tracing::info!(users = concerned.len(), "fetched users newer than the directory");
                    }
                    Err(error) => {
                        built = false;
                        tracing::error!(%error, "users newer than the directory could not be put into it");
                    }
                }
            }
        }
        drop(gate);
        for pk in pks {
            self.misses.end(pk, built && self.shows(pk), Instant::now());
        }
    }

    /// Adds those whose names others have by now; returns who of them is there no more.
    async fn fetch_namesakes(&self, rows: &mut Vec<User>) -> BTreeSet<i64> {
        let mut gone = BTreeSet::new();
        let Some(current) = self.snapshot() else {
            return gone;
        };
        for _ in 0..MAX_NAMESAKES {
            let unseen = |pk: &i64| !gone.contains(pk) && rows.iter().all(|row| row.pk != *pk);
            let mut others = rows.iter().flat_map(|row| namesakes(&current, row));
            let Some(pk) = others.find(unseen) else {
                break;
            };
            match self.client.user(pk).await {
                Ok(Some((row, _))) => {
                    rows.push(row);
                    sort_by_date(rows);
                }
                Ok(None) => drop(gone.insert(pk)),
                Err(error) => {
                    tracing::debug!(pk, %error, "a user whose name another one has was not fetched");
                    break;
                }
            }
        }
        gone
    }
}

impl Target for Outpost {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot()
    }

    async fn install(
        &self,
        mut assembly: Assembly,
        full: bool,
    ) -> Result<(Arc<Snapshot>, Vec<Warning>), LoadError> {
        let _gate = self.misses.gate.lock().await;
        let fetched = self.misses.lock().fetched.clone();
        let still = assembly.merge(fetched);
        let current = self.snapshot();
        let previous = current.clone();
        let build = tokio::task::spawn_blocking(move || assembly.build(previous.as_deref()));
        let (snapshot, odd) = build.await?;
        self.misses.lock().fetched = still;
        if let Some(current) = &current
            && snapshot.fingerprint() == current.fingerprint()
        {
            return Ok((Arc::clone(current), odd));
        }
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        if current.is_none() {
            tracing::info!(users, groups, "directory loaded");
        } else {
            tracing::debug!(users, groups, full, "directory refreshed");
        }
        Ok((self.install(snapshot, None), odd))
    }
}

/// Whether the directory shows a user just as the row says.
fn shows_row(snapshot: &Snapshot, row: &User) -> bool {
    let Some(known) = snapshot
        .user_by_pk(row.pk)
        .map(|user| snapshot.carried_user(user))
    else {
        return false;
    };
    let mut builder = Builder::like(snapshot);
    builder.add_user(&user_record(row));
    let (single, _) = builder.finish();
    single.user_by_pk(row.pk).is_some_and(|user| {
        let mut fetched = single.carried_user(user);
        // Superusers are told by the groups.
        fetched.set_superuser(known.is_superuser());
        fetched == known
    })
}

/// The directory with users put into it and into the groups their rows name, and without those gone.
fn with_users(snapshot: &Snapshot, rows: &[User], gone: &BTreeSet<i64>) -> Snapshot {
    let mut builder = Builder::like(snapshot);
    let fresh: BTreeSet<i64> = rows.iter().map(|row| row.pk).collect();
    for user in snapshot.users().map(|user| snapshot.carried_user(user)) {
        if !fresh.contains(&user.pk()) && !gone.contains(&user.pk()) {
            builder.carry_user(&user);
        }
    }
    for row in rows {
        builder.add_user(&user_record(row));
    }
    let mut members: HashMap<String, Vec<i64>> = HashMap::new();
    for row in rows {
        for group in &row.groups {
            members
                .entry(group.to_ascii_lowercase())
                .or_default()
                .push(row.pk);
        }
    }
    for mut group in snapshot.groups().map(|group| snapshot.carried_group(group)) {
        let uuid = group.uuid().as_hyphenated().to_string();
        for pk in members.get(&uuid).into_iter().flatten() {
            group.add_member(*pk);
        }
        builder.carry_group(&group);
    }
    let (next, _) = builder.finish();
    next.warm_like(snapshot);
    next
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
    async fn whoever_comes_after_the_question_knows_that_the_answer_may_be_of_before() {
        let (misses, now) = (Misses::default(), Instant::now());
        let first = misses.want(1, now).expect("wanted");
        let in_line = misses.want(1, now).expect("wanted");
        assert_eq!(misses.next(), Some(1));
        let late = misses.want(1, now).expect("wanted");
        let under_way = [&first, &in_line, &late].map(|fetch| fetch.under_way);
        assert_eq!(under_way, [false, false, true]);
        misses.end(1, true, now);
        assert!(first.found().await && in_line.found().await && late.found().await);
        let failed = misses.want(1, now).expect("wanted");
        misses.end(1, false, now);
        assert!(!failed.found().await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wanted_and_the_resting_are_bounded() {
        let (misses, now) = (Misses::default(), Instant::now());
        let taken = (0..20_000).filter(|pk| misses.want(*pk, now).is_some()).count();
        assert_eq!((taken, misses.lock().line.len()), (MAX_WANTED, MAX_WANTED));
        for pk in 0..20_000 {
            misses.end(pk, false, now);
        }
        assert!(misses.lock().wanted.is_empty());
        assert!(misses.lock().resting.len() <= MAX_RESTING);
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_not_found_is_left_alone_for_a_while_and_longer_each_time() {
        let (misses, mut now, mut rests) = (Misses::default(), Instant::now(), Vec::new());
        for _ in 0..9 {
            let fetch = misses.want(1, now).expect("wanted");
            misses.end(1, false, now);
            assert_eq!(*fetch.found.borrow(), Some(false));
            let began = now;
            while misses.want(1, now).is_none() {
                now += FIRST_REST;
            }
            rests.push((now - began).as_millis());
        }
        assert_eq!(
            rests,
            [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]
        );
        misses.end(1, true, now);
        assert!(misses.want(1, now).is_some(), "who was found is forgotten here");
    }
}
