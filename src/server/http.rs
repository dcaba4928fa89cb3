//! The HTTP endpoint: metrics, liveness, readiness, on TCP and on the unix socket of the health check.
//!
//! `/outpost.goauthentik.io/ping` says that the process is alive, like the official outpost; `/ready` says whether searches
//! can be answered, `/ready?for=binds` whether binds can be judged as well. Must not know LDAP.

mod connections;
pub mod health_socket;
mod status_page;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::{Extension, Router};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::StatusConfig;
use crate::logging;
use crate::metrics::{SAMPLE_INTERVAL, exposition};
use crate::outpost::Outpost;
use crate::outpost::outage::Details;
use crate::outpost::status::{Load, RowsRead};

use health_socket::HealthSocket;
pub(super) use status_page::StatusPage;

/// What `/ready` answers.
#[derive(Debug, Serialize)]
struct Readiness {
    /// Whether what was asked for can be served.
    ready: bool,
    /// Whether searches can be answered: a provider and a directory are there, even if they are those of an earlier process.
    searches: bool,
    /// Whether binds can be judged: a provider is there and authentik can be reached.
    binds: bool,
    /// Whether authentik can be reached.
    authentik: Reachability,
    /// Providers served.
    providers: usize,
    /// The outpost's configuration.
    configuration: LoadReport,
    /// Users and groups.
    directory: DirectoryReport,
}

#[derive(Debug, Serialize)]
struct DirectoryReport {
    #[serde(flatten)]
    load: LoadReport,
    /// How far the first load has come; null once it is done.
    progress: Option<ProgressReport>,
}

#[derive(Debug, Serialize)]
struct ProgressReport {
    /// Users read so far.
    users: u64,
    /// Users there are; null: not known yet.
    users_of: Option<u64>,
    /// Number of groups; null until they are read.
    groups_of: Option<u64>,
    /// The same for a human reader.
    text: String,
}

impl From<RowsRead> for ProgressReport {
    fn from(progress: RowsRead) -> Self {
        Self {
            users: progress.users,
            users_of: progress.users_of,
            groups_of: progress.groups_of,
            text: progress.to_string(),
        }
    }
}

#[derive(Debug, Serialize)]
struct Reachability {
    /// False while authentik is known to be unreachable.
    reachable: bool,
    /// Seconds since that was found out; null while it is reachable.
    outage_s: Option<u64>,
    /// Why it is not; null while it is.
    cause: Option<String>,
}

impl Reachability {
    fn of(outage: Option<Details>, now: Instant) -> Self {
        Self {
            reachable: outage.is_none(),
            outage_s: outage
                .as_ref()
                .map(|outage| now.saturating_duration_since(outage.since).as_secs()),
            cause: outage.map(|outage| outage.cause),
        }
    }
}

#[derive(Debug, Serialize)]
struct LoadReport {
    /// Seconds since the newest look at authentik that it reflects was begun; null before the first time.
    age_s: Option<u64>,
    /// Whether it is older than `stale_after_s`, or comes from the snapshot file and authentik could not be asked since.
    stale: bool,
    /// Seconds after which it is stale.
    stale_after_s: u64,
    /// Why the last try failed; null if it did not.
    failure: Option<String>,
}

impl LoadReport {
    fn of(load: Load, stale_after: Duration) -> Self {
        Self {
            age_s: load.age().map(|age| age.as_secs()),
            stale: load.is_stale(stale_after),
            stale_after_s: stale_after.as_secs(),
            failure: load.failure,
        }
    }
}

/// Where somebody may look at `page`, if it is served at all.
fn router(outpost: Arc<Outpost>, page: Option<Arc<StatusPage>>) -> Router {
    let router = match page {
        Some(page) => Router::new()
            .route("/", get(status_page::show))
            .layer(Extension(page)),
        None => Router::new(),
    };
    router
        .route("/metrics", get(show_metrics))
        .route(
            "/outpost.goauthentik.io/ping",
            any(|| async { StatusCode::NO_CONTENT }),
        )
        .route("/ready", get(ready))
        .with_state(outpost)
}

