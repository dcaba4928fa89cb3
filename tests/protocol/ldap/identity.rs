//! Who a connection acts as: after any sequence of messages, the user of the last bind answered with 0, with no bind
//! request, StartTLS or withdrawal by authentik since.

use std::sync::LazyLock;

use ldap3_proto::proto::LdapOp;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

use crate::ldap::tls;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, SUFFIX, Stage, entry_dn, eventually, user_dn};

const USERS: [&str; 2] = ["alice", "bob"];

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let mut octets = vec![tag];
    match u8::try_from(contents.len()) {
        Ok(length @ 0..0x80) => octets.push(length),
        _ => octets.extend([0x82, (contents.len() >> 8) as u8, contents.len() as u8]),
    }
    octets.extend_from_slice(contents);
    octets
}

fn text(text: &str) -> Vec<u8> {
    element(0x04, text.as_bytes())
}

/// An unknown control, critical.
fn unknown_control() -> Vec<u8> {
    let control = element(0x30, &[text("1.2.3.4.5"), element(0x01, &[0xff])].concat());
    element(0xa0, &control)
}

fn bind(version: u8, name: &str, authentication: &[u8]) -> Vec<u8> {
    element(
        0x60,
        &[&[0x02, 0x01, version], text(name).as_slice(), authentication].concat(),
    )
}

fn simple(name: &str, password: &str) -> Vec<u8> {
    bind(3, name, &element(0x80, password.as_bytes()))
}

/// What a client may do. The numbers choose among [`USERS`].
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The right password.
    Bind(usize),
    WrongPassword(usize),
    EmptyPassword(usize),
    Anonymous,
    OutsideTree,
    NotAName,
    Version2(usize),
    Sasl,
    UnknownAuthentication(usize),
    /// The right password under an unknown critical control.
    CriticalControl(usize),
    /// A bind whose envelope is sound and whose contents are not, in several ways.
    Malformed(usize),
    /// A bind whose controls are not controls.
    MalformedControls(usize),
    StartTls,
    Search,
    SearchUnderCriticalControl,
    MalformedSearch,
    Compare,
    Modify,
    Abandon,
    AbandonUnderCriticalControl,
    /// authentik ends the session of whoever is bound.
    EndSession,
    /// authentik deactivates whoever is bound, for a while.
    Deactivate,
    /// The client says goodbye and comes back.
    Unbind,
}

impl Step {
    fn any() -> impl Strategy<Value = Self> {
        let who = 0..USERS.len();
        prop_oneof![
            8 => who.clone().prop_map(Self::Bind),
            1 => who.clone().prop_map(Self::WrongPassword),
            1 => who.clone().prop_map(Self::EmptyPassword),
            1 => Just(Self::Anonymous),
            1 => Just(Self::OutsideTree),
            1 => Just(Self::NotAName),
            1 => who.clone().prop_map(Self::Version2),
            1 => Just(Self::Sasl),
            1 => who.clone().prop_map(Self::UnknownAuthentication),
            2 => who.clone().prop_map(Self::CriticalControl),
            2 => (0..4usize).prop_map(Self::Malformed),
            1 => who.prop_map(Self::MalformedControls),
            1 => Just(Self::StartTls),
            1 => Just(Self::Search),
            1 => Just(Self::SearchUnderCriticalControl),
            1 => Just(Self::MalformedSearch),
            1 => Just(Self::Compare),
            1 => Just(Self::Modify),
            1 => Just(Self::Abandon),
            1 => Just(Self::AbandonUnderCriticalControl),
            1 => Just(Self::EndSession),
            1 => Just(Self::Deactivate),
            1 => Just(Self::Unbind),
        ]
    }

