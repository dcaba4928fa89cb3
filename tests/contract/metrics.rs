//! What the metrics say about a server in use: everything that happens is counted, under the names that `docs/metrics.md` lists.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use akldap_testing::http;
use akldap_testing::stage::Stage;
use akldap_testing::used::used;

/// The metrics as OpenMetrics text.
async fn openmetrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                   Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The value of a series, 0 if there is none.
fn value(text: &str, series: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// The counts of all series of a family together whose labels contain all of these.
fn total(text: &str, family: &str, labels: &[&str]) -> f64 {
    let lines = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let has = |label: &&str| series.contains(label);
        let wanted = series.starts_with(&format!("{family}{{")) && labels.iter().all(has);
        wanted.then(|| value.parse::<f64>().unwrap())
    });
    lines.sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted() {
    let stage = used().await;
    let (_, text) = http::get(stage.http(), "/metrics").await;
    let operations = |labels: &[&str]| total(&text, "akldap_operation_duration_seconds_count", labels);
    for labels in [
        &[r#"type="bind""#, r#"plan="authentik""#, r#"code="0""#][..],
        &[r#"type="bind""#, r#"plan="at_once""#, r#"code="0""#],
        &[r#"type="bind""#, r#"plan="authentik""#, r#"code="49""#],
        &[r#"type="bind""#, r#"code="51""#],
        &[r#"type="search""#, r#"plan="index""#, r#"code="0""#],
        &[r#"type="search""#, r#"code="11""#],
        &[r#"type="search""#, r#"plan="ranges""#, r#"code="0""#],
        &[r#"type="search""#, r#"plan="server""#, r#"code="0""#],
        &[r#"type="compare""#, r#"code="6""#],
        &[r#"type="extended""#, r#"code="0""#],
    ] {
        assert!(operations(labels) >= 1.0, "{labels:?}\n{text}");
    }
    for series in [
        r#"akldap_limit_hits_total{limit="search_work_limit"}"#,
        r#"akldap_limit_hits_total{limit="failed_bind_limit"}"#,
        r#"akldap_limit_hits_total{limit="max_message_size_unbound"}"#,
        r#"akldap_bind_cache_lookups_total{outcome="hit"}"#,
        r#"akldap_bind_cache_lookups_total{outcome="miss"}"#,
        r#"akldap_connections_accepted_total{port="ldap"}"#,
        r#"akldap_connections_accepted_total{port="ldaps"}"#,
        r#"akldap_tls_handshakes_total{tls="1.3"}"#,
        r#"akldap_tls_handshake_failures_total{reason="not_tls"}"#,
        r#"akldap_refresh_rows_total{kind="full"}"#,
        r#"akldap_refresh_requests_total{kind="full"}"#,
        r#"akldap_refresh_duration_seconds_count{kind="full",outcome="done"}"#,
        r#"akldap_refresh_duration_seconds_count{kind="configuration",outcome="done"}"#,
        r#"akldap_authentik_request_duration_seconds_count{endpoint="core/users/",status="200"}"#,
        r#"akldap_certificate_expiry_timestamp_seconds{certificate="p256"}"#,
        "akldap_snapshot_bytes",
        "akldap_snapshots_alive",
    ] {
        assert!(value(&text, series) >= 1.0, "{series}\n{text}");
    }
    // The listing of all people, and one of them.
    assert!(value(&text, "akldap_sent_entries_total") >= 61.0, "{text}");
    assert!(value(&text, "akldap_sent_bytes_total") > 61.0 * 200.0, "{text}");
    let executor = r#"endpoint="flows/executor/<slug>/""#;
    assert!(
        total(
            &text,
            "akldap_authentik_request_duration_seconds_count",
            &[executor]
        ) >= 1.0
    );
    assert!(!text.contains("alice") && !text.contains("ldapservice"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_a_used_server_is_listed_and_so_is_every_word() {
    let stage = used().await;
    let page = std::fs::read_to_string(akldap_testing::project().join("docs/metrics.md")).unwrap();
    let (_, text) = http::get(stage.http(), "/metrics").await;
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let unlisted: Vec<&str> = names
        .filter(|name| !page.contains(&format!("| `{name}` |")))
        .collect();
    assert_eq!(unlisted, [""; 0]);
    // Of the labels that have a fixed set of words.
    for label in ["plan", "limit", "outcome", "reason", "kind", "port", "tls"] {
        let words: BTreeSet<&str> = text
            .split(&format!("{label}=\""))
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        for word in words {
            let option = format!("`AUTHENTIK_LDAP__{}`", word.to_uppercase());
            let options = include_str!("../../docs/options.md");
            let known = page.contains(&format!("`{word}`")) || options.contains(&option);
            assert!(known, "{label}={word:?} is not in docs/metrics.md");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_for_openmetrics_gets_it() {
    let stage = Stage::sample().await;
    let answer = openmetrics(stage.http()).await;
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"));
    assert!(answer.contains("# TYPE akldap_sent_bytes counter\n"), "{answer}");
    assert!(answer.ends_with("# EOF\n"));
    let (status, plain) = http::get(stage.http(), "/metrics").await;
    assert_eq!(status, 200);
    assert!(
        plain.contains("# TYPE akldap_sent_bytes_total counter\n"),
        "{plain}"
    );
    assert!(!plain.contains("# EOF"));
}
