//! Looks again, now and then, whether cached binds that are in use would still be let in: with the kept session, who
//! it is and what it may. Must not refuse anybody because authentik cannot be asked.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outpost::Outpost;
use crate::outpost::access::{Ending, Login};

/// Starts the re-check, if one is configured.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    let Some(interval) = outpost.config.bind.access_recheck_interval else {
        return;
    };
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(interval) => {}
            }
            for (key, login) in outpost.binds.cache.take_used() {
                if shutdown.is_cancelled() {
                    return;
                }
                if let Some(ending) = verdict(&outpost, &login).await {
                    tracing::info!(user = login.user_pk(), %ending, "a cached bind was withdrawn");
                    outpost.binds.cache.remove(&key);
                    login.end(ending);
                }
            }
        }
    });
}

/// Why the login must end; `None` if it holds or authentik cannot be asked.
async fn verdict(outpost: &Outpost, login: &Login) -> Option<Ending> {
    if login.is_over() {
        return None;
    }
    // Access is also granted to nobody in particular: first make sure the session still is somebody's.
    match outpost
        .client
        .users_me(login.session(), Some(login.client()))
        .await
    {
        Ok(me) if me.pk == login.user_pk() && me.is_active => {}
        Ok(_) => return Some(Ending::SessionEnded),
        Err(error) if error.status() == Some(403) => return Some(Ending::SessionEnded),
        Err(error) => {
            tracing::debug!(%error, "a cached bind could not be checked again");
            return None;
        }
    }
    let settings = login.provider().settings();
    let access = outpost
        .client
        .check_access(
            login.session(),
            settings.pk,
            &settings.application_slug,
            Some(login.client()),
        )
        .await;
    match access {
        Ok(access) if access.passing && access.has_search_permission == login.may_search_everything() => None,
        Ok(_) => Some(Ending::AccessLost),
        Err(error) if error.status() == Some(404) => Some(Ending::AccessLost),
        Err(error) => {
            tracing::debug!(%error, "a cached bind could not be checked again");
            None
        }
    }
}
