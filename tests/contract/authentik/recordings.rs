//! Replays of what a real authentik answered: the executor must reach the recorded result of every login.

use std::net::IpAddr;
use std::sync::Arc;

use akldap_authentik::flow::{
    CodeRule, Executor, FlowError, FlowOutcome, LoginRequest, NoObserver, Rejection,
};
use akldap_authentik::{GroupsQuery, UsersQuery};
use akldap_testing::authentik_server::{Received, Reply, Script, TOKEN};
use akldap_testing::recordings;
use serde_json::Value;

/// The exchanges of a login, in their order.
fn exchanges(login: &str) -> impl Iterator<Item = &'static Value> + use<> {
    recordings::below(&format!("D-flows/{login}")).map(|(_, exchange)| exchange)
}

fn reply(exchange: &Value) -> Reply {
    let response = &exchange["response"];
    let headers = response["headers"].as_array().unwrap().iter();
    let headers = headers.map(|pair| {
        (
            pair[0].as_str().unwrap().to_owned(),
            pair[1].as_str().unwrap().to_owned(),
        )
    });
    // authentik puts one on every answer, and the recordings leave it out.
    let id = ("X-authentik-id".to_owned(), "0123456789abcdef".to_owned());
    Reply::Answer(
        u16::try_from(response["status"].as_u64().unwrap()).unwrap(),
        headers.chain([id]).collect(),
        response["body"].as_str().unwrap_or_default().to_owned(),
    )
}

fn is_flow(exchange: &Value) -> bool {
    exchange["request"]["path"]
        .as_str()
        .unwrap()
        .contains("/flows/executor/")
}

/// The input that a client would have sent: the recorded password, and the code behind a semicolon.
fn input(steps: &[&Value]) -> String {
    let answers = || {
        steps
            .iter()
            .filter_map(|step| step["request"]["body"].as_str())
            .map(|body| serde_json::from_str::<Value>(body).unwrap())
    };
    let password = answers()
        .find_map(|answer| answer["password"].as_str().map(str::to_owned))
        .unwrap_or_default();
    match answers().find_map(|answer| answer["code"].as_str().map(str::to_owned)) {
        Some(code) => format!("{password};{code}"),
        None => password,
    }
}

fn assert_recorded(name: &str, recorded: &Value, result: &Result<FlowOutcome, FlowError>) {
    let kind = recorded[0].as_str().unwrap();
    let stage = recorded[1].as_str().unwrap_or_default();
    match (kind, result) {
        ("done", Ok(FlowOutcome::Authenticated(_))) => assert_ne!(name, "x03-empty-flow"),
        ("done", Err(FlowError::NotLoggedIn { to })) => {
            assert_eq!((name, to.as_str()), ("x03-empty-flow", "/"));
        }
        (
            "response_errors",
            Ok(FlowOutcome::Rejected(Rejection::InvalidCredentials {
                stage: Some(at),
                message,
            })),
        ) => {
            let field = recorded[2].as_object().unwrap().values().next().unwrap();
            assert_eq!(
                (at.as_str(), message.as_str()),
                (stage, field[0]["string"].as_str().unwrap()),
                "{name}"
            );
        }
        ("denied", Ok(FlowOutcome::Rejected(Rejection::Denied { message }))) => {
            assert_eq!(message, recorded[2].as_str().unwrap(), "{name}");
        }
        (
            "unsolvable",
            Ok(FlowOutcome::Rejected(Rejection::NoCompatibleAuthenticator {
                offered,
                code_given: false,
            })),
        ) => {
            assert_eq!(offered, &["totp"], "{name}");
        }
        ("unsupported", Ok(FlowOutcome::Rejected(Rejection::UnsupportedStage { component, .. }))) => {
            assert_eq!(component, stage, "{name}");
        }
        ("http", Err(FlowError::FlowNotFound { slug })) => assert_eq!(slug, "no-such-flow", "{name}"),
        _ => panic!("{name}: recorded {recorded}, got {result:?}"),
    }
}

