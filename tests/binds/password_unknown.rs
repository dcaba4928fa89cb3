//! Password changes whose outcome is unknown, old passwords that nobody could judge, and what is true before authentik was
//! asked and after the process was told to end.

use std::time::Duration;

use akldap_simulator::{
    Directory, Fault, Flow, NewPassword, Options, PASSWORD_CHANGE, Rule, Simulator, Stage as FlowStage, When,
};
use ldap3_proto::proto::{LdapExtendedRequest, LdapModifyType, LdapOp};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use akldap_testing::captured_log::Log;
use akldap_testing::certificates::{self, connector, ldaps};
use akldap_testing::client::Client;
use akldap_testing::passwords::{answer, binds, bound, client, extended, modify, modify_password, stage};
use akldap_testing::scenery::{change, directory, flow_requests, recommended, separate};
use akldap_testing::stage::{Stage, entry_dn, eventually};

const NEW: &str = "a new passphrase";
const SENTENCE: &str = "may or may not have been changed: try to bind with the new one";
/// The flow that changes passwords.
const CHANGE: &str = "/executor/default-password-change/";

async fn cached() -> Stage {
    stage(directory("cached", recommended()), "self-and-agents", &[]).await
}

/// The request that has authentik write a new password is lost: the prompt was answered before.
fn lose_the_write(stage: &Stage) -> u64 {
    let lost = Rule::new(CHANGE, Fault::Reset)
        .method(Method::GET)
        .when(When::After(1));
    stage.simulator.faults().add(lost)
}

#[tokio::test]
async fn no_old_password_is_kept_while_a_write_may_be_on_its_way() {
    let stage = cached().await;
    let (alice, bob) = (
        stage.simulator.user_pk("alice").unwrap(),
        stage.simulator.user_pk("bob").unwrap(),
    );
    // One's own, and by an agent.
    let mut own = bound(&stage, "alice", "demo-alice").await;
    lose_the_write(&stage);
    let changed = modify_password(&mut own, None, None, Some(NEW)).await;
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let lost = Rule::new("/set_password/", Fault::Reset).when(When::First(1));
    stage.simulator.faults().add(lost);
    let changed = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(NEW)).await;
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    for (username, pk) in [("alice", alice), ("bob", bob)] {
        let old = format!("demo-{username}");
        // It is the password yet, and authentik judges each bind.
        for _ in 0..2 {
            let before = flow_requests(&stage.simulator);
            assert_eq!(binds(&stage, username, &old).await, 0);
            assert!(
                flow_requests(&stage.simulator) > before,
                "{username} is not cached"
            );
        }
        // The write arrives. No look at the directory is due for half a minute.
        stage.simulator.set_password(pk, NEW);
        assert_eq!(binds(&stage, username, &old).await, 49, "{username}");
        assert_eq!(binds(&stage, username, NEW).await, 0, "{username}");
    }
    // Others are cached as ever.
    assert_eq!(binds(&stage, "zoë", "demo-zoë").await, 0);
    let before = flow_requests(&stage.simulator);
    assert_eq!(binds(&stage, "zoë", "demo-zoë").await, 0);
    assert_eq!(flow_requests(&stage.simulator), before);
}

#[tokio::test]
async fn a_change_after_one_whose_end_is_unknown_starts_over() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let lost = lose_the_write(&stage);
    let changed = modify_password(&mut alice, None, None, Some("the first one")).await;
    assert_eq!(changed.code, 80, "{changed:?}");
    stage.simulator.faults().remove(lost);
    // Its flow stands before the write in the same session, and is planned again.
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    // The write that was lost may still come after it.
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    assert_eq!(binds(&stage, "alice", "the first one").await, 49);
}