    /// The protocolOp and controls to send; `None` for what is not a plain message.
    fn octets(self) -> Option<Vec<u8>> {
        let user = |who: usize| user_dn(USERS[who]);
        let right = |who: usize| simple(&user(who), &format!("demo-{}", USERS[who]));
        Some(match self {
            Self::Bind(who) => right(who),
            Self::WrongPassword(who) => simple(&user(who), "wrong"),
            Self::EmptyPassword(who) => simple(&user(who), ""),
            Self::Anonymous => simple("", ""),
            Self::OutsideTree => simple("cn=alice,dc=example,dc=com", "demo-alice"),
            Self::NotAName => simple("alice\"=", "demo-alice"),
            Self::Version2(who) => bind(2, &user(who), &element(0x80, b"demo-alice")),
            Self::Sasl => bind(3, "", &element(0xa3, &text("EXTERNAL"))),
            Self::UnknownAuthentication(who) => bind(3, &user(who), &element(0x85, b"x")),
            Self::CriticalControl(who) => [right(who), unknown_control()].concat(),
            Self::Malformed(0) => element(0x60, &[]),
            Self::Malformed(1) => element(0x60, &[0x02, 0x01, 0x03]),
            Self::Malformed(2) => bind(
                3,
                &user_dn("alice"),
                &[element(0x80, b"x"), text("more")].concat(),
            ),
            Self::Malformed(_) => element(0x60, &[0x04, 0x01, 0x03, 0x04, 0x7f]),
            Self::MalformedControls(who) => [right(who), element(0xa0, &[0x02, 0x01, 0x01])].concat(),
            Self::Search => search(&element(0x87, b"objectClass")),
            Self::SearchUnderCriticalControl => {
                [search(&element(0x87, b"objectClass")), unknown_control()].concat()
            }
            Self::MalformedSearch => search(&element(0x8f, b"x")),
            Self::Compare => element(
                0x6e,
                &[text(BASE), element(0x30, &[text("dc"), text("ldap")].concat())].concat(),
            ),
            Self::Modify => element(0x66, &[text(BASE), element(0x30, &[])].concat()),
            Self::Abandon => element(0x50, &[0x05]),
            Self::AbandonUnderCriticalControl => [element(0x50, &[0x05]), unknown_control()].concat(),
            Self::StartTls | Self::EndSession | Self::Deactivate | Self::Unbind => return None,
        })
    }
}

fn search(filter: &[u8]) -> Vec<u8> {
    let limits = [0x0a, 1, 0, 0x0a, 1, 0, 0x02, 1, 0, 0x02, 1, 0, 0x01, 1, 0];
    element(
        0x63,
        &[text(BASE).as_slice(), &limits, filter, &element(0x30, &[])].concat(),
    )
}

fn message(id: u8, operation: &[u8]) -> Vec<u8> {
    element(0x30, &[&[0x02, 0x01, id], operation].concat())
}

fn who_am_i(id: u8) -> Vec<u8> {
    message(id, &element(0x77, &element(0x80, b"1.3.6.1.4.1.4203.1.11.3")))
}

