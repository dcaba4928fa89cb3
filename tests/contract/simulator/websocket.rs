//! The simulator's websocket as recorded from a real authentik: handshake, acknowledgements, pushes, close codes.

use std::time::Duration;

use akldap_simulator::{Certificate, Directory, KeyAlgorithm, KeyForm, Options, Simulator};
use akldap_testing::http;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

type Socket = WebSocketStream<TcpStream>;

async fn start() -> Simulator {
    Simulator::start(Directory::sample(0, 0), Options::default())
        .await
        .expect("a simulator")
}

/// Connects; an error is the HTTP status of the refusal.
async fn connect(simulator: &Simulator, path: &str, token: Option<&str>) -> Result<Socket, u16> {
    let url = format!("ws://{}{path}", simulator.address());
    let mut request = url.into_client_request().expect("a request");
    if let Some(token) = token {
        request.headers_mut().insert(
            "authorization",
            format!("Bearer {token}").parse().expect("a header"),
        );
    }
    let stream = TcpStream::connect(simulator.address())
        .await
        .expect("a connection");
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn open(simulator: &Simulator, instance: &str) -> Socket {
    let path = format!(
        "/ws/outpost/{}/?instance_uuid={instance}&attempt=0",
        simulator.outpost_pk()
    );
    connect(simulator, &path, Some(&simulator.token()))
        .await
        .expect("a websocket")
}

async fn say(socket: &mut Socket, text: &str) {
    socket.send(Message::text(text)).await.expect("sent");
}

/// The next frame: JSON, or the code of a close frame.
async fn next(socket: &mut Socket) -> Result<Value, u16> {
    let message = tokio::time::timeout(Duration::from_secs(60), socket.next())
        .await
        .expect("a frame in time");
    match message.expect("no end").expect("a frame") {
        Message::Text(text) => Ok(serde_json::from_str(&text).expect("JSON")),
        Message::Close(Some(frame)) => Err(frame.code.into()),
        other => panic!("{other:?}"),
    }
}

async fn silent(socket: &mut Socket) {
    assert!(
        tokio::time::timeout(Duration::from_millis(150), socket.next())
            .await
            .is_err(),
        "a frame came"
    );
}

fn ack() -> Value {
    json!({"instruction": 0, "args": {}})
}

fn hello() -> Value {
    json!({"instruction": 1, "args": {
        "version": "2026.5.0", "buildHash": "x", "uuid": "u", "golangVersion": "rustc", "opensslEnabled": false,
        "opensslVersion": "", "fipsEnabled": false, "hostname": "h",
    }})
}

#[tokio::test]
async fn refuses_strangers_and_other_paths() {
    let simulator = start().await;
    let good = format!("/ws/outpost/{}/", simulator.outpost_pk());
    let token = simulator.token();
    for (path, token) in [
        (good.clone(), None),
        (good.clone(), Some("wrong")),
        (good.trim_end_matches('/').to_owned(), Some(token.as_str())),
        (format!("/ws/outpost/{}/", Uuid::new_v4()), Some(token.as_str())),
    ] {
        assert_eq!(connect(&simulator, &path, token).await.err(), Some(403), "{path}");
    }
    assert!(
        connect(&simulator, &good, Some(&token)).await.is_ok(),
        "instance_uuid may be missing"
    );
}

/// By authentik's own URLs: what arrives without `Upgrade` is for the web pages, which also have these paths.
#[tokio::test]
async fn what_is_no_websocket_gets_a_page_and_a_half_request_for_one_gets_400() {
    let simulator = start().await;
    let good = format!("/ws/outpost/{}/", simulator.outpost_pk());
    for (path, status) in [
        (good.as_str(), 200),
        ("/ws/client/", 200),
        (good.trim_end_matches('/'), 404),
        ("/ws/outpost/nonsense/", 404),
        ("/ws/", 404),
    ] {
        let (found, page) = http::get(simulator.address(), path).await;
        assert_eq!(found, status, "{path}");
        assert!(page.contains("<html"), "{path}: {page}");
    }
    let half = format!(
        "GET {good} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        simulator.token()
    );
    let mut stream = TcpStream::connect(simulator.address())
        .await
        .expect("a connection");
    stream.write_all(half.as_bytes()).await.expect("sent");
    let mut begin = [0; 12];
    stream.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(&begin, b"HTTP/1.1 400", "without a key");
}

#[tokio::test]
async fn acknowledges_all_but_acknowledgements() {
    let simulator = start().await;
    let mut socket = open(&simulator, "one").await;
    silent(&mut socket).await;
    for text in [
        hello().to_string(),
        r#"{"instruction":1}"#.into(),
        r#"{"instruction":99,"args":{"x":1}}"#.into(),
    ] {
        say(&mut socket, &text).await;
        assert_eq!(next(&mut socket).await, Ok(ack()), "{text}");
    }
    say(&mut socket, r#"{"instruction":0,"args":{}}"#).await;
    silent(&mut socket).await;
    let hellos = simulator.hellos();
    assert_eq!(hellos.len(), 2);
    assert_eq!(
        (hellos[0].instance.as_str(), &hellos[0].args["hostname"]),
        ("one", &json!("h"))
    );
    assert_eq!(simulator.websockets(), 1);
}

#[tokio::test]
async fn closes_on_what_it_cannot_read() {
    let simulator = start().await;
    for text in [
        "no json",
        "[1]",
        r#"{"instruction":"1","args":{}}"#,
        r#"{"instruction":1,"args":null}"#,
    ] {
        let mut socket = open(&simulator, "two").await;
        say(&mut socket, text).await;
        assert_eq!(next(&mut socket).await, Err(1000), "{text}");
    }
}

#[tokio::test]
async fn stumbles_over_the_second_hello_when_the_first_had_wrong_types() {
    let simulator = start().await;
    for (at, (key, value)) in [("buildHash", json!(null)), ("opensslEnabled", json!("no"))]
        .into_iter()
        .enumerate()
    {
        let mut socket = open(&simulator, &format!("three-{at}")).await;
        let mut first = hello();
        first["args"][key] = value;
        say(&mut socket, &first.to_string()).await;
        assert_eq!(next(&mut socket).await, Ok(ack()), "{key}");
        say(&mut socket, &hello().to_string()).await;
        assert_eq!(next(&mut socket).await, Err(1000), "{key}");
    }
    let mut socket = open(&simulator, "four").await;
    let mut without_version = hello();
    without_version["args"]["version"] = json!(null);
    for _ in 0..2 {
        say(&mut socket, &without_version.to_string()).await;
        assert_eq!(next(&mut socket).await, Ok(ack()));
    }
    simulator.advance(Duration::from_secs(16));
    let mut socket = open(&simulator, "three-0").await;
    say(&mut socket, &hello().to_string()).await;
    assert_eq!(next(&mut socket).await, Ok(ack()), "the state has expired");
}

#[tokio::test]
async fn pushes_updates_for_what_concerns_the_outpost_only() {
    let simulator = start().await;
    let mut socket = open(&simulator, "five").await;
    say(&mut socket, &hello().to_string()).await;
    assert_eq!(next(&mut socket).await, Ok(ack()));
    let update = json!({"instruction": 2, "args": {}});
    assert!(simulator.save_provider(1, |provider| provider.mfa_support = false));
    assert_eq!(next(&mut socket).await, Ok(update.clone()));
    assert!(simulator.save_outpost(simulator.outpost_pk(), |_| {}));
    assert_eq!(next(&mut socket).await, Ok(update.clone()));
    let pair =
        |pk| Certificate::generate(pk, &["ldap.test"], KeyAlgorithm::Ec, KeyForm::Pkcs8).expect("a pair");
    let (used, unused) = (Uuid::new_v4(), Uuid::new_v4());
    simulator.save_certificate(pair(unused));
    silent(&mut socket).await;
    simulator
        .edit(|directory| directory.providers.get_mut(&1).expect("the provider").certificate = Some(used));
    simulator.save_certificate(pair(used));
    assert_eq!(next(&mut socket).await, Ok(update));
    let alice = simulator.user_pk("alice").expect("alice");
    simulator.rename_user(alice, "alicia");
    simulator.join(alice, "sales");
    silent(&mut socket).await;
}

#[tokio::test]
async fn a_recycled_worker_closes_with_1012_and_a_deleted_token_leaves_sockets_open() {
    let simulator = start().await;
    let mut socket = open(&simulator, "six").await;
    simulator.recycle_worker();
    assert_eq!(next(&mut socket).await, Err(1012));
    let mut socket = open(&simulator, "six").await;
    let path = format!("/ws/outpost/{}/", simulator.outpost_pk());
    let old = simulator.token();
    simulator.delete_token();
    assert_eq!(connect(&simulator, &path, Some(&old)).await.err(), Some(403));
    simulator.save_outpost(simulator.outpost_pk(), |_| {});
    assert_eq!(next(&mut socket).await, Ok(json!({"instruction": 2, "args": {}})));
    assert_ne!(simulator.token(), old);
    assert!(connect(&simulator, &path, Some(&simulator.token())).await.is_ok());
}
