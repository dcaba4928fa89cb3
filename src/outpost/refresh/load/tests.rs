//! The loader against a list of users that never stops changing, on a clock that does not wait.

mod world;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use crate::outpost::refresh::watched::Watched;
use crate::outpost::right_of_way::RightOfWay;
use crate::outpost::status::LoadProgress;
use akldap_authentik::lists::ReceivedPage;
use akldap_authentik::{ApiError, Group, GroupsQuery, Page, RawPage, RowWarning, UsersQuery};
use world::{Change, Served, World};

/// Between two refreshes, with the time they take.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a directory is followed.
const FOLLOWED: Duration = Duration::from_secs(30);
/// What is promised in addition to two looks.
const PROMISE: Duration = Duration::from_secs(10);

const RATES: [f64; 3] = [0.5, 2.0, 10.0];

/// What was seen in one cell of the matrix.
#[derive(Debug)]
struct Cell {
    /// From the start of the load to the first directory.
    start: Duration,
    /// The longest look, the search for the deleted included.
    look: Duration,
    /// The longest time that anything was shown after it had changed.
    staleness: Duration,
    refreshes: u32,
    /// Refreshes that read everything because the changes did not add up.
    full_loads: u32,
}

fn options() -> LoadOptions {
    let scan = ScanOptions {
        jitter: || 0.0,
        ..ScanOptions::default()
    };
    LoadOptions {
        scan,
        page_size: 40,
        policy: CustomPolicy::default(),
    }
}

/// Follows a directory that changes in one way.
async fn follow(kind: Option<Change>, rate: f64, latency: u64, seed: u64) -> Cell {
    let world = World::new((240, 50), kind, rate, Duration::from_millis(latency), seed);
    follow_in(
        &world,
        &format!("{kind:?} {rate}/s {latency} ms"),
        options().page_size,
    )
    .await
}

/// The same in pages that have fewer rows from the first directory on.
async fn follow_in(world: &World, what: &str, rows: u32) -> Cell {
    let served = Served::new(world);
    let mut loader = Loader::default();
    let began = Instant::now();
    loader
        .refresh(world, &served, &options(), Coverage::Full)
        .await
        .expect("a directory");
    world.gives(rows);
    let start = began.elapsed();
    let (mut look, mut refreshes, mut full_loads) = (Duration::ZERO, 0, 0);
    while began.elapsed() < FOLLOWED {
        sleep(INTERVAL).await;
        let refreshed = loader
            .refresh(world, &served, &options(), Coverage::Changes)
            .await;
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{what}: {error}"));
        look = look.max(refreshed.longest_look);
        full_loads += u32::from(refreshed.coverage == Coverage::Full);
        refreshes += 1;
    }
    Cell {
        start,
        look,
        staleness: served.staleness(),
        refreshes,
        full_loads,
    }
}

/// All kinds of change at all rates, with authentik this many milliseconds away.
async fn is_shown_in_time(latency: u64) {
    let load = follow(None, 0.0, latency, 1).await.start;
    for rate in RATES {
        for (seed, kind) in (0..).zip(Change::ALL) {
            let cell = follow(Some(kind), rate, latency, seed).await;
            let what = format!("{latency} ms, {rate} a second, {kind:?}: {cell:?}");
            println!("{what}");
            assert!(cell.refreshes >= 2 && cell.full_loads == 0, "{what}");
            assert!(
                cell.start <= load + PROMISE,
                "{what}, a quiet load takes {load:?}"
            );
            assert!(cell.staleness <= PROMISE + 2 * cell.look, "{what}");
            // A look is a handful of requests, and at most a reading of the list for those deleted.
            assert!(cell.look <= load + Duration::from_secs(5), "{what}");
        }
    }
}

