//! How long access lasts after it ended in authentik, with every option at its default: the figures of SECURITY.md. Takes
//! some minutes, so it runs only with `AKLDAP_TEST_LONG`:
//!
//! `AKLDAP_TEST_LONG=1 cargo test --test binds measured -- --nocapture`

use std::time::{Duration, Instant};

use akldap_simulator::{Fault, Rule};
use futures_util::future::join_all;

use crate::ends::{
    connected, is_answered_at_once, move_to_another_application, pk, shut_out, take_search_permission,
};
use akldap_testing::client::Client;
use akldap_testing::scenery::recommended;
use akldap_testing::stage::{Stage, eventually};

/// Longer than anything SECURITY.md promises for a few logins.
const LONGEST: Duration = Duration::from_secs(400);
const POLL: Duration = Duration::from_millis(250);

struct MeasuredRevocation {
    name: &'static str,
    /// Whether the event stream is there.
    heard: bool,
    /// Whether an open connection ends too.
    ends_connections: bool,
    withdraw: fn(&Stage),
    /// The most that is promised, in seconds: for an open connection and for a cached bind.
    promised: (u64, u64),
}

const KINDS: &[MeasuredRevocation] = &[
    MeasuredRevocation {
        name: "session ended, heard",
        heard: true,
        ends_connections: true,
        withdraw: |stage| stage.simulator.end_sessions_of(pk(stage, "alice")),
        promised: (2, 2),
    },
    MeasuredRevocation {
        name: "session ended, unheard",
        heard: false,
        ends_connections: true,
        withdraw: |stage| stage.simulator.end_sessions_of(pk(stage, "alice")),
        promised: (300, 300),
    },
    MeasuredRevocation {
        name: "deactivated, heard",
        heard: true,
        ends_connections: true,
        withdraw: |stage| {
            stage.simulator.set_active(pk(stage, "alice"), false);
        },
        promised: (2, 2),
    },
    MeasuredRevocation {
        name: "deactivated, unheard",
        heard: false,
        ends_connections: true,
        withdraw: |stage| {
            stage.simulator.set_active(pk(stage, "alice"), false);
        },
        promised: (32, 32),
    },
    MeasuredRevocation {
        name: "password changed",
        heard: true,
        ends_connections: false,
        withdraw: |stage| {
            stage.simulator.set_password(pk(stage, "alice"), "changed");
        },
        promised: (0, 32),
    },
    MeasuredRevocation {
        name: "renamed",
        heard: true,
        ends_connections: false,
        withdraw: |stage| {
            stage.simulator.rename_user(pk(stage, "alice"), "alice2");
        },
        promised: (0, 32),
    },
    MeasuredRevocation {
        name: "application access",
        heard: true,
        ends_connections: true,
        withdraw: |stage| shut_out(stage, "alice"),
        promised: (300, 300),
    },
    MeasuredRevocation {
        name: "search permission",
        heard: true,
        ends_connections: true,
        withdraw: take_search_permission,
        promised: (300, 300),
    },
    MeasuredRevocation {
        name: "provider moved, heard",
        heard: true,
        ends_connections: true,
        withdraw: |stage| {
            let provider = move_to_another_application(stage);
            stage.simulator.save_provider(provider, |_| {});
        },
        promised: (3, 3),
    },
    MeasuredRevocation {
        name: "provider moved, unheard",
        heard: false,
        ends_connections: true,
        withdraw: |stage| {
            move_to_another_application(stage);
        },
        promised: (302, 302),
    },
];

/// When the connection ends.
async fn disconnected(client: &mut Client) {
    while tokio::time::timeout(Duration::from_secs(10), client.receive())
        .await
        .is_err()
    {}
}

async fn measure(kind: &MeasuredRevocation) -> (Option<Duration>, Duration) {
    // Whoever is asked about the search permission has it.
    let username = if kind.name == "search permission" {
        "ldapservice"
    } else {
        "alice"
    };
    let stage = connected("cached", recommended(), &[]).await;
    let mut client = stage.bound(username).await;
    if !kind.heard {
        stage.simulator.faults().add(Rule::new("/ws/", Fault::Forbidden));
        stage.simulator.recycle_worker();
        eventually("the stream is gone", || stage.simulator.websockets() == 0).await;
    }
    assert!(
        is_answered_at_once(&stage, username),
        "{}: it is cached",
        kind.name
    );
    // authentik dates changes in seconds.
    stage.simulator.advance(Duration::from_secs(2));
    let since = Instant::now();
    (kind.withdraw)(&stage);
    let open = async {
        if !kind.ends_connections {
            return None;
        }
        disconnected(&mut client).await;
        Some(since.elapsed())
    };
    let cached = async {
        while is_answered_at_once(&stage, username) {
            tokio::time::sleep(POLL).await;
        }
        since.elapsed()
    };
    tokio::time::timeout(LONGEST, async { tokio::join!(open, cached) })
        .await
        .unwrap_or_else(|_| panic!("{}: still there after {LONGEST:?}", kind.name))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_in_authentik_ends_here_in_the_time_that_is_promised() {
    if std::env::var_os("AKLDAP_TEST_LONG").is_none() {
        println!("skipped: takes six minutes; set AKLDAP_TEST_LONG");
        return;
    }
    let measured = join_all(KINDS.iter().map(measure)).await;
    println!("| what ends | open connection | cached bind |\n| --- | ---: | ---: |");
    for (kind, (open, cached)) in KINDS.iter().zip(&measured) {
        let open = open.map_or_else(
            || "goes on".to_owned(),
            |open| format!("{:.1} s", open.as_secs_f64()),
        );
        println!("| {} | {open} | {:.1} s |", kind.name, cached.as_secs_f64());
    }
    for (kind, (open, cached)) in KINDS.iter().zip(measured) {
        let (promised_open, promised_cached) = kind.promised;
        // What a busy machine may add.
        let slack = Duration::from_secs(5);
        assert!(
            open.is_none_or(|open| open <= Duration::from_secs(promised_open) + slack),
            "{}",
            kind.name
        );
        assert!(
            cached <= Duration::from_secs(promised_cached) + slack,
            "{}",
            kind.name
        );
    }
}
