//! Password changes next to other requests, and by somebody who means harm: what is valid while a change is under way,
//! what proves it, what is limited, and what is recorded.

use std::time::Duration;

use akldap_simulator::{Endpoint, Fault, Flow, NewPassword, PASSWORD_CHANGE, Rule, When};
use ldap3_proto::proto::{LdapExtendedRequest, LdapModifyType, LdapOp};
use reqwest::Method;

use akldap_testing::captured_log::Log;
use akldap_testing::passwords::{
    Changed, answer, binds, bound, client, extended, modify, modify_password, stage,
};
use akldap_testing::scenery::{directory, flow_requests, recommended};
use akldap_testing::stage::{BASE, Stage, entry_dn, eventually, user_dn};

const NEW: &str = "a new passphrase";
const SENTENCE: &str = "may or may not have been changed: try to bind with the new one";
/// The flow that changes passwords.
const CHANGE: &str = "/executor/default-password-change/";

async fn cached() -> Stage {
    stage(directory("cached", recommended()), "self-and-agents", &[]).await
}

async fn direct() -> Stage {
    stage(directory("direct", recommended()), "self-and-agents", &[]).await
}

/// Whether authentik has written this password.
fn is_written(stage: &Stage, username: &str, password: &str) -> bool {
    let pk = stage.simulator.user_pk(username).unwrap();
    stage
        .simulator
        .look(|directory| directory.user(pk).is_some_and(|user| user.password_is(password)))
}

/// Gives somebody an app password.
fn app_password(stage: &Stage, username: &str, password: &str) {
    let pk = stage.simulator.user_pk(username).unwrap();
    stage.simulator.edit(|directory| {
        directory.app_passwords.insert(pk, vec![password.to_owned()]);
    });
}

/// From now on the flow ends as if it had written, but has not.
fn lose_writes(stage: &Stage) {
    stage.simulator.edit(|directory| {
        let mut flow = Flow::password_change(NewPassword::default());
        flow.stages.pop();
        directory.flows.insert(PASSWORD_CHANGE.into(), flow);
    });
}

#[tokio::test]
async fn nothing_is_kept_of_a_user_whose_password_is_being_written() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    // The new password is written a second after it was sent; the answer arrives seconds later.
    let faults = stage.simulator.faults();
    faults.add(Rule::new(CHANGE, Fault::Stall(Duration::from_secs(1))).method(Method::POST));
    let told = Fault::SlowBody(16, Duration::from_secs(2));
    faults.add(Rule::new(CHANGE, told).method(Method::GET).when(When::After(1)));
    alice.send(extended(None, None, Some(NEW)), vec![]).await;
    eventually("the new password is sent", || {
        let all = stage.simulator.requests().all();
        all.iter()
            .any(|request| request.method == "POST" && request.path.contains(CHANGE))
    })
    .await;
    assert_eq!(
        binds(&stage, "alice", "demo-alice").await,
        0,
        "it is not written yet"
    );
    eventually("the new one is written", || is_written(&stage, "alice", NEW)).await;
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 49);
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    // Nobody else is concerned.
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
    let before = flow_requests(&stage.simulator);
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
    assert_eq!(flow_requests(&stage.simulator), before, "bob is cached");
    assert_eq!(answer(&mut alice).await.code, 0);
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 49);
    // Afterwards binds are kept again.
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    let before = flow_requests(&stage.simulator);
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    assert_eq!(flow_requests(&stage.simulator), before);
}

#[tokio::test]
async fn a_new_password_that_was_wrong_a_moment_ago_works_at_once() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let mail = format!("mail=alice@example.com,ou=users,{BASE}");
    for (name, by_mail) in [(user_dn("alice"), false), (mail, true)] {
        let new = format!("{NEW} {}", name.len());
        // authentik finds it wrong, and that is heard after the change.
        let late = Fault::SlowBody(1 << 20, Duration::from_secs(3));
        let rule = Rule::new("/flows/executor/binds/", late)
            .method(Method::POST)
            .when(When::First(1));
        let rule = stage.simulator.faults().add(rule);
        let mut early = client(&stage).await;
        let posts = || {
            let all = stage.simulator.requests().all();
            all.iter()
                .filter(|request| request.method == "POST" && request.path.contains("/executor/binds/"))
                .count()
        };
        let before = posts();
        let (early, ()) = tokio::join!(early.bind(&name, &new), async {
            eventually("the early bind is judged", || posts() > before).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            let changed = modify_password(&mut alice, None, None, Some(&new)).await;
            assert_eq!(changed.code, 0, "{changed:?}");
            if by_mail {
                let mut other = client(&stage).await;
                assert_eq!(other.bind(&name, &new).await.code, 0, "at once");
            }
            stage.simulator.faults().remove(rule);
        });
        assert_eq!(early.code, 49);
        assert_eq!(client(&stage).await.bind(&name, &new).await.code, 0, "{name}");
    }
}

