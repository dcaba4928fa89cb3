//! Judges an attempt by authentik's answers: its turn, the flow, access to the application, and who it was. The only place
//! that asks for a login. Must not know what is kept of the outcome.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::config::BindConfig;
use crate::metrics::{ClientMetrics, Limit, RejectReason, Turns};
use crate::outpost::access::{Login, Logins, OpenSession, Proof};
use crate::outpost::directory::CurrentDirectory;
use crate::outpost::provider::Provider;
use crate::outpost::providers::Providers;
use crate::outpost::refresh::user_fetch::UserFetch;
use crate::outpost::release::KnownRelease;
use crate::outpost::right_of_way::RightOfWay;
use crate::traces;
use akldap_authentik::flow::{Executor, FlowOutcome};
use akldap_authentik::{self as authentik, Client};
use akldap_ldap::response::ResultCode;

use super::attempt::Attempt;
use super::failures::{FailureLimit, Guess};
use super::judgements::{JudgedBind, SharedJudgement, in_a_task, internal_error};
use super::origin::{CountedAddress, Person};
use super::parts::BindParts;
use super::policy::policy;
use super::queue::{FlowQueue, Turn};
use super::refusal::{NOT_NOW, Question, Refusal, ended_early, rejected, wrong_secret};

mod proving;

/// The least time left for access and identity after a flow that took long. With the time for a turn, for the flow
/// and for a Duo push, this is the longest a bind can take.
const ACCESS_TIME: Duration = Duration::from_secs(10);

/// What attempts are judged by.
pub(in crate::outpost) struct Judge {
    client: Client,
    executor: Arc<Executor>,
    release: Arc<KnownRelease>,
    logins: Arc<Logins>,
    providers: Arc<Providers>,
    directory: Arc<CurrentDirectory>,
    users: Arc<UserFetch>,
    queue: Arc<FlowQueue>,
    failures: FailureLimit,
    right_of_way: Arc<RightOfWay>,
    metrics: ClientMetrics,
    /// Password changes that may open sessions yet.
    changes: TaskTracker,
    /// The longest a flow may take.
    flow_time: Duration,
}

/// An attempt that has its turn at authentik.
pub(super) struct Admitted {
    attempt: Arc<Attempt>,
    person: Person,
    guess: Guess,
    turn: Turn,
}

impl Judge {
    pub(super) fn new(parts: &BindParts, config: &BindConfig) -> Self {
        Self {
            client: parts.client.clone(),
            executor: Arc::clone(&parts.executor),
            release: Arc::clone(&parts.release),
            logins: Arc::clone(&parts.logins),
            providers: Arc::clone(&parts.providers),
            directory: Arc::clone(&parts.directory),
            users: Arc::clone(&parts.users),
            queue: Arc::new(FlowQueue::new(
                config.max_concurrent_flows,
                config.flow_queue_limit,
                config.flow_queue_timeout,
                parts.metrics.clients().clone(),
            )),
            failures: FailureLimit::new(&config.failed),
            right_of_way: Arc::clone(&parts.right_of_way),
            metrics: parts.metrics.clients().clone(),
            changes: TaskTracker::new(),
            flow_time: config.timeout,
        }
    }

    /// Begins to judge an attempt of which nothing is kept.
    pub(super) fn alone(self: &Arc<Self>, attempt: Arc<Attempt>) -> SharedJudgement {
        let judge = Arc::clone(self);
        SharedJudgement::alone(move |unsent| async move {
            let admitted = judge.turn(attempt).await?;
            let sent = unsent.sent();
            in_a_task(async move {
                let _sent = sent;
                judge.log_in(admitted).await
            })
            .await
        })
    }

    /// How many wait for their turn, and for how long, and how many have one.
    pub(super) fn turns(&self) -> Turns {
        self.queue.turns()
    }

    /// Waits for an attempt's turn at authentik.
    pub(super) async fn turn(&self, attempt: Arc<Attempt>) -> Result<Admitted, Refusal> {
        let Attempt {
            provider,
            username,
            secret,
            origin,
            ..
        } = &*attempt;
        let person = self.person(username)?;
        let arrived = clock::now();
        let guess = self
            .failures
            .admit(*origin, person, provider.pk(), secret, arrived)
            .inspect_err(|_| self.metrics.limit_reached(Limit::FailedBindLimit))?;
        let source = self.queue.source(*origin);
        let turn = self.queue.turn(source, person).await?;
        if guess.found_wrong_since(arrived) {
            // authentik judged the same secret while this bind waited.
            return Err(wrong_secret());
        }
        Ok(Admitted {
            attempt,
            person,
            guess,
            turn,
        })
    }

    fn person(&self, username: &str) -> Result<Person, Refusal> {
        self.directory
            .sound(Person::new(self.directory.snapshot().as_deref(), username))
            .ok_or_else(internal_error)
    }

