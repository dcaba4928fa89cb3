//! The simulator's flows on the sample directory, the changes tests make to it while it runs, and its faults.

use std::sync::Arc;
use std::time::Duration;

use akldap::simulator::{
    Certificate, Device, DeviceKind, Directory, DuoOutcome, Endpoint, Fault, Flow, KeyAlgorithm, KeyForm,
    NotConfigured, Options, Rule, Simulator, Stage, StageBinding, When, demo_secrets, totp_code,
};
use reqwest::{Client, Method, Response};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use uuid::Uuid;

const FLOW: &str = "/api/v3/flows/executor/ldap-authentication-flow/";

async fn start(users: usize, options: Options) -> Simulator {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Simulator::start(Directory::sample(users, 25), options).await.expect("a simulator")
}

/// A client with cookies kept by hand.
struct Browser<'a> {
    simulator: &'a Simulator,
    client: Client,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    fn new(simulator: &'a Simulator) -> Self {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { simulator, client, cookie: None }
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<Value>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.simulator.url()));
        if let Some(cookie) = &self.cookie {
            request = request.header("Cookie", format!("authentik_session={cookie}"));
        }
        if let Some(body) = body {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        let response = request.send().await.expect("an answer");
        for cookie in response.headers().get_all("set-cookie") {
            let text = cookie.to_str().expect("text");
            if let Some(rest) = text.strip_prefix("authentik_session=") {
                self.cookie = rest.split(';').next().map(str::to_owned);
            }
        }
        response
    }

    async fn get(&mut self, path: &str) -> Response {
        self.send(Method::GET, path, None).await
    }

    async fn identify(&mut self, username: &str, password: &str) -> Response {
        self.send(Method::POST, FLOW, Some(json!({"uid_field": username, "password": password}))).await
    }

    /// Follows redirects of the flow to its next challenge or end.
    async fn follow(&mut self) -> Value {
        loop {
            let response = self.get(FLOW).await;
            if response.status() != 302 {
                return json_of(response).await;
            }
        }
    }

    /// Whether a login succeeds, as `users/me` sees it.
    async fn logs_in(&mut self, username: &str, password: &str) -> bool {
        self.cookie = None;
        if self.identify(username, password).await.status() != 302 {
            return false;
        }
        self.follow().await;
        self.get("/api/v3/core/users/me/").await.status() == 200
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.expect("a body")).expect("JSON")
}

/// A request with the outpost's token.
async fn api(simulator: &Simulator, path: &str) -> reqwest::Result<Response> {
    Client::new().get(format!("{}/api/v3/{path}", simulator.url())).bearer_auth(simulator.token()).send().await
}

async fn answer(simulator: &Simulator, path: &str) -> Value {
    json_of(api(simulator, path).await.expect("an answer")).await
}

#[tokio::test]
async fn everybody_of_the_sample_can_or_cannot_log_in_as_meant() {
    let simulator = start(40, Options::default()).await;
    let mut browser = Browser::new(&simulator);
    for name in ["alice", "bob", "zoë", "pat o'brien", "sales, \"emea\" + partners", "mallory", "user000001", "ldapservice"] {
        assert!(browser.logs_in(name, &format!("demo-{name}")).await, "{name}");
        assert!(!browser.logs_in(name, "wrong").await, "{name} with a wrong password");
    }
    assert!(browser.logs_in("ALICE@example.com", "demo-alice").await, "by address");
    assert!(browser.logs_in("ldapservice", &demo_secrets().app_password).await, "app password");
    assert!(!browser.logs_in("inactive", "demo-inactive").await);
    assert!(!browser.logs_in("totp", "demo-totp").await, "a code is missing");
    for (name, passing, search) in [("mallory", false, false), ("alice", true, false), ("ldapservice", true, true)] {
        assert!(browser.logs_in(name, &format!("demo-{name}")).await);
        let access = json_of(browser.get("/api/v3/outposts/ldap/1/check_access/?app_slug=ldap").await).await;
        assert_eq!((access["access"]["passing"].as_bool(), access["has_search_permission"].as_bool()), (Some(passing), Some(search)), "{name}");
    }
}

