//! Password changes, of one's own and by agents: what is answered, what is true afterwards, and what is left of sessions.

use std::time::Duration;

use akldap_simulator::{
    Device, DeviceKind, Directory, DuoOutcome, Flow, NewPassword, NotConfigured, PASSWORD_CHANGE,
    Stage as FlowStage, demo_secrets, totp_code,
};
use ldap3_proto::proto::{LdapModifyType, LdapOp};

use akldap_testing::captured_log::Log;
use akldap_testing::passwords::{
    answer, binds, bound, client, extended, modify, modify_password, stage, without_permissions,
};
use akldap_testing::scenery::{LOGOUT, change, directory, recommended, separate};
use akldap_testing::stage::{Stage, entry_dn, eventually, user_dn};

const NEW: &str = "a new passphrase";

fn sample(mode: &str) -> Directory {
    directory(mode, recommended())
}

/// Asserts that a password is in effect and another is not.
async fn in_force(stage: &Stage, username: &str, right: &str, wrong: &str) {
    assert_eq!(binds(stage, username, right).await, 0, "{username}: {right}");
    assert_eq!(binds(stage, username, wrong).await, 49, "{username}: {wrong}");
}

#[tokio::test]
async fn people_change_their_own_password_by_both_operations() {
    for mode in ["direct", "cached"] {
        for flow in [recommended(), separate()] {
            let stage = stage(directory(mode, flow), "self", &[]).await;
            let mut password = "demo-alice".to_owned();
            let mut client = bound(&stage, "alice", &password).await;
            let dn = entry_dn("alice");
            for (number, form) in [
                "exop",
                "exop-old",
                "exop-dn",
                "exop-name",
                "replace",
                "delete-add",
            ]
            .into_iter()
            .enumerate()
            {
                let new = format!("{NEW} {number}");
                let old = Some(password.as_str());
                let changed = match form {
                    "exop" => modify_password(&mut client, None, None, Some(&new)).await,
                    "exop-old" => modify_password(&mut client, None, old, Some(&new)).await,
                    "exop-dn" => modify_password(&mut client, Some(&dn), old, Some(&new)).await,
                    "exop-name" => modify_password(&mut client, Some("u:alice"), None, Some(&new)).await,
                    "replace" => {
                        let change: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[&new]);
                        modify(&mut client, &dn, &[change]).await
                    }
                    _ => {
                        let delete: (_, _, &[&str]) = (LdapModifyType::Delete, "userPassword", &[&password]);
                        let add: (_, _, &[&str]) = (LdapModifyType::Add, "2.5.4.35", &[&new]);
                        modify(&mut client, &dn, &[delete, add]).await
                    }
                };
                assert_eq!((changed.code, changed.message.as_str()), (0, ""), "{mode} {form}");
                assert_eq!(changed.value, None);
                in_force(&stage, "alice", &new, &password).await;
                // The connection stays bound, and sees what it saw before.
                assert_eq!(client.who_am_i().await, format!("dn:{dn}"), "{mode} {form}");
                assert_eq!(client.read(&dn, &["cn"]).await.entries.len(), 1);
                password = new;
            }
            // Nobody else is touched.
            assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
        }
    }
}

#[tokio::test]
async fn a_bind_that_authentik_lets_go_on_under_another_key_ends_with_that_key() {
    let stage = stage(sample("direct"), "self", &[]).await;
    let mut client = bound(&stage, "alice", "demo-alice").await;
    let before = stage.simulator.sessions();
    assert_eq!(before.len(), 1);
    assert_eq!(modify_password(&mut client, None, None, Some(NEW)).await.code, 0);
    // The session that proved the new password is ended, and the bind's session has another key; the end of the old one was
    // announced.
    eventually("one session is left", || stage.simulator.sessions().len() == 1).await;
    let after = stage.simulator.sessions();
    assert_ne!(before[0].sid, after[0].sid);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")));
    // Another change, in the session as it is now.
    assert_eq!(
        modify_password(&mut client, None, None, Some("and another one"))
            .await
            .code,
        0
    );
    eventually("one session is left", || stage.simulator.sessions().len() == 1).await;
    let last = stage.simulator.sessions();
    stage.simulator.delete_session(&last[0].sid);
    akldap_testing::scenery::assert_disconnected(&mut client).await;
}

