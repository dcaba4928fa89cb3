//! What the signals of the operating system ask of a running command. They are handled from the start, so that none
//! of them ends the process without a drain.
//!
//! Must not know what follows from them.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalRequest {
    /// SIGTERM, SIGINT, SIGQUIT: let running operations end, and leave.
    End,
    /// SIGHUP: read again what files and authentik say about certificates, token and configuration.
    Reload,
    /// SIGUSR1: read everything from authentik again.
    Refresh,
}

/// The signals that are handled.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    refresh: Signal,
    /// SIGUSR2 means nothing here; unhandled it would end the process.
    ignored: Signal,
}

impl Signals {
    /// Handles the signals from now on.
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
    pub(super) async fn next(&mut self) -> SignalRequest {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return SignalRequest::End,
                _ = self.interrupt.recv() => return SignalRequest::End,
                _ = self.quit.recv() => return SignalRequest::End,
                _ = self.hangup.recv() => return SignalRequest::Reload,
                _ = self.refresh.recv() => return SignalRequest::Refresh,
                _ = self.ignored.recv() => {}
            }
        }
    }
}
