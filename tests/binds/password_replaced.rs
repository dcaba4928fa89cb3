//! Answers of authentik in whose place something between gives another, answers that repeat what was sent, and names that mean nobody
//! or several.

use akldap_simulator::{Fault, Rule, When};
use ldap3_proto::proto::{LdapModifyType, LdapOp};
use reqwest::Method;

use akldap_testing::captured_log::Log;
use akldap_testing::http::get;
use akldap_testing::passwords::{binds, bound, modify, modify_password, stage};
use akldap_testing::scenery::{directory, recommended};
use akldap_testing::stage::{Stage, entry_dn};

const NEW: &str = "a new passphrase";
const SENTENCE: &str = "may or may not have been changed: try to bind with the new one";
/// The flow that changes passwords.
const CHANGE: &str = "/executor/default-password-change/";
const JSON: &str = "application/json";
const HTML: &str = "text/html";

async fn direct() -> Stage {
    stage(directory("direct", recommended()), "self-and-agents", &[]).await
}

#[tokio::test]
async fn what_is_not_authentiks_verdict_says_nothing_about_an_agents_change() {
    let page = "<h1>No</h1>";
    let answers = [
        (400, HTML, page),
        (400, JSON, ""),
        (400, JSON, "{}"),
        (400, JSON, "{\"blocked\":true}"),
        (403, HTML, page),
        (403, JSON, "{\"error\":\"blocked\"}"),
        (404, HTML, page),
        (413, HTML, page),
        (429, HTML, page),
        (429, JSON, "{\"detail\":\"Request was throttled.\"}"),
        (499, HTML, ""),
    ];
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let bob = Some(entry_dn("bob"));
    for (number, (status, kind, body)) in answers.into_iter().enumerate() {
        let rule = Rule::new("/set_password/", Fault::Replaced(status, kind, body));
        let rule = stage.simulator.faults().add(rule);
        let new = format!("{NEW} {number}");
        let changed = modify_password(&mut agent, bob.as_deref(), None, Some(&new)).await;
        assert_eq!(changed.code, 0, "{status} {body:?}: {changed:?}");
        assert_eq!(binds(&stage, "bob", &new).await, 0);
        stage.simulator.faults().remove(rule);
    }
    // The same where authentik has heard of none: that cannot be told either.
    for (status, kind, body) in answers {
        let rule = Rule::new("/set_password/", Fault::Answer(status, kind, body));
        let rule = stage.simulator.faults().add(rule);
        let changed = modify_password(&mut agent, bob.as_deref(), None, Some(NEW)).await;
        assert!(
            changed.code == 80 && changed.message.contains(SENTENCE),
            "{status} {body:?}: {changed:?}"
        );
        stage.simulator.faults().remove(rule);
    }
}

#[tokio::test]
async fn no_change_is_called_done_while_an_earlier_one_may_be_written_over_it() {
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let bob = Some(entry_dn("bob"));
    let lost = Rule::new("/set_password/", Fault::Reset).when(When::First(1));
    stage.simulator.faults().add(lost);
    let first = modify_password(&mut agent, bob.as_deref(), None, Some("the first one")).await;
    assert_eq!(first.code, 80, "{first:?}");
    for new in [Some(NEW), None] {
        let second = modify_password(&mut agent, bob.as_deref(), None, new).await;
        assert_eq!(second.code, 80, "{second:?}");
        match new {
            Some(new) => {
                assert!(second.message.contains(SENTENCE), "{second:?}");
                assert_eq!(binds(&stage, "bob", new).await, 0);
            }
            None => assert_eq!(binds(&stage, "bob", &second.generated().unwrap()).await, 0),
        }
    }
    // A refusal changes nothing, and is one.
    let refused = modify_password(&mut agent, bob.as_deref(), None, Some("short")).await;
    assert_eq!(refused.code, 19, "{refused:?}");
    // Nobody else's is concerned.
    let other = modify_password(&mut agent, Some(&entry_dn("alice")), None, Some(NEW)).await;
    assert_eq!(other.code, 0, "{other:?}");
}

