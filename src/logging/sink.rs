//! Where log lines go: they are gathered in memory, and a separate thread writes them out. So no request waits for the
//! reader of the log, and many lines cost one system call.
//!
//! Audit records have their own queue, which is written first. When a reader takes nothing for too long, what does not fit
//! is lost, and the first line afterwards says how much that was. Knows octets, their priority and one writer. Must not
//! know what a line says.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::audit::Priority;

/// How long lines are gathered before they are written: short for a person, long for a processor.
const GATHER: Duration = Duration::from_millis(5);
/// The most octets of audit records that wait for a reader that takes none: about 3,000 records.
const MOST_AUDIT: usize = 1 << 20;
/// The part of it that refusals may fill, because strangers can cause many.
const MOST_REFUSALS: usize = MOST_AUDIT / 2;
/// The most octets of other lines that wait.
const MOST_OTHER: usize = 4 << 20;
/// Other lines are written in pieces of about this many octets; between two, audit records have their turn.
const PIECE: usize = 64 << 10;

/// Lines that were lost because the reader took none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Audit records.
    pub audit: u64,
    /// Other lines.
    pub other: u64,
}

/// The gathering end. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    written: Condvar,
    /// Lost since the start.
    lost_audit: AtomicU64,
    lost_other: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    audit: Vec<u8>,
    /// In pieces of whole lines.
    other: VecDeque<Vec<u8>>,
    other_octets: usize,
    /// Lost since the reader was last told.
    lost: Lost,
    /// Lines are being written at this moment.
    writing: bool,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.audit.is_empty() && self.other.is_empty() && self.lost == Lost::default()
    }

    /// Whether there was room for the line.
    fn put(&mut self, line: &[u8], priority: Priority) -> bool {
        let most = match priority {
            Priority::Record => MOST_AUDIT,
            Priority::Refusal => MOST_REFUSALS,
            Priority::Other => return self.put_other(line),
        };
        let fits = self.audit.len() + line.len() <= most;
        if fits {
            self.audit.extend_from_slice(line);
        } else {
            self.lost.audit += 1;
        }
        fits
    }

    fn put_other(&mut self, line: &[u8]) -> bool {
        if self.other_octets + line.len() > MOST_OTHER {
            self.lost.other += 1;
            return false;
        }
        self.other_octets += line.len();
        match self.other.back_mut() {
            Some(piece) if piece.len() + line.len() <= PIECE => piece.extend_from_slice(line),
            _ => self.other.push_back(line.to_vec()),
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, gathers for a moment, and takes the next ones: what was lost, then all audit records, then a piece
    /// of the others.
    fn take(&self, audit: &mut Vec<u8>) -> (Lost, Vec<u8>) {
        let waiting = self.lock();
        if waiting.is_empty() {
            let waiting = self.arrived.wait_while(waiting, |waiting| waiting.is_empty());
            drop(waiting);
            std::thread::sleep(GATHER);
        } else {
            drop(waiting);
        }
        let mut waiting = self.lock();
        waiting.writing = true;
        mem::swap(&mut waiting.audit, audit);
        let piece = waiting.other.pop_front().unwrap_or_default();
        waiting.other_octets -= piece.len();
        (mem::take(&mut waiting.lost), piece)
    }

    fn wrote(&self) {
        self.lock().writing = false;
        self.written.notify_all();
    }
}

impl Sink {
    /// Starts the thread that writes to `writer`. `tell` words the line about what was lost.
    ///
    /// # Errors
    /// When the system gives us no more threads.
    pub(super) fn start(
        mut writer: impl Write + Send + 'static,
        tell: impl Fn(Lost) -> Vec<u8> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let sink = Self(Arc::clone(&shared));
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut audit = Vec::new();
                loop {
                    let (lost, other) = shared.take(&mut audit);
                    // A log that cannot be written has nowhere to say so.
                    if lost != Lost::default() {
                        let _ = writer.write_all(&tell(lost));
                    }
                    let _ = writer
                        .write_all(&audit)
                        .and_then(|()| writer.write_all(&other))
                        .and_then(|()| writer.flush());
                    audit.clear();
                    if audit.capacity() > PIECE {
                        audit = Vec::new();
                    }
                    shared.wrote();
                }
            })?;
        Ok(sink)
    }

    /// Waits until everything gathered is written, for `patience` at most.
    pub(super) fn flush(&self, patience: Duration) {
        let waiting = self.0.lock();
        let _ = self.0.written.wait_timeout_while(waiting, patience, |waiting| {
            waiting.writing || !waiting.is_empty()
        });
    }

    /// What was lost since the start.
    pub(super) fn lost(&self) -> Lost {
        Lost {
            audit: self.0.lost_audit.load(Ordering::Relaxed),
            other: self.0.lost_other.load(Ordering::Relaxed),
        }
    }
}

/// The way into the sink for lines of one priority.
#[derive(Debug)]
pub(super) struct LineWriter<'a> {
    shared: &'a Shared,
    priority: Priority,
}

