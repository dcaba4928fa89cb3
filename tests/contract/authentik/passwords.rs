//! The client of authentik's password flow against recorded answers of a real one: it sends what was recorded, and what it
//! concludes from each answer.

use std::net::IpAddr;
use std::sync::Arc;

use akldap_authentik::flow::{
    CodeRule, Executor, FlowOutcome, LoginRequest, NoObserver, PasswordChangeFailure, PasswordChangeReport,
    PasswordChangeRequest, Rejection,
};
use akldap_authentik::{Session, SetPassword};
use akldap_testing::authentik_server::{Received, Reply, Script, session_cookie};
use akldap_testing::recordings;
use serde_json::Value;

const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

fn recorded(name: &str) -> &'static Value {
    recordings::passwords()
        .get(name)
        .unwrap_or_else(|| panic!("no {name}"))
}

/// A recorded answer.
fn reply(name: &str) -> Reply {
    let response = &recorded(name)["response"];
    let headers = response["headers"].as_array().unwrap();
    let pair = |pair: &Value| (pair[0].as_str().unwrap().into(), pair[1].as_str().unwrap().into());
    Reply::Answer(
        u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        headers.iter().map(pair).collect(),
        response["body"].as_str().unwrap().into(),
    )
}

fn executor(script: &Script) -> Executor {
    Executor::new(script.client(), Arc::new(NoObserver))
}

