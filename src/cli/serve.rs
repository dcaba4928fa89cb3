//! `akldap serve`: the server until a signal ends it. SIGUSR1 refreshes, SIGTERM and SIGINT shut down.

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::logging::LogControl;
use crate::server::{self, Server};

use super::open_files;

/// Serves until told to stop.
///
/// # Errors
/// When the server cannot start.
pub async fn run(config: Config, log: LogControl) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    open_files::raise();
    let server = Server::start_on(server::inherited()?, config, Some(log)).await?;
    wait_for_end(&server).await?;
    tracing::info!("shutting down");
    server.shutdown().await;
    Ok(())
}

/// Waits for SIGTERM or SIGINT; refreshes at each SIGUSR1 until then.
pub(super) async fn wait_for_end(server: &Server) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut refresh = signal(SignalKind::user_defined1())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = refresh.recv() => {
                tracing::info!("SIGUSR1: refreshing");
                server.outpost().request_refresh();
            }
        }
    }
}
