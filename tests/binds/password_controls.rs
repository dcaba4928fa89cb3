//! The password policy control as octets, in binds and in changes; the requests of Keycloak 26, which asks for it in every bind; and
//! who is believed that a client spoke TLS.

use akldap_simulator::{Flow, NewPassword, PASSWORD_CHANGE, Stage as FlowStage, StageBinding};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use akldap_testing::certificates::{pair, serving};
use akldap_testing::client::Stream;
use akldap_testing::passwords::{binds, bound, client, modify_password, stage};
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::{Stage, entry_dn, user_dn};

const NEW: &str = "a new passphrase";
const POLICY: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";
const PASSWORD_MODIFY: &[u8] = b"1.3.6.1.4.1.4203.1.11.1";

/// An element of these parts.
fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let mut out = vec![tag];
    match contents.len() {
        short @ 0..=127 => out.push(u8::try_from(short).unwrap()),
        long => out.extend([
            0x82,
            u8::try_from(long >> 8).unwrap(),
            u8::try_from(long & 255).unwrap(),
        ]),
    }
    out.extend(contents);
    out
}

fn text(tag: u8, text: &[u8]) -> Vec<u8> {
    element(tag, &[text])
}

/// A control as it is asked for: without a value, or with an empty one, as Keycloak sends it.
fn asked(value: Option<&[u8]>) -> Vec<u8> {
    let value = value.map(|value| text(0x04, value)).unwrap_or_default();
    element(0xa0, &[&element(0x30, &[&text(0x04, POLICY), &value])])
}

/// How a response that says this about a policy ends.
fn told(value: &[u8]) -> Vec<u8> {
    let control = element(0x30, &[&text(0x04, POLICY), &text(0x04, value)]);
    element(0xa0, &[&control])
}

fn bind(username: &str, password: &str, controls: &[u8]) -> Vec<u8> {
    let name = text(0x04, user_dn(username).as_bytes());
    let request = element(0x60, &[&[2, 1, 3], &name, &text(0x80, password.as_bytes())]);
    element(0x30, &[&[2, 1, 1], &request, controls])
}

fn change(parts: &[(u8, &[u8])], controls: &[u8]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = parts.iter().map(|(tag, part)| text(*tag, part)).collect();
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    let value = text(0x81, &element(0x30, &parts));
    let request = element(0x77, &[&text(0x80, PASSWORD_MODIFY), &value]);
    element(0x30, &[&[2, 1, 2], &request, controls])
}

/// A replace of a password.
fn replace(dn: &str, values: &[&[u8]], controls: &[u8]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| text(0x04, value)).collect();
    let attribute = element(0x30, &[&text(0x04, b"userPassword"), &element(0x31, &[&values])]);
    let changes = element(0x30, &[&element(0x30, &[&[10, 1, 2], &attribute])]);
    let request = element(0x66, &[&text(0x04, dn.as_bytes()), &changes]);
    element(0x30, &[&[2, 1, 2], &request, controls])
}

/// Sends a request and reads one response: its result code and its octets.
async fn exchange(stream: &mut Box<dyn Stream>, request: &[u8]) -> (u8, Vec<u8>) {
    stream.write_all(request).await.unwrap();
    stream.flush().await.unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[0], 0x30);
    let length = match head[1] {
        0x81 => usize::from(stream.read_u8().await.unwrap()),
        0x82 => usize::from(stream.read_u16().await.unwrap()),
        short => usize::from(short),
    };
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await.unwrap();
    // messageID, then the operation with its length, then resultCode ENUMERATED.
    let at = message.windows(2).position(|octets| octets == [0x0a, 1]).unwrap();
    (message[at + 2], message)
}

async fn raw(stage: &Stage) -> Box<dyn Stream> {
    client(stage).await.into_stream()
}

/// A server whose flow continues like this when the password is right.
async fn after_the_password(last: FlowStage) -> Stage {
    let stages = vec![
        FlowStage::identification_with_password(),
        last,
        FlowStage::login(),
    ];
    stage(directory("direct", stages), "self", &[]).await
}

