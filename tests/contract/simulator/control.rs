//! The changes tests make to the simulator while it runs, and its faults.

use std::sync::Arc;
use std::time::Duration;

use akldap_simulator::{Certificate, Endpoint, Fault, KeyAlgorithm, KeyForm, Options, Rule, When};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use uuid::Uuid;

use super::browser::{Browser, FLOW, answer, api, client, json_of, start};

#[tokio::test]
async fn changes_show_at_once_and_move_what_authentik_moves() {
    let simulator = start(30, Options::default()).await;
    let before = answer(&simulator, "core/users/?username=alice").await["results"][0].clone();
    let alice = simulator.user_pk("alice").expect("alice");
    simulator.join(alice, "sales");
    let joined = answer(&simulator, &format!("core/users/{alice}/")).await;
    assert_eq!(
        joined["last_updated"], before["last_updated"],
        "memberships move nothing"
    );
    assert_eq!(joined["groups"].as_array().map(Vec::len), Some(3));
    let since = joined["last_updated"].as_str().expect("a time").to_owned();
    simulator.set_password(alice, "new");
    simulator.set_user_attributes(alice, json!({"n": 1}).as_object().expect("an object"));
    let saved = answer(
        &simulator,
        &format!("core/users/?last_updated__gt={since}&ordering=pk"),
    )
    .await;
    let pks: Vec<i64> = saved["results"]
        .as_array()
        .expect("rows")
        .iter()
        .filter_map(|row| row["pk"].as_i64())
        .collect();
    assert!(pks.contains(&i64::from(alice)) && pks.is_sorted());
    assert_eq!(
        answer(&simulator, &format!("core/users/{alice}/")).await["attributes"],
        json!({"n": 1})
    );
    assert!(Browser::new(&simulator).logs_in("alice", "new").await);

    let group = simulator.create_group("new group");
    simulator.set_parents(group, &[simulator.create_group("company")]);
    simulator.join(alice, "new group");
    simulator.rename_group(group, "renamed");
    simulator.set_group_attributes(group, json!({"x": [1]}).as_object().expect("an object"));
    let row =
        answer(&simulator, "core/groups/?name=renamed&include_parents=true").await["results"][0].clone();
    assert_eq!(
        (&row["users"], &row["attributes"]),
        (&json!([alice]), &json!({"x": [1]}))
    );
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
        assert_eq!(
            api(&simulator, path).await.expect("an answer").status(),
            status,
            "{path}"
        );
    }
    assert_eq!(
        api(&simulator, &format!("core/users/{pk}/"))
            .await
            .expect("an answer")
            .status(),
        500
    );
}

#[tokio::test]
async fn tokens_can_be_changed_and_taken() {
    let simulator = start(0, Options::default()).await;
    let old = simulator.token();
    let new = simulator.rotate_token();
    assert_eq!(simulator.token(), new);
    let url = format!("{}/api/v3/core/users/", simulator.url());
    for (token, status) in [(&old, 403), (&new, 200)] {
        assert_eq!(
            client()
                .get(&url)
                .bearer_auth(token)
                .send()
                .await
                .expect("an answer")
                .status(),
            status
        );
    }
    simulator.delete_token();
    assert_eq!(
        client()
            .get(&url)
            .bearer_auth(&new)
            .send()
            .await
            .expect("an answer")
            .status(),
        403
    );
}

#[tokio::test]
async fn an_outpost_may_only_read() {
    let simulator = start(0, Options::default()).await;
    for (path, status) in [
        ("core/users/", 403),
        ("outposts/instances/", 403),
        ("outposts/ldap/", 405),
        ("root/config/", 405),
    ] {
        let request = client()
            .post(format!("{}/api/v3/{path}", simulator.url()))
            .bearer_auth(simulator.token());
        assert_eq!(
            request.send().await.expect("an answer").status(),
            status,
            "{path}"
        );
    }
}

