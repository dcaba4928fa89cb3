//! Log lines as the official outpost writes them: one JSON object per line with the keys `event`, `timestamp`, `level` and
//! `logger` next to the fields, or text for people to read, which a terminal gets by default and in colours. Knows how a line looks and which levels
//! pass; must not know what is logged. Libraries are only heard from warnings upwards, at every level, because some of them log what they send, and
//! only a few times, because some of them warn about what a peer sent.

pub mod audit;
mod causes;
mod line;
mod repetition;
mod sink;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

pub use causes::WithCauses;
pub use line::Form;
pub use repetition::{Repeated, Repetition, SWEEP_INTERVAL};
pub use sink::Lost;
use sink::Sink;

/// The target prefix of our own events.
const OWN_TARGET: &str = env!("CARGO_CRATE_NAME");

/// Lines that all libraries together write in a window; any more are counted.
const LIBRARY_LINES: u64 = 20;
/// That window.
const LIBRARY_WINDOW: Duration = Duration::from_secs(60);

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// Something else installed a logger in this process.
    #[error("logging is already set up in this process: {0}")]
    AlreadySet(#[from] tracing_subscriber::util::TryInitError),
    /// The system gives us no more threads.
    #[error("the thread that writes the log cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// The log of this process, once [`init`] has set it up.
static SINK: OnceLock<Sink> = OnceLock::new();

/// How long a process waits for its last lines to be taken.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Waits until what was logged is written, a second at most. Call it before the process ends.
pub fn flush() {
    if let Some(sink) = SINK.get() {
        sink.flush(LAST_LINES);
    }
}

/// How many lines were lost since the start because the reader of the log took none.
#[must_use]
pub fn lost() -> Lost {
    SINK.get().map(Sink::lost).unwrap_or_default()
}

/// Changes the log level while the server runs. Cheap to clone.
#[derive(Clone)]
pub struct LogControl {
    filter: reload::Handle<Targets, Registry>,
    level: Arc<Mutex<LogLevel>>,
    libraries: Arc<Repetition<()>>,
}

impl LogControl {
    /// Lets events of `level` and more serious ones through from now on. Returns whether that is a change.
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

    /// Writes how many lines of libraries were counted instead of written. Call it every [`SWEEP_INTERVAL`].
    pub fn tell_repeated(&self, now: Instant) {
        for Repeated { lines, .. } in self.libraries.ended(now) {
            tracing::warn!(
                repeated = lines,
                window_s = LIBRARY_WINDOW.as_secs(),
                "further warnings from libraries were counted but not logged"
            );
        }
    }

    /// The level in effect.
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
    let form = form_for(config, std::io::stderr().is_terminal());
    let tell = move |lost: Lost| {
        let text = "log lines were lost because the log was not read fast enough";
        let numbers = [("audit_records", lost.audit), ("other_lines", lost.other)];
        line::own_warning(form, module_path!(), text, &numbers)
    };
    let sink = Sink::start(std::io::stderr(), tell)?;
    let (subscriber, control) = subscriber(config.level, form, sink.clone());
    subscriber.try_init()?;
    let _ = SINK.set(sink);
    log_panics();
    Ok(control)
}

/// The form of lines for a terminal, or for whatever else the log goes to.
fn form_for(config: LogConfig, is_terminal: bool) -> Form {
    match config.format {
        Some(LogFormat::Json) => Form::Json,
        None if !is_terminal => Form::Json,
        Some(LogFormat::Text) | None => Form::Text {
            colour: is_terminal && config.colour,
        },
    }
}

/// A subscriber that writes lines to `writer`, and the handle that changes its level.
pub fn subscriber<W>(
    level: LogLevel,
    form: Form,
    writer: W,
) -> (impl Subscriber + Send + Sync + 'static, LogControl)
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let (filter, handle) = reload::Layer::new(targets(level));
    let libraries = Arc::new(Repetition::new(LIBRARY_WINDOW, LIBRARY_LINES, 1));
    let lines = Lines {
        form,
        writer,
        libraries: Arc::clone(&libraries),
    };
    let control = LogControl {
        filter: handle,
        level: Arc::new(Mutex::new(level)),
        libraries,
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

/// Logs where a panic happened. Not its message: that may quote the value that caused it, which may be a password.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic
            .location()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string);
        let thread = std::thread::current().name().unwrap_or("unnamed").to_owned();
        tracing::error!(
            location,
            thread,
            "a programming error interrupted one operation; please report this line and the version"
        );
        // It may be the end of the process.
        flush();
    }));
}

/// The layer that writes lines.
struct Lines<W> {
    form: Form,
    writer: W,
    libraries: Arc<Repetition<()>>,
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with(OWN_TARGET) && !self.libraries.admits((), Instant::now()) {
            return;
        }
        line::write_event(self.form, event, |line| {
            // A log that cannot be written has nowhere to say so.
            let _ = self.writer.make_writer_for(metadata).write_all(line);
        });
    }
}