#[tokio::test]
async fn a_bind_after_a_change_does_not_share_what_was_judged_before_it() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    // Under another name, so that the cache has nothing; authentik takes the old password, and the question about access is answered
    // slowly.
    let slow = Rule::new("/check_access/", Fault::Stall(Duration::from_secs(4))).when(When::First(1));
    stage.simulator.faults().add(slow);
    let checks = || stage.simulator.requests().count(Endpoint::CheckAccess);
    let before = checks();
    let name = format!("mail=alice@example.com,ou=users,{BASE}");
    let mut early = client(&stage).await;
    let (early, late) = tokio::join!(early.bind(&name, "demo-alice"), async {
        eventually("the early bind was judged", || checks() > before).await;
        let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        client(&stage).await.bind(&name, "demo-alice").await
    });
    assert_eq!(
        (early.code, late.code),
        (0, 49),
        "it began after the change was answered"
    );
    assert_eq!(client(&stage).await.bind(&name, "demo-alice").await.code, 49);
}

#[tokio::test]
async fn a_change_forgets_nothing_of_others() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    assert_eq!(binds(&stage, "bob", "wrong").await, 49);
    assert_eq!(modify_password(&mut alice, None, None, Some(NEW)).await.code, 0);
    let before = flow_requests(&stage.simulator);
    assert_eq!(binds(&stage, "bob", "wrong").await, 49);
    assert_eq!(flow_requests(&stage.simulator), before, "it is remembered");
    // An equal bind of somebody else joins the one under way, too.
    let slow = Rule::new("/check_access/", Fault::Stall(Duration::from_secs(3))).when(When::First(1));
    stage.simulator.faults().add(slow);
    let checks = || stage.simulator.requests().count(Endpoint::CheckAccess);
    let before = checks();
    let (first, second) = tokio::join!(binds(&stage, "bob", "demo-bob"), async {
        eventually("bob's first bind was judged", || checks() > before).await;
        let changed = modify_password(&mut alice, None, None, Some("and another one")).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        binds(&stage, "bob", "demo-bob").await
    });
    assert_eq!((first, second), (0, 0));
    assert_eq!(checks(), before + 1, "one judgement for both");
}

#[tokio::test]
async fn an_app_password_proves_no_change_that_was_lost() {
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    app_password(&stage, "bob", NEW);
    app_password(&stage, "alice", NEW);
    app_password(&stage, "zoë", NEW);
    let nothing = Rule::new("/set_password/", Fault::Answer(204, "application/json", ""));
    let nothing = stage.simulator.faults().add(nothing);
    let lost = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert!(lost.code == 80 && lost.message.contains(SENTENCE), "{lost:?}");
    stage.simulator.faults().remove(nothing);
    lose_writes(&stage);
    let lost = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert!(lost.code == 80 && lost.message.contains(SENTENCE), "{lost:?}");
    assert!(!is_written(&stage, "bob", NEW) && !is_written(&stage, "alice", NEW));
    // A written password is known to be written, even if an app password, or the old password, is the same.
    for new in [NEW, NEW] {
        let done = modify_password(&mut agent, Some(&entry_dn("zoë")), None, Some(new)).await;
        assert_eq!(done.code, 0, "{done:?}");
    }
    assert!(is_written(&stage, "zoë", NEW));
}

