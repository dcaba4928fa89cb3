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

fn logged(level: LogLevel, form: Form, log: impl FnOnce(&LogControl)) -> String {
    let memory = Memory::default();
    let writer = memory.clone();
    let (subscriber, control) = subscriber(level, form, move || writer.clone());
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
    let text = logged(LogLevel::Info, Form::Json, |_| {
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
    let text = logged(LogLevel::Trace, Form::Json, |_| {
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
    let text = logged(LogLevel::Info, Form::Json, |_| {
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
    let text = logged(LogLevel::Info, Form::Json, |_| {
        let error = Page(io::Error::other("connection reset"));
        warn!(error = &error as &dyn std::error::Error, "refresh failed");
    });
    assert_eq!(
        objects(&text)[0]["error"],
        "the page could not be read: connection reset"
    );
}

#[test]
fn a_cause_that_an_error_tells_itself_is_not_repeated() {
    #[derive(Debug, thiserror::Error)]
    #[error("{path}: {source}; choose another one")]
    struct Outer {
        path: &'static str,
        source: io::Error,
    }
    let text = logged(LogLevel::Info, Form::Json, |_| {
        let source = io::Error::other("taken");
        let error = Outer { path: "/tmp", source };
        warn!(error = &error as &dyn std::error::Error, "no socket");
    });
    assert_eq!(objects(&text)[0]["error"], "/tmp: taken; choose another one");
}

#[test]
fn the_level_changes_at_run_time() {
    let text = logged(LogLevel::Warning, Form::Json, |control| {
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
    let text = logged(LogLevel::Trace, Form::Json, |control| {
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
    let text = logged(LogLevel::Info, Form::Text { colour: false }, |_| {
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

#[test]
fn no_value_is_longer_than_its_limit_and_each_says_how_long_it_was() {
    let control = "\u{1}".repeat(60_000);
    for format in [
        Form::Json,
        Form::Text { colour: false },
        Form::Text { colour: true },
    ] {
        let text = logged(LogLevel::Info, format, |_| {
            let shown = control.as_str();
            warn!(bindDN = shown, debug = ?shown, display = %shown, "{shown}");
        });
        assert_eq!(text.lines().count(), 1);
        assert!(
            text.len() < 3 * line::MAX_VALUE + line::MAX_MESSAGE + 500,
            "{}",
            text.len()
        );
        assert!(
            text.contains("bindDN") && text.contains("\\u0001… (60000 octets)"),
            "{text}"
        );
        assert!(!text.contains('\u{1}'));
    }
    // What fits stays as it is, to the octet.
    let fits = "é".repeat(line::MAX_VALUE / 2);
    let text = logged(LogLevel::Info, Form::Json, |_| info!(dn = fits, "x"));
    assert_eq!(objects(&text)[0]["dn"], fits);
    let text = logged(LogLevel::Info, Form::Json, |_| {
        info!(dn = fits.clone() + "é", "x")
    });
    assert_eq!(
        objects(&text)[0]["dn"],
        format!("{fits}… ({} octets)", line::MAX_VALUE + 2)
    );
}

#[test]
fn every_character_comes_back_from_json_as_it_was() {
    let all: Vec<char> = (0..0x300)
        .filter_map(char::from_u32)
        .chain("日本\u{1f600}".chars())
        .collect();
    for piece in all.chunks(40) {
        let value: String = piece.iter().collect();
        let text = logged(
            LogLevel::Info,
            Form::Json,
            |_| info!(value, also = %value, "{value}"),
        );
        let [line] = objects(&text).try_into().expect("one line");
        assert_eq!(
            (&line["value"], &line["also"], &line["event"]),
            (&value.clone().into(), &value.clone().into(), &value.into())
        );
        assert!(!text.trim_end().contains(char::is_control), "{text:?}");
    }
}

#[test]
fn a_line_within_a_line_disturbs_neither() {
    struct Speaker;
    impl std::fmt::Display for Speaker {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let inner = line::own_warning(Form::Json, "inner", "spoken", &[("count", 3)]);
            formatter.write_str(std::str::from_utf8(&inner).expect("UTF-8"))
        }
    }
    let text = logged(
        LogLevel::Info,
        Form::Json,
        |_| info!(before = 1, said = %Speaker, "outer"),
    );
    let [line] = objects(&text).try_into().expect("one line");
    assert_eq!(
        (line["before"].as_i64(), line["event"].as_str()),
        (Some(1), Some("outer"))
    );
    let inner: Value = serde_json::from_str(line["said"].as_str().expect("text")).expect("a line");
    assert_eq!(
        (inner["event"].as_str(), inner["count"].as_i64()),
        (Some("spoken"), Some(3))
    );
}

#[test]
fn libraries_that_repeat_themselves_are_counted() {
    let text = logged(LogLevel::Info, Form::Json, |control| {
        for _ in 0..1000 {
            warn!(target: "rustls::msgs", "Illegal SNI hostname received");
        }
        control.tell_repeated(Instant::now() + LIBRARY_WINDOW);
    });
    let lines = objects(&text);
    assert_eq!(lines.len() as u64, LIBRARY_LINES + 1);
    assert_eq!(
        lines.last().expect("a last line")["repeated"],
        1000 - LIBRARY_LINES
    );
}

#[test]
fn crates_are_named_as_modules_of_one() {
    let text = logged(LogLevel::Debug, Form::Json, |_| {
        debug!(target: "akldap_authentik::client", "a call");
        warn!(target: "other_crate::client", "a warning");
    });
    let loggers: Vec<_> = objects(&text)
        .into_iter()
        .map(|line| line["logger"].clone())
        .collect();
    assert_eq!(loggers, ["akldap::authentik::client", "other_crate::client"]);
}

#[test]
fn the_worth_of_a_line_is_told_by_target_and_level() {
    #[derive(Clone, Default)]
    struct Priorities(Arc<Mutex<Vec<audit::Priority>>>);
    impl<'a> MakeWriter<'a> for Priorities {
        type Writer = io::Sink;
        fn make_writer(&'a self) -> io::Sink {
            io::sink()
        }
        fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> io::Sink {
            self.0
                .lock()
                .expect("priorities")
                .push(audit::Priority::of(metadata));
            io::sink()
        }
    }
    let priorities = Priorities::default();
    let (subscriber, _control) = subscriber(LogLevel::Info, Form::Json, priorities.clone());
    tracing::subscriber::with_default(subscriber, || {
        info!(target: audit::TARGET, "login");
        warn!(target: audit::TARGET, "refusal");
        info!(target: audit::TARGET, baseDN = "dc=io", "search");
        error!("something else");
    });
    use audit::Priority::{Other, Record, Refusal};
    assert_eq!(
        *priorities.0.lock().expect("priorities"),
        [Record, Refusal, Refusal, Other]
    );
}

#[test]
fn the_form_follows_what_the_log_goes_to() {
    let config = |format, colour| LogConfig {
        level: LogLevel::Info,
        format,
        colour,
    };
    for (format, colour, is_terminal, form) in [
        (None, true, true, Form::Text { colour: true }),
        (None, false, true, Form::Text { colour: false }),
        (None, true, false, Form::Json),
        (Some(LogFormat::Text), true, true, Form::Text { colour: true }),
        (Some(LogFormat::Text), true, false, Form::Text { colour: false }),
        (Some(LogFormat::Json), true, true, Form::Json),
        (Some(LogFormat::Json), true, false, Form::Json),
    ] {
        assert_eq!(
            form_for(config(format, colour), is_terminal),
            form,
            "{format:?} {colour} {is_terminal}"
        );
    }
}

#[test]
fn colours_are_those_of_the_form_and_no_value_brings_its_own() {
    let log = |form| {
        logged(LogLevel::Info, form, |_| {
            warn!(dn = "\x1b[31mred", "a \x1b[31mmessage");
        })
    };
    let plain = log(Form::Text { colour: false });
    assert!(!plain.contains('\x1b'), "{plain:?}");
    let coloured = log(Form::Text { colour: true });
    assert!(coloured.contains("\x1b[33mwarning\x1b[0m"), "{coloured:?}");
    assert!(!coloured.contains("\x1b[31m"), "{coloured:?}");
    let mut without = coloured;
    for style in ["\x1b[33m", "\x1b[2m", "\x1b[0m"] {
        without = without.replace(style, "");
    }
    // The two were written at two moments.
    let rest = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned());
    assert_eq!(rest(&without), rest(&plain));
}

#[test]
fn times_have_three_digits() {
    let text = logged(LogLevel::Info, Form::Json, |_| {
        info!("took-ms" = 0.184_234_5, "one");
        info!("took-ms" = 12.0, "two");
        info!("took-ms" = f64::NAN, "three");
    });
    assert!(
        text.contains("\"took-ms\":0.184}") && text.contains("\"took-ms\":12.000}"),
        "{text}"
    );
    assert!(
        objects(&text).iter().any(|line| line["took-ms"].is_null()),
        "{text}"
    );
}