#[tokio::test]
async fn a_bind_is_told_what_authentik_said_of_the_password_and_nothing_else() {
    let deny = |message: &str| FlowStage::Deny {
        message: message.to_owned(),
    };
    let expired = "Password expired 3 days ago. Please update your password.";
    let new = FlowStage::NewPassword(NewPassword::default());
    for (last, right, wrong) in [
        (deny(expired), &[0x30, 3, 0x81, 1, 0][..], &[0x30, 0][..]),
        (new, &[0x30, 3, 0x81, 1, 2], &[0x30, 0]),
        (
            deny("This account is locked."),
            &[0x30, 3, 0x81, 1, 1],
            &[0x30, 0],
        ),
        (deny("Not today."), &[0x30, 0], &[0x30, 0]),
    ] {
        let stage = after_the_password(last).await;
        for (password, value) in [("demo-alice", right), ("wrong", wrong)] {
            let mut stream = raw(&stage).await;
            let (code, response) = exchange(&mut stream, &bind("alice", password, &asked(None))).await;
            assert_eq!(code, 49);
            let end = told(value);
            assert!(response.ends_with(&end), "{response:02x?} ends not in {end:02x?}");
        }
        let mut stream = raw(&stage).await;
        let (code, response) = exchange(&mut stream, &bind("nobody", "demo-alice", &asked(None))).await;
        assert!(
            code == 49 && response.ends_with(&told(&[0x30, 0])),
            "nothing for strangers: {response:02x?}"
        );
        // Whoever does not ask is not told.
        let mut stream = raw(&stage).await;
        let (_, response) = exchange(&mut stream, &bind("alice", "demo-alice", &[])).await;
        assert!(!response.windows(POLICY.len()).any(|octets| octets == POLICY));
    }
}

#[tokio::test]
async fn a_refusal_because_of_a_lock_says_so_whatever_the_password() {
    let locked = "Your account has been locked.".to_owned();
    let stages = vec![
        FlowStage::Deny { message: locked },
        FlowStage::identification_with_password(),
        FlowStage::login(),
    ];
    let stage = stage(directory("direct", stages), "self", &[]).await;
    let mut stream = raw(&stage).await;
    let (code, response) = exchange(&mut stream, &bind("alice", "x", &asked(None))).await;
    assert!(
        code == 49 && response.ends_with(&told(&[0x30, 3, 0x81, 1, 1])),
        "{response:02x?}"
    );
}

#[tokio::test]
async fn each_answer_to_a_change_has_the_control_where_it_is_asked_for() {
    let stage = stage(directory("direct", recommended()), "self", &[]).await;
    let dn = entry_dn("alice");
    let (none, quality, short, forbidden) = (
        &[0x30, 0][..],
        &[0x30, 3, 0x81, 1, 5][..],
        &[0x30, 3, 0x81, 1, 6][..],
        &[0x30, 3, 0x81, 1, 3][..],
    );
    let asked = asked(None);
    let hash = b"{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";
    let long = [b'x'; 1025];
    let bob = entry_dn("bob");
    let requests = [
        (change(&[(0x82, b"short")], &asked), 19, short),
        (change(&[(0x82, hash)], &asked), 19, quality),
        (change(&[(0x82, &long)], &asked), 19, quality),
        (change(&[(0x82, b" blank")], &asked), 19, quality),
        (change(&[(0x82, b"")], &asked), 21, quality),
        (change(&[(0x82, b"\xff\xfe")], &asked), 21, quality),
        (
            change(&[(0x80, bob.as_bytes()), (0x82, NEW.as_bytes())], &asked),
            50,
            forbidden,
        ),
        (
            change(&[(0x81, b"wrong"), (0x82, NEW.as_bytes())], &asked),
            49,
            none,
        ),
        (change(&[(0xa2, b"")], &asked), 2, none),
        (replace(&dn, &[b"one", b"two"], &asked), 19, none),
        (replace(&dn, &[hash], &asked), 19, quality),
        (replace(&dn, &[b"short"], &asked), 19, short),
        (replace(&dn, &[NEW.as_bytes()], &asked), 0, none),
    ];
    let mut stream = raw(&stage).await;
    assert_eq!(
        exchange(&mut stream, &bind("alice", "demo-alice", &[])).await.0,
        0
    );
    for (request, code, value) in requests {
        let (found, response) = exchange(&mut stream, &request).await;
        assert_eq!(found, code, "{response:02x?}");
        assert!(
            response.ends_with(&told(value)),
            "{response:02x?} ends not in {:02x?}",
            told(value)
        );
    }
    // Before a bind, and in clear.
    let mut stream = raw(&stage).await;
    let request = change(&[(0x82, NEW.as_bytes())], &asked);
    let (code, response) = exchange(&mut stream, &request).await;
    assert!(
        code == 50 && response.ends_with(&told(forbidden)),
        "{response:02x?}"
    );
    let mut stream = stage.client().await.into_stream();
    let (code, response) = exchange(&mut stream, &request).await;
    assert!(code == 13 && response.ends_with(&told(none)), "{response:02x?}");
}

