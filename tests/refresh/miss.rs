//! A user the directory does not know yet is fetched when it logs in.

use std::time::{Duration, Instant};

use akldap_simulator::{Directory, Endpoint, Fault, Rule};
use futures_util::future::join_all;

use crate::scenery::{is_current, stage, update, without_lists};
use akldap_testing::stage::{BASE, SUFFIX, user_dn};

/// `busy` (RFC 4511 appendix A.2).
const BUSY: i32 = 51;
/// How long authentik may take to show a user before it is asked again.
const FETCH_TIME: Duration = Duration::from_secs(10);

#[tokio::test]
async fn who_has_just_been_created_logs_in_and_finds_itself() {
    let stage = stage(Directory::sample(300, 12), 100, &[]).await;
    let pk = stage.simulator.create_user("carol", "Carol", "carol@example.com");
    stage.simulator.set_password(pk, "secret");
    stage.simulator.join(pk, "group0001");
    stage.simulator.requests().clear();
    without_lists(&stage);
    let mut client = stage.client().await;
    assert_eq!(client.bind(&user_dn("carol"), "secret").await.code, 0);
    let found = client
        .subtree(BASE, "(&(objectClass=user)(cn=carol))", &["memberOf", "mail"])
        .await;
    assert_eq!(
        (found.outcome.code, found.entries.len()),
        (0, 1),
        "{:?}",
        found.outcome
    );
    let carol = &found.entries[0];
    assert_eq!(
        carol.get("memberOf").unwrap(),
        [format!("cn=group0001,ou=groups,{SUFFIX}")]
    );
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 1);
    assert!(is_current(&stage));
    stage.simulator.faults().clear();
    update(&stage).await;
    assert!(is_current(&stage));
    let again = client.subtree(BASE, "(&(objectClass=user)(cn=carol))", &[]).await;
    assert_eq!((again.outcome.code, again.entries.len()), (0, 1));
}

#[tokio::test]
async fn whom_a_mail_has_activated_is_shown_active_after_the_login() {
    let stage = stage(Directory::sample(20, 2), 100, &[]).await;
    let pk = stage.simulator.user_pk("user000007").unwrap();
    stage.simulator.set_active(pk, false);
    stage.refresh().await;
    stage
        .simulator
        .edit(|directory| directory.change_user(pk, |user| user.is_active = true));
    let mut client = stage.client().await;
    assert_eq!(
        client.bind(&user_dn("user000007"), "demo-user000007").await.code,
        0
    );
    assert!(is_current(&stage));
    update(&stage).await;
    assert_eq!(
        client.subtree(BASE, "(ak-active=TRUE)", &[]).await.outcome.code,
        0,
        "still logged in"
    );
}

#[tokio::test]
async fn a_fetch_that_fails_does_not_fail_the_login() {
    let stage = stage(Directory::sample(20, 2), 100, &[]).await;
    let pk = stage.simulator.create_user("carol", "Carol", "");
    stage.simulator.set_password(pk, "secret");
    let rule = stage
        .simulator
        .faults()
        .add(Rule::new(&format!("/core/users/{pk}/"), Fault::BadGateway));
    let mut client = stage.client().await;
    assert_eq!(client.bind(&user_dn("carol"), "secret").await.code, 0);
    let found = client.subtree(BASE, "(cn=carol)", &[]).await;
    assert_eq!((found.outcome.code, found.entries.len()), (52, 0));
    stage.simulator.faults().remove(rule);
    // The search has it fetched in the background, a moment after the first try.
    for _ in 0..1000 {
        if client.subtree(BASE, "(cn=carol)", &[]).await.outcome.code == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(
        client
            .subtree(BASE, "(&(objectClass=user)(cn=carol))", &[])
            .await
            .entries
            .len(),
        1
    );
}

#[tokio::test]
async fn many_new_users_log_in_at_once_and_each_is_fetched_once_and_finds_itself() {
    let stage = stage(Directory::sample(20, 2), 100, &[]).await;
    let names: Vec<String> = (0..150).map(|number| format!("fresh{number}")).collect();
    for name in &names {
        let pk = stage.simulator.create_user(name, name, "");
        stage.simulator.set_password(pk, "secret");
        stage.simulator.join(pk, "group0001");
    }
    stage.simulator.requests().clear();
    without_lists(&stage);
    let stage = &stage;
    join_all(names.iter().map(|name| async move {
        let mut client = stage.client().await;
        // So many at once may have to wait longer than a bind does.
        let mut code = BUSY;
        while code == BUSY {
            code = client.bind(&user_dn(name), "secret").await.code;
        }
        assert_eq!(code, 0, "{name}");
        let filter = format!("(&(objectClass=user)(cn={name}))");
        // Whose fetch took longer than a bind waits finds itself a moment later.
        let mut found = client.subtree(BASE, &filter, &[]).await;
        for _ in 0..1000 {
            if found.outcome.code != 52 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            found = client.subtree(BASE, &filter, &[]).await;
        }
        assert_eq!((found.outcome.code, found.entries.len()), (0, 1), "{name}");
    }))
    .await;
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 150);
    assert!(is_current(stage));
    stage.simulator.faults().clear();
    update(stage).await;
    assert!(is_current(stage));
}

#[tokio::test]
async fn searches_of_somebody_whose_look_up_stalls_leave_nothing_behind() {
    let stage = stage(Directory::sample(20, 2), 100, &[]).await;
    let pk = stage.simulator.create_user("carol", "Carol", "");
    stage.simulator.set_password(pk, "secret");
    let path = format!("/core/users/{pk}/");
    let rule = stage.simulator.faults().add(Rule::new(&path, Fault::BadGateway));
    let mut client = stage.client().await;
    assert_eq!(client.bind(&user_dn("carol"), "secret").await.code, 0);
    stage.simulator.faults().remove(rule);
    let rule = stage.simulator.faults().add(Rule::new(&path, Fault::Hang));
    let asked = || stage.simulator.requests().to(&path).len();
    let before = asked();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let (mut searches, mut alive, began) = (0, tasks(), Instant::now());
    // Until the look-up hangs, and a good while longer.
    while searches < 3000 || asked() == before {
        let found = client.subtree(BASE, "(cn=carol)", &[]).await;
        assert_eq!(found.outcome.code, 52);
        searches += 1;
        if searches == 100 {
            alive = tasks();
        }
    }
    // As many searches as there may be, authentik is asked once, and once more when it has not answered for long.
    let most = 1 + began.elapsed().as_secs() / FETCH_TIME.as_secs();
    let asked = (asked() - before) as u64;
    assert!(asked <= most, "{asked} requests for {searches} searches");
    assert!(
        tasks() <= alive + 10,
        "{alive} tasks before, {} after {searches} searches",
        tasks()
    );
    stage.simulator.faults().remove(rule);
}