#[tokio::test]
async fn every_recorded_login_comes_to_its_recorded_result() {
    let summary = &recordings::authentik()["D-flows-summary.json"];
    let mut replayed = 0;
    for scenario in summary.as_array().unwrap() {
        let name = scenario["scenario"].as_str().unwrap();
        let steps: Vec<&Value> = exchanges(name).filter(|step| is_flow(step)).collect();
        let script = Script::new(steps.iter().map(|step| reply(step)).collect()).await;
        let executor = Executor::new(script.client(), Arc::new(NoObserver));
        let input = input(&steps);
        let (flow_slug, username) = (
            scenario["flow"].as_str().unwrap(),
            scenario["uid"].as_str().unwrap(),
        );
        let client_ip: IpAddr = "192.0.2.44".parse().unwrap();
        let request = LoginRequest {
            flow_slug,
            username,
            password: input.as_bytes(),
            mfa_support: true,
            codes: CodeRule::default(),
            client_ip,
        };
        let result = executor.execute(&request).await;
        assert_recorded(name, &scenario["result"], &result);
        assert_eq!(
            script.left(),
            0,
            "{name}: not every recorded answer was asked for"
        );
        compare_requests(name, &script.take(), &steps);
        if let Ok(FlowOutcome::Authenticated(session)) = &result {
            let me = exchanges(name)
                .find(|step| step["request"]["path"].as_str().unwrap().ends_with("/users/me/"))
                .unwrap();
            let me: Value = serde_json::from_str(me["response"]["body"].as_str().unwrap()).unwrap();
            assert_eq!(session.uid(), me["user"]["uid"].as_str().unwrap(), "{name}");
        }
        replayed += 1;
    }
    assert!(replayed >= 70, "only {replayed} scenarios");
}

/// Our requests must be the recorded ones: method, path, query, cookies, delegation headers and the JSON sent.
fn compare_requests(name: &str, ours: &[Received], steps: &[&Value]) {
    for (ours, theirs) in ours.iter().zip(steps) {
        let theirs = &theirs["request"];
        let target = format!(
            "{}?{}",
            theirs["path"].as_str().unwrap(),
            theirs["query"].as_str().unwrap()
        );
        assert_eq!(
            (ours.method.as_str(), ours.target.as_str()),
            (theirs["method"].as_str().unwrap(), target.as_str()),
            "{name}"
        );
        assert_eq!(ours.header("authorization"), None, "{name}");
        assert_eq!(ours.header("x-authentik-remote-ip"), Some("192.0.2.44"), "{name}");
        assert_eq!(ours.header("x-authentik-outpost-token"), Some(TOKEN), "{name}");
        let cookies = |text: Option<&str>| {
            let mut all: Vec<String> = text.unwrap_or_default().split("; ").map(str::to_owned).collect();
            all.sort();
            all
        };
        let theirs_cookie = theirs["headers"]
            .as_array()
            .unwrap()
            .iter()
            .find(|pair| pair[0] == "Cookie")
            .map(|pair| pair[1].as_str().unwrap());
        assert_eq!(cookies(ours.header("cookie")), cookies(theirs_cookie), "{name}");
        if let Some(body) = theirs["body"].as_str() {
            let theirs: Value = serde_json::from_str(body).unwrap();
            let ours: Value = serde_json::from_str(&ours.body).unwrap();
            assert_eq!(ours, theirs, "{name}");
        }
    }
}

#[tokio::test]
async fn recorded_logins_work_without_the_first_get() {
    for name in [
        "e01-embedded-ok",
        "e06-embedded-wrong-password",
        "s01-separate-ok",
        "m10-totp-ok",
        "m40-embedded-mfa-deny-totp-ok",
    ] {
        let steps: Vec<&Value> = exchanges(name).filter(|step| is_flow(step)).collect();
        let script = Script::new(vec![reply(steps[0])]).await;
        let executor = Executor::new(script.client(), Arc::new(NoObserver));
        assert_eq!(
            executor.warm_up("a-flow").await.unwrap(),
            "ak-stage-identification"
        );
        let warm_up = script.take();
        assert!(
            warm_up[0]
                .target
                .contains("%26goauthentik.io%252Foutpost%252Fldap-warmup%3Dtrue")
        );
        // The recorded redirects name their own flow.
        let slug = steps[0]["request"]["path"]
            .as_str()
            .unwrap()
            .split('/')
            .nth(5)
            .unwrap()
            .to_owned();
        script.push(vec![reply(steps[0])]);
        executor.warm_up(&slug).await.unwrap();
        script.take();
        script.push(steps[1..].iter().map(|step| reply(step)).collect());
        let input = input(&steps);
        let request = LoginRequest {
            flow_slug: &slug,
            username: "somebody",
            password: input.as_bytes(),
            mfa_support: true,
            codes: CodeRule::default(),
            client_ip: "2001:db8::1".parse().unwrap(),
        };
        let result = executor.execute(&request).await.unwrap();
        assert_eq!(
            matches!(result, FlowOutcome::Authenticated(_)),
            name != "e06-embedded-wrong-password",
            "{name}"
        );
        let requests = script.take();
        assert_eq!(
            (requests.len(), requests[0].method.as_str()),
            (steps.len() - 1, "POST"),
            "{name}"
        );
        assert_eq!(requests[0].header("x-authentik-remote-ip"), Some("2001:db8::1"));
    }
}

