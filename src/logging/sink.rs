//! Where log lines go: they are gathered in memory, and a thread of its own writes them out. So no request waits for
//! whoever reads the log, and many lines cost one system call.
//!
//! Knows octets and one writer. Must not know what a line says.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines are gathered before they are written: short for whoever watches, long for a processor.
const GATHER: Duration = Duration::from_millis(5);
/// Most octets that wait for a reader that takes none; what comes after is lost, and its number told.
const MOST_WAITING: usize = 4 << 20;

/// The gathering end. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Sink(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    written: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    lost: u64,
    /// Lines are being written at this moment.
    writing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    /// Starts the thread that writes to `writer`.
    ///
    /// # Errors
    /// When the system gives no further thread.
    pub(super) fn start(mut writer: impl Write + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let sink = Self(Arc::clone(&shared));
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                let mut lines = Vec::new();
                loop {
                    let lost = take(&shared, &mut lines);
                    // A log that cannot be written has nowhere to say so.
                    let _ = writer.write_all(&lines).and_then(|()| writer.flush());
                    lines.clear();
                    if lines.capacity() > MOST_WAITING / 8 {
                        lines = Vec::new();
                    }
                    shared.lock().writing = false;
                    shared.written.notify_all();
                    if lost > 0 {
                        tracing::warn!(
                            lost,
                            "log lines were lost: whoever reads the log was too slow for them"
                        );
                    }
                }
            })?;
        Ok(sink)
    }

    /// Waits until everything gathered is written, for `patience` at most.
    pub(super) fn flush(&self, patience: Duration) {
        let waiting = self.0.lock();
        let _ = self.0.written.wait_timeout_while(waiting, patience, |waiting| {
            waiting.writing || !waiting.lines.is_empty()
        });
    }
}

/// Waits for lines, gathers for a moment, and swaps them into the empty `lines`. Returns how many were lost.
fn take(shared: &Shared, lines: &mut Vec<u8>) -> u64 {
    let waiting = shared.lock();
    let waiting = shared
        .arrived
        .wait_while(waiting, |waiting| waiting.lines.is_empty() && waiting.lost == 0);
    drop(waiting);
    std::thread::sleep(GATHER);
    let mut waiting = shared.lock();
    std::mem::swap(&mut waiting.lines, lines);
    waiting.writing = true;
    std::mem::take(&mut waiting.lost)
}

impl Write for &Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.lines.len() + line.len() > MOST_WAITING {
            waiting.lost += 1;
        } else {
            let first = waiting.lines.is_empty();
            waiting.lines.extend_from_slice(line);
            drop(waiting);
            if first {
                self.0.arrived.notify_one();
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = &'a Sink;

    fn make_writer(&'a self) -> &'a Sink {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes a write only when it is let to, and shows what was written.
    struct Gate {
        open: mpsc::Receiver<()>,
        seen: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let _ = self.open.recv();
            self.seen.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (Sink, mpsc::Sender<()>, Arc<Mutex<Vec<u8>>>) {
        let (gate, open) = mpsc::channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let writer = Gate {
            open,
            seen: Arc::clone(&seen),
        };
        (Sink::start(writer).unwrap(), gate, seen)
    }

    #[test]
    fn lines_come_out_in_order_and_flush_waits_for_them() {
        let (sink, gate, seen) = gated();
        drop(gate);
        let lines: Vec<String> = (0..1000).map(|number| format!("line {number}\n")).collect();
        for line in &lines {
            (&sink).write_all(line.as_bytes()).unwrap();
        }
        sink.flush(Duration::from_secs(60));
        assert_eq!(*seen.lock().unwrap(), lines.concat().into_bytes());
    }

    #[test]
    fn nobody_waits_for_a_reader_that_takes_nothing() {
        let (sink, gate, seen) = gated();
        let line = [b'x'; 1024];
        // Twice over the limit: what is being written counts apart from what waits.
        for _ in 0..3 * MOST_WAITING / line.len() {
            (&sink).write_all(&line).unwrap();
        }
        assert!(sink.0.lock().lost > 0);
        assert!(sink.0.lock().lines.len() <= MOST_WAITING);
        sink.flush(Duration::from_millis(1));
        assert!(seen.lock().unwrap().is_empty());
        drop(gate);
        sink.flush(Duration::from_secs(60));
        let seen = seen.lock().unwrap().len();
        assert!(
            (MOST_WAITING - line.len()..=2 * MOST_WAITING).contains(&seen),
            "{seen}"
        );
    }
}
