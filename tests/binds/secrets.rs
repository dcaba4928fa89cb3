//! No password, code, token or cookie reaches the log of the whole server at any level; and a panic anywhere in a bind
//! is an answer that is not success.

use akldap_simulator::{
    Device, Fault, NotConfigured, Rule, Stage as FlowStage, When, demo_secrets, totp_code,
};
use reqwest::Method;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use akldap_testing::captured_log::Log;
use akldap_testing::http::get;
use akldap_testing::scenery::{LOGOUT, change, directory, of, recommended, separate};
use akldap_testing::stage::{BASE, eventually, user_dn};

#[tokio::test]
async fn a_whole_run_at_the_finest_level_logs_no_secret() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);
    let secrets = demo_secrets();
    let mut values = Vec::new();
    for mode in ["direct", "cached"] {
        let stages = vec![
            FlowStage::identification(),
            FlowStage::password(),
            FlowStage::mfa(NotConfigured::Skip),
            FlowStage::login(),
        ];
        let mut directory = directory(mode, stages);
        change(&mut directory, |provider| {
            provider.unbind_flow = Some(LOGOUT.into())
        });
        let bob = directory.user_named("bob").unwrap().pk;
        directory
            .devices
            .insert(bob, vec![Device::totp(1, &secrets.totp_key)]);
        let stage = of(directory, &[("ACCESS_RECHECK_INTERVAL", "1s")]).await;
        let code = totp_code(&secrets.totp_key, stage.simulator.now());
        drop(stage.bound("alice").await);
        assert_eq!(
            stage
                .bind(&user_dn("bob"), &format!("demo-bob;{code}"))
                .await
                .code,
            0
        );
        assert_eq!(stage.bind(&user_dn("bob"), "demo-bob").await.code, 49);
        assert_eq!(
            stage
                .bind(&user_dn("alice"), "Sesame-open-wrong;A1b2C3d4")
                .await
                .code,
            49
        );
        assert_eq!(stage.bind(&user_dn("mallory"), "demo-mallory").await.code, 50);
        assert_eq!(
            stage
                .bind("Sesame=, not a DN", "Sesame-open-malformed")
                .await
                .code,
            50
        );
        for fault in [
            Fault::WorkerLost,
            Fault::Truncated,
            Fault::BadGateway,
            Fault::Forbidden,
            Fault::WrongContentType,
        ] {
            for path in ["/flows/executor/", "/check_access/"] {
                let rule = stage
                    .simulator
                    .faults()
                    .add(Rule::new(path, fault.clone()).when(When::After(1)));
                stage.bind(&user_dn("zoë"), "Sesame-open-fault").await;
                stage.bind(&user_dn("akadmin"), "demo-akadmin").await;
                stage.simulator.faults().remove(rule);
            }
        }
        let mut service = stage.bound("ldapservice").await;
        assert_eq!(
            service
                .subtree(BASE, "(&(objectClass=user)(cn=alice))", &[])
                .await
                .entries
                .len(),
            1
        );
        tokio::time::sleep(std::time::Duration::from_millis(1300)).await;
        stage.refresh().await;
        for request in stage.simulator.requests().all() {
            // Whatever authentik was sent as a cookie; a JWT's header is the same for all and says nothing.
            let cookies = request
                .header("cookie")
                .unwrap_or_default()
                .split("; ")
                .map(str::to_owned)
                .collect::<Vec<_>>();
            let value = |pair: &String| pair.split_once('=').map(|(_, value)| value.to_owned());
            for value in cookies.iter().filter_map(value) {
                values.extend(
                    value
                        .split('.')
                        .skip(usize::from(value.contains('.')))
                        .map(str::to_owned),
                );
            }
        }
        values.extend(stage.simulator.sessions().into_iter().map(|session| session.sid));
        values.push(stage.simulator.token());
        values.push(format!(";{code}"));
        stage.server.shutdown().await;
    }
    for password in ["alice", "bob", "mallory", "akadmin", "ldapservice"] {
        values.push(format!("demo-{password}"));
    }
    values.extend(["Sesame-open", "A1b2C3d4"].map(str::to_owned));
    values.sort_unstable();
    values.dedup();
    assert!(values.len() > 20, "cookies were seen: {}", values.len());
    let text = log.text();
    for needle in [
        "bind refused",
        "starting new connection",
        "running the flow again",
    ] {
        assert!(text.contains(needle), "the log is not being captured: {needle}");
    }
    for secret in values.iter().filter(|secret| secret.len() > 5) {
        let line = text.lines().find(|line| line.contains(secret.as_str()));
        assert_eq!(line, None, "{secret} is logged");
    }
}