#[tokio::test]
async fn a_flow_that_asks_nothing_after_an_unknown_end_may_have_written() {
    let stage = cached().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let lost = lose_the_write(&stage);
    let changed = modify_password(&mut alice, None, None, Some("the first one")).await;
    assert_eq!(changed.code, 80, "{changed:?}");
    stage.simulator.faults().remove(lost);
    // One that is not planned again goes on where it stood: it writes the first value, and asks nothing.
    let to_flow = Rule::new(
        "/flows/-/configure/",
        Fault::Moved("/if/flow/default-password-change/"),
    );
    stage.simulator.faults().add(to_flow);
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert!(
        changed.code == 80 && changed.message.contains(SENTENCE),
        "{changed:?}"
    );
    assert_eq!(binds(&stage, "alice", "the first one").await, 0);
    assert_eq!(binds(&stage, "alice", NEW).await, 49);
    // Without an unknown end before it, a flow that asks nothing changes nothing, and is said to.
    let mut bob = bound(&stage, "bob", "demo-bob").await;
    stage.simulator.edit(|directory| {
        let mut flow = Flow::password_change(NewPassword::default());
        flow.stages.clear();
        directory.flows.insert(PASSWORD_CHANGE.into(), flow);
    });
    let changed = modify_password(&mut bob, None, None, Some(NEW)).await;
    assert!(
        changed.code == 53 && changed.message.contains("without asking"),
        "{changed:?}"
    );
}

#[tokio::test]
async fn an_old_password_that_nobody_judged_is_not_called_wrong() {
    let deny = || FlowStage::Deny {
        message: "Not from here.".to_owned(),
    };
    for (first, own, agents, words) in [
        (FlowStage::Captcha, 53, 52, "a step that LDAP cannot show"),
        (FlowStage::Consent, 53, 52, "a step that LDAP cannot show"),
        (deny(), 50, 50, "denies this login"),
    ] {
        let stage = stage(directory("direct", separate()), "self-and-agents", &[]).await;
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
        stage.simulator.edit(|directory| {
            let mut stages = vec![first.clone()];
            stages.extend(separate());
            let flow = Flow::new("binds", "Welcome to authentik!", stages);
            directory.flows.insert("binds".into(), flow);
        });
        for old in ["demo-alice", "wrong"] {
            let refused = modify_password(&mut alice, None, Some(old), Some(NEW)).await;
            assert_eq!(refused.code, own, "{old} {refused:?}");
            assert!(refused.message.contains(words), "{refused:?}");
        }
        for old in ["demo-bob", "wrong"] {
            let refused = modify_password(&mut agent, Some(&entry_dn("bob")), Some(old), Some(NEW)).await;
            assert_eq!(refused.code, agents, "{old} {refused:?}");
            assert!(refused.message.contains(words), "{refused:?}");
        }
        assert_eq!(
            stage.simulator.look(|directory| directory.former_passwords.len()),
            0
        );
    }
}

