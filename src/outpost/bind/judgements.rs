//! Judgements that are under way: one for any number of equal binds at once. One that waits for its turn is given up when
//! nobody waits for it any more; one that authentik has heard of goes on, so that its outcome is known.
//!
//! Must not know how a bind is judged.

use std::collections::HashMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use tokio_util::sync::CancellationToken;

use crate::metrics::RejectReason;
use crate::outpost::access::Login;
use akldap_ldap::response::ResultCode;

use super::cache::BindKey;
use super::refusal::Refusal;

/// The outcome of a judgement.
pub(super) type JudgedBind = Result<Arc<Login>, Refusal>;

type Judging = BoxFuture<'static, JudgedBind>;

/// A judgement that any number of equal binds wait for.
#[derive(Clone)]
pub(super) struct SharedJudgement {
    judged: Shared<Judging>,
    sent: Arc<AtomicBool>,
    /// How many password changes there were when it began.
    began: u64,
}

impl SharedJudgement {
    fn new<F>(judgement: F, sent: Arc<AtomicBool>, began: u64) -> Self
    where
        F: Future<Output = JudgedBind> + Send + 'static,
    {
        let judged = AssertUnwindSafe(judgement)
            .catch_unwind()
            .map(|judged| judged.unwrap_or_else(|_| Err(internal_error())));
        Self {
            judged: judged.boxed().shared(),
            sent,
            began,
        }
    }

    /// A judgement for one bind only.
    pub(super) fn alone<F>(judge: impl FnOnce(Unsent) -> F) -> Self
    where
        F: Future<Output = JudgedBind> + Send + 'static,
    {
        let sent = Arc::default();
        let unsent = Unsent {
            sent: Arc::clone(&sent),
            listed: None,
        };
        Self::new(judge(unsent), sent, 0)
    }

    /// A bind that has already been judged.
    pub(super) fn known(judged: JudgedBind, began: u64) -> Self {
        Self::new(std::future::ready(judged), Arc::default(), began)
    }

    /// How many password changes there were when it began.
    pub(super) fn began(&self) -> u64 {
        self.began
    }

    /// Whether authentik has been asked.
    pub(super) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits for the outcome; a judgement that waits for its turn is given up when the client has `left`.
    pub(super) async fn unless_left(&self, left: &CancellationToken) -> JudgedBind {
        let mut judged = std::pin::pin!(self.judged());
        tokio::select! {
            biased;
            judged = &mut judged => judged,
            () = left.cancelled() => if self.is_sent() {
                judged.await
            } else {
                Err(Refusal::new(ResultCode::Busy, RejectReason::Busy, "the client left before its turn"))
            },
        }
    }

    /// Waits for the outcome.
    pub(super) fn judged(&self) -> impl Future<Output = JudgedBind> + use<> {
        self.judged.clone()
    }
}

/// The judgements equal binds can join.
#[derive(Default)]
pub(super) struct Judgements {
    under_way: Mutex<HashMap<BindKey, NumberedJudgement>>,
    last: AtomicU64,
}

struct NumberedJudgement {
    /// Distinguishes it from an earlier one under the same key.
    number: u64,
    judgement: HeldJudgement,
}

enum HeldJudgement {
    /// As long as somebody waits for it.
    Waiting(WeakShared<Judging>, Arc<AtomicBool>, u64),
    /// To its end.
    Sent(SharedJudgement),
}