#[tokio::test]
async fn sessions_that_prove_are_ended_whatever_the_unbind_flow_is() {
    for unbind in [None, Some("default-provider-invalidation-flow"), Some(LOGOUT)] {
        let mut directory = sample("direct");
        change(&mut directory, |provider| {
            provider.unbind_flow = unbind.map(str::to_owned)
        });
        let stage = stage(directory, "self", &[]).await;
        let mut client = bound(&stage, "alice", "demo-alice").await;
        let changed = modify_password(&mut client, None, Some("demo-alice"), Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        // Two logins proved the old and the new one.
        eventually("their sessions are ended", || {
            stage.simulator.sessions().len() == 1
        })
        .await;
        assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")));
    }
}

#[tokio::test]
async fn policies_refuse_in_authentiks_words_and_nothing_is_changed() {
    let mut directory = sample("direct");
    let flow = Flow::password_change(NewPassword {
        unique: true,
        ..NewPassword::default()
    });
    directory.flows.insert(flow.slug.clone(), flow);
    let stage = stage(directory, "self", &[]).await;
    let mut client = bound(&stage, "alice", "demo-alice").await;
    for (new, code, words) in [
        ("short", 19, "Password needs to be 8 characters or longer."),
        ("demo-alice", 19, "used previously"),
        ("", 21, "empty"),
        (" with blanks ", 19, "white space"),
        ("null\0character", 19, "Null characters are not allowed."),
    ] {
        let changed = modify_password(&mut client, None, None, Some(new)).await;
        assert_eq!(changed.code, code, "{new:?}: {changed:?}");
        assert!(changed.message.contains(words), "{changed:?}");
        let change: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[new]);
        let changed = modify(&mut client, &entry_dn("alice"), &[change]).await;
        assert_eq!(changed.code, code, "{new:?}: {changed:?}");
    }
    let long = "x".repeat(1025);
    assert_eq!(
        modify_password(&mut client, None, None, Some(&long)).await.code,
        19
    );
    in_force(&stage, "alice", "demo-alice", "short").await;
    assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("alice")));
}

#[tokio::test]
async fn an_old_password_that_is_given_has_to_be_right_and_guesses_are_limited() {
    let stage = stage(sample("direct"), "self", &[("FAILED_BIND_LIMIT", "3")]).await;
    let mut client = bound(&stage, "alice", "demo-alice").await;
    assert_eq!(
        modify_password(&mut client, None, Some(""), Some(NEW)).await.code,
        49
    );
    for number in 0..3 {
        let guess = format!("guess {number}");
        let changed = modify_password(&mut client, None, Some(&guess), Some(NEW)).await;
        assert_eq!(changed.code, 49, "{changed:?}");
    }
    let changed = modify_password(&mut client, None, Some("guess 4"), Some(NEW)).await;
    assert_eq!(changed.code, 51, "{changed:?}");
    // Binds count in the same place.
    assert_eq!(binds(&stage, "alice", "guess 5").await, 51);
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
    assert_eq!(
        stage.simulator.look(|directory| directory.former_passwords.len()),
        0
    );
}

