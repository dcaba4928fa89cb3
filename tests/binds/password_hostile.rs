//! Password changes by a client that follows no rules: requests one after another, given up halfway, with values of any size and any
//! octets, while authentik restarts or ends the session.

use std::time::Duration;

use akldap_simulator::{Fault, Rule, When};
use ldap3_proto::proto::{LdapExtendedRequest, LdapOp};
use reqwest::Method;

use akldap_testing::captured_log::Log;
use akldap_testing::passwords::{answer, binds, bound, client, extended, modify_password, stage};
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::{Stage, entry_dn, eventually, user_dn};

const NEW: &str = "a new passphrase";
const SENTENCE: &str = "may or may not have been changed: try to bind with the new one";
/// The flow that changes passwords.
const CHANGE: &str = "/executor/default-password-change/";

async fn server(mode: &str) -> Stage {
    stage(directory(mode, recommended()), "self-and-agents", &[]).await
}

/// Slows down the settings, with which each change of one's own password begins.
fn slow_settings(stage: &Stage, time: Duration) {
    let slow = Rule::new("/user_settings/", Fault::Stall(time)).when(When::First(1));
    stage.simulator.faults().add(slow);
}

async fn under_way(stage: &Stage) {
    eventually("the change is under way", || {
        let all = stage.simulator.requests().all();
        all.iter().any(|request| request.path.contains("user_settings"))
    })
    .await;
}

/// The value of the extended operation, of any octets.
fn octets(parts: &[(u8, &[u8])]) -> LdapOp {
    let mut value = Vec::new();
    for (tag, part) in parts {
        value.push(*tag);
        value.push(u8::try_from(part.len()).unwrap());
        value.extend_from_slice(part);
    }
    let mut sequence = vec![0x30, u8::try_from(value.len()).unwrap()];
    sequence.extend(value);
    LdapOp::ExtendedRequest(LdapExtendedRequest {
        name: "1.3.6.1.4.1.4203.1.11.1".to_owned(),
        value: Some(sequence),
    })
}

#[tokio::test]
async fn what_stands_behind_a_change_is_carried_out_after_it_and_as_whoever_is_bound_then() {
    let stage = server("cached").await;
    slow_settings(&stage, Duration::from_secs(1));
    let mut both = bound(&stage, "alice", "demo-alice").await;
    both.send(extended(None, None, Some(NEW)), vec![]).await;
    let bind = ldap3_proto::proto::LdapBindRequest {
        dn: user_dn("bob"),
        cred: ldap3_proto::proto::LdapBindCred::Simple("demo-bob".to_owned()),
        version: 3,
    };
    both.send(LdapOp::BindRequest(bind), vec![]).await;
    both.send(extended(None, None, Some("bob's new one")), vec![])
        .await;
    assert_eq!(answer(&mut both).await.code, 0);
    let bound = both.receive().await.expect("the answer to the bind");
    assert!(matches!(bound.op, LdapOp::BindResponse(_)), "{bound:?}");
    assert_eq!(answer(&mut both).await.code, 0);
    assert_eq!(both.who_am_i().await, format!("dn:{}", entry_dn("bob")));
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    assert_eq!(binds(&stage, "bob", "bob's new one").await, 0);
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 49);
}

#[tokio::test]
async fn a_change_that_is_given_up_half_way_ends_and_is_recorded() {
    for unbinds in [false, true] {
        let (log, _guard) = Log::listen();
        let stage = server("cached").await;
        slow_settings(&stage, Duration::from_millis(700));
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let id = alice.send(extended(None, None, Some(NEW)), vec![]).await;
        under_way(&stage).await;
        match unbinds {
            true => {
                alice.send(LdapOp::UnbindRequest, vec![]).await;
            }
            false => {
                alice.send(LdapOp::AbandonRequest(id), vec![]).await;
                // What authentik has heard of is not given up (RFC 4511 section 4.11 leaves that to the server): it is answered.
                assert_eq!(answer(&mut alice).await.code, 0);
                assert_eq!(alice.who_am_i().await, format!("dn:{}", entry_dn("alice")));
            }
        }
        eventually("its end is recorded", || {
            log.text().contains("audit=\"password\"")
        })
        .await;
        let changed = log.text().contains("outcome=\"changed\"");
        let (right, wrong) = match changed {
            true => (NEW, "demo-alice"),
            false => ("demo-alice", NEW),
        };
        assert_eq!(
            binds(&stage, "alice", right).await,
            0,
            "{unbinds}: {}",
            log.text()
        );
        assert_eq!(binds(&stage, "alice", wrong).await, 49);
        // Nobody is prevented from another one.
        let mut alice = bound(&stage, "alice", right).await;
        let changed = modify_password(&mut alice, None, None, Some("and another one")).await;
        assert_eq!(changed.code, 0, "{changed:?}");
    }
}

