//! The flow executor against a scripted server: every end of a flow, every fault, and what is sent.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use akldap_authentik::flow::{
    CodeRule, Executor, FlowError, FlowMethod, FlowObserver, FlowOutcome, FlowStep, LoginRequest, NoObserver,
    Rejection,
};
use akldap_authentik::{ApiError, Session, Unreachable};
use akldap_testing::authentik_server::{Received, Reply, Script, client, session_cookie};

const SLUG: &str = "ldap";
const PATH: &str = "/api/v3/flows/executor/ldap/?query=goauthentik.io%252Foutpost%252Fldap%3Dtrue";

fn identification(embedded: bool) -> Reply {
    Reply::json(&format!(
        r#"{{"component":"ak-stage-identification","user_fields":["username"],"password_fields":{embedded},"captcha_stage":null}}"#
    ))
    .with("Set-Cookie", &session_cookie("before", None))
}

fn password() -> Reply {
    Reply::json(r#"{"component":"ak-stage-password","pending_user":"al"}"#)
}

fn onward() -> Reply {
    Reply::redirect(PATH)
}

fn logged_in() -> Reply {
    done("/")
        .with("Set-Cookie", &session_cookie("after", Some("uid-of-al")))
        .with("Set-Cookie", "authentik_csrf=csrf-value; Path=/")
}

fn done(to: &str) -> Reply {
    Reply::json(&format!(r#"{{"component":"xak-flow-redirect","to":"{to}"}}"#))
}

fn refused(component: &str, embedded: bool) -> Reply {
    Reply::json(&format!(
        r#"{{"component":"{component}","password_fields":{embedded},"response_errors":{{"x":[{{"string":"Nope.","code":"invalid"}}]}}}}"#
    ))
}

fn devices(classes: &[(&str, &str)]) -> Reply {
    let offered: Vec<_> = classes
        .iter()
        .map(|(class, uid)| serde_json::json!({"device_class": class, "device_uid": uid, "challenge": {}, "last_used": null}))
        .collect();
    Reply::json(
        &serde_json::json!({"component": "ak-stage-authenticator-validate", "device_challenges": offered})
            .to_string(),
    )
}

fn bind<'a>(password: &'a [u8]) -> LoginRequest<'a> {
    let client_ip: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
    LoginRequest {
        flow_slug: SLUG,
        username: "al",
        password,
        mfa_support: true,
        codes: CodeRule::default(),
        client_ip,
    }
}

fn executor(script: &Script) -> Executor {
    Executor::new(script.client(), Arc::new(NoObserver))
}

async fn run(replies: Vec<Reply>, input: &[u8]) -> (Result<FlowOutcome, FlowError>, Vec<Received>) {
    let script = Script::new(replies).await;
    let result = executor(&script).execute(&bind(input)).await;
    assert_eq!(script.left(), 0, "answers left over after {result:?}");
    (result, script.take())
}

async fn rejected(replies: Vec<Reply>, input: &[u8]) -> Rejection {
    match run(replies, input).await.0 {
        Ok(FlowOutcome::Rejected(rejection)) => rejection,
        other => panic!("expected a rejection, got {other:?}"),
    }
}

fn session(result: Result<FlowOutcome, FlowError>) -> Session {
    match result {
        Ok(FlowOutcome::Authenticated(session)) => session,
        other => panic!("expected a session, got {other:?}"),
    }
}

#[tokio::test]
async fn a_login_carries_the_right_headers_and_ends_in_a_session() {
    let (result, requests) = run(vec![identification(true), onward(), logged_in()], b"pw").await;
    assert_eq!(session(result).uid(), "uid-of-al");
    assert_eq!(
        requests.iter().map(|r| r.method.as_str()).collect::<Vec<_>>(),
        ["GET", "POST", "GET"]
    );
    for request in &requests {
        assert_eq!(request.target, PATH);
        assert_eq!(request.header("x-authentik-remote-ip"), Some("192.0.2.7"));
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("accept"), Some("application/json"));
        assert_eq!(request.header("x-authentik-csrf"), None);
    }
    assert_eq!(
        requests[1].body,
        r#"{"component":"ak-stage-identification","uid_field":"al","password":"pw"}"#
    );
    assert_eq!(requests[0].header("cookie"), None);
    assert!(
        requests[1]
            .header("cookie")
            .unwrap()
            .starts_with("authentik_session=")
    );
}