/// Sends a step together with a "who am I", and takes the answers: the code of the bind, if it was one, and
/// the name.
async fn ask(client: &mut Client, step: &[u8]) -> (Option<i32>, String) {
    client.send_raw(&[message(7, step), who_am_i(9)].concat()).await;
    let mut code = None;
    loop {
        let answer = client.receive().await.expect("the connection stays open");
        match answer.op {
            LdapOp::BindResponse(response) if answer.msgid == 7 => code = Some(response.res.code as i32),
            LdapOp::ExtendedResponse(response) if answer.msgid == 9 => {
                let name = String::from_utf8(response.value.unwrap_or_default()).unwrap();
                return (code, name);
            }
            _ if answer.msgid == 7 => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ended(client: &mut Client) {
    while client.receive().await.is_some() {}
}

async fn run(stage: &Stage, steps: &[Step]) {
    let mut client = stage.client().await;
    let (mut expected, mut secure) = (None, false);
    for (number, &step) in steps.iter().enumerate() {
        let told = || format!("step {number} of {steps:?}");
        let pk = expected.map(|who: usize| stage.simulator.user_pk(USERS[who]).unwrap());
        match (step.octets(), step, pk) {
            (Some(octets), ..) => {
                let (code, name) = ask(&mut client, &octets).await;
                if let Some(code) = code {
                    assert_eq!(
                        code == 0,
                        matches!(step, Step::Bind(_) | Step::Anonymous),
                        "{}",
                        told()
                    );
                    expected = None;
                }
                if let Step::Bind(who) = step {
                    expected = Some(who);
                }
                let wanted = expected.map_or(String::new(), |who| format!("dn:{}", entry_dn(USERS[who])));
                assert_eq!(name, wanted, "{}", told());
                continue;
            }
            (None, Step::StartTls, _) if !secure => {
                client = tls::start_tls(client).await;
                (expected, secure) = (None, true);
            }
            (None, Step::EndSession, Some(pk)) => {
                stage.simulator.end_sessions_of(pk);
                ended(&mut client).await;
                client = stage.client().await;
                (expected, secure) = (None, false);
            }
            (None, Step::Deactivate, Some(pk)) => {
                stage.simulator.set_active(pk, false);
                stage.refresh().await;
                ended(&mut client).await;
                stage.simulator.set_active(pk, true);
                stage.refresh().await;
                client = stage.client().await;
                (expected, secure) = (None, false);
            }
            (None, Step::Unbind, _) => {
                client.send_raw(&message(7, &element(0x42, &[]))).await;
                ended(&mut client).await;
                client = stage.client().await;
                (expected, secure) = (None, false);
            }
            _ => {}
        }
        let wanted = expected.map_or(String::new(), |who| format!("dn:{}", entry_dn(USERS[who])));
        assert_eq!(client.who_am_i().await, wanted, "{}", told());
    }
}

/// Runs generated sequences against providers of a bind mode.
fn check(mode: &str, cases: u32) {
    let runtime = Runtime::new().unwrap();
    let stage = runtime.block_on(async {
        let mut directory = tls::with_certificate(akldap_simulator::Directory::sample(0, 0), "p256");
        for provider in directory.providers.values_mut() {
            provider.bind_mode = mode.to_owned();
        }
        let stage = Stage::with(directory, |_| {}).await;
        eventually("the websocket is there", || stage.simulator.websockets() > 0).await;
        stage
    });
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 40,
        ..Config::default()
    };
    let steps = prop::collection::vec(Step::any(), 1..16);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        runtime.block_on(run(&stage, &steps));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn identity_is_that_of_the_last_good_bind_in_cached_mode() {
    check("cached", 60);
}

#[test]
fn identity_is_that_of_the_last_good_bind_in_direct_mode() {
    check("direct", 25);
}

#[tokio::test]
async fn a_bind_that_is_refused_unjudged_ends_the_identity_too() {
    let stage = Stage::sample().await;
    for (step, code) in [
        (Step::CriticalControl(0), 12),
        (Step::Malformed(0), 2),
        (Step::Malformed(1), 2),
        (Step::Malformed(2), 2),
        (Step::Malformed(3), 2),
        (Step::MalformedControls(0), 2),
        (Step::Version2(0), 2),
        (Step::Sasl, 7),
        (Step::EmptyPassword(0), 53),
    ] {
        let mut client = stage.bound("alice").await;
        assert_eq!(
            ask(&mut client, &step.octets().unwrap()).await,
            (Some(code), String::new()),
            "{step:?}"
        );
        assert_eq!(client.read(SUFFIX, &["1.1"]).await.outcome.code, 50);
    }
}

/// RFC 4511 section 4.1.11: criticality has no meaning for unbind and abandon.
#[tokio::test]
async fn unbind_and_abandon_are_carried_out_under_critical_controls() {
    static UNBINDS: LazyLock<[Vec<u8>; 3]> = LazyLock::new(|| {
        [
            [element(0x42, &[]), unknown_control()].concat(),
            // Controls that are not controls.
            [element(0x42, &[]), element(0xa0, &[0x02, 0x01, 0x01])].concat(),
            [element(0x42, &[]), text("more")].concat(),
        ]
    });
    let stage = Stage::sample().await;
    for unbind in &*UNBINDS {
        let mut client = stage.bound("alice").await;
        client.send_raw(&[message(7, unbind), who_am_i(9)].concat()).await;
        assert!(
            client.receive().await.is_none(),
            "the connection ends without a word"
        );
    }
    let mut client = stage.bound("ldapservice").await;
    let everything = [
        text(BASE).as_slice(),
        &[0x0a, 1, 2, 0x0a, 1, 0, 0x02, 1, 0, 0x02, 1, 0, 0x01, 1, 0],
        &element(0x87, b"objectClass"),
        &element(0x30, &[]),
    ]
    .concat();
    let abandon = [element(0x50, &[7]), unknown_control()].concat();
    // Enough searches that the last ones cannot be answered before the abandon is read.
    let mut octets = Vec::new();
    for _ in 0..60 {
        octets.extend(message(6, &element(0x63, &everything)));
    }
    octets.extend(message(7, &element(0x63, &everything)));
    octets.extend(message(8, &abandon));
    octets.extend(who_am_i(9));
    client.send_raw(&octets).await;
    let (mut others, mut asked) = (0, false);
    while others < 60 || !asked {
        let answer = client.receive().await.unwrap();
        match answer.op {
            LdapOp::SearchResultDone(_) => {
                assert_eq!(answer.msgid, 6, "an abandoned search has no result");
                others += 1;
            }
            LdapOp::ExtendedResponse(_) => asked = true,
            _ => assert!(
                matches!(answer.msgid, 6 | 7),
                "the abandon has no answer: {answer:?}"
            ),
        }
    }
    assert_eq!(client.who_am_i().await, format!("dn:{}", entry_dn("ldapservice")));
}
