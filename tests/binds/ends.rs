//! Access ends when it ends in authentik: for cached binds and for open connections, with and without an event.
//! `SECURITY.md` lists these tests next to the times it promises.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use akldap::outpost::bind::Begun;
use akldap_simulator::{
    Binding, Endpoint, Fault, NotConfigured, Rule, Stage as FlowStage, UserLogin, demo_secrets, totp_code,
};

use akldap_testing::client::Client;
use akldap_testing::scenery::{assert_disconnected, flow_requests, recommended, stage};
use akldap_testing::stage::{BASE, NEVER, Stage, eventually, user_dn};

const OFF: (&str, &str) = ("ACCESS_RECHECK_INTERVAL", "0");
const EACH_SECOND: (&str, &str) = ("ACCESS_RECHECK_INTERVAL", "1s");
/// Longer than that interval.
const UNUSED: Duration = Duration::from_millis(1300);

pub async fn connected(mode: &str, stages: Vec<FlowStage>, settings: &[(&str, &str)]) -> Stage {
    let stage = stage(mode, stages, settings).await;
    eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
    stage
}

pub fn pk(stage: &Stage, username: &str) -> i32 {
    stage.simulator.user_pk(username).unwrap()
}

async fn code(stage: &Stage, username: &str, password: &str) -> i32 {
    stage.bind(&user_dn(username), password).await.code
}

/// A bind from an address, bypassing the sockets.
async fn from(stage: &Stage, address: &str, username: &str, password: &str) -> i32 {
    let client: IpAddr = address.parse().unwrap();
    let dn = user_dn(username);
    let answer = stage
        .server
        .outpost()
        .binds()
        .bind(dn.as_bytes(), password.as_bytes(), client)
        .await;
    answer.result().code as i32
}

/// Whether a bind is answered without asking authentik.
pub fn is_answered_at_once(stage: &Stage, username: &str) -> bool {
    let (dn, password) = (user_dn(username), format!("demo-{username}"));
    let client: IpAddr = "127.0.0.1".parse().unwrap();
    let begun = stage
        .server
        .outpost()
        .binds()
        .begin(dn.as_bytes(), password.as_bytes(), client);
    matches!(begun, Begun::Answered(_))
}

async fn works(client: &mut Client) -> bool {
    client.read(BASE, &["1.1"]).await.outcome.code == 0
}

/// Shuts a user out of the application, which is not announced.
pub fn shut_out(stage: &Stage, username: &str) {
    let pk = pk(stage, username);
    stage.simulator.edit(|directory| {
        for application in directory.applications.values_mut() {
            application.bindings = vec![Binding::AllBut(vec![pk])];
        }
    });
}

/// Takes the permission to search from everybody, which is not announced.
pub fn take_search_permission(stage: &Stage) {
    stage
        .simulator
        .edit(|directory| directory.roles.values_mut().for_each(|role| role.search.clear()));
}

/// Makes another application the provider's, one that lets nobody in.
pub fn move_to_another_application(stage: &Stage) -> i32 {
    stage.simulator.edit(|directory| {
        let (slug, mut application) = directory
            .applications
            .iter()
            .map(|(slug, application)| (slug.clone(), application.clone()))
            .next()
            .unwrap();
        application.slug = format!("{slug}-2");
        application.bindings = vec![Binding::Always(false)];
        directory
            .applications
            .insert(application.slug.clone(), application.clone());
        let mut pks: Vec<i32> = directory.providers.keys().copied().collect();
        pks.sort_unstable();
        for provider in directory.providers.values_mut() {
            provider.application = Some(application.slug.clone());
        }
        pks[0]
    })
}

async fn sees_all(client: &mut Client) -> bool {
    let found = client.subtree(BASE, "(objectClass=user)", &["1.1"]).await;
    found.entries.len() > 3
}

