//! Nextcloud's user_ldap, replayed: PHP scripts with php-ldap that send what Nextcloud sends and draw the same conclusions,
//! controlled from here while the simulated authentik changes behind the server.
//!
//! The scripts are in `nextcloud/` and are written from a description of the requests; no code of Nextcloud is in them.
//! What is asserted is what an administrator would see: nobody who is there marked as deleted, no group lost.

mod groups;
mod jobs;
mod outage;
mod people;
mod spoilt;
mod wizard;

use std::process::Stdio;
use std::time::Duration;

use akldap_simulator::Directory;
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::time::timeout;
use uuid::Uuid;

use crate::recorder::tamper::Tamper;
use crate::recorder::{Detail, Log, Recorder};
use crate::setting::with_certificate;
use crate::transport::AUTHORITY;
use akldap_testing::exercise::{Exercise, Need, exercise};
use akldap_testing::program;
use akldap_testing::stage::{BASE, SUFFIX, Stage};

/// Longer than any order takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// People who may use Nextcloud in most tests.
pub const PEOPLE: usize = 60;
/// Groups of the directory, the one of Nextcloud's users among them.
pub const GROUPS: usize = 21;
/// The group of Nextcloud's users, as named on the page.
const GROUP: &str = "nextcloud";

/// The beginning of a JPEG file and of a PNG file, enough to be known as such.
pub const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xd9";
pub const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00";

/// A directory with this many people in the group of Nextcloud's users, and some who are not in it.
pub fn directory(people: usize) -> Directory {
    let mut directory = with_certificate(Directory::sample(people + 20, GROUPS - 1));
    let group = directory.add_group(Uuid::from_u128(0x6e65_7874), GROUP);
    let members: Vec<i32> = directory
        .users()
        .iter()
        .filter(|user| !user.username.starts_with("ak") && &*user.username != "ldapservice")
        .map(|user| user.pk)
        .take(people)
        .collect();
    for pk in members {
        directory.join(pk, group);
    }
    let engine = base64::engine::general_purpose::STANDARD;
    for (username, more) in [
        (
            "alice",
            json!({"jpegPhoto": engine.encode(JPEG), "nextcloud_quota": "10 GB"}),
        ),
        (
            "bob",
            json!({
                "thumbnailPhoto": format!("data:image/png;base64,{}", engine.encode(PNG)),
                "nextcloud_quota": "none",
            }),
        ),
        ("zoë", json!({"nextcloud_quota": "plenty"})),
    ] {
        let pk = directory.user_named(username).expect("one of the sample").pk;
        directory.change_user(pk, |user| {
            let mut attributes = user.attributes();
            attributes.extend(more.as_object().cloned().expect("an object"));
            user.set_attributes(&attributes);
        });
    }
    directory
}

/// What `docs/nextcloud.md` recommends, for this directory: what its commands set, and what depends on the tests.
pub fn recommended() -> Value {
    let mut settings = page();
    // Nextcloud's own sizes and the simple case, which tests change.
    settings["ldapPagingSize"] = json!(500);
    settings["ldapNestedGroups"] = json!(false);
    // The search of the display name alone, and the recorder, which reads no TLS.
    settings["ldapAttributesForUserSearch"] = json!([]);
    settings["ldapHost"] = json!("127.0.0.1");
    settings
}

/// The blocks of commands on the page, without the one that an administrator fills in.
pub fn commands() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/nextcloud.md");
    let text = std::fs::read_to_string(page).expect("the page");
    let blocks: Vec<&str> = text
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("\n```"))
        .map(|(block, _)| block)
        .collect();
    assert_eq!(blocks.len(), 2, "the values, and the commands");
    for (line, name) in blocks[0].lines().zip(["host", "port", "base", "password"]) {
        assert!(line.starts_with(&format!("{name}=")), "{line}");
    }
    blocks[1].to_owned()
}

/// What the page's commands set, evaluated by a shell with an `occ` that only writes it down.
fn page() -> Value {
    let script = format!(
        r#"occ() {{
            case $1 in
            ldap:create-empty-config) printf s01 ;;
            ldap:set-config) printf '%s\t%s\n' "$3" "$4" ;;
            esac
        }}
        host=ldaps://127.0.0.1 port=0 base='{BASE}' password=demo-ldapservice
        {}"#,
        commands()
    );
    let output = std::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .output()
        .expect("bash starts");
    assert!(output.status.success(), "{output:?}");
    let mut settings = json!({});
    for line in String::from_utf8(output.stdout).expect("text").lines() {
        let (name, value) = line.split_once('\t').expect("a name and a value");
        settings[name] = match value {
            "1" => json!(true),
            number if number.parse::<u32>().is_ok() => json!(number.parse::<u32>().expect("a number")),
            list if name == "ldapAttributesForUserSearch" => json!(list.split(';').collect::<Vec<_>>()),
            text => json!(text),
        };
    }
    settings
}