#[tokio::test]
async fn a_password_in_clear_is_refused_as_such_whatever_else_is_wrong_with_the_request() {
    let with_tls = stage(directory("direct", recommended()), "self", &[]).await;
    let name = "1.3.6.1.4.1.4203.1.11.1";
    let broken = |value: &[u8]| {
        let request = LdapExtendedRequest {
            name: name.to_owned(),
            value: Some(value.to_vec()),
        };
        LdapOp::ExtendedRequest(request)
    };
    let values: [&[u8]; 4] = [
        b"",
        b"\x30\x0c\xa2\x0aa-password",
        b"\x30\x20\x82\x0aa-password",
        b"a-password",
    ];
    let mut plain = with_tls.bound("alice").await;
    let mut secure = bound(&with_tls, "alice", "demo-alice").await;
    for value in values {
        for (client, code, words) in [(&mut plain, 13, "TLS"), (&mut secure, 2, "malformed")] {
            client.send(broken(value), vec![]).await;
            let refused = answer(client).await;
            assert!(
                refused.code == code && refused.message.contains(words),
                "{value:02x?}: {refused:?}"
            );
        }
    }
    // Requests whose operation itself cannot be read, by the names in them.
    let modify = |attribute: &str| {
        let mut change = vec![0x30, 0x16, 0x0a, 1, 2, 0x30, 0x11, 0x04];
        change.push(u8::try_from(attribute.len()).unwrap());
        change.extend_from_slice(attribute.as_bytes());
        // Here a SET should begin.
        change.extend_from_slice(b"\x99\x01x");
        operation(0x66, &change)
    };
    let mut value = vec![0x80, 23];
    value.extend_from_slice(name.as_bytes());
    value.extend_from_slice(b"\x81\x20\x30");
    let extended = operation(0x77, &value);
    let mut other = vec![0x80, 23];
    other.extend_from_slice(b"1.3.6.1.4.1.1466.20037\x30\x81\x20\x30");
    for (request, code) in [
        (modify("userPassword"), 13),
        (modify("USERPASSWORD"), 13),
        (modify("2.5.4.35"), 13),
        (modify("description"), 2),
        (extended, 13),
        (operation(0x77, &other), 2),
    ] {
        for (client, code) in [(with_tls.client().await, code), (client(&with_tls).await, 2)] {
            assert_eq!(result_of(client, &request).await, code, "{request:02x?}");
        }
    }
    // Where it is off, that counts first, without TLS and with it.
    let off = stage(directory("direct", recommended()), "off", &[]).await;
    for mut client in [off.client().await, client(&off).await] {
        client.send(broken(b"a-password"), vec![]).await;
        assert_eq!(answer(&mut client).await.code, 19);
        assert_eq!(result_of(client, &modify("userPassword")).await, 2);
    }
}

/// A message with an operation of these octets.
fn operation(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = u8::try_from(contents.len()).unwrap();
    let mut message = vec![0x30, length + 5, 2, 1, 9, tag, length];
    message.extend_from_slice(contents);
    message
}

/// The result code of the answer to these octets.
async fn result_of(client: Client, request: &[u8]) -> u8 {
    let mut stream = client.into_stream();
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    let mut message = vec![0; usize::from(head[1])];
    stream.read_exact(&mut message).await.unwrap();
    let at = message.windows(2).position(|octets| octets == [0x0a, 1]).unwrap();
    message[at + 2]
}

/// A server with a certificate of its own and this mode, whose authentik cannot be reached yet.
async fn unreachable(mode: &str) -> Stage {
    let simulator = Simulator::start(Directory::sample(0, 0), Options::default())
        .await
        .unwrap();
    simulator.refuse_connections(true);
    let file = |name: &str| certificates::path(name).to_str().unwrap().to_owned();
    Stage::of(simulator, |settings| {
        settings.set("AUTHENTIK_LDAP__PASSWORD_CHANGE", mode);
        settings.set("AUTHENTIK_LDAP__TLS_CERTIFICATE_FILE", file("p256.pem"));
        settings.set("AUTHENTIK_LDAP__TLS_KEY_FILE", file("p256.key"));
    })
    .await
}

#[tokio::test]
async fn before_the_configuration_is_loaded_nobody_says_that_it_is_off() {
    let replace: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &[NEW]);
    for (mode, in_clear, over_tls, words) in [
        ("self", 13, 52, "not been loaded"),
        // No provider can be one where it is on.
        ("off", 19, 19, "in the user settings"),
    ] {
        let stage = unreachable(mode).await;
        let clients = [
            (stage.client().await, in_clear),
            (ldaps(&connector(), stage.ldaps()).await.unwrap(), over_tls),
        ];
        for (mut client, code) in clients {
            let refused = modify_password(&mut client, None, Some("demo-alice"), Some(NEW)).await;
            assert_eq!(refused.code, code, "{mode}: {refused:?}");
            assert!(code == 13 || refused.message.contains(words), "{refused:?}");
            let change = std::slice::from_ref(&replace);
            let refused = modify(&mut client, &entry_dn("alice"), change).await;
            assert_eq!(refused.code, code, "{mode}: {refused:?}");
        }
        if mode == "self" {
            stage.simulator.refuse_connections(false);
            stage.ready().await;
            stage.flow_known().await;
            let mut alice = ldaps(&connector(), stage.ldaps()).await.unwrap();
            let name = akldap_testing::stage::user_dn("alice");
            assert_eq!(alice.bind(&name, "demo-alice").await.code, 0);
            assert_eq!(modify_password(&mut alice, None, None, Some(NEW)).await.code, 0);
        }
    }
}

