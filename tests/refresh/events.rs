//! The event stream against a scripted websocket server.

mod recorded;

use std::time::Duration;

use akldap_authentik::events::{Disconnect, Event, Hello, Subscription, Timings, listen};
use akldap_authentik::{Backoff, SessionEndId};
use akldap_testing::authentik_server::{Reply, Script, TOKEN, client};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use tokio_util::sync::CancellationToken;

const OUTPOST: &str = "c5b73e38-800d-4099-97c1-4fd147ca28a5";
const ENDED: &str = "40cfb7fd6365b0bbe948f1d007a12581331b98a4e253737bc81b3b0360441763";
/// Longer than anything takes, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ACK: &str = r#"{"instruction": 0, "args": {}}"#;

type Server = WebSocketStream<TcpStream>;

struct Listening {
    events: mpsc::Receiver<Event>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    instance: uuid::Uuid,
}

impl Listening {
    fn to(host: &str, room: usize, change: impl FnOnce(&mut Timings)) -> Self {
        let mut timings = Timings {
            hello: Duration::from_millis(100),
            handshake: Duration::from_millis(400),
            silence: Duration::from_millis(400),
            backoff: Backoff::new(Duration::from_millis(20), Duration::from_millis(50)),
            jitter: || 0.0,
            ..Timings::default()
        };
        change(&mut timings);
        let instance = uuid::Uuid::new_v4();
        let hello = Hello::new(instance, "", "test-host");
        let subscription = Subscription {
            outpost: OUTPOST.into(),
            instance,
            hello,
            timings,
        };
        let (sender, events) = mpsc::channel(room);
        let cancel = CancellationToken::new();
        let task = tokio::spawn(listen(client(host, |_| {}), subscription, sender, cancel.clone()));
        Self {
            events,
            cancel,
            task,
            instance,
        }
    }

    async fn next(&mut self) -> Event {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .expect("no event in time")
            .unwrap()
    }
}

async fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}/", listener.local_addr().unwrap());
    (listener, host)
}

/// Accepts a connection; returns it with the request's target and headers.
#[allow(clippy::result_large_err, reason = "the shape of the callback is given")]
async fn accept(listener: &TcpListener) -> (Server, String, Vec<(String, String)>) {
    let (stream, _) = listener.accept().await.unwrap();
    let (mut target, mut headers) = (String::new(), Vec::new());
    let look = |request: &Request, response: Response| {
        target = request.uri().to_string();
        headers = request
            .headers()
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()))
            .collect();
        Ok(response)
    };
    let server = accept_hdr_async(stream, look).await.unwrap();
    (server, target, headers)
}

