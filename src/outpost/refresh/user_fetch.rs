//! Fetches single users whom the directory does not know, or knows differently from what a login just proved, without waiting
//! for the next refresh.
//!
//! Asks authentik for a few of those wanted at a time, and puts all that came into one snapshot; never during the installation
//! of a refreshed directory. What was fetched replaces every row it contradicts: of the same user, and of whoever had the name
//! before, who is fetched then, too. Must not know why somebody is wanted.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outpost::aside::aside;
use crate::outpost::directory::CurrentDirectory;
use akldap_authentik::lists::sort_by_date;
use akldap_authentik::{Client, User};
use akldap_directory::{
    Builder, Shape, Snapshot, Warning, WrongNumber, login_key, without_white_space_around,
};

use super::assembly::{Assembly, Fetched};
use super::load::{InstallTarget, LoadError, namesakes};
use super::miss::{FoundUser, Misses, other_name};
use super::records::user_record;

/// Users asked for at once: more follow as fast as authentik answers, and its few workers are left to others too.
pub(super) const FETCHES_AT_ONCE: usize = 4;
/// How long authentik may take for one of them: others wait behind it.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// After a snapshot was built there is none for this many times as long as it took, which is about a second for 100,000
/// users: fetching takes at most a third of a processor, and the more users come meanwhile the more share a snapshot.
const PAUSE_FACTOR: u32 = 2;
/// How long a bind waits for its user to be fetched.
const PATIENCE: Duration = Duration::from_secs(5);
/// Users fetched together because their names were passed around. Whoever had a name before these is left out until the next
/// refresh.
const MAX_NAMESAKES: usize = 4;
/// The fields besides the name by which authentik's identification stage finds a user.
const LOGIN_FIELDS: [&str; 2] = ["mail", "upn"];

/// Fetches users into the directory.
pub(crate) struct UserFetch {
    client: Client,
    directory: Arc<CurrentDirectory>,
    misses: Misses,
}

impl UserFetch {
    /// Nobody is wanted yet.
    pub(in crate::outpost) fn new(client: Client, directory: Arc<CurrentDirectory>) -> Self {
        Self {
            client,
            directory,
            misses: Misses::default(),
        }
    }

