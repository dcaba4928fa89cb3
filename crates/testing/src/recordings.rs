//! What real servers answered, as it is kept in `tests/recordings/`.
//!
//! Knows how the files are kept, and nothing of what they show. Without a file it panics: a test does not pass for lack of
//! a recording.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use serde_json::Value;

/// Recordings by name, `B-users/02-list-p1-100.json` or `fixtures.json`.
pub type Recordings = BTreeMap<String, Value>;

/// The files of `tests/recordings/2026.5` that hold a group of exchanges each, by name.
const GROUPS: [&str; 8] = [
    "A-bootstrap",
    "B-users",
    "B-users-single",
    "C-groups",
    "C-groups-single",
    "D-check-access",
    "D-flows",
    "E-websocket",
];

/// Exchanges with authentik 2026.5, made with the token of an outpost: see `tests/recordings/README.md`.
pub fn authentik() -> &'static Recordings {
    static ALL: OnceLock<Recordings> = OnceLock::new();
    ALL.get_or_init(|| {
        let read = |name: &str| json(&format!("2026.5/{name}.json.gz"));
        let mut all = Recordings::new();
        for group in GROUPS {
            let Value::Object(exchanges) = read(group) else {
                panic!("{group} holds no exchanges by name")
            };
            all.extend(
                exchanges
                    .into_iter()
                    .map(|(name, exchange)| (format!("{group}/{name}"), exchange)),
            );
        }
        for name in ["fixtures", "D-flows-summary"] {
            all.insert(format!("{name}.json"), read(name));
        }
        all
    })
}

/// Exchanges with authentik 2025.10 about password changes, by name, `w01-self-ok/01-user-settings`.
pub fn passwords() -> &'static Recordings {
    static ALL: OnceLock<Recordings> = OnceLock::new();
    ALL.get_or_init(|| {
        let Value::Object(exchanges) = json("2025.10/P-password.json.gz") else {
            panic!("there are no exchanges by name")
        };
        exchanges.into_iter().collect()
    })
}

/// The exchanges below a folder with their names, in the order of these.
pub fn below(folder: &str) -> impl Iterator<Item = (&'static str, &'static Value)> + use<> {
    let prefix = format!("{folder}/");
    authentik()
        .iter()
        .filter(move |(name, _)| name.starts_with(&prefix))
        .map(|(name, exchange)| (name.as_str(), exchange))
}

/// The text of a compressed file below `tests/recordings`.
pub fn text(name: &str) -> String {
    let path = crate::project().join("tests/recordings").join(name);
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
