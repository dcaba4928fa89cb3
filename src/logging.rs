//! Log lines as the official outpost writes them: one JSON object a line with the keys `event`, `timestamp`, `level` and
//! `logger` beside the fields, or text for reading. Knows how a line looks and which levels pass; must not know what is
//! logged. Libraries only get to speak from warnings on, at every level, because some of them log what they send.

#[cfg(test)]
mod tests;

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
