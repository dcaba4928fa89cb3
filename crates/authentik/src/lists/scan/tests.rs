use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use std::time::Duration;

use super::*;
use crate::page::decode_page;
use crate::user::User;

fn options() -> ScanOptions {
    ScanOptions {
        jitter: || 0.0,
        ..ScanOptions::default()
    }
}

fn broken(status: u16) -> ApiError {
    ApiError::Status {
        url: String::new(),
        status,
        request_id: None,
        detail: None,
        excerpt: String::new(),
        plain_text: false,
    }
}

/// A list of users as authentik pages it, with rows that cannot be shown and calls that fail.
#[derive(Default)]
struct List {
    pks: RefCell<BTreeSet<i64>>,
    poisoned: BTreeSet<i64>,
    cap: usize,
    requests: Cell<u32>,
    running: Cell<usize>,
    most: Cell<usize>,
}

impl List {
    fn of(pks: impl IntoIterator<Item = i64>, cap: usize) -> Self {
        Self {
            pks: RefCell::new(pks.into_iter().collect()),
            cap,
            ..Self::default()
        }
    }

    fn answer(&self, request: PageRequest) -> Result<Page<User>, ApiError> {
        let pks = self.pks.borrow();
        let mut pks: Vec<i64> = pks.iter().copied().collect();
        if request.descending {
            pks.reverse();
        }
        let size = (request.size as usize).min(self.cap);
        let pages = pks.len().div_ceil(size).max(1);
        let number = request.page as usize;
        if number > pages {
            return Err(ApiError::InvalidPage { url: String::new() });
        }
        let rows: Vec<i64> = pks.iter().copied().skip((number - 1) * size).take(size).collect();
        if rows.iter().any(|pk| self.poisoned.contains(pk)) {
            return Err(broken(500));
        }
        let next = if number < pages { number + 1 } else { 0 };
        let rows: Vec<String> = rows
            .iter()
            .map(|pk| format!(r#"{{"pk":{pk},"username":"u{pk}"}}"#))
            .collect();
        let body = format!(
            r#"{{"pagination":{{"next":{next},"count":{},"current":{number},"total_pages":{pages}}},"results":[{}]}}"#,
            pks.len(),
            rows.join(",")
        );
        Ok(decode_page(body.as_bytes()).unwrap())
    }

    async fn fetch(&self, request: PageRequest) -> Result<Page<User>, ApiError> {
        self.requests.set(self.requests.get() + 1);
        self.running.set(self.running.get() + 1);
        self.most.set(self.most.get().max(self.running.get()));
        tokio::time::sleep(Duration::from_millis(u64::from(request.page % 7) + 1)).await;
        self.running.set(self.running.get() - 1);
        self.answer(request)
    }
}

async fn scan(list: &List, scan: &mut Scan<User>) -> (Result<ScanSummary, ScanError>, BTreeSet<i64>) {
    let mut pks = BTreeSet::new();
    let result = scan
        .run(
            &options(),
            |request| list.fetch(request),
            |page| {
                for user in page.rows {
                    assert!(pks.insert(user.pk), "the sink got {} twice", user.pk);
                }
            },
        )
        .await;
    (result, pks)
}

#[tokio::test(start_paused = true)]
async fn lists_of_any_length_are_read_whole() {
    for (length, cap) in [
        (0, 10),
        (1, 10),
        (10, 10),
        (11, 10),
        (29, 10),
        (95, 10),
        (1000, 10),
        (1000, 7),
    ] {
        let list = List::of((0..length).map(|pk| pk * 3), cap);
        let mut reading = Scan::new(100);
        let (summary, pks) = scan(&list, &mut reading).await;
        assert_eq!(pks, *list.pks.borrow(), "{length} by {cap}");
        let summary = summary.unwrap();
        assert_eq!((summary.rows, summary.skipped), (length as u64, 0));
        let pages = (length as u32).div_ceil(cap as u32).max(1);
        assert!(
            summary.requests <= u64::from(pages) + 4,
            "{length} by {cap}: {summary:?}"
        );
        assert!(list.most.get() <= 4);
        assert_eq!(reading.opening().unwrap().count, length as u64);
        assert_eq!(reading.opening().unwrap().top, pks.last().copied());
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_who_stays_is_missed_however_the_list_changes() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let list = List::of(0..600, 10);
        let staying: BTreeSet<i64> = (0..600).filter(|_| random.u8(..) < 250).collect();
        let leaving: RefCell<Vec<i64>> = RefCell::new((0..600).filter(|pk| !staying.contains(pk)).collect());
        // A few rows a reading, or many pages of them.
        let burst = if seed % 2 == 0 { 1 } else { 12 };
        random.shuffle(&mut leaving.borrow_mut());
        let random = RefCell::new(random);
        let mut pks = BTreeSet::new();
        Scan::<User>::new(10)
            .run(
                &options(),
                |request| {
                    if random.borrow_mut().u8(..) < 40 {
                        let mut pks = list.pks.borrow_mut();
                        for _ in 0..burst {
                            leaving.borrow_mut().pop().map(|pk| pks.remove(&pk));
                        }
                        let next = pks.last().unwrap() + 1;
                        pks.insert(next);
                    }
                    list.fetch(request)
                },
                |page| pks.extend(page.rows.into_iter().map(|user| user.pk)),
            )
            .await
            .unwrap();
        assert!(staying.is_subset(&pks), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn rows_that_cannot_be_shown_stand_alone() {
    for poisoned in [
        vec![0],
        vec![5],
        vec![49, 50],
        vec![99],
        vec![998],
        vec![999],
        vec![3, 400, 996, 997, 999],
    ] {
        let list = List {
            poisoned: poisoned.iter().copied().collect(),
            ..List::of(0..1000, 100)
        };
        let mut reading = Scan::new(100);
        let (summary, pks) = scan(&list, &mut reading).await;
        assert_eq!(summary.unwrap().rows, 1000, "{poisoned:?}");
        let expected: BTreeSet<i64> = (0..1000).filter(|pk| !poisoned.contains(pk)).collect();
        assert_eq!(pks, expected);
        assert_eq!(
            reading.unreadable().len(),
            poisoned.len(),
            "{:?}",
            reading.unreadable()
        );
        for pk in &poisoned {
            let around = |row: &UnreadableRow<i64>| {
                row.after.is_none_or(|after| after < *pk) && row.before.is_none_or(|before| *pk < before)
            };
            assert!(
                reading.unreadable().iter().any(around),
                "{pk}: {:?}",
                reading.unreadable()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_shown_it_is_an_outage() {
    for length in [1, 3, 100, 1000] {
        let list = List {
            poisoned: (0..length).collect(),
            ..List::of(0..length, 100)
        };
        let (result, _) = scan(&list, &mut Scan::new(100)).await;
        assert!(
            matches!(result, Err(ScanError::Page { .. })),
            "{length}: {result:?}"
        );
        assert!(list.requests.get() < 80, "{} requests", list.requests.get());
    }
}

/// What happens to a try of the second page.
#[derive(Clone, Copy, Debug)]
enum Try {
    Fails(u16),
    /// For this many seconds.
    Throttled(u64),
    Lost,
}

/// Reads a list whose second page is answered like this, try after try, and then correctly. Returns the result, and the
/// milliseconds from each try to the next.
async fn tried(tries: &[Try]) -> (Result<ScanSummary, ScanError>, Vec<u128>) {
    let list = List::of(0..30, 10);
    let times = RefCell::new(Vec::new());
    let fetch = |request: PageRequest| {
        let mut becomes = None;
        if request.page == 2 {
            let mut times = times.borrow_mut();
            becomes = tries.get(times.len()).copied();
            times.push(Instant::now());
        }
        let list = &list;
        async move {
            match becomes {
                None => list.answer(request),
                Some(Try::Fails(status)) => Err(broken(status)),
                Some(Try::Throttled(seconds)) => Err(ApiError::Throttled {
                    url: String::new(),
                    retry_after: Some(Duration::from_secs(seconds)),
                }),
                Some(Try::Lost) => std::future::pending().await,
            }
        }
    };
    let result = Scan::<User>::new(10).run(&options(), fetch, |_| {}).await;
    let times = times.into_inner();
    let waits = times.windows(2).map(|pair| (pair[1] - pair[0]).as_millis());
    (result, waits.collect())
}

/// Waits grow, and are as long as authentik says; tries are bounded, and lasting errors end at once.
#[tokio::test(start_paused = true)]
async fn a_page_is_tried_again_where_that_may_help() {
    let timeout = options().timeout.as_millis();
    for (tries, waits, is_read) in [
        (&[Try::Throttled(17)][..], &[17_000][..], true),
        (&[Try::Fails(502); 3], &[200, 400, 800], true),
        (&[Try::Fails(502); 4], &[200, 400, 800], false),
        (&[Try::Fails(403)], &[], false),
        (&[Try::Lost], &[timeout + 200], true),
    ] {
        let (result, waited) = tried(tries).await;
        match result {
            Ok(summary) => assert_eq!((summary.rows, is_read), (30, true), "{tries:?}"),
            Err(ScanError::Page { page: 2, .. }) => assert!(!is_read, "{tries:?}"),
            Err(error) => panic!("{tries:?}: {error:?}"),
        }
        assert_eq!(waited, waits, "{tries:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_scan_goes_on_where_it_broke_off() {
    let list = List::of(0..400, 10);
    let down = Cell::new(false);
    let mut reading = Scan::<User>::new(10);
    let mut pks = BTreeSet::new();
    let fetch = |request: PageRequest| {
        down.set(down.get() || list.requests.get() == 25);
        let (list, down) = (&list, &down);
        async move {
            if down.get() {
                Err(broken(503))
            } else {
                list.fetch(request).await
            }
        }
    };
    let mut sink = |page: Page<User>| pks.extend(page.rows.into_iter().map(|user| user.pk));
    assert!(reading.run(&options(), fetch, &mut sink).await.is_err());
    let before = list.requests.get();
    list.requests.set(100);
    down.set(false);
    assert!(reading.run(&options(), fetch, &mut sink).await.is_ok());
    assert_eq!(pks, *list.pks.borrow());
    assert!(
        before >= 20 && list.requests.get() - 100 <= 24,
        "{before}, {}",
        list.requests.get() - 100
    );
}

#[tokio::test]
async fn another_page_than_asked_for_is_inconsistent() {
    let list = List::of(0..30, 10);
    let fetch = |request: PageRequest| {
        let page = if request.descending { 1 } else { 2 };
        let answer = list.answer(PageRequest { page, ..request });
        async move { answer }
    };
    let result = Scan::<User>::new(10).run(&options(), fetch, |_| {}).await;
    assert!(
        matches!(result, Err(ScanError::Inconsistent { kind: "user", .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn rows_left_out_still_count() {
    let body = r#"{"pagination":{"count":3,"total_pages":1,"current":1},"results":[{"pk":1,"username":"a"},{"pk":2,"username":null},{"pk":"x"}]}"#;
    let fetch = |_| async move { Ok(decode_page::<User>(body.as_bytes()).unwrap()) };
    let mut reading = Scan::new(100);
    let mut rows = 0;
    let summary = reading
        .run(&options(), fetch, |page: Page<User>| rows += page.rows.len())
        .await;
    assert_eq!(
        summary.unwrap(),
        ScanSummary {
            rows: 3,
            skipped: 2,
            duplicates: 0,
            requests: 1,
        }
    );
    assert_eq!((rows, reading.nameless()), (1, 1));
}

/// Reads a list of pages of ten, while logins want authentik after as many pages as `login` says: how many calls were in flight
/// at most before each page.
async fn in_flight(list: &List, login: impl Fn(usize) -> bool) -> Vec<usize> {
    let (mut most, wanted) = (Vec::new(), Cell::new(login(0)));
    let summary = Scan::<User>::new(10)
        .run_giving_way(
            &options(),
            |request| list.fetch(request),
            || wanted.get(),
            |_| {
                most.push(list.most.replace(0));
                wanted.set(login(most.len()));
            },
        )
        .await
        .expect("the list is read");
    assert_eq!(summary.rows, list.pks.borrow().len() as u64);
    most
}

/// A long list while somebody logs in for a while, then nobody does.
#[tokio::test(start_paused = true)]
async fn sources_wanted_for_a_login_are_asked_for_one_page_at_a_time() {
    let most = in_flight(&List::of(1..=1000, 10), |pages| pages < 30).await;
    let (beside, after) = most.split_at(30);
    assert!(beside.iter().all(|most| *most == 1), "beside a login: {beside:?}");
    assert!(
        after.iter().any(|most| *most > 1),
        "nobody logs in any more: {after:?}"
    );
}

/// Somebody who logs in while many pages are asked for: those in flight are waited for, no others are asked for until then.
#[tokio::test(start_paused = true)]
async fn sources_wanted_for_a_login_meanwhile_are_left_to_it() {
    let most = in_flight(&List::of(1..=2000, 10), |pages| pages >= 100).await;
    // Those that were in flight come first.
    let later = &most[100 + options().parallel..];
    assert!(later.len() > 80, "{}", later.len());
    assert!(later.iter().all(|most| *most <= 1), "{later:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_are_as_new_as_the_request_that_opened_the_list() {
    let list = List::of(0..30, 10);
    let mut reading = Scan::<User>::new(100);
    let made = reading.began();
    let down = reading
        .run(
            &options(),
            |_| async { Err::<Page<User>, _>(broken(403)) },
            |_| {},
        )
        .await;
    assert!(down.is_err());
    tokio::time::sleep(Duration::from_secs(400)).await;
    let asked = Instant::now();
    scan(&list, &mut reading).await.0.unwrap();
    assert_eq!(reading.began(), asked, "not {made:?}");
}
