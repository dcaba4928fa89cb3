//! Sends every stored fixture to a server again, without the client, and compares the answers with those stored.
//!
//! A connection sends its requests one after the other, each after the answer to the one before. Cookies are replaced by
//! the ones this server gave. Attributes that were not there when the fixture was recorded may be there now.
//!
//! After an intended change of the answers `AKLDAP_WRITE_ANSWERS=1 cargo test --test clients replay` writes them again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fixture::{self, Expected, Fixture, Recording, Stored};
use super::message::{self, Message, START_TLS, UNBIND};
use super::{Answer, Exchange};
use akldap_testing::client_test::client_test;
use akldap_testing::stage::Stage;

const PATIENCE: Duration = Duration::from_secs(120);

#[client_test]
async fn every_recorded_request_is_answered_as_before() {
    let mut by_directory: BTreeMap<String, Vec<(PathBuf, Recording)>> = BTreeMap::new();
    for path in fixture::all() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let recording = Recording::read(&text);
        assert!(!recording.requests.is_empty(), "{} is empty", path.display());
        by_directory
            .entry(recording.directory.clone())
            .or_default()
            .push((path, recording));
    }
    assert!(!by_directory.is_empty(), "there are no fixtures");
    let mut wrong = Vec::new();
    for (name, recordings) in by_directory {
        let stage = Stage::with(fixture::directory(&name), |_| {}).await;
        for (path, recording) in recordings {
            wrong.extend(replay(&stage, &path, &recording).await);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Sends one fixture; returns what was answered differently.
async fn replay(stage: &Stage, path: &Path, recording: &Recording) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut connections: HashMap<usize, ReplayedConnection> = HashMap::new();
    let mut cookies: Vec<Vec<u8>> = Vec::new();
    let mut exchanges = Vec::new();
    for (at, stored) in recording.requests.iter().enumerate() {
        let connection = match connections.entry(stored.connection) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => place.insert(ReplayedConnection::open(stage).await),
        };
        let octets = stored.live_octets(&cookies);
        let answer = connection.ask(&octets, stored.expected.is_some()).await;
        cookies.push(
            answer
                .as_ref()
                .map(|answer| answer.cookie.clone())
                .unwrap_or_default(),
        );
        if let Some(difference) = difference(stored, answer.as_ref()) {
            wrong.push(format!(
                "{} {}: {}\n  {difference}",
                path.display(),
                at + 1,
                stored.words
            ));
        }
        exchanges.push(Exchange {
            connection: stored.connection,
            octets,
            answer,
        });
        if Message::read(&stored.octets).is_some_and(|message| message.operation.tag == UNBIND) {
            connections.remove(&stored.connection);
        }
    }
    if !wrong.is_empty() && std::env::var_os("AKLDAP_WRITE_ANSWERS").is_some() {
        Fixture {
            version: recording.version.clone(),
            directory: recording.directory.clone(),
            exchanges,
        }
        .save(path);
        wrong.clear();
    }
    wrong
}

impl Stored {
    /// The octets with the cookie this server gave.
    fn live_octets(&self, cookies: &[Vec<u8>]) -> Vec<u8> {
        self.cookie_of
            .and_then(|origin| message::with_cookie(&self.octets, &cookies[origin]))
            .unwrap_or_else(|| self.octets.clone())
    }
}

fn difference(stored: &Stored, answer: Option<&Answer>) -> Option<String> {
    let (Some(expected), Some(answer)) = (&stored.expected, answer) else {
        return (stored.expected.is_some() != answer.is_some()).then(|| format!("answered {answer:?}"));
    };
    let mut found = Expected::from(answer);
    for dn in &mut found.dns {
        *dn = super::text::line(dn);
    }
    let missing: Vec<&String> = expected.attributes.difference(&found.attributes).collect();
    if !missing.is_empty() {
        return Some(format!("attributes are missing: {missing:?}"));
    }
    found.attributes.clone_from(&expected.attributes);
    (&found != expected).then(|| format!("stored   {expected:?}\n  answered {found:?}"))
}

