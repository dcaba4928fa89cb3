//! What keeping up costs authentik: requests and rows, which BENCHMARKS.md gives for 10,000 users.

use std::time::Duration;

use akldap_simulator::{Directory, RecordedRequest};

use crate::scenery::{pages, stage, update};
use akldap_testing::stage::Stage;

/// Rows an answer had at most, by what was asked for.
fn rows(requests: &[RecordedRequest], all: usize) -> usize {
    let of = |request: &RecordedRequest| {
        let value = |name: &str| {
            request
                .query
                .split('&')
                .find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
        };
        if request.query.contains("last_updated__gt") {
            return 0;
        }
        let (page, size) = (value("page").unwrap(), value("page_size").unwrap());
        all.saturating_sub((page - 1) * size).min(size)
    };
    requests.iter().map(of).sum()
}

/// Has everything read, within this many requests for users. On a machine that is too busy a load may be broken off and begun
/// again; such a one does not count, but three in a row do.
async fn read_everything(stage: &Stage, most: u64) {
    for _ in 0..3 {
        stage.simulator.requests().clear();
        stage.refresh().await;
        if pages(stage).0 <= most {
            return;
        }
        for request in stage.simulator.requests().to("/core/users/") {
            println!("{} {}", request.path, request.query);
        }
    }
}

#[tokio::test]
async fn a_full_load_reads_each_row_about_once_and_a_look_hardly_any() {
    let stage = stage(Directory::sample(2000, 235), 100, &[]).await;
    let (users, groups) = stage
        .simulator
        .look(|directory| (directory.users().len(), directory.group_count()));
    let (user_pages, group_pages) = (users.div_ceil(100) as u64, groups.div_ceil(100) as u64);
    stage.simulator.advance(Duration::from_secs(600));
    update(&stage).await;
    read_everything(&stage, user_pages + 1 + 3 + 4).await;
    let full = pages(&stage);
    let read = rows(&stage.simulator.requests().to("/core/users/"), users);
    // The highest rows are read first; several readers read their seams twice; then come two looks at what changed, since groups of several pages are looked at twice.
    assert!(full.0 <= user_pages + 1 + 3 + 4, "{full:?}");
    assert!(full.1 <= 2 * group_pages, "{full:?}");
    assert!(read <= users + 4 * 100 + 1, "{read} rows of {users} users");
    stage.simulator.requests().clear();
    update(&stage).await;
    assert_eq!(pages(&stage), (2, group_pages));
    assert_eq!(rows(&stage.simulator.requests().to("/core/users/"), users), 1);
}

/// What the table of BENCHMARKS.md is made of.
#[tokio::test]
async fn ten_thousand_users_cost_what_is_written_down() {
    let stage = stage(Directory::sample(10_000, 200), 100, &[]).await;
    let (users, groups) = stage
        .simulator
        .look(|directory| (directory.users().len(), directory.group_count()));
    stage.simulator.advance(Duration::from_secs(600));
    update(&stage).await;
    let counted = || {
        let of = |path, all| {
            let requests = stage.simulator.requests().to(path);
            (requests.len(), rows(&requests, all))
        };
        (of("/core/users/", users), of("/core/groups/", groups))
    };
    read_everything(&stage, 110).await;
    let full = counted();
    stage.simulator.requests().clear();
    update(&stage).await;
    let look = counted();
    println!(
        "{users} users, {groups} groups: (requests, rows) of users and of groups: a full load {full:?}, a look {look:?}"
    );
    assert!(full.0.0 <= 110 && full.0.1 <= users + 401, "{full:?}");
    assert_eq!(look, ((2, 1), (2, groups)));
}