#[tokio::test]
async fn what_authentik_does_not_say_of_a_password_is_not_made_up() {
    let stage = direct().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let pk = stage.simulator.user_pk("alice").unwrap();
    let row = format!("/core/users/{pk}/");
    // It is unknown since when the old one has been valid: nothing is sent.
    let rule = Rule::new(&row, Fault::WorkerLost).method(Method::GET);
    let rule = stage.simulator.faults().add(rule);
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert_eq!(changed.code, 52, "{changed:?}");
    assert!(is_written(&stage, "alice", "demo-alice"));
    stage.simulator.faults().remove(rule);
    // It is unknown whether it has changed by now.
    let rule = Rule::new(&row, Fault::WorkerLost)
        .method(Method::GET)
        .when(When::After(1));
    let rule = stage.simulator.faults().add(rule);
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    stage.simulator.faults().remove(rule);
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
}

#[tokio::test]
async fn the_same_wrong_old_password_is_judged_once_and_none_is_of_any_length() {
    for mode in ["direct", "cached"] {
        let stage = stage(directory(mode, recommended()), "self", &[]).await;
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let wrong = modify_password(&mut alice, None, Some("wrong"), Some(NEW)).await;
        assert_eq!(wrong.code, 49, "{wrong:?}");
        let before = flow_requests(&stage.simulator);
        for _ in 0..3 {
            let wrong = modify_password(&mut alice, None, Some("wrong"), Some(NEW)).await;
            assert_eq!(wrong.code, 49, "{wrong:?}");
        }
        let long = "x".repeat(60_000);
        for (old, new, code) in [("demo-alice", long.as_str(), 19), (long.as_str(), NEW, 49)] {
            let refused = modify_password(&mut alice, None, Some(old), Some(new)).await;
            assert_eq!(refused.code, code, "{refused:?}");
            let changes: [(_, _, &[&str]); 2] = [
                (LdapModifyType::Delete, "userPassword", &[old]),
                (LdapModifyType::Add, "userPassword", &[new]),
            ];
            let refused = modify(&mut alice, &entry_dn("alice"), &changes).await;
            assert_eq!(refused.code, code, "{refused:?}");
        }
        assert_eq!(
            flow_requests(&stage.simulator),
            before,
            "{mode}: authentik is not asked"
        );
        let changed = modify_password(&mut alice, None, Some("demo-alice"), Some(NEW)).await;
        assert_eq!(changed.code, 0, "{changed:?}");
        // The old one is wrong now, and the one that was wrong may be right later.
        let wrong = modify_password(&mut alice, None, Some("demo-alice"), Some("wrong")).await;
        assert_eq!(wrong.code, 49, "{wrong:?}");
        let back = modify_password(&mut alice, None, Some(NEW), Some("wrong one")).await;
        assert_eq!(back.code, 0, "{back:?}");
    }
}

#[tokio::test]
async fn both_operations_refuse_a_hash() {
    let stage = direct().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let hash = "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
    for (old, new) in [(None, hash), (Some(hash), NEW)] {
        let refused = modify_password(&mut alice, None, old, Some(new)).await;
        assert!(
            refused.code == 19 && refused.message.contains("hash"),
            "{refused:?}"
        );
    }
    let replace: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[hash]);
    let refused = modify(&mut alice, &entry_dn("alice"), &[replace]).await;
    assert!(
        refused.code == 19 && refused.message.contains("hash"),
        "{refused:?}"
    );
    let curly = modify_password(&mut alice, None, None, Some("{curly} braces")).await;
    assert_eq!(curly.code, 0, "{curly:?}");
}

#[tokio::test]
async fn a_known_part_in_another_form_is_no_extension() {
    let stage = direct().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let part = |tag: u8| {
        let mut value = vec![0x30, 12, tag, 10];
        value.extend_from_slice(b"a-password");
        value
    };
    for tag in [0xa0, 0xa1, 0xa2, 0x04, 0x24] {
        let request = LdapExtendedRequest {
            name: "1.3.6.1.4.1.4203.1.11.1".to_owned(),
            value: Some(part(tag)),
        };
        alice.send(LdapOp::ExtendedRequest(request), vec![]).await;
        let refused = answer(&mut alice).await;
        assert_eq!(refused.code, 2, "{tag:02x}: {refused:?}");
    }
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
}

