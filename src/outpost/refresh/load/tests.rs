//! The loader against a list of users that never holds still, on a clock that does not wait.

mod world;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::*;
use world::{Change, Served, World};

/// Between two refreshes, with the time they take.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long a directory is followed.
const FOLLOWED: Duration = Duration::from_secs(30);
/// What is promised beside two looks.
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
    let served = Served::new(&world);
    let mut loader = Loader::default();
    let began = Instant::now();
    loader
        .refresh(&world, &served, &options(), Coverage::Full)
        .await
        .expect("a directory");
    let start = began.elapsed();
    let (mut look, mut refreshes, mut full_loads) = (Duration::ZERO, 0, 0);
    while began.elapsed() < FOLLOWED {
        sleep(INTERVAL).await;
        let refreshed = loader
            .refresh(&world, &served, &options(), Coverage::Changes)
            .await;
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{kind:?} {rate}/s {latency} ms: {error}"));
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

/// All kinds of change at all rates, so many milliseconds from authentik.
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
    // A first directory that is read while groups vanish may lack one that slipped from page to page.
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
        num_pk: 1,
        name: "lost",
        is_superuser: false,
        parents: &[],
        users: &[],
        attributes: None,
    });
    let served = Damaged(Arc::new(builder.finish().0.damaged_for_tests()));
    let loaded = Loader::default()
        .refresh(&world, &served, &options(), Coverage::Full)
        .await;
    assert!(
        matches!(loaded, Err(LoadError::Damaged(WrongNumber::Octets))),
        "{loaded:?}"
    );
}

/// Serves what was read first, and its memory is damaged from then on: nothing else is to be served.
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
