//! Users and groups that change all the time, as authentik lists them, and a check of what is made of them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::super::super::assembly::Assembly;
use super::super::{InstallTarget, LoadError};
use akldap_authentik::lists::ListSource;
use akldap_authentik::{
    ApiError, Group, GroupsQuery, Page, Pagination, RawPage, RowWarning, Timestamp, User, UsersQuery,
};
use akldap_directory::{Snapshot, Warning};

/// The server's clock when a world begins: 2026-01-01.
const BEGINNING: i64 = 1_767_225_600_000_000;
/// No directory becomes smaller by deletions.
const FEWEST: usize = 50;
const FEWEST_GROUPS: usize = 5;

/// How a directory changes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    Create,
    Delete,
    Rename,
    Move,
    Password,
    Mixed,
    DeleteGroup,
}

impl Change {
    /// The ones that may go on for ever.
    pub(super) const ALL: [Self; 6] = [
        Self::Create,
        Self::Delete,
        Self::Rename,
        Self::Move,
        Self::Password,
        Self::Mixed,
    ];
}

/// What a user's entry shows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Shown {
    username: String,
    password_change: i64,
}

/// Past values, each with its end, and the present one.
#[derive(Clone, Debug)]
struct History<T> {
    past: Vec<(i64, T)>,
    now: T,
}

impl<T: Clone + PartialEq> History<T> {
    fn of(now: T) -> Self {
        Self {
            past: Vec::new(),
            now,
        }
    }

    fn set(&mut self, at: i64, new: T) {
        let old = std::mem::replace(&mut self.now, new);
        self.past.push((at, old));
    }

    /// How long ago this was last true; `None`: never.
    fn age(&self, now: i64, shown: &T) -> Option<i64> {
        if self.now == *shown {
            return Some(0);
        }
        let last = self.past.iter().rev().find(|(_, past)| past == shown);
        last.map(|(until, _)| now - until)
    }
}

struct State {
    random: fastrand::Rng,
    /// Microseconds since 1970 of the next change.
    next: i64,
    users: BTreeMap<i64, History<Option<Shown>>>,
    updated: HashMap<i64, i64>,
    groups: BTreeMap<String, BTreeSet<i64>>,
    members: BTreeMap<i64, History<BTreeSet<String>>>,
    last_pk: i64,
    freed: Vec<String>,
    changes: u64,
}

/// A server.
pub(super) struct World {
    kind: Option<Change>,
    every: i64,
    /// Microseconds since 1970 of the last change.
    last: i64,
    latency: Duration,
    /// Rows of a page at most, whatever is asked for.
    most: AtomicU32,
    began: Instant,
    state: Mutex<State>,
}

