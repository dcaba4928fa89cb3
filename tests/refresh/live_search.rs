//! The live mode of direct search: what is confirmed, what that costs, and what is answered when it cannot be.

use std::time::Duration;

use akldap_simulator::{Endpoint, Fault, Rule, Simulator};
use futures_util::future::join_all;
use ldap3_proto::control::LdapControl;
use ldap3_proto::proto::LdapSearchScope;

use crate::direct_search::{LIVE, direct};
use akldap_testing::client::{Client, search};
use akldap_testing::stage::{BASE, Stage};

const PEOPLE: &str = "(objectClass=inetOrgPerson)";

/// Changes a user without authentik's own saving, as a bulk update does: `last_updated` stays.
fn write_around(simulator: &Simulator, name: &str, email: &str) {
    let pk = simulator.user_pk(name).unwrap();
    let email = email.to_owned();
    assert!(simulator.edit(|directory| directory.change_user(pk, |user| user.email = email.into())));
}

async fn mail_of(client: &mut Client, name: &str) -> (i32, Vec<String>) {
    let found = client
        .subtree(BASE, &format!("(&{PEOPLE}(cn={name}))"), &["mail"])
        .await;
    let mails = found.entries.iter().map(|entry| entry.one("mail"));
    (found.outcome.code, mails.collect())
}

#[tokio::test]
async fn a_few_users_found_are_confirmed_one_by_one() {
    let stage = direct(60, &[LIVE]).await;
    let mut client = stage.bound("ldapservice").await;
    write_around(&stage.simulator, "alice", "around@example.com");
    assert_eq!(
        mail_of(&mut client, "alice").await,
        (0, vec!["around@example.com".to_owned()])
    );
    stage.simulator.requests().clear();
    assert_eq!(mail_of(&mut client, "alice").await.1.len(), 1);
    assert_eq!(stage.simulator.requests().count(Endpoint::User), 1);
    // Twenty are, twenty-one are not.
    for (most, requests) in [(20_i32, 20), (21, 0)] {
        stage.simulator.requests().clear();
        let mut request = search(BASE, LdapSearchScope::Subtree, PEOPLE, &["cn"]);
        request.sizelimit = most;
        let found = client.search_with(request, Vec::new()).await;
        assert_eq!(found.entries.len(), most as usize);
        assert_eq!(
            stage.simulator.requests().count(Endpoint::User),
            requests,
            "{most}"
        );
    }
}

#[tokio::test]
async fn groups_are_read_only_where_they_matter() {
    let stage = direct(60, &[LIVE]).await;
    let mut client = stage.bound("ldapservice").await;
    let groups = |stage: &Stage| stage.simulator.requests().count(Endpoint::GroupList);
    for (base, filter, attributes, reads) in [
        (
            BASE,
            "(&(objectClass=user)(cn=alice))",
            &["cn", "mail"][..],
            false,
        ),
        (
            "ou=users,dc=ldap,dc=goauthentik,dc=io",
            "(cn=alice)",
            &["uidNumber"],
            false,
        ),
        (BASE, "(cn=alice)", &["cn"], true),
        (BASE, "(&(objectClass=user)(cn=alice))", &[], true),
        (BASE, "(&(objectClass=user)(cn=alice))", &["memberOf"], true),
        (BASE, "(&(objectClass=user)(memberOf=*))", &["cn"], true),
        (BASE, "(objectClass=group)", &["cn"], true),
    ] {
        stage.simulator.requests().clear();
        let found = client.subtree(base, filter, attributes).await;
        assert!(found.outcome.code == 0 && !found.entries.is_empty(), "{filter}");
        assert_eq!(groups(&stage) > 0, reads, "{base} {filter} {attributes:?}");
    }
    // Where they do not matter a failure to read them does not either.
    stage
        .simulator
        .faults()
        .add(Rule::new("/api/v3/core/groups/", Fault::BadGateway));
    assert_eq!(mail_of(&mut client, "alice").await.0, 0);
}

#[tokio::test]
async fn who_is_not_confirmed_is_not_shown() {
    let stage = direct(60, &[LIVE]).await;
    let mut client = stage.bound("ldapservice").await;
    let pk = stage.simulator.user_pk("alice").unwrap();
    for fault in [Fault::BadGateway, Fault::Truncated, Fault::Forbidden] {
        let path = format!("/api/v3/core/users/{pk}/");
        stage.simulator.faults().add(Rule::new(&path, fault.clone()));
        assert_eq!(mail_of(&mut client, "alice").await, (52, Vec::new()), "{fault:?}");
        // Somebody else is not affected.
        assert_eq!(mail_of(&mut client, "bob").await.0, 0);
        stage.simulator.faults().clear();
        assert_eq!(mail_of(&mut client, "alice").await.1.len(), 1);
    }
}

#[tokio::test]
async fn authentik_failing_in_the_middle_of_a_listing_ends_it_with_52() {
    let stage = direct(60, &[LIVE]).await;
    let mut client = stage.bound("ldapservice").await;
    let request = || search(BASE, LdapSearchScope::Subtree, PEOPLE, &["cn"]);
    let page = |cookie: Vec<u8>| vec![LdapControl::SimplePagedResults { size: 25, cookie }];
    let cookie_of = |controls: &[LdapControl]| {
        let mut cookies = controls.iter().filter_map(|control| match control {
            LdapControl::SimplePagedResults { cookie, .. } => Some(cookie.clone()),
            _ => None,
        });
        cookies.next().unwrap()
    };
    let first = client.search_with(request(), page(Vec::new())).await;
    assert_eq!((first.outcome.code, first.entries.len()), (0, 25));
    let cookie = cookie_of(&first.outcome.controls);
    assert!(!cookie.is_empty());
    stage
        .simulator
        .faults()
        .add(Rule::new("/api/v3/core/users/", Fault::BadGateway));
    let second = client.search_with(request(), page(cookie.clone())).await;
    assert_eq!((second.outcome.code, second.entries.len()), (52, 0));
    stage.simulator.faults().clear();
    // The listing continues where it was once authentik answers.
    let mut found = Vec::new();
    for _ in 0..100 {
        let second = client.search_with(request(), page(cookie.clone())).await;
        if second.outcome.code == 0 {
            found = second.entries;
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found.len(), 25);
    assert!(
        found
            .iter()
            .all(|entry| !first.dns().contains(&entry.dn.as_str()))
    );
}

#[tokio::test]
async fn identical_searches_at_once_share_what_is_asked_for_them() {
    let stage = direct(60, &[LIVE]).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        clients.push(stage.bound("ldapservice").await);
    }
    stage.simulator.requests().clear();
    stage.simulator.faults().set_latency(Duration::from_millis(300));
    let came = join_all(clients.iter_mut().map(|client| mail_of(client, "alice"))).await;
    assert!(came.iter().all(|(code, mails)| (*code, mails.len()) == (0, 1)));
    let requests = stage.simulator.requests();
    let (looks, rows) = (requests.count(Endpoint::UserList), requests.count(Endpoint::User));
    // A look that is under way is followed by one for all who came meanwhile; a machine that is slow sees a few more.
    assert!((2..=20).contains(&looks), "{looks} requests for lists");
    assert!((1..=10).contains(&rows), "{rows} requests for one user");
    assert_eq!(requests.count(Endpoint::GroupList), 0);
}
