//! Replays recorded exchanges with a real authentik against the simulator and compares what matters.

use std::collections::BTreeMap;
use std::time::Duration;

use akldap_simulator::{Directory, Options, Simulator};
use akldap_testing::recordings;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// Exchanges that are not replayed, each with its reason.
const SKIPPED: &[(&str, &str)] = &[(
    "A-bootstrap/70-users-accept-gzip",
    "made after a user had been saved once more; B-users/03 is the same list, and nothing was compressed here either",
)];

/// The folders replayed.
const FOLDERS: [&str; 7] = [
    "A-bootstrap",
    "B-users",
    "B-users-single",
    "C-groups",
    "C-groups-single",
    "D-check-access",
    "D-flows",
];

/// One recorded exchange.
struct Exchange {
    name: &'static str,
    recorded: &'static Value,
}

impl Exchange {
    /// Exchanges that share cookies: a folder of steps, or for single files their whole folder.
    fn scenario(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(scenario, _)| scenario)
    }

    fn headers(&self, side: &str) -> Vec<(String, String)> {
        let pairs = self.recorded[side]["headers"].as_array().expect("headers");
        pairs
            .iter()
            .map(|pair| {
                (
                    pair[0].as_str().expect("a name").to_owned(),
                    pair[1].as_str().expect("a value").to_owned(),
                )
            })
            .collect()
    }

    fn header(&self, side: &str, name: &str) -> Option<String> {
        self.headers(side)
            .into_iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.recorded["elapsed_ms"].as_f64().expect("a time") as u64)
    }

    fn date(&self) -> std::time::SystemTime {
        httpdate::parse_http_date(&self.header("response", "date").expect("a date")).expect("a date")
    }
}

fn load() -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = FOLDERS
        .iter()
        .flat_map(|folder| recordings::below(folder))
        .map(|(name, recorded)| Exchange { name, recorded })
        .collect();
    // One-time codes and throttles need the scenarios in the order they happened.
    let mut starts: BTreeMap<String, std::time::SystemTime> = BTreeMap::new();
    for exchange in &exchanges {
        let start = starts
            .entry(exchange.scenario().to_owned())
            .or_insert_with(|| exchange.date());
        *start = (*start).min(exchange.date());
    }
    exchanges.sort_by(|a, b| {
        (starts.get(a.scenario()), a.scenario(), a.name).cmp(&(
            starts.get(b.scenario()),
            b.scenario(),
            b.name,
        ))
    });
    exchanges
}

/// The claims of a session cookie, if it is one.
fn claims(token: &str) -> Option<Value> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn claim(token: &str, name: &str) -> Option<String> {
    claims(token)?
        .get(name)
        .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

/// A parsed `Set-Cookie`: name, value, attributes without the values that depend on the moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SetCookie {
    name: String,
    value: String,
    attributes: Vec<String>,
}

impl SetCookie {
    fn parse(text: &str) -> Self {
        let mut parts = text.split("; ");
        let (name, value) = parts.next().expect("a pair").split_once('=').expect("a pair");
        let mut attributes: Vec<String> = parts
            .map(|part| match part.split_once('=') {
                Some((name @ ("expires" | "Max-Age"), _)) => name.to_owned(),
                _ => part.to_owned(),
            })
            .collect();
        attributes.sort();
        Self {
            name: name.to_owned(),
            value: value.to_owned(),
            attributes,
        }
    }

    /// What must be equal: sessions by the user they name, other cookies by their presence.
    fn decisive(&self) -> String {
        let value = match self.name.as_str() {
            "authentik_session" if self.value.len() > 2 => {
                format!(
                    "{:?} {:?}",
                    claim(&self.value, "authenticated"),
                    claim(&self.value, "sub")
                )
            }
            "authentik_session" => "taken away".to_owned(),
            "authentik_device" => format!("{:?}", claim(&self.value, "sub")),
            _ => String::new(),
        };
        format!("{} {value} {:?}", self.name, self.attributes)
    }
}

/// Recorded cookies and their counterparts here.
#[derive(Default)]
struct Jar {
    /// Recorded session key to our whole cookie.
    sessions: BTreeMap<String, String>,
    others: BTreeMap<String, String>,
}

struct Replay {
    simulator: Simulator,
    client: reqwest::Client,
    passwords: BTreeMap<String, (i32, String, String)>,
}

impl Replay {
    /// Our cookie for a recorded one; a session whose login was not recorded is logged in now.
    async fn translate(&self, jar: &mut Jar, name: &str, recorded: &str) -> String {
        if name != "authentik_session" {
            return jar
                .others
                .get(recorded)
                .cloned()
                .unwrap_or_else(|| recorded.to_owned());
        }
        let Some(sid) = claim(recorded, "sid") else {
            return recorded.to_owned();
        };
        if let Some(ours) = jar.sessions.get(&sid) {
            return ours.clone();
        }
        let sub = claim(recorded, "sub").expect("a sub");
        let (_, username, password) = self.passwords.get(&sub).expect("a user to log in as");
        let ours = self.log_in(username, password).await;
        jar.sessions.insert(sid, ours.clone());
        ours
    }