#[tokio::test]
async fn errors_behind_a_redirect_are_not_about_the_new_password() {
    let stage = direct().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let objection = r#"{"component":"ak-stage-prompt","fields":[],"response_errors":{"password":[{"string":"No.","code":"invalid"}]}}"#;
    let written = Rule::new(CHANGE, Fault::Replaced(200, JSON, objection))
        .method(Method::GET)
        .when(When::After(1));
    stage.simulator.faults().add(written);
    let changed = modify_password(&mut alice, None, None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
    assert_eq!(binds(&stage, "alice", NEW).await, 0);
}

#[tokio::test]
async fn no_answer_that_repeats_a_password_takes_it_to_the_log() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);
    let stage = direct().await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    let new = "Sesame \"new\" <1>";
    for (status, kind, body) in [
        (500, JSON, r#"{"detail":"no: Sesame \"new\" <1>"}"#),
        (500, HTML, "<p>no: Sesame &quot;new&quot; &lt;1&gt;"),
        (502, HTML, r#"{"password":"Sesame \"new\" <1>"}"#),
        (400, JSON, r#"{"password":["not Sesame \"new\" <1>, please"]}"#),
        (403, JSON, r#"{"detail":"not Sesame \"new\" <1>, please"}"#),
    ] {
        let rule = Rule::new("/set_password/", Fault::Answer(status, kind, body));
        let rule = stage.simulator.faults().add(rule);
        let refused = modify_password(&mut agent, Some(&entry_dn("bob")), None, Some(new)).await;
        assert!(
            refused.code != 0 && !refused.message.contains("Sesame"),
            "{refused:?}"
        );
        stage.simulator.faults().remove(rule);
    }
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    for body in [
        r#"{"component":"ak-stage-prompt","fields":[],"response_errors":{"password":[{"string":"not Sesame \"new\" <1>","code":"invalid"}]}}"#,
        r#"{"component":"ak-stage-access-denied","error_message":"not Sesame \"new\" <1>"}"#,
        r#"{"component":"Sesame \"new\" <1>"}"#,
    ] {
        let rule = Rule::new(CHANGE, Fault::Answer(200, JSON, body)).method(Method::POST);
        let rule = stage.simulator.faults().add(rule);
        let refused = modify_password(&mut alice, None, None, Some(new)).await;
        assert!(
            refused.code != 0 && !refused.message.contains("Sesame"),
            "{refused:?}"
        );
        stage.simulator.faults().remove(rule);
    }
    let (_, metrics) = get(stage.http(), "/metrics").await;
    assert!(metrics.contains("stage=\"other\""));
    assert!(!metrics.contains("Sesame"));
    // In the logins that prove passwords: the old one without the code behind it, and the new one.
    let denied = r#"{"component":"ak-stage-access-denied","error_message":"not Sesame before"}"#;
    for (number, (status, kind, body, old)) in [
        (500, JSON, r#"{"detail":"no: Sesame before"}"#, true),
        (502, HTML, r#"{"password":"Sesame before"}"#, true),
        (200, JSON, denied, true),
        (500, JSON, r#"{"detail":"no: Sesame \"new\" <1>"}"#, false),
        (502, HTML, r#"{"password":"Sesame \"new\" <1>"}"#, false),
    ]
    .into_iter()
    .enumerate()
    {
        let rule = Rule::new("/flows/executor/binds/", Fault::Answer(status, kind, body));
        let rule = stage.simulator.faults().add(rule.method(Method::POST));
        let old = old.then(|| format!("Sesame before;12345{number}"));
        let refused = modify_password(&mut alice, None, old.as_deref(), Some(new)).await;
        assert!(
            refused.code != 0 && !refused.message.contains("Sesame"),
            "{refused:?}"
        );
        assert_eq!(refused.code == 80, old.is_none(), "{refused:?}");
        stage.simulator.faults().remove(rule);
    }
    let text = log.text();
    assert!(text.contains("[struck out]") && text.contains("running the flow again"));
    assert_eq!(text.lines().find(|line| line.contains("Sesame")), None);
}

#[tokio::test]
async fn a_password_in_the_place_of_the_user_is_not_recorded() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);
    let stage = direct().await;
    let mut plain = stage.bound("alice").await;
    let mut stranger = akldap_testing::passwords::client(&stage).await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    for client in [&mut plain, &mut stranger, &mut alice, &mut agent] {
        for name in [
            "Sesame-new",
            "u:Sesame-new",
            "Sesame=new",
            "dn:Sesame=new",
            "Sesame=\"new",
        ] {
            let refused = modify_password(client, Some(name), None, Some(NEW)).await;
            assert!([13, 32, 50].contains(&refused.code), "{refused:?}");
        }
    }
    let text = log.text();
    assert!(text.contains("targetName=\"nobody of that name\""), "{text}");
    assert_eq!(text.lines().find(|line| line.contains("Sesame")), None);
}

#[tokio::test]
async fn a_name_that_several_users_have_but_for_case_is_nobodys() {
    let mut sample = directory("direct", recommended());
    let mut twin = sample.user_named("bob").unwrap().clone();
    (twin.pk, twin.username) = (sample.next_user_pk(), "BOB".into());
    (twin.uid, twin.uuid) = ([7; 32], uuid::Uuid::from_u128(7));
    sample.add_user(twin);
    let stage = stage(sample, "self-and-agents", &[]).await;
    let mut agent = bound(&stage, "ldapservice", "demo-ldapservice").await;
    for name in ["u:Bob".to_owned(), "bOB".to_owned(), entry_dn("Bob")] {
        let refused = modify_password(&mut agent, Some(&name), None, Some(NEW)).await;
        assert!(
            refused.code == 34 && refused.message.contains("several users"),
            "{name}: {refused:?}"
        );
    }
    let refused = modify(
        &mut agent,
        &entry_dn("Bob"),
        &[(LdapModifyType::Replace, "userPassword", &[NEW])],
    )
    .await;
    assert_eq!(refused.code, 34, "{refused:?}");
    // Who sees nobody learns nothing.
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let refused = modify_password(&mut alice, Some("u:Bob"), None, Some(NEW)).await;
    assert_eq!(refused.code, 50, "{refused:?}");
    let changed = modify_password(&mut agent, Some("u:bob"), None, Some(NEW)).await;
    assert_eq!(changed.code, 0, "{changed:?}");
}

#[tokio::test]
async fn an_update_in_clear_that_may_hold_a_password_is_refused_as_such() {
    let stage = direct().await;
    let mut plain = stage.bound("alice").await;
    let mut secure = bound(&stage, "alice", "demo-alice").await;
    let (log, _guard) = Log::listen();
    for attribute in ["oid.2.5.4.35", "userPassword ", "unicodePwd"] {
        let change: (_, _, &[&str]) = (LdapModifyType::Replace, attribute, &[NEW]);
        for (client, code) in [(&mut plain, 13), (&mut secure, 50)] {
            let refused = modify(client, &entry_dn("alice"), std::slice::from_ref(&change)).await;
            assert_eq!(refused.code, code, "{attribute}: {refused:?}");
        }
    }
    for (client, code) in [(&mut plain, 13), (&mut secure, 50)] {
        let entry = ldap3_proto::proto::LdapAddRequest {
            dn: entry_dn("somebody"),
            attributes: vec![ldap3_proto::proto::LdapPartialAttribute {
                atype: "userPassword".to_owned(),
                vals: vec![NEW.into()],
            }],
        };
        client.send(LdapOp::AddRequest(entry), vec![]).await;
        let response = client.receive().await.unwrap();
        let LdapOp::AddResponse(refused) = response.op else {
            panic!("{response:?}")
        };
        assert_eq!(refused.code.clone() as i32, code, "{refused:?}");
    }
    let text = log.text();
    assert!(text.contains("a new password in clear was refused"), "{text}");
    assert!(!text.contains("REQUIRE_TLS"), "it is off: {text}");
}

#[tokio::test]
async fn a_refused_change_is_not_logged_as_a_write_that_is_made_in_authentik() {
    let (log, _guard) = Log::listen();
    let stage = direct().await;
    let mut alice = bound(&stage, "alice", "demo-alice").await;
    let hash: (_, _, &[&str]) = (LdapModifyType::Replace, "userPassword", &["{SSHA}x"]);
    let refused = modify(&mut alice, &entry_dn("alice"), &[hash]).await;
    assert_eq!(refused.code, 19, "{refused:?}");
    assert!(!log.text().contains("a write was refused"), "{}", log.text());
    let mail: (_, _, &[&str]) = (LdapModifyType::Replace, "mail", &["alice@example.com"]);
    let refused = modify(&mut alice, &entry_dn("alice"), &[mail]).await;
    assert_eq!(refused.code, 50, "{refused:?}");
    assert!(log.text().contains("a write was refused"), "{}", log.text());
}
