//! `akldap serve`: the server until a signal ends it. SIGTERM, SIGINT and SIGQUIT shut down, SIGHUP reads certificates and
//! files again, SIGUSR1 refreshes, SIGUSR2 means nothing.

use std::path::Path;

use crate::config::{self, Config, Environment, Layered};
use crate::logging::LogControl;
use crate::server::{self, Server};
use crate::traces;

use super::flags::Flags;
use super::signals::{SignalRequest, Signals};
use super::{open_files, version};

/// Serves until told to stop.
///
/// # Errors
/// When the server cannot start.
pub async fn run(config: Config, flags: Flags, log: LogControl) -> anyhow::Result<()> {
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
    let file = config.file.is_some();
    let server = Server::start_on(server::inherited()?, config, Some(log)).await?;
    loop {
        match signals.next().await {
            SignalRequest::End => break,
            SignalRequest::Reload => {
                tracing::info!("SIGHUP: reading the token and certificate files again, and asking authentik");
                if file {
                    reread(&flags, &server).await;
                }
                server.outpost().reload().await;
            }
            SignalRequest::Refresh => {
                tracing::info!("SIGUSR1: refreshing");
                server.outpost().refresh_requests().all();
            }
        }
    }
    tracing::info!("shutting down");
    server.shutdown().await;
    // It waits for the collector.
    let _ = tokio::task::spawn_blocking(traces::finish).await;
    Ok(())
}

/// Applies what the configuration file says now, or leaves everything as it is and says why.
async fn reread(flags: &Flags, server: &Server) {
    let strings = Layered {
        upper: flags,
        lower: &Environment,
    };
    match Config::read(&strings) {
        Ok(config) => match server.outpost().reconfigure(&config.providers).await {
            true => {
                tracing::info!("the configuration file was read again; changes for providers are in effect")
            }
            false => tracing::info!(
                "the configuration file was read again; nothing has changed for \
                 providers"
            ),
        },
        Err(error) => {
            let problems = error.to_string().replace('\n', "; ");
            tracing::error!(
                "the configuration file was read again but cannot be used; the old settings stay in effect: \
                 {problems}"
            );
        }
    }
}