/// What authentik's flow says about a change, in the control.
#[tokio::test]
async fn what_the_flow_holds_against_a_change_has_a_value_of_its_own() {
    let stage = stage(directory("direct", recommended()), "self", &[]).await;
    let unique = NewPassword {
        unique: true,
        ..NewPassword::default()
    };
    let deny = FlowStage::Deny {
        message: "Ask the help desk.".to_owned(),
    };
    let plain = || FlowStage::NewPassword(NewPassword::default());
    for (stages, new, code, error) in [
        // passwordInHistory, mustSupplyOldPassword, passwordModNotAllowed.
        (
            vec![FlowStage::NewPassword(unique), FlowStage::UserWrite],
            "demo-alice",
            19,
            8,
        ),
        (
            vec![FlowStage::password(), plain(), FlowStage::UserWrite],
            NEW,
            50,
            4,
        ),
        (vec![deny], NEW, 50, 3),
    ] {
        stage.simulator.edit(|directory| {
            let mut flow = Flow::password_change(NewPassword::default());
            flow.stages = stages.into_iter().map(StageBinding::new).collect();
            directory.flows.insert(PASSWORD_CHANGE.into(), flow);
        });
        let mut stream = raw(&stage).await;
        let (bound, _) = exchange(&mut stream, &bind("alice", "demo-alice", &[])).await;
        assert_eq!(bound, 0);
        let request = change(&[(0x82, new.as_bytes())], &asked(None));
        let (found, response) = exchange(&mut stream, &request).await;
        assert_eq!(found, code, "{response:02x?}");
        let end = told(&[0x30, 3, 0x81, 1, error]);
        assert!(response.ends_with(&end), "{response:02x?} ends not in {end:02x?}");
        // Who does not ask is not told.
        let request = change(&[(0x82, new.as_bytes())], &[]);
        let (found, response) = exchange(&mut stream, &request).await;
        assert_eq!(found, code);
        assert!(!response.windows(POLICY.len()).any(|octets| octets == POLICY));
    }
    assert_eq!(binds(&stage, "alice", "demo-alice").await, 0);
}

