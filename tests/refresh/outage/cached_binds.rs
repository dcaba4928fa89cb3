//! Binds while authentik is away: cached ones until their end, others never; and how much longer an admin can let
//! cached ones live.

use std::ops::Range;
use std::time::{Duration, Instant};

use akldap_simulator::{Fault, Rule, Stage as FlowStage, UserLogin};

use akldap_testing::captured_log::Log;
use akldap_testing::http;
use akldap_testing::lifetime::{Lifetime, TRIES};
use akldap_testing::scenery::{recommended, stage};
use akldap_testing::stage::{BASE, NEVER, Stage, eventually, user_dn};

const GRACE: &str = "BIND_CACHE_OUTAGE_GRACE";
const MAX_AGE: &str = "BIND_CACHE_MAX_AGE";

/// An outage is over for the log when authentik has answered for this long.
const HOLDS: Duration = Duration::from_secs(5);

async fn cached(settings: &[(&str, &str)]) -> Stage {
    let stage = stage("cached", recommended(), settings).await;
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    stage
}

async fn code(stage: &Stage, username: &str, password: &str) -> i32 {
    stage.bind(&user_dn(username), password).await.code
}

fn is_out(stage: &Stage) -> bool {
    stage.server.outpost().outage().under_way().is_some()
}

async fn outage(stage: &Stage) {
    stage.simulator.refuse_connections(true);
    eventually("the outage is noticed", || is_out(stage)).await;
}

#[tokio::test]
async fn what_is_loaded_and_cached_goes_on_and_the_rest_is_unavailable() {
    let (log, _guard) = Log::listen();
    let stage = cached(&[]).await;
    let said = |what: &str| log.text().matches(what).count();
    let mut service = stage.bound("ldapservice").await;
    stage.bound("alice").await;
    let before = service.subtree(BASE, "(objectClass=*)", &["*"]).await;
    let ready = http::ready(stage.http()).await;
    assert_eq!(ready["authentik"]["reachable"], true, "{ready}");
    assert_eq!(
        http::metric(stage.http(), "akldap_authentik_reachable").await,
        Some(1.0)
    );
    outage(&stage).await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0, "cached");
    assert_eq!(code(&stage, "alice", "wrong").await, 52, "not judged");
    assert_eq!(code(&stage, "bob", "demo-bob").await, 52);
    let during = service.subtree(BASE, "(objectClass=*)", &["*"]).await;
    assert_eq!((during.outcome.code, &during.entries), (0, &before.entries));
    let ready = http::ready(stage.http()).await;
    assert_eq!(ready["ready"], true, "{ready}");
    assert_eq!(ready["authentik"]["reachable"], false, "{ready}");
    assert!(ready["authentik"]["outage_s"].is_u64(), "{ready}");
    assert!(
        ready["authentik"]["cause"].as_str().unwrap().contains("refused"),
        "{ready}"
    );
    assert!(ready["directory"]["age_s"].is_u64(), "{ready}");
    assert_eq!(
        http::metric(stage.http(), "akldap_authentik_reachable").await,
        Some(0.0)
    );
    assert!(
        http::metric(stage.http(), "akldap_snapshot_age_seconds")
            .await
            .is_some()
    );
    assert_eq!(said("authentik cannot be reached: searches"), 1, "{}", log.text());
    assert_eq!(said("authentik can be reached again"), 0);
    stage.simulator.refuse_connections(false);
    assert_eq!(
        code(&stage, "bob", "demo-bob").await,
        0,
        "the first bind asks authentik again"
    );
    eventually("the end of the outage is noticed", || {
        said("authentik can be reached again") == 1
    })
    .await;
    assert!(!is_out(&stage));
    assert_eq!(said("authentik cannot be reached: searches"), 1, "{}", log.text());
}