    /// Fetches whoever is wanted until shutdown. After that nobody waits for a user.
    pub(in crate::outpost) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (fetch, shutdown) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = fetch.run() => {}
            }
            fetch.misses.close();
        });
    }

    /// Makes sure that the directory shows a user who was just proved to exist, to be active and to log in under this name, if
    /// authentik does. Gives up after a few seconds; a later fetch or the next refresh shows the user in any case.
    /// `began`: authentik's clock when the login began, or before.
    pub(in crate::outpost) async fn of_login(&self, pk: i64, name: &str, began: Option<SystemTime>) {
        let name = without_white_space_around(name);
        if timeout(PATIENCE, self.fetch_until_right(pk, name, began))
            .await
            .is_err()
        {
            tracing::debug!(pk, "fetching a user who is not in the directory took too long");
        }
    }

    /// Fetches a user unless the directory shows the name, or was right without it.
    async fn fetch_until_right(&self, pk: i64, name: &str, began: Option<SystemTime>) {
        let mut row = FoundUser::default();
        for again in [false, true] {
            let Some(snapshot) = self.directory.snapshot() else {
                return;
            };
            if self.directory.shows(pk) && self.is_right_about(&snapshot, pk, name) {
                return;
            }
            let Some(fetch) = self.misses.want(pk, Instant::now()) else {
                return;
            };
            let under_way = fetch.under_way;
            let Some(found) = fetch.found().await else {
                return;
            };
            row = found;
            // What was asked for before this login may be older than the name.
            if again || !under_way {
                break;
            }
        }
        let began = began.and_then(|began| began.duration_since(UNIX_EPOCH).ok());
        let began = began.and_then(|began| i64::try_from(began.as_micros()).ok());
        // Whoever was changed since the login began may have had the name then but not have it now.
        if row
            .changed
            .zip(began)
            .is_none_or(|(changed, began)| changed < began)
            && let Some(snapshot) = self.directory.snapshot()
            && self.directory.sound(shows_name(&snapshot, pk, name)) != Some(true)
            && let Some(other) = self.directory.sound(other_name(&snapshot, pk, name)).flatten()
        {
            self.misses.lock().remember_other_name(other);
        }
    }

    /// Whether the directory shows a user's name, or was right without it.
    fn is_right_about(&self, snapshot: &Snapshot, pk: i64, name: &str) -> bool {
        if self.directory.sound(shows_name(snapshot, pk, name)) == Some(true) {
            return true;
        }
        let other = self.directory.sound(other_name(snapshot, pk, name)).flatten();
        other.is_some_and(|other| self.misses.lock().has_other_name(&other))
    }

    /// Whether the directory is as new as a login under this name: it has the name, or was found to be right without it.
    pub(in crate::outpost) fn is_up_to_login(&self, pk: i64, name: &str) -> bool {
        let snapshot = self.directory.snapshot();
        snapshot.is_some_and(|snapshot| self.is_right_about(&snapshot, pk, without_white_space_around(name)))
    }

    /// Has a user fetched whom the directory does not show, without waiting.
    pub(crate) fn soon(&self, pk: i64) {
        if !self.directory.shows(pk) {
            self.misses.want(pk, Instant::now());
        }
    }

    /// Fetches whoever is wanted, for ever.
    async fn run(&self) {
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
                biased;
                () = sleep_until(next_build), if !rows.is_empty() => {
                    let began = Instant::now();
                    self.install_fetched(std::mem::take(&mut rows)).await;
                    next_build = Instant::now() + began.elapsed() * PAUSE_FACTOR;
                }
                Some((pk, row)) = fetches.next() => match row {
                    Ok(row) => rows.push(row),
                    Err(error) => {
                        tracing::debug!(pk, error, "a user who is not in the directory could not be fetched");
                        self.misses.end(pk, None, Instant::now());
                    }
                },
                () = self.misses.wanted.notified(), if fetches.len() < FETCHES_AT_ONCE => {}
            }
        }
    }

    /// Has the directory served in these shapes besides the default one; waits until it is.
    pub(in crate::outpost) async fn serve_in(&self, shapes: Vec<Arc<Shape>>) {
        let _installing = self.misses.installing.lock().await;
        let directory = Arc::clone(&self.directory);
        match aside(move || directory.want(shapes)).await {
            Ok(wanted) => {
                for warning in self.directory.sound(wanted).into_iter().flatten() {
                    tracing::warn!("{warning}");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the directory could not be put into the shape of a provider");
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
        let found = rows.iter().map(|row| {
            let changed = row.last_updated.micros();
            (row.pk, FoundUser { changed })
        });
        let found: BTreeMap<i64, FoundUser> = found.collect();
        // Those not fetched in time still give way.
        let fetched = timeout(PATIENCE, self.fetch_namesakes(&mut rows)).await;
        let gone = fetched.unwrap_or_else(|_| Ok(BTreeSet::new()));
        let at = Instant::now();
        let installing = self.misses.installing.lock().await;
        // What was in transit while a look showed something newer must not override it.
        self.misses.lock().leave_out_overtaken(&mut rows);
        let built = self.put(rows, gone, at).await;
        drop(installing);
        for (pk, found) in found {
            let shown = built && self.directory.shows(pk);
            self.misses.end(pk, shown.then_some(found), Instant::now());
        }
    }

    /// Puts users read at this moment or later into the directory, and takes out those who are gone. To be called while nothing
    /// else is installed. False: that failed.
    async fn put(&self, mut rows: Vec<User>, gone: Result<BTreeSet<i64>, WrongNumber>, at: Instant) -> bool {
        let Some(current) = self.directory.snapshot() else {
            return true;
        };
        rows.retain(|row| self.directory.sound(shows_row(&current, row)) != Some(true));
        let still_there = |gone: &BTreeSet<i64>| gone.iter().any(|pk| current.user_by_pk(*pk).is_some());
        if rows.is_empty() && !gone.as_ref().is_ok_and(still_there) {
            return true;
        }
        let fetched: Vec<Fetched> = rows.iter().cloned().map(|user| Fetched { user, at }).collect();
        let mut concerned: BTreeSet<i64> = rows.iter().map(|row| row.pk).collect();
        concerned.extend(gone.iter().flatten());
        let directory = Arc::clone(&self.directory);
        let build = move || directory.shape(with_users(&current, &rows, &gone?)?, false);
        match aside(build).await {
            Ok(Ok(next)) => {
                self.misses.lock().fetched.extend(fetched);
                self.directory.install(next, Some(&concerned));
                tracing::info!(
                    users = concerned.len(),
                    "fetched users who are newer than the directory"
                );
                true
            }
            Ok(Err(wrong)) => {
                self.directory.sound::<()>(Err(wrong));
                false
            }
            Err(error) => {
                tracing::error!(%error, "users newer than the directory could not be added to it");
                false
            }
        }
    }

    /// What authentik says of a user, nothing if there is none; `None` if it could not be asked.
    pub(super) async fn ask(&self, pk: i64) -> Option<Option<User>> {
        match timeout(FETCH_TIME, self.client.user(pk)).await {
            Ok(Ok(found)) => Some(found.map(|(user, _)| user)),
            Ok(Err(error)) => {
                tracing::debug!(pk, %error, "a user whom a search found could not be confirmed");
                None
            }
            Err(_) => None,
        }
    }

    /// Whether the directory shows a user just as this row says, or nobody where there is no row.
    pub(super) fn shows_just(&self, pk: i64, row: Option<&User>) -> bool {
        let Some(current) = self.directory.snapshot() else {
            return false;
        };
        match row {
            Some(row) => self.directory.sound(shows_row(&current, row)) == Some(true),
            None => current.user_by_pk(pk).is_none(),
        }
    }

    /// Has the directory show these users as authentik does now. False: it could not be asked.
    pub(super) async fn renew(&self, pks: &[i64]) -> bool {
        // What is read while nothing else is installed is newer than anything that was.
        let _installing = self.misses.installing.lock().await;
        let at = Instant::now();
        let (mut rows, mut gone) = (Vec::new(), BTreeSet::new());
        for &pk in pks {
            match self.ask(pk).await {
                Some(Some(row)) => rows.push(row),
                Some(None) => drop(gone.insert(pk)),
                None => return false,
            }
        }
        let namesakes = timeout(PATIENCE, self.fetch_namesakes(&mut rows)).await;
        let gone = namesakes.unwrap_or(Ok(BTreeSet::new())).map(|others| {
            gone.extend(others);
            gone
        });
        self.put(rows, gone, at).await
    }

    /// Adds those whose names others have by now, asks again for those of them who were read before they lost it, and puts the
    /// user changed last at the end; returns which of them no longer exist.
    async fn fetch_namesakes(&self, rows: &mut Vec<User>) -> Result<BTreeSet<i64>, WrongNumber> {
        let (mut gone, mut asked) = (BTreeSet::new(), BTreeSet::new());
        sort_by_date(rows);
        let Some(current) = self.directory.snapshot() else {
            return Ok(gone);
        };
        for _ in 0..MAX_NAMESAKES {
            let mut others = Vec::new();
            for (number, row) in rows.iter().enumerate() {
                let unread = |pk: &i64| rows.iter().all(|row| row.pk != *pk);
                others.extend(namesakes(&current, row)?.into_iter().filter(unread));
                let before = rows.iter().take(number);
                others.extend(
                    before
                        .filter(|other| other.username == row.username)
                        .map(|other| other.pk),
                );
            }
            let Some(pk) = others.into_iter().find(|pk| asked.insert(*pk)) else {
                break;
            };
            match self.client.user(pk).await {
                Ok(found) => {
                    rows.retain(|row| row.pk != pk);
                    if found.is_none() {
                        gone.insert(pk);
                    }
                    rows.extend(found.map(|(row, _)| row));
                    sort_by_date(rows);
                }
                Err(error) => {
                    tracing::debug!(
                        pk, %error,
                        "a user whose name has passed to another user could not be fetched"
                    );
                    break;
                }
            }
        }
        Ok(gone)
    }
}

impl InstallTarget for UserFetch {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.directory.snapshot()
    }

    async fn install(
        &self,
        mut assembly: Assembly,
        full: bool,
    ) -> Result<(Arc<Snapshot>, Vec<Warning>), LoadError> {
        let _installing = self.misses.installing.lock().await;
        let fetched = self.misses.lock().fetched.clone();
        let still = assembly.merge(fetched);
        let settled = assembly.settled && still.is_empty();
        let dates = std::mem::take(&mut assembly.changes.dates);
        let current = self.directory.snapshot();
        let previous = current.clone();
        let build = aside(move || assembly.build(previous.as_deref()));
        let (snapshot, mut odd) = build.await??;
        {
            let mut state = self.misses.lock();
            state.fetched = still;
            state.dates = dates;
        }
        if let Some(current) = &current
            && snapshot.fingerprint() == current.fingerprint()
        {
            if settled {
                self.directory.settle(current);
            }
            return Ok((Arc::clone(current), odd));
        }
        let (users, groups) = (snapshot.user_count(), snapshot.group_count());
        let directory = Arc::clone(&self.directory);
        let next = aside(move || directory.shape(snapshot, settled)).await??;
        odd.extend_from_slice(&next.warnings);
        if current.is_none() {
            tracing::info!(users, groups, "directory loaded");
        } else {
            tracing::debug!(users, groups, full, "directory refreshed");
        }
        Ok((self.directory.install(next, None), odd))
    }

    fn settle(&self, snapshot: &Arc<Snapshot>) {
        self.directory.settle(snapshot);
    }

    fn has_more(&self) -> bool {
        !self.misses.lock().fetched.is_empty()
    }
}

/// Whether the directory has this name for the user, or one of the other fields that authentik looks for a login in.
fn shows_name(snapshot: &Snapshot, pk: i64, name: &str) -> Result<bool, WrongNumber> {
    let Some(user) = snapshot.user_by_pk(pk) else {
        return Ok(false);
    };
    Ok(login_key(snapshot.user(user)?.username) == login_key(name)
        || snapshot.has_value(user, &LOGIN_FIELDS, name)?)
}

/// Whether the directory shows a user just as the row says.
fn shows_row(snapshot: &Snapshot, row: &User) -> Result<bool, WrongNumber> {
    let Some(known) = snapshot.user_by_pk(row.pk) else {
        return Ok(false);
    };
    let known = snapshot.carried_user(known)?;
    let mut builder = Builder::like(snapshot);
    builder.add_user(&user_record(row));
    let (single, _) = builder.finish()?;
    let Some(fetched) = single.user_by_pk(row.pk) else {
        return Ok(false);
    };
    let mut fetched = single.carried_user(fetched)?;
    // Groups decide who is a superuser.
    fetched.set_superuser(known.is_superuser())?;
    Ok(fetched == known)
}

/// The directory with users put into it and into the groups their rows name, and without those gone; none if a number points
/// nowhere, so that nobody else is left out.
fn with_users(snapshot: &Snapshot, rows: &[User], gone: &BTreeSet<i64>) -> Result<Snapshot, WrongNumber> {
    let mut builder = Builder::like(snapshot);
    let fresh: BTreeSet<i64> = rows.iter().map(|row| row.pk).collect();
    for user in snapshot.users() {
        let user = snapshot.carried_user(user)?;
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
    for group in snapshot.groups() {
        let mut group = snapshot.carried_group(group)?;
        let uuid = group.uuid().as_hyphenated().to_string();
        for pk in members.get(&uuid).into_iter().flatten() {
            group.add_member(*pk);
        }
        builder.carry_group(&group);
    }
    let (next, _) = builder.finish()?;
    next.warm_like(snapshot);
    Ok(next)
}
