//! Whose password a change is about: nobody whom the provider does not show, and nobody who has only had that name until a moment ago.

use akldap_testing::passwords::{binds, bound, modify, modify_password, stage};
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::{Stage, entry_dn};
use ldap3_proto::proto::LdapModifyType;

const NEW: &str = "a new passphrase";
const OLD: &str = "the earlier one";

fn set_passwords(stage: &Stage) -> usize {
    let all = stage.simulator.requests().all();
    all.iter()
        .filter(|request| request.path.contains("set_password"))
        .count()
}

#[tokio::test]
async fn whom_the_provider_does_not_show_is_not_there_for_an_agent() {
    for mode in ["direct", "cached"] {
        let hidden = ("HIDDEN_USERS", "(cn=bob), (cn=ldapservice)");
        let sample = directory(mode, recommended());
        let stage = stage(sample, "self-and-agents", &[hidden]).await;
        let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
        let bob = entry_dn("bob");
        for name in [bob.as_str(), "u:bob", "bob", "u:BOB"] {
            let refused = modify_password(&mut agent, Some(name), None, Some(NEW)).await;
            assert_eq!(refused.code, 32, "{name}: {refused:?}");
        }
        let replace: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW]);
        let refused = modify(&mut agent, &bob, &[replace]).await;
        assert_eq!(refused.code, 32, "{refused:?}");
        // The same words as about somebody who is not there.
        let nobody = modify_password(&mut agent, Some("u:nobody"), None, Some(NEW)).await;
        assert_eq!(refused.message, nobody.message);
        assert_eq!(set_passwords(&stage), 0);
        // Whoever is hidden changes their own, by any of its names; others are there.
        let mut own = bound(&stage, "bob", "demo-bob").await;
        let changed = modify_password(&mut own, Some("u:BOB"), None, Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        assert_eq!(binds(&stage, "bob", NEW).await, 0);
        let changed = modify_password(&mut agent, Some("u:LDAPSERVICE"), None, Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        assert_eq!(set_passwords(&stage), 0, "by the flow");
        let changed = modify_password(&mut agent, Some(&entry_dn("alice")), None, Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
    }
}

#[tokio::test]
async fn whoever_has_another_name_by_now_is_not_who_was_meant() {
    // No look shows the new names.
    let rarely = ("REFRESH_DELTA_INTERVAL", "1h");
    let stage = stage(directory("direct", recommended()), "self-and-agents", &[rarely]).await;
    let [bob, alice] = ["bob", "alice"].map(|name| stage.simulator.user_pk(name).unwrap());
    stage.simulator.set_password(bob, OLD);
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let mut own = bound(&stage, "bob", OLD).await;
    stage.simulator.rename_user(bob, "robert");
    stage.simulator.rename_user(alice, "bob");
    let refused = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert!(
        refused.code == 52 && refused.message.contains("another name"),
        "{refused:?}"
    );
    assert_eq!(set_passwords(&stage), 0);
    // One's own could not be shown to be right under the old name.
    let refused = modify_password(&mut own, None, None, Some(NEW)).await;
    assert_eq!(refused.code, 52, "{refused:?}");
    assert_eq!(binds(&stage, "robert", OLD).await, 0);
    assert_eq!(binds(&stage, "robert", NEW).await, 49);
    stage.refresh().await;
    let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "bob", NEW).await, 0);
    assert_eq!(binds(&stage, "robert", OLD).await, 0);
    let changed = modify_password(&mut own, None, None, Some("robert's new one")).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "robert", "robert's new one").await, 0);
}
