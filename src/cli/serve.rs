//! `akldap serve`: the server until a signal ends it. SIGTERM, SIGINT and SIGQUIT shut down, SIGHUP reads certificates and
//! files again, SIGUSR1 refreshes, SIGUSR2 means nothing.

use std::path::Path;

use crate::config::{self, Config, Environment};
use crate::logging::LogControl;
use crate::server::{self, Server};
use crate::traces;

use super::signals::{SignalRequest, Signals};
use super::{open_files, version};

/// Serves until told to stop.
///
/// # Errors
/// When the server cannot start.
pub async fn run(config: Config, log: LogControl) -> anyhow::Result<()> {
    let mut signals = Signals::take()?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        commit = version::commit().unwrap_or("unknown"),
        authentik = %config.authentik.host,
        "akldap starts"
    );
    traces::start(&config.traces, env!("CARGO_PKG_VERSION"))?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    if let Some(warning) = config::unread_files(&Environment, Path::new("/")) {
        tracing::warn!("{warning}");
    }
    open_files::raise();
    let server = Server::start_on(server::inherited()?, config, Some(log)).await?;
    loop {
        match signals.next().await {
            SignalRequest::End => break,
            SignalRequest::Reload => {
                tracing::info!(
                    "SIGHUP: reading the files of token and certificate again, and asking authentik"
                );
                server.outpost().reload().await;
            }
            SignalRequest::Refresh => {
                tracing::info!("SIGUSR1: refreshing");
                server.outpost().request_refresh();
            }
        }
    }
    tracing::info!("shutting down");
    server.shutdown().await;
    // It waits for the collector.
    let _ = tokio::task::spawn_blocking(traces::finish).await;
    Ok(())
}