#[tokio::test]
async fn a_second_factor_does_not_stand_in_the_way() {
    let secrets = demo_secrets();
    let stages = vec![
        FlowStage::identification_with_password(),
        FlowStage::mfa(NotConfigured::Skip),
        FlowStage::login(),
    ];
    let stage = stage(directory("direct", stages), "self", &[]).await;
    let code = totp_code(&secrets.totp_key, stage.simulator.now());
    let mut client = bound(&stage, "totp", &format!("demo-totp;{code}")).await;
    // A flow that takes the password and asks for a code has proved it.
    let changed = modify_password(&mut client, None, Some("demo-totp"), Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    // So it has if the code was already used.
    let old = format!("{NEW};{code}");
    let changed = modify_password(&mut client, None, Some(&old), Some("and another one")).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    let changed = modify_password(&mut client, None, Some("wrong"), Some(NEW)).await;
    assert_eq!(changed.code, 49, "{changed:?}");
    // Nobody's telephone rings for a proof.
    let alice = stage.simulator.user_pk("alice").unwrap();
    let mut client = bound(&stage, "alice", "demo-alice").await;
    let slow = DuoOutcome::Accept(Duration::from_secs(3600));
    stage.simulator.edit(|directory| {
        let device = Device::new(7, DeviceKind::Duo(slow));
        directory.devices.insert(alice, vec![device]);
    });
    let changed = modify_password(&mut client, None, Some("demo-alice"), Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
}

#[tokio::test]
async fn agents_change_the_passwords_that_authentik_permits_them() {
    let stage = stage(sample("cached"), "self-and-agents", &[]).await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let bob = entry_dn("bob");
    assert_eq!(
        binds(&stage, "bob", "demo-bob").await,
        0,
        "it is in the cache now"
    );
    let changed = modify_password(&mut agent, Some(&bob), None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    in_force(&stage, "bob", NEW, "demo-bob").await;
    // The old one is proved if it is given.
    let changed = modify_password(&mut agent, Some("u:bob"), Some("wrong"), Some("another one")).await;
    assert_eq!(changed.code, 49, "{changed:?}");
    let changed = modify_password(&mut agent, Some("bob"), Some(NEW), Some("another one")).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    let change: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW]);
    assert_eq!(modify(&mut agent, &bob, &[change]).await.code, 0);
    in_force(&stage, "bob", NEW, "another one").await;
    // One is generated only here.
    let generated = modify_password(&mut agent, Some(&bob), None, None).await;
    let password = generated.generated().expect("a password");
    assert!(password.len() >= 20);
    in_force(&stage, "bob", &password, NEW).await;
    // authentik asks no policy, so a length is asked here.
    let changed = modify_password(&mut agent, Some(&bob), None, Some("seven77")).await;
    assert_eq!(changed.code, 19, "{changed:?}");
    assert!(changed.message.contains("8 characters"), "{changed:?}");
    let nobody = modify_password(&mut agent, Some(&entry_dn("nobody")), None, Some(NEW)).await;
    assert_eq!(nobody.code, 32, "{nobody:?}");
    let group = modify_password(
        &mut agent,
        Some("cn=everyone,ou=groups,dc=ldap,dc=goauthentik,dc=io"),
        None,
        Some(NEW),
    );
    assert_eq!(group.await.code, 32);
    // The agent's own is changed like everybody's own: policies judge it.
    let changed = modify_password(&mut agent, None, None, Some("short")).await;
    assert!(
        changed.message.contains("needs to be 8 characters"),
        "{changed:?}"
    );
    let changed = modify_password(&mut agent, None, None, None).await;
    assert_eq!(changed.code, 53, "{changed:?}");
    let changed = modify_password(&mut agent, Some(&entry_dn("ldapservice")), None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(
        modify_password(&mut agent, Some(&bob), None, Some("yet another one"))
            .await
            .code,
        0
    );
    // Without the permissions nothing is changed, and the answer names them.
    without_permissions(&stage.simulator);
    let changed = modify_password(&mut agent, Some(&bob), None, Some(NEW)).await;
    assert_eq!(changed.code, 50, "{changed:?}");
    assert!(
        changed.message.contains("reset_user_password and view_user"),
        "{changed:?}"
    );
    in_force(&stage, "bob", "yet another one", NEW).await;
}

#[tokio::test]
async fn whoever_sees_only_themselves_learns_nothing_of_others_and_changes_none() {
    for mode in ["self", "self-and-agents"] {
        let stage = stage(sample("direct"), mode, &[]).await;
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let mut answers = Vec::new();
        for name in [
            entry_dn("bob"),
            entry_dn("nobody"),
            "u:bob".to_owned(),
            "nobody".to_owned(),
            "cn=x".to_owned(),
        ] {
            stage.simulator.requests().clear();
            answers.push(modify_password(&mut alice, Some(&name), None, Some(NEW)).await);
            assert_eq!(
                stage.simulator.requests().all().len(),
                0,
                "authentik is not asked"
            );
        }
        assert!(
            answers
                .iter()
                .all(|answer| *answer == answers[0] && answer.code == 50),
            "{answers:?}"
        );
        assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
        if mode == "self" {
            let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
            let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
            assert_eq!(changed.code, 50, "{changed:?}");
        }
    }
}

#[tokio::test]
async fn nothing_is_changed_in_clear_before_a_bind_or_where_it_is_off() {
    let with_tls = stage(sample("direct"), "self-and-agents", &[]).await;
    let replace: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW]);
    let mut plain = with_tls.bound("alice").await;
    for changed in [
        modify_password(&mut plain, None, None, Some(NEW)).await,
        modify_password(&mut plain, Some(&entry_dn("bob")), None, None).await,
        modify(&mut plain, &entry_dn("alice"), std::slice::from_ref(&replace)).await,
    ] {
        assert_eq!(changed.code, 13, "{changed:?}");
        assert!(changed.message.contains("TLS"), "{changed:?}");
    }
    let mut anonymous = client(&with_tls).await;
    for changed in [
        modify_password(
            &mut anonymous,
            Some(&entry_dn("alice")),
            Some("demo-alice"),
            Some(NEW),
        )
        .await,
        modify(&mut anonymous, &entry_dn("alice"), std::slice::from_ref(&replace)).await,
    ] {
        assert_eq!(changed.code, 50, "{changed:?}");
    }
    // Off, it is answered as usual, with and without TLS, before and after a bind.
    let off = stage(sample("direct"), "off", &[]).await;
    let mut clients = vec![
        off.client().await,
        off.bound("alice").await,
        client(&off).await,
        bound(&off, "alice", "demo-alice").await,
    ];
    for client in &mut clients {
        for changed in [
            modify_password(client, None, Some("demo-alice"), Some(NEW)).await,
            modify(client, &entry_dn("alice"), std::slice::from_ref(&replace)).await,
        ] {
            assert_eq!(changed.code, 19);
            let text = "passwords are changed in authentik: in the user settings or by its recovery flow";
            assert_eq!(changed.message, text);
        }
    }
    assert_eq!(binds(&off, "alice", "demo-alice").await, 0);
}

