//! What the attributes of a user in authentik can and cannot say about the user, over the wire and in the log.

use akldap_simulator::{Attributes, Directory};
use serde_json::json;

use akldap_testing::captured_log::Log;
use akldap_testing::stage::{BASE, SUFFIX, Stage};

fn attributes(json: &serde_json::Value) -> Attributes {
    json.as_object().unwrap().clone()
}

fn given(stage: &Stage) {
    let admins = format!("cn=admins,ou=groups,{SUFFIX}");
    let bob = stage.simulator.user_pk("bob").unwrap();
    stage.simulator.set_user_attributes(
        bob,
        &attributes(&json!({
            "memberOf": [admins], "memberOf;x": admins, "ak-superuser": "TRUE",
            "objectClass": ["ldapPublicKey"], "uidNumber": "7777",
            "userPassword": "{SSHA}secret", "sambaNTPassword": "0123456789ABCDEF",
        })),
    );
}

#[tokio::test]
async fn attributes_forge_no_membership_and_the_log_says_so_once() {
    let (log, _guard) = Log::listen();
    let stage = Stage::with(Directory::sample(20, 5), |_| {}).await;
    given(&stage);
    for _ in 0..3 {
        stage.refresh().await;
    }
    let mut client = stage.bound("ldapservice").await;
    let found = client.subtree(BASE, "(&(objectClass=user)(cn=bob))", &[]).await;
    let bob = found.entry(&format!("cn=bob,ou=users,{SUFFIX}"));
    let admins = format!("cn=admins,ou=groups,{SUFFIX}");
    assert!(!bob.get("memberOf").unwrap_or_default().contains(&admins));
    assert_eq!(bob.get("ak-superuser"), Some(vec!["FALSE".to_owned()]));
    assert_eq!(bob.get("uidNumber"), Some(vec!["7777".to_owned()]));
    let classes = bob.get("objectClass").unwrap_or_default();
    assert!(classes.contains(&"user".to_owned()) && classes.contains(&"ldapPublicKey".to_owned()));
    for name in ["memberOf;x", "memberOf-x", "userPassword", "sambaNTPassword"] {
        assert_eq!(bob.get(name), None, "{name}");
    }
    for filter in [
        "(userPassword=*)",
        "(sambaNTPassword=0*)",
        "(ak-superuser=TRUE)(uidNumber=7777)",
    ] {
        let filter = format!("(&{filter}(uidNumber=*))");
        let found = client.subtree(BASE, &filter, &["1.1"]).await;
        assert_eq!(found.entries.len(), 0, "{filter}");
    }
    let text = log.text();
    let count = |part: &str| text.lines().filter(|line| line.contains(part)).count();
    for key in ["memberOf", "memberOf;x", "ak-superuser"] {
        assert_eq!(
            count(&format!("attribute {key:?} of user \"bob\"")),
            1,
            "{key}\n{text}"
        );
    }
    assert_eq!(
        count("AUTHENTIK_LDAP__SERVE_ATTRIBUTES=userPassword"),
        1,
        "{text}"
    );
    assert_eq!(
        count("AUTHENTIK_LDAP__SERVE_ATTRIBUTES=sambaNTPassword"),
        1,
        "{text}"
    );
    assert!(
        !text.contains("{SSHA}secret") && !text.contains("0123456789ABCDEF"),
        "{text}"
    );
}

#[tokio::test]
async fn a_password_attribute_that_is_named_is_served() {
    let stage = Stage::with(Directory::sample(20, 5), |settings| {
        settings.set("AUTHENTIK_LDAP__SERVE_ATTRIBUTES", "sambantpassword");
    })
    .await;
    given(&stage);
    stage.refresh().await;
    let mut client = stage.bound("ldapservice").await;
    let found = client
        .subtree(
            BASE,
            "(sambaNTPassword=0123456789ABCDEF)",
            &["sambaNTPassword", "userPassword"],
        )
        .await;
    let bob = found.entry(&format!("cn=bob,ou=users,{SUFFIX}"));
    assert_eq!(
        bob.get("sambaNTPassword"),
        Some(vec!["0123456789ABCDEF".to_owned()])
    );
    assert_eq!(bob.get("userPassword"), None);
}