#[tokio::test]
async fn the_sessions_of_proofs_end_with_the_process() {
    for under_way in ["/user_settings/", "/executor/default-invalidation-flow/"] {
        let mut sample = directory("direct", recommended());
        change(&mut sample, |provider| provider.unbind_flow = None);
        let stage = stage(sample, "self", &[("SHUTDOWN_TIMEOUT", "1m")]).await;
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let slow = Rule::new(under_way, Fault::Stall(Duration::from_secs(1)));
        stage.simulator.faults().add(slow);
        let asked = || {
            let all = stage.simulator.requests().all();
            all.iter().any(|request| request.path.contains(under_way))
        };
        let request = extended(None, Some("demo-alice"), Some(NEW));
        alice.send(request, vec![]).await;
        eventually("it is under way", asked).await;
        let Stage {
            simulator, server, ..
        } = stage;
        // Nobody is waiting for the answer.
        drop(alice);
        server.shutdown().await;
        let sessions = simulator.sessions();
        assert_eq!(sessions.len(), 1, "{under_way}: that of the bind is left");
        simulator.shutdown().await;
    }
}

#[tokio::test]
async fn no_change_begins_once_the_process_is_ending() {
    let sample = directory("direct", recommended());
    let stage = stage(sample, "self", &[("SHUTDOWN_TIMEOUT", "1m")]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let slow = Rule::new("/user_settings/", Fault::Stall(Duration::from_secs(1)));
    stage.simulator.faults().add(slow.when(When::First(1)));
    let other = "and another one";
    for (old, new) in [("demo-alice", NEW), (NEW, other)] {
        alice.send(extended(None, Some(old), Some(new)), vec![]).await;
    }
    eventually("the first is under way", || {
        let all = stage.simulator.requests().all();
        all.iter().any(|request| request.path.contains("user_settings"))
    })
    .await;
    let Stage {
        simulator, server, ..
    } = stage;
    let answers = async {
        let first = answer(&mut alice).await;
        // If it was read before the end began it is refused, otherwise the notice of that says the same.
        let second = alice.receive().await.expect("an answer or the notice");
        let LdapOp::ExtendedResponse(second) = second.op else {
            panic!("{second:?}")
        };
        (first.code, second.res.code as i32)
    };
    let (codes, ()) = tokio::join!(answers, server.shutdown());
    assert_eq!(codes, (0, 52));
    assert_eq!(simulator.sessions().len(), 1, "that of the bind is left");
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_change_ends_the_count_of_wrong_passwords() {
    let limit = [("FAILED_BIND_LIMIT", "3")];
    let stage = stage(directory("direct", recommended()), "self-and-agents", &limit).await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let mut bob = bound(&stage, "bob", "demo-bob").await;
    for number in 0..3 {
        for username in ["alice", "bob", "zoë"] {
            let guess = format!("guess {number}");
            assert_eq!(binds(&stage, username, &guess).await, 49);
        }
    }
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 51);
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 51);
    assert_eq!(binds(&stage, "zoë", "demo-zoë").await, 51);
    // A change that is refused, or whose outcome is unknown, ends nothing.
    let refused = modify_password(&mut agent, Some(&entry_dn("alice")), None, Some("short")).await;
    assert_eq!(refused.code, 19, "{refused:?}");
    let lost = Rule::new("/set_password/", Fault::Reset).when(When::First(1));
    stage.simulator.faults().add(lost);
    let unknown = modify_password(&mut agent, Some(&entry_dn("zoë")), None, Some(NEW)).await;
    assert_eq!(unknown.code, 80, "{unknown:?}");
    assert_eq!(binds(&stage, "zoë", "demo-zoë").await, 51);
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 51);
    let changed = modify_password(&mut agent, Some(&entry_dn("alice")), None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    // The old one is now wrong, and counts like any other.
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 49);
    assert_eq!(
        binds(&stage, "bob", "demo-bob").await,
        51,
        "nobody else's is touched"
    );
    let changed = modify_password(&mut bob, None, None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "bob", NEW).await, 0);
}