#[tokio::test]
async fn a_name_that_passes_to_somebody_else_takes_its_cached_binds_along() {
    let stage = connected("cached", recommended(), &[OFF]).await;
    let alice = pk(&stage, "alice");
    stage
        .simulator
        .save_user(alice, |user| user.email = "desk@example.com".into());
    stage.simulator.set_password(alice, "hers");
    stage.refresh().await;
    assert_eq!(code(&stage, "alice", "hers").await, 0);
    assert_eq!(code(&stage, "desk@example.com", "hers").await, 0);
    assert_eq!(code(&stage, "ALICE", "hers").await, 0);
    let spellings = [
        format!("CN = aLICE ; ou=users,{BASE}"),
        format!("uid=Alice,{BASE}"),
        "EXAMPLE\\alicE".to_owned(),
        "Desk@example.com".to_owned(),
    ];
    for name in &spellings {
        assert_eq!(stage.bind(name, "hers").await.code, 0, "{name}");
    }
    stage.simulator.requests().clear();
    for name in ["alice", "desk@example.com", "ALICE"] {
        assert_eq!(code(&stage, name, "hers").await, 0, "{name}");
    }
    for name in &spellings {
        assert_eq!(stage.bind(name, "hers").await.code, 0, "{name}");
    }
    assert_eq!(flow_requests(&stage.simulator), 0, "all are cached");
    // Her name and her address pass to others; her password stays.
    stage.simulator.rename_user(alice, "alice2");
    let heir = stage.simulator.create_user("alice", "Heir", "heir@example.com");
    stage.simulator.set_password(heir, "the heir's");
    stage
        .simulator
        .save_user(alice, |user| user.email = "private@example.com".into());
    stage.simulator.save_user(pk(&stage, "bob"), |user| {
        user.email = "desk@example.com".into();
    });
    stage.refresh().await;
    for name in ["alice", "desk@example.com", "ALICE"] {
        assert_eq!(code(&stage, name, "hers").await, 49, "{name}");
    }
    for name in &spellings {
        assert_eq!(stage.bind(name, "hers").await.code, 49, "{name}");
    }
    assert_eq!(code(&stage, "alice2", "hers").await, 0);
    assert_eq!(code(&stage, "alice", "the heir's").await, 0);
    assert_eq!(code(&stage, "desk@example.com", "demo-bob").await, 0);
}

#[tokio::test]
async fn a_name_that_somebody_else_gets_too_is_asked_about_again() {
    let stage = connected("cached", recommended(), &[OFF]).await;
    stage.simulator.save_user(pk(&stage, "alice"), |user| {
        user.email = "desk@example.com".into();
    });
    stage.refresh().await;
    for name in ["alice", "desk@example.com", "bob"] {
        let password = if name == "bob" { "demo-bob" } else { "demo-alice" };
        assert_eq!(code(&stage, name, password).await, 0, "{name}");
    }
    stage
        .simulator
        .create_user("newcomer", "Newcomer", "Desk@Example.com");
    stage.refresh().await;
    let asked = |name: &'static str, password: &'static str| {
        let stage = &stage;
        async move {
            stage.simulator.requests().clear();
            assert_eq!(code(stage, name, password).await, 0, "{name}");
            flow_requests(&stage.simulator) > 0
        }
    };
    assert!(asked("desk@example.com", "demo-alice").await);
    // Whoever logs in with a name that nobody else got is not.
    assert!(!asked("alice", "demo-alice").await);
    assert!(!asked("bob", "demo-bob").await);
    // Nor is anybody in the next directory, which shows nothing new about the name.
    stage
        .simulator
        .save_user(pk(&stage, "zoë"), |user| user.name = "Zoë Z".into());
    stage.refresh().await;
    assert!(!asked("desk@example.com", "demo-alice").await);
}

