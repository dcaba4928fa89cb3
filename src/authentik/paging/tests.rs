use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::*;
use crate::authentik::row::{Pagination, decode_page};

fn options() -> ScanOptions {
    ScanOptions {
        jitter: || 0.0,
        ..ScanOptions::default()
    }
}

/// A page of users with the given pks, as authentik would send it.
fn page(number: u64, total_pages: u64, count: u64, pks: &[i64]) -> Result<Page<User>, ApiError> {
    let rows: Vec<String> = pks
        .iter()
        .map(|pk| format!(r#"{{"pk":{pk},"username":"u{pk}"}}"#))
        .collect();
    let body = format!(
        r#"{{"pagination":{{"next":0,"previous":0,"count":{count},"current":{number},"total_pages":{total_pages},"start_index":0,"end_index":0}},"results":[{}]}}"#,
        rows.join(",")
    );
    Ok(decode_page(body.as_bytes()).unwrap())
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

async fn collect<F: Future<Output = Result<Page<User>, ApiError>>>(
    fetch: impl Fn(u32) -> F,
) -> (Result<ScanSummary, ScanError>, BTreeSet<i64>) {
    let mut pks = BTreeSet::new();
    let result = scan(&options(), fetch, |page: Page<User>| {
        for user in page.rows {
            assert!(pks.insert(user.pk), "the sink got {} twice", user.pk);
        }
    })
    .await;
    (result, pks)
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_with_bounded_parallelism() {
    let (running, most) = (Cell::new(0_usize), Cell::new(0_usize));
    let (result, pks) = collect(|number| {
        let (running, most) = (&running, &most);
        async move {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            tokio::time::sleep(Duration::from_millis(u64::from(100 - number))).await;
            running.set(running.get() - 1);
            let first = i64::from(number) * 10;
            page(u64::from(number), 9, 27, &[first, first + 1, first + 2])
        }
    })
    .await;
    assert_eq!(
        result.unwrap(),
        ScanSummary {
            rows: 27,
            pages: 9,
            requests: 9,
            ..ScanSummary::default()
        }
    );
    assert_eq!((pks.len(), most.get()), (27, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failed_page_is_tried_again_with_growing_waits() {
    let times = RefCell::new(Vec::new());
    let (result, pks) = collect(|number| {
        let times = &times;
        async move {
            if number == 2 {
                times.borrow_mut().push(tokio::time::Instant::now());
                if times.borrow().len() < 4 {
                    return Err(broken(500));
                }
            }
            page(u64::from(number), 2, 2, &[i64::from(number)])
        }
    })
    .await;
    assert_eq!((result.unwrap().requests, pks.len()), (5, 2));
    let waits: Vec<u128> = times
        .borrow()
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect();
    assert_eq!(waits, [500, 1000, 2000]);
}

#[tokio::test(start_paused = true)]
async fn tries_are_bounded_and_lasting_errors_end_at_once() {
    for (status, requests) in [(500, 4), (403, 1)] {
        let made = Cell::new(0);
        let (result, _) = collect(|number| {
            let made = &made;
            async move {
                if number == 1 {
                    return page(1, 2, 2, &[1]);
                }
                made.set(made.get() + 1);
                Err(broken(status))
            }
        })
        .await;
        assert!(
            matches!(result, Err(ScanError::Page { page: 2, .. })),
            "{result:?}"
        );
        assert_eq!(made.get(), requests);
    }
}

#[tokio::test]
async fn what_does_not_fit_is_inconsistent() {
    type Pages = [Result<Page<User>, ApiError>; 2];
    let gone = || Err(ApiError::InvalidPage { url: String::new() });
    let cases: [(&str, Pages); 6] = [
        (
            "a row came twice, another not at all",
            [page(1, 2, 4, &[1, 2]), page(2, 2, 4, &[2, 3])],
        ),
        (
            "a row was skipped at the boundary",
            [page(1, 2, 4, &[1, 2]), page(2, 2, 4, &[4])],
        ),
        (
            "the count changed",
            [page(1, 2, 4, &[1, 2]), page(2, 2, 3, &[3, 4])],
        ),
        ("the page is gone", [page(1, 2, 4, &[1, 2]), gone()]),
        (
            "another page came",
            [page(1, 2, 4, &[1, 2]), page(1, 2, 4, &[3, 4])],
        ),
        (
            "counts agree but pages overlap",
            [page(1, 2, 4, &[1, 3]), page(2, 2, 4, &[2, 4])],
        ),
    ];
    for (name, pages) in cases {
        let (result, _) = collect(|number| {
            let page = pages[usize::try_from(number).unwrap() - 1].clone();
            async move { page }
        })
        .await;
        assert!(
            matches!(result, Err(ScanError::Inconsistent { kind: "user", .. })),
            "{name}: {result:?}"
        );
    }
}

#[tokio::test]
async fn rows_left_out_still_count() {
    let body = r#"{"pagination":{"count":3,"total_pages":1,"current":1},"results":[{"pk":1,"username":"a"},{"pk":2,"username":null},{"pk":"x"}]}"#;
    let fetch = |_| async move { Ok(decode_page::<User>(body.as_bytes()).unwrap()) };
    let (result, pks) = collect(fetch).await;
    assert_eq!(
        result.unwrap(),
        ScanSummary {
            rows: 3,
            skipped: 2,
            pages: 1,
            requests: 1,
            duplicates: 0
        }
    );
    assert_eq!(pks.len(), 1);
}

#[tokio::test]
async fn an_empty_list_is_whole() {
    let (result, pks) = collect(|_| async { page(1, 1, 0, &[]) }).await;
    assert_eq!(result.unwrap().rows, 0);
    assert!(pks.is_empty());
    assert_eq!(Pagination::default().count, 0);
}