    /// Asks authentik, and keeps what it calls our requests if that is useful.
    pub(super) async fn log_in(&self, admitted: Admitted) -> JudgedBind {
        if traces::is_on() {
            let asked = admitted.attempt.asked.clone();
            asked.of(self.judged_by_authentik(admitted)).await
        } else {
            self.judged_by_authentik(admitted).await
        }
    }

    /// Asks authentik: the flow, then access to the application, then, if the directory does not know, who it is.
    async fn judged_by_authentik(&self, admitted: Admitted) -> JudgedBind {
        let Admitted {
            attempt,
            person,
            guess,
            turn,
        } = admitted;
        let (provider, client) = (&attempt.provider, attempt.origin.client);
        let on_its_way = self.right_of_way.take();
        let heard = self.logins.heard();
        let started = clock::now();
        let session = self.run_flow(&attempt).await.inspect_err(|refusal| {
            if refusal.repeatable {
                guess.was_wrong(clock::now());
            }
        })?;
        drop(guess);
        let opened = self.logins.open(Arc::clone(provider), session, client, heard);
        let left = self
            .flow_time
            .saturating_sub(clock::since(started))
            .max(ACCESS_TIME);
        let proof = timeout(left, self.prove(opened, provider, client))
            .await
            .map_err(|_| {
                let cause =
                    "authentik took too long to say what the user may do: see its server log and load";
                Refusal::caused(
                    ResultCode::Unavailable,
                    RejectReason::AccessCheckFail,
                    NOT_NOW,
                    cause,
                )
            })??;
        let login = self.logins.grant(proof).ok_or_else(ended_early)?;
        self.judge_by_current_provider(&login);
        self.queue.logged_in(CountedAddress::from(client), person);
        drop((turn, on_its_way));
        // About anybody whom the directory does not know yet, or shows as inactive or under another name, authentik knows
        // better.
        let began = login.session().began();
        self.users
            .of_login(login.user_pk(), &attempt.username, began)
            .await;
        if let Some(snapshot) = self.directory.snapshot()
            && let Some(user) = snapshot.user_by_pk(login.user_pk())
            && let Some(user) = self.directory.sound(snapshot.user(user))
        {
            login.recognise(user.uuid);
        }
        Ok(login)
    }

    async fn run_flow(&self, attempt: &Attempt) -> Result<authentik::Session, Refusal> {
        let request = attempt.request(self.release.code_rule());
        let judged = self.executor.judge(&request).await;
        let judged = judged.map_err(|error| Question::FLOW.unanswered(error))?;
        match &judged.outcome {
            FlowOutcome::Authenticated(session) => Ok(session.clone()),
            FlowOutcome::Rejected(rejection) => Err(rejected(rejection).with_policy(policy(&judged))),
        }
    }

    /// Completes the proof for a session in which somebody is logged in.
    async fn prove(
        &self,
        opened: OpenSession,
        provider: &Provider,
        client: IpAddr,
    ) -> Result<Proof, Refusal> {
        let slug = &provider.settings().application_slug;
        let access = self
            .client
            .check_access(&opened.session(), provider.pk(), slug, Some(client))
            .await;
        let access = access.map_err(|error| Question::ACCESS.unanswered(error))?;
        if access.session_ended {
            return Err(ended_early());
        }
        let user_pk = self.user_pk(&opened.session(), client).await?;
        Proof::new(opened, &access, user_pk).ok_or_else(|| {
            let cause = format!("the policies of the application {slug:?} do not let this user in: see its bindings in authentik");
            let text = "this account may not log in here";
            Refusal::caused(ResultCode::InsufficientAccessRights, RejectReason::AccessDenied, text, cause)
        })
    }

    async fn user_pk(&self, session: &authentik::Session, client: IpAddr) -> Result<i64, Refusal> {
        if let Some(snapshot) = self.directory.snapshot()
            && let Some(user) = self
                .directory
                .sound(snapshot.user_by_uid(session.uid()))
                .flatten()
            && let Some(user) = self.directory.sound(snapshot.user(user))
        {
            return Ok(user.pk);
        }
        match self.client.users_me(session, Some(client)).await {
            Ok(me) if me.uid == session.uid() && me.is_active => Ok(me.pk),
            Ok(_) => Err(Question::USER.answered_badly(
                "authentik named a different user from the \
                 session's",
            )),
            Err(error) => Err(Question::USER.unanswered(error)),
        }
    }

    /// A login that was judged by its provider's previous settings is judged again.
    fn judge_by_current_provider(&self, login: &Login) {
        let judged_by = login.provider();
        let current = self.providers.current().by_pk(judged_by.pk());
        if !current.is_some_and(|current| Arc::ptr_eq(&current, judged_by)) {
            self.logins.withhold(|other| std::ptr::eq(other, login));
        }
    }
}