impl World {
    pub(super) fn new(
        (users, groups): (u32, u32),
        kind: Option<Change>,
        rate: f64,
        latency: Duration,
        seed: u64,
    ) -> Self {
        let mut state = State {
            random: fastrand::Rng::with_seed(seed),
            next: BEGINNING,
            users: BTreeMap::new(),
            updated: HashMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            last_pk: 0,
            freed: Vec::new(),
            changes: 0,
        };
        for _ in 0..groups {
            let uuid = Uuid::from_u128(state.random.u128(..)).to_string();
            state.groups.insert(uuid, BTreeSet::new());
        }
        for _ in 0..users {
            state.create(BEGINNING - 3_600_000_000);
        }
        for user in state.users.values_mut() {
            // They were there from the start.
            user.past.clear();
        }
        Self {
            kind,
            every: if rate > 0.0 {
                (1_000_000.0 / rate) as i64
            } else {
                i64::MAX
            },
            last: i64::MAX,
            latency,
            most: AtomicU32::new(100),
            began: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// A world that changes only within a time after its beginning.
    pub(super) fn changing(mut self, from: Duration, to: Duration) -> Self {
        let at = |after: Duration| BEGINNING + i64::try_from(after.as_micros()).unwrap();
        self.state.get_mut().unwrap().next = at(from);
        self.last = at(to);
        self
    }

    /// From now on a page has at most this many rows.
    pub(super) fn gives(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    fn page<T>(
        &self,
        rows: Vec<T>,
        number: u32,
        size: Option<u32>,
    ) -> Result<(Pagination, Vec<T>), ApiError> {
        let most = self.most.load(Ordering::Relaxed);
        page(rows, number, size.map(|size| size.min(most)))
    }

    fn now(&self) -> i64 {
        BEGINNING + i64::try_from(self.began.elapsed().as_micros()).unwrap()
    }

    /// Answers with what is there half-way.
    async fn answer<T>(&self, answer: impl FnOnce(&State) -> T + Send) -> T {
        // No request takes no time at all.
        sleep(self.latency / 2 + Duration::from_millis(1)).await;
        let answer = {
            let mut state = self.state.lock().unwrap();
            self.catch_up(&mut state);
            answer(&state)
        };
        sleep(self.latency / 2 + Duration::from_millis(1)).await;
        answer
    }

    fn catch_up(&self, state: &mut State) {
        let now = self.now();
        while let Some(kind) = self.kind
            && state.next <= now.min(self.last)
        {
            let at = state.next;
            state.change(kind, at);
            state.next += self.every / 2 + state.random.i64(0..=self.every);
        }
    }

    fn served(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(self.now()).unwrap() / 1_000_000)
    }
}

fn page<T>(rows: Vec<T>, page: u32, size: Option<u32>) -> Result<(Pagination, Vec<T>), ApiError> {
    let (size, number) = (size.unwrap_or(20) as usize, page as usize);
    let (count, pages) = (rows.len(), rows.len().div_ceil(size).max(1));
    if number > pages {
        return Err(ApiError::InvalidPage { url: String::new() });
    }
    let pagination = Pagination {
        next: if number < pages { number as u64 + 1 } else { 0 },
        previous: number as u64 - 1,
        count: count as u64,
        current: number as u64,
        total_pages: pages as u64,
        ..Pagination::default()
    };
    let rows = rows.into_iter().skip((number - 1) * size).take(size);
    Ok((pagination, rows.collect()))
}

impl State {
    fn change(&mut self, kind: Change, at: i64) {
        self.changes += 1;
        let kind = match kind {
            Change::Mixed => Change::ALL[self.random.usize(..5)],
            kind => kind,
        };
        let alive = self.users.iter().filter(|(_, user)| user.now.is_some());
        let alive: Vec<i64> = alive.map(|(pk, _)| *pk).collect();
        let pk = alive[self.random.usize(..alive.len())];
        match kind {
            Change::Create => self.create(at),
            Change::Delete if alive.len() > FEWEST => {
                self.users.get_mut(&pk).unwrap().set(at, None);
                self.leave_all(pk);
                self.members.get_mut(&pk).unwrap().set(at, BTreeSet::new());
            }
            Change::Rename => {
                // A new name, or one that another user had.
                let name = match self.freed.pop() {
                    Some(name) if self.random.bool() => name,
                    _ => format!("renamed-{}", self.changes),
                };
                let mut freed = String::new();
                self.update(pk, at, |user| freed = std::mem::replace(&mut user.username, name));
                self.freed.push(freed);
            }
            Change::Move => {
                let groups: Vec<String> = self.groups.keys().cloned().collect();
                let new = groups[self.random.usize(..groups.len())].clone();
                self.leave_all(pk);
                self.groups.get_mut(&new).unwrap().insert(pk);
                self.members.get_mut(&pk).unwrap().set(at, BTreeSet::from([new]));
            }
            Change::Password => self.update(pk, at, |user| user.password_change = at),
            Change::DeleteGroup if self.groups.len() > FEWEST_GROUPS => {
                let gone = self.random.usize(..self.groups.len());
                let gone = self.groups.keys().nth(gone).unwrap().clone();
                for pk in self.groups.remove(&gone).unwrap() {
                    let members = self.members.get_mut(&pk).unwrap();
                    let mut left = members.now.clone();
                    left.remove(&gone);
                    members.set(at, left);
                }
            }
            Change::Delete | Change::DeleteGroup | Change::Mixed => {}
        }
    }

    fn leave_all(&mut self, pk: i64) {
        for members in self.groups.values_mut() {
            members.remove(&pk);
        }
    }

    fn update(&mut self, pk: i64, at: i64, change: impl FnOnce(&mut Shown)) {
        let user = self.users.get_mut(&pk).unwrap();
        let mut new = user.now.clone().unwrap();
        change(&mut new);
        user.set(at, Some(new));
        self.updated.insert(pk, at);
    }

    fn create(&mut self, at: i64) {
        self.last_pk += 1;
        let pk = self.last_pk;
        let mut user = History::of(None);
        let shown = Shown {
            username: format!("user{pk}"),
            password_change: at,
        };
        user.set(at, Some(shown));
        self.users.insert(pk, user);
        self.updated.insert(pk, at);
        let groups: Vec<String> = self.groups.keys().cloned().collect();
        let group = groups[self.random.usize(..groups.len())].clone();
        self.groups.get_mut(&group).unwrap().insert(pk);
        self.members.insert(pk, History::of(BTreeSet::from([group])));
    }

    fn row(&self, pk: i64) -> Option<User> {
        let shown = self.users.get(&pk)?.now.as_ref()?;
        Some(User {
            pk,
            username: shown.username.clone(),
            name: String::new(),
            email: String::new(),
            is_active: true,
            is_superuser: false,
            uid: format!("uid{pk}"),
            uuid: Uuid::from_u128(pk as u128 + 1).to_string(),
            path: "users".to_owned(),
            kind: "internal".to_owned(),
            groups: self.members[&pk].now.iter().cloned().collect(),
            roles: Vec::new(),
            attributes: None,
            last_updated: Timestamp::at(self.updated[&pk]),
            date_joined: Timestamp::default(),
            password_change_date: Timestamp::at(shown.password_change),
        })
    }
}

impl ListSource for World {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        self.answer(|state| {
            let since = query.last_updated_gt.as_deref();
            let since = since.map(|since| Timestamp::parse(since).unwrap().micros().unwrap());
            let alive = state.users.iter().filter(|(_, user)| user.now.is_some());
            let mut pks: Vec<i64> = alive
                .map(|(pk, _)| *pk)
                .filter(|pk| since.is_none_or(|since| state.updated[pk] > since))
                .collect();
            match query.ordering.as_deref() {
                Some("pk") => {}
                Some("-pk") => pks.reverse(),
                Some("last_updated,pk") => pks.sort_by_key(|pk| (state.updated[pk], *pk)),
                Some("-last_updated,-pk") => {
                    pks.sort_by_key(|pk| std::cmp::Reverse((state.updated[pk], *pk)));
                }
                other => panic!("ordered by {other:?}"),
            }
            let (pagination, pks) = self.page(pks, query.page, query.page_size)?;
            Ok(Page {
                pagination,
                rows: pks.into_iter().filter_map(|pk| state.row(pk)).collect(),
                skipped: Vec::new(),
                served: Some(self.served()),
            })
        })
        .await
    }

    async fn user(&self, pk: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        self.answer(|state| Ok(state.row(pk).map(|row| (row, Vec::new()))))
            .await
    }

    async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        self.raw_groups_page(query).await?.decode()
    }

