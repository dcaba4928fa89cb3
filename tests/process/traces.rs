//! Spans of requests, as a collector gets them.

use std::ops::{Deref, DerefMut};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::child::Server;
use akldap_testing::client::Client;
use akldap_testing::stage::{BASE, eventually, user_dn};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;

/// What a collector was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

impl Collector {
    /// One that listens at the returned URL.
    async fn start() -> (Self, String) {
        let collector = Self::default();
        let take = |State(collector): State<Self>, headers: HeaderMap, body: Bytes| async move {
            collector.0.lock().unwrap().push((headers, body));
            StatusCode::OK
        };
        let router = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        (collector, url)
    }

    fn batches(&self) -> Vec<ExportTraceServiceRequest> {
        let sent = self.0.lock().unwrap();
        sent.iter()
            .map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).expect("protobuf"))
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.batches().into_iter().flat_map(|batch| batch.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn named(&self, name: &str) -> Vec<Span> {
        let mut spans = self.spans();
        spans.retain(|span| span.name == name);
        spans
    }
}

fn value(attributes: &[KeyValue], key: &str) -> Option<Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    found?.value.clone()?.value
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match value(attributes, key) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{key}: {other:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match value(attributes, key) {
        Some(Value::IntValue(number)) => number,
        other => panic!("{key}: {other:?}"),
    }
}

/// A server with what it needs.
struct Served {
    process: Server,
    _simulator: Simulator,
    _temporary: tempfile::TempDir,
}

impl Deref for Served {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.process
    }
}

impl DerefMut for Served {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.process
    }
}

