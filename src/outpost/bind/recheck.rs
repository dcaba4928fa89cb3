//! Judges logins again: those in use now and then, spread over the interval; all of them after a time in which authentik's
//! announcements could not be heard; those of a provider that changed; and a cached bind that was not used for a long time,
//! before it is used. One request each, which tells whether the session lives and what it may do, and which does not put
//! off the session's end. Must not refuse anybody because authentik cannot be asked.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::BindConfig;
use crate::outpost::access::{Ending, Login, Logins};
use crate::outpost::outage::Outage;
use crate::outpost::providers::Providers;
use akldap_authentik::{Backoff, Client};

use super::cache::BindCache;
use super::parts::BindParts;

/// How many logins are judged concurrently in the background: authentik has two web workers by default, and others need
/// them too.
const AT_ONCE: usize = 2;
/// The time between two tries to judge those for which there was no answer.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// After a look at all logins there is no other for this many times as long as authentik worked on it: these requests may
/// be what makes authentik recycle the worker with the event stream, which is the next gap. Requests that nobody answered
/// do not count, or one that hung would delay by minutes what a reconnect should bring to light.
const PAUSE_FACTOR: u32 = 4;
/// How long a client waits for the judgement of its cached bind. Without one by then, what was judged stays valid.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the regular checks look for logins that are due.
const TICK: Duration = Duration::from_secs(1);

/// Judges logins that were judged before.
pub(super) struct Recheck {
    client: Client,
    providers: Arc<Providers>,
    logins: Arc<Logins>,
    outage: Arc<Outage>,
    cache: Arc<BindCache>,
    /// For judgements that clients wait for.
    turns: Semaphore,
    interval: Option<Duration>,
    /// The most regular judgements a second.
    rate: usize,
}

impl Recheck {
    pub(super) fn new(parts: &BindParts, config: &BindConfig) -> Self {
        Self {
            client: parts.client.clone(),
            providers: Arc::clone(&parts.providers),
            logins: Arc::clone(&parts.logins),
            outage: Arc::clone(&parts.outage),
            cache: Arc::clone(&parts.cache),
            turns: Semaphore::new(config.max_concurrent_flows.max(1)),
            interval: config.access_recheck_interval,
            rate: config.access_recheck_rate,
        }
    }

