//! Recorded requests as text files: one request a line in words and in octets, what was answered below it.
//!
//! ```text
//! client: postmap 3.7.11
//! directory: sample 200 25
//!
//! 1 c1 bind "cn=ldapservice,ou=users,dc=…" version 3 simple :: 3054…
//!   = 0
//! 2 c1 search "dc=…" sub (mail=a@b) deref never attributes [mail] page of 10 :: 3081…
//!   = 0 entries 1 attributes mail
//!   + cn=alice,ou=users,dc=…
//! ```
//!
//! `c1` is the connection. `= none` means that nothing was answered. Of many DNs the first, the last and a digest of all in
//! sorted order are kept. A cookie is valid only for one server process, so the words say which answer it came from.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

use akldap_simulator::Directory;

use super::message::{BIND, Message};
use super::{Answer, Exchange, text};
use crate::setting::with_certificate;

/// The directory of `akldap demo`.
pub const DEMO: &str = "sample 200 25";

/// More DNs than that are kept as a digest.
const DNS_SHOWN: usize = 12;
/// What passwords of the sample begin with.
const PASSWORD: &str = "demo-";

/// What one client sent in one scene.
#[derive(Clone, Debug)]
pub struct Fixture {
    /// Name and version of the client.
    pub version: String,
    /// See [`directory`].
    pub directory: String,
    pub exchanges: Vec<Exchange>,
}

/// The directory a fixture was recorded with: `sample`, the number of users, the number of groups; or `nextcloud`, the number of people
/// who may use it.
pub fn directory(name: &str) -> Directory {
    let mut words = name.split(' ');
    let kind = words.next().unwrap_or_default();
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("a number");
    match kind {
        "sample" => with_certificate(Directory::sample(number(), number())),
        "nextcloud" => crate::nextcloud::directory(number()),
        _ => panic!("no directory is called {name}"),
    }
}

/// Where fixtures are.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/recorded")
}

/// Every stored fixture, by path.
pub fn all() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the folder of fixtures")
        .filter_map(|client| Some(client.ok()?.path()))
        .filter(|client| client.is_dir())
        .flat_map(|client| std::fs::read_dir(client).expect("readable"))
        .filter_map(|scene| Some(scene.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    found.sort();
    found
}

impl Fixture {
    /// Stores the fixture.
    pub fn write(&self, client: &str, scene: &str) {
        let folder = folder().join(client);
        std::fs::create_dir_all(&folder).expect("a folder");
        self.save(&folder.join(format!("{scene}.txt")));
    }

    pub fn save(&self, path: &Path) {
        for exchange in &self.exchanges {
            assert!(
                is_harmless(exchange),
                "a password that is not the demo's: {exchange:?}"
            );
        }
        std::fs::write(path, self.to_text()).expect("a writable file");
    }

    pub fn to_text(&self) -> String {
        let mut text = format!("client: {}\ndirectory: {}\n", self.version, self.directory);
        let numbers: HashMap<usize, usize> = self
            .exchanges
            .iter()
            .map(|exchange| exchange.connection)
            .collect::<BTreeSet<usize>>()
            .into_iter()
            .zip(1..)
            .collect();
        for (at, exchange) in self.exchanges.iter().enumerate() {
            let octets: String = exchange.octets.iter().fold(String::new(), |mut text, octet| {
                let _ = write!(text, "{octet:02x}");
                text
            });
            let words = Message::read(&exchange.octets).map_or_else(
                || "unreadable".to_owned(),
                |message| {
                    text::request(&message, |cookie| match self.origin(at, cookie) {
                        Some(origin) => format!("the cookie of {}", origin + 1),
                        None => "a cookie of its own".to_owned(),
                    })
                },
            );
            let connection = numbers[&exchange.connection];
            let _ = write!(text, "\n{} c{connection} {words} :: {octets}\n", at + 1);
            text.push_str(&answer_text(exchange.answer.as_ref()));
        }
        text
    }

    /// Which earlier answer had this cookie.
    fn origin(&self, before: usize, cookie: &[u8]) -> Option<usize> {
        self.exchanges[..before].iter().rposition(|exchange| {
            exchange
                .answer
                .as_ref()
                .is_some_and(|answer| answer.cookie == cookie)
        })
    }
}

/// Whether the only passwords in it are those of the sample, or ones that were refused.
fn is_harmless(exchange: &Exchange) -> bool {
    let Some(message) = Message::read(&exchange.octets) else {
        return true;
    };
    let parts = message.operation.parts();
    let accepted = exchange.answer.as_ref().is_some_and(|answer| answer.code == 0);
    let plain = parts.get(2).filter(|proof| proof.tag == 0x80);
    message.operation.tag != BIND
        || !accepted
        || plain.is_none_or(|proof| proof.contents.is_empty() || proof.text().starts_with(PASSWORD))
}

/// What is stored of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub code: i64,
    pub entries: usize,
    /// All of them, or the first and the last.
    pub dns: Vec<String>,
    /// Of all DNs in sorted order, when not all are there.
    pub digest: Option<String>,
    pub more: bool,
    pub attributes: BTreeSet<String>,
}

