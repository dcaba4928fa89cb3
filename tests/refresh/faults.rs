//! Every request of start and refresh with every fault, while clients search: what they see is whole at every moment,
//! and it is up to date again soon after the fault is gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Fault, Options, Rule, Simulator};
use futures_util::{StreamExt as _, stream};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use crate::scenery::{is_current, unready};
use akldap_testing::certificates;
use akldap_testing::client::Client;
use akldap_testing::faults;
use akldap_testing::stage::{BASE, NEVER, Stage, eventually, user_dn};

/// Set for all pairs of request and fault, one after the other, and for the recovery time that is promised, on a machine that
/// does nothing else; otherwise every fault and every request occurs, but not each with each, several at once, and it is
/// enough that all recover: no look that comes with an interval does it for them.
const LONG: &str = "AKLDAP_TEST_LONG";
/// How long a fault lasts: long enough for several tries.
const DURATION: Duration = Duration::from_millis(600);
/// How soon after it everything is well.
const RECOVERY: Duration = Duration::from_secs(2);

/// The requests of start and refresh, by what is in their paths.
const REQUESTS: [&str; 7] = [
    "/outposts/instances/",
    PROVIDERS,
    "page_size=20&ordering=-pk",
    "page_size=20&ordering=pk",
    "last_updated__gt",
    "page_size=1&ordering=-pk",
    GROUPS,
];

const PROVIDERS: &str = "/outposts/ldap/";
const GROUPS: &str = "/core/groups/";
/// A list of nothing, well-formed.
const EMPTY_PAGE: &str = r#"{"pagination":{"next":0,"count":0,"current":1,"total_pages":1},"results":[]}"#;

fn alone() -> bool {
    std::env::var_os(LONG).is_some()
}

fn assert_recovered(state: &str, request: &str, fault: Option<&Fault>, took: Duration) {
    assert!(
        !alone() || took < RECOVERY,
        "{state} {request} {fault:?}: {took:?}"
    );
    println!("{state:6} {request:32} {fault:?}: {took:?}");
}

/// A request that hangs is given up soon, but one that a busy machine takes long for is not.
fn settings() -> [(&'static str, &'static str); 2] {
    let timeout = if alone() { "1s" } else { "5s" };
    [("REQUEST_TIMEOUT", timeout), ("PAGE_SIZE", "20")]
}

fn faults() -> Vec<Option<Fault>> {
    let mut all = vec![None];
    all.extend(faults::of_every_request().map(Some));
    all.extend(
        [
            Fault::Stall(Duration::from_millis(300)),
            Fault::SlowBody(500, Duration::from_millis(20)),
            Fault::Answer(200, "application/json", "{\"results\":[]}"),
            Fault::Answer(200, "application/json", EMPTY_PAGE),
        ]
        .map(Some),
    );
    all
}

/// Spoils requests, or refuses connections.
fn disturb(simulator: &Simulator, request: &str, fault: Option<&Fault>) {
    match fault {
        Some(fault) => drop(simulator.faults().add(Rule::new(request, fault.clone()))),
        None => simulator.refuse_connections(true),
    }
}

fn calm(simulator: &Simulator) {
    simulator.faults().clear();
    simulator.refuse_connections(false);
}

/// All that a client who may see everything sees; `None` while searches are answered 52.
async fn visible(client: &mut Client) -> Option<BTreeSet<String>> {
    let found = client.subtree(BASE, "(objectClass=*)", &["memberOf"]).await;
    if found.outcome.code == 52 {
        assert!(found.entries.is_empty(), "entries before {:?}", found.outcome);
        return None;
    }
    assert_eq!(found.outcome.code, 0, "{:?}", found.outcome);
    let text = |entry: &akldap_testing::client::Entry| {
        let mut groups = entry.get("memberOf").unwrap_or_default();
        groups.sort();
        format!("{} {}", entry.dn, groups.join(" "))
    };
    Some(found.entries.iter().map(text).collect())
}