#[tokio::test]
async fn a_missing_flow_is_looked_for_where_authentik_has_it() {
    let stage = stage(directory("direct", recommended()), "self", &[]).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    stage
        .simulator
        .edit(|directory| directory.flows.remove(PASSWORD_CHANGE));
    let refused = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert_eq!(refused.code, 53, "{refused:?}");
    for words in [
        "\"default-password-change\"",
        "configuration flow",
        "password stage of the brand's authentication flow",
    ] {
        assert!(refused.message.contains(words), "{refused:?}");
    }
    assert!(!refused.message.contains("provider"), "{refused:?}");
}

#[tokio::test]
async fn what_strangers_or_others_ask_hides_no_attempt_of_an_account() {
    let (log, _guard) = Log::listen();
    let stage = stage(directory("direct", recommended()), "self-and-agents", &[]).await;
    let records = |who: &str| {
        let text = log.text();
        let lines = text.lines();
        lines
            .filter(|line| line.contains("password change refused") && line.contains(who))
            .count()
    };
    let mut stranger = client(&stage).await;
    for _ in 0..40 {
        let refused = modify_password(&mut stranger, Some("u:alice"), None, Some(NEW)).await;
        assert_eq!(refused.code, 50);
    }
    assert_eq!(records("bindDN=\"\""), 20, "strangers' are counted");
    // One account tries many others' names, which are counted together.
    let mut bob = bound(&stage, "bob", "demo-bob").await;
    for username in ["alice", "zoë"].repeat(20) {
        let refused = modify_password(&mut bob, Some(&entry_dn(username)), None, Some(NEW)).await;
        assert_eq!(refused.code, 50);
    }
    assert_eq!(records("bindDN=\"cn=bob"), 20);
    // An agent asks for many, and one of them hides no other.
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    for _ in 0..40 {
        let refused = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some("short")).await;
        assert_eq!(refused.code, 19);
    }
    assert_eq!(records("bindDN=\"cn=ldapservice"), 20);
    let refused = modify_password(&mut agent, Some(&entry_dn("alice")), None, Some("short")).await;
    assert_eq!(refused.code, 19);
    assert_eq!(records("bindDN=\"cn=ldapservice"), 21);
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let refused = modify_password(&mut alice, None, Some("wrong"), Some(NEW)).await;
    assert_eq!(refused.code, 49);
    assert_eq!(records("bindDN=\"cn=alice"), 1);
    // What was counted is reported with who asked, and about whom an agent asked.
    stage.server.outpost().tell_all_repeated();
    let text = log.text();
    let told: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("further password changes refused"))
        .collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    let pk = |username: &str| stage.simulator.user_pk(username).unwrap();
    let (bob, agent) = (pk("bob"), pk("ldapservice"));
    for parts in [
        vec!["repeated=20".to_owned(), format!("user={bob} ")],
        vec![
            format!("user={agent} "),
            format!("target={bob} "),
            "repeated=20".to_owned(),
        ],
    ] {
        let all_in = |line: &&&str| parts.iter().all(|part| line.contains(part));
        assert!(told.iter().any(|line| all_in(&line)), "{parts:?}: {told:#?}");
    }
}

