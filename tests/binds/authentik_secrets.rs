//! No password, code, token or cookie of the `authentik` layer reaches a log, whatever the level.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::events::{Hello, Subscription, Timings, listen};
use akldap_authentik::flow::{CodeRule, Executor, FlowOutcome, LoginRequest, NoObserver};
use akldap_testing::authentik_server::{Reply, Script, TOKEN, session_cookie};
use akldap_testing::captured_log::Log;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);

    let challenge = || Reply::json(r#"{"component":"ak-stage-identification","password_fields":true}"#);
    let done = Reply::json(r#"{"component":"xak-flow-redirect","to":"/"}"#);
    let script = Script::new(vec![
        challenge().with("Set-Cookie", &session_cookie("sid-before", None)),
        Reply::status(500, "text/plain", "Internal Server Error"),
        challenge().with("Set-Cookie", &session_cookie("sid-before", None)),
        Reply::redirect("?query=x"),
        done.with("Set-Cookie", &session_cookie("sid-after", Some("uid")))
            .with("Set-Cookie", "authentik_csrf=csrf-secret"),
    ])
    .await;
    let executor = Executor::new(script.client(), Arc::new(NoObserver));
    let client_ip: IpAddr = "192.0.2.7".parse().unwrap();
    let request = LoginRequest {
        flow_slug: "f",
        username: "u",
        password: b"hunter2;123456",
        mfa_support: true,
        codes: CodeRule::default(),
        client_ip,
    };
    let outcome = executor.execute(&request).await.unwrap();
    assert!(matches!(outcome, FlowOutcome::Authenticated(_)));
    tracing::info!(?request, ?outcome, client = ?script.client(), executor = ?executor, settings = ?script.client().settings());

    let cookie = script.take().last().unwrap().header("cookie").unwrap().to_owned();
    script.push(vec![Reply::status(403, "text/plain", "")]);
    let instance = uuid::Uuid::new_v4();
    let subscription = Subscription {
        outpost: "o".into(),
        instance,
        hello: Hello::new(instance, "", "h"),
        timings: Timings::default(),
    };
    let (sender, mut events) = mpsc::channel(4);
    let cancel = CancellationToken::new();
    let task = tokio::spawn(listen(script.client(), subscription, sender, cancel.clone()));
    tokio::time::timeout(Duration::from_secs(60), events.recv())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        script.left(),
        0,
        "the websocket request was not answered by the script"
    );
    cancel.cancel();
    task.await.unwrap();

    let text = log.text();
    assert!(
        text.contains("running the flow again"),
        "the log is not being captured: {text}"
    );
    assert!(
        text.contains("starting new connection"),
        "records of the log crate are not captured: {text}"
    );
    let payload = session_cookie("sid-after", Some("uid"));
    let payload = payload.split(['=', '.']).nth(2).unwrap();
    for secret in [
        "hunter2",
        "123456",
        TOKEN,
        "sid-before",
        "sid-after",
        "csrf-secret",
        payload,
        cookie.as_str(),
    ] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}