#[tokio::test]
async fn a_password_that_was_made_up_is_told_also_where_it_could_not_be_proved() {
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let broken = Rule::new("/flows/executor/binds/", Fault::WorkerLost);
    let broken = stage.simulator.faults().add(broken);
    let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, None).await;
    assert_eq!(changed.code, 80, "{changed:?}");
    let password = changed.generated().expect("it is in the answer");
    assert!(
        changed.message.contains("generated") && !changed.message.contains(&password),
        "{changed:?}"
    );
    stage.simulator.faults().remove(broken);
    assert_eq!(binds(&stage, "bob", &password).await, 0);
    // A password that was certainly not set is not disclosed.
    let broken = Rule::new("/set_password/", Fault::Forbidden);
    stage.simulator.faults().add(broken);
    let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, None).await;
    assert!(changed.code != 80 && changed.value.is_none(), "{changed:?}");
}

#[tokio::test]
async fn a_refusal_without_words_has_some_and_that_of_a_proxy_is_none_of_authentiks() {
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    for (content_type, body, code) in [
        ("application/json", "{\"password\":[]}", 19),
        ("application/json", "{}", 80),
        ("text/html", "<h1>Bad Request</h1>", 80),
    ] {
        let rule = Rule::new("/set_password/", Fault::Answer(400, content_type, body));
        let rule = stage.simulator.faults().add(rule);
        let refused = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
        assert_eq!(refused.code, code, "{body}: {refused:?}");
        assert!(!refused.message.is_empty(), "{refused:?}");
        stage.simulator.faults().remove(rule);
    }
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
}

#[tokio::test]
async fn whoever_is_deactivated_gets_no_password_that_nobody_can_prove() {
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let bob = stage.simulator.user_pk("bob").unwrap();
    stage.simulator.edit(|directory| {
        directory.change_user(bob, |user| user.is_active = false);
    });
    stage.simulator.requests().clear();
    let refused = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert!(
        refused.code == 19 && refused.message.contains("deactivated"),
        "{refused:?}"
    );
    let sent = stage.simulator.requests().all();
    assert!(!sent.iter().any(|request| request.path.contains("set_password")));
}

/// The lines of the audit about changes.
fn records(log: &Log) -> Vec<String> {
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("password change"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_attempt_is_recorded_with_whom_it_was_about() {
    let (log, _guard) = Log::listen();
    let stage = direct().await;
    let replace: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW]);
    let mut plain = stage.bound("alice").await;
    assert_eq!(modify_password(&mut plain, None, None, Some(NEW)).await.code, 13);
    assert_eq!(
        modify(&mut plain, &entry_dn("bob"), std::slice::from_ref(&replace))
            .await
            .code,
        13
    );
    let mut nobody = client(&stage).await;
    assert_eq!(
        modify_password(&mut nobody, Some("u:bob"), None, Some(NEW))
            .await
            .code,
        50
    );
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let other: Changed = modify_password(&mut alice, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert_eq!(other.code, 50);
    assert_eq!(
        modify_password(&mut alice, Some("u:nobody"), None, Some(NEW))
            .await
            .code,
        50
    );
    let twice: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW, "x"]);
    assert_eq!(modify(&mut alice, &entry_dn("alice"), &[twice]).await.code, 19);
    assert_eq!(modify_password(&mut alice, None, None, Some(NEW)).await.code, 0);
    let bob = format!("target={}", stage.simulator.user_pk("bob").unwrap());
    let lines = records(&log);
    let wanted = [
        vec!["code=13", "targetName=\"alice\"", "WARN"],
        vec!["code=13", "targetName=\"bob\"", "WARN"],
        vec!["code=50", "bindDN=\"\"", &bob, "targetName=\"bob\"", "WARN"],
        vec!["code=50", &bob, "targetName=\"bob\"", "WARN"],
        vec!["code=50", "targetName=\"nobody of that name\"", "WARN"],
        vec!["code=19", "targetName=\"alice\"", "WARN"],
        vec!["code=0", "targetName=\"alice\"", "INFO", "outcome=\"changed\""],
    ];
    assert_eq!(lines.len(), wanted.len(), "{lines:#?}");
    for (line, parts) in lines.iter().zip(wanted) {
        for part in parts {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains(NEW), "{line}");
    }
}