/// What authentik answers to a prompt that it does not take.
fn objection(code: &'static str) -> Fault {
    let body = match code {
        "blank" => {
            r#"{"component":"ak-stage-prompt","fields":[],"response_errors":{"password":[{"string":"This field may not be blank.","code":"blank"}]}}"#
        }
        _ => {
            r#"{"component":"ak-stage-prompt","fields":[],"response_errors":{"non_field_errors":[{"string":"Passwords don't match.","code":"invalid"}]}}"#
        }
    };
    Fault::Answer(200, "application/json", body)
}

#[tokio::test]
async fn each_failure_has_a_code_of_its_own() {
    let stage = stage(
        directory("direct", recommended()),
        "self",
        &[("REQUEST_TIMEOUT", "1s")],
    )
    .await;
    let throttled = "{\"detail\":\"Request was throttled.\"}";
    for (path, method, fault, code, words) in [
        (CHANGE, Method::POST, objection("blank"), 21, "may not be blank"),
        (CHANGE, Method::POST, objection("invalid"), 1, "don't match"),
        ("/user_settings/", Method::GET, Fault::Hang, 3, "took too long"),
        ("/user_settings/", Method::GET, Fault::Reset, 52, "at the moment"),
        ("/configure/", Method::GET, Fault::BadGateway, 52, "at the moment"),
        (
            "/user_settings/",
            Method::GET,
            Fault::Answer(429, "application/json", throttled),
            51,
            "no further requests",
        ),
        (CHANGE, Method::GET, Fault::NotFound, 53, "has no flow"),
        (CHANGE, Method::POST, Fault::Hang, 80, SENTENCE),
    ] {
        let mut alice = bound(&stage, "alice", "demo-alice").await;
        let rule = Rule::new(path, fault.clone()).method(method);
        let rule = stage.simulator.faults().add(rule);
        let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
        stage.simulator.faults().remove(rule);
        assert_eq!(changed.code, code, "{path} {fault:?}: {changed:?}");
        assert!(changed.message.contains(words), "{path} {fault:?}: {changed:?}");
        assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
    }
    // The login that proves the old one is part of a change.
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let rule = stage
        .simulator
        .faults()
        .add(Rule::new("/flows/executor/binds/", Fault::Hang));
    let changed = modify_password(&mut alice, None, Some("demo-alice"), Some(NEW)).await;
    stage.simulator.faults().remove(rule);
    assert_eq!(changed.code, 3, "{changed:?}");
    // authentik itself compares the fields of a flow that has one for the old password and one for the new, and not those of one that
    // has a third.
    let mut bob = bound(&stage, "bob", "demo-bob").await;
    let ask_for = |keys: &[&str]| {
        let field = |key: &&str| ((*key).to_owned(), (*key).to_owned(), "password".to_owned());
        let fields = NewPassword {
            fields: keys.iter().map(field).collect(),
            ..NewPassword::default()
        };
        stage.simulator.edit(|directory| {
            let flow = Flow::password_change(fields);
            directory.flows.insert(PASSWORD_CHANGE.into(), flow)
        });
    };
    ask_for(&["old_password", "password"]);
    let changed = modify_password(&mut bob, None, Some("demo-bob"), Some(NEW)).await;
    assert!(
        changed.code == 1 && changed.message.contains("don't match"),
        "{changed:?}"
    );
    let changed = modify_password(&mut bob, None, None, Some(NEW)).await;
    assert!(
        changed.code == 50 && changed.message.contains("old password"),
        "{changed:?}"
    );
    assert_eq!(binds(&stage, "bob", "demo-bob").await, 0);
    ask_for(&["old_password", "password", "password_repeat"]);
    let changed = modify_password(&mut bob, None, Some("demo-bob"), Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "bob", NEW).await, 0);
}