#[tokio::test]
async fn second_factors_let_in_once() {
    let simulator = start(0, Options::default()).await;
    let secrets = demo_secrets();
    let code = totp_code(&secrets.totp_key, simulator.now());
    let token = secrets.static_tokens[0].clone();
    for (name, code) in [("totp", code), ("static", token)] {
        for (attempt, status) in [(1, 302), (2, 200)] {
            let mut browser = Browser::new(&simulator);
            assert_eq!(browser.identify(name, &format!("demo-{name}")).await.status(), 302);
            let challenge = browser.follow().await;
            assert_eq!(challenge["component"], "ak-stage-authenticator-validate");
            assert_eq!(challenge["device_challenges"][0]["device_class"], name);
            let posted = browser.send(Method::POST, FLOW, Some(json!({"code": code}))).await;
            assert_eq!(posted.status(), status, "{name}, attempt {attempt}");
        }
    }
}

#[tokio::test]
async fn duo_answers_as_scripted() {
    let simulator = start(0, Options::default()).await;
    let alice = simulator.user_pk("alice").expect("alice");
    for (outcome, status) in
        [(DuoOutcome::Accept(Duration::ZERO), 302), (DuoOutcome::Deny(Duration::ZERO), 200)]
    {
        simulator.edit(|directory| {
            directory.devices.insert(alice, vec![Device::new(7, DeviceKind::Duo(outcome))]);
        });
        let mut browser = Browser::new(&simulator);
        browser.identify("alice", "demo-alice").await;
        browser.follow().await;
        let posted = browser.send(Method::POST, FLOW, Some(json!({"duo": 7}))).await;
        assert_eq!(posted.status(), status);
        if status == 200 {
            assert_eq!(json_of(posted).await["response_errors"]["duo"][0]["code"], "denied");
        }
    }
}

#[tokio::test]
async fn stages_no_headless_client_can_solve_and_policies_on_stages() {
    let simulator = start(0, Options::default()).await;
    let alice = simulator.user_pk("alice").expect("alice");
    let with = |extra: StageBinding| {
        simulator.edit(|directory| {
            let mut flow = Flow::new(
                "ldap-authentication-flow",
                "t",
                vec![Stage::identification_with_password(), Stage::mfa(NotConfigured::Configure), Stage::login()],
            );
            flow.stages.insert(1, extra);
            directory.flows.insert(flow.slug.clone(), flow);
        });
    };
    for (stage, component) in [
        (Stage::Consent, "ak-stage-consent"),
        (Stage::Prompt { fields: vec!["phone".into()] }, "ak-stage-prompt"),
        (Stage::Captcha, "ak-stage-captcha"),
        (Stage::Deny { message: "no".into() }, "ak-stage-access-denied"),
        (Stage::Redirect { to: "https://elsewhere.test/".into() }, "xak-flow-redirect"),
    ] {
        with(StageBinding::new(stage));
        let mut browser = Browser::new(&simulator);
        assert_eq!(browser.identify("alice", "demo-alice").await.status(), 302, "{component}");
        assert_eq!(browser.follow().await["component"], component);
    }
    let deny_alice = StageBinding { only_for: Some(vec![alice]), ..StageBinding::new(Stage::Deny { message: "no".into() }) };
    with(deny_alice);
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(browser.follow().await["error_message"], "no");
    let mut browser = Browser::new(&simulator);
    browser.identify("bob", "demo-bob").await;
    let setup = browser.follow().await;
    assert_eq!(setup["component"], "ak-stage-authenticator-validate", "bob has to set a device up");
    assert!(setup["configuration_stages"].as_array().is_some_and(|stages| !stages.is_empty()));
    simulator.edit(|directory| {
        let flow = directory.flows.get_mut("ldap-authentication-flow").expect("the flow");
        flow.stages[0].restart_on_invalid = true;
    });
    let wrong = Browser::new(&simulator).identify("bob", "wrong").await;
    assert_eq!(wrong.status(), 302, "a wrong answer starts the flow anew");
}