/// A session of the user of the recordings.
async fn session(script: &Script) -> Session {
    script.push(vec![
        Reply::json(r#"{"component":"ak-stage-identification","password_fields":true}"#)
            .with("Set-Cookie", &session_cookie("anonymous", None)),
        Reply::redirect("?query=goauthentik.io%252Foutpost%252Fldap%3Dtrue"),
        Reply::json(r#"{"component":"xak-flow-redirect","to":"/"}"#)
            .with("Set-Cookie", &session_cookie("before", Some("uid")))
            .with("Set-Cookie", "authentik_csrf=the-token; Path=/"),
    ]);
    let request = LoginRequest {
        flow_slug: "ldap",
        username: "ext.partner",
        password: b"old",
        mfa_support: false,
        codes: CodeRule::default(),
        client_ip: CLIENT,
    };
    let outcome = executor(script).execute(&request).await.unwrap();
    script.take();
    match outcome {
        FlowOutcome::Authenticated(session) => session,
        FlowOutcome::Rejected(rejection) => panic!("{rejection}"),
    }
}

async fn change(replies: Vec<Reply>, old: Option<&str>, new: &str) -> (PasswordChangeReport, Vec<Received>) {
    let script = Script::new(vec![]).await;
    let session = session(&script).await;
    script.push(replies);
    let request = PasswordChangeRequest {
        session: &session,
        old,
        new,
        client_ip: CLIENT,
    };
    let report = executor(&script).change_password(&request).await;
    assert_eq!(script.left(), 0, "answers left over after {report:?}");
    (report, script.take())
}

const SETTINGS: &str = "w01-self-ok/01-user-settings";
const CONFIGURE: &str = "w01-self-ok/02-configure";
const CHALLENGE: &str = "w01-self-ok/03-get-challenge";
const POST: &str = "w01-self-ok/04-post-new";
const FOLLOW: &str = "w01-self-ok/05-follow";

/// The first answers of a change, then others.
fn begun(rest: Vec<Reply>) -> Vec<Reply> {
    let mut all = vec![reply(SETTINGS), reply(CONFIGURE)];
    all.extend(rest);
    all
}

#[tokio::test]
async fn what_is_sent_is_what_was_recorded() {
    let steps = [SETTINGS, CONFIGURE, CHALLENGE, POST, FOLLOW];
    let (report, sent) = change(steps.map(reply).to_vec(), None, "A-new-pass-61").await;
    report.result.unwrap();
    assert!(report.uncertain, "that it works is for others to show");
    let session = report.session.expect("the session goes on");
    assert_eq!(sent.len(), steps.len());
    for (sent, step) in sent.iter().zip(steps) {
        let request = &recorded(step)["request"];
        let text = |name: &str| request[name].as_str().unwrap_or_default();
        let mark = if text("query").is_empty() { "" } else { "?" };
        assert_eq!(sent.method, text("method"), "{step}");
        assert_eq!(
            sent.target,
            format!("{}{mark}{}", text("path"), text("query")),
            "{step}"
        );
        let body = |body: &str| serde_json::from_str::<Value>(body).ok();
        assert_eq!(body(&sent.body), body(text("body")), "{step}");
        assert_eq!(sent.header("x-authentik-remote-ip"), Some("192.0.2.7"));
        let token = (text("method") == "POST").then_some("the-token");
        assert_eq!(sent.header("x-authentik-csrf"), token, "{step}");
    }
    // The key of the session is the new one.
    let (_, cookie) = ("", recorded(FOLLOW)["response"]["headers"].to_string());
    assert!(cookie.contains("authentik_session="));
    assert_eq!(
        session.uid(),
        "931b60cd6ebb696b68423749e9a4467a463ee82f796a6caf118557534ab07710"
    );
}

#[tokio::test]
async fn every_refusal_is_told_from_the_others() {
    for (answer, wanted) in [
        (
            "w02-self-refused/04-post-short",
            PasswordChangeFailure::Refused {
                text: "Password needs to be 8 characters or longer.".into(),
            },
        ),
        (
            "w02-self-refused/05-post-mismatch",
            PasswordChangeFailure::Mismatch {
                text: "Passwords don't match.".into(),
            },
        ),
        (
            "w02-self-refused/06-post-blank",
            PasswordChangeFailure::Blank {
                text: "This field may not be blank.".into(),
            },
        ),
    ] {
        let (report, _) = change(begun(vec![reply(CHALLENGE), reply(answer)]), None, "x").await;
        assert_eq!(report.result, Err(wanted));
        assert!(!report.uncertain, "{answer}: nothing was written");
    }
    // The outcome of a good one whose end is not heard is unknown.
    let cut = || Reply::status(500, "text/html", "<html>Server Error</html>");
    for (rest, uncertain) in [
        (vec![cut()], false),
        (vec![reply(CHALLENGE), cut()], true),
        (vec![reply(CHALLENGE), reply(POST), cut()], true),
        (
            vec![reply(CHALLENGE), reply("w02-self-refused/07-post-without-csrf")],
            true,
        ),
    ] {
        let (report, _) = change(begun(rest), None, "long enough").await;
        assert!(
            matches!(report.result, Err(PasswordChangeFailure::Flow(_))),
            "{report:?}"
        );
        assert_eq!(report.uncertain, uncertain, "{report:?}");
    }
}

#[tokio::test]
async fn nobodys_session_and_settings_without_a_flow_are_found() {
    let (report, sent) = change(vec![reply("w04-nobody/01-user-settings")], None, "x").await;
    assert_eq!(report.result, Err(PasswordChangeFailure::SessionOver));
    assert_eq!(sent.len(), 1);
    let none =
        r#"[{"title":"T","component":"ak-user-settings-password","object_uid":"1","configure_url":null}]"#;
    for settings in ["[]", none] {
        let (report, _) = change(vec![Reply::json(settings)], None, "x").await;
        assert_eq!(
            report.result,
            Err(PasswordChangeFailure::NotOffered),
            "{settings}"
        );
    }
    let gone = || Reply::status(404, "text/html", "<html>Not Found</html>");
    let own = gone().with("X-authentik-id", "0a1b");
    let (report, _) = change(vec![reply(SETTINGS), own], None, "x").await;
    assert_eq!(report.result, Err(PasswordChangeFailure::NotOffered));
    // A proxy's page says nothing of what authentik offers.
    let (report, _) = change(vec![reply(SETTINGS), gone()], None, "x").await;
    assert!(
        matches!(&report.result, Err(PasswordChangeFailure::Flow(error)) if error.is_unanswered()),
        "{:?}",
        report.result
    );
    let (report, _) = change(begun(vec![reply("w04-nobody/02-get-challenge")]), None, "x").await;
    let text = "Flow does not apply to current user.".to_owned();
    assert_eq!(report.result, Err(PasswordChangeFailure::Denied { text }));
    // A flow on another host is never followed.
    let foreign = Reply::redirect("https://evil.example/if/user/");
    let (report, sent) = change(vec![reply(SETTINGS), foreign], None, "x").await;
    assert!(matches!(report.result, Err(PasswordChangeFailure::Flow(_))));
    assert_eq!(sent.len(), 2);
}

fn prompt(fields: &[(&str, &str, &str)]) -> Reply {
    let fields: Vec<Value> = fields
        .iter()
        .map(|(key, kind, initial)| {
            serde_json::json!({"field_key": key, "label": key, "type": kind, "required": true, "initial_value": initial})
        })
        .collect();
    Reply::json(&serde_json::json!({"component": "ak-stage-prompt", "fields": fields}).to_string())
}

#[tokio::test]
async fn prompts_of_other_shapes_are_answered_by_the_kind_of_their_fields() {
    let end = || vec![reply(POST), reply(FOLLOW)];
    let with = |first: Reply| {
        let mut all = vec![first];
        all.extend(end());
        begun(all)
    };
    let shape = prompt(&[
        ("hint", "static", "choose well"),
        ("new_password", "password", ""),
        ("again", "password", ""),
        ("origin", "hidden", "ldap"),
        ("current_password", "password", ""),
    ]);
    let (report, sent) = change(with(shape), Some("the old"), "the new").await;
    report.result.unwrap();
    let body: Value = serde_json::from_str(&sent[3].body).unwrap();
    let wanted = serde_json::json!({
        "component": "ak-stage-prompt", "new_password": "the new", "again": "the new", "origin": "ldap",
        "current_password": "the old",
    });
    assert_eq!(body, wanted);
    let old = prompt(&[("old-password", "password", ""), ("password", "password", "")]);
    let (report, _) = change(begun(vec![old]), None, "the new").await;
    assert!(matches!(
        report.result,
        Err(PasswordChangeFailure::OldPasswordNeeded { .. })
    ));
    let more = prompt(&[
        ("password", "password", ""),
        ("email", "email", ""),
        ("tos", "checkbox", ""),
    ]);
    let (report, sent) = change(begun(vec![more]), None, "the new").await;
    let fields = vec!["email".to_owned(), "tos".to_owned()];
    let slug = "default-password-change".to_owned();
    assert_eq!(
        report.result,
        Err(PasswordChangeFailure::AsksMore { slug, fields })
    );
    assert_eq!(sent.len(), 3, "nothing is sent");
    let nothing = prompt(&[("hint", "static", "")]);
    let (report, _) = change(begun(vec![nothing]), None, "the new").await;
    assert!(matches!(
        report.result,
        Err(PasswordChangeFailure::NothingAsked { .. })
    ));
    // A flow may ask for the old password in a separate stage.
    let stage = || Reply::json(r#"{"component":"ak-stage-password"}"#);
    let (report, sent) = change(
        begun(vec![
            stage(),
            reply(POST),
            reply(CHALLENGE),
            reply(POST),
            reply(FOLLOW),
        ]),
        Some("the old"),
        "the new",
    )
    .await;
    report.result.unwrap();
    assert_eq!(
        sent[3].body,
        r#"{"component":"ak-stage-password","password":"the old"}"#
    );
    let refused = Reply::json(
        r#"{"component":"ak-stage-password","response_errors":{"password":[{"string":"Invalid password","code":"invalid"}]}}"#,
    );
    let (report, _) = change(begun(vec![stage(), refused]), Some("wrong"), "the new").await;
    assert!(matches!(
        report.result,
        Err(PasswordChangeFailure::OldPasswordWrong { .. })
    ));
    assert!(!report.uncertain);
}

#[tokio::test]
async fn setting_the_password_of_another_is_told_as_authentik_says() {
    for (answer, wanted) in [
        ("w06-agent/01-set-password-61", SetPassword::Done),
        (
            "w05-other-user/01-set-password-forbidden",
            SetPassword::Forbidden {
                text: "You do not have permission to perform this action.".into(),
            },
        ),
        ("w04-nobody/01-user-settings", SetPassword::SessionOver),
        (
            "w06-agent/03-set-password-without-csrf",
            SetPassword::NotTaken {
                text: "CSRF Failed: CSRF token missing.".into(),
            },
        ),
    ] {
        let script = Script::new(vec![]).await;
        let session = session(&script).await;
        script.push(vec![reply(answer)]);
        let set = script
            .client()
            .set_password(&session, 61, "By-the-agent-61", CLIENT)
            .await;
        assert_eq!(set, Ok(wanted), "{answer}");
        let sent = script.take();
        assert_eq!(sent[0].target, "/api/v3/core/users/61/set_password/");
        assert_eq!(sent[0].body, r#"{"password":"By-the-agent-61"}"#);
        assert_eq!(sent[0].header("x-authentik-csrf"), Some("the-token"));
    }
    for fault in [
        Reply::status(403, "text/html", r#"{"detail":"No."}"#),
        Reply::status(400, "application/json", r#"{"blocked":true}"#),
        Reply::status(404, "text/html", "<html>"),
        Reply::status(500, "text/plain", "Internal Server Error"),
        Reply::json("{}"),
    ] {
        let script = Script::new(vec![]).await;
        let session = session(&script).await;
        script.push(vec![fault]);
        assert!(
            script
                .client()
                .set_password(&session, 61, "x", CLIENT)
                .await
                .is_err()
        );
    }
    let script = Script::new(vec![]).await;
    let session = session(&script).await;
    script.push(vec![Reply::status(
        400,
        "application/json",
        r#"{"password":["No."]}"#,
    )]);
    let set = script.client().set_password(&session, 61, "x", CLIENT).await;
    assert_eq!(set, Ok(SetPassword::Refused { text: "No.".into() }));
}

fn devices(class: &str) -> Reply {
    let device =
        serde_json::json!({"device_class": class, "device_uid": "1", "challenge": {}, "last_used": null});
    let challenge =
        serde_json::json!({"component": "ak-stage-authenticator-validate", "device_challenges": [device]});
    Reply::json(&challenge.to_string())
}

#[tokio::test]
async fn a_password_is_proved_without_a_code_and_never_by_a_push() {
    let onward = || Reply::redirect("?query=goauthentik.io%252Foutpost%252Fldap%3Dtrue");
    let first = |embedded: bool| {
        Reply::json(&format!(
            r#"{{"component":"ak-stage-identification","password_fields":{embedded}}}"#
        ))
        .with("Set-Cookie", &session_cookie("anonymous", None))
    };
    let password = || Reply::json(r#"{"component":"ak-stage-password"}"#);
    let denied =
        || Reply::json(r#"{"component":"ak-stage-access-denied","error_message":"Invalid password"}"#);
    let request = LoginRequest {
        flow_slug: "ldap",
        username: "al",
        password: b"pw",
        mfa_support: true,
        codes: CodeRule::default(),
        client_ip: CLIENT,
    };
    for (what, replies, accepted) in [
        ("embedded", vec![first(true), onward(), devices("totp")], true),
        (
            "a push would be sent",
            vec![first(true), onward(), devices("duo")],
            true,
        ),
        (
            "separate",
            vec![first(false), onward(), password(), onward(), devices("totp")],
            true,
        ),
        (
            "not asked yet",
            vec![first(false), onward(), devices("totp")],
            false,
        ),
        (
            "tried too often",
            vec![first(false), onward(), password(), denied()],
            false,
        ),
        (
            "begun again",
            vec![first(false), onward(), password(), onward(), first(false)],
            false,
        ),
    ] {
        let script = Script::new(replies).await;
        let judged = executor(&script).prove(&request, false).await.unwrap();
        assert_eq!(judged.password_accepted, accepted, "{what}: {judged:?}");
        assert!(matches!(judged.outcome, FlowOutcome::Rejected(_)), "{what}");
        assert_eq!(script.left(), 0, "{what}");
    }
    // Nothing but the password is sent, whatever it looks like.
    let whole = LoginRequest {
        password: b"pw;123456",
        mfa_support: true,
        ..request
    };
    let script = Script::new(vec![first(true), onward(), devices("totp")]).await;
    let judged = executor(&script).prove(&whole, true).await.unwrap();
    assert!(judged.password_accepted);
    assert!(matches!(
        judged.outcome,
        FlowOutcome::Rejected(Rejection::NoCompatibleAuthenticator { .. })
    ));
    let sent = script.take();
    assert!(sent[1].body.contains("pw;123456"), "{}", sent[1].body);
}
