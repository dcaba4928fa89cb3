//! A user the directory does not know yet is fetched when it logs in.

use std::time::Duration;

use akldap::simulator::{Directory, Endpoint, Fault, Rule};

use crate::scenery::{is_current, pages, stage, update};
use crate::stage::{BASE, SUFFIX, eventually, user_dn};

#[tokio::test]
async fn who_has_just_been_created_logs_in_and_finds_itself() {
    let stage = stage(Directory::sample(300, 12), 100, &[]).await;
    let pk = stage.simulator.create_user("carol", "Carol", "carol@example.com");
    stage.simulator.set_password(pk, "secret");
    stage.simulator.join(pk, "group0001");
    stage.simulator.requests().clear();
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
    assert_eq!(pages(&stage), (0, 0), "nothing but the user was read");
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 1);
    assert!(is_current(&stage));
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
    // The search has it fetched in the background.
    for _ in 0..100 {
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
async fn many_new_users_are_fetched_within_bounds_and_come_with_the_next_refresh() {
    let stage = stage(Directory::sample(20, 2), 100, &[]).await;
    let names: Vec<String> = (0..20).map(|number| format!("fresh{number}")).collect();
    for name in &names {
        let pk = stage.simulator.create_user(name, name, "");
        stage.simulator.set_password(pk, "secret");
    }
    for name in &names {
        assert_eq!(stage.bind(&user_dn(name), "secret").await.code, 0);
    }
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 12);
    update(&stage).await;
    eventually("all are there", || is_current(&stage)).await;
}
