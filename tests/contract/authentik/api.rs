//! The API client against a scripted server: queries, credentials, faults, strict and lenient answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use akldap_authentik::flow::{CodeRule, Executor, FlowOutcome, LoginRequest, NoObserver};
use akldap_authentik::lists::{PageRequest, Scan, ScanOptions};
use akldap_authentik::{
    ApiError, Client, GroupsQuery, Page, Session, Settings, Unreachable, User, UsersQuery,
};
use akldap_testing::authentik_server::{Reply, Script, TOKEN, client, session_cookie};
use akldap_testing::stage::NEVER;
use secrecy::SecretString;

const EMPTY: &str = r#"{"pagination":{"next":0,"previous":0,"count":0,"current":1,"total_pages":1,"start_index":0,"end_index":0},"results":[]}"#;

async fn session(script: &Script) -> Session {
    let done = Reply::json(r#"{"component":"xak-flow-redirect","to":"/"}"#);
    script.push(vec![done.with("Set-Cookie", &session_cookie("sid", Some("uid")))]);
    let executor = Executor::new(script.client(), Arc::new(NoObserver));
    let client_ip: IpAddr = "192.0.2.7".parse().unwrap();
    let request = LoginRequest {
        flow_slug: "f",
        username: "u",
        password: b"p",
        mfa_support: false,
        codes: CodeRule::default(),
        client_ip,
    };
    let FlowOutcome::Authenticated(session) = executor.execute(&request).await.unwrap() else {
        panic!()
    };
    script.take();
    session
}

#[tokio::test]
async fn queries_carry_what_is_set_and_nothing_else() {
    let script = Script::new(vec![Reply::json(EMPTY); 4]).await;
    let client = script.client();
    client.users_page(&UsersQuery::default()).await.unwrap();
    let query = UsersQuery {
        page: 3,
        page_size: Some(500),
        ordering: Some("last_updated,pk".into()),
        last_updated_gt: Some("2026-01-02T03:04:05+00:00".into()),
        include_groups: Some(true),
        include_roles: Some(false),
        username: Some("a&b=ü".into()),
        ..UsersQuery::default()
    };
    client.users_page(&query).await.unwrap();
    client
        .groups_page(&GroupsQuery {
            page: 1,
            include_users: Some(false),
            ..GroupsQuery::default()
        })
        .await
        .unwrap();
    let targets: Vec<String> = script.take().into_iter().map(|request| request.target).collect();
    assert_eq!(
        targets,
        [
            "/api/v3/core/users/?page=1",
            "/api/v3/core/users/?page=3&page_size=500&ordering=last_updated%2Cpk&last_updated__gt=2026-01-02T03%3A04%3A05%2B00%3A00&include_groups=true&include_roles=false&username=a%26b%3D%C3%BC",
            "/api/v3/core/groups/?page=1&include_users=false",
        ]
    );
}

#[tokio::test]
async fn a_users_call_carries_the_session_and_never_the_token() {
    let script = Script::new(vec![]).await;
    let session = session(&script).await;
    let client = script.client();
    let ip: Option<IpAddr> = Some("fe80::1".parse().unwrap());
    script.push(vec![Reply::json(
        r#"{"has_search_permission":true,"access":{"passing":true,"messages":["m"],"log_messages":[]}}"#,
    )]);
    let access = client.check_access(&session, 7, "my app", ip).await.unwrap();
    assert!(access.passing && access.has_search_permission && access.messages == ["m"]);
    script.push(vec![Reply::json(
        r#"{"user":{"pk":7,"username":"u","uid":"uid","is_active":true}}"#,
    )]);
    assert_eq!(client.users_me(&session, ip).await.unwrap().pk, 7);
    let requests = script.take();
    assert_eq!(
        requests[0].target,
        "/api/v3/outposts/ldap/7/check_access/?app_slug=my+app"
    );
    for request in &requests {
        assert_eq!(request.header("authorization"), None);
        assert_eq!(request.header("x-authentik-outpost-token"), Some(TOKEN));
        assert_eq!(request.header("x-authentik-remote-ip"), Some("fe80::1"));
        assert!(
            request
                .header("cookie")
                .unwrap()
                .starts_with("authentik_session=")
        );
    }
}

#[tokio::test]
async fn answers_that_let_people_in_are_strict() {
    let script = Script::new(vec![]).await;
    let session = session(&script).await;
    let client = script.client();
    for body in [
        "",
        "{}",
        "null",
        r#"{"has_search_permission":true}"#,
        r#"{"access":{"passing":true}}"#,
        r#"{"has_search_permission":true,"access":{}}"#,
        r#"{"has_search_permission":true,"access":{"passing":"true"}}"#,
        r#"{"has_search_permission":1,"access":{"passing":true}}"#,
        r#"{"has_search_permission":true,"access":{"passing":true}"#,
    ] {
        script.push(vec![Reply::json(body)]);
        let error = client.check_access(&session, 1, "a", None).await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{body}: {error}");
    }
    for body in [
        "{}",
        r#"{"user":{}}"#,
        r#"{"user":{"pk":"7","username":"u","uid":"x","is_active":true}}"#,
        r#"{"user":null}"#,
    ] {
        script.push(vec![Reply::json(body)]);
        assert!(client.users_me(&session, None).await.is_err(), "{body}");
    }
    let html = Reply::status(
        200,
        "text/html",
        r#"{"has_search_permission":true,"access":{"passing":true}}"#,
    );
    script.push(vec![html]);
    assert!(client.check_access(&session, 1, "a", None).await.is_err());
}

#[tokio::test]
async fn a_call_cut_off_is_made_once_more_and_no_oftener() {
    for fault in [
        Reply::Close,
        Reply::Truncated,
        Reply::status(500, "text/plain", "Internal Server Error"),
        Reply::status(502, "text/html", "x"),
    ] {
        let script = Script::new(vec![fault.clone(), Reply::json(EMPTY)]).await;
        script.client().users_page(&UsersQuery::default()).await.unwrap();
        let script = Script::new(vec![fault.clone(), fault, Reply::json(EMPTY)]).await;
        assert!(
            script
                .client()
                .users_page(&UsersQuery::default())
                .await
                .unwrap_err()
                .is_transient()
        );
        assert_eq!(script.left(), 1);
    }
    // A page that fails because of a row in it fails again: no second try.
    let script = Script::new(vec![
        Reply::status(500, "text/html", "<html>"),
        Reply::json(EMPTY),
    ])
    .await;
    let error = script
        .client()
        .users_page(&UsersQuery::default())
        .await
        .unwrap_err();
    assert_eq!((error.status(), script.left()), (Some(500), 1));
}

#[tokio::test]
async fn a_stalled_server_is_given_up_in_time() {
    let script = Script::new(vec![Reply::Stall]).await;
    let asked = tokio::time::timeout(NEVER, script.client().root_config()).await;
    let error = asked.expect("it is given up").unwrap_err();
    assert!(matches!(error, ApiError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_not_followed_with_the_token() {
    let script = Script::new(vec![Reply::redirect("https://other.example/")]).await;
    let error = script.client().root_config().await.unwrap_err();
    assert!(
        error.status() == Some(302) && error.hint().contains("AUTHENTIK_HOST"),
        "{error}"
    );
    assert!(!error.to_string().contains(TOKEN));
}

#[tokio::test]
async fn outposts_are_chosen_with_advice() {
    let page = |rows: &str, count: u32| {
        Reply::json(&format!(
            r#"{{"pagination":{{"count":{count},"total_pages":1}},"results":[{rows}]}}"#
        ))
    };
    let script = Script::new(vec![page("", 0)]).await;
    let client = script.client();
    assert!(matches!(client.outpost().await, Err(ApiError::NoOutpost { .. })));
    script.push(vec![page(
        r#"{"pk":"a","name":"P","type":"proxy"},{"pk":"b","name":"L","type":"ldap","config":{"log_level":"debug"},"refresh_interval_s":30}"#,
        2,
    )]);
    let choice = client.outpost().await.unwrap();
    assert_eq!(
        (
            choice.outpost.pk.as_str(),
            choice.outpost.log_level(),
            choice.outpost.refresh_interval_s
        ),
        ("b", Some("debug"), 30)
    );
    assert!(choice.advice().unwrap().contains("2 outposts"));
    script.push(vec![page(r#"{"pk":"a","name":"P","type":"proxy"}"#, 1)]);
    assert!(
        client
            .outpost()
            .await
            .unwrap()
            .advice()
            .unwrap()
            .contains("proxy")
    );
}

#[tokio::test]
async fn providers_come_from_all_pages() {
    let page = |number: u32, next: u32| {
        let row = format!(
            r#"{{"pk":{number},"name":"p{number}","base_dn":"DC=x","bind_flow_slug":"f","application_slug":"a"}}"#
        );
        Reply::json(&format!(
            r#"{{"pagination":{{"count":3,"total_pages":3,"next":{next},"current":{number}}},"results":[{row}]}}"#
        ))
    };
    let script = Script::new(vec![page(1, 2), page(2, 3), page(3, 0)]).await;
    let (providers, warnings) = script.client().ldap_providers().await.unwrap();
    assert_eq!((providers.len(), warnings.len()), (3, 0));
    let targets: Vec<String> = script.take().into_iter().map(|request| request.target).collect();
    assert!(targets[2].contains("page=3&"), "{targets:?}");
}

#[tokio::test]
async fn an_endless_list_is_an_error() {
    let page = Reply::json(r#"{"pagination":{"count":9,"total_pages":1000,"next":2},"results":[]}"#);
    let script = Script::new(vec![page; 120]).await;
    let error = script.client().ldap_providers().await.unwrap_err();
    assert!(error.to_string().contains("more than 100 pages"), "{error}");
    assert_eq!(script.take().len(), 100);
}

#[tokio::test]
async fn an_answer_beyond_all_measure_is_not_read() {
    let huge = |bytes: usize| {
        Reply::json(&format!(
            r#"{{"cache_timeout_flows":1,"x":"{}"}}"#,
            "y".repeat(bytes)
        ))
    };
    let script = Script::new(vec![huge(4 << 20), huge(3 << 20)]).await;
    let error = script.client().root_config().await.unwrap_err();
    assert!(
        matches!(error, ApiError::TooLarge { limit: 4_194_304, .. }),
        "{error}"
    );
    assert_eq!(
        script.client().root_config().await.unwrap().cache_timeout_flows,
        1
    );
    assert_eq!(script.take()[0].header("accept-encoding"), Some("gzip"));
}

/// Anything that speaks JSON may answer where authentik is expected.
#[tokio::test]
async fn a_configuration_without_what_it_says_is_not_authentiks() {
    for body in [
        "{}",
        "[]",
        "null",
        r#"{"capabilities":[]}"#,
        r#"{"cache_timeout_flows":"soon"}"#,
    ] {
        let script = Script::new(vec![Reply::json(body)]).await;
        let answer = script.client().root_config().await;
        assert!(
            matches!(answer, Err(ApiError::Malformed { .. })),
            "{body}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_missing_user_is_not_an_error() {
    let missing = Reply::status(
        404,
        "application/json",
        r#"{"detail":"No User matches the given query."}"#,
    );
    let script = Script::new(vec![
        missing,
        Reply::status(404, "text/html", "<html>"),
        Reply::json(r#"{"pk":5,"username":"u","name":[]}"#),
    ])
    .await;
    let client = script.client();
    assert!(client.user(5).await.unwrap().is_none());
    assert_eq!(client.user(5).await.unwrap_err().status(), Some(404));
    let (user, warnings) = client.user(5).await.unwrap().unwrap();
    assert_eq!((user.pk, warnings.len()), (5, 1));
}

#[tokio::test]
async fn a_whole_list_is_scanned() {
    let page = |number: u32, pk: u32, next: u32| {
        let row = format!(r#"{{"pk":{pk},"username":"u{pk}"}}"#);
        Reply::json(&format!(
            r#"{{"pagination":{{"next":{next},"count":3,"total_pages":3,"current":{number}}},"results":[{row}]}}"#
        ))
    };
    // The end of the list first, the rest from the last page to the first.
    let script = Script::new(vec![page(1, 3, 2), page(2, 2, 3), page(1, 1, 2)]).await;
    let client = script.client();
    let mut names = Vec::new();
    let fetch = |request: PageRequest| {
        let query = UsersQuery {
            page: request.page,
            page_size: Some(request.size),
            ordering: Some(if request.descending { "-pk" } else { "pk" }.to_owned()),
            ..UsersQuery::default()
        };
        let client = &client;
        async move { client.users_page(&query).await }
    };
    let summary = Scan::new(1)
        .run(&ScanOptions::default(), fetch, |page: Page<User>| {
            names.extend(page.rows.into_iter().map(|user| user.username))
        })
        .await
        .unwrap();
    assert_eq!(
        (summary.rows, summary.requests, names.join(" ").as_str()),
        (3, 3, "u3 u2 u1")
    );
}

#[tokio::test]
async fn certificates_are_asked_for_by_uuid_only() {
    let script = Script::new(vec![]).await;
    let client = script.client();
    for id in ["", "../../core/users", "1", "951ead11-ad8a-4910-b9a7-0db3a2bfa73"] {
        assert!(
            matches!(client.certificate(id).await, Err(ApiError::Settings(_))),
            "{id}"
        );
    }
    assert!(script.take().is_empty());
}

/// A TLS server on loopback with a certificate of its own; answers every request the same.
async fn tls_server() -> (std::net::SocketAddr, String) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\nConnection: close\r\n\r\n{\"cache_timeout_flows\": 4711}";
                let _ = stream.write_all(answer.replace(" 4711", "4711").as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (address, made.cert.pem())
}

#[tokio::test]
async fn trust_is_decided_by_the_settings() {
    let (address, pem) = tls_server().await;
    let (right, wrong) = (
        format!("https://localhost:{}", address.port()),
        format!("https://127.0.0.1:{}", address.port()),
    );
    let cause = |error: ApiError| match error {
        ApiError::Unreachable { cause, .. } => cause,
        other => panic!("{other:?}"),
    };
    let stranger = client(&right, |_| {}).root_config().await.unwrap_err();
    assert!(stranger.hint().contains("AUTHENTIK_INSECURE"));
    assert_eq!(cause(stranger), Unreachable::UnknownAuthority);
    let insecure = client(&wrong, |settings| settings.insecure = true);
    assert_eq!(insecure.root_config().await.unwrap().cache_timeout_flows, 4711);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, pem).unwrap();
    let trusting = client(&right, |settings| settings.ca_file = Some(file.clone()));
    assert_eq!(trusting.root_config().await.unwrap().cache_timeout_flows, 4711);
    let misnamed = client(&wrong, |settings| settings.ca_file = Some(file.clone()))
        .root_config()
        .await
        .unwrap_err();
    assert!(matches!(cause(misnamed), Unreachable::WrongName(_)));
    // Plain HTTP behind https://, and a CA file without a certificate.
    let script = Script::new(vec![]).await;
    let plain = client(&format!("https://{}", script.address), |_| {})
        .root_config()
        .await
        .unwrap_err();
    assert!(
        matches!(plain, ApiError::Unreachable { .. } | ApiError::TimedOut { .. }),
        "{plain:?}"
    );
    std::fs::write(&file, "nothing").unwrap();
    let mut settings = Settings::new(right.parse().unwrap(), SecretString::from(TOKEN));
    settings.ca_file = Some(file);
    assert!(matches!(Client::new(settings), Err(ApiError::Settings(_))));
}

/// A server that should be reported as not speaking HTTP: it answers with these octets, or is silent.
async fn speaks(octets: Option<&'static [u8]>) -> std::net::SocketAddr {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                match octets {
                    Some(octets) => {
                        let _ = stream.write_all(octets).await;
                    }
                    None => std::future::pending().await,
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn http_and_https_mixed_up_have_a_hint_each() {
    // A TLS alert, which is how a TLS server answers what is not a handshake.
    let https = speaks(Some(&[0x15, 0x03, 0x01, 0, 2, 2, 0x46])).await;
    let error = client(&format!("http://{https}"), |_| {})
        .root_config()
        .await
        .unwrap_err();
    assert!(
        error.hint().contains("write https://"),
        "{error}: {}",
        error.hint()
    );
    // One that speaks TLS may also hang up; and what speaks neither is not called https.
    let closes = speaks(Some(b"")).await;
    let ldap = speaks(Some(&[0x30, 0x0c, 2, 1, 1, 0x61, 7, 10, 1, 2, 4, 0, 4, 0])).await;
    for (address, words) in [(closes, "write https://"), (ldap, "does not speak http")] {
        let error = client(&format!("http://{address}"), |_| {})
            .root_config()
            .await
            .unwrap_err();
        assert!(error.hint().contains(words), "{error}: {}", error.hint());
    }
    let http = speaks(Some(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")).await;
    let error = client(&format!("https://{http}"), |_| {})
        .root_config()
        .await
        .unwrap_err();
    assert!(
        error.hint().contains("write http://"),
        "{error}: {}",
        error.hint()
    );
    let silent = speaks(None).await;
    let error = client(&format!("https://{silent}"), |_| {})
        .root_config()
        .await
        .unwrap_err();
    assert!(
        error.hint().contains("nothing answers"),
        "{error}: {}",
        error.hint()
    );
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_named_without_being_shown() {
    let settings = Settings::new("http://a/".parse().unwrap(), SecretString::from("geheim\n\u{1}x"));
    let shown = format!("{settings:?}");
    let error = Client::new(settings).unwrap_err().to_string();
    assert!(error.contains("AUTHENTIK_TOKEN") && !error.contains("geheim") && !shown.contains("geheim"));
    let fine = Settings::new("http://a/".parse().unwrap(), SecretString::from("token\n"));
    assert!(Client::new(fine).is_ok());
}

#[tokio::test]
async fn calls_go_through_the_proxy_of_the_environment() {
    let proxy = Script::new(vec![
        Reply::json(EMPTY),
        Reply::json(r#"{"component":"ak-stage-consent"}"#),
    ])
    .await;
    let through = |host: &str, except: &str| {
        client(host, |settings| {
            let url: url::Url = format!("http://user:pass@{}", proxy.address).parse().unwrap();
            settings.proxies.http = Some(url.clone());
            settings.proxies.https = Some(url);
            settings.proxies.except = except.to_owned();
        })
    };
    // In plain text the proxy sees everything, so both the token and people's passwords.
    let plain = through("http://authentik.invalid", "");
    plain.users_page(&UsersQuery::default()).await.unwrap();
    let executor = Executor::new(plain.clone(), Arc::new(NoObserver));
    executor.warm_up("f").await.unwrap();
    let seen = proxy.take();
    assert!(
        seen[0]
            .target
            .starts_with("http://authentik.invalid/api/v3/core/users/")
    );
    assert!(seen[0].header("authorization").unwrap().starts_with("Bearer "));
    assert!(
        seen[0]
            .header("proxy-authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    assert!(
        seen[1]
            .target
            .starts_with("http://authentik.invalid/api/v3/flows/executor/f/")
    );
    // A tunnel shows it only the host.
    proxy.push(vec![Reply::status(502, "text/html", "no such host")]);
    let tunnel = through("https://authentik.invalid", "");
    let error = tunnel.users_page(&UsersQuery::default()).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    let seen = proxy.take();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].target.as_str()),
        ("CONNECT", "authentik.invalid:443")
    );
    assert_eq!(seen[0].header("authorization"), None);
    // An exception, and a loopback address, are called directly.
    for (host, except) in [
        ("http://authentik.invalid", "example, authentik.invalid"),
        ("https://authentik.invalid", "*"),
    ] {
        let direct = through(host, except);
        let error = direct.users_page(&UsersQuery::default()).await.unwrap_err();
        assert!(matches!(error, ApiError::Unreachable { .. }), "{error:?}");
    }
    assert!(proxy.take().is_empty());
    proxy.push(vec![Reply::json(EMPTY)]);
    let local = through(&format!("http://{}", proxy.address), "");
    local.users_page(&UsersQuery::default()).await.unwrap();
    assert!(proxy.take()[0].target.starts_with("/api/v3/"));
}

#[tokio::test]
async fn a_throttled_list_is_asked_again_when_authentik_said() {
    let throttled = |wait: &str| {
        Reply::status(429, "application/json", r#"{"detail":"Request was throttled."}"#)
            .with("Retry-After", wait)
    };
    let script = Script::new(vec![throttled("0"), Reply::json(EMPTY)]).await;
    script.client().users_page(&UsersQuery::default()).await.unwrap();
    // Twice is an error, and so is a wait for which a call has no time.
    script.push(vec![throttled("0"), throttled("0")]);
    let error = script
        .client()
        .users_page(&UsersQuery::default())
        .await
        .unwrap_err();
    assert!(matches!(error, ApiError::Throttled { .. }), "{error:?}");
    script.push(vec![throttled("120")]);
    let error = script
        .client()
        .users_page(&UsersQuery::default())
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(60)));
    assert_eq!(script.left(), 0);
}

/// Answers of a release, cut down to a row a list. Those of 2025.10 and 2026.5 were recorded; those of 2026.8 have what the
/// schema of that release adds.
fn answer_of(release: &str, name: &str) -> serde_json::Value {
    let path = format!(
        "{}/tests/recordings/releases/{release}/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn every_release_is_understood_without_a_loss() {
    for release in ["2025.10", "2026.5", "2026.8"] {
        let body = |name: &str| answer_of(release, name);
        let reply = |name: &str| Reply::json(&body(name).to_string());
        let script = Script::new(vec![
            reply("outposts"),
            reply("providers"),
            reply("users"),
            reply("groups"),
        ])
        .await;
        let client = script.client();
        let outpost = client.outpost().await.unwrap();
        assert_eq!(
            outpost.outpost.pk,
            body("outposts")["results"][0]["pk"],
            "{release}"
        );
        let (providers, warnings) = client.ldap_providers().await.unwrap();
        assert_eq!((providers.len(), warnings.len()), (1, 0), "{release}");
        let users = client.users_page(&UsersQuery::default()).await.unwrap();
        let groups = client.groups_page(&GroupsQuery::default()).await.unwrap();
        assert_eq!((users.rows.len(), users.skipped.len()), (1, 0), "{release}");
        assert_eq!((groups.rows.len(), groups.skipped.len()), (1, 0), "{release}");
        let (user, row) = (&users.rows[0], &body("users")["results"][0]);
        assert_eq!(
            serde_json::json!([user.pk, user.username, user.uid]),
            serde_json::json!([row["pk"], row["username"], row["uid"]])
        );
        assert!(user.password_change_date.micros().is_some(), "{release}");

        let me = body("me");
        let uid = me["user"]["uid"].as_str().unwrap();
        script.push(vec![
            reply("identification").with("Set-Cookie", &session_cookie("before", None)),
            reply("redirect").with("Set-Cookie", &session_cookie("after", Some(uid))),
            reply("access"),
            reply("me"),
        ]);
        let executor = Executor::new(client.clone(), Arc::new(NoObserver));
        let request = LoginRequest {
            flow_slug: "f",
            username: "u",
            password: b"p",
            mfa_support: true,
            codes: CodeRule::default(),
            client_ip: "192.0.2.7".parse().unwrap(),
        };
        let FlowOutcome::Authenticated(session) = executor.execute(&request).await.unwrap() else {
            panic!("{release}")
        };
        let access = client.check_access(&session, 1, "app", None).await.unwrap();
        assert!(access.passing, "{release}");
        let found = client.users_me(&session, None).await.unwrap();
        assert_eq!(
            (found.uid.as_str(), serde_json::json!(found.pk)),
            (uid, me["user"]["pk"].clone()),
            "{release}"
        );
        assert_eq!(script.left(), 0);
    }
}

#[tokio::test]
async fn an_authentik_that_starts_may_say_so_with_200() {
    let starting = || Reply::json(r#"{"error":"authentik starting"}"#);
    let script = Script::new(vec![starting(), starting()]).await;
    let client = script.client();
    let error = client.users_page(&UsersQuery::default()).await.unwrap_err();
    assert!(
        matches!(error, ApiError::Starting { .. }) && error.is_unanswered(),
        "{error:?}"
    );
    // Any answer to this call shows that authentik is alive, but not this one.
    assert!(client.root_config().await.unwrap_err().is_unanswered());
    assert_eq!(client.contact().last_answer(), None);
}

/// Somebody answers, but not authentik.
#[tokio::test]
async fn a_page_of_a_proxy_does_not_show_authentik_alive() {
    let json = "application/json";
    let page = |status| Reply::status(status, "text/html", "<html>Log in</html>");
    let answered = async |reply: Reply| {
        let script = Script::new(vec![reply]).await;
        let client = script.client();
        let error = client.root_config().await.unwrap_err();
        (client.contact().last_answer().is_some(), error)
    };
    for reply in [
        page(200),
        page(401),
        page(403),
        page(404),
        page(407),
        Reply::redirect("https://login.example/"),
        Reply::status(404, json, r#"{"message":"no route"}"#),
        Reply::status(401, json, r#"{"detail":"Unauthorized"}"#),
    ] {
        let what = format!("{reply:?}");
        let (alive, error) = answered(reply).await;
        assert!(!alive && error.is_unanswered(), "{what}: {error:?}");
    }
    for reply in [
        page(200).with("X-authentik-id", "0a1b"),
        page(404).with("X-authentik-id", "0a1b"),
        Reply::status(403, json, r#"{"detail":"Token invalid/expired"}"#),
        Reply::status(403, json, r#"{"detail":"No."}"#),
        Reply::json("{"),
    ] {
        let what = format!("{reply:?}");
        let (alive, error) = answered(reply).await;
        assert!(alive && !error.is_unanswered(), "{what}: {error:?}");
    }
}

/// Nor does it say anything of the token.
#[tokio::test]
async fn a_page_of_a_proxy_does_not_have_the_token_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "another-token").unwrap();
    let page = Reply::status(403, "text/html", "<html>Log in</html>");
    let refused = Reply::status(403, "application/json", r#"{"detail":"Token invalid/expired"}"#);
    for (refusal, requests) in [(page, 1), (refused, 2)] {
        let script = Script::new(vec![refusal, Reply::json("{}")]).await;
        let client = client(&format!("http://{}/", script.address), |settings| {
            settings.token_file = Some(file.clone());
        });
        let _ = client.root_config().await;
        assert_eq!(script.take().len(), requests);
    }
}
