//! A load that takes long and breaks off, on a clock that does not wait.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use super::*;
use crate::api::{GroupsQuery, RawPage, UsersQuery};
use crate::error::ApiError;
use crate::group::Group;
use crate::lists::options::ScanOptions;
use crate::page::{Page, RowWarning, decode_page};

const PAGE: u64 = 10;
const PAGES: u64 = 100;
/// How long a slow page takes.
const SLOW: Duration = Duration::from_secs(15);

/// A list of users that is answered slowly, and below a certain page not at all.
struct Slow {
    broken_below: AtomicU32,
    /// Pages of the whole list that were asked for and shown.
    shown: Mutex<Vec<u32>>,
    /// How often a page with each of these users fails before it is shown.
    fails: Mutex<BTreeMap<u64, u32>>,
    /// What authentik needs for a page.
    takes: Duration,
}

impl ListSource for Slow {
    async fn users_page(&self, query: &UsersQuery) -> Result<Page<User>, ApiError> {
        tokio::time::sleep(self.takes).await;
        let whole = query.ordering.as_deref() == Some("pk") && query.last_updated_gt.is_none();
        if whole && query.page < self.broken_below.load(Ordering::Relaxed) {
            return Err(ApiError::TimedOut {
                url: String::new(),
                after: SLOW,
            });
        }
        if whole {
            self.shown.lock().unwrap().push(query.page);
        }
        let size = u64::from(query.page_size.unwrap_or(20)).min(PAGE);
        let (count, page) = (PAGE * PAGES, u64::from(query.page.max(1)));
        let mut pks: Vec<u64> = (1..=count).collect();
        if query.ordering.as_deref() == Some("-pk") {
            pks.reverse();
        }
        if query.last_updated_gt.is_some() {
            pks.clear();
        }
        let shown = pks
            .chunks(usize::try_from(size).unwrap())
            .nth(usize::try_from(page - 1).unwrap())
            .unwrap_or_default();
        let mut fails = false;
        for (pk, left) in &mut *self.fails.lock().unwrap() {
            if shown.contains(pk) && *left > 0 {
                *left -= 1;
                fails = true;
            }
        }
        if fails {
            return Err(broken());
        }
        let rows: Vec<String> = shown
            .iter()
            .map(|pk| format!(r#"{{"pk":{pk},"username":"u{pk}","last_updated":"2026-01-01T00:00:00Z"}}"#))
            .collect();
        let (count, pages) = (pks.len() as u64, (pks.len() as u64).div_ceil(size).max(1));
        let next = if page < pages { page + 1 } else { 0 };
        let body = format!(
            r#"{{"pagination":{{"next":{next},"count":{count},"current":{page},"total_pages":{pages}}},"results":[{}]}}"#,
            rows.join(",")
        );
        let mut page = decode_page(body.as_bytes()).unwrap();
        page.served = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        Ok(page)
    }

    async fn user(&self, _: i64) -> Result<Option<(User, Vec<RowWarning>)>, ApiError> {
        Ok(None)
    }

    async fn groups_page(&self, _: &GroupsQuery) -> Result<Page<Group>, ApiError> {
        Ok(decode_page(NO_GROUPS).unwrap())
    }

    async fn raw_groups_page(&self, _: &GroupsQuery) -> Result<RawPage, ApiError> {
        Ok(RawPage::of(
            "http://authentik/".parse().unwrap(),
            NO_GROUPS.to_vec(),
        ))
    }
}

const NO_GROUPS: &[u8] = br#"{"pagination":{"next":0,"count":0,"current":1,"total_pages":1},"results":[]}"#;

#[derive(Clone, Debug, Default)]
struct Pks(BTreeSet<i64>);

impl UserRows for Pks {
    fn add(&mut self, user: &User) {
        self.0.insert(user.pk);
    }

    fn namesakes(&self, _: &HashMap<&str, i64>) -> Vec<i64> {
        Vec::new()
    }
}

impl KnownUsers for Pks {
    type Error = std::convert::Infallible;

    fn pks(&self) -> Vec<i64> {
        self.0.iter().copied().collect()
    }

    fn has(&self, pk: i64) -> bool {
        self.0.contains(&pk)
    }

    fn namesakes(&self, _: &User) -> Result<Vec<i64>, Self::Error> {
        Ok(Vec::new())
    }

    fn is_as_read(&self) -> bool {
        true
    }
}

fn broken() -> ApiError {
    ApiError::Status {
        url: String::new(),
        status: 500,
        request_id: None,
        detail: None,
        excerpt: String::new(),
        plain_text: false,
    }
}

/// Breaks off a load after its upper pages, which took 20 minutes, waits, and loads again: pages of the list read then.
async fn read_again_after(pause: Duration) -> Vec<u32> {
    let source = Slow {
        broken_below: AtomicU32::new(21),
        shown: Mutex::default(),
        fails: Mutex::default(),
        takes: SLOW,
    };
    let lists = Lists {
        source: &source,
        options: ScanOptions {
            parallel: 1,
            jitter: || 0.0,
            ..ScanOptions::default()
        },
        page_size: 10,
    };
    let mut reader = ListReader::default();
    let began = Instant::now();
    let broken = reader.whole(&lists, || None::<Pks>, Pks::default).await;
    assert!(broken.is_err(), "its lower pages cannot be had");
    assert!(began.elapsed() > Duration::from_secs(19 * 60), "it takes long");
    let first = std::mem::take(&mut *source.shown.lock().unwrap());
    assert_eq!(
        first.len(),
        79,
        "all above page 20 but the last, which is read from the end"
    );
    tokio::time::sleep(pause).await;
    source.broken_below.store(0, Ordering::Relaxed);
    let read = reader
        .whole(&lists, || None::<Pks>, Pks::default)
        .await
        .expect("authentik is back");
    assert_eq!(read.ground.0.len(), 1000, "everybody is there");
    std::mem::take(&mut *source.shown.lock().unwrap())
}

#[tokio::test(start_paused = true)]
async fn slow_sources_that_break_off_are_gone_on_with_however_long_they_took() {
    let again = read_again_after(Duration::from_secs(14 * 60)).await;
    assert!(again.iter().all(|page| *page <= 20), "read twice: {again:?}");
    assert_eq!(again.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn slow_sources_that_broke_off_long_ago_are_read_from_the_beginning() {
    let again = read_again_after(Duration::from_secs(16 * 60)).await;
    assert_eq!(again.len(), 99);
}

/// Who is shown by the first load when pages with some users fail that many times.
async fn first_load(fails: &[(u64, u32)]) -> (Pks, u64) {
    let source = Slow {
        broken_below: AtomicU32::new(0),
        shown: Mutex::default(),
        fails: Mutex::new(fails.iter().copied().collect()),
        takes: Duration::from_millis(20),
    };
    let lists = Lists {
        source: &source,
        options: ScanOptions {
            jitter: || 0.0,
            ..ScanOptions::default()
        },
        page_size: 10,
    };
    let mut reader = ListReader::default();
    let read = reader.whole(&lists, || None::<Pks>, Pks::default).await;
    let read = read.expect("the errors are of rows");
    (read.ground, read.progress.base.nameless)
}

/// Requests that fail before a row is given up: of its page with and without more, of its half, and of itself.
const GIVEN_UP: u32 = 10;

#[tokio::test(start_paused = true)]
async fn no_user_is_lost_to_an_error_that_passes_while_everything_is_read_first() {
    // In the middle of a page, at its ends, at both ends of the list, and two beside each other.
    for users in [
        &[505][..],
        &[511],
        &[520],
        &[1],
        &[991],
        &[14, 15],
        &[15, 505, 601],
    ] {
        let fails: Vec<(u64, u32)> = users.iter().map(|pk| (*pk, GIVEN_UP)).collect();
        let (read, nameless) = first_load(&fails).await;
        assert_eq!((read.0.len(), nameless), (1000, 0), "{users:?}");
        let for_good: Vec<(u64, u32)> = users.iter().map(|pk| (*pk, u32::MAX)).collect();
        let (read, nameless) = first_load(&for_good).await;
        let missing = users.len();
        assert_eq!(
            (read.0.len(), nameless),
            (1000 - missing, missing as u64),
            "{users:?}"
        );
    }
}