    async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        self.answer(|state| {
            let groups = state.groups.iter().map(
                |(pk, members)| json!({"pk": pk, "num_pk": 1, "name": pk, "users": members, "parents": []}),
            );
            let (numbers, rows) = self.page(groups.collect(), query.page, query.page_size)?;
            let pagination = json!({
                "next": numbers.next, "count": numbers.count, "current": numbers.current,
                "total_pages": numbers.total_pages,
            });
            let body = json!({"pagination": pagination, "results": rows});
            let url = url::Url::parse("http://authentik.example.com/").unwrap();
            Ok(RawPage::of(url, body.to_string().into_bytes()))
        })
        .await
    }
}

/// What is served, and how far behind it ever was.
pub(super) struct Served<'a> {
    world: &'a World,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    staleness: Mutex<Duration>,
    settled: Mutex<Option<Arc<Snapshot>>>,
}

impl<'a> Served<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self {
            world,
            snapshot: Mutex::new(None),
            staleness: Mutex::new(Duration::ZERO),
            settled: Mutex::new(None),
        }
    }

    /// Whether what is served is known to have been like this at one moment.
    pub(super) fn is_settled(&self) -> bool {
        let settled = self.settled.lock().unwrap();
        match (&*settled, self.snapshot()) {
            (Some(settled), Some(served)) => Arc::ptr_eq(settled, &served),
            _ => false,
        }
    }

    /// The longest time that anything was shown after it had changed.
    pub(super) fn staleness(&self) -> Duration {
        if let Some(snapshot) = self.snapshot() {
            self.check(&snapshot);
        }
        *self.staleness.lock().unwrap()
    }

    /// The users and groups shown that are no longer there.
    pub(super) fn left_over(&self) -> Vec<String> {
        let snapshot = self.snapshot().unwrap();
        let mut state = self.world.state.lock().unwrap();
        self.world.catch_up(&mut state);
        let users = snapshot.user_pks().iter().copied();
        let users = users.filter(|pk| state.users[pk].now.is_none());
        let groups = snapshot
            .groups()
            .map(|group| snapshot.group_name(group).unwrap().to_owned());
        let groups = groups.filter(|name| !state.groups.contains_key(name));
        users.map(|pk| format!("user {pk}")).chain(groups).collect()
    }

    /// Compares each user that ever existed with what is shown.
    fn check(&self, snapshot: &Snapshot) {
        let mut state = self.world.state.lock().unwrap();
        self.world.catch_up(&mut state);
        let (now, mut worst) = (self.world.now(), 0);
        let mut names = BTreeSet::new();
        for (pk, history) in &state.users {
            let found = snapshot.user_by_pk(*pk);
            let shown = found.map(|user| {
                let summary = snapshot.user(user).unwrap();
                let username = summary.username.to_owned();
                assert!(names.insert(username.clone()), "two are called {username}");
                Shown {
                    username,
                    password_change: summary.password_change_date.unwrap(),
                }
            });
            let Some(age) = history.age(now, &shown) else {
                panic!("user {pk} never was {shown:?}: {history:?}");
            };
            worst = worst.max(age);
            let Some(user) = found else {
                continue;
            };
            let groups: BTreeSet<String> = snapshot
                .groups_of(user)
                .unwrap()
                .into_iter()
                .map(str::to_owned)
                .collect();
            let members = &state.members[pk];
            for group in groups.symmetric_difference(&members.now) {
                // The last moment at which the membership was as shown.
                let shown = groups.contains(group);
                let mut past = members.past.iter().rev();
                match past.find(|(_, past)| past.contains(group) == shown) {
                    Some((until, _)) => worst = worst.max(now - until),
                    None => panic!(
                        "user {pk} {} {group}: {members:?}",
                        if shown { "never was in" } else { "always was in" }
                    ),
                }
            }
        }
        let worst = Duration::from_micros(u64::try_from(worst).unwrap());
        let mut staleness = self.staleness.lock().unwrap();
        *staleness = worst.max(*staleness);
    }
}

impl InstallTarget for Served<'_> {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().unwrap().clone()
    }

    async fn install(
        &self,
        assembly: Assembly,
        _full: bool,
    ) -> Result<(Arc<Snapshot>, Vec<Warning>), LoadError> {
        let previous = self.snapshot();
        if let Some(previous) = &previous {
            self.check(previous);
        }
        let settled = assembly.settled;
        let (snapshot, odd) = assembly.build(previous.as_deref())?;
        self.check(&snapshot);
        let snapshot = Arc::new(snapshot);
        if settled {
            self.settle(&snapshot);
        }
        *self.snapshot.lock().unwrap() = Some(Arc::clone(&snapshot));
        Ok((snapshot, odd))
    }

    fn settle(&self, snapshot: &Arc<Snapshot>) {
        *self.settled.lock().unwrap() = Some(Arc::clone(snapshot));
    }
}