/// Deletions that end while a look settles, and then rest: none of those deleted is shown after the first look that
/// begins in the rest.
#[tokio::test(start_paused = true)]
async fn whoever_is_deleted_while_a_look_settles_is_gone_after_the_next() {
    // A first directory read while groups disappear may lack one that slipped from page to page.
    for (kind, earliest) in [(Change::Delete, 0), (Change::DeleteGroup, 6_000)] {
        for latency in [0, 30, 150, 400] {
            for seed in 0..12 {
                let mut random = fastrand::Rng::with_seed(seed);
                let rate = [1.0, 2.0, 10.0][random.usize(..3)];
                let from = Duration::from_millis(random.u64(earliest..20_000));
                let to = from + Duration::from_millis(random.u64(500..8_000));
                let what = format!("{kind:?} {rate}/s from {from:?} to {to:?}, {latency} ms");
                let latency = Duration::from_millis(latency);
                let world = World::new((240, 50), Some(kind), rate, latency, seed).changing(from, to);
                let served = Served::new(&world);
                let (mut loader, began) = (Loader::default(), Instant::now());
                let mut coverage = Coverage::Full;
                loop {
                    let rests = began.elapsed() > to;
                    let refreshed = loader.refresh(&world, &served, &options(), coverage).await;
                    refreshed.unwrap_or_else(|error| panic!("{what}: {error}"));
                    if rests {
                        break;
                    }
                    coverage = Coverage::Changes;
                    sleep(INTERVAL).await;
                }
                assert_eq!(served.left_over(), [""; 0], "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_never_holds_still_is_shown_in_time() {
    is_shown_in_time(0).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_30_milliseconds_away() {
    is_shown_in_time(30).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_150_milliseconds_away() {
    is_shown_in_time(150).await;
}

#[tokio::test(start_paused = true)]
async fn it_is_400_milliseconds_away() {
    is_shown_in_time(400).await;
}

/// As where an admin makes pages smaller, or where all were on one page until somebody was added: what a page has was not known
/// from the first reading.
#[tokio::test(start_paused = true)]
async fn changes_beyond_a_page_that_is_smaller_than_asked_for_are_shown_in_time() {
    for rows in [1, 7, 20] {
        for (seed, kind) in (0..).zip(Change::ALL) {
            let what = format!("{rows} rows, {kind:?}");
            let world = World::new((30, 5), Some(kind), 2.0, Duration::from_millis(1), seed);
            let cell = follow_in(&world, &what, rows).await;
            assert!(cell.full_loads == 0, "{what}: {cell:?}");
            assert!(cell.staleness <= PROMISE + 2 * cell.look, "{what}: {cell:?}");
        }
    }
}

/// Serves a directory in memory that is damaged.
struct Damaged(Arc<Snapshot>);

impl InstallTarget for Damaged {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        Some(Arc::clone(&self.0))
    }

    async fn install(
        &self,
        assembly: Assembly,
        _full: bool,
    ) -> Result<(Arc<Snapshot>, Vec<Warning>), LoadError> {
        let (snapshot, odd) = assembly.build(Some(&self.0))?;
        Ok((Arc::new(snapshot), odd))
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_damaged_is_not_carried_over_without_those_who_are_lost() {
    let world = World::new((240, 50), None, 0.0, Duration::from_millis(1), 1);
    let mut builder = Builder::new();
    builder.add_group(&akldap_directory::GroupRecord {
        uuid: "00000000-0000-4000-8000-000000000001",
        num_pk: Some(1),
        name: "lost",
        is_superuser: false,
        parents: &[],
        users: &[],
        roles: &[],
        attributes: None,
    });
    let served = Damaged(Arc::new(builder.finish().unwrap().0.damaged_for_tests()));
    let loaded = Loader::default()
        .refresh(&world, &served, &options(), Coverage::Full)
        .await;
    assert!(
        matches!(loaded, Err(LoadError::Damaged(WrongNumber::Octets))),
        "{loaded:?}"
    );
}

/// Serves what was read first, with its memory damaged from then on: nothing else may be served.
#[derive(Default)]
struct DamagedLater(std::sync::Mutex<Option<Arc<Snapshot>>>);

impl InstallTarget for DamagedLater {
    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.0.lock().unwrap().clone()
    }

    async fn install(
        &self,
        assembly: Assembly,
        _full: bool,
    ) -> Result<(Arc<Snapshot>, Vec<Warning>), LoadError> {
        let mut served = self.0.lock().unwrap();
        if let Some(served) = &*served {
            return Ok((Arc::clone(served), Vec::new()));
        }
        let (snapshot, odd) = assembly.build(None)?;
        let damaged = Arc::new(snapshot.damaged_for_tests());
        *served = Some(Arc::clone(&damaged));
        Ok((damaged, odd))
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_a_name_already_is_not_answered_with_nobody_where_that_cannot_be_told() {
    let world = World::new(
        (240, 50),
        Some(Change::Password),
        2.0,
        Duration::from_millis(1),
        1,
    );
    let (served, mut loader) = (DamagedLater::default(), Loader::default());
    let loaded = loader.refresh(&world, &served, &options(), Coverage::Full).await;
    assert!(loaded.is_ok(), "{loaded:?}");
    sleep(INTERVAL).await;
    let looked = loader
        .refresh(&world, &served, &options(), Coverage::Changes)
        .await;
    assert!(
        matches!(looked, Err(LoadError::Damaged(WrongNumber::Octets))),
        "{looked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_directory_was_there_at_one_moment_only_where_two_looks_agree() {
    let end = Duration::from_secs(60);
    let world = World::new(
        (240, 50),
        Some(Change::Mixed),
        10.0,
        Duration::from_millis(400),
        1,
    );
    let world = world.changing(Duration::ZERO, end);
    let (served, mut loader, began) = (Served::new(&world), Loader::default(), Instant::now());
    let mut coverage = Coverage::Full;
    while began.elapsed() + INTERVAL < end {
        let refreshed = loader.refresh(&world, &served, &options(), coverage).await;
        let refreshed = refreshed.expect("a directory");
        assert!(!refreshed.settled && !served.is_settled(), "{refreshed:?}");
        coverage = Coverage::Changes;
    }
    sleep(end).await;
    for _ in 0..2 {
        let refreshed = loader.refresh(&world, &served, &options(), coverage).await;
        let refreshed = refreshed.expect("a directory");
        assert!(refreshed.settled && served.is_settled(), "{refreshed:?}");
    }
}

/// Notes what a first load says about itself after each answer.
struct Told<'a> {
    watched: Watched<'a, World>,
    texts: std::sync::Mutex<Vec<String>>,
}

impl Told<'_> {
    fn note(&self) {
        let text = self.watched.progress.current().expect("it goes on").to_string();
        self.texts.lock().unwrap().push(text);
    }
}

impl ListSource for Told<'_> {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        self.watched.users_page(query).await
    }

    async fn user(&self, pk: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        self.watched.user(pk).await
    }

    async fn groups_page(&self, query: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        self.watched.groups_page(query).await
    }

    async fn raw_groups_page(&self, query: &GroupsQuery) -> Result<RawPage, ApiError> {
        self.watched.raw_groups_page(query).await
    }

    fn came(&self, page: ReceivedPage) {
        self.watched.came(page);
        self.note();
    }
}

/// Looks at a list that few changed in are no end of the users.
#[tokio::test(start_paused = true)]
async fn a_first_load_says_how_far_it_is_and_never_that_it_is_back_at_its_beginning() {
    for (kind, rate) in [
        (None, 0.0),
        (Some(Change::Create), 10.0),
        (Some(Change::Password), 2.0),
    ] {
        let world = World::new((240, 50), kind, rate, Duration::from_millis(150), 1);
        let (progress, right_of_way) = (LoadProgress::default(), RightOfWay::default());
        let source = Told {
            watched: Watched {
                source: &world,
                progress: &progress,
                right_of_way: &right_of_way,
            },
            texts: std::sync::Mutex::default(),
        };
        let loaded = Loader::default()
            .refresh(&source, &Served::new(&world), &options(), Coverage::Full)
            .await;
        loaded.expect("a directory");
        let texts = source.texts.into_inner().unwrap();
        let reading = |text: &String| {
            let rest = text.strip_prefix("reading users: ")?;
            let (read, of) = rest.split_once(" of ")?;
            Some((read.parse::<u64>().unwrap(), of.parse::<u64>().unwrap()))
        };
        let users: Vec<(u64, u64)> = texts.iter().map_while(reading).collect();
        assert_eq!(users.first().expect("users").0, 40, "{texts:#?}");
        assert!(
            users.is_sorted() && users.iter().all(|(read, of)| read <= of && *of >= 240),
            "{texts:#?}"
        );
        let after = &texts[users.len()..];
        assert!(after.len() >= 4, "{texts:#?}");
        for text in after {
            let of = text
                .strip_prefix("reading what changed while ")
                .or_else(|| text.split_once(" groups, after ").map(|(_, rest)| rest));
            let of = of.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
            assert!(of >= Some(240), "{kind:?}: {texts:#?}");
        }
    }
}