#[tokio::test]
async fn changes_show_at_once_and_move_what_authentik_moves() {
    let simulator = start(30, Options::default()).await;
    let before = answer(&simulator, "core/users/?username=alice").await["results"][0].clone();
    let alice = simulator.user_pk("alice").expect("alice");
    simulator.join(alice, "sales");
    let joined = answer(&simulator, &format!("core/users/{alice}/")).await;
    assert_eq!(joined["last_updated"], before["last_updated"], "memberships move nothing");
    assert_eq!(joined["groups"].as_array().map(Vec::len), Some(3));
    let since = joined["last_updated"].as_str().expect("a time").to_owned();
    simulator.set_password(alice, "new");
    simulator.set_user_attributes(alice, json!({"n": 1}).as_object().expect("an object"));
    let saved = answer(&simulator, &format!("core/users/?last_updated__gt={since}&ordering=pk")).await;
    let pks: Vec<i64> = saved["results"].as_array().expect("rows").iter().filter_map(|row| row["pk"].as_i64()).collect();
    assert!(pks.contains(&i64::from(alice)) && pks.is_sorted());
    assert_eq!(answer(&simulator, &format!("core/users/{alice}/")).await["attributes"], json!({"n": 1}));
    assert!(Browser::new(&simulator).logs_in("alice", "new").await);

    let group = simulator.create_group("new group");
    simulator.set_parents(group, &[simulator.create_group("company")]);
    simulator.join(alice, "new group");
    simulator.rename_group(group, "renamed");
    simulator.set_group_attributes(group, json!({"x": [1]}).as_object().expect("an object"));
    let row = answer(&simulator, "core/groups/?name=renamed&include_parents=true").await["results"][0].clone();
    assert_eq!((&row["users"], &row["attributes"]), (&json!([alice]), &json!({"x": [1]})));
    assert_eq!(row["parents_obj"][0]["name"], "company");
    assert!(simulator.delete_group(group));

    let count = answer(&simulator, "core/users/").await["pagination"]["count"].clone();
    assert!(simulator.delete_user(alice));
    let after = answer(&simulator, "core/users/").await["pagination"]["count"].clone();
    assert_eq!(after.as_i64(), count.as_i64().map(|count| count - 1));
    simulator.set_max_page_size(7);
    let page = answer(&simulator, "core/users/?page_size=1000").await;
    assert_eq!(page["pagination"]["end_index"], 7);
}

#[tokio::test]
async fn a_poisoned_user_spoils_every_page_that_shows_it() {
    let simulator = start(30, Options::default()).await;
    let pk = simulator.user_pk("user000003").expect("a user");
    simulator.poison_user(pk);
    for (path, status) in [
        ("core/users/?page_size=100", 500),
        ("core/groups/?page_size=100", 500),
        ("core/groups/?page_size=100&include_users=false", 200),
        ("core/users/?page_size=1&ordering=pk", 200),
    ] {
        assert_eq!(api(&simulator, path).await.expect("an answer").status(), status, "{path}");
    }
    assert_eq!(api(&simulator, &format!("core/users/{pk}/")).await.expect("an answer").status(), 500);
}

#[tokio::test]
async fn sessions_end_when_users_do_and_when_their_time_is_up() {
    let simulator = start(0, Options::default()).await;
    let mut browser = Browser::new(&simulator);
    let alice = simulator.user_pk("alice").expect("alice");
    assert!(browser.logs_in("alice", "demo-alice").await);
    assert_eq!(simulator.sessions().len(), 1);
    simulator.set_password(alice, "other");
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 200, "a new password ends nothing");
    simulator.set_active(alice, false);
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    assert!(simulator.sessions().is_empty());
    assert!(browser.logs_in("bob", "demo-bob").await);
    simulator.advance(Duration::from_secs(86_401));
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    simulator.sweep_sessions();
    assert_eq!(simulator.session_count(), 0);
}