    /// Starts what goes on in the background.
    pub(super) fn start(self: &Arc<Self>, tasks: &TaskTracker, shutdown: &CancellationToken) {
        let (own, stop) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = own.when_due() => {}
            }
        });
        let Some(interval) = self.interval else {
            return;
        };
        let (own, stop) = (Arc::clone(self), shutdown.clone());
        tasks.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = own.now_and_then(interval) => {}
            }
        });
    }

    /// Judges a cached bind for a client that waits for it. `false`: it is over.
    pub(super) async fn is_still_good(&self, login: &Arc<Login>) -> bool {
        let judged = timeout(PATIENCE, async {
            // The turns are never closed.
            let _turn = self.turns.acquire().await;
            self.judge(login).await
        });
        match judged.await {
            Ok(LoginState::Holds) => true,
            Ok(LoginState::Over) => false,
            Ok(LoginState::Unclear) | Err(_) => {
                login.review().unclear(clock::now());
                true
            }
        }
    }

    /// Judges at once whatever is due, again and again until there is an answer. With `n` logins due this takes the time of
    /// `n / 2` requests; for this long after a reconnect an ended session may still be accepted.
    async fn when_due(&self) {
        let (mut retry, mut failures) = (None, 0_u32);
        let mut not_before = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.logins.due() => failures = 0,
                () = sleep(retry.unwrap_or_default()), if retry.is_some() => {}
            }
            let now = tokio::time::Instant::now();
            let pause = not_before.saturating_duration_since(now);
            let mut due = self.logins.alive();
            due.retain(|login| login.review().is_due());
            let all = due.len();
            due.retain(|login| pause.is_zero() || login.review().is_withheld());
            let later = all - due.len();
            if self.outage.under_way().is_some() {
                // There is nobody to ask, and what was judged stays valid.
                retry = Some(pause.clamp(BACKOFF.first, BACKOFF.longest));
                continue;
            }
            let JudgedLogins { unclear, answering } = self.judge_all(due).await;
            if pause.is_zero() {
                not_before = tokio::time::Instant::now() + answering.saturating_mul(PAUSE_FACTOR);
            }
            if unclear > 0 {
                tracing::debug!(logins = unclear, "some logins could not be checked again");
                retry = Some(BACKOFF.wait(failures, 0.0));
                failures = failures.saturating_add(1);
            } else {
                failures = 0;
                retry = (later > 0).then_some(pause);
            }
        }
    }

    /// Judges the logins in use once per interval.
    async fn now_and_then(&self, interval: Duration) {
        let mut pacing = Pacing::new(interval, self.rate);
        let tick = TICK.min(interval / 20);
        let mut last = clock::now();
        loop {
            sleep(tick).await;
            // In an outage there is nobody to ask, and what was judged stays valid.
            if self.outage.under_way().is_some() {
                continue;
            }
            let now = clock::now();
            let mut logins = self.logins.alive();
            logins.retain(|login| login.review().is_in_use() && !login.review().was_tried(now, interval));
            logins.sort_by_cached_key(|login| std::cmp::Reverse(login.review().age(now)));
            let ages: Vec<Duration> = logins.iter().map(|login| login.review().age(now)).collect();
            logins.truncate(pacing.take(&ages, now.duration_since(last)));
            last = now;
            self.judge_all(logins).await;
        }
    }

    /// Ends those that are over.
    async fn judge_all(&self, logins: Vec<Arc<Login>>) -> JudgedLogins {
        let verdicts: Vec<(LoginState, Duration)> = stream::iter(logins)
            .map(|login| async move {
                let began = tokio::time::Instant::now();
                let verdict = self.judge(&login).await;
                if verdict == LoginState::Unclear {
                    login.review().unclear(clock::now());
                }
                (verdict, began.elapsed())
            })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let mut judged = JudgedLogins::default();
        let (mut any_over, side_by_side) = (false, AT_ONCE.min(verdicts.len()).max(1));
        for (verdict, took) in verdicts {
            match verdict {
                LoginState::Unclear => judged.unclear += 1,
                LoginState::Holds => judged.answering += took,
                LoginState::Over => {
                    judged.answering += took;
                    any_over = true;
                }
            }
        }
        judged.answering /= u32::try_from(side_by_side).unwrap_or(1);
        if any_over {
            self.cache.retain_alive();
        }
        judged
    }

    /// Asks about a login, and ends it if it is over.
    async fn judge(&self, login: &Login) -> LoginState {
        if login.is_over() {
            return LoginState::Over;
        }
        let judgement = login.review().begin(clock::now());
        let over = |ending: Ending| {
            login.end(ending);
            LoginState::Over
        };
        // The provider as it is now, not as it was at the login.
        let Some(provider) = self.providers.current().by_pk(login.provider().pk()) else {
            return over(Ending::AccessLost);
        };
        let settings = provider.settings();
        let session = login.session();
        let access = self
            .client
            .check_access(
                &session,
                settings.pk,
                &settings.application_slug,
                Some(login.client()),
            )
            .await;
        match access {
            // It was about a session that is no longer the login's.
            _ if login.has_moved_on_from(&session) => LoginState::Unclear,
            Ok(access) if access.session_ended => over(Ending::SessionEnded),
            Ok(access) if access.passing && access.has_search_permission == login.may_search_everything() => {
                login.review().holds(judgement);
                LoginState::Holds
            }
            Ok(_) => over(Ending::AccessLost),
            Err(error) if error.is_not_found() => over(Ending::AccessLost),
            Err(error) => {
                tracing::debug!(%error, "a login could not be checked again");
                LoginState::Unclear
            }
        }
    }
}

/// How many logins are judged when, so that each is judged once per interval and authentik sees no rush.
#[derive(Debug)]
struct Pacing {
    interval: Duration,
    rate: f64,
    /// Judgements that the elapsed time allows, and those needed to get through all.
    allowed: f64,
    wanted: f64,
}