#[tokio::test]
async fn everything_else_stays_read_only() {
    let stage = stage(sample("direct"), "self-and-agents", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let dn = entry_dn("alice");
    let replace = |attribute: &'static str, values: &'static [&'static str]| {
        (LdapModifyType::Replace, attribute, values)
    };
    for (changes, code, words) in [
        (
            vec![replace("mail", &["a@x"])],
            50,
            "this directory is read-only: users and groups are changed in authentik",
        ),
        (
            vec![
                replace("userPassword", &[NEW]),
                replace("shadowLastChange", &["1"]),
            ],
            50,
            "changed on its own",
        ),
        (vec![replace("userPassword", &[])], 19, "one value"),
        (
            vec![replace("userPassword", &["one of two", "two of two"])],
            19,
            "one value",
        ),
        (
            vec![(LdapModifyType::Add, "userPassword", &[NEW])],
            19,
            "one replace",
        ),
        (
            vec![replace("userPassword", &["{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g="])],
            19,
            "hash",
        ),
        (vec![replace("userPassword;lang-en", &[NEW])], 19, "options"),
    ] {
        let changed = modify(&mut alice, &dn, &changes).await;
        assert_eq!(changed.code, code, "{changes:?}: {changed:?}");
        assert!(changed.message.contains(words), "{changed:?}");
    }
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
}

#[tokio::test]
async fn what_is_cached_of_an_old_password_is_void_at_once() {
    let stage = stage(sample("cached"), "self", &[]).await;
    // Other connections of the same login, and a refusal of a moment ago.
    let mut others = vec![
        bound(&stage, "alice", "demo-alice").await,
        bound(&stage, "alice", "demo-alice").await,
    ];
    assert_eq!(binds(&stage, "alice", NEW).await, 49);
    assert_eq!(stage.simulator.sessions().len(), 1, "they share a login");
    let mut client = bound(&stage, "alice", "demo-alice").await;
    assert_eq!(modify_password(&mut client, None, None, Some(NEW)).await.code, 0);
    in_force(&stage, "alice", NEW, "demo-alice").await;
    for other in &mut others {
        assert_eq!(
            other.who_am_i().await,
            format!("dn:{}", entry_dn("alice")),
            "it stays bound"
        );
    }
}

#[tokio::test]
async fn a_bind_that_was_judged_before_a_change_is_not_kept_after_it() {
    let stage = stage(sample("cached"), "self", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    // Under another name for the same user, so that the cache has nothing; the question about its access is answered slowly.
    use akldap_simulator::{Fault, Rule, When};
    let slow = Rule::new("/check_access/", Fault::Stall(Duration::from_secs(3))).when(When::First(1));
    stage.simulator.faults().add(slow);
    let mut late = client(&stage).await;
    let by_mail = format!("mail=alice@example.com,ou=users,{}", akldap_testing::stage::BASE);
    let (outcome, changed) = tokio::join!(late.bind(&by_mail, "demo-alice"), async {
        let checks = || {
            stage
                .simulator
                .requests()
                .count(akldap_simulator::Endpoint::CheckAccess)
        };
        eventually("the late bind was judged", || checks() >= 2).await;
        modify_password(&mut alice, None, None, Some(NEW)).await
    });
    assert_eq!((outcome.code, changed.code), (0, 0), "{outcome:?} {changed:?}");
    let again = client(&stage).await.bind(&by_mail, "demo-alice").await;
    assert_eq!(again.code, 49, "{again:?}");
}

#[tokio::test]
async fn a_session_that_authentik_does_not_take_any_more_is_found() {
    let stage = stage(sample("cached"), "self", &[("ACCESS_RECHECK_INTERVAL", "0")]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    // It expires there unheard: no frame comes before the next sweep.
    stage
        .simulator
        .set_clock(stage.simulator.now() + Duration::from_secs(2 * 86_400));
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert_eq!(changed.code, 8, "{changed:?}");
    assert!(changed.message.contains("bind again"), "{changed:?}");
    // The old password opens a separate session.
    let changed = modify_password(&mut alice, None, Some("demo-alice"), Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
}

#[tokio::test]
async fn what_the_flow_lacks_or_asks_besides_is_said() {
    let stage = stage(sample("direct"), "self", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let set = |stages: Vec<FlowStage>| {
        stage.simulator.edit(|directory| {
            let mut flow = Flow::password_change(NewPassword::default());
            flow.stages = stages
                .into_iter()
                .map(akldap_simulator::StageBinding::new)
                .collect();
            directory.flows.insert(PASSWORD_CHANGE.into(), flow);
        });
    };
    let mut more = NewPassword::default();
    more.fields
        .push(("nickname".into(), "Nick".into(), "text".into()));
    let denied = FlowStage::Deny {
        message: "Ask the help desk.".into(),
    };
    for (stages, code, words) in [
        (
            vec![FlowStage::NewPassword(more), FlowStage::UserWrite],
            53,
            "nickname",
        ),
        (vec![FlowStage::Consent], 53, "ak-stage-consent"),
        (vec![denied], 50, "Ask the help desk."),
        (vec![], 53, "without asking"),
        (
            vec![
                FlowStage::password(),
                FlowStage::NewPassword(NewPassword::default()),
                FlowStage::UserWrite,
            ],
            50,
            "old password",
        ),
    ] {
        set(stages);
        let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
        assert_eq!(changed.code, code, "{changed:?}");
        assert!(changed.message.contains(words), "{changed:?}");
    }
    // With the old one that flow can be passed.
    let changed = modify_password(&mut alice, None, Some("demo-alice"), Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    stage
        .simulator
        .edit(|directory| directory.flows.remove(PASSWORD_CHANGE));
    let changed = modify_password(&mut alice, None, None, Some("and another one")).await;
    assert_eq!(changed.code, 53, "{changed:?}");
    stage.simulator.edit(|directory| directory.user_settings.clear());
    let changed = modify_password(&mut alice, None, None, Some("and another one")).await;
    assert_eq!(changed.code, 53, "{changed:?}");
    assert!(changed.message.contains("configuration flow"), "{changed:?}");
}

#[tokio::test]
async fn a_write_that_does_not_happen_is_no_success() {
    let stage = stage(sample("direct"), "self-and-agents", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    // The flow ends as if it had written, but has not.
    stage.simulator.edit(|directory| {
        let mut flow = Flow::password_change(NewPassword::default());
        flow.stages.pop();
        directory.flows.insert(PASSWORD_CHANGE.into(), flow);
    });
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert_eq!(changed.code, 80, "{changed:?}");
    assert!(
        changed
            .message
            .contains("may or may not have been changed: try to bind with the new one"),
        "{changed:?}"
    );
    in_force(&stage, "alice", "demo-alice", NEW).await;
    // It is the same if authentik says 204 and does nothing.
    use akldap_simulator::{Fault, Rule};
    let nothing = Rule::new("/set_password/", Fault::Answer(204, "application/json", ""));
    stage.simulator.faults().add(nothing);
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert_eq!(changed.code, 80, "{changed:?}");
    in_force(&stage, "bob", "demo-bob", NEW).await;
}

#[tokio::test]
async fn each_change_is_one_line_of_the_audit_without_a_password() {
    let (log, _guard) = Log::listen();
    let stage = stage(sample("direct"), "self-and-agents", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    assert_eq!(
        modify_password(&mut alice, None, Some("demo-alice"), Some(NEW))
            .await
            .code,
        0
    );
    assert_eq!(
        modify_password(&mut alice, None, None, Some("short")).await.code,
        19
    );
    assert_eq!(
        modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW))
            .await
            .code,
        0
    );
    let text = log.text();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("password change"))
        .collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    for (line, parts) in lines.iter().zip([
        [
            "by=\"a login with the old password\"",
            "outcome=\"changed\"",
            "targetName=\"alice\"",
        ],
        ["by=\"the session of the bind\"", "outcome=\"refused\"", "code=19"],
        [
            "by=\"the session of an agent\"",
            "outcome=\"changed\"",
            "targetName=\"bob\"",
        ],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains(NEW) && !line.contains("demo-"), "{line}");
    }
}

#[tokio::test]
async fn one_change_of_a_password_at_a_time_and_requests_behind_it_wait() {
    let stage = stage(sample("direct"), "self", &[]).await;
    let (mut one, mut two) = (
        bound(&stage, "alice", "demo-alice").await,
        bound(&stage, "alice", "demo-alice").await,
    );
    use akldap_simulator::{Fault, Rule, When};
    let slow = Rule::new("/user_settings/", Fault::Stall(Duration::from_secs(2))).when(When::First(1));
    stage.simulator.faults().add(slow);
    // Three requests at once: they are carried out one after the other.
    one.send(extended(None, None, Some(NEW)), vec![]).await;
    one.send(extended(None, None, Some("the second one")), vec![])
        .await;
    let who = LdapOp::ExtendedRequest(ldap3_proto::proto::LdapExtendedRequest {
        name: "1.3.6.1.4.1.4203.1.11.3".to_owned(),
        value: None,
    });
    one.send(who, vec![]).await;
    let seen = || {
        let all = stage.simulator.requests().all();
        all.iter().any(|request| request.path.contains("user_settings"))
    };
    eventually("the first is under way", seen).await;
    let busy = modify_password(&mut two, None, None, Some("from elsewhere")).await;
    assert_eq!(busy.code, 51, "{busy:?}");
    assert_eq!(answer(&mut one).await.code, 0);
    assert_eq!(answer(&mut one).await.code, 0);
    assert!(one.receive().await.is_some());
    in_force(&stage, "alice", "the second one", NEW).await;
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_a_change_that_ends_and_is_recorded() {
    let (log, _guard) = Log::listen();
    let stage = stage(sample("cached"), "self", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    use akldap_simulator::{Fault, Rule, When};
    let slow = Rule::new("/user_settings/", Fault::Stall(Duration::from_millis(700))).when(When::First(1));
    stage.simulator.faults().add(slow);
    alice.send(extended(None, None, Some(NEW)), vec![]).await;
    let seen = || {
        let all = stage.simulator.requests().all();
        all.iter().any(|request| request.path.contains("user_settings"))
    };
    eventually("the change is under way", seen).await;
    drop(alice);
    eventually("its end is recorded", || {
        log.text().contains("outcome=\"changed\"")
    })
    .await;
    in_force(&stage, "alice", NEW, "demo-alice").await;
    // It prevents nobody from another change.
    let mut alice = bound(&stage, "alice", NEW).await;
    assert_eq!(
        modify_password(&mut alice, None, None, Some("and another one"))
            .await
            .code,
        0
    );
}

#[tokio::test]
async fn the_root_dse_lists_what_works_and_only_then() {
    for (mode, listed) in [("off", false), ("self", true), ("self-and-agents", true)] {
        let stage = stage(sample("direct"), mode, &[]).await;
        let found = client(&stage)
            .await
            .read("", &["supportedExtension", "supportedControl"])
            .await;
        let has = |attribute: &str, oid: &str| {
            let values = found.entries[0].get(attribute).unwrap_or_default();
            values.iter().any(|value| value == oid)
        };
        assert_eq!(
            has("supportedExtension", "1.3.6.1.4.1.4203.1.11.1"),
            listed,
            "{mode}"
        );
        assert_eq!(
            has("supportedControl", "1.3.6.1.4.1.42.2.27.8.5.1"),
            listed,
            "{mode}"
        );
    }
}

#[tokio::test]
async fn the_longest_wait_ends_and_names_of_others_are_no_way_in() {
    // `alice ` binds as alice to authentik; the name of the bind is hers here, too.
    let stage = stage(sample("direct"), "self", &[]).await;
    let mut alice = client(&stage).await;
    let name = akldap_testing::scenery::alias("alice", 1);
    assert_eq!(alice.bind(&name, "demo-alice").await.code, 0);
    assert_eq!(
        modify_password(&mut alice, Some(&name), None, Some(NEW))
            .await
            .code,
        0
    );
    let upper = user_dn("ALICE");
    assert_eq!(
        modify_password(&mut alice, Some(&upper), None, Some("another one"))
            .await
            .code,
        0
    );
    in_force(&stage, "alice", "another one", NEW).await;
}