#[tokio::test]
async fn tokens_can_be_changed_and_taken() {
    let simulator = start(0, Options::default()).await;
    let old = simulator.token();
    let new = simulator.rotate_token();
    assert_eq!(simulator.token(), new);
    let url = format!("{}/api/v3/core/users/", simulator.url());
    for (token, status) in [(&old, 403), (&new, 200)] {
        assert_eq!(Client::new().get(&url).bearer_auth(token).send().await.expect("an answer").status(), status);
    }
    simulator.delete_token();
    assert_eq!(Client::new().get(&url).bearer_auth(&new).send().await.expect("an answer").status(), 403);
}

#[tokio::test]
async fn faults_spoil_answers_as_asked() {
    let simulator = start(0, Options::default()).await;
    let with = |fault| {
        simulator.faults().clear();
        simulator.faults().add(Rule::new("/core/users/", fault).when(When::First(1)));
    };
    for (fault, status, content_type) in [
        (Fault::WorkerLost, 500, "text/plain; charset=utf-8"),
        (Fault::BadGateway, 502, "text/html; charset=utf-8"),
        (Fault::Forbidden, 403, "application/json"),
        (Fault::NotFound, 404, "application/json"),
        (Fault::WrongContentType, 200, "text/html; charset=utf-8"),
        (Fault::Answer(418, "text/plain; charset=utf-8", "tea"), 418, "text/plain; charset=utf-8"),
    ] {
        with(fault.clone());
        let response = api(&simulator, "core/users/").await.expect("an answer");
        assert_eq!(response.status(), status, "{fault:?}");
        assert_eq!(response.headers()["content-type"], content_type, "{fault:?}");
        assert_eq!(api(&simulator, "core/users/").await.expect("an answer").status(), 200, "only the first");
    }
    with(Fault::Starting);
    let request = Client::new().get(format!("{}/api/v3/core/users/", simulator.url())).header("Accept", "application/json");
    let response = request.send().await.expect("an answer");
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &"5".parse().expect("a header")));
    assert_eq!(json_of(response).await["error"], "authentik starting");
    with(Fault::EmptyBody);
    assert_eq!(api(&simulator, "core/users/").await.expect("an answer").text().await.expect("a body"), "");
    with(Fault::Truncated);
    let half = api(&simulator, "core/users/").await.expect("an answer").text().await.expect("a body");
    assert!(half.len() > 100 && serde_json::from_str::<Value>(&half).is_err());
    with(Fault::BrokenOff);
    let broken = api(&simulator, "core/users/").await.expect("headers");
    assert!(broken.text().await.is_err());
    with(Fault::Reset);
    assert!(api(&simulator, "core/users/").await.is_err());
    with(Fault::SlowBody(4096, Duration::from_millis(5)));
    assert!(answer(&simulator, "core/users/").await["results"].is_array());
    with(Fault::Hang);
    let hanging = tokio::time::timeout(Duration::from_millis(100), api(&simulator, "core/users/")).await;
    assert!(hanging.is_err());
    with(Fault::Stall(Duration::from_millis(80)));
    let begun = std::time::Instant::now();
    answer(&simulator, "core/users/").await;
    assert!(begun.elapsed() >= Duration::from_millis(80));
}

