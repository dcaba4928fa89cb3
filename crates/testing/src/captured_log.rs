//! A log that is kept in memory, for tests that look for what must not be in it.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

#[derive(Clone)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

/// While there is only one subscriber, a line first reached on a thread without one is switched off everywhere. A
/// second one prevents that.
static SECOND: OnceLock<Dispatch> = OnceLock::new();

impl Default for Log {
    fn default() -> Self {
        SECOND.get_or_init(|| Dispatch::new(NoSubscriber::new()));
        Self(Arc::default())
    }
}

impl Log {
    /// Keeps what this thread logs for an admin until the guard is dropped.
    pub fn listen() -> (Self, DefaultGuard) {
        Self::listen_at(Level::INFO)
    }

    /// Keeps what this thread logs at this level and those above it until the guard is dropped.
    pub fn listen_at(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(log.clone());
        let guard = subscriber.finish().set_default();
        (log, guard)
    }

    /// Everything logged so far.
    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