    async fn log_in(&self, username: &str, password: &str) -> String {
        let url = format!(
            "{}/api/v3/flows/executor/ldap-authentication-flow/",
            self.simulator.url()
        );
        let body = serde_json::json!({"uid_field": username, "password": password}).to_string();
        let remote = ("X-authentik-remote-ip", "192.0.2.44");
        let token = ("X-authentik-outpost-token", self.simulator.token());
        let posted = self
            .client
            .post(&url)
            .header("Content-Type", "application/json")
            .body(body);
        let posted = posted
            .header(remote.0, remote.1)
            .header(token.0, &token.1)
            .send()
            .await
            .expect("an answer");
        let session = session_of(posted.headers()).expect("a session");
        let got = self
            .client
            .get(&url)
            .header("Cookie", format!("authentik_session={session}"));
        let got = got
            .header(remote.0, remote.1)
            .header(token.0, &token.1)
            .send()
            .await
            .expect("an answer");
        session_of(got.headers()).expect("a session")
    }

    async fn send(&self, jar: &mut Jar, exchange: &Exchange) -> reqwest::Response {
        let request = &exchange.recorded["request"];
        let query = request["query"].as_str().expect("a query");
        let path = request["path"].as_str().expect("a path");
        let url = format!(
            "{}{path}{}{query}",
            self.simulator.url(),
            if query.is_empty() { "" } else { "?" }
        );
        let method: Method = request["method"]
            .as_str()
            .expect("a method")
            .parse()
            .expect("a method");
        let mut builder = self.client.request(method, url);
        for (name, value) in exchange.headers("request") {
            match name.to_ascii_lowercase().as_str() {
                "host" | "content-length" => {}
                "cookie" => {
                    let mut pairs = Vec::new();
                    for pair in value.split("; ") {
                        let (name, value) = pair.split_once('=').expect("a cookie");
                        pairs.push(format!("{name}={}", self.translate(jar, name, value).await));
                    }
                    builder = builder.header("Cookie", pairs.join("; "));
                }
                "x-authentik-csrf" => {
                    builder = builder.header(name, self.translate(jar, "authentik_csrf", &value).await);
                }
                _ => builder = builder.header(name, value),
            }
        }
        if let Some(body) = request["body"].as_str() {
            builder = builder.body(body.to_owned());
        }
        builder.send().await.expect("an answer")
    }
}

fn session_of(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all("set-cookie")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .map(SetCookie::parse)
        .find(|cookie| cookie.name == "authentik_session")
        .map(|cookie| cookie.value)
}

fn remember(jar: &mut Jar, recorded: &[SetCookie], ours: &[SetCookie]) {
    for (theirs, ours) in recorded.iter().zip(ours) {
        match claim(&theirs.value, "sid") {
            Some(sid) if theirs.name == "authentik_session" => {
                jar.sessions.insert(sid, ours.value.clone());
            }
            _ => {
                jar.others.insert(theirs.value.clone(), ours.value.clone());
            }
        }
    }
}

/// Leaves out what naturally differs and sorts what a database returns in no order.
fn normal(value: &Value) -> Value {
    const BY_NATURE: [&str; 8] = [
        "avatar",
        "pending_user_avatar",
        "last_login",
        "last_used",
        "request_id",
        "token",
        "autocomplete",
        // The title of a flow was changed between two recordings.
        "title",
    ];
    const UNORDERED: [&str; 10] = [
        "groups",
        "groups_obj",
        "parents",
        "parents_obj",
        "children",
        "children_obj",
        "users",
        "users_obj",
        "roles",
        "roles_obj",
    ];
    match value {
        Value::Object(object) => object
            .iter()
            .map(|(key, value)| {
                let value = if BY_NATURE.contains(&key.as_str()) {
                    Value::from(kind(value))
                } else {
                    normal(value)
                };
                let value = match value {
                    Value::Array(mut items) if UNORDERED.contains(&key.as_str()) => {
                        items.sort_by_key(Value::to_string);
                        Value::Array(items)
                    }
                    value => value,
                };
                (key.clone(), value)
            })
            .collect(),
        Value::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}

/// The JSON type, null counting as text: times may or may not be set.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::String(_) => "text or null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default()
}