async fn bound(stage: &Stage) -> Client {
    let mut client = stage.client().await;
    let began = Instant::now();
    while client
        .bind(&user_dn("ldapservice"), "demo-ldapservice")
        .await
        .code
        != 0
    {
        assert!(began.elapsed() < NEVER, "no bind succeeds");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client
}

/// Users on several pages.
async fn simulator() -> Simulator {
    let options = Options {
        max_page_size: 20,
        ..Options::default()
    };
    Simulator::start(Directory::sample(50, 22), options)
        .await
        .unwrap()
}

async fn first_load(request: &str, fault: Option<&Fault>) {
    let simulator = simulator().await;
    disturb(&simulator, request, fault);
    let stage = unready(simulator, &settings()).await;
    let mut client = stage.client().await;
    let began = Instant::now();
    while began.elapsed() < DURATION {
        let found = client.subtree(BASE, "(objectClass=*)", &[]).await;
        // Nobody can be bound: 52 until there is a directory, then "bind first".
        assert!(
            found.entries.is_empty() && matches!(found.outcome.code, 52 | 50),
            "{:?}",
            found.outcome
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    calm(&stage.simulator);
    let healed = Instant::now();
    eventually(&format!("{request} {fault:?}: ready"), || {
        stage.server.outpost().can_search() && is_current(&stage)
    })
    .await;
    assert_recovered("first", request, fault, healed.elapsed());
}

async fn steady(request: &str, fault: Option<&Fault>) {
    let simulator = simulator().await;
    let stage = unready(simulator, &settings()).await;
    stage.ready().await;
    let mut client = bound(&stage).await;
    let before = visible(&mut client).await.unwrap();
    disturb(&stage.simulator, request, fault);
    stage.simulator.edit(|directory| {
        let pk = directory.user_named("user000007").unwrap().pk;
        directory.remove_user(pk);
        let group = directory.group_named("group0002").unwrap().pk;
        let pk = directory.user_named("user000009").unwrap().pk;
        directory.join(pk, group);
    });
    let stop = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            let mut seen = Vec::new();
            while !stop.load(Ordering::SeqCst) {
                let now = visible(&mut client).await.expect("a directory stays");
                if seen.last() != Some(&now) {
                    seen.push(now);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            seen.push(visible(&mut client).await.unwrap());
            seen
        }
    });
    // By turns what changed, and everything.
    let outpost = stage.server.outpost();
    outpost.refresh_requests().update();
    tokio::time::sleep(DURATION / 2).await;
    outpost.refresh_requests().all();
    tokio::time::sleep(DURATION / 2).await;
    calm(&stage.simulator);
    let healed = Instant::now();
    outpost.refresh_requests().update();
    eventually(&format!("{request} {fault:?}: current"), || is_current(&stage)).await;
    assert_recovered("steady", request, fault, healed.elapsed());
    stop.store(true, Ordering::SeqCst);
    let seen = watching.await.unwrap();
    let after = seen.last().unwrap();
    assert_ne!(*after, before);
    for state in &seen {
        assert!(
            *state == before || state == after,
            "{request} {fault:?}: {} entries, neither {} nor {}",
            state.len(),
            before.len(),
            after.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_clients_see_is_whole_whatever_fails() {
    let (every, at_once) = if alone() { (true, 1) } else { (false, 6) };
    let faults = faults();
    let mut cases = Vec::new();
    for (r, request) in REQUESTS.iter().enumerate() {
        for (f, fault) in faults.iter().enumerate() {
            // No failure, but authentik's word that there is no provider, or no group.
            if [PROVIDERS, GROUPS].contains(request) && matches!(fault, Some(Fault::Answer(_, _, EMPTY_PAGE)))
            {
                continue;
            }
            if every || f % REQUESTS.len() == r {
                cases.push((*request, fault.as_ref()));
            }
        }
    }
    stream::iter(cases)
        .for_each_concurrent(at_once, |(request, fault)| async move {
            first_load(request, fault).await;
            steady(request, fault).await;
        })
        .await;
}

#[tokio::test]
async fn providers_are_refreshed_while_the_directory_fails() {
    let simulator = Simulator::start(Directory::sample(20, 3), Options::default())
        .await
        .unwrap();
    let stage = unready(simulator, &[]).await;
    stage.ready().await;
    eventually("events are followed", || stage.simulator.websockets() == 1).await;
    for fault in [Fault::Hang, Fault::BadGateway] {
        let rule = stage.simulator.faults().add(Rule::new("/core/", fault));
        stage.server.outpost().refresh_requests().all();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let pk = stage
            .simulator
            .look(|directory| *directory.providers.keys().next().unwrap());
        let name = format!("renamed {rule}");
        stage
            .simulator
            .save_provider(pk, |provider| provider.name = name.clone());
        eventually("the provider's new name", || {
            stage
                .server
                .outpost()
                .providers()
                .current()
                .iter()
                .any(|provider| provider.name() == name)
        })
        .await;
        stage.simulator.faults().clear();
    }
}

/// The certificate an LDAPS client is shown.
async fn shown(stage: &Stage) -> Vec<u8> {
    let stream = TcpStream::connect(stage.ldaps()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = certificates::connector().connect(name, stream).await.unwrap();
    let chain = stream.get_ref().1.peer_certificates().unwrap();
    chain[0].to_vec()
}

#[tokio::test]
async fn certificates_are_refreshed_while_the_directory_fails() {
    let directory = certificates::serving(Directory::sample(20, 3), certificates::pair("p256"));
    let simulator = Simulator::start(directory, Options::default()).await.unwrap();
    let stage = unready(simulator, &[]).await;
    stage.ready().await;
    eventually("events are followed", || stage.simulator.websockets() == 1).await;
    let mut before = shown(&stage).await;
    for (fault, renewed) in [(Fault::Hang, "rsa2048"), (Fault::BadGateway, "p256")] {
        stage.simulator.faults().add(Rule::new("/core/", fault));
        stage.server.outpost().refresh_requests().all();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stage.simulator.save_certificate(certificates::pair(renewed));
        let began = Instant::now();
        let mut now = shown(&stage).await;
        while now == before {
            assert!(began.elapsed() < NEVER, "{renewed} is not shown");
            tokio::time::sleep(Duration::from_millis(20)).await;
            now = shown(&stage).await;
        }
        before = now;
        stage.simulator.faults().clear();
    }
}

#[tokio::test]
async fn a_thousand_events_make_few_refreshes() {
    let simulator = Simulator::start(Directory::sample(20, 3), Options::default())
        .await
        .unwrap();
    let stage = unready(simulator, &[]).await;
    stage.ready().await;
    stage.simulator.requests().clear();
    for _ in 0..1000 {
        stage.server.outpost().refresh_requests().update();
    }
    crate::scenery::update(&stage).await;
    let (users, groups) = crate::scenery::pages(&stage);
    assert!(users <= 8 && groups <= 4, "{users} and {groups} requests");
}