/// Whatever its status: authentik judged nothing.
#[tokio::test]
async fn a_login_page_in_front_of_authentik_is_an_outage() {
    let stage = cached(&[]).await;
    stage.bound("alice").await;
    for (number, (status, body)) in [
        (403, "<html>Log in</html>"),
        (200, "<html>Log in</html>"),
        (401, ""),
    ]
    .into_iter()
    .enumerate()
    {
        let page = Fault::Intercepted(status, "text/html", body);
        stage.simulator.faults().add(Rule::new("", page));
        // Not one that was refused before.
        let wrong = format!("wrong-{number}");
        assert_eq!(code(&stage, "bob", &wrong).await, 52, "{status}: not judged");
        eventually("the outage is noticed", || is_out(&stage)).await;
        for _ in 0..3 {
            assert_eq!(code(&stage, "bob", &wrong).await, 52, "{status}");
            assert!(is_out(&stage), "{status}: more of the same is no answer");
        }
        assert_eq!(code(&stage, "alice", "demo-alice").await, 0, "{status}: cached");
        let ready = http::ready(stage.http()).await;
        assert_eq!(ready["authentik"]["reachable"], false, "{ready}");
        stage.simulator.faults().clear();
        eventually("the end of the outage is noticed", || !is_out(&stage)).await;
        assert_eq!(code(&stage, "bob", &wrong).await, 49, "{status}: judged");
    }
}

#[tokio::test]
async fn an_authentik_that_answers_now_and_then_is_one_outage_in_the_log() {
    let (log, _guard) = Log::listen();
    let said = |what: &str| log.text().matches(what).count();
    let stage = cached(&[]).await;
    let (mut lifted, mut outages) = (None::<Instant>, 1);
    for _ in 0..4 {
        stage.simulator.refuse_connections(true);
        // A failed call is how it is noticed.
        assert_eq!(code(&stage, "bob", "demo-bob").await, 52);
        eventually("the outage is noticed", || is_out(&stage)).await;
        // On a machine that takes so long, authentik did hold in between.
        if lifted.is_some_and(|lifted| lifted.elapsed() >= HOLDS) {
            outages += 1;
        }
        stage.simulator.refuse_connections(false);
        eventually("it answers", || !is_out(&stage)).await;
        lifted = Some(Instant::now());
    }
    assert!(
        said("authentik cannot be reached: searches") <= outages,
        "{}",
        log.text()
    );
    let told = said("authentik cannot be reached: searches");
    assert!(told > 0);
    eventually("the end is told", || {
        said("authentik can be reached again") == told
    })
    .await;
    assert_eq!(
        said("authentik cannot be reached: searches"),
        told,
        "{}",
        log.text()
    );
}

/// alice's login in an outage that begins at once, before its `age`: it goes on until the end of `seen`, as some bind within that
/// shows, and no longer.
async fn assert_lives_in_an_outage(stage: impl AsyncFn() -> Stage, age: Duration, seen: Range<Duration>) {
    for _ in 0..TRIES {
        let stage = stage().await;
        let bind = async || code(&stage, "alice", "demo-alice").await;
        let mut lifetime = Lifetime::begin(bind()).await;
        outage(&stage).await;
        if !lifetime.is_within(age) {
            continue;
        }
        lifetime.watch(seen.end + Duration::from_secs(1), bind).await;
        lifetime.assert_ends(seen.end, 52);
        if lifetime.tells(seen.start, seen.end) {
            return;
        }
    }
    panic!("this machine pauses too often to tell");
}

#[tokio::test]
async fn without_the_grace_a_cached_bind_ends_at_its_age() {
    let stage = async || cached(&[(MAX_AGE, "2s")]).await;
    let age = Duration::from_secs(2);
    assert_lives_in_an_outage(stage, age, Duration::ZERO..age).await;
}

#[tokio::test]
async fn the_grace_has_an_end() {
    let stage = async || cached(&[(MAX_AGE, "1s"), (GRACE, "2s")]).await;
    let (age, end) = (Duration::from_secs(1), Duration::from_secs(3));
    assert_lives_in_an_outage(stage, age, age..end).await;
}

#[tokio::test]
async fn the_grace_begins_with_the_very_bind_that_finds_authentik_gone() {
    let stage = cached(&[(MAX_AGE, "1s"), (GRACE, "60s")]).await;
    stage.bound("alice").await;
    // Nothing shows the outage before the bind does.
    stage.simulator.pause(true);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stage.simulator.refuse_connections(true);
    stage.simulator.pause(false);
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
    assert_eq!(code(&stage, "alice", "wrong").await, 52);
}