async fn hello(server: &mut Server) -> serde_json::Value {
    loop {
        if let Message::Text(text) = server.next().await.unwrap().unwrap() {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

async fn say(server: &mut Server, text: &str) {
    server.send(Message::text(text)).await.unwrap();
}

/// Answers the first hello, from which the connection counts as made.
async fn answer(server: &mut Server, listening: &mut Listening) {
    assert_eq!(hello(server).await["instruction"], 1);
    say(server, ACK).await;
    assert_eq!(listening.next().await, Event::Connected);
}

fn session_end() -> String {
    format!(r#"{{"instruction": 4, "args": {{"type": "event.session.end", "session_id": "{ENDED}"}}}}"#)
}

#[tokio::test]
async fn connects_says_hello_and_hears_events_among_garbage() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    let (mut server, target, headers) = accept(&listener).await;
    assert_eq!(
        target,
        format!(
            "/ws/outpost/{OUTPOST}/?instance_uuid={}&attempt=0",
            listening.instance
        )
    );
    let header = |name: &str| {
        headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("authorization"), Some(format!("Bearer {TOKEN}").as_str()));
    assert!(
        header("user-agent")
            .unwrap()
            .starts_with("goauthentik.io/outpost/")
    );
    assert_eq!(header("sec-websocket-protocol"), None);
    let first = hello(&mut server).await;
    assert_eq!(
        (&first["instruction"], &first["args"]["hostname"]),
        (&1.into(), &"test-host".into())
    );
    assert_eq!(first["args"]["uuid"], listening.instance.to_string());
    assert!(
        listening.events.try_recv().is_err(),
        "authentik has not answered yet"
    );
    say(&mut server, ACK).await;
    assert_eq!(listening.next().await, Event::Connected);
    for frame in [
        "",
        "garbage",
        "[1]",
        r#"{"instruction":99}"#,
        r#"{"instruction":3,"args":{}}"#,
        r#"{"instruction":4,"args":{}}"#,
        ACK,
    ] {
        say(&mut server, frame).await;
    }
    server.send(Message::binary(vec![0, 1, 255])).await.unwrap();
    server.send(Message::Ping("x".into())).await.unwrap();
    say(&mut server, r#"{"instruction": 2, "args": {}}"#).await;
    say(&mut server, &session_end()).await;
    assert_eq!(listening.next().await, Event::TriggerUpdate);
    assert_eq!(
        listening.next().await,
        Event::SessionEnd(ENDED.parse::<SessionEndId>().unwrap())
    );
    // Hellos go on.
    for _ in 0..3 {
        assert_eq!(hello(&mut server).await["instruction"], 1);
        say(&mut server, ACK).await;
    }
    // Shutdown says goodbye with 1000.
    listening.cancel.cancel();
    let code = loop {
        match server.next().await.unwrap().unwrap() {
            Message::Close(frame) => break u16::from(frame.unwrap().code),
            _ => continue,
        }
    };
    assert_eq!(code, 1000);
    tokio::time::timeout(PATIENCE, listening.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_recycled_worker_is_replaced_at_once() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |timings| {
        timings.backoff = Backoff::new(Duration::from_secs(60), Duration::from_secs(60));
    });
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    server
        .close(Some(CloseFrame {
            code: 1012.into(),
            reason: "".into(),
        }))
        .await
        .unwrap();
    assert_eq!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Closed { code: Some(1012) }
        }
    );
    // One worker after the other may be recycled. Closed again and again, it is not recycling but a failure, and
    // there is a wait.
    for _ in 0..3 {
        let (mut server, target, _) = accept(&listener).await;
        assert!(target.ends_with("&attempt=1"), "{target}");
        answer(&mut server, &mut listening).await;
        server
            .close(Some(CloseFrame {
                code: 1012.into(),
                reason: "".into(),
            }))
            .await
            .unwrap();
        assert!(matches!(listening.next().await, Event::Disconnected { .. }));
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(300), listener.accept())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_half_open_connection_is_given_up() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    assert!(matches!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Silent(_)
        }
    ));
    let (mut fresh, _, _) = accept(&listener).await;
    answer(&mut fresh, &mut listening).await;
    // Acks alone keep it alive.
    for _ in 0..8 {
        hello(&mut fresh).await;
        say(&mut fresh, ACK).await;
    }
    assert!(listening.events.try_recv().is_err());
    drop(server);
}

#[tokio::test]
async fn a_connection_is_renewed_before_it_goes_deaf() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |timings| {
        timings.renew = (Duration::from_millis(250), Duration::from_millis(250))
    });
    for _ in 0..2 {
        let (mut server, target, _) = accept(&listener).await;
        answer(&mut server, &mut listening).await;
        let closed = loop {
            match server.next().await {
                Some(Ok(Message::Close(frame))) => break u16::from(frame.unwrap().code),
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(closed, 1000, "{target}");
        // Lets the closing handshake finish.
        assert!(server.next().await.is_none());
        assert_eq!(
            listening.next().await,
            Event::Disconnected {
                cause: Disconnect::Renewal
            }
        );
    }
}

#[tokio::test]
async fn refusals_are_told_once_and_outlived() {
    let refuse = || Reply::status(403, "text/plain", "");
    let script = Script::new((0..5).map(|_| refuse()).collect()).await;
    let mut listening = Listening::to(&format!("http://{}/sub", script.address), 16, |_| {});
    assert_eq!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Refused {
                status: 403,
                is_foreign: false
            }
        }
    );
    // The script ends after five: the next refusal differs and is reported again.
    assert_eq!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Refused {
                status: 599,
                is_foreign: false
            }
        }
    );
    let requests = script.take();
    assert!(requests.len() >= 6);
    assert!(requests[0].target.starts_with("/sub/ws/outpost/"));
    assert!(requests[3].target.ends_with("attempt=3"));
    listening.cancel.cancel();
    tokio::time::timeout(PATIENCE, listening.task)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_server_that_is_down_or_mute_is_waited_for() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    // Accepts, but never answers the handshake.
    let mute = listener.accept().await.unwrap();
    assert_eq!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::HandshakeTimeout
        }
    );
    drop((listener, mute));
    assert!(matches!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Unreachable(_) | Disconnect::Broken(_)
        }
    ));
}

#[tokio::test]
async fn a_frame_beyond_all_measure_ends_the_connection() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    let _ = server.send(Message::text(" ".repeat((1 << 20) + 1))).await;
    assert!(matches!(
        listening.next().await,
        Event::Disconnected {
            cause: Disconnect::Broken(_)
        }
    ));
    let (mut again, _, _) = accept(&listener).await;
    answer(&mut again, &mut listening).await;
}