/// A server that is told of a collector in these ways, and a client's bind, search and compare.
async fn served(variables: &[(&str, &str)]) -> Served {
    let simulator = Simulator::start(Directory::sample(60, 12), Options::default())
        .await
        .unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_akldap"));
    command
        .arg("serve")
        .env_clear()
        .env("TMPDIR", temporary.path())
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .envs(variables.iter().copied());
    let server = Served {
        process: Server::start(&mut command, &simulator),
        _simulator: simulator,
        _temporary: temporary,
    };
    eventually("the directory", || server.count("directory loaded") > 0).await;
    let mut client = Client::connect(server.ldap).await;
    let alice = user_dn("alice");
    assert_eq!(client.bind(&alice, "demo-alice").await.code, 0);
    assert_eq!(client.subtree(BASE, "(cn=alice)", &["cn"]).await.outcome.code, 0);
    assert_eq!(client.compare(&alice, "cn", b"alice").await.code, 6);
    assert_eq!(client.bind(&alice, "wrong").await.code, 49);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn each_request_has_a_span_with_authentiks_request_ids_and_no_personal_data() {
    let (collector, url) = Collector::start().await;
    let mut server = served(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20geheim,x-tenant=a",
        ),
        ("OTEL_SERVICE_NAME", "ldap-of-the-office"),
    ])
    .await;
    eventually("the spans", || {
        collector.named("LDAP bind").len() >= 2
            && !collector.named("LDAP search").is_empty()
            && !collector.named("LDAP compare").is_empty()
    })
    .await;
    let binds = collector.named("LDAP bind");
    let granted = binds
        .iter()
        .find(|span| number(&span.attributes, "ldap.result_code") == 0)
        .expect("a login");
    let Some(Value::ArrayValue(ids)) = value(&granted.attributes, "authentik.request_ids") else {
        panic!("{granted:?}")
    };
    assert!(ids.values.len() >= 3, "the flow, access and the user: {ids:?}");
    let are_texts = |value: &AnyValue| matches!(&value.value, Some(Value::StringValue(id)) if !id.is_empty());
    assert!(ids.values.iter().all(are_texts), "{ids:?}");
    assert!(granted.start_time_unix_nano > 0 && granted.start_time_unix_nano <= granted.end_time_unix_nano);
    assert!(granted.parent_span_id.is_empty() && !granted.trace_id.is_empty());
    assert!(
        binds
            .iter()
            .any(|span| number(&span.attributes, "ldap.result_code") == 49)
    );
    let [search] = collector.named("LDAP search").try_into().expect("one search");
    assert_eq!(number(&search.attributes, "ldap.result_code"), 0);
    assert!(number(&search.attributes, "ldap.entries") >= 1);
    assert_eq!(text(&search.attributes, "client.address"), "127.0.0.1");
    // The same id as in the log.
    let id = text(&search.attributes, "akldap.request_id");
    assert!(id.ends_with("-2"), "{id}");
    let resource = collector
        .batches()
        .remove(0)
        .resource_spans
        .remove(0)
        .resource
        .expect("a resource");
    assert_eq!(text(&resource.attributes, "service.name"), "ldap-of-the-office");
    assert_eq!(
        text(&resource.attributes, "service.version"),
        env!("CARGO_PKG_VERSION")
    );
    {
        let sent = collector.0.lock().unwrap();
        let (headers, _) = &sent[0];
        assert_eq!(
            (&headers["authorization"], &headers["x-tenant"]),
            (&"Bearer geheim".parse().unwrap(), &"a".parse().unwrap())
        );
        assert!(
            sent.iter()
                .all(|(_, body)| !body.windows(5).any(|octets| octets == b"alice"))
        );
    }
    assert!(!server.log().contains("geheim"), "headers are secret");
    // The last one goes out at the end.
    let before = collector.named("LDAP search").len();
    let mut client = Client::connect(server.ldap).await;
    client.read("", &["*"]).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    assert_eq!(collector.named("LDAP search").len(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_span_is_sent_where_none_is_wanted() {
    let (collector, url) = Collector::start().await;
    for switch in [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
    ] {
        let mut server = served(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()), switch]).await;
        server.signal(Signal::TERM);
        assert_eq!(server.ended(), Some(0));
        assert_eq!(collector.spans().len(), 0, "{switch:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_nothing_is_told_once_and_disturbs_nobody() {
    let mut server = served(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")]).await;
    eventually("a line", || server.count("spans cannot be sent") > 0).await;
    let mut client = Client::connect(server.ldap).await;
    assert_eq!(client.bind(&user_dn("bob"), "demo-bob").await.code, 0);
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    assert_eq!(server.count("spans cannot be sent"), 1);
}

/// As OpenTelemetry writes them: percent-encoded, like W3C Baggage.
#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_the_resource_are_decoded() {
    let (collector, url) = Collector::start().await;
    let _server = served(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment=a%20b%2Cc,service.name=my%20ldap",
        ),
    ])
    .await;
    eventually("a batch", || !collector.batches().is_empty()).await;
    let batches = collector.batches();
    let resource = batches[0].resource_spans[0].resource.clone().expect("a resource");
    assert_eq!(text(&resource.attributes, "deployment.environment"), "a b,c");
    assert_eq!(text(&resource.attributes, "service.name"), "my ldap");
}

/// Its help says that the options of the server apply to it.
#[tokio::test(flavor = "multi_thread")]
async fn the_demo_sends_spans_too() {
    let (collector, url) = Collector::start().await;
    let temporary = tempfile::tempdir().unwrap();
    let any = "127.0.0.1:0";
    let mut demo = tokio::process::Command::new(env!("CARGO_BIN_EXE_akldap"))
        .args(["demo", "--users", "30", "--groups", "5"])
        .args(["--ldap", any, "--ldaps", any, "--http", any])
        .env_clear()
        .env("TMPDIR", temporary.path())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let address = loop {
        let line = lines.next_line().await.unwrap().expect("a greeting");
        if let Some(rest) = line.strip_prefix("LDAP and StartTLS on ") {
            break rest.split(',').next().unwrap().parse().unwrap();
        }
    };
    let mut client = Client::connect(address).await;
    assert_eq!(client.read("", &["vendorVersion"]).await.outcome.code, 0);
    eventually("a span", || !collector.spans().is_empty()).await;
}