impl Pacing {
    fn new(interval: Duration, rate: usize) -> Self {
        Self {
            interval,
            rate: rate as f64,
            allowed: 0.0,
            wanted: 0.0,
        }
    }

    /// How many of the logins with these ages, oldest first, are to be judged now, `passed` after the last call. A login
    /// is judged in the second half of its interval, at an even pace, and in the last tenth of it as fast as is allowed.
    /// With `n` logins none gets older than the interval, or half of it plus `n / rate` seconds if that is more.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` takes a float to the nearest count and drops the fraction"
    )]
    fn take(&mut self, ages: &[Duration], passed: Duration) -> usize {
        let ripe = ages.partition_point(|age| *age >= self.interval / 2);
        let late = ages.partition_point(|age| *age >= self.interval.mul_f64(0.9));
        let passed = passed.as_secs_f64();
        // What was not needed is not saved up, except for fractions of one.
        self.allowed = (self.allowed + self.rate * passed).min((self.rate * passed).max(1.0));
        self.wanted += 2.0 * ages.len() as f64 * passed / self.interval.as_secs_f64();
        let count = (self.wanted.max(0.0) as usize)
            .max(late)
            .min(ripe)
            .min(self.allowed as usize);
        self.allowed -= count as f64;
        self.wanted = (self.wanted - count as f64).clamp(0.0, ages.len() as f64);
        if count == ripe {
            self.wanted = self.wanted.fract();
        }
        count
    }
}

/// The result of judging several logins.
#[derive(Debug, Default)]
struct JudgedLogins {
    /// Those for which there was no answer.
    unclear: usize,
    /// How long authentik took to answer for the others, which were asked about concurrently.
    answering: Duration,
}

/// What authentik says about a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LoginState {
    /// It is valid.
    Holds,
    /// It has been ended.
    Over,
    /// There was no usable answer.
    Unclear,
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);

    /// The greatest age any of `count` logins reaches in an hour, and the most judgements in a second, looked at every
    /// `step` seconds. All are made at once, which is the worst case: after a restart all clients come back together.
    fn run(count: usize, rate: usize, step: usize) -> (Duration, usize) {
        let mut pacing = Pacing::new(INTERVAL, rate);
        let mut judged = std::collections::VecDeque::from(vec![0_u64; count]);
        let (mut oldest, mut most) = (0, 0);
        for now in (step as u64..=4_800).step_by(step) {
            let ages: Vec<Duration> = judged.iter().map(|at| Duration::from_secs(now - at)).collect();
            oldest = oldest.max(now - judged[0]);
            let taken = pacing.take(&ages, TICK * step as u32);
            most = most.max(taken / step);
            judged.drain(..taken);
            judged.extend(std::iter::repeat_n(now, taken));
        }
        (Duration::from_secs(oldest), most)
    }

    #[test]
    fn staleness_is_what_the_documentation_says() {
        let (oldest, most) = run(10, 10, 1);
        assert!(oldest <= INTERVAL && most <= 2, "{oldest:?} {most}");
        let (oldest, most) = run(1_000, 10, 1);
        assert!(oldest <= INTERVAL && most <= 10, "{oldest:?} {most}");
        let (oldest, most) = run(20_000, 10, 20);
        assert!(
            oldest <= INTERVAL / 2 + Duration::from_secs(2_000 + 40) && most <= 10,
            "{oldest:?} {most}"
        );
    }

    #[test]
    fn few_logins_are_not_asked_about_more_often_than_twice_an_interval() {
        let mut pacing = Pacing::new(INTERVAL, 10);
        let young = [INTERVAL / 2 - TICK; 5];
        for _ in 0..1_000 {
            assert_eq!(pacing.take(&young, TICK), 0);
        }
        assert_eq!(pacing.take(&[INTERVAL, INTERVAL / 2], TICK), 1);
        assert_eq!(pacing.take(&[], TICK), 0);
    }
}