impl Judgements {
    /// Whether an equal bind is being judged.
    pub(super) fn is_under_way(&self, key: &BindKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Joins the judgement of an equal bind, or takes what is known about it by now (`known`), or begins one. `changes`: how
    /// many password changes there were so far.
    pub(super) fn join<F>(
        self: &Arc<Self>,
        key: BindKey,
        changes: u64,
        known: impl FnOnce() -> Option<JudgedBind>,
        judge: impl FnOnce(Unsent) -> F,
    ) -> SharedJudgement
    where
        F: Future<Output = JudgedBind> + Send + 'static,
    {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        let sent = Arc::default();
        let unsent = Unsent {
            sent: Arc::clone(&sent),
            listed: Some(ListedJudgement {
                judgements: Arc::clone(self),
                key,
                number,
            }),
        };
        // Made before the lock is taken, because its end takes the lock too; none of it runs before somebody waits for it.
        let judgement = SharedJudgement::new(judge(unsent), sent, changes);
        let mut under_way = self.lock();
        match under_way.get(&key).map(|entry| &entry.judgement) {
            Some(HeldJudgement::Sent(judgement)) => return judgement.clone(),
            Some(HeldJudgement::Waiting(judged, sent, began)) => {
                if let Some(judged) = judged.upgrade() {
                    let (sent, began) = (Arc::clone(sent), *began);
                    return SharedJudgement { judged, sent, began };
                }
            }
            None => {}
        }
        // An equal bind may have been judged since the cache was asked; a one-time code works only once.
        if let Some(judged) = known() {
            return SharedJudgement::known(judged, changes);
        }
        if let Some(judged) = judgement.judged.downgrade() {
            let judgement = HeldJudgement::Waiting(judged, Arc::clone(&judgement.sent), changes);
            under_way.insert(key, NumberedJudgement { number, judgement });
        }
        judgement
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BindKey, NumberedJudgement>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// Given to a judgement, which calls [`Unsent::sent`] before it asks authentik.
pub(super) struct Unsent {
    sent: Arc<AtomicBool>,
    listed: Option<ListedJudgement>,
}

impl Unsent {
    /// From now on the judgement goes on even if nobody waits. What is returned is kept until its end.
    pub(super) fn sent(self) -> Option<ListedJudgement> {
        self.sent.store(true, Ordering::Relaxed);
        if let Some(listed) = &self.listed {
            listed.hold();
        }
        self.listed
    }
}

/// Takes a judgement off the list when it ends, however it ends.
pub(super) struct ListedJudgement {
    judgements: Arc<Judgements>,
    key: BindKey,
    number: u64,
}

impl ListedJudgement {
    fn hold(&self) {
        let mut under_way = self.judgements.lock();
        if let Some(entry) = under_way
            .get_mut(&self.key)
            .filter(|entry| entry.number == self.number)
            && let HeldJudgement::Waiting(judged, sent, began) = &entry.judgement
            && let Some(judged) = judged.upgrade()
        {
            let (sent, began) = (Arc::clone(sent), *began);
            entry.judgement = HeldJudgement::Sent(SharedJudgement { judged, sent, began });
        }
    }
}

impl Drop for ListedJudgement {
    fn drop(&mut self) {
        let mut under_way = self.judgements.lock();
        let own = under_way
            .get(&self.key)
            .is_some_and(|entry| entry.number == self.number);
        let judgement = own.then(|| under_way.remove(&self.key));
        // It may be the last that holds the judgement.
        drop(under_way);
        drop(judgement);
    }
}

/// Continues what authentik has heard of whether or not somebody waits for it, so that its outcome is known. There are no more such
/// tasks than turns, and those of new users who are being fetched.
pub(super) async fn in_a_task(judgement: impl Future<Output = JudgedBind> + Send + 'static) -> JudgedBind {
    tokio::spawn(judgement)
        .await
        .unwrap_or_else(|_| Err(internal_error()))
}

/// The answer to a bind whose judgement failed inside the server.
pub(super) fn internal_error() -> Refusal {
    tracing::error!(
        "a bind failed because of an internal error: please report this line and those before \
         it"
    );
    Refusal::new(
        ResultCode::Other,
        RejectReason::InternalError,
        "internal error while binding",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures_util::future;
    use tokio::sync::Notify;

    use super::*;

    fn refusal() -> Refusal {
        Refusal::new(
            ResultCode::InvalidCredentials,
            RejectReason::InvalidCredentials,
            "no",
        )
    }

    #[tokio::test]
    async fn a_panic_in_a_judgement_is_a_refusal_for_all_who_wait_and_for_nobody_after() {
        let judgements = Arc::new(Judgements::default());
        let all = (0..3).map(|_| {
            let judgement = judgements.join([1; 32], 0, || None, |_unsent| async { panic!("forced") });
            judgement.judged()
        });
        for judged in future::join_all(all.collect::<Vec<_>>()).await {
            assert_eq!(judged.unwrap_err().result.code, ResultCode::Other);
        }
        let next = judgements.join([1; 32], 0, || None, |_unsent| async { Err(refusal()) });
        assert_eq!(
            next.judged().await.unwrap_err().result.code,
            ResultCode::InvalidCredentials
        );
    }

    #[tokio::test]
    async fn equal_judgements_run_once_and_others_beside_them() {
        let judgements = Arc::new(Judgements::default());
        let runs = Arc::new(AtomicUsize::new(0));
        let all: Vec<_> = (0..20_u8)
            .map(|number| {
                let runs = Arc::clone(&runs);
                let judge = |unsent: Unsent| async move {
                    let _listed = unsent.sent();
                    runs.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    Err(refusal())
                };
                judgements.join([number % 2; 32], 0, || None, judge).judged()
            })
            .collect();
        future::join_all(all).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        assert!(judgements.is_empty());
    }

    #[tokio::test]
    async fn what_was_judged_since_it_was_asked_for_is_not_judged_again() {
        let judgements = Arc::new(Judgements::default());
        let known = || Some(Err(refusal()));
        let judgement = judgements.join([1; 32], 0, known, |_unsent| async { panic!("it is known") });
        assert_eq!(
            judgement.judged().await.unwrap_err().result.code,
            ResultCode::InvalidCredentials
        );
        assert!(judgements.is_empty());
    }

    #[tokio::test]
    async fn one_that_waits_is_given_up_with_the_last_who_waits_and_one_that_is_sent_is_joined_to_its_end() {
        let judgements = Arc::new(Judgements::default());
        let (turn, answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let asked = Arc::new(AtomicUsize::new(0));
        let join = || {
            let (turn, answer, asked) = (Arc::clone(&turn), Arc::clone(&answer), Arc::clone(&asked));
            let judge = |unsent: Unsent| async move {
                turn.notified().await;
                let listed = unsent.sent();
                asked.fetch_add(1, Ordering::SeqCst);
                let task = tokio::spawn(async move {
                    let _listed = listed;
                    answer.notified().await;
                    Err(refusal())
                });
                task.await.unwrap()
            };
            judgements.join([1; 32], 0, || None, judge)
        };
        let (first, second) = (join(), join());
        drop(first);
        assert!(future::poll_immediate(second.judged()).await.is_none());
        assert!(!judgements.is_empty());
        drop(second);
        assert!(judgements.is_empty(), "nobody waits");
        let third = join();
        turn.notify_one();
        assert!(future::poll_immediate(third.judged()).await.is_none());
        assert!(third.is_sent());
        drop(third);
        let fourth = join();
        assert!(fourth.is_sent(), "it is the same");
        answer.notify_one();
        assert!(fourth.judged().await.is_err());
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        assert!(judgements.is_empty());
    }
}