/// Keycloak 26 binds people with the control, not critical, with an empty value or, since it has an option for that, without one, on a
/// connection of their own; its service account changes their passwords by the extended operation, together with the
/// control for referrals, or by a replace.
#[tokio::test]
async fn keycloaks_requests_are_answered() {
    let stage = stage(directory("cached", recommended()), "self-and-agents", &[]).await;
    for value in [Some(&b""[..]), None] {
        for (password, code) in [("demo-alice", 0), ("wrong", 49)] {
            let mut stream = raw(&stage).await;
            let (found, response) = exchange(&mut stream, &bind("alice", password, &asked(value))).await;
            assert_eq!(found, code);
            assert!(response.ends_with(&told(&[0x30, 0])), "{response:02x?}");
        }
    }
    let referrals = element(
        0xa0,
        &[&element(0x30, &[&text(0x04, b"2.16.840.1.113730.3.4.2")])],
    );
    let mut service = raw(&stage).await;
    let (code, _) = exchange(&mut service, &bind("ldapservice", "demo-ldapservice", &[])).await;
    assert_eq!(code, 0);
    let alice = entry_dn("alice");
    let request = change(&[(0x80, alice.as_bytes()), (0x82, NEW.as_bytes())], &referrals);
    let (code, response) = exchange(&mut service, &request).await;
    assert_eq!(code, 0, "{response:02x?}");
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
    let request = replace(&alice, &[b"and another one"], &referrals);
    let (code, response) = exchange(&mut service, &request).await;
    assert_eq!(code, 0, "{response:02x?}");
    assert_eq!(binds(&stage, "alice", "and another one").await, 0);
    // What else Keycloak writes, in its mode WRITABLE, is refused.
    let mut stream = raw(&stage).await;
    assert_eq!(
        exchange(&mut stream, &bind("ldapservice", "demo-ldapservice", &[]))
            .await
            .0,
        0
    );
    let mail = element(
        0x30,
        &[&text(0x04, b"mail"), &element(0x31, &[&text(0x04, b"a@x")])],
    );
    let changes = element(0x30, &[&element(0x30, &[&[10, 1, 2], &mail])]);
    let request = element(0x66, &[&text(0x04, alice.as_bytes()), &changes]);
    let request = element(0x30, &[&[2, 1, 2], &request, &referrals]);
    assert_eq!(exchange(&mut stream, &request).await.0, 50);
}

#[tokio::test]
async fn nothing_of_it_is_there_where_passwords_are_not_changed() {
    let stage = stage(directory("direct", recommended()), "off", &[]).await;
    let mut stream = raw(&stage).await;
    let (code, response) = exchange(&mut stream, &bind("alice", "demo-alice", &asked(None))).await;
    assert_eq!(code, 0);
    assert!(!response.windows(POLICY.len()).any(|octets| octets == POLICY));
    // As in the requests of SSSD and Keycloak it is not critical; where it is, it is not known.
    let critical = element(0xa0, &[&element(0x30, &[&text(0x04, POLICY), &[0x01, 1, 0xff]])]);
    let (code, _) = exchange(&mut stream, &bind("alice", "demo-alice", &critical)).await;
    assert_eq!(code, 12);
}

/// A PROXY header of version 2 with PP2_TYPE_SSL: whether the client spoke TLS to the proxy.
fn proxy_header(tls: bool) -> Vec<u8> {
    let mut octets = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    octets.extend([
        0x21,
        0x11,
        0,
        12 + 8,
        192,
        0,
        2,
        8,
        127,
        0,
        0,
        1,
        0x13,
        0x88,
        1,
        0x85,
    ]);
    octets.extend([0x20, 0, 5, u8::from(tls), 0, 0, 0, 1]);
    octets
}

#[tokio::test]
async fn tls_to_a_proxy_that_was_named_is_tls_and_nobody_elses_word_is() {
    let named = "127.0.0.1/32";
    for (trusted, tls, code) in [
        (Some(named), Some(true), 0),
        (Some(named), Some(false), 13),
        // The header of version 1 says nothing about TLS.
        (Some(named), None, 13),
        // By default the loopback address may name clients; it was not chosen for that.
        (None, Some(true), 13),
    ] {
        let sample = serving(directory("direct", recommended()), pair("p256"));
        let stage = Stage::with(sample, |settings| {
            settings.set("AUTHENTIK_LDAP__PASSWORD_CHANGE", "self");
            if let Some(trusted) = trusted {
                settings.set("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", trusted);
            }
        })
        .await;
        stage.flow_known().await;
        let mut client = stage.client().await;
        let header = match tls {
            Some(tls) => proxy_header(tls),
            None => b"PROXY TCP4 192.0.2.8 127.0.0.1 5000 389\r\n".to_vec(),
        };
        client.send_raw(&header).await;
        assert_eq!(client.bind(&user_dn("alice"), "demo-alice").await.code, 0);
        let changed = modify_password(&mut client, None, None, Some(NEW)).await;
        assert_eq!(changed.code, code, "{trusted:?} {tls:?}: {changed:?}");
        drop(bound(&stage, "alice", if code == 0 { NEW } else { "demo-alice" }).await);
    }
}