impl From<&Answer> for Expected {
    fn from(answer: &Answer) -> Self {
        let many = answer.entries.len() > DNS_SHOWN;
        let dns = match answer.entries.as_slice() {
            [first, .., last] if many => vec![first.clone(), last.clone()],
            all => all.to_vec(),
        };
        Self {
            code: answer.code,
            entries: answer.entries.len(),
            dns,
            digest: many.then(|| digest(&answer.entries)),
            more: !answer.cookie.is_empty(),
            attributes: answer.attributes.clone(),
        }
    }
}

fn digest(dns: &[String]) -> String {
    let mut sorted: Vec<&str> = dns.iter().map(String::as_str).collect();
    sorted.sort_unstable();
    blake3::hash(sorted.join("\n").as_bytes()).to_hex()[..16].to_owned()
}

fn answer_text(answer: Option<&Answer>) -> String {
    let Some(answer) = answer else {
        return "  = none\n".to_owned();
    };
    let expected = Expected::from(answer);
    let mut text = format!("  = {}", expected.code);
    if expected.entries > 0 {
        let _ = write!(text, " entries {}", expected.entries);
    }
    if expected.more {
        text.push_str(" more");
    }
    if let Some(digest) = &expected.digest {
        let _ = write!(text, " digest {digest}");
    }
    if !expected.attributes.is_empty() {
        text.push_str(" attributes");
        for name in &expected.attributes {
            let _ = write!(text, " {name}");
        }
    }
    text.push('\n');
    for dn in &expected.dns {
        let _ = writeln!(text, "  + {}", text::line(dn));
    }
    text
}

/// A request as it is stored.
#[derive(Clone, Debug)]
pub struct Stored {
    pub connection: usize,
    pub words: String,
    pub octets: Vec<u8>,
    /// The request, counted from 0, whose answer had the cookie sent here.
    pub cookie_of: Option<usize>,
    pub expected: Option<Expected>,
}

/// A fixture as it is stored.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    pub version: String,
    pub directory: String,
    pub requests: Vec<Stored>,
}

impl Recording {
    pub fn read(text: &str) -> Self {
        let mut recording = Self::default();
        for line in text.lines() {
            if let Some(version) = line.strip_prefix("client: ") {
                version.clone_into(&mut recording.version);
            } else if let Some(directory) = line.strip_prefix("directory: ") {
                directory.clone_into(&mut recording.directory);
            } else if let Some(answer) = line.strip_prefix("  = ") {
                recording.last().expected = expected(answer);
            } else if let Some(dn) = line.strip_prefix("  + ") {
                let expected = recording.last().expected.as_mut().expect("an answer");
                expected.dns.push(dn.to_owned());
            } else if !line.is_empty() {
                recording.requests.push(stored(line));
            }
        }
        recording
    }

    fn last(&mut self) -> &mut Stored {
        self.requests.last_mut().expect("a request before its answer")
    }
}

fn stored(line: &str) -> Stored {
    let (words, octets) = line.rsplit_once(" :: ").expect("octets");
    let mut parts = words.splitn(3, ' ').skip(1);
    let connection = parts.next().and_then(|word| word.strip_prefix('c')?.parse().ok());
    let words = parts.next().expect("words").to_owned();
    let cookie_of = words.rsplit_once(" after the cookie of ").map(|(_, rest)| {
        let number = rest.split(' ').next().unwrap_or_default();
        number.parse::<usize>().expect("a number") - 1
    });
    Stored {
        connection: connection.expect("a connection"),
        words,
        octets: octets
            .as_bytes()
            .chunks(2)
            .map(|pair| {
                u8::from_str_radix(std::str::from_utf8(pair).expect("text"), 16).expect("hexadecimal")
            })
            .collect(),
        cookie_of,
        expected: None,
    }
}

fn expected(answer: &str) -> Option<Expected> {
    let mut words = answer.split(' ');
    let code = words.next()?.parse().ok()?;
    let mut expected = Expected {
        code,
        entries: 0,
        dns: Vec::new(),
        digest: None,
        more: false,
        attributes: BTreeSet::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "entries" => expected.entries = words.next()?.parse().ok()?,
            "more" => expected.more = true,
            "digest" => expected.digest = words.next().map(str::to_owned),
            "attributes" => expected.attributes = words.by_ref().map(str::to_owned).collect(),
            other => panic!("{other} in an answer"),
        }
    }
    Some(expected)
}