#[tokio::test]
async fn a_cached_bind_that_was_not_used_for_long_is_asked_about_before_it_counts() {
    let stage = connected("cached", recommended(), &[EACH_SECOND]).await;
    for name in ["alice", "ldapservice", "bob"] {
        assert_eq!(code(&stage, name, &format!("demo-{name}")).await, 0);
        assert!(is_answered_at_once(&stage, name), "{name}");
    }
    // Those uses are followed by one more check; after that they are at rest.
    tokio::time::sleep(3 * UNUSED).await;
    shut_out(&stage, "alice");
    take_search_permission(&stage);
    for name in ["alice", "ldapservice", "bob"] {
        assert!(!is_answered_at_once(&stage, name), "{name}");
    }
    assert_eq!(code(&stage, "alice", "demo-alice").await, 50);
    let mut service = stage.bound("ldapservice").await;
    assert!(!sees_all(&mut service).await);
    stage.simulator.requests().clear();
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
    assert_eq!(
        flow_requests(&stage.simulator),
        0,
        "who lost nothing costs one request"
    );
}

#[tokio::test]
async fn revoked_access_ends_open_connections() {
    for mode in ["direct", "cached"] {
        let stage = connected(mode, recommended(), &[EACH_SECOND]).await;
        let (mut alice, mut service, mut bob) = (
            stage.bound("alice").await,
            stage.bound("ldapservice").await,
            stage.bound("bob").await,
        );
        assert!(sees_all(&mut service).await);
        shut_out(&stage, "alice");
        take_search_permission(&stage);
        assert_disconnected(&mut alice).await;
        assert_disconnected(&mut service).await;
        assert!(works(&mut bob).await, "{mode}");
        assert_eq!(code(&stage, "alice", "demo-alice").await, 50, "{mode}");
    }
}

#[tokio::test]
async fn a_session_that_authentik_let_expire_is_found() {
    for mode in ["direct", "cached"] {
        let stage = connected(mode, recommended(), &[EACH_SECOND]).await;
        let mut alice = stage.bound("alice").await;
        assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
        // Its cookie names no end, and the end is announced only some minutes later.
        stage.simulator.advance(Duration::from_secs(25 * 3600));
        assert_disconnected(&mut alice).await;
        tokio::time::sleep(UNUSED).await;
        stage.simulator.requests().clear();
        assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
        assert!(flow_requests(&stage.simulator) > 0, "{mode}: a new login");
    }
}

#[tokio::test]
async fn a_login_ends_with_its_session_whatever_is_asked_meanwhile() {
    let lasting = |seconds| {
        let login = UserLogin {
            session_duration: Duration::from_secs(seconds),
            ..UserLogin::default()
        };
        vec![
            FlowStage::identification_with_password(),
            FlowStage::UserLogin(login),
        ]
    };
    for mode in ["direct", "cached"] {
        for recheck in [OFF, EACH_SECOND] {
            let stage = connected(mode, lasting(3), &[recheck]).await;
            let bound = Instant::now();
            let mut alice = stage.bound("alice").await;
            assert_disconnected(&mut alice).await;
            let lived = bound.elapsed();
            assert!(lived > Duration::from_secs(1), "{mode} {recheck:?}: {lived:?}");
            stage.simulator.requests().clear();
            assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
            assert!(flow_requests(&stage.simulator) > 0, "{mode}: a new login");
        }
    }
}

#[tokio::test]
async fn being_asked_about_does_not_put_off_the_end_of_a_session() {
    let stage = connected("direct", recommended(), &[EACH_SECOND]).await;
    let mut alice = stage.bound("alice").await;
    let ends = stage.simulator.sessions()[0].expires;
    stage.simulator.requests().clear();
    eventually("it was asked about twice", || {
        stage.simulator.requests().count(Endpoint::CheckAccess) >= 2
    })
    .await;
    assert_eq!(stage.simulator.sessions()[0].expires, ends);
    assert_eq!(stage.simulator.requests().count(Endpoint::UsersMe), 0);
    assert!(works(&mut alice).await);
}

#[tokio::test]
async fn a_provider_moved_to_another_application_is_judged_by_it_at_once() {
    for mode in ["direct", "cached"] {
        // Heard as an event; nothing else would find it.
        let stage = connected(mode, recommended(), &[OFF]).await;
        let mut alice = stage.bound("alice").await;
        let provider = move_to_another_application(&stage);
        stage.simulator.save_provider(provider, |_| {});
        assert_disconnected(&mut alice).await;
        assert_eq!(code(&stage, "alice", "demo-alice").await, 50, "{mode}");
        // Not announced: the next look at the configuration finds it.
        let stage = connected(mode, recommended(), &[OFF]).await;
        let mut alice = stage.bound("alice").await;
        move_to_another_application(&stage);
        stage.server.outpost().refresh_requests().all();
        assert_disconnected(&mut alice).await;
        assert_eq!(code(&stage, "alice", "demo-alice").await, 50, "{mode}");
    }
}

