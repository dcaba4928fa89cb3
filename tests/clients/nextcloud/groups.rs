//! Groups and who is in them, flat and nested, by the in-chain rule and by walking.

use serde_json::{Value, json};

use super::{GROUPS, PEOPLE, Scenery, installed};
use crate::recorder::message::SEARCH;
use crate::recorder::tamper::Tamper;
use akldap_testing::client_test::client_test;
use akldap_testing::stage::BASE;

async fn sorted(scenery: &mut Scenery, order: Value) -> Vec<String> {
    let mut names = scenery.nextcloud.names(order).await;
    names.sort();
    names
}

#[client_test]
async fn flat_groups() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |_| {}).await;
    scenery.nextcloud.names(json!({"do": "list"})).await;
    let groups = sorted(&mut scenery, json!({"do": "groups"})).await;
    assert_eq!(groups.len(), GROUPS, "no virtual group is among {groups:?}");
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "count groups"})).await,
        json!(GROUPS)
    );
    let found = sorted(&mut scenery, json!({"do": "groups", "term": "sales"})).await;
    assert_eq!(found, ["Sales, EMEA", "sales"]);
    for (name, expected) in [
        ("alice", vec!["backend", "everyone", "nextcloud"]),
        (
            "pat_obrien",
            vec!["Sales, EMEA", "everyone", "nextcloud", "sales"],
        ),
    ] {
        assert_eq!(
            sorted(&mut scenery, json!({"do": "groups of", "name": name})).await,
            expected
        );
    }
    for (name, expected) in [
        ("backend", vec!["alice", "inactive"]),
        ("company", vec![]),
        ("Sales, EMEA", vec!["pat_obrien", "sales_emea_+_partners"]),
    ] {
        assert_eq!(
            sorted(&mut scenery, json!({"do": "members", "name": name})).await,
            expected,
            "{name}"
        );
        let exists = scenery
            .nextcloud
            .result(json!({"do": "group exists", "name": name}))
            .await;
        assert_eq!(exists, json!(true));
    }
    scenery.keep("groups", PEOPLE).await;
    assert_eq!(
        scenery
            .nextcloud
            .names(json!({"do": "members", "name": "nextcloud"}))
            .await
            .len(),
        PEOPLE
    );
}

#[client_test]
async fn groups_by_searching_for_members() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| {
        settings["useMemberOfToDetectMembership"] = json!(false);
        settings["ldapNestedGroups"] = json!(true);
    })
    .await;
    scenery.nextcloud.names(json!({"do": "list"})).await;
    let groups = sorted(&mut scenery, json!({"do": "groups of", "name": "alice"})).await;
    assert_eq!(
        groups,
        ["backend", "company", "engineering", "everyone", "nextcloud"]
    );
    let groups = sorted(
        &mut scenery,
        json!({"do": "groups of", "name": "sales_emea_+_partners"}),
    )
    .await;
    assert_eq!(
        groups,
        ["Sales, EMEA", "company", "everyone", "nextcloud", "sales"]
    );
}

/// People in `company`, all of them through other groups.
pub(super) const COMPANY: [&str; 8] = [
    "alice",
    "bob",
    "inactive",
    "pat_obrien",
    "sales_emea_+_partners",
    "static",
    "totp",
    "zoe",
];

/// Nested groups as a person sees them, and how they were found.
pub(super) async fn nested(scenery: &mut Scenery) -> Result<(), String> {
    scenery.nextcloud.names(json!({"do": "list"})).await;
    scenery.nextcloud.names(json!({"do": "groups"})).await;
    let members = sorted(scenery, json!({"do": "members", "name": "company"})).await;
    if members != COMPANY {
        return Err(format!("company has {members:?}"));
    }
    let way = scenery.nextcloud.result(json!({"do": "in chain"})).await;
    if way != json!("available") {
        return Err(format!("the in-chain rule is {way}"));
    }
    let groups = sorted(scenery, json!({"do": "groups of", "name": "totp"})).await;
    let expected = [
        "backend",
        "company",
        "engineering",
        "everyone",
        "nextcloud",
        "oncall",
        "sales",
    ];
    if groups == expected {
        Ok(())
    } else {
        Err(format!("totp is in {groups:?}"))
    }
}

#[client_test]
async fn nested_groups_in_chain() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| settings["ldapNestedGroups"] = json!(true)).await;
    nested(&mut scenery).await.expect("as in authentik");
    scenery.keep("nested", PEOPLE).await;
    let (_, log) = scenery.cost(json!({"do": "members", "name": "company"})).await;
    assert_eq!(log.count(SEARCH), 3, "the group's number, its people, the rule");
}

#[client_test]
async fn nested_groups_by_walking() {
    let Some(_exercise) = installed() else {
        return;
    };
    let mut scenery = Scenery::new(PEOPLE, |settings| {
        settings["ldapNestedGroups"] = json!(true);
        settings["ldapUserFilter"] = json!(direct_members());
    })
    .await;
    scenery.recorder.spoil(Tamper::NoInChain);
    scenery.nextcloud.names(json!({"do": "list"})).await;
    scenery.nextcloud.names(json!({"do": "groups"})).await;
    let members = sorted(&mut scenery, json!({"do": "members", "name": "company"})).await;
    assert_eq!(members, COMPANY, "without the rule the same people are found");
    assert_eq!(
        scenery.nextcloud.result(json!({"do": "in chain"})).await,
        json!("unavailable")
    );
    let (_, log) = scenery.cost(json!({"do": "members", "name": "company"})).await;
    assert!(log.count(SEARCH) > 10, "and by many more requests");
}

/// The page's filter without the rule that these tests take away.
pub fn direct_members() -> String {
    format!("(&(objectClass=user)(memberOf=cn=nextcloud,ou=groups,{BASE}))")
}