/// Begins a test, if PHP and its LDAP extension are there.
#[track_caller]
pub fn installed() -> Option<Exercise> {
    exercise(&[Need::PhpExtension("ldap"), Need::PhpExtension("mbstring")])
}

/// The server, the recorder before it, and an installation of Nextcloud before that.
pub struct Scenery {
    pub stage: Stage,
    pub recorder: Recorder,
    pub nextcloud: Nextcloud,
}

impl Scenery {
    pub async fn new(people: usize, change: impl FnOnce(&mut Value)) -> Self {
        Self::of(directory(people), change).await
    }

    pub async fn of(directory: Directory, change: impl FnOnce(&mut Value)) -> Self {
        let stage = Stage::with(directory, |_| {}).await;
        let recorder = Recorder::with(stage.ldap(), Tamper::Nothing, Detail::Everything).await;
        let mut settings = recommended();
        change(&mut settings);
        let nextcloud = Nextcloud::start(&recorder, settings).await;
        Self {
            stage,
            recorder,
            nextcloud,
        }
    }

    /// Stores the requests so far as a fixture; nothing in authentik may have changed before.
    pub async fn keep(&mut self, scene: &str, people: usize) {
        let version = self.nextcloud.result(json!({"do": "version"})).await;
        let version = format!("{} with php-ldap", version.as_str().expect("a version"));
        self.recorder
            .keep("nextcloud", scene, &version, &format!("nextcloud {people}"));
    }

    /// What an order costs.
    pub async fn cost(&mut self, order: Value) -> (Value, Log) {
        self.recorder.take();
        let result = self.nextcloud.result(order).await;
        (result, self.recorder.take())
    }
}

/// A running script.
pub struct Nextcloud {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Nextcloud {
    pub async fn start(recorder: &Recorder, mut settings: Value) -> Self {
        settings["ldapPort"] = json!(recorder.address().port());
        Self::with(settings).await
    }

    /// With only these settings.
    pub async fn with(settings: Value) -> Self {
        Self::trusting(AUTHORITY, settings).await
    }

    /// With another authority than the server's, or this.
    pub async fn trusting(authority: &str, settings: Value) -> Self {
        let mut child = program::command("php")
            .arg("tests/clients/nextcloud/main.php")
            // What an administrator puts into ldap.conf.
            .env("LDAPTLS_CACERT", authority)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("php starts");
        let mut errors = child.stderr.take().expect("its errors");
        tokio::spawn(async move {
            let mut text = String::new();
            let _ = errors.read_to_string(&mut text).await;
            eprint!("{text}");
        });
        let mut nextcloud = Self {
            orders: child.stdin.take().expect("its input"),
            answers: BufReader::new(child.stdout.take().expect("its output")).lines(),
            _child: child,
        };
        nextcloud.send(&settings).await;
        nextcloud
    }

    async fn send(&mut self, value: &Value) {
        let line = format!("{value}\n");
        self.orders.write_all(line.as_bytes()).await.expect("it listens");
    }

    /// Gives an order; the whole answer.
    pub async fn ask(&mut self, order: Value) -> Value {
        self.send(&order).await;
        let line = timeout(PATIENCE, self.answers.next_line())
            .await
            .unwrap_or_else(|_| panic!("{order} takes too long"))
            .expect("readable")
            .unwrap_or_else(|| panic!("the script ended at {order}"));
        serde_json::from_str(&line).expect("JSON")
    }

    /// Gives an order that must succeed.
    #[track_caller]
    pub fn result(&mut self, order: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        async move {
            let answer = self.ask(order.clone()).await;
            answer
                .get("result")
                .unwrap_or_else(|| panic!("{place}: {order} was answered {answer}"))
                .clone()
        }
    }

    /// Gives an order whose result is a list of names.
    pub async fn names(&mut self, order: Value) -> Vec<String> {
        names(&self.result(order).await)
    }

    /// Ends the process as PHP does: what is in the database stays.
    pub async fn process(&mut self) {
        self.result(json!({"do": "process"})).await;
    }
}

pub fn names(value: &Value) -> Vec<String> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("{value} is no list"))
        .iter()
        .map(|name| name.as_str().expect("a name").to_owned())
        .collect()
}

/// The DN as Nextcloud keeps it.
pub fn kept(name: &str) -> String {
    format!("cn={name},ou=users,{SUFFIX}")
}