#[tokio::test]
async fn an_answer_that_repeats_what_it_was_sent_takes_none_of_it_to_the_log() {
    let (log, _guard) = Log::listen_at(tracing::Level::TRACE);
    let stage = of(directory("direct", separate()), &[]).await;
    let token = stage.simulator.token();
    let mut cookies = Vec::new();
    for (number, (status, kind)) in [
        (403, "application/json"),
        (403, "text/html"),
        (500, "application/json"),
        (500, "text/html"),
        (502, "text/plain"),
        (200, "text/html"),
        (200, "application/json"),
    ]
    .into_iter()
    .enumerate()
    {
        for path in ["/flows/executor/", "/core/users/me/", "/check_access/"] {
            let rule = Rule::new(path, Fault::Echoed(status, kind));
            let rule = match path {
                "/flows/executor/" => rule.method(Method::POST),
                _ => rule,
            };
            let rule = stage.simulator.faults().add(rule);
            let (name, password) = match path {
                "/flows/executor/" => ("bob", format!("Sesame \"{number}\" <open>;12345{number}")),
                _ => ("alice", "demo-alice".to_owned()),
            };
            let outcome = stage.bind(&user_dn(name), &password).await;
            assert!(!outcome.message.contains("Sesame"), "{outcome:?}");
            if path != "/core/users/me/" {
                assert_ne!(outcome.code, 0, "{status} {kind} {path}");
            }
            stage.simulator.faults().remove(rule);
        }
    }
    for body in [
        r#"{"component":"ak-stage-identification","response_errors":{"password":[{"string":"not Sesame words","code":"invalid"}]}}"#,
        r#"{"component":"ak-stage-access-denied","error_message":"not Sesame words"}"#,
        r#"{"component":"ak-stage-flow-error","error":"not Sesame words","request_id":"0a1b2c3d"}"#,
        r#"{"component":"Sesame words"}"#,
        r#"{"component":"xak-flow-redirect","to":"/Sesame%20words/"}"#,
        r#"{"component":"xak-flow-redirect","to":"/Sesame words/"}"#,
    ] {
        let rule = Rule::new("/flows/executor/", Fault::Answer(200, "application/json", body));
        let rule = stage.simulator.faults().add(rule.method(Method::POST));
        let outcome = stage.bind(&user_dn("bob"), "Sesame words;123456").await;
        assert!(
            outcome.code != 0 && !outcome.message.contains("Sesame"),
            "{outcome:?}"
        );
        stage.simulator.faults().remove(rule);
    }
    let rule = Rule::new(
        "/flows/executor/",
        Fault::Moved("https://login.example/Sesame%20words/?q"),
    );
    let rule = stage.simulator.faults().add(rule.method(Method::POST));
    assert_ne!(stage.bind(&user_dn("bob"), "Sesame words").await.code, 0);
    stage.simulator.faults().remove(rule);
    // A list, with the token.
    stage
        .simulator
        .faults()
        .add(Rule::new("/api/v3/core/", Fault::Echoed(418, "text/html")));
    stage.server.outpost().refresh_requests().all();
    eventually("the refresh failed", || log.text().contains("with status 418")).await;
    for request in stage.simulator.requests().all() {
        let pairs = request.header("cookie").unwrap_or_default().split("; ");
        cookies.extend(pairs.filter_map(|pair| Some(pair.split_once('=')?.1.to_owned())));
    }
    assert!(!cookies.is_empty());
    let (_, metrics) = get(stage.http(), "/metrics").await;
    stage.server.shutdown().await;
    let text = log.text();
    for needle in [
        "bind refused",
        "[struck out]",
        "with status 403",
        "with status 500",
        "(request id 0a1b2c3d)",
    ] {
        assert!(text.contains(needle), "{needle} is missing");
    }
    let begins = |value: &String| value.get(..16).unwrap_or(value).to_owned();
    let mut values: Vec<String> = cookies
        .iter()
        .filter(|value| !value.contains('.'))
        .map(begins)
        .collect();
    values.extend(cookies);
    values.extend(["Sesame", "demo-alice", ";12345"].map(str::to_owned));
    values.extend([begins(&token), token]);
    for secret in values {
        let line = text
            .lines()
            .chain(metrics.lines())
            .find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} is logged");
    }
}

/// Panics in the middle of whatever logs this.
struct Bomb(&'static str);

impl Bomb {
    fn fits(&self, text: &str) -> bool {
        text.contains(self.0)
    }
}

impl<S: tracing::Subscriber> Layer<S> for Bomb {
    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        assert!(!self.fits(&message.0), "forced panic at {:?}", message.0);
    }
}

#[tokio::test]
async fn a_panic_inside_a_bind_is_never_success() {
    for (words, dn, fault) in [
        // Before anything is asked.
        ("accepted a bind DN", format!("cn=alice,{BASE}"), None),
        // In the middle of the flow.
        (
            "running the flow again",
            user_dn("alice"),
            Some(("/flows/executor/", Fault::WorkerLost)),
        ),
        // After the login, while access is asked.
        (
            "calling authentik again",
            user_dn("alice"),
            Some(("/check_access/", Fault::WorkerLost)),
        ),
    ] {
        for mode in ["direct", "cached"] {
            let stage = of(directory(mode, separate()), &[]).await;
            let mut client = stage.client().await;
            if let Some((path, fault)) = fault.clone() {
                stage
                    .simulator
                    .faults()
                    .add(Rule::new(path, fault).when(When::First(1)));
            }
            {
                let _guard = tracing_subscriber::registry().with(Bomb(words)).set_default();
                let outcome = client.bind(&dn, "demo-alice").await;
                assert_eq!(outcome.code, 80, "{mode} {words}: {outcome:?}");
                assert_eq!(client.who_am_i().await, "");
            }
            stage.simulator.faults().clear();
            assert_eq!(
                client.bind(&dn, "demo-alice").await.code,
                0,
                "{mode} {words}: the server goes on"
            );
        }
    }
}

#[tokio::test]
async fn what_the_directory_calls_somebody_else_is_not_taken_for_the_user() {
    // The session's `sub` decides who somebody is, not the name that was typed.
    let stage = of(directory("cached", recommended()), &[]).await;
    let mut client = stage.client().await;
    let by_mail = format!("mail=alice@example.com,ou=users,{BASE}");
    assert_eq!(client.bind(&by_mail, "demo-alice").await.code, 0);
    let found = client.subtree(BASE, "(objectClass=user)", &["cn"]).await;
    assert_eq!(
        found
            .entries
            .iter()
            .map(|entry| entry.one("cn"))
            .collect::<Vec<_>>(),
        ["alice"]
    );
    eventually("one session", || stage.simulator.sessions().len() == 1).await;
}