#[tokio::test]
async fn recorded_lists_decode_without_a_loss() {
    let script = Script::new(vec![]).await;
    let client = script.client();
    let mut pages = 0;
    for (kind, prefixes) in [
        ("B-users", ["0", "1", "2", "30-filter-ordering"]),
        ("C-groups", ["0", "30-filter-name", "1", "2"]),
    ] {
        for (name, exchange) in recordings::below(kind) {
            let (_, name) = name.split_once('/').unwrap();
            if !prefixes.iter().any(|prefix| name.starts_with(prefix))
                || exchange["response"]["status"] != 200
            {
                continue;
            }
            script.push(vec![reply(exchange)]);
            let recorded: Value =
                serde_json::from_str(exchange["response"]["body"].as_str().unwrap()).unwrap();
            let rows = recorded["results"].as_array().unwrap();
            let (pks, skipped): (Vec<Value>, usize) = if kind == "B-users" {
                let page = client.users_page(&UsersQuery::default()).await.unwrap();
                (
                    page.rows.iter().map(|user| user.pk.into()).collect(),
                    page.skipped.len(),
                )
            } else {
                let page = client.groups_page(&GroupsQuery::default()).await.unwrap();
                (
                    page.rows.iter().map(|group| group.pk.clone().into()).collect(),
                    page.skipped.len(),
                )
            };
            assert_eq!(skipped, 0, "{name}");
            assert_eq!(
                pks,
                rows.iter().map(|row| row["pk"].clone()).collect::<Vec<_>>(),
                "{name}"
            );
            pages += 1;
        }
    }
    assert!(pages > 20, "only {pages} pages");
}

#[tokio::test]
async fn recorded_bootstrap_answers_decode() {
    let script = Script::new(vec![]).await;
    let client = script.client();
    let play = |name: &str| {
        script.push(vec![reply(
            &recordings::authentik()[&format!("A-bootstrap/{name}")],
        )])
    };
    play("01-outposts-instances.json");
    let choice = client.outpost().await.unwrap();
    assert_eq!(
        (choice.outpost.kind.as_str(), choice.outpost.providers.len()),
        ("ldap", 4)
    );
    assert!(choice.advice().is_none() && choice.warnings.is_empty());
    play("10-root-config.json");
    assert_eq!(client.root_config().await.unwrap().cache_timeout_flows, 300);
    play("20-outposts-ldap.json");
    let (providers, warnings) = client.ldap_providers().await.unwrap();
    assert_eq!((providers.len(), warnings.len()), (3, 0));
    let uuid = providers
        .iter()
        .find_map(|provider| provider.certificate.clone())
        .unwrap();
    play("30-crypto-retrieve.json");
    let pair = client.certificate(&uuid).await.unwrap();
    assert!(pair.private_key_available && pair.fingerprint_sha256.is_some());
    play("31-crypto-view-certificate.json");
    assert!(
        client
            .view_certificate(&uuid)
            .await
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    play("32-crypto-view-private-key.json");
    use secrecy::ExposeSecret as _;
    assert!(
        client
            .view_private_key(&uuid)
            .await
            .unwrap()
            .expose_secret()
            .contains("PRIVATE KEY")
    );
    play("04-outposts-instances-wrong-token.json");
    let error = client.outpost().await.unwrap_err();
    assert!(
        matches!(error, akldap_authentik::ApiError::TokenInvalid { .. }),
        "{error}"
    );
    play("39-crypto-not-found.json");
    assert_eq!(client.certificate(&uuid).await.unwrap_err().status(), Some(404));
    let requests = script.take();
    assert!(
        requests
            .iter()
            .all(|request| request.header("authorization") == Some("Bearer token-of-the-outpost"))
    );
    assert!(
        requests
            .iter()
            .all(|request| request.header("x-authentik-outpost-token").is_none())
    );
}