async fn show_metrics(State(outpost): State<Arc<Outpost>>, headers: HeaderMap) -> Response {
    let lost = logging::lost();
    outpost.metrics().set_log_lines_lost(lost.audit, lost.other);
    outpost.measure();
    let mut accepted = headers.get_all(header::ACCEPT).iter();
    let openmetrics = accepted.any(|accept| accept.to_str().is_ok_and(exposition::wants_openmetrics));
    match outpost.metrics().encode() {
        Ok(text) if openmetrics => ([(header::CONTENT_TYPE, exposition::OPENMETRICS)], text).into_response(),
        Ok(text) => (
            [(header::CONTENT_TYPE, exposition::PLAIN)],
            exposition::plain(&text),
        )
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Whether a query asks for binds too; otherwise the value of `for` that is not known.
fn asks_for_binds(query: &str) -> Result<bool, String> {
    let mut for_binds = false;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match (&*name, &*value) {
            ("for", "binds") => for_binds = true,
            ("for", "searches") => {}
            ("for", other) => return Err(other.chars().take(40).collect()),
            _ => {}
        }
    }
    Ok(for_binds)
}

/// `/ready` asks for searches, `/ready?for=binds` for binds as well: a server that cannot search is no use to whoever binds.
async fn ready(State(outpost): State<Arc<Outpost>>, RawQuery(query): RawQuery) -> Response {
    let (now, searches, binds) = (clock::now(), outpost.can_search(), outpost.can_bind());
    let ready = match asks_for_binds(query.as_deref().unwrap_or_default()) {
        Ok(for_binds) => outpost.is_ready() && (binds || !for_binds),
        Err(unknown) => {
            let text = format!(
                "for={unknown:?} is not known: ask for /ready, for /ready?for=searches, which is the same, or for /ready?for=binds\n"
            );
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let readiness = Readiness {
        ready,
        searches,
        binds,
        authentik: Reachability::of(outpost.outage().under_way(), now),
        providers: outpost.providers().current().iter().count(),
        configuration: LoadReport::of(
            outpost.status().configuration(),
            outpost.schedule().configuration_stale_after(),
        ),
        directory: DirectoryReport {
            load: LoadReport::of(
                outpost.status().directory(),
                outpost.schedule().directory_stale_after(),
            ),
            progress: outpost.status().progress().map(ProgressReport::from),
        },
    };
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness)).into_response()
}

/// Serves HTTP on a TCP port until shutdown.
pub(super) async fn serve(
    listener: TcpListener,
    outpost: Arc<Outpost>,
    page: Option<Arc<StatusPage>>,
    shutdown: CancellationToken,
) {
    connections::serve(listener, router(outpost, page), shutdown).await;
}

/// The status page as it is configured, and the task that samples for its charts until shutdown.
pub(super) fn status_page(
    config: &StatusConfig,
    outpost: &Arc<Outpost>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> Option<Arc<StatusPage>> {
    if !config.page {
        return None;
    }
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        loop {
            outpost.metrics().sample(clock::now());
            let pause = tokio::time::sleep(SAMPLE_INTERVAL);
            if shutdown.run_until_cancelled(pause).await.is_none() {
                return;
            }
        }
    });
    Some(Arc::new(StatusPage::new(
        config.networks.clone(),
        config.hosts.clone(),
    )))
}

/// Serves HTTP on the unix socket that the health check asks. Without it everything else still works.
pub(super) fn serve_socket(
    path: &Path,
    outpost: &Arc<Outpost>,
    page: Option<Arc<StatusPage>>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) {
    let socket = match HealthSocket::open(path) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(%error, "no health check socket, so `akldap healthcheck` will fail; everything else is served");
            return;
        }
    };
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        let HealthSocket { listener, _file } = socket;
        connections::serve(listener, router(outpost, page), shutdown).await;
    });
}