#[tokio::test]
async fn a_provider_that_leaves_the_outpost_takes_its_logins_along() {
    for mode in ["direct", "cached"] {
        for heard in [true, false] {
            let stage = connected(mode, recommended(), &[OFF]).await;
            let mut alice = stage.bound("alice").await;
            let outpost = stage.simulator.outpost_pk();
            if heard {
                stage
                    .simulator
                    .save_outpost(outpost, |outpost| outpost.providers.clear());
            } else {
                stage.simulator.edit(|directory| {
                    directory
                        .outposts
                        .values_mut()
                        .for_each(|outpost| outpost.providers.clear());
                });
                stage.server.outpost().refresh_requests().all();
            }
            assert_disconnected(&mut alice).await;
            assert_ne!(code(&stage, "alice", "demo-alice").await, 0, "{mode} {heard}");
        }
    }
}

#[tokio::test]
async fn a_changed_provider_disturbs_nobody_who_may_use_it() {
    let stage = connected("cached", recommended(), &[OFF]).await;
    let mut alice = stage.bound("alice").await;
    let provider = stage
        .simulator
        .look(|directory| *directory.providers.keys().min().unwrap());
    stage.simulator.requests().clear();
    stage
        .simulator
        .save_provider(provider, |provider| provider.uid_start_number += 1);
    eventually("she was judged again", || {
        stage.simulator.requests().count(Endpoint::CheckAccess) > 0
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(works(&mut alice).await);
}

#[tokio::test]
async fn in_an_outage_what_was_judged_stands() {
    let stage = connected(
        "cached",
        recommended(),
        &[EACH_SECOND, ("USERS_UNREAD_LIMIT", "1s")],
    )
    .await;
    let mut alice = stage.bound("alice").await;
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
    stage.simulator.refuse_connections(true);
    eventually("the outage is noticed", || {
        stage.server.outpost().outage().under_way().is_some()
    })
    .await;
    tokio::time::sleep(2 * UNUSED).await;
    assert!(works(&mut alice).await);
    assert!(is_answered_at_once(&stage, "bob"));
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
    assert_eq!(code(&stage, "bob", "wrong").await, 52);
}

/// Lists of users fail, logins work.
fn break_user_lists(stage: &Stage) {
    for path in ["/core/users/?", "/core/groups/?"] {
        stage
            .simulator
            .faults()
            .add(Rule::new(path, Fault::Answer(500, "text/html", "oops")));
    }
}

const UNREAD: [(&str, &str); 3] = [
    OFF,
    ("USERS_UNREAD_LIMIT", "1s"),
    ("REFRESH_DELTA_INTERVAL", "1s"),
];

#[tokio::test]
async fn an_old_password_ends_although_the_users_cannot_be_read() {
    let stage = connected("cached", recommended(), &UNREAD).await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
    break_user_lists(&stage);
    stage.simulator.set_password(pk(&stage, "alice"), "changed");
    let changed = Instant::now();
    while code(&stage, "alice", "demo-alice").await == 0 {
        assert!(changed.elapsed() < NEVER, "the old one lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(code(&stage, "alice", "demo-alice").await, 49);
    assert_eq!(code(&stage, "alice", "changed").await, 0);
    assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
    // Of an unchanged one, too, only the flow can tell.
    stage.simulator.requests().clear();
    while flow_requests(&stage.simulator) == 0 {
        assert!(changed.elapsed() < NEVER, "it is never asked");
        assert_eq!(code(&stage, "bob", "demo-bob").await, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_changed_password_is_known_within_the_delta_interval() {
    let stage = connected("cached", recommended(), &[OFF, ("REFRESH_DELTA_INTERVAL", "1s")]).await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
    stage.simulator.advance(Duration::from_secs(2));
    stage.simulator.set_password(pk(&stage, "alice"), "changed");
    let changed = Instant::now();
    while code(&stage, "alice", "demo-alice").await == 0 {
        assert!(changed.elapsed() < NEVER);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(code(&stage, "alice", "changed").await, 0);
}

#[tokio::test]
async fn a_password_without_a_date_is_not_taken_for_unchanged() {
    let stage = connected("cached", recommended(), &UNREAD).await;
    let alice = pk(&stage, "alice");
    stage
        .simulator
        .save_user(alice, |user| user.password_change_date = -1);
    stage.refresh().await;
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
    // As in drafts of a later release: nothing in the row shows a new password.
    stage.simulator.edit(|directory| {
        directory.change_user(alice, |user| {
            user.password = akldap_simulator::Password::Text("changed".into());
        });
    });
    let changed = Instant::now();
    while code(&stage, "alice", "demo-alice").await == 0 {
        assert!(changed.elapsed() < NEVER, "the old one lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(code(&stage, "alice", "demo-alice").await, 49);
    assert_eq!(code(&stage, "alice", "changed").await, 0);
}

fn with_second_factor() -> Vec<FlowStage> {
    vec![
        FlowStage::identification_with_password(),
        FlowStage::mfa(NotConfigured::Skip),
        FlowStage::login(),
    ]
}

fn password_and_code(stage: &Stage) -> String {
    let code = totp_code(&demo_secrets().totp_key, stage.simulator.now());
    format!("demo-totp;{code}")
}

#[tokio::test]
async fn a_code_counts_again_only_for_the_address_that_gave_it() {
    let stage = connected("cached", with_second_factor(), &[OFF]).await;
    let secret = password_and_code(&stage);
    assert_eq!(from(&stage, "192.0.2.1", "totp", &secret).await, 0);
    stage.simulator.advance(Duration::from_secs(90));
    assert_eq!(
        from(&stage, "192.0.2.1", "totp", &secret).await,
        0,
        "polling goes on"
    );
    assert_eq!(from(&stage, "192.0.2.2", "totp", &secret).await, 49);
    assert_eq!(from(&stage, "192.0.2.1", "totp", &secret).await, 0);
    // Without a code, everybody who knows the password is equal.
    assert_eq!(from(&stage, "192.0.2.1", "alice", "demo-alice").await, 0);
    stage.simulator.requests().clear();
    assert_eq!(from(&stage, "192.0.2.2", "alice", "demo-alice").await, 0);
    assert_eq!(flow_requests(&stage.simulator), 0);

    let anywhere = ("BIND_CACHE_CODE_SAME_ADDRESS", "false");
    let stage = connected("cached", with_second_factor(), &[OFF, anywhere]).await;
    let secret = password_and_code(&stage);
    assert_eq!(from(&stage, "192.0.2.1", "totp", &secret).await, 0);
    assert_eq!(from(&stage, "192.0.2.2", "totp", &secret).await, 0);
}

#[tokio::test]
async fn a_code_given_from_two_addresses_at_once_lets_one_in() {
    let stage = connected("cached", with_second_factor(), &[OFF]).await;
    let secret = password_and_code(&stage);
    let (one, other) = tokio::join!(
        from(&stage, "192.0.2.1", "totp", &secret),
        from(&stage, "192.0.2.2", "totp", &secret),
    );
    let mut codes = [one, other];
    codes.sort_unstable();
    assert_eq!(codes, [0, 49]);
}

#[tokio::test]
async fn the_age_of_binds_with_a_code_has_an_option() {
    for (age, kept) in [("0", false), ("1s", true)] {
        let settings = [OFF, ("BIND_CACHE_CODE_MAX_AGE", age)];
        let stage = connected("cached", with_second_factor(), &settings).await;
        let secret = password_and_code(&stage);
        assert_eq!(code(&stage, "totp", &secret).await, 0);
        let again = if kept { 0 } else { 49 };
        assert_eq!(code(&stage, "totp", &secret).await, again, "{age}");
        assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
        tokio::time::sleep(UNUSED).await;
        assert_eq!(code(&stage, "totp", &secret).await, 49, "{age}");
        stage.simulator.requests().clear();
        assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
        assert_eq!(
            flow_requests(&stage.simulator),
            0,
            "passwords alone live as long as ever"
        );
    }
}

#[tokio::test]
async fn binds_with_a_code_just_end_when_the_users_cannot_be_read() {
    let stage = connected("cached", with_second_factor(), &UNREAD).await;
    let secret = password_and_code(&stage);
    assert_eq!(code(&stage, "totp", &secret).await, 0);
    assert_eq!(code(&stage, "totp", &secret).await, 0);
    assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
    break_user_lists(&stage);
    let flows = Rule::new("/flows/executor/", Fault::Answer(503, "text/html", "oops"));
    let flows = stage.simulator.faults().add(flows);
    let broken = Instant::now();
    let ended = loop {
        let ended = code(&stage, "totp", &secret).await;
        if ended != 0 {
            break ended;
        }
        assert!(broken.elapsed() < NEVER, "it lives on");
        // A password that cannot be proved again stays valid.
        assert_eq!(code(&stage, "alice", "demo-alice").await, 0);
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert_eq!(ended, 52);
    stage.simulator.faults().remove(flows);
    assert_eq!(code(&stage, "totp", &secret).await, 49);
}

#[tokio::test]
async fn a_refresh_during_a_login_costs_nobody_else_the_cached_bind() {
    let stage = connected("cached", with_second_factor(), &[OFF]).await;
    stage.simulator.faults().add(Rule::new(
        "/check_access/",
        Fault::Stall(Duration::from_millis(600)),
    ));
    let secret = password_and_code(&stage);
    let dn = user_dn("totp");
    let directories = || {
        stage
            .server
            .outpost()
            .directory()
            .snapshot()
            .unwrap()
            .fingerprint()
    };
    let before = directories();
    let (outcome, ()) = tokio::join!(stage.bind(&dn, &secret), async {
        eventually("the login is under way", || {
            !stage.simulator.sessions().is_empty()
        })
        .await;
        stage.simulator.advance(Duration::from_secs(2));
        stage.simulator.set_password(pk(&stage, "bob"), "changed");
        stage
            .simulator
            .save_user(pk(&stage, "totp"), |user| user.name = "Another Name".into());
        stage.refresh().await;
    });
    assert_eq!(outcome.code, 0);
    assert_ne!(directories(), before, "another directory was installed");
    stage.simulator.faults().clear();
    assert_eq!(
        stage.bind(&dn, &secret).await.code,
        0,
        "the code was not spent for nothing"
    );
}

#[tokio::test]
async fn a_change_of_the_person_during_the_login_is_not_kept() {
    let changes: [fn(&Stage, i32); 3] = [
        |stage, pk| {
            stage.simulator.set_password(pk, "changed");
        },
        |stage, pk| {
            stage.simulator.rename_user(pk, "alice2");
        },
        |stage, pk| {
            stage.simulator.save_user(pk, |user| user.email = "new@x".into());
        },
    ];
    for change in changes {
        let stage = connected("cached", recommended(), &[OFF]).await;
        let alice = pk(&stage, "alice");
        stage.simulator.faults().add(Rule::new(
            "/check_access/",
            Fault::Stall(Duration::from_millis(600)),
        ));
        let dn = user_dn("alice");
        let (outcome, ()) = tokio::join!(stage.bind(&dn, "demo-alice"), async {
            eventually("the login is under way", || {
                !stage.simulator.sessions().is_empty()
            })
            .await;
            stage.simulator.advance(Duration::from_secs(2));
            change(&stage, alice);
            stage.refresh().await;
        });
        assert_eq!(outcome.code, 0, "it was right when it was judged");
        stage.simulator.faults().clear();
        assert!(!is_answered_at_once(&stage, "alice"));
    }
}