struct ReplayedConnection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl ReplayedConnection {
    async fn open(stage: &Stage) -> Self {
        let stream = TcpStream::connect(stage.ldap()).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// Sends a request and waits for the end of its answer, if one is expected.
    async fn ask(&mut self, octets: &[u8], answered: bool) -> Option<Answer> {
        self.stream.write_all(octets).await.expect("the server listens");
        let id = Message::read(octets).map(|message| message.id);
        if !answered {
            return None;
        }
        let mut answer = Answer::default();
        loop {
            while let Some(length) = message::length(&self.buffer) {
                let octets: Vec<u8> = self.buffer.drain(..length).collect();
                let message = Message::read(&octets).expect("a message");
                // An abandoned request may still have sent something.
                if Some(message.id) == id && answer.take(&message) {
                    return Some(answer);
                }
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer))
                .await
                .expect("an answer in time")
                .expect("readable");
            if read == 0 {
                return None;
            }
        }
    }
}

#[client_test]
fn text_and_octets_survive() {
    let question = |cookie: &[u8]| {
        let mut search = message::write(0x04, b"dc=ldap");
        for (tag, value) in [(0x0a, 2), (0x0a, 0), (0x02, 0), (0x02, 10), (0x01, 0)] {
            search.extend(message::write(tag, &[value]));
        }
        let pieces = [message::write(0x80, b"a("), message::write(0x82, b"\xff")].concat();
        let pieces = [message::write(0x04, b"cn"), message::write(0x30, &pieces)].concat();
        search.extend(message::write(0xa4, &pieces));
        search.extend(message::write(0x30, &message::write(0x04, b"")));
        let search = message::write(message::SEARCH, &search);
        let value = message::page_value(500, cookie);
        let control = message::Control {
            oid: message::PAGED.as_bytes(),
            critical: true,
            value: Some(&value),
        };
        Message {
            id: 300,
            operation: message::read(&search).expect("whole").0,
            controls: vec![control],
        }
        .write()
    };
    let answer = |cookie: &[u8], entries: usize| Answer {
        code: 0,
        entries: (0..entries).map(|number| format!("cn=a\nb{number}")).collect(),
        attributes: ["cn".to_owned()].into(),
        cookie: cookie.to_vec(),
    };
    let exchange = |connection, octets, answer| Exchange {
        connection,
        octets,
        answer,
    };
    let fixture = Fixture {
        version: "a client".to_owned(),
        directory: fixture::DEMO.to_owned(),
        exchanges: vec![
            exchange(4, question(b""), Some(answer(b"one", 2))),
            exchange(9, question(b"one"), Some(answer(b"", 20))),
            exchange(9, question(b"foreign"), None),
        ],
    };
    let text = fixture.to_text();
    assert!(
        text.contains(
            "2 c2 search \"dc=ldap\" sub (cn=a\\28*\\ff) deref never time 10 attributes [\"\"] critical page of 500 after the cookie of 1 :: 30"
        ),
        "{text}"
    );
    let recording = Recording::read(&text);
    assert_eq!(
        (recording.version.as_str(), recording.directory.as_str()),
        ("a client", fixture::DEMO)
    );
    for (stored, exchange) in recording.requests.iter().zip(&fixture.exchanges) {
        assert_eq!(stored.octets, exchange.octets);
        assert_eq!(difference(stored, exchange.answer.as_ref()), None);
    }
    let [first, second, third] = recording.requests.as_slice() else {
        panic!("{recording:?}")
    };
    assert_eq!(
        (first.cookie_of, second.cookie_of, third.cookie_of),
        (None, Some(0), None)
    );
    let live = second.live_octets(&[b"another cookie".to_vec()]);
    assert_eq!(live, question(b"another cookie"));
    assert!(
        difference(first, Some(&answer(b"", 2))).is_some(),
        "the cookie is missing"
    );
    assert!(
        difference(second, Some(&answer(b"", 19))).is_some(),
        "an entry is missing"
    );
    assert!(
        difference(third, Some(&answer(b"", 0))).is_some(),
        "it was not answered"
    );
    let start_tls = message::write(message::EXTENDED, &message::write(0x80, START_TLS.as_bytes()));
    let message = Message {
        id: 1,
        operation: message::read(&start_tls).expect("whole").0,
        controls: vec![],
    };
    assert_eq!(
        super::text::request(&message, |_| String::new()),
        "extended 1.3.6.1.4.1.1466.20037 StartTLS"
    );
}