/// The first place where two values differ.
fn difference(at: &str, recorded: &Value, ours: &Value) -> Option<String> {
    match (recorded, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = |object: &serde_json::Map<String, Value>| {
                let mut keys: Vec<String> = object.keys().cloned().collect();
                keys.sort();
                keys
            };
            if keys(a) != keys(b) {
                return Some(format!("{at}: keys {:?} are {:?} here", keys(a), keys(b)));
            }
            a.iter()
                .find_map(|(key, value)| difference(&format!("{at}.{key}"), value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(i, (a, b))| difference(&format!("{at}[{i}]"), a, b)),
        _ => (recorded != ours).then(|| format!("{at}: {recorded} is {ours} here")),
    }
}

async fn compare(exchange: &Exchange, jar: &mut Jar, ours: reqwest::Response) -> Vec<String> {
    let recorded = &exchange.recorded["response"];
    let mut wrong = Vec::new();
    if recorded["status"] != ours.status().as_u16() {
        wrong.push(format!("status {} is {} here", recorded["status"], ours.status()));
    }
    let header = |name: &str| {
        ours.headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let theirs = exchange.header("response", "content-type").unwrap_or_default();
    if media_type(&theirs) != media_type(&header("content-type").unwrap_or_default()) {
        wrong.push(format!(
            "content type {theirs} is {:?} here",
            header("content-type")
        ));
    }
    if exchange.header("response", "location") != header("location") {
        wrong.push(format!("location is {:?} here", header("location")));
    }
    if header("x-authentik-id").is_none_or(|id| id.len() != 32) {
        wrong.push("no request id".to_owned());
    }
    let theirs: Vec<SetCookie> = exchange
        .headers("response")
        .iter()
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| SetCookie::parse(value))
        .collect();
    let mine: Vec<SetCookie> = ours
        .headers()
        .get_all("set-cookie")
        .iter()
        .map(|value| SetCookie::parse(value.to_str().expect("text")))
        .collect();
    let decisive = |cookies: &[SetCookie]| cookies.iter().map(SetCookie::decisive).collect::<Vec<_>>();
    if decisive(&theirs) != decisive(&mine) {
        wrong.push(format!(
            "cookies {:?} are {:?} here",
            decisive(&theirs),
            decisive(&mine)
        ));
    }
    remember(jar, &theirs, &mine);
    let body = ours.text().await.expect("a body");
    let theirs = recorded["body"].as_str().unwrap_or_default();
    if let Ok(theirs) = serde_json::from_str::<Value>(theirs) {
        match serde_json::from_str::<Value>(&body) {
            Ok(body) => wrong.extend(difference("", &normal(&theirs), &normal(&body))),
            Err(error) => wrong.push(format!("body is no JSON: {error}")),
        }
    } else if theirs.is_empty() != body.is_empty() {
        wrong.push("one body is empty".to_owned());
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_as_a_real_authentik_was_recorded_to() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = Directory::from_recordings(recordings::authentik()).expect("the recordings");
    let fixtures = &recordings::authentik()["fixtures.json"];
    let passwords = directory
        .users()
        .iter()
        .filter_map(|user| {
            let password = fixtures["passwords"][&*user.username].as_str()?;
            Some((
                user.uid_hex(),
                (user.pk, user.username.to_string(), password.to_owned()),
            ))
        })
        .collect();
    let simulator = Simulator::start(directory, Options::default())
        .await
        .expect("a simulator");
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let replay = Replay {
        simulator,
        client,
        passwords,
    };
    let (mut replayed, mut wrong) = (0, Vec::new());
    let mut jars: BTreeMap<String, Jar> = BTreeMap::new();
    let mut clock = std::time::UNIX_EPOCH;
    for exchange in load() {
        if SKIPPED.iter().any(|(name, _)| exchange.name.contains(name)) {
            continue;
        }
        // The date header knows only seconds; the time each exchange took fills them.
        clock = clock.max(exchange.date());
        replay.simulator.set_clock(clock);
        clock += exchange.elapsed();
        let jar = jars.entry(exchange.scenario().to_owned()).or_default();
        let deactivated = deactivate_before(&replay, jar, &exchange).await;
        let ours = replay.send(jar, &exchange).await;
        wrong.extend(
            compare(&exchange, jar, ours)
                .await
                .into_iter()
                .map(|what| format!("{}: {what}", exchange.name)),
        );
        if let Some(pk) = deactivated {
            replay
                .simulator
                .edit(|directory| directory.change_user(pk, |user| user.is_active = true));
        }
        replayed += 1;
    }
    println!(
        "{replayed} exchanges replayed, {} skipped by name, {} differences",
        SKIPPED.len(),
        wrong.len()
    );
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(replayed > 500, "only {replayed} exchanges were found");
}

/// Two exchanges were made with the session of a user deactivated in between.
async fn deactivate_before(replay: &Replay, jar: &mut Jar, exchange: &Exchange) -> Option<i32> {
    if !exchange.name.contains("deactivated-user") {
        return None;
    }
    let cookie = exchange.header("request", "cookie")?;
    let recorded = cookie
        .split("; ")
        .find_map(|pair| pair.strip_prefix("authentik_session="))?
        .to_owned();
    replay.translate(jar, "authentik_session", &recorded).await;
    let (pk, _, _) = replay.passwords.get(&claim(&recorded, "sub")?)?;
    replay
        .simulator
        .edit(|directory| directory.change_user(*pk, |user| user.is_active = false));
    Some(*pk)
}
