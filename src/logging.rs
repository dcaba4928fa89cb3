//! Log lines as the official outpost writes them: one JSON object a line with the keys `event`, `timestamp`, `level` and
//! `logger` beside the fields, or text for reading. Knows how a line looks and which levels pass; must not know what is
//! logged. Libraries only get to speak from warnings on, at every level, because some of them log what they send.

mod sink;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{self, Duration};

use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

use sink::Sink;

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
    /// The system gives no further thread.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The log of this process, once [`init`] has set it up.
static SINK: OnceLock<Sink> = OnceLock::new();

/// How long a process waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Waits until what was logged is written, a second at most. To be called before the process ends.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.flush(LAST_LINES);
    }
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
/// [`LoggingError::AlreadySet`] when called twice, [`LoggingError::Thread`] when the system is out of threads.
pub fn init(config: LogConfig) -> Result<LogControl, LoggingError> {
    let sink = Sink::start(std::io::stderr())?;
    let (subscriber, control) = subscriber(config, sink.clone());
    subscriber.try_init()?;
    let _ = SINK.set(sink);
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
        // It may be the end of the process.
        flush();
    }));
}

/// The layer that writes lines.
struct Lines<W> {
    format: LogFormat,
    writer: W,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut fields = Fields::new(self.format);
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = fields.into_line(*metadata.level(), metadata.target());
        // A log that cannot be written has nowhere to say so.
        let _ = self.writer.make_writer_for(metadata).write_all(&line);
    }
}

/// Collects the message and the fields of an event.
struct Fields {
    format: LogFormat,
    message: String,
    /// The true origin of an event that came from the `log` crate.
    logger: Option<String>,
    /// The other fields, as they stand in the line.
    rest: Vec<u8>,
}

impl Fields {
    fn new(format: LogFormat) -> Self {
        Self {
            format,
            message: String::new(),
            logger: None,
            rest: Vec::with_capacity(256),
        }
    }

    fn text(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "log.target" => self.logger = Some(value.to_owned()),
            _ => self.value(field, value),
        }
    }

    /// Values are written as JSON in either format, so that no value can break the line or pose as another field.
    fn value(&mut self, field: &Field, value: impl Serialize) {
        let name = match field.name() {
            "message" | "log.target" | "log.module_path" | "log.file" | "log.line" => return,
            name => name,
        };
        let suffix = if LINE_KEYS.contains(&name) { "_" } else { "" };
        // Writing to memory does not fail.
        let _ = match self.format {
            LogFormat::Json => write!(self.rest, ",\"{name}{suffix}\":"),
            LogFormat::Text => write!(self.rest, " {name}{suffix}="),
        };
        let _ = serde_json::to_writer(&mut self.rest, &value);
    }

    fn into_line(mut self, level: Level, target: &str) -> Vec<u8> {
        let mut line = Vec::with_capacity(160 + self.message.len() + self.rest.len());
        let logger = self.logger.take();
        let logger = logger.as_deref().unwrap_or(target);
        let (level, now) = (level_name(level), timestamp());
        match self.format {
            LogFormat::Json => {
                line.extend_from_slice(b"{\"event\":");
                let _ = serde_json::to_writer(&mut line, &self.message);
                let _ = write!(line, ",\"level\":\"{level}\",\"logger\":");
                let _ = serde_json::to_writer(&mut line, logger);
                let _ = write!(line, ",\"timestamp\":\"{now}\"");
                line.extend_from_slice(&self.rest);
                line.extend_from_slice(b"}\n");
            }
            LogFormat::Text => {
                let message = self.message.replace(char::is_control, " ");
                let _ = write!(line, "{now} {level:<7} {logger}: {message}");
                line.extend_from_slice(&self.rest);
                line.push(b'\n');
            }
        }
        line
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        self.text(field, &text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => {
                let _ = write!(self.message, "{value:?}");
            }
            "log.target" => self.logger = Some(format!("{value:?}")),
            _ => self.value(field, Shown(value)),
        }
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

/// A value that is written as the text its `Debug` gives.
struct Shown<'a>(&'a dyn fmt::Debug);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:?}", self.0))
    }
}

/// Now, RFC 3339 in UTC, to the microsecond.
fn timestamp() -> String {
    let now = time::SystemTime::now()
        .duration_since(time::UNIX_EPOCH)
        .unwrap_or_default();
    // Many lines come within a second, and its date is most of the work.
    SECOND.with_borrow_mut(|(second, date)| {
        if *second == now.as_secs() && !date.is_empty() {
            return format!("{date}.{:06}Z", now.subsec_micros());
        }
        let mut text = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut text));
        let same_second = time::UNIX_EPOCH
            .elapsed()
            .is_ok_and(|after| after.as_secs() == now.as_secs());
        if let Some((whole, _)) = text.split_once('.')
            && same_second
        {
            *second = now.as_secs();
            whole.clone_into(date);
        }
        text
    })
}

thread_local! {
    /// The second this thread logged in last, and its date as text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}
