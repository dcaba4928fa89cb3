//! One log line: the fields of an event as JSON or as text. Knows how long a value may be; must not know what is logged
//! or where lines go.
//!
//! Much of what is logged was chosen by a peer, so each value and each message is cut, and says how long it was. The
//! memory a line is built in is reused, because every login writes a line.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::time::{self, UNIX_EPOCH};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Level};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};

use super::causes::WithCauses;
use crate::terminal::disturbs;

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    Json,
    /// For reading.
    Text {
        /// With the colours of a terminal.
        colour: bool,
    },
}

impl Form {
    /// What switches a style on and off in this form.
    fn style(self, style: Style) -> (&'static str, &'static str) {
        const RESET: &str = "\x1b[0m";
        if self != (Self::Text { colour: true }) {
            return ("", "");
        }
        match style {
            Style::Level(Level::ERROR) => ("\x1b[1;31m", RESET),
            Style::Level(Level::WARN) => ("\x1b[33m", RESET),
            Style::Level(Level::INFO) => ("\x1b[32m", RESET),
            Style::Level(_) => ("\x1b[34m", RESET),
            Style::Aside => ("\x1b[2m", RESET),
        }
    }
}

/// What a part of a line is to whoever reads it.
#[derive(Clone, Copy)]
enum Style {
    /// How much it matters.
    Level(Level),
    /// Not what the eye looks for.
    Aside,
}

/// The most octets of one value as written, escapes included: room for any DN in use, but not for what somebody sends to
/// fill a disk.
pub(super) const MAX_VALUE: usize = 1024;
/// The same for the message, which is our own text with a few names in it.
pub(super) const MAX_MESSAGE: usize = 4096;
/// Memory kept from one line for the next; a larger line is rare.
const KEEP: usize = 16 * 1024;

/// Keys the line itself uses; a field of that name gets an underscore appended.
const LINE_KEYS: [&str; 4] = ["event", "timestamp", "level", "logger"];

/// The memory a line is built in.
#[derive(Default)]
struct Buffers {
    message: Vec<u8>,
    rest: Vec<u8>,
    line: Vec<u8>,
}

impl Buffers {
    fn clear(&mut self) {
        for buffer in [&mut self.message, &mut self.rest, &mut self.line] {
            buffer.clear();
            if buffer.capacity() > KEEP {
                *buffer = Vec::new();
            }
        }
    }
}

thread_local! {
    /// Lines of this thread are built in here.
    static SPARE: Cell<Buffers> = const {
        Cell::new(Buffers { message: Vec::new(), rest: Vec::new(), line: Vec::new() })
    };
    /// The second this thread logged in last, and its date as text.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) };
}

/// Builds the line of an event and hands it to `write`.
pub(super) fn write_event(form: Form, event: &Event<'_>, write: impl FnOnce(&[u8])) {
    let metadata = event.metadata();
    let mut fields = Fields::new(form);
    event.record(&mut fields);
    fields.finish(*metadata.level(), &logger(metadata.target()), write);
}

/// Our crates appear as modules of one: a filter of log lines should not depend on how the code is divided.
fn logger(target: &str) -> Cow<'_, str> {
    match target.strip_prefix("akldap_") {
        Some(path) => format!("akldap::{path}").into(),
        None => target.into(),
    }
}

/// Builds a warning of the log about itself, with numbers as its fields.
pub(super) fn own_warning(form: Form, logger: &str, message: &str, numbers: &[(&str, u64)]) -> Vec<u8> {
    let mut fields = Fields::new(form);
    fields.message(format_args!("{message}"));
    for (name, number) in numbers {
        fields.key(name);
        let _ = write!(fields.buffers.rest, "{number}");
    }
    let mut line = Vec::new();
    fields.finish(Level::WARN, logger, |octets| line.extend_from_slice(octets));
    line
}

/// Collects the message and the fields of an event.
struct Fields {
    form: Form,
    buffers: Buffers,
    /// The true origin of an event that came from the `log` crate.
    logger: Option<String>,
}

