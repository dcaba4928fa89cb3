//! Log lines as the official outpost writes them: one JSON object a line with the keys `event`, `timestamp`, `level` and
//! `logger` beside the fields, or text for reading. Knows how a line looks and which levels pass; must not know what is
//! logged. Libraries only get to speak from warnings on, at every level, because some of them log what they send.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// The target prefix of our own events.
const OWN_TARGET: &str = env!("CARGO_CRATE_NAME");

/// Keys the line itself uses; a field of that name gets an underscore appended.
const LINE_KEYS: [&str; 4] = ["event", "timestamp", "level", "logger"];

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Something else installed a logger in this process.
    #[error("logging is already set up in this process: {0}")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
}

/// Changes the log level while the server runs. Cheap to clone.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    level: Arc<Mutex<LogLevel>>,
}

impl LogControl {
    /// Lets events of `level` and more serious ones pass from now on. Returns whether that is a change.
    pub fn set_level(&self, level: LogLevel) -> bool {
        let mut current = self
            .level
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if *current == level {
            return false;
        }
        // The only error is a subscriber that no longer exists, and then nobody logs.
        let _ = self.filter.reload(targets(level));
        *current = level;
        true
    }

    /// The level in force.
    #[must_use]
    pub fn level(&self) -> LogLevel {
        *self
            .level
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for LogControl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("LogControl")
            .field("level", &self.level())
            .finish_non_exhaustive()
    }
}

/// Sets up logging to standard error for the whole process, panics included.
///
/// # Errors
/// [`LoggingError::AlreadySet`] when called twice.
pub fn init(config: LogConfig) -> Result<LogControl, LoggingError> {
    let (subscriber, control) = subscriber(config, std::io::stderr);
    subscriber.try_init()?;
    log_panics();
    Ok(control)
}

/// A subscriber that writes to `writer`, and the handle that changes its level.
pub fn subscriber<W>(config: LogConfig, writer: W) -> (impl Subscriber + Send + Sync + 'static, LogControl)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(config.level));
    let lines = Lines {
        format: config.format,
        writer,
    };
    let control = LogControl {
        filter: handle,
        level: Arc::new(Mutex::new(config.level)),
    };
    (tracing_subscriber::registry().with(filter).with(lines), control)
}

fn targets(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    Targets::new()
        .with_target(OWN_TARGET, own)
        .with_default(own.min(LevelFilter::WARN))
}

/// Logs the place of a panic. Not its message: that may quote the value that caused it, which may be a password.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(
            place,
            thread,
            "a programming error interrupted one operation; please report this line with the version"
        );
    }));
}

/// The layer that writes lines.
struct Lines<W> {
    format: LogFormat,
    writer: W,
}

/// The fields of a span, kept in its extensions.
struct SpanFields(Map<String, Value>);

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.map));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let Some(span) = context.span(id) else { return };
        if let Some(known) = span.extensions_mut().get_mut::<SpanFields>() {
            known.0.extend(fields.map);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.map
                    .extend(fields.0.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
        }
        event.record(&mut line);
        let metadata = event.metadata();
        let logger = line.logger.take().unwrap_or_else(|| metadata.target().to_owned());
        let text = match self.format {
            LogFormat::Json => line.into_json(*metadata.level(), logger),
            LogFormat::Text => line.into_text(*metadata.level(), &logger),
        };
        // A log that cannot be written has nowhere to say so.
        let _ = self.writer.make_writer_for(metadata).write_all(text.as_bytes());
    }
}

/// Collects the message and the fields of an event or span.
#[derive(Default)]
struct Fields {
    message: String,
    /// The true origin of an event that came from the `log` crate.
    logger: Option<String>,
    map: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        match field.name() {
            "message" => self.message = plain(value),
            "log.target" => self.logger = Some(plain(value)),
            "log.module_path" | "log.file" | "log.line" => {}
            name if LINE_KEYS.contains(&name) => {
                self.map.insert(format!("{name}_"), value);
            }
            name => {
                self.map.insert(name.to_owned(), value);
            }
        }
    }

    fn into_json(self, level: Level, logger: String) -> String {
        let mut line = Map::with_capacity(self.map.len() + LINE_KEYS.len());
        line.insert("event".to_owned(), Value::String(self.message));
        line.insert("level".to_owned(), Value::String(level_name(level).to_owned()));
        line.insert("logger".to_owned(), Value::String(logger));
        line.insert("timestamp".to_owned(), Value::String(timestamp()));
        line.extend(self.map);
        let mut text = Value::Object(line).to_string();
        text.push('\n');
        text
    }

    /// Values are written as JSON, so that no value can break the line or pose as another field.
    fn into_text(self, level: Level, logger: &str) -> String {
        let mut text = format!("{} {:<7} {logger}: ", timestamp(), level_name(level));
        text.extend(
            self.message
                .chars()
                .map(|character| if character.is_control() { ' ' } else { character }),
        );
        for (name, value) in self.map {
            let _ = write!(text, " {name}={value}");
        }
        text.push('\n');
        text
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.add(field, text.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warning",
        Level::ERROR => "error",
    }
}

/// Now, RFC 3339 in UTC.
fn timestamp() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use tracing::{debug, error, info, info_span, trace, warn};

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
            .map(|line| plain(line["level"].clone()))
            .collect();
        assert_eq!(levels, ["trace", "debug", "info", "warning", "error"]);
    }

    #[test]
    fn spans_lend_their_fields() {
        let text = logged(LogLevel::Info, LogFormat::Json, |_| {
            let outer = info_span!(
                "connection",
                client = "192.0.2.1",
                request_id = tracing::field::Empty
            );
            let _outer = outer.enter();
            outer.record("request_id", 12);
            let inner = info_span!("bind", client = "192.0.2.2");
            info!(parent: &inner, took_ms = 1, "inner");
            info!("outer");
        });
        let lines = objects(&text);
        assert_eq!(lines[0]["client"], "192.0.2.2", "the inner span wins");
        assert_eq!(lines[0]["request_id"], 12);
        assert_eq!(lines[1]["client"], "192.0.2.1");
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
            .map(|line| plain(line["event"].clone()))
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
}