#[tokio::test]
async fn thousands_of_session_ends_reach_a_slow_reader() {
    const ENDS: usize = 5000;
    let (listener, host) = bound().await;
    // The server is mute once all is sent: that must not end the connection here, however slow the machine.
    let mut listening = Listening::to(&host, 1, |timings| timings.silence = PATIENCE * 2);
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    let (mut sink, mut stream) = server.split();
    tokio::spawn(async move {
        for n in 0..ENDS {
            let frame = if n % 2 == 0 {
                session_end()
            } else {
                r#"{"instruction": 2, "args": {}}"#.to_owned()
            };
            sink.send(Message::text(frame)).await.unwrap();
        }
        sink
    });
    // Nobody reads the events for a while; hellos continue.
    let mut hellos = 0;
    while hellos < 5 {
        let message = tokio::time::timeout(PATIENCE, stream.next()).await;
        if let Message::Text(_) = message.expect("a hello in time").unwrap().unwrap() {
            hellos += 1;
        }
    }
    let (mut ends, mut updates) = (0, 0);
    while ends < ENDS / 2 {
        match listening.next().await {
            Event::SessionEnd(id) => {
                assert_eq!(id.to_string(), ENDED);
                ends += 1;
            }
            Event::TriggerUpdate => updates += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(
        (1..ENDS / 2).contains(&updates),
        "waiting updates are one: {updates}"
    );
}

#[tokio::test]
async fn every_close_code_and_every_broken_frame_is_outlived() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |_| {});
    for code in [
        1000_u16, 1001, 1002, 1003, 1006, 1008, 1009, 1011, 1013, 1014, 4000, 4999,
    ] {
        let (mut server, _, _) = accept(&listener).await;
        answer(&mut server, &mut listening).await;
        // Written as octets, for the library refuses to send reserved codes: FIN and close, two octets of payload.
        let [high, low] = code.to_be_bytes();
        server.get_mut().write_all(&[0x88, 2, high, low]).await.unwrap();
        assert!(
            matches!(
                listening.next().await,
                Event::Disconnected {
                    cause: Disconnect::Closed { .. } | Disconnect::Broken(_)
                }
            ),
            "{code}"
        );
    }
    for (what, octets) in [
        ("text that is not UTF-8", vec![0x81, 2, 0xc3, 0x28]),
        ("a reserved opcode", vec![0x83, 0]),
        ("a reserved bit", vec![0xc1, 1, b'x']),
        ("a masked frame", vec![0x81, 0x81, 1, 2, 3, 4, b'x']),
        ("a continuation of nothing", vec![0x80, 1, b'x']),
        ("a fragmented ping", vec![0x09, 0]),
        ("a close frame of one octet", vec![0x88, 1, 3]),
        (
            "a length beyond all memory",
            vec![0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255],
        ),
        (
            "no websocket at all",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
    ] {
        let (mut server, _, _) = accept(&listener).await;
        answer(&mut server, &mut listening).await;
        server.get_mut().write_all(&octets).await.unwrap();
        assert!(
            matches!(listening.next().await, Event::Disconnected { .. }),
            "{what}"
        );
    }
    // Cut off in the middle of a frame.
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    server.get_mut().write_all(&[0x81, 100, b'{']).await.unwrap();
    drop(server);
    assert!(matches!(listening.next().await, Event::Disconnected { .. }));
    let (mut server, _, _) = accept(&listener).await;
    answer(&mut server, &mut listening).await;
    say(&mut server, r#"{"instruction": 2, "args": {}}"#).await;
    assert_eq!(listening.next().await, Event::TriggerUpdate);
}

#[tokio::test]
async fn a_connection_that_never_holds_is_tried_less_and_less_often() {
    let (listener, host) = bound().await;
    let mut listening = Listening::to(&host, 16, |timings| {
        timings.backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(400));
    });
    let mut gaps = Vec::new();
    let mut closed = tokio::time::Instant::now();
    for round in 0..5 {
        let (mut server, _, _) = accept(&listener).await;
        if round > 0 {
            gaps.push(closed.elapsed());
        }
        answer(&mut server, &mut listening).await;
        server.close(None).await.unwrap();
        closed = tokio::time::Instant::now();
        assert!(matches!(listening.next().await, Event::Disconnected { .. }));
    }
    for (gap, least) in gaps.iter().zip([50, 100, 200, 400]) {
        assert!(*gap >= Duration::from_millis(least), "{gaps:?}");
    }
}