impl Write for LineWriter<'_> {
    /// Takes one whole line; never waits for the reader.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.shared.lock();
        let first = waiting.is_empty();
        let fits = waiting.put(line, self.priority);
        drop(waiting);
        if first {
            self.shared.arrived.notify_one();
        }
        if !fits {
            let lost = match self.priority {
                Priority::Record | Priority::Refusal => &self.shared.lost_audit,
                Priority::Other => &self.shared.lost_other,
            };
            lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter {
            shared: &self.0,
            priority: Priority::Other,
        }
    }

    fn make_writer_for(&'a self, metadata: &Metadata<'_>) -> LineWriter<'a> {
        LineWriter {
            shared: &self.0,
            priority: Priority::of(metadata),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Accepts a write only when it is allowed to, and shows what was written.
    struct HeldWriter {
        open: mpsc::Receiver<()>,
        entered: mpsc::Sender<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for HeldWriter {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            if !octets.is_empty() {
                let _ = self.entered.send(());
                let _ = self.open.recv();
                self.seen.lock().unwrap().extend_from_slice(octets);
            }
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Held {
        sink: Sink,
        release: mpsc::Sender<()>,
        entered: mpsc::Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Held {
        fn new() -> Self {
            let (release, open) = mpsc::channel();
            let (enter, entered) = mpsc::channel();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let writer = HeldWriter {
                open,
                entered: enter,
                seen: Arc::clone(&seen),
            };
            let tell = |lost: Lost| format!("lost {} {}\n", lost.audit, lost.other).into_bytes();
            Self {
                sink: Sink::start(writer, tell).unwrap(),
                release,
                entered,
                seen,
            }
        }

        fn put(&self, priority: Priority, line: &[u8]) {
            let mut writer = LineWriter {
                shared: &self.sink.0,
                priority,
            };
            writer.write_all(line).unwrap();
        }

        /// Keeps the writer busy with one line until it is released.
        fn stall(&self) {
            self.put(Priority::Other, b"first\n");
            self.entered.recv().unwrap();
        }

        /// Lets everything through and returns the lines after the first.
        fn release(self) -> Vec<String> {
            drop(self.release);
            self.sink.flush(Duration::from_secs(60));
            let text = String::from_utf8(self.seen.lock().unwrap().clone()).unwrap();
            text.lines().skip(1).map(str::to_owned).collect()
        }
    }

    #[test]
    fn lines_come_out_in_order_and_flush_waits_for_them() {
        let held = Held::new();
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}")).collect();
        held.stall();
        for line in &lines {
            held.put(Priority::Other, format!("{line}\n").as_bytes());
        }
        assert_eq!(held.release(), lines);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_takes_nothing_and_the_loss_is_told_first() {
        let held = Held::new();
        held.stall();
        let line = [[b'x'; 1023].as_slice(), b"\n"].concat();
        let room = u64::try_from(MOST_OTHER / line.len()).unwrap();
        for _ in 0..room + 7 {
            held.put(Priority::Other, &line);
        }
        assert_eq!(held.sink.lost(), Lost { audit: 0, other: 7 });
        held.sink.flush(Duration::from_millis(1));
        let lines = held.release();
        assert_eq!(lines[0], "lost 0 7", "the first line afterwards");
        assert_eq!(lines.len() as u64, 1 + room);
    }

    #[test]
    fn audit_records_have_room_of_their_own_and_come_first() {
        let held = Held::new();
        held.stall();
        let noise = [[b'x'; 1023].as_slice(), b"\n"].concat();
        for _ in 0..2 * MOST_OTHER / noise.len() {
            held.put(Priority::Other, &noise);
        }
        for number in 0..10 {
            held.put(Priority::Record, format!("login {number}\n").as_bytes());
        }
        let lines = held.release();
        assert!(lines[0].starts_with("lost 0 "), "{}", lines[0]);
        let logins: Vec<&String> = lines[1..11].iter().collect();
        assert!(
            logins.iter().all(|line| line.starts_with("login")),
            "no login is lost, and none waits: {logins:?}"
        );
    }

    #[test]
    fn refusals_leave_room_for_logins() {
        let held = Held::new();
        held.stall();
        let refusal = [[b'r'; 1023].as_slice(), b"\n"].concat();
        for _ in 0..MOST_AUDIT / refusal.len() {
            held.put(Priority::Refusal, &refusal);
        }
        let half = u64::try_from((MOST_AUDIT - MOST_REFUSALS) / refusal.len()).unwrap();
        assert_eq!(
            held.sink.lost(),
            Lost {
                audit: half,
                other: 0
            }
        );
        for _ in 0..1000 {
            held.put(Priority::Record, b"login\n");
        }
        let lines = held.release();
        assert_eq!(lines[0], format!("lost {half} 0"));
        assert_eq!(lines.iter().filter(|line| *line == "login").count(), 1000);
    }
}
