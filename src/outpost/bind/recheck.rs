//! Looks again whether logins still hold: now and then those of cached binds in use, with the kept session, who it is
//! and what it may; and all of them, whether their sessions live, after a time in which authentik's announcements
//! could not be heard. Must not refuse anybody because authentik cannot be asked.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::outpost::Outpost;
use crate::outpost::access::{Ending, Login};

/// Sessions asked about side by side after a gap: authentik has two web workers by default, and others need them too.
const CHECKS_AT_ONCE: usize = 2;
/// How often a session is asked about that authentik gave no clear answer for. After that the regular re-check, the
/// directory and its age are left to end it.
const ATTEMPTS: u32 = 3;
/// Between two attempts.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// After a round there is none for so many times as long: its own requests may be what makes authentik recycle the
/// worker that holds the event stream, which is the next gap.
const PAUSE_FACTOR: u32 = 4;

/// Starts both.
pub(super) fn start(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
    now_and_then(outpost, tasks, shutdown);
    let (outpost, shutdown) = (Arc::clone(outpost), shutdown.clone());
    tasks.spawn(async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = after_gaps(&outpost) => {}
        }
    });
}

/// Each time it is asked for, asks about the session of every login there is. With `n` of them this takes the time of
/// `n / 2` requests; for so long after a reconnect, and the pause before it, an ended session may still be accepted.
async fn after_gaps(outpost: &Outpost) {
    loop {
        outpost.binds.checks.notified().await;
        let began = Instant::now();
        let mut left = outpost.logins.alive();
        for attempt in 1..=ATTEMPTS {
            left = check_sessions(outpost, left).await;
            if left.is_empty() {
                break;
            }
            tracing::debug!(logins = left.len(), attempt, "sessions whose state is unclear");
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        drop(left);
        tokio::time::sleep(began.elapsed().saturating_mul(PAUSE_FACTOR)).await;
    }
}

/// Ends the logins whose sessions are over; returns those for which authentik could not be asked.
async fn check_sessions(outpost: &Outpost, logins: Vec<Arc<Login>>) -> Vec<Arc<Login>> {
    let unclear = Mutex::new(Vec::new());
    stream::iter(logins)
        .for_each_concurrent(CHECKS_AT_ONCE, async |login| {
            match session_verdict(outpost, &login).await {
                Verdict::Holds => {}
                Verdict::Over(ending) => {
                    login.end(ending);
                }
                Verdict::Unclear => unclear.lock().unwrap_or_else(PoisonError::into_inner).push(login),
            }
        })
        .await;
    unclear.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Starts the regular re-check, if one is configured.
fn now_and_then(outpost: &Arc<Outpost>, tasks: &TaskTracker, shutdown: &CancellationToken) {
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
                    outpost.binds.cache.remove(&key);
                    login.end(ending);
                }
            }
        }
    });
}

/// What authentik says about a session.
enum Verdict {
    Holds,
    Over(Ending),
    Unclear,
}

async fn session_verdict(outpost: &Outpost, login: &Login) -> Verdict {
    if login.is_over() {
        return Verdict::Holds;
    }
    match outpost
        .client
        .users_me(login.session(), Some(login.client()))
        .await
    {
        Ok(me) if me.pk == login.user_pk() && me.is_active => Verdict::Holds,
        Ok(_) => Verdict::Over(Ending::SessionEnded),
        Err(error) if error.status() == Some(403) => Verdict::Over(Ending::SessionEnded),
        Err(error) => {
            tracing::debug!(%error, "a login could not be checked again");
            Verdict::Unclear
        }
    }
}

/// Why the login must end; `None` if it holds or authentik cannot be asked.
async fn verdict(outpost: &Outpost, login: &Login) -> Option<Ending> {
    if login.is_over() {
        return None;
    }
    // Access is also granted to nobody in particular: first make sure the session still is somebody's.
    match session_verdict(outpost, login).await {
        Verdict::Holds => {}
        Verdict::Over(ending) => return Some(ending),
        Verdict::Unclear => return None,
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
