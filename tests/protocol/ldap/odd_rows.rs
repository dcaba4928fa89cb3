//! Users and groups whose JSON is odd: handled or left out with a warning, but never the whole
//! page.

use akldap_simulator::{Attributes, Directory, Fault, Rule};

use akldap_testing::stage::{BASE, SUFFIX, Stage};

fn attributes(json: &str) -> Attributes {
    serde_json::from_str::<serde_json::Value>(json)
        .unwrap()
        .as_object()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn odd_attributes_are_served_as_far_as_they_can_be() {
    let stage = Stage::with(Directory::sample(20, 5), |_| {}).await;
    let bob = stage.simulator.user_pk("bob").unwrap();
    let odd = attributes(
        r#"{"null": null, "empty": [], "list": ["a", null, 2, true, ["b"], {"c": 1}], "huge": 18446744073709551615,
            "negative": -9223372036854775808, "float": 5.0, "small": 1e-7, "nested": {"b": [1, {"x": null}], "a": "z"},
            "with space/and.dot": "x", "": "nameless", "template": "/srv/%s/100%", "MAIL": "other@example.com"}"#,
    );
    stage.simulator.set_user_attributes(bob, &odd);
    stage.refresh().await;
    let mut client = stage.bound("ldapservice").await;
    let found = client.subtree(BASE, "(&(objectClass=user)(cn=bob))", &[]).await;
    let bob = found.entry(&format!("cn=bob,ou=users,{SUFFIX}"));
    for (name, values) in [
        ("list", vec!["a", "2", "true", "[\"b\"]", "{\"c\":1}"]),
        ("huge", vec!["18446744073709551615"]),
        ("negative", vec!["-9223372036854775808"]),
        ("float", vec!["5"]),
        ("small", vec!["0.0000001"]),
        ("nested", vec!["{\"a\":\"z\",\"b\":[1,{\"x\":null}]}"]),
        ("with space-anddot", vec!["x"]),
        ("template", vec!["/srv/bob/100%"]),
        ("MAIL", vec!["other@example.com"]),
    ] {
        let mut got = bob.get(name).unwrap_or_default();
        if name == "nested" {
            // The order of keys is authentik's.
            got = got.iter().map(|value| sorted(value)).collect();
        }
        assert_eq!(got, values, "{name}");
    }
    for name in ["null", "empty", "mail", ""] {
        assert!(bob.get(name).is_none(), "{name}");
    }
    let users = stage.simulator.look(|directory| directory.users().len());
    assert_eq!(
        client
            .subtree(BASE, "(objectClass=user)", &["1.1"])
            .await
            .entries
            .len(),
        users
    );
}

fn sorted(json: &str) -> String {
    fn order(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let mut pairs: Vec<_> = map.into_iter().map(|(key, value)| (key, order(value))).collect();
                pairs.sort_by(|a, b| a.0.cmp(&b.0));
                pairs.into_iter().collect()
            }
            other => other,
        }
    }
    order(serde_json::from_str(json).unwrap()).to_string()
}

const PAGE: &str = r#"{"pagination": {"next": 0, "previous": 0, "count": 4, "current": 1, "total_pages": 1, "start_index": 1, "end_index": 4},
"results": [
 {"pk": 101, "username": "whole", "name": "Whole", "email": "w@example.com", "is_active": true, "uid": "u101", "uuid": "00000000-0000-4000-8000-000000000101", "attributes": {}, "type": "a new type", "surprise": {"x": 1}},
 {"pk": 102, "username": "bare"},
 {"pk": 103, "username": "nulls", "name": null, "email": null, "is_active": null, "uid": null, "uuid": null, "attributes": null, "groups": null, "last_updated": null},
 {"pk": "not a number", "username": {"no": "name"}, "name": "Broken"}
]}"#;

#[tokio::test]
async fn a_row_that_cannot_be_read_costs_only_itself() {
    let stage = Stage::with(Directory::sample(20, 5), |_| {}).await;
    stage.simulator.faults().add(Rule::new(
        "/core/users/?",
        Fault::Answer(200, "application/json", PAGE),
    ));
    stage.refresh().await;
    // Its account is not on the page, but authentik still lets it in, and so it is fetched.
    let mut client = stage.bound("ldapservice").await;
    let found = client
        .subtree(
            &format!("ou=users,{BASE}"),
            "(objectClass=user)",
            &["cn", "mail", "ak-active"],
        )
        .await;
    let mut names: Vec<String> = found.entries.iter().map(|entry| entry.one("cn")).collect();
    names.sort();
    assert_eq!(
        names,
        ["bare", "ldapservice", "nulls", "whole"],
        "{:?}",
        found.outcome
    );
}