#[tokio::test]
async fn faults_spoil_answers_as_asked() {
    let simulator = start(0, Options::default()).await;
    let with = |fault| {
        simulator.faults().clear();
        simulator
            .faults()
            .add(Rule::new("/core/users/", fault).when(When::First(1)));
    };
    for (fault, status, content_type) in [
        (Fault::WorkerLost, 500, "text/plain; charset=utf-8"),
        (Fault::BadGateway, 502, "text/html; charset=utf-8"),
        (Fault::Forbidden, 403, "application/json"),
        (Fault::NotFound, 404, "application/json"),
        (Fault::WrongContentType, 200, "text/html; charset=utf-8"),
        (
            Fault::Answer(418, "text/plain; charset=utf-8", "tea"),
            418,
            "text/plain; charset=utf-8",
        ),
    ] {
        with(fault.clone());
        let response = api(&simulator, "core/users/").await.expect("an answer");
        assert_eq!(response.status(), status, "{fault:?}");
        assert_eq!(response.headers()["content-type"], content_type, "{fault:?}");
        assert_eq!(
            api(&simulator, "core/users/").await.expect("an answer").status(),
            200,
            "only the first"
        );
    }
    with(Fault::Starting);
    let request = client()
        .get(format!("{}/api/v3/core/users/", simulator.url()))
        .header("Accept", "application/json");
    let response = request.send().await.expect("an answer");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (503, &"5".parse().expect("a header"))
    );
    assert_eq!(json_of(response).await["error"], "authentik starting");
    with(Fault::EmptyBody);
    assert_eq!(
        api(&simulator, "core/users/")
            .await
            .expect("an answer")
            .text()
            .await
            .expect("a body"),
        ""
    );
    with(Fault::Truncated);
    let half = api(&simulator, "core/users/")
        .await
        .expect("an answer")
        .text()
        .await
        .expect("a body");
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
async fn the_listener_closes_opens_restarts_and_pauses() {
    let simulator = start(0, Options::default()).await;
    let user = client();
    let url = format!("{}/-/health/live/", simulator.url());
    assert_eq!(user.get(&url).send().await.expect("an answer").status(), 200);
    simulator.refuse_connections(true);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(user.get(&url).send().await.is_err_and(|error| error.is_connect()));
    simulator.refuse_connections(false);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(
        user.get(&url).send().await.expect("an answer").status(),
        200,
        "at the same address"
    );
    simulator.restart(Duration::from_secs(3));
    let status = client().get(&url).send().await.expect("an answer").status();
    assert_eq!(status, 503);
    while client().get(&url).send().await.expect("an answer").status() == 503 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(client().get(&url).send().await.expect("an answer").status(), 200);
    simulator.pause(true);
    let waiting = tokio::spawn(client().get(&url).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    simulator.pause(false);
    assert_eq!(waiting.await.expect("no panic").expect("an answer").status(), 200);
    simulator.shutdown().await;
    assert!(client().get(&url).send().await.is_err());
}

#[tokio::test]
async fn requests_are_counted_always_and_kept_when_asked() {
    let simulator = start(
        0,
        Options {
            record_requests: true,
            ..Options::default()
        },
    )
    .await;
    answer(&simulator, "core/users/?page=1").await;
    let mut browser = Browser::new(&simulator);
    browser.identify("alice", "demo-alice").await;
    assert_eq!(simulator.requests().count(Endpoint::UserList), 1);
    assert_eq!(simulator.requests().count(Endpoint::FlowExecutor), 1);
    let kept = simulator.requests().to("/flows/");
    assert_eq!(kept[0].method, "POST");
    assert!(String::from_utf8_lossy(&kept[0].body).contains("demo-alice"));
    let list = &simulator.requests().to("/core/users/")[0];
    assert_eq!(
        (list.query.as_str(), list.header("Authorization").is_some()),
        ("page=1", true)
    );
    simulator.requests().clear();
    simulator.requests().record(false);
    answer(&simulator, "core/users/").await;
    assert_eq!(
        (simulator.requests().all().len(), simulator.requests().total()),
        (0, 1)
    );
}

#[tokio::test]
async fn speaks_https_when_given_a_certificate() {
    let pair =
        Certificate::generate(Uuid::nil(), &["127.0.0.1"], KeyAlgorithm::Ec, KeyForm::Pkcs8).expect("a pair");
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate_pem.as_bytes()).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_slice(pair.key_pem.as_bytes()).expect("a key");
    let config =
        rustls::ServerConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a configuration");
    let simulator = start(
        0,
        Options {
            tls: Some(Arc::new(config)),
            ..Options::default()
        },
    )
    .await;
    assert!(simulator.url().starts_with("https://127.0.0.1:"));
    let root = reqwest::Certificate::from_pem(pair.certificate_pem.as_bytes()).expect("a root");
    let user = reqwest::Client::builder()
        .tls_certs_only([root])
        .build()
        .expect("a client");
    let response = user
        .get(format!("{}{FLOW}", simulator.url()))
        .send()
        .await
        .expect("an answer");
    assert!(
        response.headers()["set-cookie"]
            .to_str()
            .expect("text")
            .contains("SameSite=None; Secure")
    );
}

#[tokio::test]
async fn a_hundred_thousand_users_page_quickly() {
    let simulator = start(100_000, Options::default()).await;
    let first = answer(&simulator, "core/users/?page_size=100&ordering=pk&page=700").await;
    assert_eq!(first["results"].as_array().map(Vec::len), Some(100));
    let user = client();
    let (token, url) = (simulator.token(), simulator.url());
    let shortest = async |filters: Vec<String>| {
        let mut shortest = Duration::MAX;
        for filter in filters {
            let begun = std::time::Instant::now();
            let request = user
                .get(format!("{url}/api/v3/core/users/?page_size=1&{filter}"))
                .bearer_auth(&token);
            let found = json_of(request.send().await.expect("an answer")).await;
            shortest = shortest.min(begun.elapsed());
            assert_eq!(found["pagination"]["count"], 1, "{filter}");
        }
        shortest
    };
    // Next to each other in one run, and the shortest of several: a busy machine slows both down.
    let looked_up = shortest(
        (1..=50)
            .map(|number| format!("username=user{number:06}"))
            .collect(),
    )
    .await;
    let scanned = shortest((1..=3).map(|number| format!("search=user{number:06}")).collect()).await;
    assert!(
        looked_up * 4 < scanned,
        "{looked_up:?} against {scanned:?} for a scan"
    );
}
