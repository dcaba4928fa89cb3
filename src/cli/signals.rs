//! What the signals of the operating system ask of a running command. They are taken from the start on, so that none
//! of them ends the process without a drain.
//!
//! Must not know what follows from them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// SIGTERM, SIGINT, SIGQUIT: let running operations end, and leave.
    End,
    /// SIGHUP: read again what files and authentik say about certificates, token and configuration.
    Reload,
    /// SIGUSR1: read everything anew from authentik.
    Refresh,
}

/// The signals that are taken.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    refresh: Signal,
    /// SIGUSR2 means nothing here; untaken it would end the process.
    ignored: Signal,
}

impl Signals {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn take() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            refresh: signal(SignalKind::user_defined1())?,
            ignored: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waits for the next request.
    pub(super) async fn next(&mut self) -> Request {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return Request::End,
                _ = self.interrupt.recv() => return Request::End,
                _ = self.quit.recv() => return Request::End,
                _ = self.hangup.recv() => return Request::Reload,
                _ = self.refresh.recv() => return Request::Refresh,
                _ = self.ignored.recv() => {}
            }
        }
    }
}
