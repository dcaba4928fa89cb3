//! Lines as they reach the log, read back.

use std::io;

use serde_json::Value;
use tracing::{debug, error, info, trace, warn};

use super::*;

/// A writer whose text can be read back.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl io::Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("memory").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Memory {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("memory").clone()).expect("lines are UTF-8")
    }
}

fn logged(level: LogLevel, format: LogFormat, log: impl FnOnce(&LogControl)) -> String {
    let memory = Memory::default();
    let writer = memory.clone();
    let (subscriber, control) = subscriber(LogConfig { level, format }, move || writer.clone());
    tracing::subscriber::with_default(subscriber, || log(&control));
    memory.text()
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("each line is JSON"))
        .collect()
}

#[test]
fn a_line_has_the_official_keys_and_typed_fields() {
    let text = logged(LogLevel::Info, LogFormat::Json, |_| {
        warn!(
            bind_dn = "cn=zoë\n",
            took_ms = 7_u64,
            ok = true,
            ratio = 0.5,
            change = -3,
            "Bind \"request\""
        );
    });
    let [line] = objects(&text).try_into().expect("one line");
    assert_eq!(line["event"], "Bind \"request\"");
    assert_eq!(line["level"], "warning");
    assert_eq!(line["logger"], "akldap::logging::tests");
    assert_eq!(line["bind_dn"], "cn=zoë\n");
    assert_eq!(line["took_ms"], 7);
    assert_eq!(line["ok"], true);
    assert_eq!(line["ratio"], 0.5);
    assert_eq!(line["change"], -3);
    let timestamp = line["timestamp"].as_str().expect("text");
    assert!(
        timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T' && timestamp.len() > 20,
        "{timestamp}"
    );
}

#[test]
fn level_names_are_the_official_ones() {
    let text = logged(LogLevel::Trace, LogFormat::Json, |_| {
        trace!("a");
        debug!("b");
        info!("c");
        warn!("d");
        error!("e");
    });
    let levels: Vec<String> = objects(&text)
        .iter()
        .map(|line| line["level"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(levels, ["trace", "debug", "info", "warning", "error"]);
}

#[test]
fn fields_cannot_replace_the_keys_of_the_line() {
    let text = logged(LogLevel::Info, LogFormat::Json, |_| {
        info!(
            level = "harmless",
            logger = "somebody",
            event = 1,
            timestamp = 2,
            "message"
        );
    });
    let line = &objects(&text)[0];
    assert_eq!(
        (line["level"].as_str(), line["event"].as_str()),
        (Some("info"), Some("message"))
    );
    assert_eq!(
        (line["level_"].as_str(), line["event_"].as_i64()),
        (Some("harmless"), Some(1))
    );
}

#[test]
fn errors_show_their_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("the page could not be read")]
    struct Page(#[source] io::Error);
    let text = logged(LogLevel::Info, LogFormat::Json, |_| {
        let error = Page(io::Error::other("connection reset"));
        warn!(error = &error as &dyn std::error::Error, "refresh failed");
    });
    assert_eq!(
        objects(&text)[0]["error"],
        "the page could not be read: connection reset"
    );
}

#[test]
fn the_level_changes_at_run_time() {
    let text = logged(LogLevel::Warning, LogFormat::Json, |control| {
        info!("hidden");
        assert!(control.set_level(LogLevel::Debug));
        assert!(!control.set_level(LogLevel::Debug));
        assert_eq!(control.level(), LogLevel::Debug);
        debug!("shown");
        assert!(control.set_level(LogLevel::Error));
        warn!("hidden again");
    });
    let events: Vec<String> = objects(&text)
        .iter()
        .map(|line| line["event"].as_str().expect("text").to_owned())
        .collect();
    assert_eq!(events, ["shown"]);
}

#[test]
fn libraries_speak_only_from_warnings_on() {
    let text = logged(LogLevel::Trace, LogFormat::Json, |control| {
        info!(target: "hyper::proto", "header: secret");
        warn!(target: "hyper::proto", "a warning");
        control.set_level(LogLevel::Error);
        warn!(target: "hyper::proto", "a warning too late");
    });
    let lines = objects(&text);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["logger"], "hyper::proto");
}

#[test]
fn text_lines_stay_one_line() {
    let text = logged(LogLevel::Info, LogFormat::Text, |_| {
        info!(dn = "cn=a\n2026 error forged", count = 3, "two\nlines\u{1b}[31m");
    });
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(!text.contains('\u{1b}'));
    let (_, tail) = text.split_once(' ').expect("a timestamp first");
    assert_eq!(
        tail,
        "info    akldap::logging::tests: two lines [31m dn=\"cn=a\\n2026 error forged\" count=3\n"
    );
}