impl Fields {
    fn new(form: Form) -> Self {
        // A line begun while another is being built gets its own memory.
        let buffers = SPARE.try_with(Cell::take).unwrap_or_default();
        Self {
            form,
            buffers,
            logger: None,
        }
    }

    fn message(&mut self, text: fmt::Arguments<'_>) {
        let escape = match self.form {
            Form::Json => Escape::Json,
            Form::Text { .. } => Escape::Blank,
        };
        self.buffers.message.clear();
        cut(&mut self.buffers.message, MAX_MESSAGE, escape, |out| {
            out.write_fmt(text)
        });
    }

    /// Values are written as JSON in either format, so that no value can break the line or pose as another field.
    fn key(&mut self, name: &str) {
        let suffix = if LINE_KEYS.contains(&name) { "_" } else { "" };
        let (begin, end) = self.form.style(Style::Aside);
        let parts = match self.form {
            Form::Json => [",\"", "", name, suffix, "\":", ""],
            Form::Text { .. } => [" ", begin, name, suffix, "=", end],
        };
        for part in parts {
            self.buffers.rest.extend_from_slice(part.as_bytes());
        }
    }

    fn text(&mut self, field: &Field, write: impl FnOnce(&mut Cut<'_>) -> fmt::Result) {
        if is_origin(field) {
            return;
        }
        self.key(field.name());
        let rest = &mut self.buffers.rest;
        rest.push(b'"');
        cut(rest, MAX_VALUE, Escape::Json, write);
        rest.push(b'"');
    }

    fn number(&mut self, field: &Field, value: impl Serialize) {
        if !is_origin(field) {
            self.key(field.name());
            // Writing to memory does not fail.
            let _ = serde_json::to_writer(&mut self.buffers.rest, &value);
        }
    }

    fn finish(self, level: Level, target: &str, write: impl FnOnce(&[u8])) {
        let Self {
            form,
            mut buffers,
            logger,
        } = self;
        let Buffers { message, rest, line } = &mut buffers;
        let (logger, name) = (logger.as_deref().unwrap_or(target), level_name(level));
        // Writing to memory does not fail.
        let _ = match form {
            Form::Json => {
                line.extend_from_slice(b"{\"event\":\"");
                line.extend_from_slice(message);
                line.extend_from_slice(b"\",\"level\":\"");
                line.extend_from_slice(name.as_bytes());
                line.extend_from_slice(b"\",\"logger\":\"");
                cut(line, MAX_VALUE, Escape::Json, |out| out.write_str(logger));
                line.extend_from_slice(b"\",\"timestamp\":\"");
                push_now(line);
                line.push(b'"');
                line.extend_from_slice(rest);
                line.write_all(b"}\n")
            }
            Form::Text { .. } => {
                let (aside, plain) = form.style(Style::Aside);
                line.extend_from_slice(aside.as_bytes());
                push_now(line);
                let (begin, end) = form.style(Style::Level(level));
                let _ = write!(line, "{plain} {begin}{name:<7}{end} {aside}");
                cut(line, MAX_VALUE, Escape::Blank, |out| out.write_str(logger));
                let _ = write!(line, ":{plain} ");
                line.extend_from_slice(message);
                line.extend_from_slice(rest);
                line.write_all(b"\n")
            }
        };
        write(line);
        buffers.clear();
        let _ = SPARE.try_with(|spare| spare.set(buffers));
    }
}

/// Whether a field says where an event of the `log` crate came from; it becomes the logger of the line.
fn is_origin(field: &Field) -> bool {
    matches!(
        field.name(),
        "message" | "log.target" | "log.module_path" | "log.file" | "log.line"
    )
}

impl Visit for Fields {
    /// Times, all of them: a millisecond with three digits is a microsecond, and more is noise.
    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() && !is_origin(field) {
            self.key(field.name());
            let _ = write!(self.buffers.rest, "{value:.3}");
        } else {
            self.number(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message(format_args!("{value}")),
            "log.target" => self.logger = Some(value.to_owned()),
            _ => self.text(field, |out| out.write_str(value)),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.text(field, |out| write!(out, "{}", WithCauses(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message(format_args!("{value:?}")),
            "log.target" => self.logger = Some(format!("{value:?}")),
            _ => self.text(field, |out| write!(out, "{value:?}")),
        }
    }
}

/// What happens to a character that would end a text or a line, or move a terminal's cursor.
#[derive(Clone, Copy)]
enum Escape {
    /// It is written as JSON writes it.
    Json,
    /// It becomes a blank.
    Blank,
}

/// Appends a text of at most `limit` octets; what is beyond is counted, and the count comes at the end.
fn cut(out: &mut Vec<u8>, limit: usize, escape: Escape, write: impl FnOnce(&mut Cut<'_>) -> fmt::Result) {
    let mut text = Cut {
        out,
        room: limit,
        length: 0,
        full: false,
        escape,
    };
    // A `Debug` that fails leaves what it wrote.
    let _ = write(&mut text);
    let (full, length) = (text.full, text.length);
    if full {
        let _ = write!(out, "… ({length} octets)");
    }
}

/// A text on its way into a line.
struct Cut<'a> {
    out: &'a mut Vec<u8>,
    /// Octets that may still be written.
    room: usize,
    /// Octets of the whole text, unescaped.
    length: usize,
    full: bool,
    escape: Escape,
}

impl fmt::Write for Cut<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.length += text.len();
        if self.full {
            return Ok(());
        }
        if text.len() <= self.room && !text.bytes().any(needs_look) {
            self.out.extend_from_slice(text.as_bytes());
            self.room -= text.len();
            return Ok(());
        }
        for character in text.chars() {
            let start = self.out.len();
            push(self.out, character, self.escape);
            let cost = self.out.len() - start;
            if cost > self.room {
                self.out.truncate(start);
                self.full = true;
                break;
            }
            self.room -= cost;
        }
        Ok(())
    }
}

/// Whether an octet may belong to a character that is escaped.
fn needs_look(octet: u8) -> bool {
    !(0x20..0x7f).contains(&octet) || matches!(octet, b'"' | b'\\')
}

fn push(out: &mut Vec<u8>, character: char, escape: Escape) {
    let mut octets = [0; 4];
    let short = match (escape, character) {
        (Escape::Blank, _) if disturbs(character) => " ",
        (Escape::Json, '"') => "\\\"",
        (Escape::Json, '\\') => "\\\\",
        (Escape::Json, '\n') => "\\n",
        (Escape::Json, '\r') => "\\r",
        (Escape::Json, '\t') => "\\t",
        (Escape::Json, _) if disturbs(character) => {
            let _ = write!(out, "\\u{:04x}", u32::from(character));
            return;
        }
        _ => character.encode_utf8(&mut octets),
    };
    out.extend_from_slice(short.as_bytes());
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

/// Appends the time: RFC 3339 in UTC, to the microsecond.
fn push_now(out: &mut Vec<u8>) {
    let now = time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // Many lines come within a second, and its date is most of the work.
    let known = SECOND.try_with(|second| {
        let Ok(mut second) = second.try_borrow_mut() else {
            return false;
        };
        let (second, date) = &mut *second;
        if *second != now.as_secs() || date.is_empty() {
            let mut text = String::new();
            let _ = SystemTime.format_time(&mut Writer::new(&mut text));
            let same_second = UNIX_EPOCH
                .elapsed()
                .is_ok_and(|after| after.as_secs() == now.as_secs());
            let Some((whole, _)) = text.split_once('.').filter(|_| same_second) else {
                return false;
            };
            *second = now.as_secs();
            whole.clone_into(date);
        }
        let _ = write!(out, "{date}.{:06}Z", now.subsec_micros());
        true
    });
    if known != Ok(true) {
        let mut text = String::new();
        let _ = SystemTime.format_time(&mut Writer::new(&mut text));
        out.extend_from_slice(text.as_bytes());
    }
}