#[tokio::test]
async fn the_grace_ends_when_authentik_is_back() {
    let stage = cached(&[(MAX_AGE, "1s"), (GRACE, "1h")]).await;
    stage.bound("alice").await;
    outage(&stage).await;
    let alice = stage.simulator.user_pk("alice").unwrap();
    stage.simulator.advance(Duration::from_secs(2));
    stage.simulator.set_password(alice, "changed");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0, "nobody could know");
    stage.simulator.refuse_connections(false);
    let back = Instant::now();
    while code(&stage, "alice", "demo-alice").await == 0 {
        // The grace would last longer.
        assert!(back.elapsed() < NEVER, "{:?}", back.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(code(&stage, "alice", "demo-alice").await, 49);
    assert_eq!(code(&stage, "alice", "changed").await, 0);
    outage(&stage).await;
    let old = code(&stage, "alice", "demo-alice").await;
    assert_ne!(old, 0, "another outage does not bring it back");
}

#[tokio::test]
async fn a_cached_bind_that_had_reached_its_age_before_the_outage_is_gone() {
    let stage = cached(&[(MAX_AGE, "1s"), (GRACE, "60s")]).await;
    stage.bound("alice").await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // authentik answers somebody: alice could have been checked, too.
    stage.bound("bob").await;
    outage(&stage).await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 52);
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
}

#[tokio::test]
async fn nothing_known_to_be_over_is_granted_the_grace() {
    let stage = cached(&[(MAX_AGE, "1s"), (GRACE, "60s"), ("BIND_NEGATIVE_WINDOW", "1s")]).await;
    for username in ["alice", "bob", "zoë", "ldapservice"] {
        stage.bound(username).await;
    }
    assert_eq!(code(&stage, "ldapservice", "wrong").await, 49);
    let pk = |username: &str| stage.simulator.user_pk(username).unwrap();
    // alice's session ends, bob gets another password, zoë is deactivated.
    let mut alice = stage.bound("alice").await;
    stage.simulator.end_sessions_of(pk("alice"));
    akldap_testing::scenery::assert_disconnected(&mut alice).await;
    stage.simulator.advance(Duration::from_secs(2));
    stage.simulator.set_password(pk("bob"), "changed");
    stage.simulator.set_active(pk("zoë"), false);
    stage.refresh().await;
    outage(&stage).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for username in ["alice", "bob", "zoë"] {
        assert_eq!(
            code(&stage, username, &format!("demo-{username}")).await,
            52,
            "{username}"
        );
    }
    assert_eq!(
        code(&stage, "ldapservice", "wrong").await,
        52,
        "refusals live no longer than ever"
    );
    assert_eq!(
        code(&stage, "ldapservice", "demo-ldapservice").await,
        0,
        "and the one who lost nothing is let in"
    );
}

#[tokio::test]
async fn the_grace_does_not_outlive_the_session() {
    let login = UserLogin {
        session_duration: Duration::from_secs(3),
        ..UserLogin::default()
    };
    let stages = vec![
        FlowStage::identification_with_password(),
        FlowStage::UserLogin(login),
    ];
    let stage = async || stage("cached", stages.clone(), &[(MAX_AGE, "1s"), (GRACE, "60s")]).await;
    let (age, end) = (Duration::from_secs(1), Duration::from_secs(3));
    assert_lives_in_an_outage(stage, age, age..end).await;
}

#[tokio::test]
async fn a_refused_token_is_no_outage() {
    let stage = cached(&[(MAX_AGE, "1s"), (GRACE, "60s")]).await;
    stage.bound("alice").await;
    stage.simulator.delete_token();
    stage.server.outpost().refresh_requests().all();
    eventually("the refresh has failed", || {
        stage.server.outpost().status().configuration().failure.is_some()
    })
    .await;
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(!is_out(&stage));
    let ready = http::ready(stage.http()).await;
    assert_eq!(ready["authentik"]["reachable"], true, "{ready}");
}