#[tokio::test]
async fn the_first_stage_is_learned_and_learned_again() {
    let script = Script::new(vec![identification(true), onward(), logged_in()]).await;
    let executor = executor(&script);
    session(executor.execute(&bind(b"pw")).await);
    script.take();
    // Known: two requests.
    script.push(vec![onward(), logged_in()]);
    session(executor.execute(&bind(b"pw")).await);
    assert_eq!(
        script.take().iter().map(|r| r.method.clone()).collect::<Vec<_>>(),
        ["POST", "GET"]
    );
    // A wrong password teaches nothing new about the flow.
    script.push(vec![
        refused("ak-stage-identification", true),
        onward(),
        logged_in(),
    ]);
    assert!(matches!(
        executor.execute(&bind(b"pw")).await,
        Ok(FlowOutcome::Rejected(Rejection::InvalidCredentials { .. }))
    ));
    session(executor.execute(&bind(b"pw")).await);
    script.take();
    // The flow now begins with the password: the answer is another component, which is answered then.
    script.push(vec![refused("ak-stage-password", false), onward(), logged_in()]);
    session(executor.execute(&bind(b"pw")).await);
    assert_eq!(
        script.take()[1].body,
        r#"{"component":"ak-stage-password","password":"pw"}"#
    );
    script.push(vec![password(), onward(), logged_in()]);
    session(executor.execute(&bind(b"pw")).await);
    assert_eq!(
        script.take()[0].method,
        "GET",
        "a flow that begins otherwise is fetched first"
    );
    // After a failure of the flow the first stage is looked at again.
    script.push(vec![
        identification(true),
        onward(),
        Reply::json(r#"{"component":"ak-stage-consent"}"#),
    ]);
    assert!(matches!(
        executor.execute(&bind(b"pw")).await,
        Ok(FlowOutcome::Rejected(Rejection::UnsupportedStage { .. }))
    ));
    script.take();
    script.push(vec![identification(true), onward(), logged_in()]);
    session(executor.execute(&bind(b"pw")).await);
    assert_eq!(script.take()[0].method, "GET");
}

#[tokio::test]
async fn a_server_that_wants_its_challenge_fetched_gets_its_way() {
    let script = Script::new(vec![identification(true)]).await;
    let executor = executor(&script);
    executor.warm_up(SLUG).await.unwrap();
    script.push(vec![identification(true), onward(), logged_in()]);
    session(executor.execute(&bind(b"pw")).await);
    assert_eq!(script.take().len(), 4);
}

#[tokio::test]
async fn a_flow_that_restarts_is_answered_once() {
    let again = vec![identification(true), onward(), identification(true)];
    assert!(
        matches!(rejected(again, b"pw").await, Rejection::Restarted { component } if component.contains("identification"))
    );
    // The same when the first challenge was not fetched: the redirect shows that the answer was accepted.
    let script = Script::new(vec![identification(true)]).await;
    let executor = executor(&script);
    executor.warm_up(SLUG).await.unwrap();
    script.push(vec![onward(), identification(true)]);
    let result = executor.execute(&bind(b"pw")).await;
    assert!(
        matches!(result, Ok(FlowOutcome::Rejected(Rejection::Restarted { .. }))),
        "{result:?}"
    );
    assert_eq!(
        script
            .take()
            .iter()
            .filter(|request| request.method == "POST")
            .count(),
        1
    );
}

#[tokio::test]
async fn a_redirect_challenge_to_the_flow_itself_is_followed() {
    for to in [
        "/api/v3/flows/executor/ldap/?query=goauthentik.io%2Foutpost%2Fldap%3Dtrue",
        "?query=x",
        "/api/v3/flows/executor/ldap/",
    ] {
        let (result, requests) = run(vec![identification(true), done(to), logged_in()], b"pw").await;
        session(result);
        assert_eq!(requests[2].method, "GET");
        assert!(requests[2].target.starts_with("/api/v3/flows/executor/ldap/"));
    }
}

async fn broken(replies: Vec<Reply>, input: &[u8]) -> FlowError {
    let error = run(replies, input).await.0.expect_err("no verdict");
    assert!(error.is_broken_flow() && !error.is_transient(), "{error:?}");
    assert!(!error.hint().is_empty());
    error
}

#[tokio::test]
async fn a_flow_that_ends_without_a_login_is_broken() {
    let ended = |replies: Vec<Reply>| async { broken(replies, b"pw").await };
    let nobody = |to: &str| FlowError::NotLoggedIn { to: to.to_owned() };
    assert_eq!(ended(vec![done("/")]).await, FlowError::CookieMissing);
    let anonymous = done("/?token=secret").with("Set-Cookie", &session_cookie("x", None));
    assert_eq!(ended(vec![anonymous]).await, nobody("/"));
    // Logged in on the way, out again at the end: the newest cookie decides.
    let out = done("/").with("Set-Cookie", &session_cookie("y", None));
    let replies = vec![
        identification(true).with("Set-Cookie", &session_cookie("x", Some("u"))),
        out,
    ];
    assert_eq!(ended(replies).await, nobody("/"));
    let deleted = done("/").with("Set-Cookie", "authentik_session=\"\"; Max-Age=0; Path=/");
    let replies = vec![
        identification(true).with("Set-Cookie", &session_cookie("x", Some("u"))),
        deleted,
    ];
    assert_eq!(ended(replies).await, FlowError::CookieMissing);
    // A bare session key proves nothing unless the settings say so.
    let plain = done("/").with("Set-Cookie", "authentik_session=0123456789abcdef; Path=/");
    assert_eq!(ended(vec![plain]).await, nobody("/"));
}

#[tokio::test]
async fn a_missing_cookie_is_never_a_wrong_password() {
    // A proxy that removes Set-Cookie makes every request the first of a new plan: the flow seems to restart.
    let bare = || Reply::json(r#"{"component":"ak-stage-identification","password_fields":false}"#);
    assert_eq!(
        broken(vec![bare(), onward(), bare()], b"pw").await,
        FlowError::CookieMissing
    );
    let script = Script::new(vec![bare()]).await;
    let executor = executor(&script);
    executor.warm_up(SLUG).await.unwrap();
    script.push(vec![onward(), bare()]);
    assert_eq!(
        executor.execute(&bind(b"pw")).await.unwrap_err(),
        FlowError::CookieMissing
    );
    // What a stage itself refuses is refused, with or without a cookie.
    let refuse = Reply::json(
        r#"{"component":"ak-stage-identification","response_errors":{"x":[{"string":"Nope.","code":"invalid"}]}}"#,
    );
    assert!(matches!(
        rejected(vec![bare(), refuse], b"pw").await,
        Rejection::InvalidCredentials { .. }
    ));
}

/// A proxy that removes Cookie gives each request a session of its own, and so each the first stage.
#[tokio::test]
async fn a_cookie_that_does_not_come_back_is_never_a_wrong_password() {
    let first = |sid: &str| {
        Reply::json(r#"{"component":"ak-stage-identification","password_fields":true}"#)
            .with("Set-Cookie", &session_cookie(sid, None))
    };
    let accepted = |sid: &str| onward().with("Set-Cookie", &session_cookie(sid, None));
    let error = broken(vec![first("a"), accepted("b"), first("c")], b"pw").await;
    assert!(error.to_string().contains("removes Cookie headers"), "{error}");
    // In one session it is the flow that begins anew.
    for again in [
        first("a"),
        Reply::json(r#"{"component":"ak-stage-identification"}"#),
    ] {
        let (result, _) = run(vec![first("a"), accepted("a"), again], b"pw").await;
        assert!(
            matches!(result, Ok(FlowOutcome::Rejected(Rejection::Restarted { .. }))),
            "{result:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_session_cookie_is_proved_by_users_me() {
    let plain = || done("/").with("Set-Cookie", "authentik_session=0123456789abcdef; Path=/");
    let me = r#"{"user":{"pk":7,"username":"al","uid":"uid-7","is_active":true}}"#;
    let script = Script::new(vec![plain(), Reply::json(me)]).await;
    let test_mode = client(&format!("http://{}/", script.address), |settings| {
        settings.plain_session_cookie = true
    });
    let executor = Executor::new(test_mode, Arc::new(NoObserver));
    assert_eq!(session(executor.execute(&bind(b"pw")).await).uid(), "uid-7");
    let denied = Reply::status(
        403,
        "application/json",
        r#"{"detail":"Authentication credentials were not provided."}"#,
    );
    script.push(vec![plain(), denied]);
    let result = executor.execute(&bind(b"pw")).await;
    assert!(matches!(result, Err(FlowError::NotLoggedIn { .. })), "{result:?}");
    script.push(vec![plain(), Reply::status(500, "text/html", "x")]);
    assert!(executor.execute(&bind(b"pw")).await.is_err());
}

#[tokio::test]
async fn redirects_to_elsewhere_are_refused() {
    for to in [
        "https://evil.example/api/v3/flows/executor/ldap/?query=x",
        "/api/v3/flows/executor/other/?query=x",
        "/if/flow/login/",
        "//evil.example/",
        "http://[bad",
        "",
    ] {
        let (result, requests) = run(vec![identification(true), Reply::redirect(to)], b"pw").await;
        match result {
            Err(FlowError::ForeignRedirect { to }) => assert!(!to.contains("query")),
            // An empty Location is our own URL: the flow goes on and the script is over.
            Err(FlowError::Api(ApiError::Status { status: 599, .. })) if to.is_empty() => {}
            other => panic!("{to}: {other:?}"),
        }
        assert!(requests.len() <= 3);
    }
    for to in [
        "/api/v3/flows/executor/other/?query=x",
        "/if/flow/enrol/",
        "https://other.example/if/flow/x/",
    ] {
        let away = done(to).with("Set-Cookie", &session_cookie("x", Some("u")));
        let rejection = rejected(vec![identification(true), away], b"pw").await;
        assert!(
            matches!(rejection, Rejection::UnsupportedStage { .. }),
            "{to}: {rejection:?}"
        );
    }
}

#[tokio::test]
async fn loops_end() {
    let (result, requests) = run((0..24).map(|_| onward()).collect(), b"pw").await;
    assert_eq!(result.unwrap_err(), FlowError::TooManySteps { limit: 24 });
    assert_eq!(requests.len(), 24);
}

#[tokio::test]
async fn stages_for_people_are_named() {
    for component in [
        "ak-stage-consent",
        "ak-stage-captcha",
        "ak-stage-prompt",
        "ak-stage-email",
        "xak-flow-shell",
        "xak-flow-frame",
        "ak-stage-session-end",
        "ak-stage-authenticator-totp",
        "ak-from-the-future",
    ] {
        let stage = Reply::json(&format!(r#"{{"component":"{component}","body":"x"}}"#));
        let rejection = rejected(vec![identification(true), onward(), stage], b"pw").await;
        assert!(rejection.to_string().contains(component), "{rejection}");
        assert!(matches!(rejection, Rejection::UnsupportedStage { .. }));
    }
    let captcha = Reply::json(
        r#"{"component":"ak-stage-identification","password_fields":true,"captcha_stage":{"site_key":"x"}}"#,
    );
    let rejection = rejected(vec![captcha], b"pw").await;
    assert!(
        matches!(rejection, Rejection::UnsupportedStage { ref component, .. } if component == "ak-stage-captcha")
    );
    let denied = Reply::json(r#"{"component":"ak-stage-access-denied","error_message":"Not today"}"#);
    let denied = denied.with("Set-Cookie", &session_cookie("x", Some("u")));
    assert_eq!(
        rejected(vec![denied], b"pw").await,
        Rejection::Denied {
            message: "Not today".into()
        }
    );
    let login = Reply::json(r#"{"component":"ak-stage-user-login"}"#);
    let (result, requests) = run(vec![identification(true), onward(), login, logged_in()], b"pw").await;
    session(result);
    assert_eq!(
        requests[3].body,
        r#"{"component":"ak-stage-user-login","remember_me":true}"#
    );
}

#[tokio::test]
async fn a_challenge_after_the_login_is_answered_with_the_csrf_token() {
    let login = Reply::json(r#"{"component":"ak-stage-user-login"}"#)
        .with("Set-Cookie", "authentik_csrf=tok; Path=/");
    let (_, requests) = run(vec![identification(true), onward(), login, logged_in()], b"pw").await;
    assert_eq!(requests[1].header("x-authentik-csrf"), None);
    assert_eq!(requests[3].header("x-authentik-csrf"), Some("tok"));
    let origin = format!("http://{}", requests[3].header("host").unwrap());
    assert_eq!(requests[3].header("origin"), Some(origin.as_str()));
    assert_eq!(requests[3].header("referer"), Some(format!("{origin}/").as_str()));
}

#[tokio::test]
async fn what_looks_like_password_and_code_may_be_the_password() {
    // Embedded password.
    let refuse = || refused("ak-stage-identification", true);
    let (result, requests) = run(
        vec![identification(true), refuse(), onward(), logged_in()],
        b"pw;123456",
    )
    .await;
    session(result);
    assert!(requests[1].body.ends_with(r#""password":"pw"}"#));
    assert!(requests[2].body.ends_with(r#""password":"pw;123456"}"#));
    // Only once, and only if there was something to split.
    let twice = rejected(vec![identification(true), refuse(), refuse()], b"pw;123456").await;
    assert_eq!(
        twice.to_string(),
        "authentik refused the credentials at ak-stage-identification: Nope."
    );
    rejected(vec![identification(true), refuse()], b"pw;12345").await;
    // Separate password stage.
    let separate = vec![
        identification(false),
        onward(),
        password(),
        refused("ak-stage-password", false),
        onward(),
        logged_in(),
    ];
    let (result, requests) = run(separate, b"pw;abcd1234").await;
    session(result);
    assert_eq!(
        requests[4].body,
        r#"{"component":"ak-stage-password","password":"pw;abcd1234"}"#
    );
    // An unknown user says nothing about the password.
    rejected(
        vec![identification(false), refused("ak-stage-identification", false)],
        b"pw;123456",
    )
    .await;
    // Neither does a wrong code, and it is never repeated.
    let wrong = vec![
        identification(true),
        onward(),
        devices(&[("totp", "1")]),
        refused("ak-stage-authenticator-validate", false),
    ];
    assert!(
        matches!(rejected(wrong, b"pw;123456").await, Rejection::InvalidCredentials { stage: Some(stage), .. } if stage.contains("validate"))
    );
}

#[tokio::test]
async fn from_2026_5_4_on_the_code_is_what_follows_the_last_separator() {
    let request = |codes| LoginRequest {
        codes,
        ..bind(b"pw;abcdefghijkl")
    };
    // A static token of authentik's default length of twelve, which the older rule takes for a part of the password.
    let good = || {
        vec![
            identification(true),
            onward(),
            devices(&[("static", "1")]),
            onward(),
            logged_in(),
        ]
    };
    let script = Script::new(good()).await;
    session(executor(&script).execute(&request(CodeRule::LastSeparator)).await);
    let requests = script.take();
    assert!(requests[1].body.ends_with(r#""password":"pw"}"#));
    assert!(requests[3].body.contains(r#""code":"abcdefghijkl""#));
    let script = Script::new(vec![
        identification(true),
        refused("ak-stage-identification", true),
    ])
    .await;
    let result = executor(&script).execute(&request(CodeRule::default())).await;
    assert!(matches!(result, Ok(FlowOutcome::Rejected(_))), "{result:?}");
    assert!(
        script.take()[1]
            .body
            .ends_with(r#""password":"pw;abcdefghijkl"}"#)
    );
    // Refused is refused: no second try, by the newer rule or by the option.
    for codes in [CodeRule::LastSeparator, CodeRule::ByForm { second_try: false }] {
        let script = Script::new(vec![
            identification(true),
            refused("ak-stage-identification", true),
        ])
        .await;
        let request = LoginRequest {
            codes,
            ..bind(b"pw;123456")
        };
        let result = executor(&script).execute(&request).await;
        assert!(
            matches!(
                result,
                Ok(FlowOutcome::Rejected(Rejection::InvalidCredentials { .. }))
            ),
            "{result:?}"
        );
        let requests = script.take();
        assert_eq!(requests.len(), 2);
        assert!(requests[1].body.ends_with(r#""password":"pw"}"#));
    }
}

#[tokio::test]
async fn the_last_redirect_of_2026_8_ends_the_flow() {
    let last = |to: &str, last: bool| {
        Reply::json(&format!(
            r#"{{"component":"xak-flow-redirect","to":"{to}","final_redirect":{last}}}"#
        ))
    };
    let login = |reply: Reply| reply.with("Set-Cookie", &session_cookie("after", Some("uid-of-al")));
    for to in ["/", PATH] {
        let (result, requests) = run(vec![identification(true), login(last(to, true))], b"pw").await;
        session(result);
        assert_eq!(requests.len(), 2, "{to}");
    }
    // One in the middle of the flow is followed, and the flag by itself logs nobody in.
    let (result, requests) = run(
        vec![identification(true), last(PATH, false), login(last("/", true))],
        b"pw",
    )
    .await;
    session(result);
    assert_eq!(requests.len(), 3);
    let anonymous = last("/", true).with("Set-Cookie", &session_cookie("x", None));
    assert!(matches!(
        broken(vec![identification(true), anonymous], b"pw").await,
        FlowError::NotLoggedIn { .. }
    ));
}

#[tokio::test]
async fn a_choice_of_accounts_ends_clearly_and_a_second_cookie_changes_no_session() {
    // Components and cookies that this release knows nothing of.
    let choice = Reply::json(
        r#"{"component":"ak-stage-account-selection","accounts":[{"username":"al"}],"flow_info":{"title":"x"}}"#,
    );
    match rejected(vec![choice], b"pw").await {
        Rejection::UnsupportedStage { component, remedy } => {
            assert_eq!(component, "ak-stage-account-selection");
            assert!(!remedy.is_empty());
        }
        other => panic!("{other:?}"),
    }
    let second = "authentik_known_accounts=eyJ4IjoxfQ; Max-Age=31536000; Path=/; HttpOnly";
    let first = identification(true).with("Set-Cookie", second);
    let (result, requests) = run(
        vec![first, onward(), logged_in().with("Set-Cookie", second)],
        b"pw",
    )
    .await;
    let session = session(result);
    assert_eq!((session.uid(), session.expires()), ("uid-of-al", None));
    let sent = requests[1].header("cookie").unwrap();
    assert!(sent.contains("authentik_known_accounts=eyJ4IjoxfQ"));
    // The next bind begins without it: nobody inherits an account from somebody else.
    let script = Script::new(vec![
        identification(true).with("Set-Cookie", second),
        onward(),
        logged_in(),
    ])
    .await;
    let executor = executor(&script);
    executor.execute(&bind(b"pw")).await.unwrap();
    script.take();
    script.push(vec![onward(), logged_in()]);
    executor.execute(&bind(b"pw")).await.unwrap();
    assert_eq!(script.take()[0].header("cookie"), None);
}

#[tokio::test]
async fn a_throttled_flow_is_told_apart_and_not_repeated() {
    for at in 0..3 {
        let mut replies = vec![identification(true), onward(), logged_in()];
        replies.truncate(at);
        replies.push(
            Reply::status(429, "application/json", r#"{"detail":"Request was throttled."}"#)
                .with("Retry-After", "2"),
        );
        let (result, requests) = run(replies, b"pw").await;
        let error = result.unwrap_err();
        assert_eq!(
            error.throttled_for(),
            Some(std::time::Duration::from_secs(2)),
            "{error:?}"
        );
        assert_eq!(requests.len(), at + 1);
    }
}

#[tokio::test]
async fn an_answer_with_many_headers_is_read() {
    let mut many = identification(true);
    for number in 0..500 {
        many = many.with(&format!("X-Policy-{number}"), "of a proxy");
    }
    let (result, requests) = run(vec![many, onward(), logged_in()], b"pw").await;
    session(result);
    // An answer that cannot be read would be asked for again.
    let methods: Vec<&str> = requests.iter().map(|request| request.method.as_str()).collect();
    assert_eq!(methods, ["GET", "POST", "GET"]);
}

#[tokio::test]
async fn second_factors_are_chosen_as_written_down() {
    let with = |offered: &[(&str, &str)]| {
        vec![
            identification(true),
            onward(),
            devices(offered),
            onward(),
            logged_in(),
        ]
    };
    let sent = |requests: &[Received]| serde_json::from_str::<serde_json::Value>(&requests[3].body).unwrap();
    // A code goes to the first totp or static device, before any Duo.
    let (result, requests) = run(
        with(&[("duo", "9"), ("email", "5"), ("static", "2"), ("totp", "1")]),
        b"pw;123456",
    )
    .await;
    session(result);
    let answer = sent(&requests);
    assert_eq!(
        (&answer["code"], &answer["selected_challenge"]["device_class"]),
        (&"123456".into(), &"static".into())
    );
    assert!(answer.get("duo").is_none());
    // No code: the last Duo device is pushed.
    let (result, requests) = run(with(&[("totp", "1"), ("duo", "8"), ("duo", "9")]), b"pw").await;
    session(result);
    assert_eq!(
        (sent(&requests)["duo"].as_i64(), sent(&requests).get("code")),
        (Some(9), None)
    );
    // Neither fits: nothing is sent, and the classes are named.
    for (offered, input, code_given) in [
        (
            vec![("sms", "1"), ("email", "2"), ("webauthn", "-1")],
            &b"pw;123456"[..],
            true,
        ),
        (vec![("totp", "1"), ("sms", "2")], b"pw", false),
        (vec![("duo", "9")], b"pw;123456", true),
        (vec![("duo", "not a number")], b"pw", false),
        (vec![], b"pw", false),
    ] {
        let rejection = rejected(vec![identification(true), onward(), devices(&offered)], input).await;
        for (class, _) in &offered {
            assert!(rejection.to_string().contains(class), "{rejection}");
        }
        assert!(
            matches!(rejection, Rejection::NoCompatibleAuthenticator { code_given: given, .. } if given == code_given)
        );
    }
    // Without MFA support the whole input is password and code.
    let script = Script::new(with(&[("totp", "1")])).await;
    let request = LoginRequest {
        mfa_support: false,
        codes: CodeRule::default(),
        ..bind(b"pw;123456")
    };
    session(executor(&script).execute(&request).await);
    assert_eq!(sent(&script.take())["code"], "pw;123456");
}

#[tokio::test]
async fn a_password_that_is_no_text_is_not_sent() {
    let (result, requests) = run(vec![], b"\xff\xfe").await;
    assert!(matches!(
        result,
        Ok(FlowOutcome::Rejected(Rejection::InvalidCredentials {
            stage: None,
            ..
        }))
    ));
    assert!(requests.is_empty());
    // authentik judges NUL and the like.
    let (_, requests) = run(
        vec![identification(true), refused("ak-stage-identification", true)],
        b"a\0\"\\\x1f",
    )
    .await;
    let body: serde_json::Value = serde_json::from_str(&requests[1].body).unwrap();
    assert_eq!(body["password"], "a\0\"\\\u{1f}");
}

#[tokio::test]
async fn no_fault_of_a_request_lets_anybody_in_or_blames_the_password() {
    let faults = || {
        vec![
            Reply::status(500, "text/html", "<html>Server Error</html>"),
            Reply::status(403, "application/json", r#"{"detail":"CSRF Failed"}"#),
            Reply::status(400, "text/html", ""),
            Reply::status(429, "application/json", r#"{"detail":"Request was throttled."}"#),
            Reply::status(429, "text/html", "<html>").with("Retry-After", "30"),
            Reply::status(413, "text/html", "<html>413 Request Entity Too Large</html>"),
            Reply::status(404, "text/html", "<html>Not Found</html>"),
            Reply::status(204, "application/json", ""),
            Reply::status(503, "application/json", r#"{"error":"authentik starting"}"#),
            Reply::status(200, "text/html", r#"{"component":"xak-flow-redirect","to":"/"}"#),
            Reply::json(""),
            Reply::json("{}"),
            Reply::json("null"),
            Reply::json(r#"{"component":"#),
            Reply::json(r#"{"component":7,"to":"/"}"#),
            Reply::Stall,
            Reply::json(r#"{"component":"ak-stage-flow-error","request_id":"r1","error":"boom"}"#),
        ]
    };
    let good = || vec![identification(false), onward(), password(), onward(), logged_in()];
    for at in 0..good().len() {
        for fault in faults() {
            let shown = format!("{fault:?} at request {at}");
            let mut replies = good();
            replies.truncate(at);
            replies.push(fault.with("Set-Cookie", &session_cookie("x", Some("u"))));
            let (result, _) = run(replies, b"pw").await;
            let error = result.expect_err(&shown);
            assert!(
                !error.to_string().is_empty() && !error.hint().is_empty(),
                "{shown}"
            );
        }
    }
}

#[tokio::test]
async fn a_recycled_worker_costs_one_more_run() {
    let faults = || {
        [
            Reply::status(500, "text/plain; charset=utf-8", "Internal Server Error"),
            Reply::Close,
            Reply::Truncated,
            Reply::status(502, "text/html", "x"),
            Reply::status(503, "text/html", "x"),
        ]
    };
    let good = || vec![identification(false), onward(), password(), onward(), logged_in()];
    for at in 0..good().len() {
        for fault in faults() {
            let shown = format!("{fault:?} at request {at}");
            let mut replies = good();
            replies.truncate(at);
            replies.push(fault.clone());
            replies.extend(good());
            let script = Script::new(replies).await;
            // What the first run learned makes the second begin with a POST, whose scripted answer is the challenge:
            // it is answered then, so every scripted answer is used in both cases.
            let result = executor(&script).execute(&bind(b"pw")).await;
            assert_eq!(
                (script.left(), script.take().len()),
                (0, at + 6),
                "{shown}: {result:?}"
            );
            session(result);
            // A second fault is the end.
            let twice = Script::new(vec![fault.clone(), fault, identification(true)]).await;
            let result = executor(&twice).execute(&bind(b"pw")).await;
            assert!(result.is_err(), "{shown}");
            assert_eq!(twice.left(), 1, "{shown}");
        }
    }
}

#[tokio::test]
async fn nothing_is_repeated_after_a_code_left() {
    for (offered, input) in [("totp", &b"pw;123456"[..]), ("duo", b"pw")] {
        for later in 0..2 {
            let mut replies = vec![identification(true), onward(), devices(&[(offered, "1")])];
            replies.extend((0..later).map(|_| onward()));
            replies.push(Reply::Close);
            let script = Script::new(replies).await;
            let result = executor(&script).execute(&bind(input)).await;
            assert!(
                matches!(result, Err(FlowError::Api(ApiError::Interrupted { .. }))),
                "{result:?}"
            );
            assert_eq!(script.take().len(), 4 + later);
        }
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let dead = Executor::new(client(&format!("http://{address}"), |_| {}), Arc::new(NoObserver));
    let error = dead.execute(&bind(b"pw")).await.unwrap_err();
    assert!(
        matches!(
            &error,
            FlowError::Api(ApiError::Unreachable {
                cause: Unreachable::Refused,
                ..
            })
        ),
        "{error:?}"
    );
    let nowhere = Executor::new(
        client("http://no-such-host.invalid", |_| {}),
        Arc::new(NoObserver),
    );
    let error = nowhere.execute(&bind(b"pw")).await.unwrap_err();
    assert!(error.is_transient() && !error.to_string().contains("pw"));
}

#[tokio::test]
async fn an_unbind_flow_ends_the_session_or_does_not() {
    let script = Script::new(vec![identification(true), onward(), logged_in()]).await;
    let executor = executor(&script);
    let bound = session(executor.execute(&bind(b"pw")).await);
    script.take();
    let ip: IpAddr = "192.0.2.7".parse().unwrap();
    script.push(vec![done("/")]);
    assert!(
        !executor
            .execute_unbind(&bound, "bye", ip)
            .await
            .unwrap()
            .logged_out
    );
    let request = script.take().remove(0);
    assert!(
        request
            .target
            .starts_with("/api/v3/flows/executor/bye/?query=goauthentik.io%252F")
    );
    assert!(
        request
            .header("cookie")
            .unwrap()
            .contains("authentik_csrf=csrf-value")
    );
    script.push(vec![
        Reply::redirect("/api/v3/flows/executor/bye/?query=goauthentik.io%252Foutpost%252Fldap%3Dtrue"),
        done("/").with(
            "Set-Cookie",
            "authentik_session=\"\"; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
        ),
    ]);
    assert!(
        executor
            .execute_unbind(&bound, "bye", ip)
            .await
            .unwrap()
            .logged_out
    );
    script.push(vec![
        Reply::json(r#"{"component":"ak-stage-session-end"}"#)
            .with("Set-Cookie", &session_cookie("new", None)),
    ]);
    assert!(
        executor
            .execute_unbind(&bound, "bye", ip)
            .await
            .unwrap()
            .logged_out
    );
    let detail = r#"{"detail":"No Flow matches the given query."}"#;
    script.push(vec![Reply::status(404, "application/json", detail)]);
    assert!(matches!(
        executor.execute_unbind(&bound, "bye", ip).await,
        Err(error @ FlowError::FlowNotFound { .. }) if error.is_broken_flow()
    ));
    // A proxy's page says nothing of what authentik has.
    script.push(vec![Reply::status(404, "text/html", "x")]);
    assert!(matches!(
        executor.execute_unbind(&bound, "bye", ip).await,
        Err(FlowError::Api(error)) if error.is_foreign()
    ));
}

#[derive(Default)]
struct Steps(Mutex<Vec<(FlowMethod, String, u32)>>);

impl FlowObserver for Steps {
    fn step(&self, step: &FlowStep<'_>) {
        assert_eq!(step.flow, SLUG);
        self.0
            .lock()
            .unwrap()
            .push((step.method, step.component.to_owned(), step.requests));
    }
}

#[tokio::test]
async fn steps_are_told_to_the_observer() {
    let script = Script::new(vec![
        identification(false),
        onward(),
        password(),
        onward(),
        logged_in(),
        Reply::Stall,
    ])
    .await;
    let steps = Arc::new(Steps::default());
    let executor = Executor::new(script.client(), Arc::clone(&steps) as Arc<dyn FlowObserver>);
    session(executor.execute(&bind(b"pw")).await);
    let seen = std::mem::take(&mut *steps.0.lock().unwrap());
    assert_eq!(
        seen,
        [
            (FlowMethod::Get, "ak-stage-identification".to_owned(), 1),
            (FlowMethod::Post, "ak-stage-password".to_owned(), 2),
            (FlowMethod::Post, "xak-flow-redirect".to_owned(), 2),
        ]
    );
    let error = executor.execute(&bind(b"pw")).await.unwrap_err();
    assert!(
        matches!(error, FlowError::Api(ApiError::TimedOut { .. })),
        "{error}"
    );
    assert_eq!(
        steps.0.lock().unwrap().as_slice(),
        [(FlowMethod::Post, String::new(), 1)]
    );
}

#[test]
fn nothing_secret_is_in_debug_output() {
    let shown = format!("{:?}", bind(b"hunter2"));
    assert!(shown.contains("al") && !shown.contains("hunter2") && !shown.contains("104, 117"));
}