#[tokio::test]
async fn login_and_access_can_be_made_to_lie() {
    let simulator = start(0, Options::default()).await;
    let rule = simulator.faults().add(Rule::new("/flows/executor/", Fault::AnonymousSession));
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(browser.follow().await, json!({"component": "xak-flow-redirect", "to": "/"}));
    assert_eq!(browser.get("/api/v3/core/users/me/").await.status(), 403);
    simulator.faults().remove(rule);
    simulator.faults().add(Rule::new("/check_access/", Fault::PassingForAnyone));
    let access = json_of(browser.get("/api/v3/outposts/ldap/1/check_access/?app_slug=ldap").await).await;
    assert_eq!(access["access"]["passing"], true);
}

#[tokio::test]
async fn the_listener_closes_opens_restarts_and_pauses() {
    let simulator = start(0, Options::default()).await;
    let client = Client::new();
    let url = format!("{}/-/health/live/", simulator.url());
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200);
    simulator.refuse_connections(true);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(client.get(&url).send().await.is_err_and(|error| error.is_connect()));
    simulator.refuse_connections(false);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.get(&url).send().await.expect("an answer").status(), 200, "at the same address");
    simulator.restart(Duration::from_millis(200));
    let status = Client::new().get(&url).send().await.expect("an answer").status();
    assert_eq!(status, 503);
    tokio::time::sleep(Duration::from_millis(250)).await;
    assert_eq!(Client::new().get(&url).send().await.expect("an answer").status(), 200);
    simulator.pause(true);
    let waiting = tokio::spawn(Client::new().get(&url).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    simulator.pause(false);
    assert_eq!(waiting.await.expect("no panic").expect("an answer").status(), 200);
    simulator.shutdown().await;
    assert!(Client::new().get(&url).send().await.is_err());
}

#[tokio::test]
async fn requests_are_counted_always_and_kept_when_asked() {
    let simulator = start(0, Options { record_requests: true, ..Options::default() }).await;
    answer(&simulator, "core/users/?page=1").await;
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(simulator.requests().count(Endpoint::UserList), 1);
    assert_eq!(simulator.requests().count(Endpoint::FlowExecutor), 1);
    let kept = simulator.requests().to("/flows/");
    assert_eq!(kept[0].method, "POST");
    assert!(String::from_utf8_lossy(&kept[0].body).contains("demo-alice"));
    let list = &simulator.requests().to("/core/users/")[0];
    assert_eq!((list.query.as_str(), list.header("Authorization").is_some()), ("page=1", true));
    simulator.requests().clear();
    simulator.requests().record(false);
    answer(&simulator, "core/users/").await;
    assert_eq!((simulator.requests().all().len(), simulator.requests().total()), (0, 1));
}

#[tokio::test]
async fn speaks_https_when_given_a_certificate() {
    let pair = Certificate::generate(Uuid::nil(), &["127.0.0.1"], KeyAlgorithm::Ec, KeyForm::Pkcs8).expect("a pair");
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a configuration");
    let simulator = start(0, Options { tls: Some(Arc::new(config)), ..Options::default() }).await;
    assert!(simulator.url().starts_with("https://127.0.0.1:"));
    let root = reqwest::Certificate::from_pem(pair.certificate_pem.as_bytes()).expect("a root");
    let client = Client::builder().tls_certs_only([root]).build().expect("a client");
    let response = client.get(format!("{}{FLOW}", simulator.url())).send().await.expect("an answer");
    assert!(response.headers()["set-cookie"].to_str().expect("text").contains("SameSite=None; Secure"));
}

#[tokio::test]
async fn a_hundred_thousand_users_page_quickly() {
    let begun = std::time::Instant::now();
    let simulator = start(100_000, Options::default()).await;
    let built = begun.elapsed();
    let first = answer(&simulator, "core/users/?page_size=100&ordering=pk&page=700").await;
    assert_eq!(first["results"].as_array().map(Vec::len), Some(100));
    let begun = std::time::Instant::now();
    for number in 1..=50 {
        let found = answer(&simulator, &format!("core/users/?username=user{number:06}")).await;
        assert_eq!(found["pagination"]["count"], 1);
    }
    println!("built in {built:?}, 50 single users in {:?}", begun.elapsed());
}