#[tokio::test]
async fn authentik_that_restarts_between_the_change_and_its_proof_leaves_it_open() {
    let stage = server("cached").await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let restarts = [
        Rule::new("/flows/executor/binds/", Fault::Starting),
        Rule::new("/core/users/", Fault::Starting).when(When::After(1)),
    ];
    let restarts = restarts.map(|rule| stage.simulator.faults().add(rule));
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    for rule in restarts {
        stage.simulator.faults().remove(rule);
    }
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 49);
}

#[tokio::test]
async fn a_session_that_ends_within_a_change_changes_nothing() {
    let stage = server("direct").await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let slow = Rule::new("/flows/-/configure/", Fault::Stall(Duration::from_secs(1)));
    stage.simulator.faults().add(slow);
    alice.send(extended(None, None, Some(NEW)), vec![]).await;
    eventually("the change is under way", || {
        let all = stage.simulator.requests().all();
        all.iter().any(|request| request.path.contains("configure"))
    })
    .await;
    let session = stage.simulator.sessions()[0].sid.clone();
    stage.simulator.delete_session(&session);
    // Its end may be heard first: then the connection ends with it.
    if let Some(message) = alice.receive().await {
        let LdapOp::ExtendedResponse(response) = message.op else {
            panic!("{message:?}")
        };
        assert_ne!(response.res.code, ldap3_proto::LdapResultCode::Success);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
    assert_eq!(binds(&stage, "alice", NEW).await, 49);
}

#[tokio::test]
async fn any_octets_are_answered() {
    let stage = server("direct").await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let new = NEW.as_bytes();
    for (parts, agents, own) in [
        (vec![(0x80, &b"\xff\xfe"[..]), (0x82, new)], 32, 50),
        (vec![(0x80, b"u:\0"), (0x82, new)], 32, 50),
        (vec![(0x80, b"cn=\0,ou=users"), (0x82, new)], 32, 50),
        (vec![(0x80, b"dn:=,,,=+\\"), (0x82, new)], 32, 50),
        (vec![(0x81, b"\xff\xfe"), (0x82, new)], 49, 49),
        (vec![(0x81, b"a\0b"), (0x82, new)], 49, 49),
        (vec![(0x82, b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8")], 21, 21),
        (vec![(0x82, b"nul\0 in the middle")], 19, 19),
        (vec![(0x82, b"\x1fat the beginning")], 19, 19),
        (vec![(0x82, "\u{2003}a wide blank".as_bytes())], 19, 19),
    ] {
        for (client, code) in [(&mut agent, agents), (&mut alice, own)] {
            client.send(octets(&parts), vec![]).await;
            let refused = answer(client).await;
            assert_eq!(refused.code, code, "{parts:02x?}: {refused:?}");
            assert!(!refused.message.is_empty(), "{parts:02x?}");
        }
    }
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
    // Passwords with control characters inside are like any others.
    alice
        .send(octets(&[(0x82, b"bell \x07 tab \t and del \x7f.")]), vec![])
        .await;
    assert_eq!(answer(&mut alice).await.code, 0);
    assert_eq!(binds(&stage, "alice", "bell \x07 tab \t and del \x7f.").await, 0);
}

#[tokio::test]
async fn changes_from_many_connections_leave_one_password() {
    let stage = server("cached").await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(bound(&stage, "alice", "demo-alice").await);
    }
    let slow = Rule::new(CHANGE, Fault::Stall(Duration::from_millis(300))).method(Method::POST);
    stage.simulator.faults().add(slow);
    for (number, client) in clients.iter_mut().enumerate() {
        client
            .send(extended(None, None, Some(&format!("{NEW} {number}"))), vec![])
            .await;
    }
    let mut done = Vec::new();
    for (number, client) in clients.iter_mut().enumerate() {
        let changed = answer(client).await;
        assert!([0, 51].contains(&changed.code), "{changed:?}");
        if changed.code == 0 {
            done.push(number);
        }
    }
    assert!(!done.is_empty());
    let mut right = 0;
    for number in 0..clients.len() {
        let code = binds(&stage, "alice", &format!("{NEW} {number}")).await;
        right += usize::from(code == 0);
        assert!(
            code == 49 || done.contains(&number),
            "{number} was not answered with success"
        );
    }
    assert_eq!(right, 1, "of {done:?}");
    assert_eq!(
        client(&stage)
            .await
            .bind(&user_dn("alice"), "demo-alice")
            .await
            .code,
        49
    );
}
